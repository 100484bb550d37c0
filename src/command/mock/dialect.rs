//! What a provider's interface is to the mock, and the list of those it speaks.

use std::borrow::Cow;

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use serde_json::Value;

use super::anthropic::Anthropic;
use super::bedrock::Bedrock;
use super::cohere::Cohere;
use super::directives::Refusal;
use super::gemini::Gemini;
use super::json::At;
use super::model::{Prompt, Reply, Usage};
use super::ollama::Ollama;
use super::openai::{Azure, Mistral, OpenAi};

/// Every dialect; the first whose path it is answers.
pub static DIALECTS: &[&dyn Dialect] = &[
    &Azure,
    &Mistral,
    &OpenAi,
    &Anthropic::OWN,
    &Anthropic::VERTEX,
    &Gemini::GOOGLE_AI,
    &Gemini::VERTEX,
    &Bedrock,
    &Cohere,
    &Ollama,
];

/// Who answers what no dialect knows.
pub static FALLBACK: &dyn Dialect = &OpenAi;

/// A provider's interface.
pub trait Dialect: Sync {
    /// As the record calls it.
    fn name(&self) -> &'static str;

    /// What a path asks for, if it is this dialect's.
    fn operation(&self, method: &Method, path: &str) -> Option<Operation>;

    /// The model name as sent, directives and all.
    fn model<'c>(&self, call: &Call<'c>) -> Option<Cow<'c, str>> {
        call.body.at("model").as_str().map(Cow::Borrowed)
    }

    /// Refuses wrong credentials.
    fn authenticate(&self, call: &Call<'_>) -> Result<(), Fault>;

    /// Checks a request as strictly as the provider does, and takes from it what the answer depends on. `model` is the
    /// model's name without directives.
    fn read(&self, call: &Call<'_>, model: &str) -> Result<Prompt, Fault>;

    /// The answer as one JSON document.
    fn document(&self, prompt: &Prompt, reply: &Reply) -> Value;

    /// The answer as a stream.
    fn events(&self, prompt: &Prompt, reply: &Reply) -> Vec<Event>;

    /// What the content of a stream is.
    fn stream_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    /// Checks a request for embeddings, and answers it.
    fn embeddings(&self, call: &Call<'_>, _model: &str) -> Result<(Value, Usage), Fault> {
        Err(Fault::NoPath { method: "POST".to_owned(), path: call.path.to_owned() })
    }

    /// What the provider tells of `usage`: some keep a part of it to themselves.
    fn told(&self, usage: Usage) -> Usage {
        usage
    }

    /// The models that can be asked for.
    fn models(&self) -> Value;

    /// An error's status and body. `id` is the answer's request id.
    fn error(&self, fault: &Fault, id: &str) -> (u16, Value);

    /// The same error as an event of a stream that began well.
    fn error_event(&self, fault: &Fault, id: &str) -> Bytes;

    /// What keeps a stream alive while the model thinks; empty if the provider has nothing of the kind.
    fn keepalive(&self) -> &'static str {
        ""
    }

    /// The headers of every answer: request id, rate limits; these are `spent` for so many seconds, if they are.
    fn headers(&self, id: &str, spent: Option<u64>, now: u64) -> Vec<(&'static str, String)>;

    /// The headers of an error besides.
    fn error_headers(&self, _fault: &Fault) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// A request id.
    fn request_id(&self, seed: u64) -> String;
}

/// What can be asked of a provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    Chat,
    Embeddings,
    Models,
}

/// A request.
pub struct Call<'c> {
    /// As it came, encoded.
    pub path: &'c str,
    /// What is after the `?`, or nothing.
    pub query: &'c str,
    pub headers: &'c HeaderMap,
    pub body: &'c Value,
}

/// One event of a stream as its bytes.
#[derive(Clone)]
pub struct Event {
    pub bytes: Bytes,
    /// The tokens that the provider has told of once this is sent.
    pub usage: Option<Usage>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The request is wrong; most providers name the parameter, and some the kind of mistake.
    Invalid { message: String, param: Option<String>, code: Option<&'static str> },
    /// No credentials.
    NoKey,
    /// Wrong credentials.
    BadKey(String),
    /// No such path.
    NoPath { method: String, path: String },
    /// The body is too long.
    TooLarge,
    /// What the provider says with this status.
    Status(u16),
    /// What the provider says in a case of its own.
    Refused(Refusal),
}

impl Fault {
    /// A wrong request, in the provider's words.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), param: None, code: None }
    }
}

/// The dialect and the operation that a path belongs to.
pub fn find(method: &Method, path: &str) -> Option<(&'static dyn Dialect, Operation)> {
    DIALECTS.iter().find_map(|dialect| Some((*dialect, dialect.operation(method, path)?)))
}

/// The site that a path names: its first segment, unless the interface begins there.
pub fn site(path: &str) -> &str {
    match path.trim_start_matches('/').split('/').next() {
        Some("v1" | "v1beta" | "v1beta1" | "v2" | "api" | "model" | "chat" | "models" | "embeddings") | None => "",
        Some(first) => first,
    }
}

/// A segment of a path, decoded.
pub fn decoded(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.split_at_checked(2).filter(|_| byte == b'%');
        let decoded = digits
            .and_then(|(digits, after)| Some((u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?, after)));
        let (byte, after) = decoded.unwrap_or((byte, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The token of `Authorization: Bearer`, which must not be empty nor `bad-key`.
pub fn bearer(headers: &HeaderMap) -> Result<(), Fault> {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    key(header.strip_prefix("Bearer ").map(str::trim))
}

/// A key as a header has it.
pub fn key(key: Option<&str>) -> Result<(), Fault> {
    match key {
        None | Some("") => Err(Fault::NoKey),
        Some("bad-key") => Err(Fault::BadKey("bad-key".to_owned())),
        Some(_) => Ok(()),
    }
}

/// The text of a message's content, which is a string or an array of parts.
pub fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part.at("text").as_str()).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

/// The rule that most providers have for the names of tools, but for the length; some have it for ids too.
pub fn is_name(name: &str, longest: usize) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    !name.is_empty() && name.len() <= longest && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<(&str, Operation)>, expected_site: &str) {
        for (method, operations) in
            [(Method::POST, &[Operation::Chat, Operation::Embeddings][..]), (Method::GET, &[Operation::Models])]
        {
            let found = find(&method, path).map(|(dialect, operation)| (dialect.name(), operation));
            assert_eq!(found, expected.filter(|(_, expected)| operations.contains(expected)), "{method} {path}");
        }
        assert_eq!(site(path), expected_site, "{path}");
    }

    #[test]
    fn paths_name_dialect_and_site() {
        check("/v1/chat/completions", Some(("openai", Operation::Chat)), "");
        check("/chat/completions", Some(("openai", Operation::Chat)), "");
        check("/groq/openai/v1/chat/completions", Some(("openai", Operation::Chat)), "groq");
        check("/azure-eu/openai/deployments/x/chat/completions", Some(("azure-openai", Operation::Chat)), "azure-eu");
        check("/azure/openai/v1/embeddings", Some(("azure-openai", Operation::Embeddings)), "azure");
        check("/mistral/v1/chat/completions", Some(("mistral", Operation::Chat)), "mistral");
        check("/v1beta/models/gemini-2.5-flash%3Fhang:generateContent", Some(("gemini", Operation::Chat)), "");
        check("/gemini/v1beta/models/g:streamGenerateContent", Some(("gemini", Operation::Chat)), "gemini");
        check("/v1beta/models/g:batchEmbedContents", Some(("gemini", Operation::Embeddings)), "");
        check("/v1beta/models/g:countTokens", None, "");
        let vertex = "/v/v1/projects/p/locations/r/publishers/google/models/";
        check(&format!("{vertex}g:generateContent"), Some(("vertex", Operation::Chat)), "v");
        check(&format!("{vertex}g:predict"), Some(("vertex", Operation::Embeddings)), "v");
        let claude = "/v/v1/projects/p/locations/r/publishers/anthropic/models/c:streamRawPredict";
        check(claude, Some(("vertex-anthropic", Operation::Chat)), "v");
        check("/bedrock/model/a.b-v1%3A0/converse-stream", Some(("bedrock", Operation::Chat)), "bedrock");
        check("/model/amazon.titan-embed-text-v2%3A0/invoke", Some(("bedrock", Operation::Embeddings)), "");
        check("/cohere/v2/chat", Some(("cohere", Operation::Chat)), "cohere");
        check("/v2/embed", Some(("cohere", Operation::Embeddings)), "");
        check("/ollama/api/chat", Some(("ollama", Operation::Chat)), "ollama");
        check("/api/tags", Some(("ollama", Operation::Models)), "");
        check("/v1/models", Some(("openai", Operation::Models)), "");
        check("/openai/v1/models", Some(("openai", Operation::Models)), "openai");
        check("/anthropic/v1/messages", Some(("anthropic", Operation::Chat)), "anthropic");
        check("/v1/messages", Some(("anthropic", Operation::Chat)), "");
        check("/v1/embeddings", Some(("openai", Operation::Embeddings)), "");
        check("/v1/audio", None, "");
        check("/", None, "");
    }

    #[test]
    fn dialects_have_different_names() {
        let mut names: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DIALECTS.len());
    }
}
