//! What the gateway position decides and every attempt needs: it travels from the one to the others in filter state.

use serde::{Deserialize, Serialize};

use crate::dialect::{Edits, Operation};

/// A request's way through the providers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The model by the name that the client asked for.
    pub model: String,
    /// What the model is asked for.
    pub operation: Operation,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the client wants the usage at the end of a stream.
    pub include_usage: bool,
    /// The targets, in order.
    pub hops: Vec<Hop>,
    /// Which of them the next attempt goes to.
    pub next: usize,
}

/// One target of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Name of the provider, and of its cluster.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// Refuse rather than drop.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub strict: bool,
    /// What is changed in its requests, if anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edits: Option<Box<Edits>>,
}

impl Plan {
    /// Reads a plan as [`Self::encode`] wrote it; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// For filter state.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The same with its first target only.
    pub fn only_first(mut self) -> Self {
        self.hops.truncate(1);
        self
    }

    /// The provider of the next attempt; `None` when all targets were tried.
    pub fn next_provider(&self) -> Option<&str> {
        self.hops.get(self.next).map(|hop| hop.provider.as_str())
    }
}
