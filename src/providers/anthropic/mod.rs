//! Anthropic's Messages API.
//!
//! <https://platform.claude.com/docs/en/api/messages>. Vertex speaks the same language with another envelope.

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
        Speech::Native(&OWN)
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        error(failure)
    }
}

/// By what name these thoughts are known: OpenRouter's.
const THOUGHTS: &str = "anthropic-claude-v1";

/// The language, and where a service that has it is not Anthropic's own.
#[derive(Debug)]
pub(super) struct Language {
    /// What stands in the body for the model, which is in the path then.
    version: Option<&'static str>,
    /// Whether images and documents may be addresses: <https://github.com/anthropics/anthropic-sdk-typescript/issues/1038>
    addresses: bool,
    /// Whether models are held to schemas. On Vertex an organisation has to allow it first:
    /// <https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/structured_outputs>
    schemas: bool,
    /// Whether there is `service_tier`: <https://platform.claude.com/docs/en/api/service-tiers>
    service_tiers: bool,
}

static OWN: Language = Language { version: None, addresses: true, schemas: true, service_tiers: true };

/// Vertex's: <https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai>
pub(super) static VERTEX: Language =
    Language { version: Some("vertex-2023-10-16"), addresses: false, schemas: false, service_tiers: false };

/// What an answer that is an error means, on any service.
pub(super) fn error(failure: &Failure<'_>) -> Error {
    failure::of_status(failure.status, failure.body)
}

impl Translator for Language {
    fn request(&self, request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
        request::write(request, target, self, out)
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
