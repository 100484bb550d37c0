//! What an operator changes in the parameters of a target's requests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What an operator changes in the parameters of a target's requests: in the order of its members.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Edits {
    /// The client's name for a parameter, and that under which it goes on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
    /// Parameters that do not go on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Values for parameters that the client does not give.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub default: BTreeMap<String, serde_json::Value>,
    /// Values whatever the client gives.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, serde_json::Value>,
}
