//! Quantities with a unit, as the operator writes them.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, written `500ms`, `3s`, `5m` or `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration {
    milliseconds: u64,
}

impl Duration {
    /// From milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self { milliseconds }
    }

    /// In milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.milliseconds
    }

    /// As protobuf's JSON has it, for Envoy's configuration: `1.5s`.
    pub fn to_proto(self) -> String {
        format!("{}.{:03}s", self.milliseconds / 1000, self.milliseconds % 1000)
    }
}

/// A number of bytes, written `1048576`, `512KiB` or `32MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

const DURATIONS: &[(&str, u64)] = &[("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const SIZES: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1), ("", 1)];

/// `NUMBER UNIT`, the unit being one of `units`; `None` for anything else or past 2⁶⁴.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// With the largest unit that leaves a whole number.
fn print(amount: u64, units: &[(&str, u64)]) -> String {
    let unit = units.iter().find(|(_, factor)| amount != 0 && amount.is_multiple_of(*factor));
    match unit.or(units.last()) {
        Some((name, factor)) => format!("{}{name}", amount / factor),
        None => amount.to_string(),
    }
}

impl core::str::FromStr for Duration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let milliseconds = parse(text, DURATIONS).ok_or("expected a duration such as `500ms`, `3s`, `5m` or `1h`")?;
        Ok(Self { milliseconds })
    }
}

impl core::str::FromStr for Bytes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text, SIZES).map(Self).ok_or("expected a size such as `512KiB` or `32MiB`")
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print(self.milliseconds, DURATIONS))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print(self.0, SIZES))
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(not(target_family = "wasm"))]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    impl JsonSchema for super::Duration {
        fn schema_name() -> Cow<'static, str> {
            "Duration".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "title": "Duration", "description": "A length of time: `500ms`, `3s`, `5m`, `1h`.",
                "type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"
            })
        }
    }

    impl JsonSchema for super::Bytes {
        fn schema_name() -> Cow<'static, str> {
            "Bytes".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "title": "Bytes", "description": "A number of bytes: `1048576`, `512KiB`, `32MiB`.",
                "type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+(B|KiB|MiB|GiB)?$"
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Duration};

    #[test]
    fn quantities_read_and_print_alike() {
        for text in ["500ms", "3s", "5m", "2h", "0ms", "1500ms"] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), text);
        }
        for text in ["32MiB", "512KiB", "1GiB", "7B"] {
            assert_eq!(text.parse::<Bytes>().unwrap().to_string(), text);
        }
        assert_eq!("5m".parse::<Duration>().unwrap().to_proto(), "300.000s");
        for text in ["", "3", "s", "3 days", "-1s", "99999999999999999h"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
        assert_eq!("10".parse::<Bytes>(), Ok(Bytes(10)));
        assert!("32MB".parse::<Bytes>().is_err());
    }
}
