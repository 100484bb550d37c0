//! Anthropic's messages, at Anthropic and on Vertex AI.
//!
//! <https://docs.claude.com/en/api/messages>, <https://docs.claude.com/en/api/claude-on-vertex-ai>

mod content;
mod request;

use std::borrow::Cow;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use super::clock::rfc3339;
use super::dialect::{Call, Dialect, Event, Fault, Operation, bearer, decoded, key};
use super::directives::Refusal;
use super::json::At;
use super::model::{self, Finish, Prompt, Reply, Thinking, Usage};
use super::random::{BASE62, BASE64, hash, is_sealed, letters, mix, nth, sealed};

/// The dialect.
pub struct Anthropic {
    vertex: bool,
}

impl Anthropic {
    /// Anthropic's own.
    pub const OWN: Self = Self { vertex: false };
    /// Vertex AI's: a token, the model in the path, the version in the body.
    pub const VERTEX: Self = Self { vertex: true };
}

impl Dialect for Anthropic {
    fn name(&self) -> &'static str {
        if self.vertex { "vertex-anthropic" } else { "anthropic" }
    }

    fn operation(&self, method: &Method, path: &str) -> Option<Operation> {
        let ours = if self.vertex {
            path.contains(PUBLISHER) && (path.ends_with(":rawPredict") || path.ends_with(":streamRawPredict"))
        } else {
            path.ends_with("/v1/messages")
        };
        (*method == Method::POST && ours).then_some(Operation::Chat)
    }

    fn model<'c>(&self, call: &Call<'c>) -> Option<Cow<'c, str>> {
        if !self.vertex {
            return call.body.at("model").as_str().map(Cow::Borrowed);
        }
        let (model, _) = call.path.split_once(PUBLISHER)?.1.rsplit_once(':')?;
        Some(Cow::Owned(decoded(model)))
    }

    fn authenticate(&self, call: &Call<'_>) -> Result<(), Fault> {
        if self.vertex {
            return bearer(call.headers);
        }
        key(call.headers.get("x-api-key").and_then(|value| value.to_str().ok()))
    }

    fn read(&self, call: &Call<'_>, model: &str) -> Result<Prompt, Fault> {
        if self.vertex {
            return on_vertex(call, model);
        }
        if !call.headers.contains_key("anthropic-version") {
            return Err(Fault::invalid("anthropic-version: header is required"));
        }
        request::read(call.body, model, call.headers.contains_key("anthropic-beta"))
    }

    fn document(&self, prompt: &Prompt, reply: &Reply) -> Value {
        let mut message = envelope(prompt, reply);
        message.put("content", blocks(reply).into_iter().map(|block| block.whole).collect::<Value>());
        message.put("stop_reason", stop_reason(&reply.finish));
        message.put("stop_sequence", stop_sequence(&reply.finish));
        if let Some(usage) = &reply.usage {
            message.put("usage", usage_json(usage));
        }
        message
    }

    fn events(&self, prompt: &Prompt, reply: &Reply) -> Vec<Event> {
        let mut events = Vec::new();
        let mut push = |data: Value, usage: Option<Usage>| {
            let bytes = event(&data, events.len() as u64);
            events.push(Event { bytes, usage });
        };

        let mut message = envelope(prompt, reply);
        let begun = reply.usage.map(|usage| Usage { output: 1, reasoning: 0, ..usage });
        if let Some(usage) = &begun {
            message.put("usage", usage_json(usage));
        }
        push(json!({"type": "message_start", "message": message}), begun);
        for (index, block) in blocks(reply).into_iter().enumerate() {
            push(json!({"type": "content_block_start", "index": index, "content_block": block.start}), None);
            if index == 0 {
                push(json!({"type": "ping"}), None);
            }
            for delta in block.deltas {
                push(json!({"type": "content_block_delta", "index": index, "delta": delta}), None);
            }
            push(json!({"type": "content_block_stop", "index": index}), None);
        }
        let delta = json!({"stop_reason": stop_reason(&reply.finish), "stop_sequence": stop_sequence(&reply.finish)});
        let mut last = json!({"type": "message_delta", "delta": delta});
        if let Some(usage) = &reply.usage {
            last.put("usage", cumulative(usage));
        }
        push(last, reply.usage);
        push(json!({"type": "message_stop"}), None);
        events
    }

    fn models(&self) -> Value {
        json!({"data": [], "has_more": false, "first_id": null, "last_id": null})
    }

    fn error(&self, fault: &Fault, id: &str) -> (u16, Value) {
        let (status, kind, message) = explain(fault);
        (status, json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": id}))
    }

    fn error_event(&self, fault: &Fault, id: &str) -> Bytes {
        event(&self.error(fault, id).1, 0)
    }

    fn keepalive(&self) -> &'static str {
        "event: ping\ndata: {\"type\": \"ping\"}\n\n"
    }

    fn headers(&self, id: &str, spent: Option<u64>, now: u64) -> Vec<(&'static str, String)> {
        let mut headers = vec![("request-id", id.to_owned()), ("anthropic-organization-id", "mock".to_owned())];
        for (limit, remaining, reset, most, left) in [
            (
                "anthropic-ratelimit-requests-limit",
                "anthropic-ratelimit-requests-remaining",
                "anthropic-ratelimit-requests-reset",
                "4000",
                "3999",
            ),
            (
                "anthropic-ratelimit-tokens-limit",
                "anthropic-ratelimit-tokens-remaining",
                "anthropic-ratelimit-tokens-reset",
                "4800000",
                "4799000",
            ),
            (
                "anthropic-ratelimit-input-tokens-limit",
                "anthropic-ratelimit-input-tokens-remaining",
                "anthropic-ratelimit-input-tokens-reset",
                "4000000",
                "3999000",
            ),
            (
                "anthropic-ratelimit-output-tokens-limit",
                "anthropic-ratelimit-output-tokens-remaining",
                "anthropic-ratelimit-output-tokens-reset",
                "800000",
                "799000",
            ),
        ] {
            headers.push((limit, most.to_owned()));
            headers.push((remaining, if spent.is_some() { "0" } else { left }.to_owned()));
            headers.push((reset, rfc3339(now + spent.unwrap_or(1))));
        }
        headers
    }

    fn request_id(&self, seed: u64) -> String {
        format!("req_01{}", letters(nth(seed, REQUEST), 22, BASE62))
    }
}

/// A request to Vertex AI is one to Anthropic with a version in place of the model, and streams if both path and body say so.
fn on_vertex(call: &Call<'_>, model: &str) -> Result<Prompt, Fault> {
    let mut body = call.body.clone();
    let version = body.as_object_mut().and_then(|body| body.shift_remove("anthropic_version"));
    if version.is_none_or(|version| version != "vertex-2023-10-16") {
        return Err(Fault::invalid("anthropic_version: Field required"));
    }
    if !body.at("model").is_null() {
        return Err(Fault::invalid("model: Extra inputs are not permitted"));
    }
    if call.path.ends_with(":streamRawPredict") != (body.at("stream") == true) {
        return Err(Fault::invalid("stream: the method and the body do not agree"));
    }
    body.put("model", model);
    request::read(&body, model, call.headers.contains_key("anthropic-beta"))
}

const PUBLISHER: &str = "/publishers/anthropic/models/";

/// A content block, whole and as it is streamed.
struct Block {
    whole: Value,
    start: Value,
    deltas: Vec<Value>,
}

fn blocks(reply: &Reply) -> Vec<Block> {
    let mut blocks = Vec::new();
    match &reply.thinking {
        Some(Thinking::Open(pieces)) => {
            let thought = pieces.concat();
            let mut deltas: Vec<Value> =
                pieces.iter().map(|piece| json!({"type": "thinking_delta", "thinking": piece})).collect();
            deltas.push(json!({"type": "signature_delta", "signature": signature(&thought)}));
            blocks.push(Block {
                whole: json!({"type": "thinking", "thinking": thought, "signature": signature(&thought)}),
                start: json!({"type": "thinking", "thinking": "", "signature": ""}),
                deltas,
            });
        }
        Some(Thinking::Redacted) => {
            let block = json!({"type": "redacted_thinking", "data": redacted(reply.seed)});
            blocks.push(Block { whole: block.clone(), start: block, deltas: Vec::new() });
        }
        None => {}
    }
    if !reply.text.is_empty() {
        blocks.push(Block {
            whole: json!({"type": "text", "text": reply.text.concat()}),
            start: json!({"type": "text", "text": ""}),
            deltas: reply.text.iter().map(|piece| json!({"type": "text_delta", "text": piece})).collect(),
        });
    }
    for (n, call) in reply.calls.iter().enumerate() {
        let id = format!("toolu_01{}", letters(nth(reply.seed, n as u64), 22, BASE62));
        blocks.push(tool_use(&id, call));
    }
    blocks
}

fn tool_use(id: &str, call: &model::Call) -> Block {
    let arguments = call.arguments.concat();
    let block = |input: Value| json!({"type": "tool_use", "id": id, "name": call.name, "input": input});
    let delta = |json: &str| json!({"type": "input_json_delta", "partial_json": json});
    let mut deltas = vec![delta("")];
    // A tool without arguments gets the empty fragment alone.
    if arguments != "{}" {
        deltas.extend(call.arguments.iter().map(|fragment| delta(fragment)));
    }
    Block { whole: block(serde_json::from_str(&arguments).unwrap_or(json!({}))), start: block(json!({})), deltas }
}

fn envelope(prompt: &Prompt, reply: &Reply) -> Value {
    json!({
        "model": prompt.model,
        "id": format!("msg_01{}", letters(reply.seed, 22, BASE62)),
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "stop_details": null,
    })
}

/// Real events end in blanks of a random number, against those who read the lengths of encrypted packets.
fn event(data: &Value, n: u64) -> Bytes {
    let json = data.to_string();
    let open = json.strip_suffix('}').unwrap_or(&json);
    let padding = " ".repeat((mix(n) % 16) as usize);
    format!("event: {}\ndata: {open}{padding}}}\n\n", data.at("type").as_str().unwrap_or_default()).into()
}

/// What a thinking block is signed with: made from the thought, so that the mock knows its own without a memory.
fn signature(thought: &str) -> String {
    format!("EqoB{}", letters(hash(thought), 92, BASE64))
}

/// What stands in a redacted thinking block, and signs itself.
fn redacted(seed: u64) -> String {
    sealed("Eroe", seed)
}

fn is_redacted(data: &str) -> bool {
    is_sealed("Eroe", data)
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

fn stop_sequence(finish: &Finish) -> Value {
    if let Finish::Sequence(sequence) = finish { sequence.as_str().into() } else { Value::Null }
}

fn usage_json(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input - usage.cached - usage.cache_write,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_write, "ephemeral_1h_input_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        "service_tier": "standard",
        "inference_geo": "not_available",
    })
}

/// The last word of a stream on usage. It repeats the counts of the first: they are not to be added up.
fn cumulative(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input - usage.cached - usage.cache_write,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    })
}

/// Status, type and message.
fn explain(fault: &Fault) -> (u16, &'static str, String) {
    const INVALID: &str = "invalid_request_error";
    match fault {
        Fault::Invalid { message, .. } => (400, INVALID, message.clone()),
        Fault::NoKey => (401, "authentication_error", "x-api-key header is required".to_owned()),
        Fault::BadKey(_) => (401, "authentication_error", "invalid x-api-key".to_owned()),
        Fault::NoPath { .. } => (404, "not_found_error", "Not Found".to_owned()),
        Fault::TooLarge => (413, "request_too_large", "Request exceeds the maximum size".to_owned()),
        Fault::Refused(Refusal::Context) => {
            (400, INVALID, "prompt is too long: 208310 tokens > 200000 maximum".to_owned())
        }
        Fault::Refused(Refusal::Policy) => (400, INVALID, "Output blocked by content filtering policy".to_owned()),
        Fault::Refused(Refusal::Quota) => (
            400,
            INVALID,
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase \
             credits."
                .to_owned(),
        ),
        Fault::Status(status) => {
            let (kind, message) = match status {
                401 => ("authentication_error", "invalid x-api-key"),
                402 => ("billing_error", "There is an issue with your billing or payment information."),
                403 => ("permission_error", "Your API key does not have permission to use the specified resource."),
                404 => ("not_found_error", "model: mock"),
                413 => ("request_too_large", "Request exceeds the maximum size"),
                429 => (
                    "rate_limit_error",
                    "This request would exceed your organization's rate limit of 4,000 requests per minute.",
                ),
                504 => ("timeout_error", "Request timed out"),
                529 => ("overloaded_error", "Overloaded"),
                400..500 => (INVALID, "The request was refused."),
                _ => ("api_error", "Internal server error"),
            };
            (*status, kind, message.to_owned())
        }
    }
}

/// Far from the tools of a message, whose ids are made from the same seed.
const REQUEST: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::directives::Directives;

    fn answer(more: Value, directives: &str) -> (Value, Vec<Value>) {
        let mut body = json!({"model": "c", "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut read = Directives::default();
        read.merge(directives).unwrap();
        let prompt = request::read(&body, "claude-sonnet-4-5", false).unwrap();
        let reply = model::reply(&prompt, &read, 7, 1_700_000_000);
        let data = |event: &Event| {
            let (kind, data) = str::from_utf8(&event.bytes).unwrap().split_once("\ndata: ").unwrap();
            let data: Value = serde_json::from_str(data.trim_end()).unwrap();
            assert_eq!(kind, format!("event: {}", data["type"].as_str().unwrap()));
            data
        };
        (Anthropic::OWN.document(&prompt, &reply), Anthropic::OWN.events(&prompt, &reply).iter().map(data).collect())
    }

    /// The message that a client makes of a stream.
    fn assembled(events: &[Value]) -> Value {
        let mut message = events[0]["message"].clone();
        let mut json = String::new();
        for event in events {
            let blocks = message["content"].as_array_mut().unwrap();
            match event["type"].as_str().unwrap() {
                "content_block_start" => blocks.push(event["content_block"].clone()),
                "content_block_delta" => {
                    let block = blocks.last_mut().unwrap();
                    for (kind, key, field) in [
                        ("text_delta", "text", "text"),
                        ("thinking_delta", "thinking", "thinking"),
                        ("signature_delta", "signature", "signature"),
                    ] {
                        if event["delta"]["type"] == kind {
                            let so_far =
                                format!("{}{}", block[field].as_str().unwrap(), event["delta"][key].as_str().unwrap());
                            block[field] = so_far.into();
                        }
                    }
                    json += event["delta"]["partial_json"].as_str().unwrap_or_default();
                }
                "content_block_stop" if !json.is_empty() => {
                    blocks.last_mut().unwrap()["input"] = serde_json::from_str(&json).unwrap();
                    json.clear();
                }
                "message_delta" => {
                    message["stop_reason"] = event["delta"]["stop_reason"].clone();
                    message["usage"] = event["usage"].clone();
                }
                _ => {}
            }
        }
        message
    }

    #[track_caller]
    fn check(more: Value, directives: &str, content: Value, stop_reason: &str) {
        let (document, events) = answer(more, directives);
        let streamed = assembled(&events);
        assert_eq!(document["content"], content);
        assert_eq!(streamed["content"], content);
        assert_eq!((&document["stop_reason"], &streamed["stop_reason"]), (&json!(stop_reason), &json!(stop_reason)));
        assert_eq!(document["usage"]["output_tokens"], streamed["usage"]["output_tokens"]);
        assert_eq!(events[2]["type"], "ping");
        assert_eq!(events.last().unwrap()["type"], "message_stop");
    }

    #[test]
    fn documents_and_streams_say_the_same() {
        check(json!({}), "", json!([{"type": "text", "text": "Mock answer to: hi"}]), "end_turn");
        check(json!({"max_tokens": 2}), "", json!([{"type": "text", "text": "Mock answer"}]), "max_tokens");
        check(json!({}), "finish=refusal&text=no", json!([{"type": "text", "text": "no"}]), "refusal");
        let thought = "so it is";
        check(
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
            "reasoning=so it is",
            json!([
                {"type": "thinking", "thinking": thought, "signature": signature(thought)},
                {"type": "text", "text": "Mock answer to: hi"},
            ]),
            "end_turn",
        );
        check(
            json!({"thinking": {"type": "adaptive"}}),
            "redacted&text=x",
            json!([{"type": "redacted_thinking", "data": redacted(7)}, {"type": "text", "text": "x"}]),
            "end_turn",
        );
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        let id = |n: u64| format!("toolu_01{}", letters(nth(7, n), 22, BASE62));
        check(
            json!({"tools": [{"name": "f", "input_schema": schema}, {"name": "g", "input_schema": {"type": "object"}}]}),
            "tools=2",
            json!([
                {"type": "tool_use", "id": id(0), "name": "f", "input": {"city": "text"}},
                {"type": "tool_use", "id": id(1), "name": "g", "input": {}},
            ]),
            "tool_use",
        );
    }

    #[test]
    fn cached_tokens_are_outside_the_input_and_usage_can_be_left_out() {
        let (document, events) = answer(json!({}), "cached=100&cache-write=10");
        assert_eq!(document["usage"]["input_tokens"], 1);
        assert_eq!(document["usage"]["cache_read_input_tokens"], 100);
        assert_eq!(events[0]["message"]["usage"]["cache_creation_input_tokens"], 10);
        let (document, events) = answer(json!({}), "no-usage");
        assert!(document.get("usage").is_none() && events.iter().all(|event| event.get("usage").is_none()));
    }

    #[test]
    fn signatures_verify_themselves() {
        assert_ne!(signature("a"), signature("b"));
        assert!(is_redacted(&redacted(7)));
        assert!(!is_redacted("Eroe") && !is_redacted(&redacted(7).replace("Eroe", "Erof")));
    }

    #[test]
    fn errors_have_their_type() {
        let told = |fault| {
            let (status, body) = Anthropic::OWN.error(&fault, "req_1");
            (status, body["error"]["type"].clone())
        };
        assert_eq!(told(Fault::Status(529)), (529, json!("overloaded_error")));
        assert_eq!(told(Fault::Status(503)), (503, json!("api_error")));
        assert_eq!(told(Fault::Status(422)), (422, json!("invalid_request_error")));
        assert_eq!(told(Fault::NoKey), (401, json!("authentication_error")));
    }
}
