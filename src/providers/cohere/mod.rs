//! Cohere's Chat and Embed APIs, version 2.
//!
//! <https://docs.cohere.com/reference/chat>

mod answer;
mod citations;
mod embeddings;
mod failure;
mod messages;
mod request;
mod stream;

use super::{Dropped, Embedder, Failure, Kind, Speech, StreamDecoder, Target, Translator};
use crate::chat::{Answer, Request};
use crate::error::Error;
use crate::json::Document;

/// The kind `cohere`.
#[derive(Debug)]
pub struct Cohere;

impl Kind for Cohere {
    fn name(&self) -> &'static str {
        "cohere"
    }

    fn base_url(&self) -> Option<&'static str> {
        Some("https://api.cohere.com")
    }

    fn path(&self, _target: &Target<'_>) -> String {
        "/v2/chat".to_owned()
    }

    fn credential(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn speech(&self) -> Speech {
        Speech::Native(&Cohere)
    }

    fn embedder(&self) -> Option<&'static dyn Embedder> {
        Some(&Cohere)
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        failure::of_status(failure.status, failure.body)
    }
}

impl Translator for Cohere {
    fn request(&self, request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
        request::write(request, target, out)
    }

    fn answer<'a>(&self, body: &'a Document<'a>) -> Result<Answer<'a>, Error> {
        answer::read(body.root())
    }

    fn stream(&self) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::default())
    }
}
