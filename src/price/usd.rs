//! Money in integers: 10⁻¹² USD.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::digits::Digits;

/// Decimal places of a USD per million tokens that are whole 10⁻¹² USD per token.
const PLACES: usize = 6;

/// A price: written in USD per million tokens, `2.5` or `"0.075"`, and kept in 10⁻¹² USD per token, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct PerMillion {
    pico: u64,
}

impl PerMillion {
    /// From 10⁻¹² USD per token.
    pub const fn from_pico(pico: u64) -> Self {
        Self { pico }
    }

    /// In 10⁻¹² USD per token.
    pub const fn as_pico(self) -> u64 {
        self.pico
    }
}

/// `2.5` as 2,500,000: a decimal number without sign or exponent, as a multiple of 10 to the power of minus `places`.
///
/// # Errors
/// It is none, or has more places than that, or does not fit.
pub(super) fn decimal(text: &str, places: usize) -> Result<u64, &'static str> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return Err("not a number of 0 or more");
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = places.checked_sub(fraction.len()).ok_or("too many decimal places")?;
    let digits = whole.bytes().chain(fraction.bytes()).chain(core::iter::repeat_n(b'0', missing));
    let number = digits
        .map(|byte| u64::from(byte - b'0'))
        .try_fold(0, |number: u64, digit| number.checked_mul(10)?.checked_add(digit));
    number.ok_or("too large")
}

/// The reverse of [`decimal`], without needless zeros.
pub(super) fn write_decimal(number: u64, places: usize, out: &mut dyn fmt::Write) -> fmt::Result {
    out.write_str(Digits::of_decimal(number, places as u32).as_str())
}

/// An amount of 10⁻¹² USD as USD: `0.001275`.
pub fn pico_usd(amount: u64) -> Usd {
    Usd(Digits::of_decimal(amount, 12))
}

/// See [`pico_usd`].
#[derive(Debug, Clone, Copy)]
pub struct Usd(Digits);

impl Usd {
    /// As a text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The reverse of [`pico_usd`]; `None` if it is no amount, or is one of more than 12 decimal places.
pub fn read_pico_usd(text: &str) -> Option<u64> {
    decimal(text, 12).ok()
}

impl FromStr for PerMillion {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match decimal(text.trim(), PLACES) {
            Ok(pico) if pico <= MOST => Ok(Self { pico }),
            _ => Err("expected USD per million tokens such as `2.5` or `0.075`, with at most 6 decimal places"),
        }
    }
}

/// A USD per token: what no model costs, so that sums of what people write do not overflow.
const MOST: u64 = 1_000_000_000_000;

impl fmt::Display for PerMillion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(self.pico, PLACES, f)
    }
}

/// A decimal number as a document has it, in a string or bare. A bare one has come through a double, whose shortest form
/// is what was written, up to 15 digits.
pub(super) fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Written;
    impl de::Visitor<'_> for Written {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a decimal number")
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
    }
    deserializer.deserialize_any(Written)
}

impl<'de> Deserialize<'de> for PerMillion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        written(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for PerMillion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(not(target_family = "wasm"))]
impl schemars::JsonSchema for PerMillion {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PerMillion".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "title": "PerMillion", "description": "USD per million tokens: `2.5`, `0.075`.",
            "type": ["number", "string"], "minimum": 0, "pattern": "^[0-9]*(\\.[0-9]{1,6})?$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{PerMillion, pico_usd, read_pico_usd};

    #[test]
    fn prices_are_read_exactly() {
        for (text, pico, printed) in [
            ("2.5", 2_500_000, "2.5"),
            ("0.075", 75_000, "0.075"),
            (".1", 100_000, "0.1"),
            ("15", 15_000_000, "15"),
            ("15.", 15_000_000, "15"),
            ("0", 0, "0"),
            ("0.000001", 1, "0.000001"),
            ("0.0000010", 1, "0.000001"),
            ("1000000", 1_000_000_000_000, "1000000"),
        ] {
            let price: PerMillion = text.parse().unwrap();
            assert_eq!((price.as_pico(), price.to_string().as_str()), (pico, printed));
        }
        for text in
            ["", ".", "-1", "+1", "1e3", "0.0000001", "1000000.1", "99999999999999999999", "1,5", "NaN", "1.2.3"]
        {
            assert!(text.parse::<PerMillion>().is_err(), "{text}");
        }
    }

    #[test]
    fn prices_in_documents_are_numbers_or_texts() {
        for (text, pico) in
            [("2.5", 2_500_000), ("\"2.5\"", 2_500_000), ("3", 3_000_000), ("0.000001", 1), ("0.1", 100_000)]
        {
            assert_eq!(serde_json::from_str::<PerMillion>(text).unwrap().as_pico(), pico, "{text}");
        }
        for text in ["-1", "1e-9", "true", "null", "[]", "\"free\""] {
            assert!(serde_json::from_str::<PerMillion>(text).is_err(), "{text}");
        }
        assert_eq!(serde_json::to_string(&PerMillion::from_pico(75_000)).unwrap(), "\"0.075\"");
    }

    #[test]
    fn amounts_are_printed_as_usd() {
        for (amount, text) in [(0, "0"), (1, "0.000000000001"), (1_275_000_000, "0.001275"), (2_000_000_000_000, "2")] {
            assert_eq!((pico_usd(amount).to_string().as_str(), read_pico_usd(text)), (text, Some(amount)));
        }
        assert_eq!(pico_usd(u64::MAX).to_string(), "18446744.073709551615");
        for text in ["", "-1", "1e-3", "0.0000000000001", "18446744.073709551616"] {
            assert_eq!(read_pico_usd(text), None, "{text}");
        }
    }
}
