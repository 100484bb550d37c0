//! Amazon Bedrock's Converse and ConverseStream, and InvokeModel for embeddings.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>. A signature is not checked, but that
//! there is one, or a bearer token.

mod content;
mod embeddings;
mod request;

use std::borrow::Cow;

use bytes::Bytes;
use hyper::Method;
use model_gateway::frame::eventstream;
use serde_json::{Value, json};

use super::dialect::{Call, Dialect, Event, Fault, Operation, bearer, decoded};
use super::directives::Refusal;
use super::json::At;
use super::model::{Finish, Prompt, Reply, Thinking, Usage};
use super::random::{BASE62, BASE64, hash, letters, nth, sealed};

/// The dialect.
pub struct Bedrock;

impl Dialect for Bedrock {
    fn name(&self) -> &'static str {
        "bedrock"
    }

    fn operation(&self, method: &Method, path: &str) -> Option<Operation> {
        let (_, rest) = path.split_once("/model/").filter(|_| *method == Method::POST)?;
        match rest.split_once('/')?.1 {
            "converse" | "converse-stream" => Some(Operation::Chat),
            "invoke" => Some(Operation::Embeddings),
            _ => None,
        }
    }

    fn model<'c>(&self, call: &Call<'c>) -> Option<Cow<'c, str>> {
        let (model, _) = call.path.split_once("/model/")?.1.split_once('/')?;
        Some(Cow::Owned(decoded(model)))
    }

    fn authenticate(&self, call: &Call<'_>) -> Result<(), Fault> {
        let header = call.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if header.starts_with("AWS4-HMAC-SHA256 Credential=") && header.contains("Signature=") {
            return Ok(());
        }
        bearer(call.headers)
    }

    fn read(&self, call: &Call<'_>, model: &str) -> Result<Prompt, Fault> {
        request::read(call.body, model, call.path.ends_with("/converse-stream"))
    }

    fn document(&self, _prompt: &Prompt, reply: &Reply) -> Value {
        let content: Value = blocks(reply).into_iter().map(|block| block.whole).collect();
        let mut document = json!({
            "metrics": {"latencyMs": 12},
            "output": {"message": {"content": content, "role": "assistant"}},
            "stopReason": stop_reason(&reply.finish),
        });
        if let Some(usage) = &reply.usage {
            document.put("usage", usage_json(usage));
        }
        document
    }

    fn events(&self, _prompt: &Prompt, reply: &Reply) -> Vec<Event> {
        let mut events = Vec::new();
        let mut push = |name: &str, payload: Value, usage: Option<Usage>| {
            let bytes = frame(name, payload, nth(reply.seed, PADDING + events.len() as u64));
            events.push(Event { bytes, usage });
        };
        push("messageStart", json!({"role": "assistant"}), None);
        for (index, block) in blocks(reply).into_iter().enumerate() {
            if let Some(start) = block.start {
                push("contentBlockStart", json!({"contentBlockIndex": index, "start": start}), None);
            }
            for delta in block.deltas {
                push("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}), None);
            }
            push("contentBlockStop", json!({"contentBlockIndex": index}), None);
        }
        push("messageStop", json!({"stopReason": stop_reason(&reply.finish)}), None);
        let mut metadata = json!({"metrics": {"latencyMs": 12}});
        if let Some(usage) = &reply.usage {
            metadata.put("usage", usage_json(usage));
        }
        push("metadata", metadata, reply.usage.map(|usage| self.told(usage)));
        events
    }

    fn stream_type(&self) -> &'static str {
        "application/vnd.amazon.eventstream"
    }

    fn embeddings(&self, call: &Call<'_>, model: &str) -> Result<(Value, Usage), Fault> {
        embeddings::answer(call.body, model)
    }

    /// Reasoning is counted with the rest.
    fn told(&self, usage: Usage) -> Usage {
        Usage { reasoning: 0, ..usage }
    }

    fn models(&self) -> Value {
        json!({"modelSummaries": []})
    }

    fn error(&self, fault: &Fault, _id: &str) -> (u16, Value) {
        let (status, _, message) = explain(fault);
        (status, json!({ "message": message }))
    }

    /// An exception, in a frame of its own kind. A stream has fewer of them than there are statuses.
    fn error_event(&self, fault: &Fault, _id: &str) -> Bytes {
        let (_, name, message) = explain(fault);
        let name = match name {
            "ValidationException" => "validationException",
            "ThrottlingException" => "throttlingException",
            "ServiceUnavailableException" => "serviceUnavailableException",
            "ModelErrorException" => "modelStreamErrorException",
            _ => "internalServerException",
        };
        let headers =
            [(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")];
        let mut bytes = Vec::new();
        eventstream::write(&headers, json!({ "message": message }).to_string().as_bytes(), &mut bytes);
        bytes.into()
    }

    fn headers(&self, id: &str, _spent: Option<u64>, _now: u64) -> Vec<(&'static str, String)> {
        vec![("x-amzn-requestid", id.to_owned())]
    }

    fn error_headers(&self, fault: &Fault) -> Vec<(&'static str, String)> {
        let (_, name, _) = explain(fault);
        vec![("x-amzn-errortype", format!("{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"))]
    }

    fn request_id(&self, seed: u64) -> String {
        let part = |n: u64, length| letters(nth(seed, REQUEST + n), length, b"0123456789abcdef");
        format!("{}-{}-{}-{}-{}", part(0, 8), part(1, 4), part(2, 4), part(3, 4), part(4, 12))
    }
}

/// A content block, whole and as it is streamed.
struct Block {
    whole: Value,
    /// Only tools have one.
    start: Option<Value>,
    deltas: Vec<Value>,
}

fn blocks(reply: &Reply) -> Vec<Block> {
    let mut blocks = Vec::new();
    match &reply.thinking {
        Some(Thinking::Open(pieces)) => {
            let thought = pieces.concat();
            let signature = signature(&thought);
            let reasoning = |inner: Value| json!({"reasoningContent": inner});
            let mut deltas: Vec<Value> = pieces.iter().map(|piece| reasoning(json!({"text": piece}))).collect();
            deltas.push(reasoning(json!({"signature": signature})));
            let text = json!({"text": thought, "signature": signature});
            blocks.push(Block { whole: reasoning(json!({"reasoningText": text})), start: None, deltas });
        }
        Some(Thinking::Redacted) => {
            let block = json!({"reasoningContent": {"redactedContent": sealed(REDACTED, reply.seed)}});
            blocks.push(Block { whole: block.clone(), start: None, deltas: vec![block] });
        }
        None => {}
    }
    if !reply.text.is_empty() {
        blocks.push(Block {
            whole: json!({"text": reply.text.concat()}),
            start: None,
            deltas: reply.text.iter().map(|piece| json!({"text": piece})).collect(),
        });
    }
    for (n, call) in reply.calls.iter().enumerate() {
        let id = format!("tooluse_{}", letters(nth(reply.seed, n as u64), 22, BASE62));
        let arguments = call.arguments.concat();
        let input: Value = serde_json::from_str(&arguments).unwrap_or(json!({}));
        blocks.push(Block {
            whole: json!({"toolUse": {"toolUseId": id, "name": call.name, "input": input}}),
            start: Some(json!({"toolUse": {"toolUseId": id, "name": call.name}})),
            deltas: call.arguments.iter().map(|fragment| json!({"toolUse": {"input": fragment}})).collect(),
        });
    }
    blocks
}

/// An event; `p` is of a random length, against those who read the lengths of encrypted packets.
fn frame(name: &str, mut payload: Value, seed: u64) -> Bytes {
    payload.put("p", letters(seed, 1 + (seed % 24) as usize, BASE62));
    let headers = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    let mut bytes = Vec::new();
    eventstream::write(&headers, payload.to_string().as_bytes(), &mut bytes);
    bytes.into()
}

/// What a thought is signed with: made from it, so that the mock knows its own without a memory.
fn signature(thought: &str) -> String {
    format!("EqkB{}", letters(hash(thought), 92, BASE64))
}

fn stop_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Sequence(_) => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::Tools => "tool_use",
        Finish::Native(reason) => reason,
    }
}

/// Cached tokens are beside the input's, and among the total.
fn usage_json(usage: &Usage) -> Value {
    json!({
        "inputTokens": usage.input - usage.cached - usage.cache_write,
        "outputTokens": usage.output,
        "totalTokens": usage.input + usage.output,
        "cacheReadInputTokens": usage.cached,
        "cacheWriteInputTokens": usage.cache_write,
    })
}

/// Status, name and message.
fn explain(fault: &Fault) -> (u16, &'static str, String) {
    const INVALID: &str = "ValidationException";
    let told = |status, name, message: &str| (status, name, message.to_owned());
    match fault {
        Fault::Invalid { message, .. } => told(400, INVALID, message),
        Fault::NoKey => told(403, "MissingAuthenticationTokenException", "Missing Authentication Token"),
        Fault::BadKey(_) => {
            told(403, "AccessDeniedException", "Authentication failed: Please make sure your API Key is valid.")
        }
        Fault::NoPath { .. } => {
            told(404, "UnknownOperationException", "The requested operation is not recognized by the service.")
        }
        Fault::TooLarge => told(413, INVALID, "Request body exceeds the maximum size"),
        Fault::Refused(Refusal::Context) => told(400, INVALID, "Input is too long for requested model."),
        Fault::Refused(Refusal::Policy) => told(400, INVALID, "Output blocked by content filtering policy"),
        Fault::Refused(Refusal::Quota) => {
            told(400, "ServiceQuotaExceededException", "Your request exceeds the service quota for your account.")
        }
        Fault::Status(status) => {
            let (name, message) = match status {
                401 => ("UnrecognizedClientException", "The security token included in the request is invalid."),
                403 => ("AccessDeniedException", "You don't have access to the model with the specified model ID."),
                404 => (
                    "ResourceNotFoundException",
                    "Could not resolve the foundation model from the provided model identifier.",
                ),
                408 => ("ModelTimeoutException", "The model took too long to respond."),
                424 => (
                    "ModelErrorException",
                    "The system encountered an unexpected error during processing. Try your request again.",
                ),
                429 => ("ThrottlingException", "Too many requests, please wait before trying again."),
                503 | 529 => ("ServiceUnavailableException", "Bedrock is unable to process your request."),
                400..500 => (INVALID, "The request was refused."),
                _ => (
                    "InternalServerException",
                    "The system encountered an unexpected error during processing. Try your request again.",
                ),
            };
            (if *status == 529 { 503 } else { *status }, name, message.to_owned())
        }
    }
}

/// What redacted thoughts begin with.
const REDACTED: &str = "Eroe";

/// Far from the calls of an answer, whose ids are made from the same seed.
const REQUEST: u64 = 1 << 32;
const PADDING: u64 = 2 << 32;

#[cfg(test)]
mod tests;
