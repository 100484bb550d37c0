//! Ollama's own chat and embeddings.
//!
//! <https://docs.ollama.com/api/chat>, <https://docs.ollama.com/api/embed>. The real one passes over what it does not know in
//! silence; here it is refused, since nobody wants it lost.

mod request;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use super::clock::rfc3339;
use super::dialect::{Call, Dialect, Event, Fault, Operation};
use super::directives::Refusal;
use super::json::At;
use super::model::{self, Finish, Prompt, Reply, Thinking, Usage};
use super::random::{BASE62, letters, nth};

/// The dialect.
pub struct Ollama;

impl Dialect for Ollama {
    fn name(&self) -> &'static str {
        "ollama"
    }

    fn operation(&self, method: &Method, path: &str) -> Option<Operation> {
        match *method {
            Method::POST if path.ends_with("/api/chat") => Some(Operation::Chat),
            Method::POST if path.ends_with("/api/embed") => Some(Operation::Embeddings),
            Method::GET if path.ends_with("/api/tags") => Some(Operation::Models),
            _ => None,
        }
    }

    /// A server of one's own asks for nothing.
    fn authenticate(&self, call: &Call<'_>) -> Result<(), Fault> {
        let is_bad = call.headers.get("authorization").is_some_and(|value| value == "Bearer bad-key");
        if is_bad { Err(Fault::BadKey("bad-key".to_owned())) } else { Ok(()) }
    }

    fn read(&self, call: &Call<'_>, model: &str) -> Result<Prompt, Fault> {
        request::read(call.body, model)
    }

    fn document(&self, prompt: &Prompt, reply: &Reply) -> Value {
        let mut message = json!({"role": "assistant", "content": reply.text.concat()});
        if let Some(Thinking::Open(pieces)) = &reply.thinking {
            message.put("thinking", pieces.concat());
        }
        if !reply.calls.is_empty() {
            let calls = reply.calls.iter().enumerate().map(|(n, call)| tool_call(reply, n, call));
            message.put("tool_calls", calls.collect::<Value>());
        }
        self.last(prompt, reply, message)
    }

    /// Calls come whole, each in a line of its own.
    fn events(&self, prompt: &Prompt, reply: &Reply) -> Vec<Event> {
        let mut messages = Vec::new();
        if let Some(Thinking::Open(pieces)) = &reply.thinking {
            messages.extend(pieces.iter().map(|piece| json!({"content": "", "thinking": piece})));
        }
        messages.extend(reply.text.iter().map(|piece| json!({ "content": piece })));
        let calls = reply.calls.iter().enumerate();
        messages.extend(calls.map(|(n, call)| json!({"content": "", "tool_calls": [tool_call(reply, n, call)]})));
        let line = |mut message: Value| {
            message.put("role", "assistant");
            let mut line = envelope(prompt, reply);
            line.put("message", message);
            line.put("done", false);
            Event { bytes: format!("{line}\n").into(), usage: None }
        };
        let mut events: Vec<Event> = messages.into_iter().map(line).collect();
        let last = self.last(prompt, reply, json!({"role": "assistant", "content": ""}));
        events.push(Event { bytes: format!("{last}\n").into(), usage: reply.usage.map(|usage| self.told(usage)) });
        events
    }

    fn stream_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn embeddings(&self, call: &Call<'_>, model: &str) -> Result<(Value, Usage), Fault> {
        request::embeddings(call.body, model)
    }

    /// Only two counts.
    fn told(&self, usage: Usage) -> Usage {
        Usage { input: usage.input, output: usage.output, ..Usage::default() }
    }

    fn models(&self) -> Value {
        json!({"models": [{"name": "llama3.2:latest", "model": "llama3.2:latest"}]})
    }

    fn error(&self, fault: &Fault, _id: &str) -> (u16, Value) {
        let (status, message) = explain(fault);
        (status, json!({ "error": message }))
    }

    fn error_event(&self, fault: &Fault, id: &str) -> Bytes {
        format!("{}\n", self.error(fault, id).1).into()
    }

    fn headers(&self, _id: &str, _spent: Option<u64>, _now: u64) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn request_id(&self, seed: u64) -> String {
        letters(seed, 16, BASE62)
    }
}

impl Ollama {
    /// The whole answer, or the last line of a stream.
    fn last(&self, prompt: &Prompt, reply: &Reply, message: Value) -> Value {
        let mut last = envelope(prompt, reply);
        last.put("message", message);
        last.put("done", true);
        last.put("done_reason", done_reason(&reply.finish));
        last.put("total_duration", 12_000_000);
        last.put("load_duration", 1_000_000);
        if let Some(usage) = &reply.usage {
            last.put("prompt_eval_count", usage.input);
            last.put("prompt_eval_duration", 2_000_000);
            last.put("eval_count", usage.output);
            last.put("eval_duration", 9_000_000);
        }
        last
    }
}

/// The moment's fraction is all that tells one answer from another.
fn envelope(prompt: &Prompt, reply: &Reply) -> Value {
    let created = rfc3339(reply.created);
    let created = format!("{}.{:09}Z", created.trim_end_matches('Z'), reply.seed % 1_000_000_000);
    json!({"model": prompt.model, "created_at": created})
}

fn tool_call(reply: &Reply, n: usize, call: &model::Call) -> Value {
    let arguments: Value = serde_json::from_str(&call.arguments.concat()).unwrap_or(json!({}));
    let id = format!("call_{}", letters(nth(reply.seed, n as u64), 8, b"abcdefghijklmnopqrstuvwxyz0123456789"));
    json!({"id": id, "function": {"index": n, "name": call.name, "arguments": arguments}})
}

fn done_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop | Finish::Sequence(_) | Finish::Tools => "stop",
        Finish::Length => "length",
        Finish::Native(reason) => reason,
    }
}

/// Status and message.
fn explain(fault: &Fault) -> (u16, String) {
    let told = |status, message: &str| (status, message.to_owned());
    match fault {
        Fault::Invalid { message, .. } => told(400, message),
        Fault::NoKey | Fault::BadKey(_) => told(401, "unauthorized"),
        Fault::NoPath { .. } => told(404, "404 page not found"),
        Fault::TooLarge => told(413, "request body too large"),
        Fault::Refused(Refusal::Context) => told(400, "the input length exceeds the context length"),
        Fault::Refused(Refusal::Policy) => told(400, "the request was refused by the content policy"),
        Fault::Refused(Refusal::Quota) => {
            told(429, "you've reached your hourly usage limit, please upgrade to continue")
        }
        Fault::Status(status) => {
            let message = match status {
                401 => "unauthorized",
                404 => "model 'mock' not found",
                429 => "you've reached your hourly usage limit, please upgrade to continue",
                503 | 529 => "server busy, please try again.  maximum pending requests exceeded",
                400..500 => "the request was refused",
                _ => {
                    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal \
                        error"
                }
            };
            told(if *status == 529 { 503 } else { *status }, message)
        }
    }
}

#[cfg(test)]
mod tests;
