//! Decimal digits of numbers: each request writes some dozen of them, and `core::fmt` takes hundreds of instructions for one.

/// The digits of a number, and what stands between them. 32 bytes at most: what is before those is not kept.
#[derive(Debug, Clone, Copy)]
pub struct Digits {
    bytes: [u8; 32],
    /// Where they begin.
    from: usize,
}

impl Digits {
    /// Those of a whole number.
    pub fn of(number: u64) -> Self {
        let mut digits = Self::none();
        digits.put(number);
        digits
    }

    /// Those of `number` with its last `places`, 19 at most, as decimal places, without needless zeros.
    pub fn of_decimal(number: u64, places: u32) -> Self {
        let unit = 10_u64.saturating_pow(places);
        let (mut rest, mut left) = (number % unit, places);
        let mut digits = Self::none();
        if rest != 0 {
            while rest.is_multiple_of(10) {
                (rest, left) = (rest / 10, left - 1);
            }
            while left > 0 {
                digits.put_byte(b'0' + (rest % 10) as u8);
                (rest, left) = (rest / 10, left - 1);
            }
            digits.put_byte(b'.');
        }
        digits.put(number / unit);
        digits
    }

    /// As a text.
    pub fn as_str(&self) -> &str {
        self.bytes.get(self.from..).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    fn none() -> Self {
        let bytes = [0; 32];
        Self { from: bytes.len(), bytes }
    }

    /// A number before what is there.
    fn put(&mut self, mut number: u64) {
        loop {
            self.put_byte(b'0' + (number % 10) as u8);
            number /= 10;
            if number == 0 {
                return;
            }
        }
    }

    fn put_byte(&mut self, byte: u8) {
        if let Some(from) = self.from.checked_sub(1)
            && let Some(place) = self.bytes.get_mut(from)
        {
            (*place, self.from) = (byte, from);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Digits;

    #[test]
    fn decimals_have_no_needless_zeros() {
        let of = |number, places| Digits::of_decimal(number, places).as_str().to_owned();
        assert_eq!(of(0, 12), "0");
        assert_eq!(of(1, 12), "0.000000000001");
        assert_eq!(of(1_275_000_000, 12), "0.001275");
        assert_eq!(of(3_000_000_000_000, 12), "3");
        assert_eq!(of(u64::MAX, 12), "18446744.073709551615");
        assert_eq!(of(u64::MAX, 0), u64::MAX.to_string());
        assert_eq!(of(75_000, 6), "0.075");
    }

    proptest! {
        #[test]
        fn numbers_are_as_they_are_formatted(number in any::<u64>(), shift in 0_u32..64) {
            let number = number >> shift;
            let (digits, decimal) = (Digits::of(number), Digits::of_decimal(number, 12));
            prop_assert_eq!(digits.as_str(), number.to_string());
            let places = format!("{}.{:012}", number / 1_000_000_000_000, number % 1_000_000_000_000);
            let trimmed = places.trim_end_matches('0').trim_end_matches('.');
            prop_assert_eq!(decimal.as_str(), trimmed);
        }
    }
}
