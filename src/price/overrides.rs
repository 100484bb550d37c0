//! What the operator says of prices. Its doc comments are descriptions in the JSON Schema.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::rates::{Part, Price};
use super::usd::{PerMillion, decimal, write_decimal, written};

/// Prices in USD per million tokens, in place of those that are known: each at every size of prompt, service tier and
/// hour. What is left out costs what the built-in table says; for a model that it does not have, what input or output costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Tokens of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<PerMillion>,
    /// Tokens of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<PerMillion>,
    /// Tokens of the prompt that the provider had in its cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<PerMillion>,
    /// Tokens of the prompt that the provider wrote to its cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<PerMillion>,
    /// The same, for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<PerMillion>,
    /// Tokens of the answer that are thinking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<PerMillion>,
    /// Tokens of sound in the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_audio: Option<PerMillion>,
    /// Tokens of sound in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_audio: Option<PerMillion>,
    /// Percent off the whole, whatever the prices are from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<Percent>,
}

impl Override {
    /// The price with this in its place; `None` if nothing is known then either.
    pub fn apply(&self, price: Option<Price>) -> Option<Price> {
        let own = [
            (Part::Input, self.input),
            (Part::Output, self.output),
            (Part::Cached, self.cached),
            (Part::CacheWrite, self.cache_write),
            (Part::CacheWrite1h, self.cache_write_1h),
            (Part::Reasoning, self.reasoning),
            (Part::InputAudio, self.input_audio),
            (Part::OutputAudio, self.output_audio),
        ];
        let says_nothing = own.iter().all(|(_, rate)| rate.is_none());
        let mut price = match price {
            None if says_nothing => return None,
            price => price.unwrap_or_default(),
        };
        for (part, rate) in own {
            if let Some(rate) = rate {
                price.replace(part, rate.as_pico());
            }
        }
        if let Some(discount) = self.discount {
            price.discount = discount.millionths;
        }
        Some(price)
    }
}

/// What becomes of a request for a model whose price is not known: `unknown`, `refuse`, or `use` of prices given here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UnknownPrice {
    /// It is served, and its cost counted as unknown.
    #[default]
    Unknown,
    /// It is refused.
    Refuse,
    /// It is served at these prices.
    Use(Override),
}

impl UnknownPrice {
    /// Whether it is what it is unless said otherwise.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A share of a hundred, from 0 to 100 with at most 4 decimal places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Percent {
    millionths: u32,
}

impl FromStr for Percent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let millionths = decimal(text.trim(), 4).ok().filter(|millionths| *millionths <= 1_000_000);
        let millionths = millionths.and_then(|millionths| millionths.try_into().ok());
        let millionths = millionths.ok_or("expected a percentage from 0 to 100, with at most 4 decimal places")?;
        Ok(Self { millionths })
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(u64::from(self.millionths), 4, f)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        written(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(not(target_family = "wasm"))]
impl schemars::JsonSchema for Percent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "title": "Percent", "description": "A share of a hundred: `15`, `2.5`.",
            "type": ["number", "string"], "minimum": 0, "maximum": 100, "pattern": "^[0-9]*(\\.[0-9]{1,4})?$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Override, UnknownPrice};
    use crate::chat::Usage;
    use crate::price::{Cost, Missing, Price, ServiceTier};

    fn cost(text: &str, price: Option<&str>, usage: &Usage) -> Cost {
        let own: Override = serde_json::from_str(text).unwrap();
        let price = own.apply(price.map(|price| Price::parse(price).unwrap()));
        Cost::of(price.as_ref(), usage, ServiceTier::Standard, 0)
    }

    #[test]
    fn the_operators_prices_stand_in_the_tables_place() {
        let usage = Usage { input: 100, cached: 40, output: 10, ..Usage::default() };
        let table = Some("i1 o10 c0.5;>50 i2 o20 c1");
        for (own, price, expected) in [
            ("{}", table, 60 * 2 + 40 + 10 * 20),
            (r#"{"input":3}"#, table, 60 * 3 + 40 + 10 * 20),
            (r#"{"input":"3","cached":"0","output":0.5}"#, table, 60 * 3 + 5),
            (r#"{"discount":50}"#, table, (60 * 2 + 40 + 10 * 20) / 2),
            (r#"{"discount":100}"#, table, 0),
            (r#"{"input":1,"output":2}"#, None, 100 + 20),
        ] {
            assert_eq!(cost(own, price, &usage), Cost::Known(expected * 1_000_000), "{own}");
        }
        assert_eq!(cost(r#"{"discount":10}"#, None, &usage), Cost::Unknown(Missing::Model));
        assert_eq!(cost(r#"{"input":1}"#, None, &usage), Cost::Unknown(Missing::Output));
        // Half of 10⁻¹² USD is one.
        let one = Usage { input: 1, ..Usage::default() };
        assert_eq!(cost(r#"{"input":"0.000001","discount":50}"#, None, &one), Cost::Known(1));
        assert_eq!(cost(r#"{"input":"0.000001","discount":"50.0001"}"#, None, &one), Cost::Known(0));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            (r#"{"input":-1}"#, "USD per million tokens"),
            (r#"{"input":"1e-6"}"#, "USD per million tokens"),
            (r#"{"input":true}"#, "a decimal number"),
            (r#"{"inptu":1}"#, "unknown field `inptu`"),
            (r#"{"discount":101}"#, "from 0 to 100"),
            (r#"{"discount":0.00001}"#, "4 decimal places"),
        ] {
            let error = serde_json::from_str::<Override>(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_done_about_the_unknown_is_a_word_or_prices() {
        let own = Override { input: Some("1".parse().unwrap()), ..Override::default() };
        for (text, policy) in [
            (r#""unknown""#, UnknownPrice::Unknown),
            (r#""refuse""#, UnknownPrice::Refuse),
            (r#"{"use":{"input":"1"}}"#, UnknownPrice::Use(own)),
        ] {
            assert_eq!(serde_json::from_str::<UnknownPrice>(text).unwrap(), policy);
            assert_eq!(serde_json::to_string(&policy).unwrap(), text);
        }
        assert!(serde_json::from_str::<UnknownPrice>(r#""allow""#).is_err());
    }
}
