//! OpenAI, and any server that speaks like it.
//!
//! <https://platform.openai.com/docs/api-reference/chat>

use super::{Failure, Kind, Speech, Target, classify};
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

    fn path(&self, _target: &Target<'_>) -> String {
        "/chat/completions".to_owned()
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
