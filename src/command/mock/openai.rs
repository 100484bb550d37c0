//! OpenAI's chat completions, which most other providers speak too.

mod azure;
mod embeddings;
mod mistral;
mod request;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Map, Value, json};

pub use self::azure::Azure;
pub use self::mistral::Mistral;
use super::dialect::{Call, Dialect, Event, Fault, Operation, bearer};
use super::directives::Refusal;
use super::json::At;
use super::model::{self, Finish, Prompt, Reply, Thinking, Usage};
use super::random::{BASE62, letters, nth};

/// The dialect.
pub struct OpenAi;

impl Dialect for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn operation(&self, method: &Method, path: &str) -> Option<Operation> {
        match *method {
            Method::POST if path.ends_with("/chat/completions") => Some(Operation::Chat),
            Method::POST if path.ends_with("/embeddings") => Some(Operation::Embeddings),
            Method::GET if path.ends_with("/v1/models") => Some(Operation::Models),
            _ => None,
        }
    }

    fn authenticate(&self, call: &Call<'_>) -> Result<(), Fault> {
        bearer(call.headers)
    }

    fn read(&self, call: &Call<'_>, model: &str) -> Result<Prompt, Fault> {
        request::read(call.body, model)
    }

    fn document(&self, prompt: &Prompt, reply: &Reply) -> Value {
        let choice = |index| {
            let content =
                if reply.calls.is_empty() { choice_text(prompt, reply, index).concat().into() } else { Value::Null };
            let mut message = json!({"role": "assistant", "content": content});
            if let Some(Thinking::Open(pieces)) = &reply.thinking {
                message.put("reasoning_content", pieces.concat());
            }
            if !reply.calls.is_empty() {
                let whole = |(n, call): (usize, &model::Call)| tool_call(reply, n, call, &call.arguments.concat());
                message.put("tool_calls", reply.calls.iter().enumerate().map(whole).collect::<Value>());
            }
            message.put("refusal", Value::Null);
            message.put("annotations", json!([]));
            json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish_reason(&reply.finish)})
        };
        let mut document = envelope(prompt, reply, "chat.completion");
        document.insert("choices".to_owned(), (0..prompt.choices).map(choice).collect());
        if let Some(usage) = &reply.usage {
            document.insert("usage".to_owned(), usage_json(usage));
        }
        // The likes of it appear without notice: who passes an answer on passes this on.
        document.insert("x_mock".to_owned(), json!({"unknown": [1, 2.50, "\u{e9}\n"]}));
        document.into()
    }

    fn events(&self, prompt: &Prompt, reply: &Reply) -> Vec<Event> {
        let mut chunks = Chunks { prompt, reply, events: Vec::new() };
        // The choices come side by side.
        let deltas: Vec<Vec<Value>> = (0..prompt.choices).map(|index| deltas(prompt, reply, index)).collect();
        for n in 0..deltas.iter().map(Vec::len).max().unwrap_or_default() {
            for (index, deltas) in deltas.iter().enumerate() {
                if let Some(delta) = deltas.get(n) {
                    chunks.delta(index, delta, Value::Null);
                }
            }
        }
        for index in 0..prompt.choices {
            chunks.delta(index, &json!({}), finish_reason(&reply.finish).into());
        }
        if let (true, Some(usage)) = (prompt.stream_usage, reply.usage) {
            chunks.push(json!([]), Some(usage));
        }
        chunks.events.push(Event { bytes: Bytes::from_static(b"data: [DONE]\n\n"), usage: None });
        chunks.events
    }

    fn embeddings(&self, call: &Call<'_>, model: &str) -> Result<(Value, Usage), Fault> {
        embeddings::answer(call.body, model)
    }

    fn models(&self) -> Value {
        let model = |id: &&str| json!({"id": id, "object": "model", "created": 1_715_367_049, "owned_by": "system"});
        json!({"object": "list", "data": MODELS.iter().map(model).collect::<Value>()})
    }

    fn error(&self, fault: &Fault, _id: &str) -> (u16, Value) {
        let (status, message, kind, param, code) = explain(fault);
        (status, json!({"error": {"message": message, "type": kind, "param": param, "code": code}}))
    }

    fn error_event(&self, fault: &Fault, id: &str) -> Bytes {
        format!("data: {}\n\n", self.error(fault, id).1).into()
    }

    fn keepalive(&self) -> &'static str {
        ": keep-alive\n\n"
    }

    fn headers(&self, id: &str, spent: Option<u64>, _now: u64) -> Vec<(&'static str, String)> {
        let (left, reset) = spent.map_or(("9999", "6ms".to_owned()), |seconds| ("0", format!("{seconds}s")));
        vec![
            ("x-request-id", id.to_owned()),
            ("openai-version", "2020-10-01".to_owned()),
            ("openai-processing-ms", "12".to_owned()),
            ("x-ratelimit-limit-requests", "10000".to_owned()),
            ("x-ratelimit-remaining-requests", left.to_owned()),
            ("x-ratelimit-reset-requests", reset),
            ("x-ratelimit-limit-tokens", "2000000".to_owned()),
            ("x-ratelimit-remaining-tokens", "1999000".to_owned()),
            ("x-ratelimit-reset-tokens", "1m2.5s".to_owned()),
        ]
    }

    fn request_id(&self, seed: u64) -> String {
        format!("req_{}", letters(nth(seed, REQUEST), 32, b"0123456789abcdef"))
    }
}

/// A stream being written.
struct Chunks<'r> {
    prompt: &'r Prompt,
    reply: &'r Reply,
    events: Vec<Event>,
}

impl Chunks<'_> {
    fn delta(&mut self, index: usize, delta: &Value, finish: Value) {
        self.push(json!([{"index": index, "delta": delta, "logprobs": null, "finish_reason": finish}]), None);
    }

    fn push(&mut self, choices: Value, usage: Option<Usage>) {
        let mut chunk = envelope(self.prompt, self.reply, "chat.completion.chunk");
        chunk.insert("choices".to_owned(), choices);
        if self.prompt.stream_usage && self.reply.usage.is_some() {
            chunk.insert("usage".to_owned(), usage.as_ref().map_or(Value::Null, usage_json));
        }
        // Of a random length, against those who read the lengths of encrypted packets.
        let seed = nth(self.reply.seed, PADDING + self.events.len() as u64);
        chunk.insert("obfuscation".to_owned(), letters(seed, (seed % 16) as usize, BASE62).into());
        let bytes = format!("data: {}\n\n", Value::Object(chunk)).into();
        self.events.push(Event { bytes, usage });
    }
}

fn envelope(prompt: &Prompt, reply: &Reply, object: &str) -> Map<String, Value> {
    let mut envelope = Map::with_capacity(9);
    envelope.insert("id".to_owned(), format!("chatcmpl-{}", letters(reply.seed, 29, BASE62)).into());
    envelope.insert("object".to_owned(), object.into());
    envelope.insert("created".to_owned(), reply.created.into());
    envelope.insert("model".to_owned(), prompt.model.as_str().into());
    envelope.insert("service_tier".to_owned(), "default".into());
    envelope.insert("system_fingerprint".to_owned(), "fp_5a1e0c0de5".into());
    envelope
}

/// What one choice is made of, but for its end.
fn deltas(prompt: &Prompt, reply: &Reply, index: usize) -> Vec<Value> {
    let content = if reply.calls.is_empty() { json!("") } else { Value::Null };
    let mut deltas = vec![json!({"role": "assistant", "content": content, "refusal": null})];
    if let Some(Thinking::Open(pieces)) = &reply.thinking {
        deltas.extend(pieces.iter().map(|piece| json!({ "reasoning_content": piece })));
    }
    for (n, call) in reply.calls.iter().enumerate() {
        let mut head = tool_call(reply, n, call, "");
        head.put("index", n);
        deltas.push(json!({ "tool_calls": [head] }));
        let part = |fragment| json!({"tool_calls": [{"index": n, "function": {"arguments": fragment}}]});
        deltas.extend(call.arguments.iter().map(part));
    }
    deltas.extend(choice_text(prompt, reply, index).into_iter().map(|piece| json!({ "content": piece })));
    deltas
}

/// The answers to one request differ, unless they have to be JSON.
fn choice_text(prompt: &Prompt, reply: &Reply, index: usize) -> Vec<String> {
    let mark = (index > 0 && reply.calls.is_empty() && prompt.format.is_none()).then(|| format!("[{index}] "));
    mark.into_iter().chain(reply.text.iter().cloned()).collect()
}

fn tool_call(reply: &Reply, n: usize, call: &model::Call, arguments: &str) -> Value {
    let id = format!("call_{}", letters(nth(reply.seed, n as u64), 24, BASE62));
    json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
}

fn finish_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop | Finish::Sequence(_) => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
        Finish::Native(reason) => reason,
    }
}

fn usage_json(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

type Explained = (u16, String, &'static str, Option<String>, Option<&'static str>);

/// Status, message, type, param and code.
fn explain(fault: &Fault) -> Explained {
    const INVALID: &str = "invalid_request_error";
    let plain = |status, message: &str, kind, code| (status, message.to_owned(), kind, None, code);
    match fault {
        Fault::Invalid { message, param, code } => (400, message.clone(), INVALID, param.clone(), *code),
        Fault::NoKey => plain(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth \
             (i.e. Authorization: Bearer YOUR_KEY).",
            INVALID,
            None,
        ),
        Fault::BadKey(key) => (401, format!("Incorrect API key provided: {key}."), INVALID, None, Some("invalid_api_key")),
        Fault::NoPath { method, path } => (404, format!("Invalid URL ({method} {path})"), INVALID, None, None),
        Fault::TooLarge => plain(413, "Request too large.", INVALID, Some("request_too_large")),
        Fault::Refused(Refusal::Context) => (
            400,
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 140012 tokens. Please \
             reduce the length of the messages."
                .to_owned(),
            INVALID,
            Some("messages".to_owned()),
            Some("context_length_exceeded"),
        ),
        Fault::Refused(Refusal::Policy) => plain(
            400,
            "Your request was rejected as a result of our safety system.",
            INVALID,
            Some("content_policy_violation"),
        ),
        Fault::Refused(Refusal::Quota) => plain(
            429,
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
            Some("insufficient_quota"),
        ),
        Fault::Status(status) => match status {
            401 => plain(401, "Incorrect API key provided: mock.", INVALID, Some("invalid_api_key")),
            403 => plain(403, "You are not allowed to sample from this model", "permission_error", None),
            404 => plain(
                404,
                "The model does not exist or you do not have access to it.",
                INVALID,
                Some("model_not_found"),
            ),
            429 => plain(
                429,
                "Rate limit reached for the model on requests per min (RPM): Limit 10000, Used 10000, Requested 1. Please try \
                 again in 6ms.",
                "requests",
                Some("rate_limit_exceeded"),
            ),
            503 => plain(
                503,
                "The server is currently overloaded with other requests. Please try again later.",
                "server_error",
                Some("server_is_overloaded"),
            ),
            400..500 => plain(*status, "The request was refused.", INVALID, None),
            _ => plain(
                *status,
                "The server had an error while processing your request. Sorry about that!",
                "server_error",
                None,
            ),
        },
    }
}

const MODELS: &[&str] = &["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "gpt-5-mini"];

/// Far from the tool calls, whose ids are made from the same seed.
const REQUEST: u64 = 1 << 32;
const PADDING: u64 = 2 << 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::directives::Directives;

    fn answer(body: Value, directives: &str) -> (Value, Vec<Value>) {
        let mut read = Directives::default();
        read.merge(directives).unwrap();
        let prompt = request::read(&body, body["model"].as_str().unwrap()).unwrap();
        let reply = model::reply(&prompt, &read, 7, 1_700_000_000);
        let data = |event: &Event| {
            let line = str::from_utf8(&event.bytes).unwrap().strip_prefix("data: ").unwrap().trim_end();
            serde_json::from_str(line).unwrap_or_else(|_| json!(line))
        };
        (OpenAi.document(&prompt, &reply), OpenAi.events(&prompt, &reply).iter().map(data).collect())
    }

    fn asked(more: Value) -> Value {
        let mut body = json!({"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    }

    #[test]
    fn a_text_and_its_stream_say_the_same() {
        let (document, events) = answer(asked(json!({"stream_options": {"include_usage": true}})), "");
        assert_eq!(document["choices"][0]["message"]["content"], "Mock answer to: hi");
        assert_eq!(document["usage"]["total_tokens"], 5);
        assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": "", "refusal": null}));
        assert_eq!(events[0]["usage"], Value::Null);
        let text: String = events.iter().filter_map(|e| e["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(text, "Mock answer to: hi");
        let [.., finish, usage, done] = events.as_slice() else { panic!() };
        assert_eq!(finish["choices"][0]["finish_reason"], "stop");
        assert_eq!((&usage["choices"], &usage["usage"]), (&json!([]), &document["usage"]));
        assert_eq!(*done, json!("[DONE]"));
        assert!(events.iter().take(5).all(|event| event["id"] == document["id"] && event["obfuscation"].is_string()));
    }

    #[test]
    fn usage_is_told_only_if_asked_for() {
        let (_, events) = answer(asked(json!({})), "");
        assert!(events.iter().all(|event| event.get("usage").is_none()));
    }

    #[test]
    fn tool_calls_come_in_fragments() {
        let tool = json!({"type": "function", "function": {"name": "get_weather", "parameters":
            {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}});
        let (document, events) = answer(asked(json!({ "tools": [tool] })), "tools=2");
        let calls = document["choices"][0]["message"]["tool_calls"].as_array().unwrap();
        assert_eq!((calls.len(), &document["choices"][0]["finish_reason"]), (2, &json!("tool_calls")));
        assert_eq!(document["choices"][0]["message"]["content"], Value::Null);
        for (n, call) in calls.iter().enumerate() {
            let parts = || {
                events
                    .iter()
                    .map(|event| &event["choices"][0]["delta"]["tool_calls"][0])
                    .filter(move |part| part["index"] == n)
            };
            assert_eq!(
                parts().filter_map(|part| part["id"].as_str()).collect::<Vec<_>>(),
                [call["id"].as_str().unwrap()]
            );
            let arguments: String = parts().filter_map(|part| part["function"]["arguments"].as_str()).collect();
            assert_eq!(arguments, r#"{"city":"text"}"#);
        }
    }

    #[test]
    fn choices_and_reasoning() {
        let (document, events) = answer(asked(json!({"n": 2})), "reasoning=well then");
        assert_eq!(document["choices"][1]["message"]["content"], "[1] Mock answer to: hi");
        assert_eq!(document["choices"][0]["message"]["reasoning_content"], "well then");
        assert_eq!(document["usage"]["completion_tokens_details"]["reasoning_tokens"], 2);
        let delta = |event: &Value| event["choices"][0]["delta"]["reasoning_content"].is_string();
        assert_eq!(events.iter().filter(|event| delta(event)).count(), 8);
    }

    #[test]
    fn errors_have_their_type_and_code() {
        let told = |fault| {
            let (status, body) = OpenAi.error(&fault, "");
            (status, body["error"]["type"].clone(), body["error"]["code"].clone())
        };
        assert_eq!(told(Fault::Status(503)), (503, json!("server_error"), json!("server_is_overloaded")));
        assert_eq!(told(Fault::Status(429)), (429, json!("requests"), json!("rate_limit_exceeded")));
        assert_eq!(told(Fault::Status(500)), (500, json!("server_error"), Value::Null));
        assert_eq!(
            told(Fault::Refused(Refusal::Context)),
            (400, json!("invalid_request_error"), json!("context_length_exceeded"))
        );
        assert_eq!(
            told(Fault::Refused(Refusal::Quota)),
            (429, json!("insufficient_quota"), json!("insufficient_quota"))
        );
    }
}
