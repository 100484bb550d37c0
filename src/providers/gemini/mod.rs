//! Google's generateContent, as Google AI has it; Vertex speaks the same language with another envelope.
//!
//! <https://ai.google.dev/api/generate-content>

mod answer;
mod array;
mod citations;
mod contents;
mod embeddings;
mod failure;
mod logprobs;
mod media;
mod modalities;
mod models;
mod parts;
mod request;
mod schema;
mod stream;
mod thinking;
mod tools;

pub(super) use self::embeddings::OnVertex;
use super::others::refuse_files;
use super::pieces::segment;
use super::{Dropped, Embedder, Failure, Kind, Speech, StreamDecoder, Target, Translator};
use crate::chat::{Answer, Request};
use crate::error::Error;
use crate::json::Document;

/// The kind `gemini`.
#[derive(Debug)]
pub struct Gemini;

impl Kind for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn base_url(&self) -> Option<&'static str> {
        Some("https://generativelanguage.googleapis.com")
    }

    fn path(&self, target: &Target<'_>) -> String {
        let model = target.model.strip_prefix("models/").unwrap_or(target.model);
        format!("/v1beta/models/{}{}", segment(model), method(target))
    }

    fn credential(&self, key: &str) -> (&'static str, String) {
        ("x-goog-api-key", key.to_owned())
    }

    fn speech(&self) -> Speech {
        Speech::Native(&GOOGLE_AI)
    }

    fn embedder(&self) -> Option<&'static dyn Embedder> {
        Some(&Gemini)
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        error(failure)
    }
}

/// What both services speak, and where they differ.
#[derive(Debug)]
pub(super) struct Language {
    /// Whether calls and their results can be told apart by `id`. Vertex finds a result by the function's name:
    /// <https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/Content#FunctionCall>
    ids: bool,
    /// Whether there is `serviceTier`: <https://ai.google.dev/gemini-api/docs/priority-inference>
    service_tiers: bool,
}

static GOOGLE_AI: Language = Language { ids: true, service_tiers: true };

/// Vertex's.
pub(super) static VERTEX: Language = Language { ids: false, service_tiers: false };

impl Translator for Language {
    fn request(&self, request: &Request<'_>, target: &Target<'_>, out: &mut String) -> Result<Dropped, Error> {
        refuse_files(&request.messages)?;
        Ok(request::write(request, target.model, self, out))
    }

    fn answer<'a>(&self, body: &'a Document<'a>) -> Result<Answer<'a>, Error> {
        answer::read(body.root())
    }

    fn thoughts(&self) -> &'static str {
        thinking::FORMAT
    }

    fn stream(&self) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::default())
    }
}

/// What an answer that is an error means, on either service.
pub(super) fn error(failure: &Failure<'_>) -> Error {
    failure::of_status(failure.status, failure.body)
}

/// What is asked of a model. Without `alt=sse` a stream would be one JSON array:
/// <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>
fn method(target: &Target<'_>) -> &'static str {
    if target.stream { ":streamGenerateContent?alt=sse" } else { ":generateContent" }
}

#[cfg(test)]
mod tests {
    use super::Gemini;
    use crate::providers::{Kind, Target};

    #[test]
    fn the_model_is_in_the_path() {
        let path = |model, stream| Gemini.path(&Target { stream, ..Target::new(model) });
        assert_eq!(path("gemini-2.5-flash", false), "/v1beta/models/gemini-2.5-flash:generateContent");
        assert_eq!(path("models/gemini-3-pro", true), "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse");
        assert_eq!(path("a/../b?c#d é", false), "/v1beta/models/a%2F..%2Fb%3Fc%23d%20%C3%A9:generateContent");
    }
}
