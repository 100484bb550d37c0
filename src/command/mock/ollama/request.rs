//! What requests for a chat and for embeddings must be, and what the answers take from them.

use serde_json::{Value, json};

use crate::mock::dialect::Fault;
use crate::mock::embedding;
use crate::mock::json::{At, is_base64, unknown};
use crate::mock::model::{Prompt, Tool, Usage, words};

/// Reads a chat's body, or says what is wrong with it.
pub fn read(body: &Value, model: &str) -> Result<Prompt, Fault> {
    only("ChatRequest", body, FIELDS)?;
    if model.is_empty() {
        return Err(Fault::invalid("model is required"));
    }
    let options = body.at("options");
    if !options.is_null() {
        only("Options", options, OPTIONS)?;
    }
    for name in ["temperature", "top_p", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty"] {
        if !options.at(name).is_null() && !options.at(name).is_number() {
            return Err(Fault::invalid(format!("option \"{name}\" must be of type float32")));
        }
    }
    for name in ["num_predict", "seed", "top_k", "num_ctx"] {
        if !options.at(name).is_null() && !options.at(name).is_i64() && !options.at(name).is_u64() {
            return Err(Fault::invalid(format!("option \"{name}\" must be of type integer")));
        }
    }
    if !options.at("stop").is_null() && !options.at("stop").is_array() {
        return Err(Fault::invalid("option \"stop\" must be of type array"));
    }
    let think = match body.at("think") {
        Value::Null => false,
        Value::Bool(think) => *think,
        Value::String(level) if matches!(level.as_str(), "low" | "medium" | "high") => true,
        other => {
            return Err(Fault::invalid(format!(
                "invalid think value: {other} (must be \"high\", \"medium\", \"low\", true, or false)"
            )));
        }
    };
    let mut prompt = Prompt {
        model: model.to_owned(),
        // It streams unless told not to.
        stream: body.at("stream") != false,
        stream_usage: true,
        tools: tools(body.at("tools"))?,
        parallel: true,
        format: match body.at("format") {
            Value::Null => None,
            Value::String(word) if word.is_empty() => None,
            Value::String(word) if word == "json" => Some(json!({})),
            schema @ Value::Object(_) => Some(schema.clone()),
            other => {
                return Err(Fault::invalid(format!(
                    "invalid format: {other}; expected \"json\" or a valid JSON Schema object"
                )));
            }
        },
        limit: options.at("num_predict").as_u64(),
        stops: options
            .at("stop")
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        thinking: think,
        choices: 1,
        ..Prompt::default()
    };
    conversation(body.at("messages"), &mut prompt)?;
    Ok(prompt)
}

/// Checks a request for embeddings, and answers it.
pub fn embeddings(body: &Value, model: &str) -> Result<(Value, Usage), Fault> {
    only("EmbedRequest", body, &["model", "input", "truncate", "dimensions", "options", "keep_alive"])?;
    let texts: Vec<&str> = match body.at("input") {
        Value::String(text) => vec![text],
        Value::Array(texts) if texts.iter().all(Value::is_string) => texts.iter().filter_map(Value::as_str).collect(),
        _ => return Err(Fault::invalid("invalid input type")),
    };
    let dimensions = match body.at("dimensions") {
        Value::Null => 768,
        value => value.as_u64().filter(|asked| (1..=768).contains(asked)).ok_or_else(|| {
            Fault::invalid(format!(
                "json: cannot unmarshal {value} into Go struct field EmbedRequest.dimensions of type int"
            ))
        })? as usize,
    };
    let usage = embedding::usage(texts.iter().copied());
    let vectors: Value = texts.iter().map(|text| embedding::json(text, dimensions)).collect();
    let answer = json!({"model": model, "embeddings": vectors, "total_duration": 12_000_000, "load_duration": 1_000_000,
        "prompt_eval_count": usage.input});
    Ok((answer, usage))
}

fn only(of: &str, object: &Value, known: &[&str]) -> Result<(), Fault> {
    if !object.is_object() {
        return Err(mistyped(of, object, "object"));
    }
    unknown(object, known).map_or(Ok(()), |name| Err(Fault::invalid(format!("json: unknown field \"{name}\" in {of}"))))
}

fn mistyped(field: &str, value: &Value, expected: &str) -> Fault {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    Fault::invalid(format!("json: cannot unmarshal {found} into Go struct field {field} of type {expected}"))
}

fn tools(tools: &Value) -> Result<Vec<Tool>, Fault> {
    let read = |tool: &Value| {
        only("Tool", tool, &["type", "function"])?;
        let function = tool.at("function");
        only("ToolFunction", function, &["name", "description", "parameters"])?;
        let name = function.at("name").as_str().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| mistyped("ChatRequest.tools.function.name", function.at("name"), "string"))?;
        if function.at("parameters").at("type") != "object" {
            return Err(mistyped("ChatRequest.tools.function.parameters", function.at("parameters"), "object"));
        }
        Ok(Tool { name: name.to_owned(), schema: function.at("parameters").clone() })
    };
    tools.as_array().into_iter().flatten().map(read).collect()
}

fn conversation(messages: &Value, prompt: &mut Prompt) -> Result<(), Fault> {
    let messages = messages.as_array().ok_or_else(|| mistyped("ChatRequest.messages", messages, "[]api.Message"))?;
    // Calls that have no result yet: ids, where they have one, and names.
    let mut open: Vec<(&str, &str)> = Vec::new();
    for message in messages {
        only("Message", message, MESSAGE)?;
        let text = match message.at("content") {
            Value::Null => "",
            content => content.as_str().ok_or_else(|| mistyped("ChatRequest.messages.content", content, "string"))?,
        };
        if !matches!(message.at("thinking"), Value::Null | Value::String(_)) {
            return Err(mistyped("ChatRequest.messages.thinking", message.at("thinking"), "string"));
        }
        for image in message.at("images").as_array().into_iter().flatten() {
            if !image.as_str().is_some_and(|data| !data.is_empty() && is_base64(data)) {
                return Err(Fault::invalid("illegal base64 data at input byte 4"));
            }
        }
        prompt.words += words(text);
        match message.at("role").as_str() {
            Some("system") => {}
            Some("user") => {
                prompt.question = text.to_owned();
                prompt.results.clear();
            }
            Some("assistant") => {
                prompt.results.clear();
                open = calls(message.at("tool_calls"))?;
            }
            Some("tool") => {
                let (id, name) = (message.at("tool_call_id").as_str(), message.at("tool_name").as_str());
                let place = open.iter().position(|(known, named)| {
                    id.is_some_and(|id| id == *known) || id.is_none() && name.is_none_or(|name| name == *named)
                });
                let place =
                    place.ok_or_else(|| Fault::invalid("a tool's message must follow the call that it answers"))?;
                open.remove(place);
                prompt.results.push(text.to_owned());
            }
            _ => return Err(Fault::invalid(format!("invalid role: {}", message.at("role")))),
        }
    }
    Ok(())
}

fn calls(calls: &Value) -> Result<Vec<(&str, &str)>, Fault> {
    let mut read = Vec::new();
    for call in calls.as_array().into_iter().flatten() {
        only("ToolCall", call, &["id", "function", "type"])?;
        let function = call.at("function");
        only("ToolCallFunction", function, &["index", "name", "arguments"])?;
        if !function.at("arguments").is_object() {
            return Err(mistyped(
                "ChatRequest.messages.tool_calls.function.arguments",
                function.at("arguments"),
                "api.ToolCallFunctionArguments",
            ));
        }
        read.push((call.at("id").as_str().unwrap_or_default(), function.at("name").as_str().unwrap_or_default()));
    }
    Ok(read)
}

#[rustfmt::skip]
const FIELDS: &[&str] = &[
    "model", "messages", "stream", "format", "keep_alive", "tools", "options", "think", "truncate", "shift", "logprobs",
    "top_logprobs",
];
const MESSAGE: &[&str] = &["role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"];
#[rustfmt::skip]
const OPTIONS: &[&str] = &[
    "num_keep", "seed", "num_predict", "top_k", "top_p", "min_p", "typical_p", "repeat_last_n", "temperature", "repeat_penalty",
    "presence_penalty", "frequency_penalty", "stop", "num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread",
    "mirostat", "mirostat_eta", "mirostat_tau", "tfs_z", "penalize_newline", "numa", "low_vram", "vocab_only", "use_mlock",
];
