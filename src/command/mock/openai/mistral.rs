//! Mistral: OpenAI's dialect with names and rules of its own, and thoughts within the content.
//!
//! <https://docs.mistral.ai/api/endpoint/chat>

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use super::{OpenAi, finish_reason, request};
use crate::mock::dialect::{Call, Dialect, Event, Fault, Operation, is_name, site};
use crate::mock::json::{At, unknown};
use crate::mock::model::{self, Prompt, Reply, Thinking, Usage};
use crate::mock::random::{BASE62, letters, nth};

/// The dialect, at sites whose name begins with `mistral`.
pub struct Mistral;

impl Dialect for Mistral {
    fn name(&self) -> &'static str {
        "mistral"
    }

    fn operation(&self, method: &Method, path: &str) -> Option<Operation> {
        OpenAi.operation(method, path).filter(|_| site(path).starts_with("mistral"))
    }

    fn authenticate(&self, call: &Call<'_>) -> Result<(), Fault> {
        OpenAi.authenticate(call)
    }

    /// What is Mistral's own is checked here, and what it shares with OpenAI there.
    fn read(&self, call: &Call<'_>, model: &str) -> Result<Prompt, Fault> {
        let mut body = call.body.clone();
        only("", &body, FIELDS)?;
        if body.at("tool_choice") == "any" {
            body.put("tool_choice", "required");
        }
        if body.at("response_format").is_null() {
            body.put("response_format", json!({"type": "text"}));
        }
        if let Some(messages) = body.get_mut("messages").and_then(Value::as_array_mut) {
            for (n, message) in messages.iter_mut().enumerate() {
                check(n, message)?;
                without_thoughts(message);
            }
            turns(messages)?;
        }
        let mut prompt = request::read(&body, model)?;
        prompt.stream_usage = true;
        let thinks = !matches!(body.at("reasoning_effort").as_str(), None | Some("none"));
        prompt.thinking = thinks || model.contains("magistral");
        Ok(prompt)
    }

    fn document(&self, prompt: &Prompt, reply: &Reply) -> Value {
        let mut content = thoughts(reply);
        let text = reply.text.concat();
        let content = if content.is_empty() {
            Value::String(text)
        } else {
            content.extend((!text.is_empty()).then(|| json!({"type": "text", "text": text})));
            Value::Array(content)
        };
        let mut message = json!({"role": "assistant", "content": content, "tool_calls": null});
        if !reply.calls.is_empty() {
            message.put("tool_calls", calls(reply));
        }
        let choice = json!({"index": 0, "finish_reason": finish_reason(&reply.finish), "message": message});
        let mut document = envelope(prompt, reply, "chat.completion");
        document.put("choices", json!([choice]));
        if let Some(usage) = &reply.usage {
            document.put("usage", usage_json(usage));
        }
        document
    }

    /// Calls come whole, in one chunk, and usage with the last of the choice.
    fn events(&self, prompt: &Prompt, reply: &Reply) -> Vec<Event> {
        let chunk = |delta: Value, finish: Value, usage: Option<Usage>| {
            let mut chunk = envelope(prompt, reply, "chat.completion.chunk");
            chunk.put("choices", json!([{"index": 0, "delta": delta, "finish_reason": finish}]));
            if let Some(usage) = &usage {
                chunk.put("usage", usage_json(usage));
            }
            Event { bytes: format!("data: {chunk}\n\n").into(), usage }
        };
        let said = |delta| chunk(delta, Value::Null, None);
        let mut events = vec![said(json!({"role": "assistant", "content": ""}))];
        if let Some(Thinking::Open(pieces)) = &reply.thinking {
            events.extend(pieces.iter().map(|piece| said(json!({"content": [thought(piece)]}))));
        }
        events.extend(reply.text.iter().map(|piece| said(json!({"content": piece}))));
        let mut last = json!({"content": ""});
        if !reply.calls.is_empty() {
            last.put("tool_calls", calls(reply));
        }
        let usage = reply.usage.map(|usage| self.told(usage));
        events.push(chunk(last, finish_reason(&reply.finish).into(), usage));
        events.push(Event { bytes: Bytes::from_static(b"data: [DONE]\n\n"), usage: None });
        events
    }

    fn embeddings(&self, call: &Call<'_>, model: &str) -> Result<(Value, Usage), Fault> {
        only("", call.body, EMBEDDING_FIELDS)?;
        if !matches!(call.body.at("output_dtype").as_str(), None | Some("float")) {
            return Err(Fault::invalid("the mock has embeddings of floats only"));
        }
        let mut body = call.body.clone();
        if let Some(body) = body.as_object_mut() {
            body.retain(|name, _| !["output_dimension", "output_dtype", "metadata"].contains(&name.as_str()));
        }
        if let Some(dimensions) = call.body.get("output_dimension") {
            body.put("dimensions", dimensions.clone());
        }
        super::embeddings::answer(&body, model)
    }

    fn told(&self, usage: Usage) -> Usage {
        Usage { cached: 0, cache_write: 0, reasoning: 0, ..usage }
    }

    fn models(&self) -> Value {
        OpenAi.models()
    }

    fn error(&self, fault: &Fault, id: &str) -> (u16, Value) {
        let error = |kind: &str, message: Value, code: &str| json!({"object": "error", "message": message, "type": kind, "param": null, "code": code});
        match fault {
            Fault::Invalid { message, param: Some(param), code: Some(EXTRA) } => {
                let location: Vec<&str> = ["body"].into_iter().chain(param.split('.')).collect();
                let detail = json!([{"type": EXTRA, "loc": location, "msg": message}]);
                (422, error("invalid_request_error", json!({ "detail": detail }), "1000"))
            }
            Fault::Invalid { message, .. } => (400, error("invalid_request_message_order", json!(message), "3230")),
            Fault::NoKey | Fault::BadKey(_) | Fault::Status(401) => (401, json!({"detail": "Unauthorized"})),
            Fault::Status(429) => (429, error("rate_limited", json!("Rate limit exceeded"), "1300")),
            other => {
                let (status, body) = OpenAi.error(other, id);
                (status, error("invalid_request_error", body.at("error").at("message").clone(), "1000"))
            }
        }
    }

    fn error_event(&self, fault: &Fault, id: &str) -> Bytes {
        format!("data: {}\n\n", self.error(fault, id).1).into()
    }

    fn headers(&self, id: &str, _spent: Option<u64>, _now: u64) -> Vec<(&'static str, String)> {
        vec![("mistral-correlation-id", id.to_owned()), ("x-kong-request-id", id.to_owned())]
    }

    fn request_id(&self, seed: u64) -> String {
        OpenAi.request_id(seed)
    }
}

fn only(path: &str, object: &Value, known: &[&str]) -> Result<(), Fault> {
    unknown(object, known).map_or(Ok(()), |name| {
        let message = "Extra inputs are not permitted".to_owned();
        Err(Fault::Invalid { message, param: Some(format!("{path}{name}")), code: Some(EXTRA) })
    })
}

/// The order of roles.
fn turns(messages: &[Value]) -> Result<(), Fault> {
    let role = |message: &Value| message.at("role").as_str().unwrap_or_default().to_owned();
    for pair in messages.windows(2) {
        if let [one, next] = pair
            && let ("tool", next @ ("user" | "system")) = (&*role(one), &*role(next))
        {
            return Err(Fault::invalid(format!("Unexpected role '{next}' after role 'tool'")));
        }
    }
    let last = messages.last().map(role).unwrap_or_default();
    let prefix = messages.last().is_some_and(|message| message.at("prefix") == true);
    if !(messages.is_empty() || matches!(&*last, "user" | "tool") || last == "assistant" && prefix) {
        let message =
            format!("Expected last role User or Tool (or Assistant with prefix True) for serving but got {last}");
        return Err(Fault::invalid(message));
    }
    Ok(())
}

fn check(n: usize, message: &Value) -> Result<(), Fault> {
    let fields: &[&str] = match message.at("role").as_str() {
        Some("system" | "user") => &["role", "content"],
        Some("assistant") => &["role", "content", "tool_calls", "prefix"],
        Some("tool") => &["role", "content", "tool_call_id", "name"],
        other => {
            let message = format!(
                "Input tag '{}' found using 'role' does not match any of the expected tags",
                other.unwrap_or_default()
            );
            return Err(Fault::Invalid { message, param: Some(format!("messages.{n}")), code: Some(EXTRA) });
        }
    };
    only(&format!("messages.{n}."), message, fields)?;
    let calls = message.at("tool_calls").as_array().into_iter().flatten().filter_map(|call| call.at("id").as_str());
    for id in calls.chain(message.at("tool_call_id").as_str()) {
        if id.len() != ID || !is_name(id, ID) || id.contains(['_', '-']) {
            let message = format!("Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of {ID}.");
            return Err(Fault::invalid(message));
        }
    }
    Ok(())
}

/// OpenAI has no thoughts in the content.
fn without_thoughts(message: &mut Value) {
    if let Some(parts) = message.get_mut("content").and_then(Value::as_array_mut) {
        parts.retain(|part| part.at("type") != "thinking");
        if parts.is_empty() {
            message.put("content", "");
        }
    }
}

fn envelope(prompt: &Prompt, reply: &Reply, object: &str) -> Value {
    let id = letters(reply.seed, 32, b"0123456789abcdef");
    json!({"id": id, "object": object, "created": reply.created, "model": prompt.model})
}

fn thought(text: &str) -> Value {
    json!({"type": "thinking", "thinking": [{"type": "text", "text": text}]})
}

fn thoughts(reply: &Reply) -> Vec<Value> {
    match &reply.thinking {
        Some(Thinking::Open(pieces)) => vec![thought(&pieces.concat())],
        _ => Vec::new(),
    }
}

/// They have no `type`.
fn calls(reply: &Reply) -> Value {
    let call = |(n, call): (usize, &model::Call)| {
        let id = letters(nth(reply.seed, n as u64), ID, BASE62);
        let function = json!({"name": call.name, "arguments": call.arguments.concat()});
        json!({"id": id, "function": function, "index": n})
    };
    reply.calls.iter().enumerate().map(call).collect()
}

fn usage_json(usage: &Usage) -> Value {
    let total = usage.input + usage.output;
    json!({"prompt_tokens": usage.input, "total_tokens": total, "completion_tokens": usage.output})
}

/// The length of an id of a call.
const ID: usize = 9;
const EXTRA: &str = "extra_forbidden";
/// As the official SDK, `mistralai`, has them.
#[rustfmt::skip]
const FIELDS: &[&str] = &[
    "model", "messages", "temperature", "top_p", "max_tokens", "stream", "stop", "random_seed", "metadata", "response_format",
    "tools", "tool_choice", "presence_penalty", "frequency_penalty", "n", "prediction", "parallel_tool_calls", "prompt_mode",
    "reasoning_effort", "safe_prompt", "guardrails", "logprobs", "top_logprobs", "prompt_logprobs", "top_prompt_logprobs",
    "min_tokens", "prompt_cache_key", "repetition_penalty", "service_tier", "top_k",
];
const EMBEDDING_FIELDS: &[&str] =
    &["model", "input", "output_dimension", "output_dtype", "encoding_format", "metadata"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::directives::Directives;
    use hyper::HeaderMap;

    fn read(more: Value) -> Result<Prompt, Fault> {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "use f"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Mistral.read(&Call { path: "", query: "", headers: &HeaderMap::new(), body: &body }, "m")
    }

    #[test]
    fn what_mistral_alone_refuses() {
        let call = |id: &str| {
            json!({"role": "assistant", "content": null, "tool_calls":
            [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]})
        };
        let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "x"});
        let user = json!({"role": "user", "content": "x"});
        for (more, status) in [
            (json!({"seed": 1}), 422),
            (json!({"stream_options": {"include_usage": true}}), 422),
            (json!({"messages": [{"role": "developer", "content": "x"}]}), 422),
            (json!({"messages": [{"role": "user", "content": "x", "name": "n"}]}), 422),
            (json!({"messages": [user, call("call_1"), result("call_1")]}), 400),
            (json!({"messages": [user, call("abcdefghi"), result("abcdefghi"), user]}), 400),
            (json!({"messages": [user, {"role": "assistant", "content": "x"}]}), 400),
        ] {
            assert_eq!(Mistral.error(&read(more.clone()).unwrap_err(), "").0, status, "{more}");
        }
        assert!(read(json!({"messages": [user, call("abcdefghi"), result("abcdefghi")]})).is_ok());
    }

    #[test]
    fn thoughts_are_within_the_content_and_calls_come_whole() {
        let tools = json!([{"type": "function", "function": {"name": "f"}}]);
        let prompt = read(json!({"tools": tools, "tool_choice": "any", "reasoning_effort": "high"})).unwrap();
        let reply = model::reply(&prompt, &Directives::default(), 7, 1);
        let document = Mistral.document(&prompt, &reply);
        assert_eq!(document["choices"][0]["message"]["content"][0]["type"], "thinking");
        let call = &document["choices"][0]["message"]["tool_calls"][0];
        assert_eq!((call["id"].as_str().unwrap().len(), call.get("type")), (9, None));
        let events = Mistral.events(&prompt, &reply);
        let whole = events.iter().find(|event| str::from_utf8(&event.bytes).unwrap().contains("tool_calls")).unwrap();
        assert!(whole.usage.is_some());
    }
}
