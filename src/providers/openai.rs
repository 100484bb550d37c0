//! OpenAI, and any server that speaks like it.
//!
//! <https://platform.openai.com/docs/api-reference/chat>

use super::{Failure, Kind, Speech, Target, classify};
use crate::dialect::Operation;
use crate::error::Error;

/// The kind `openai`.
#[derive(Debug)]
pub struct OpenAi;

impl Kind for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn base_url(&self) -> Option<&'static str> {
        Some("https://api.openai.com/v1")
    }

    fn offers(&self, _operation: Operation, _model: &str) -> bool {
        true
    }

    fn path(&self, target: &Target<'_>) -> String {
        target.operation.path().to_owned()
    }

    fn credential(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn speech(&self) -> Speech {
        Speech::OpenAi
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        classify::error(failure.status, failure.body)
    }
}
