//! Google's generateContent, as Google AI and Vertex AI have it, and their embeddings.
//!
//! <https://ai.google.dev/api/generate-content>. A stream is spoken with `alt=sse` only; without, the real one is a JSON
//! array.

mod contents;
mod embeddings;
mod request;

use std::borrow::Cow;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use super::dialect::{Call, Dialect, Event, Fault, Operation, bearer, decoded, key};
use super::directives::Refusal;
use super::json::At;
use super::model::{self, Finish, Prompt, Reply, Thinking, Usage};
use super::random::{BASE62, letters, nth, sealed};

/// The dialect.
pub struct Gemini {
    vertex: bool,
}

impl Gemini {
    /// Google AI: keys, and ids of calls.
    pub const GOOGLE_AI: Self = Self { vertex: false };
    /// Vertex AI: tokens, another path, no ids of calls, `predict` for embeddings.
    pub const VERTEX: Self = Self { vertex: true };
}

impl Dialect for Gemini {
    fn name(&self) -> &'static str {
        if self.vertex { "vertex" } else { "gemini" }
    }

    fn operation(&self, method: &Method, path: &str) -> Option<Operation> {
        let is_list = *method == Method::GET && path.ends_with("/v1beta/models");
        if is_list && !self.vertex {
            return Some(Operation::Models);
        }
        let before = if self.vertex { "/publishers/google/models/" } else { "/v1beta/models/" };
        let (_, method_of) = path.split_once(before)?.1.rsplit_once(':').filter(|_| *method == Method::POST)?;
        match method_of {
            "generateContent" | "streamGenerateContent" => Some(Operation::Chat),
            "embedContent" | "batchEmbedContents" => Some(Operation::Embeddings),
            "predict" if self.vertex => Some(Operation::Embeddings),
            _ => None,
        }
    }

    fn model<'c>(&self, call: &Call<'c>) -> Option<Cow<'c, str>> {
        let (model, _) = call.path.rsplit_once("/models/")?.1.rsplit_once(':')?;
        Some(Cow::Owned(decoded(model)))
    }

    fn authenticate(&self, call: &Call<'_>) -> Result<(), Fault> {
        if self.vertex {
            return bearer(call.headers);
        }
        let in_query = call.query.split('&').find_map(|pair| pair.strip_prefix("key="));
        key(call.headers.get("x-goog-api-key").and_then(|value| value.to_str().ok()).or(in_query))
    }

    fn read(&self, call: &Call<'_>, model: &str) -> Result<Prompt, Fault> {
        let stream = call.path.ends_with(":streamGenerateContent");
        if stream && !call.query.split('&').any(|pair| pair == "alt=sse") {
            return Err(Fault::invalid("the mock streams with alt=sse only"));
        }
        request::read(call.body, model, stream, self.vertex)
    }

    fn document(&self, prompt: &Prompt, reply: &Reply) -> Value {
        let candidate = |index| {
            let parts: Vec<Value> = self.parts(prompt, reply, index).into_iter().flat_map(|part| part.whole).collect();
            candidate(index, &parts, Some(&reply.finish))
        };
        let candidates = (0..prompt.choices).map(candidate).collect();
        self.envelope(prompt, reply, candidates, reply.usage.as_ref())
    }

    /// Every chunk tells the usage so far; only the last tells all of it.
    fn events(&self, prompt: &Prompt, reply: &Reply) -> Vec<Event> {
        let mut events = Vec::new();
        let begun = reply.usage.map(|usage| Usage { output: 0, reasoning: 0, ..usage });
        let mut push = |candidates: Value, usage: Option<Usage>| {
            let chunk = self.envelope(prompt, reply, candidates, usage.as_ref());
            events.push(Event { bytes: data(&chunk), usage });
        };
        for index in 0..prompt.choices {
            let mut parts = Vec::new();
            for part in self.parts(prompt, reply, index) {
                parts.extend(part.streamed);
            }
            for part in parts {
                push(json!([candidate(index, &[part], None)]), begun);
            }
            let usage = if index + 1 == prompt.choices { reply.usage } else { begun };
            push(json!([candidate(index, &[json!({"text": ""})], Some(&reply.finish))]), usage);
        }
        events
    }

    fn embeddings(&self, call: &Call<'_>, model: &str) -> Result<(Value, Usage), Fault> {
        let method = call.path.rsplit_once(':').map_or("", |(_, method)| method);
        embeddings::answer(call.body, model, method, self.vertex)
    }

    fn models(&self) -> Value {
        let model = |id: &&str| {
            json!({"name": format!("models/{id}"), "version": "001", "displayName": id, "inputTokenLimit": 1_048_576,
                "outputTokenLimit": 65_536, "supportedGenerationMethods": ["generateContent", "countTokens"]})
        };
        json!({"models": MODELS.iter().map(model).collect::<Value>()})
    }

    fn error(&self, fault: &Fault, _id: &str) -> (u16, Value) {
        let (code, status, message, reason) = explain(fault, self.vertex);
        let mut error = json!({"code": code, "message": message, "status": status});
        if let Some(reason) = reason {
            let domain = "googleapis.com";
            let kind = "type.googleapis.com/google.rpc.ErrorInfo";
            error.put("details", json!([{"@type": kind, "reason": reason, "domain": domain}]));
        }
        (code, json!({ "error": error }))
    }

    fn error_event(&self, fault: &Fault, id: &str) -> Bytes {
        data(&self.error(fault, id).1)
    }

    fn headers(&self, id: &str, _spent: Option<u64>, _now: u64) -> Vec<(&'static str, String)> {
        vec![("x-vertex-ai-request-id", id.to_owned()), ("server-timing", "gfet4t7; dur=12".to_owned())]
    }

    fn request_id(&self, seed: u64) -> String {
        letters(nth(seed, REQUEST), 22, BASE62)
    }
}

/// A part, whole and as it is streamed.
struct Part {
    whole: Vec<Value>,
    streamed: Vec<Value>,
}

impl Gemini {
    /// Thoughts, then text or calls. The signature is on the first call, or at the end of the text, alone where it is
    /// streamed.
    fn parts(&self, prompt: &Prompt, reply: &Reply, index: usize) -> Vec<Part> {
        let mut parts = Vec::new();
        if let Some(Thinking::Open(pieces)) = &reply.thinking {
            let thought = |text: &str| json!({"text": text, "thought": true});
            parts.push(Part {
                whole: vec![thought(&pieces.concat())],
                streamed: pieces.iter().map(|piece| thought(piece)).collect(),
            });
        }
        let signs = reply.thinking.is_some() || request::is_third(&prompt.model);
        let signature = signs.then(|| sealed(SIGNATURE, nth(reply.seed, index as u64)));
        if !reply.text.is_empty() {
            let mark = (index > 0 && prompt.format.is_none()).then(|| format!("[{index}] "));
            let text = mark.iter().chain(&reply.text).map(String::as_str);
            let mut whole = json!({"text": text.clone().collect::<String>()});
            let mut streamed: Vec<Value> = text.map(|piece| json!({ "text": piece })).collect();
            if let Some(signature) = &signature {
                whole.put("thoughtSignature", signature.as_str());
                streamed.push(json!({"text": "", "thoughtSignature": signature}));
            }
            parts.push(Part { whole: vec![whole], streamed });
        }
        for (n, call) in reply.calls.iter().enumerate() {
            let mut part = json!({"functionCall": self.call(prompt, reply, n, call)});
            if let (0, Some(signature)) = (n, &signature) {
                part.put("thoughtSignature", signature.as_str());
            }
            parts.push(Part { whole: vec![part.clone()], streamed: vec![part] });
        }
        parts
    }

    fn call(&self, prompt: &Prompt, reply: &Reply, n: usize, call: &model::Call) -> Value {
        let arguments = call.arguments.concat();
        let mut function = json!({"name": call.name, "args": serde_json::from_str(&arguments).unwrap_or(json!({}))});
        if !self.vertex && request::is_third(&prompt.model) {
            function.put("id", letters(nth(reply.seed, n as u64), 8, b"abcdefghijklmnopqrstuvwxyz0123456789"));
        }
        function
    }

    fn envelope(&self, prompt: &Prompt, reply: &Reply, candidates: Value, usage: Option<&Usage>) -> Value {
        let mut body = json!({"candidates": candidates});
        if let Some(usage) = usage {
            body.put("usageMetadata", usage_json(usage));
        }
        body.put("modelVersion", prompt.model.as_str());
        if self.vertex {
            body.put("createTime", super::clock::rfc3339(reply.created));
        }
        body.put("responseId", letters(reply.seed, 23, BASE62));
        body
    }
}

fn candidate(index: usize, parts: &[Value], finish: Option<&Finish>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": index});
    if let Some(finish) = finish {
        candidate.put("finishReason", finish_reason(finish));
    }
    candidate
}

/// Lines end as Google ends them.
fn data(document: &Value) -> Bytes {
    format!("data: {document}\r\n\r\n").into()
}

fn finish_reason(finish: &Finish) -> &str {
    match finish {
        // There is no word of its own for calls.
        Finish::Stop | Finish::Sequence(_) | Finish::Tools => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Native(reason) => reason,
    }
}

/// Thoughts are beside the candidates' tokens, cached ones among the prompt's.
fn usage_json(usage: &Usage) -> Value {
    let mut told = json!({"promptTokenCount": usage.input});
    if usage.output > usage.reasoning {
        told.put("candidatesTokenCount", usage.output - usage.reasoning);
    }
    told.put("totalTokenCount", usage.input + usage.output);
    if usage.cached > 0 {
        told.put("cachedContentTokenCount", usage.cached);
    }
    told.put("promptTokensDetails", json!([{"modality": "TEXT", "tokenCount": usage.input}]));
    if usage.reasoning > 0 {
        told.put("thoughtsTokenCount", usage.reasoning);
    }
    told
}

type Explained = (u16, &'static str, String, Option<&'static str>);

/// Code, status, message and reason.
fn explain(fault: &Fault, vertex: bool) -> Explained {
    let told = |code, status, message: &str, reason| (code, status, message.to_owned(), reason);
    let invalid = |message: &str| told(400, "INVALID_ARGUMENT", message, None);
    match fault {
        Fault::Invalid { message, .. } => invalid(message),
        Fault::NoKey | Fault::BadKey(_) | Fault::Status(401) if vertex => told(
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid \
             authentication credential.",
            Some("ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        ),
        Fault::NoKey => told(
            403,
            "PERMISSION_DENIED",
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other \
             form of API consumer identity to call this API.",
            None,
        ),
        Fault::BadKey(_) => {
            told(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", Some("API_KEY_INVALID"))
        }
        Fault::NoPath { .. } => told(404, "NOT_FOUND", "Requested entity was not found.", None),
        Fault::TooLarge => {
            told(413, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes.", None)
        }
        Fault::Refused(Refusal::Context) => {
            invalid("The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).")
        }
        // A prompt that is refused gets an answer without candidates; as an error it is rare, and this one is.
        Fault::Refused(Refusal::Policy) => invalid("The prompt was blocked: it violates the content policy."),
        Fault::Refused(Refusal::Quota) => told(
            429,
            "RESOURCE_EXHAUSTED",
            "Your prepayment credits are depleted. Please go to AI Studio to manage your project and billing.",
            None,
        ),
        Fault::Status(status) => {
            let (name, message) = match status {
                401 => ("UNAUTHENTICATED", "API keys are not supported by this API."),
                403 => ("PERMISSION_DENIED", "The caller does not have permission"),
                404 => (
                    "NOT_FOUND",
                    "models/mock is not found for API version v1beta, or is not supported for generateContent.",
                ),
                429 => ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
                503 | 529 => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
                504 => ("DEADLINE_EXCEEDED", "The request timed out. Please try again."),
                400..500 => ("INVALID_ARGUMENT", "Request contains an invalid argument."),
                _ => {
                    ("INTERNAL", "An internal error has occurred. Please retry or report in the troubleshooting guide.")
                }
            };
            // An overload inside of a stream is the provider's own 503.
            told(if *status == 529 { 503 } else { *status }, name, message, None)
        }
    }
}

const MODELS: &[&str] = &["gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-flash-preview"];

/// What a signature begins with.
const SIGNATURE: &str = "CiQB";

/// Far from the calls of an answer, whose ids are made from the same seed.
const REQUEST: u64 = 1 << 32;

#[cfg(test)]
mod tests;
