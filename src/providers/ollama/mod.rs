//! Ollama's own API: `/api/chat` and `/api/embed`.
//!
//! <https://docs.ollama.com/api/chat>. Its `/v1` speaks OpenAI's dialect, and less of what Ollama can do.

mod answer;
mod embeddings;
mod messages;
mod request;
mod stream;
mod thinking;

use super::{Dropped, Embedder, Failure, Kind, Speech, StreamDecoder, Target, Translator};
use crate::chat::{Answer, Request};
use crate::error::Error;
use crate::json::Document;

/// The kind `ollama`.
#[derive(Debug)]
pub struct Ollama;

impl Kind for Ollama {
    fn name(&self) -> &'static str {
        "ollama"
    }

    fn base_url(&self) -> Option<&'static str> {
        Some("http://127.0.0.1:11434")
    }

    fn path(&self, _target: &Target<'_>) -> String {
        "/api/chat".to_owned()
    }

    /// A server of one's own asks for none; <https://ollama.com> does.
    fn credential(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn speech(&self) -> Speech {
        Speech::Native(&Ollama)
    }

    fn embedder(&self) -> Option<&'static dyn Embedder> {
        Some(&Ollama)
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        answer::failure(failure.status, failure.body)
    }
}

impl Translator for Ollama {
    fn request(&self, request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
        request::write(request, target, out)
    }

    fn answer<'a>(&self, body: &'a Document<'a>) -> Result<Answer<'a>, Error> {
        answer::read(body.root())
    }

    fn is_stream(&self, media_type: &str) -> bool {
        matches!(media_type, "application/x-ndjson" | "application/ndjson" | "application/jsonl")
    }

    fn stream(&self) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::default())
    }
}
