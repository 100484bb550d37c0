//! What a provider's interface is to the mock, and the list of those it speaks.

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use serde_json::Value;

use super::anthropic::Anthropic;
use super::directives::Refusal;
use super::json::At;
use super::model::{Prompt, Reply, Usage};
use super::openai::OpenAi;

/// Every dialect; the first whose path it is answers.
pub static DIALECTS: &[&dyn Dialect] = &[&OpenAi, &Anthropic];

/// Who answers what no dialect knows.
pub static FALLBACK: &dyn Dialect = &OpenAi;

/// A provider's interface.
pub trait Dialect: Sync {
    /// As the record calls it.
    fn name(&self) -> &'static str;

    /// What a path asks for, if it is this dialect's.
    fn operation(&self, method: &Method, path: &str) -> Option<Operation>;

    /// The model name as sent, directives and all.
    fn model<'c>(&self, call: &Call<'c>) -> Option<&'c str> {
        call.body.at("model").as_str()
    }

    /// Refuses wrong credentials.
    fn authenticate(&self, headers: &HeaderMap) -> Result<(), Fault>;

    /// Checks a request as strictly as the provider does, and takes from it what the answer depends on. `model` is the
    /// model's name without directives.
    fn read(&self, call: &Call<'_>, model: &str) -> Result<Prompt, Fault>;

    /// The answer as one JSON document.
    fn document(&self, prompt: &Prompt, reply: &Reply) -> Value;

    /// The answer as a stream.
    fn events(&self, prompt: &Prompt, reply: &Reply) -> Vec<Event>;

    /// The models that can be asked for.
    fn models(&self) -> Value;

    /// An error's status and body. `id` is the answer's request id.
    fn error(&self, fault: &Fault, id: &str) -> (u16, Value);

    /// The same error as an event of a stream that began well.
    fn error_event(&self, fault: &Fault, id: &str) -> Bytes;

    /// What keeps a stream alive while the model thinks.
    fn keepalive(&self) -> &'static str;

    /// The headers of every answer: request id, rate limits.
    fn headers(&self, id: &str, status: u16, now: u64) -> Vec<(&'static str, String)>;

    /// A request id.
    fn request_id(&self, seed: u64) -> String;
}

/// What can be asked of a provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    Chat,
    Models,
}

/// A request.
pub struct Call<'c> {
    pub headers: &'c HeaderMap,
    pub body: &'c Value,
}

/// One event of a stream as its bytes.
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
        Some("v1" | "chat" | "models") | None => "",
        Some(first) => first,
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

/// The rule that both providers have for the names of tools, but for the length; Anthropic has it for ids too.
pub fn is_name(name: &str, longest: usize) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    !name.is_empty() && name.len() <= longest && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<(&str, Operation)>, expected_site: &str) {
        for (method, operation) in [(Method::POST, Operation::Chat), (Method::GET, Operation::Models)] {
            let found = find(&method, path).map(|(dialect, operation)| (dialect.name(), operation));
            assert_eq!(found, expected.filter(|(_, expected)| *expected == operation), "{method} {path}");
        }
        assert_eq!(site(path), expected_site, "{path}");
    }

    #[test]
    fn paths_name_dialect_and_site() {
        check("/v1/chat/completions", Some(("openai", Operation::Chat)), "");
        check("/chat/completions", Some(("openai", Operation::Chat)), "");
        check("/groq/openai/v1/chat/completions", Some(("openai", Operation::Chat)), "groq");
        check("/azure-eu/openai/deployments/x/chat/completions", Some(("openai", Operation::Chat)), "azure-eu");
        check("/v1/models", Some(("openai", Operation::Models)), "");
        check("/openai/v1/models", Some(("openai", Operation::Models)), "openai");
        check("/anthropic/v1/messages", Some(("anthropic", Operation::Chat)), "anthropic");
        check("/v1/messages", Some(("anthropic", Operation::Chat)), "");
        check("/v1/embeddings", None, "");
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
