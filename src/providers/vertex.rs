//! Vertex AI: Google's models, and those of others that it serves, each in its own language behind one address and one token.
//!
//! - Gemini, and models tuned from it (`endpoints/ID`):
//!   <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference>
//! - Claude: <https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai>
//! - all others, as `PUBLISHER/MODEL` (`meta/llama-3.3-70b-instruct-maas`), in OpenAI's dialect:
//!   <https://cloud.google.com/vertex-ai/generative-ai/docs/maas/call-open-model-apis>
//!
//! The languages themselves are those of other files: this one is given them.

use super::pieces::segment;
use super::{Embedder, Failure, Kind, Setting, Settings, Speech, Target, Translator};
use crate::dialect::Operation;
use crate::error::Error;
use crate::json::Value;

/// The kind `vertex`.
#[derive(Debug)]
pub(super) struct Vertex {
    /// What Gemini speaks here.
    pub google: Publisher,
    /// What Claude speaks here.
    pub anthropic: Publisher,
}

/// One whose models have a language of their own.
pub(super) struct Publisher {
    /// The language.
    pub translator: &'static dyn Translator,
    /// How they are asked for embeddings.
    pub embedder: Option<&'static dyn Embedder>,
    /// What an answer that is an error means.
    pub error: fn(&Failure<'_>) -> Error,
}

impl core::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Publisher")
    }
}

/// Which model is meant by a name.
#[derive(Debug, PartialEq, Eq)]
enum Model<'a> {
    Gemini(&'a str),
    /// A model tuned from Gemini, by its endpoint's number.
    Tuned(&'a str),
    Claude(&'a str),
    Other,
}

impl<'a> Model<'a> {
    /// `gemini-3-pro`, `claude-sonnet-4-5@20250929`; with the publisher before it, in any spelling, or else another's.
    fn of(name: &'a str) -> Self {
        let full = name.strip_prefix("publishers/").and_then(|name| name.split_once("/models/"));
        match full.or_else(|| name.split_once('/')) {
            Some(("google", model)) => Self::Gemini(model),
            Some(("anthropic", model)) => Self::Claude(model),
            Some(("endpoints", id)) => Self::Tuned(id),
            Some(_) => Self::Other,
            None if name.starts_with("claude") => Self::Claude(name),
            None => Self::Gemini(name),
        }
    }
}

impl Kind for Vertex {
    fn name(&self) -> &'static str {
        "vertex"
    }

    fn base_url(&self) -> Option<&'static str> {
        Some("https://{region}-aiplatform.googleapis.com")
    }

    /// Regions that are many have hosts of another form.
    /// <https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations>
    fn home(&self, settings: &Settings) -> Option<String> {
        Some(match settings.region.as_deref().unwrap_or_default() {
            "global" => "https://aiplatform.googleapis.com".to_owned(),
            region @ ("us" | "eu") => format!("https://aiplatform.{region}.rep.googleapis.com"),
            region => format!("https://{region}-aiplatform.googleapis.com"),
        })
    }

    fn settings(&self) -> &'static [Setting] {
        &[Setting { key: "project", required: true }, Setting { key: "region", required: true }]
    }

    /// Others' embeddings have paths and bodies of their own each.
    fn offers(&self, operation: Operation, model: &str) -> bool {
        match operation {
            Operation::Chat => true,
            Operation::Embeddings => matches!(Model::of(model), Model::Gemini(_)),
            Operation::Completions | Operation::Moderations => false,
        }
    }

    fn path(&self, target: &Target<'_>) -> String {
        let setting = |value: &Option<String>| segment(value.as_deref().unwrap_or_default());
        let (project, region) = (setting(&target.settings.project), setting(&target.settings.region));
        let generate = if target.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        let predict = if target.stream { "streamRawPredict" } else { "rawPredict" };
        let place = match Model::of(target.model) {
            Model::Gemini(model) => format!("publishers/google/models/{}:{generate}", segment(model)),
            Model::Tuned(id) => format!("endpoints/{}:{generate}", segment(id)),
            Model::Claude(model) => format!("publishers/anthropic/models/{}:{predict}", segment(model)),
            Model::Other => format!("endpoints/openapi{}", target.operation.path()),
        };
        format!("/v1/projects/{project}/locations/{region}/{place}")
    }

    fn credential(&self, key: &str) -> (&'static str, String) {
        ("authorization", format!("Bearer {key}"))
    }

    fn takes_gcp_tokens(&self) -> bool {
        true
    }

    fn speech(&self) -> Speech {
        Speech::Native(self.google.translator)
    }

    fn speech_to(&self, model: &str) -> Speech {
        match Model::of(model) {
            Model::Gemini(_) | Model::Tuned(_) => self.speech(),
            Model::Claude(_) => Speech::Native(self.anthropic.translator),
            Model::Other => Speech::OpenAi,
        }
    }

    fn embedder(&self) -> Option<&'static dyn Embedder> {
        self.google.embedder
    }

    /// Claude's own errors come in its own shape, what Google has to say to any request in Google's.
    fn error(&self, failure: &Failure<'_>) -> Error {
        let kind = failure.body.and_then(|body| body.path(&["error", "type"])).and_then(Value::as_str);
        let publisher = if kind.is_some() { &self.anthropic } else { &self.google };
        (publisher.error)(failure)
    }
}

#[cfg(test)]
mod tests {
    use crate::dialect::Operation;
    use crate::error::Cause;
    use crate::json::Document;
    use crate::providers::{Failure, Kind, Settings, Speech, Target, find};

    fn vertex() -> &'static dyn Kind {
        find("vertex").unwrap()
    }

    #[test]
    fn the_model_decides_on_path_and_language() {
        let settings = Settings {
            project: Some("acme".to_owned()),
            region: Some("europe-west4".to_owned()),
            ..Settings::default()
        };
        let gemini = "google-gemini-v1";
        let claude = "anthropic-claude-v1";
        for (model, place, thoughts) in [
            ("gemini-2.5-pro", "publishers/google/models/gemini-2.5-pro:generateContent", gemini),
            ("google/gemini-2.5-pro", "publishers/google/models/gemini-2.5-pro:generateContent", gemini),
            ("publishers/google/models/gemma", "publishers/google/models/gemma:generateContent", gemini),
            ("endpoints/123", "endpoints/123:generateContent", gemini),
            ("claude-x@1", "publishers/anthropic/models/claude-x@1:rawPredict", claude),
            ("anthropic/claude-x", "publishers/anthropic/models/claude-x:rawPredict", claude),
            ("publishers/anthropic/models/x", "publishers/anthropic/models/x:rawPredict", claude),
            ("meta/llama-4", "endpoints/openapi/chat/completions", ""),
            ("openai/gpt-oss-120b-maas", "endpoints/openapi/chat/completions", ""),
        ] {
            let target = Target { settings: &settings, ..Target::new(model) };
            let path = vertex().path(&target);
            assert_eq!(path, format!("/v1/projects/acme/locations/europe-west4/{place}"));
            let said = match vertex().speech_to(model) {
                Speech::Native(translator) => translator.thoughts(),
                Speech::OpenAi => "",
            };
            assert_eq!(said, thoughts, "{model}");
        }
        for (model, method) in [("gemini-x", ":streamGenerateContent?alt=sse"), ("claude-x", ":streamRawPredict")] {
            let path = vertex().path(&Target { stream: true, settings: &settings, ..Target::new(model) });
            assert!(path.ends_with(method), "{path}");
        }
    }

    #[test]
    fn only_googles_models_are_asked_for_embeddings() {
        let offers = |model| vertex().offers(Operation::Embeddings, model);
        assert!(offers("text-embedding-005") && offers("google/gemini-embedding-001"));
        assert!(!offers("claude-x") && !offers("meta/llama-4"));
    }

    #[test]
    fn regions_that_are_many_have_hosts_of_their_own() {
        for (region, host) in [
            ("europe-west4", "https://europe-west4-aiplatform.googleapis.com"),
            ("global", "https://aiplatform.googleapis.com"),
            ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ] {
            let settings = Settings { region: Some(region.to_owned()), ..Settings::default() };
            assert_eq!(vertex().home(&settings).as_deref(), Some(host));
        }
    }

    #[test]
    fn errors_come_in_two_shapes() {
        for (body, cause) in [
            (r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#, Cause::Overloaded),
            (r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#, Cause::RateLimited),
        ] {
            let document = Document::parse(body.as_bytes()).unwrap();
            let failure = Failure { status: 400, body: Some(document.root()), name: None };
            assert_eq!(vertex().error(&failure).cause, cause, "{body}");
        }
    }
}
