//! Anthropic's Messages API.
//!
//! <https://platform.claude.com/docs/en/api/messages>. Vertex and Bedrock speak the same language with another envelope.

mod answer;
mod citations;
mod failure;
mod id;
mod media;
mod messages;
mod models;
mod request;
mod stream;
mod thinking;
mod tools;

use super::{Dropped, Failure, Kind, Speech, StreamDecoder, Target, Translator};
use crate::chat::{Answer, Request};
use crate::error::Error;
use crate::json::Document;

/// The kind `anthropic`.
#[derive(Debug)]
pub struct Anthropic;

impl Kind for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn base_url(&self) -> Option<&'static str> {
        Some("https://api.anthropic.com")
    }

    fn path(&self, _target: &Target<'_>) -> String {
        "/v1/messages".to_owned()
    }

    fn credential(&self, key: &str) -> (&'static str, String) {
        ("x-api-key", key.to_owned())
    }

    fn headers(&self, _target: &Target<'_>) -> Vec<(&'static str, String)> {
        vec![("anthropic-version", "2023-06-01".to_owned())]
    }

    fn speech(&self) -> Speech {
        Speech::Native(&Anthropic)
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        failure::of_status(failure.status, failure.body)
    }
}

/// By what name these thoughts are known: OpenRouter's.
const THOUGHTS: &str = "anthropic-claude-v1";

impl Translator for Anthropic {
    fn request(&self, request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
        request::write(request, target, out)
    }

    fn answer<'a>(&self, body: &'a Document<'a>) -> Result<Answer<'a>, Error> {
        answer::read(body.root())
    }

    fn thoughts(&self) -> &'static str {
        THOUGHTS
    }

    fn stream(&self) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::default())
    }
}
