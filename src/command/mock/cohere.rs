//! Cohere's Chat API and embeddings, version 2.
//!
//! <https://docs.cohere.com/reference/chat>, <https://docs.cohere.com/reference/embed>

pub mod embed;
mod request;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use super::dialect::{Call, Dialect, Event, Fault, Operation, bearer};
use super::directives::Refusal;
use super::json::At;
use super::model::{self, Finish, Prompt, Reply, Thinking, Usage};
use super::random::{BASE62, letters, nth};

/// The dialect.
pub struct Cohere;

impl Dialect for Cohere {
    fn name(&self) -> &'static str {
        "cohere"
    }

    fn operation(&self, method: &Method, path: &str) -> Option<Operation> {
        match *method {
            Method::POST if path.ends_with("/v2/chat") => Some(Operation::Chat),
            Method::POST if path.ends_with("/v2/embed") => Some(Operation::Embeddings),
            _ => None,
        }
    }

    fn authenticate(&self, call: &Call<'_>) -> Result<(), Fault> {
        bearer(call.headers)
    }

    fn read(&self, call: &Call<'_>, model: &str) -> Result<Prompt, Fault> {
        request::read(call.body, model)
    }

    fn document(&self, _prompt: &Prompt, reply: &Reply) -> Value {
        let mut message = json!({"role": "assistant"});
        let mut content = Vec::new();
        match thought(reply) {
            Some((true, pieces)) => message.put("tool_plan", pieces.concat()),
            Some((false, pieces)) => content.push(json!({"type": "thinking", "thinking": pieces.concat()})),
            None => {}
        }
        if !reply.text.is_empty() {
            content.push(json!({"type": "text", "text": reply.text.concat()}));
        }
        if !content.is_empty() {
            message.put("content", content);
        }
        if !reply.calls.is_empty() {
            let call = |(n, call): (usize, &model::Call)| tool_call(reply, n, call, &call.arguments.concat());
            message.put("tool_calls", reply.calls.iter().enumerate().map(call).collect::<Value>());
        }
        let mut document =
            json!({"id": id(reply.seed), "message": message, "finish_reason": finish_reason(&reply.finish)});
        if let Some(usage) = &reply.usage {
            document.put("usage", usage_json(usage));
        }
        document
    }

    fn events(&self, _prompt: &Prompt, reply: &Reply) -> Vec<Event> {
        let mut events = Vec::new();
        let mut push = |data: Value, usage: Option<Usage>| events.push(Event { bytes: event(&data), usage });
        let message = json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
        push(json!({"id": id(reply.seed), "type": "message-start", "delta": {"message": message}}), None);
        let mut blocks: Vec<(&str, &[String])> = Vec::new();
        match thought(reply) {
            Some((true, pieces)) => {
                for piece in pieces {
                    push(json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}}), None);
                }
            }
            Some((false, pieces)) => blocks.push(("thinking", pieces)),
            None => {}
        }
        if !reply.text.is_empty() {
            blocks.push(("text", &reply.text));
        }
        for (index, (kind, pieces)) in blocks.into_iter().enumerate() {
            let mut push = |step: &str, content: Value| {
                let delta = json!({"message": {"content": content}});
                push(json!({"type": format!("content-{step}"), "index": index, "delta": delta}), None);
            };
            push("start", json!({"type": kind, (kind): ""}));
            pieces.iter().for_each(|piece| push("delta", json!({(kind): piece})));
            push("end", json!({}));
        }
        for (index, call) in reply.calls.iter().enumerate() {
            let mut push = |step: &str, call: Value| {
                let delta = json!({"message": {"tool_calls": call}});
                push(json!({"type": format!("tool-call-{step}"), "index": index, "delta": delta}), None);
            };
            push("start", tool_call(reply, index, call, ""));
            call.arguments.iter().for_each(|part| push("delta", json!({"function": {"arguments": part}})));
            push("end", json!({}));
        }
        let mut end = json!({"finish_reason": finish_reason(&reply.finish)});
        if let Some(usage) = &reply.usage {
            end.put("usage", usage_json(usage));
        }
        push(json!({"type": "message-end", "delta": end}), reply.usage.map(|usage| self.told(usage)));
        events.push(Event { bytes: Bytes::from_static(b"data: [DONE]\n\n"), usage: None });
        events
    }

    fn embeddings(&self, call: &Call<'_>, model: &str) -> Result<(Value, Usage), Fault> {
        embed::answer(call.body, model)
    }

    fn told(&self, usage: Usage) -> Usage {
        Usage { cache_write: 0, ..usage }
    }

    fn models(&self) -> Value {
        json!({"models": []})
    }

    fn error(&self, fault: &Fault, id: &str) -> (u16, Value) {
        let (status, message) = explain(fault);
        (status, json!({"id": id, "message": message}))
    }

    /// The end of the message, with a reason that is none of the model's.
    fn error_event(&self, fault: &Fault, _id: &str) -> Bytes {
        let (_, message) = explain(fault);
        event(&json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": message}}))
    }

    fn keepalive(&self) -> &'static str {
        ": keep-alive\n\n"
    }

    fn headers(&self, id: &str, _spent: Option<u64>, _now: u64) -> Vec<(&'static str, String)> {
        vec![("x-debug-trace-id", id.to_owned()), ("x-endpoint-monthly-call-limit", "1000".to_owned())]
    }

    fn request_id(&self, seed: u64) -> String {
        id(nth(seed, REQUEST))
    }
}

/// What was thought, and whether it is the plan for the calls: only a model that was told to think has blocks for it.
fn thought(reply: &Reply) -> Option<(bool, &[String])> {
    match &reply.thinking {
        Some(Thinking::Open(pieces)) => Some((!reply.calls.is_empty(), pieces)),
        _ => None,
    }
}

fn tool_call(reply: &Reply, n: usize, call: &model::Call, arguments: &str) -> Value {
    let id = format!("{}_{}", call.name, letters(nth(reply.seed, n as u64), 12, BASE62));
    json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
}

fn event(data: &Value) -> Bytes {
    format!("event: {}\ndata: {data}\n\n", data.at("type").as_str().unwrap_or_default()).into()
}

fn id(seed: u64) -> String {
    let part = |n: u64, length| letters(nth(seed, n), length, b"0123456789abcdef");
    format!("{}-{}-{}-{}-{}", part(100, 8), part(101, 4), part(102, 4), part(103, 4), part(104, 12))
}

fn finish_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop => "COMPLETE",
        Finish::Sequence(_) => "STOP_SEQUENCE",
        Finish::Length => "MAX_TOKENS",
        Finish::Tools => "TOOL_CALL",
        Finish::Native(reason) => reason,
    }
}

/// What is billed leaves out what Cohere itself puts into the prompt; here it is nothing.
fn usage_json(usage: &Usage) -> Value {
    let mut tokens = json!({"input_tokens": usage.input, "output_tokens": usage.output});
    if usage.reasoning > 0 {
        tokens.put("reasoning_tokens", usage.reasoning);
    }
    let billed = json!({"input_tokens": usage.input, "output_tokens": usage.output});
    json!({"billed_units": billed, "tokens": tokens, "cached_tokens": usage.cached})
}

/// Status and message.
fn explain(fault: &Fault) -> (u16, String) {
    let told = |status, message: &str| (status, message.to_owned());
    match fault {
        Fault::Invalid { message, code: Some("unknown_field"), .. } => told(422, message),
        Fault::Invalid { message, .. } => told(400, message),
        Fault::NoKey => told(401, "no api key supplied"),
        Fault::BadKey(_) => told(401, "invalid api token"),
        Fault::NoPath { path, .. } => (404, format!("invalid endpoint {path}")),
        Fault::TooLarge => told(413, "payload too large"),
        Fault::Refused(Refusal::Context) => told(
            400,
            "too many tokens: size limit exceeded by 11326 tokens. Try using shorter or fewer inputs, or setting \
                prompt_truncation='AUTO'.",
        ),
        Fault::Refused(Refusal::Policy) => told(400, "invalid request: the request was blocked by the content policy"),
        Fault::Refused(Refusal::Quota) => told(
            429,
            "You are using a Trial key, which is limited to 1000 API calls / month. You can continue to use the \
                Trial key for free or upgrade to a Production key.",
        ),
        Fault::Status(status) => {
            let message = match status {
                401 => "invalid api token",
                402 => "Please add or update your payment method at the dashboard to continue",
                404 => {
                    "model 'mock' not found, make sure the correct model ID was used and that you have access to \
                        the model."
                }
                429 => "You are using a Trial key, which is limited to 40 API calls / minute.",
                498 => "invalid token",
                499 => "request cancelled",
                503 | 529 => "the service is overloaded, try again later",
                504 => "the request timed out",
                400..500 => "invalid request: the request was refused",
                _ => "internal server error, this has been reported to our developers",
            };
            told(if *status == 529 { 503 } else { *status }, message)
        }
    }
}

/// Far from the calls of an answer, whose ids are made from the same seed.
const REQUEST: u64 = 1 << 32;

#[cfg(test)]
mod tests;
