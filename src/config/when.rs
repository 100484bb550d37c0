//! Conditions as the operator writes them: which requests a rule is about. [`super::rules`] checks them and says what they
//! mean.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Number;

/// Which requests are meant: those for which every member holds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WhenFile {
    /// Headers of the request, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, TestFile>,
    /// The name of the client's key; a `*` stands for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<TestFile>,
    /// Whose the client's key is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TestFile>,
    /// Labels of the client's key, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub label: BTreeMap<String, TestFile>,
    /// The path without its query; a `*` stands for anything: `/v1/chat/*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<TestFile>,
    /// The model that was asked for, by any of its names; a `*` stands for anything: `gpt-*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<TestFile>,
    /// Members of the request's body; a dot leads into one: `metadata.tenant`. Of a list, one element is enough.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameter: BTreeMap<String, TestFile>,
    /// Tokens of the prompt, by an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<TestFile>,
    /// Whether the answer is to be streamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Whether the request names tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// Whether there are images in its messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<bool>,
    /// Conditions that all must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub all: Vec<WhenFile>,
    /// Conditions of which one must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any: Vec<WhenFile>,
    /// A condition that must not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<WhenFile>>,
}

/// What something is held against: a value that it must equal, or operators that must all hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TestFile {
    /// It must equal this.
    Equals(Scalar),
    /// All of these must hold.
    Operators(Operators),
}

/// A value without parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(String),
}

/// Operators; those that are named must all hold.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operators {
    /// Equal to one of these.
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Scalar>>,
    /// Anything but this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<TestFile>>,
    /// Greater than.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gt: Option<Number>,
    /// Greater or equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gte: Option<Number>,
    /// Less than.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lt: Option<Number>,
    /// Less or equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lte: Option<Number>,
    /// Begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Ends with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// Has within.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Is like; a `*` stands for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// Whether it is there at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
}

/// One schema for both forms, as serde's `untagged` would make an `anyOf` of which no mistake could be told well.
#[cfg(not(target_family = "wasm"))]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    impl JsonSchema for super::TestFile {
        fn schema_name() -> Cow<'static, str> {
            "Test".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let test = generator.subschema_for::<Self>();
            let scalar = ["string", "number", "boolean"];
            json_schema!({
                "title": "Test",
                "description": "A value that it must equal, or operators that must all hold.",
                "type": ["string", "number", "boolean", "object"],
                "properties": {
                    "in": { "description": "Equal to one of these.", "type": "array", "items": { "type": scalar } },
                    "not": { "description": "Anything but this.", "anyOf": [test, { "type": "null" }] },
                    "gt": { "description": "Greater than.", "type": "number" },
                    "gte": { "description": "Greater or equal.", "type": "number" },
                    "lt": { "description": "Less than.", "type": "number" },
                    "lte": { "description": "Less or equal.", "type": "number" },
                    "prefix": { "description": "Begins with.", "type": "string" },
                    "suffix": { "description": "Ends with.", "type": "string" },
                    "contains": { "description": "Has within.", "type": "string" },
                    "matches": { "description": "Is like; a `*` stands for anything.", "type": "string" },
                    "present": { "description": "Whether it is there at all.", "type": "boolean" },
                },
                "additionalProperties": false,
            })
        }
    }
}
