//! Sums of money: in 10⁻¹² USD, as prices are, but without their bound.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

/// So many 10⁻¹² USD, exactly. Less than nothing is possible where something is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Money(i128);

const PLACES: usize = 12;

impl Money {
    /// So many 10⁻¹² USD for each of so many tokens.
    pub fn for_tokens(rate: Self, tokens: u64) -> Self {
        Self(rate.0.saturating_mul(i128::from(tokens)))
    }

    /// How many hundredths of `whole` it is; `None` if that is nothing.
    pub fn share_of(self, whole: Self) -> Option<f64> {
        // For reading only: sums are never made of it.
        (whole.0 > 0).then(|| self.0 as f64 * 100.0 / whole.0 as f64)
    }

    /// To the nearest 10⁻⁴ USD, in groups of three digits: `1,234.5000`. What is less, and something, is `<0.0001`.
    pub fn rounded(self) -> String {
        const UNIT: u128 = 100_000_000;
        let amount = self.0.unsigned_abs();
        let rounded = (amount + UNIT / 2) / UNIT;
        if rounded == 0 && amount > 0 {
            return if self.0 < 0 { ">-0.0001" } else { "<0.0001" }.to_owned();
        }
        let sign = if self.0 < 0 { "-" } else { "" };
        format!("{sign}{}.{:04}", grouped(rounded / 10_000), rounded % 10_000)
    }
}

/// `1,234,567`
pub fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

impl From<u64> for Money {
    fn from(pico: u64) -> Self {
        Self(pico.into())
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Self::add)
    }
}

/// Exact, as the log has it: `0.001275`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:0width$}", self.0.unsigned_abs(), width = PLACES + 1);
        let (whole, fraction) = digits.split_at_checked(digits.len() - PLACES).unwrap_or((&digits, ""));
        let fraction = fraction.trim_end_matches('0');
        if self.0 < 0 {
            f.write_str("-")?;
        }
        f.write_str(whole)?;
        if fraction.is_empty() { Ok(()) } else { write!(f, ".{fraction}") }
    }
}

#[cfg(test)]
mod tests {
    use super::{Money, grouped};

    #[test]
    fn sums_are_exact_and_have_no_bound() {
        let most = Money::from(u64::MAX);
        assert_eq!((most + most).to_string(), "36893488.14741910323");
        let sum: Money = std::iter::repeat_n(Money::from(42_500_000), 1_000_000).sum();
        assert_eq!((sum.to_string().as_str(), sum.rounded().as_str()), ("42.5", "42.5000"));
        assert_eq!((Money::from(1) - Money::from(3)).to_string(), "-0.000000000002");
    }

    #[test]
    fn amounts_are_rounded_for_people() {
        for (pico, expected) in [
            (0, "0.0000"),
            (1, "<0.0001"),
            (50_000_000, "0.0001"),
            (1_234_567_890_000_000, "1,234.5679"),
            (999_999_960_000_000, "1,000.0000"),
        ] {
            assert_eq!(Money::from(pico).rounded(), expected);
        }
        assert_eq!((Money::from(0) - Money::from(2_500_000_000_000)).rounded(), "-2.5000");
        assert_eq!((Money::from(0) - Money::from(1)).rounded(), ">-0.0001");
        for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
    }
}
