//! Anthropic's Messages API.

use super::{Kind, Speech, Target, classify};
use crate::error::Error;
use crate::json::Value;

/// The kind `anthropic`.
#[derive(Debug)]
pub struct Anthropic;

impl Kind for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn base_url(&self) -> &'static str {
        "https://api.anthropic.com"
    }

    fn path(&self, _target: &Target<'_>) -> String {
        "/v1/messages".to_owned()
    }

    fn credential(&self, key: &str) -> (&'static str, String) {
        ("x-api-key", key.to_owned())
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", "2023-06-01")]
    }

    fn speech(&self) -> Speech {
        Speech::OpenAi // replaced by Native when the translator lands
    }

    fn error(&self, status: u16, body: Option<Value<'_>>) -> Error {
        classify::error(status, body)
    }
}
