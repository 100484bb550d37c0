//! What a chat completion request must be, and what the answer takes from it.

use serde_json::{Value, json};

use crate::mock::dialect::{Fault, is_name, text};
use crate::mock::json::At;
use crate::mock::model::{Choice, Prompt, Tool, words};

/// Reads a request's body, or says what is wrong with it.
pub fn read(body: &Value, model: &str) -> Result<Prompt, Fault> {
    if body.at("model").as_str().is_none_or(str::is_empty) {
        return Err(Fault::invalid("you must provide a model parameter"));
    }
    let messages = body.at("messages").as_array().ok_or_else(|| missing("messages"))?;
    if messages.is_empty() {
        return Err(bad("messages", "[] is too short - 'messages'"));
    }
    parameters(body)?;
    let tools = tools(body.at("tools"))?;
    let mut prompt = Prompt {
        model: model.to_owned(),
        stream: body.at("stream") == true,
        stream_usage: body.at("stream_options").at("include_usage") == true,
        choice: choice(body, &tools)?,
        tools,
        parallel: body.at("parallel_tool_calls") != false,
        format: format(body.at("response_format"))?,
        limit: body.at("max_completion_tokens").as_u64().or(body.at("max_tokens").as_u64()),
        stops: match body.at("stop") {
            Value::String(stop) => vec![stop.clone()],
            stops => stops.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        },
        choices: body.at("n").as_u64().unwrap_or(1) as usize,
        ..Prompt::default()
    };
    conversation(messages, &mut prompt)?;
    Ok(prompt)
}

fn parameters(body: &Value) -> Result<(), Fault> {
    for (name, least, most) in [
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("presence_penalty", -2.0, 2.0),
        ("frequency_penalty", -2.0, 2.0),
    ] {
        let value = body.at(name);
        if value.as_f64().is_none() && !value.is_null() {
            return Err(mistyped(name, "a decimal", value));
        }
        if value.as_f64().is_some_and(|value| value < least) {
            let message = format!(
                "Invalid '{name}': decimal below minimum value. Expected a value >= {least}, but got {value} instead."
            );
            return Err(coded(name, message, "decimal_below_min_value"));
        }
        if value.as_f64().is_some_and(|value| value > most) {
            let message = format!(
                "Invalid '{name}': decimal above maximum value. Expected a value <= {most}, but got {value} instead."
            );
            return Err(coded(name, message, "decimal_above_max_value"));
        }
    }
    for (name, most) in [("n", 128), ("max_tokens", u64::MAX), ("max_completion_tokens", u64::MAX)] {
        let value = body.at(name);
        if !value.is_null() && value.as_u64().is_none_or(|value| value == 0 || value > most) {
            return Err(mistyped(name, "a positive integer", value));
        }
    }
    if !body.at("max_tokens").is_null() && !body.at("max_completion_tokens").is_null() {
        return Err(coded(
            "max_tokens",
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "invalid_parameter_combination",
        ));
    }
    if !matches!(body.at("stream"), Value::Null | Value::Bool(_)) {
        return Err(mistyped("stream", "a boolean", body.at("stream")));
    }
    if !body.at("stream_options").is_null() && body.at("stream") != true {
        return Err(bad("stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled."));
    }
    Ok(())
}

fn tools(tools: &Value) -> Result<Vec<Tool>, Fault> {
    let read = |(n, tool): (usize, &Value)| {
        let path = |field: &str| format!("tools[{n}].{field}");
        if tool.at("type") != "function" {
            return Err(if tool.at("type").is_null() {
                missing(&path("type"))
            } else {
                unsupported(&path("type"), tool.at("type"), "'function'")
            });
        }
        let name = tool.at("function").at("name").as_str().ok_or_else(|| missing(&path("function.name")))?;
        check_name(&path("function.name"), name)?;
        let schema = tool.at("function").at("parameters").clone();
        if !schema.is_null() && schema.at("type") != "object" {
            let message =
                format!("Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"'.");
            return Err(coded(&path("function.parameters"), message, "invalid_function_parameters"));
        }
        let schema = if schema.is_null() { json!({"type": "object"}) } else { schema };
        Ok(Tool { name: name.to_owned(), schema })
    };
    match tools {
        Value::Null => Ok(Vec::new()),
        Value::Array(tools) if tools.is_empty() => {
            Err(coded("tools", "Invalid 'tools': empty array. Expected an array with minimum length 1.", "empty_array"))
        }
        Value::Array(tools) => tools.iter().enumerate().map(read).collect(),
        other => Err(mistyped("tools", "an array of objects", other)),
    }
}

fn choice(body: &Value, tools: &[Tool]) -> Result<Choice, Fault> {
    if tools.is_empty() {
        return match ["tool_choice", "parallel_tool_calls"].into_iter().find(|name| !body.at(name).is_null()) {
            // This one, alone of all, is harmless without tools.
            Some("tool_choice") if body.at("tool_choice") == "none" => Ok(Choice::None),
            Some(name) => Err(bad(name, format!("'{name}' is only allowed when 'tools' are specified."))),
            None => Ok(Choice::Auto),
        };
    }
    match body.at("tool_choice") {
        Value::Null => Ok(Choice::Auto),
        Value::String(word) => match word.as_str() {
            "auto" => Ok(Choice::Auto),
            "none" => Ok(Choice::None),
            "required" => Ok(Choice::Required),
            _ => Err(unsupported("tool_choice", body.at("tool_choice"), "'none', 'auto', and 'required'")),
        },
        choice => {
            let name = choice.at("function").at("name").as_str().ok_or_else(|| missing("tool_choice.function.name"))?;
            if choice.at("type") != "function" {
                return Err(unsupported("tool_choice.type", choice.at("type"), "'function'"));
            }
            if !tools.iter().any(|tool| tool.name == name) {
                return Err(bad("tool_choice", format!("Tool choice '{name}' not found in 'tools' parameter.")));
            }
            Ok(Choice::Named(name.to_owned()))
        }
    }
}

fn format(format: &Value) -> Result<Option<Value>, Fault> {
    match format.at("type").as_str() {
        None if format.is_null() => Ok(None),
        None => Err(missing("response_format.type")),
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(json!({}))),
        Some("json_schema") => {
            let name = format
                .at("json_schema")
                .at("name")
                .as_str()
                .ok_or_else(|| missing("response_format.json_schema.name"))?;
            check_name("response_format.json_schema.name", name)?;
            let schema = format.at("json_schema").at("schema");
            if schema.is_object() {
                Ok(Some(schema.clone()))
            } else {
                Err(missing("response_format.json_schema.schema"))
            }
        }
        Some(_) => {
            Err(unsupported("response_format.type", format.at("type"), "'json_object', 'json_schema', and 'text'"))
        }
    }
}

/// Checks the messages one by one and against each other, and adds what they say to the prompt.
fn conversation(messages: &[Value], prompt: &mut Prompt) -> Result<(), Fault> {
    // Calls that have no answer yet, and the message that made them.
    let mut open: Vec<&str> = Vec::new();
    let mut caller = 0;
    for (n, message) in messages.iter().enumerate() {
        let path = |field: &str| format!("messages[{n}].{field}");
        let role = message.at("role").as_str().ok_or_else(|| missing(&path("role")))?;
        if role != "tool" && !open.is_empty() {
            return Err(unanswered(caller, &open));
        }
        let said = content(message.at("content"), role, &path("content"), !message.at("tool_calls").is_null())?;
        prompt.words += words(&said);
        match role {
            "system" | "developer" | "function" => {}
            "user" => {
                prompt.question = said;
                prompt.results.clear();
            }
            "assistant" => {
                open = calls(message, &path("tool_calls"))?;
                caller = n;
            }
            "tool" => {
                let id = message.at("tool_call_id").as_str().ok_or_else(|| missing(&path("tool_call_id")))?;
                let Some(place) = open.iter().position(|call| *call == id) else {
                    let message = "Invalid parameter: messages with role 'tool' must be a response to a preceeding \
                        message with 'tool_calls'.";
                    return Err(bad(format!("messages.[{n}].role"), message));
                };
                open.remove(place);
                prompt.results.push(said);
            }
            _ => {
                let roles = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'";
                return Err(unsupported(&path("role"), message.at("role"), roles));
            }
        }
    }
    if open.is_empty() { Ok(()) } else { Err(unanswered(caller, &open)) }
}

/// The text of a message's content.
fn content(content: &Value, role: &str, path: &str, calls: bool) -> Result<String, Fault> {
    match content {
        Value::String(_) => {}
        Value::Array(parts) => {
            for (n, part) in parts.iter().enumerate() {
                let path = |field: &str| format!("{path}[{n}].{field}");
                let kind = part.at("type").as_str().ok_or_else(|| missing(&path("type")))?;
                let needed = match (kind, role) {
                    ("text", _) => part.at("text").is_string().then_some(()).ok_or("text"),
                    ("refusal", "assistant") => part.at("refusal").is_string().then_some(()).ok_or("refusal"),
                    ("image_url", "user") => {
                        part.at("image_url").at("url").is_string().then_some(()).ok_or("image_url.url")
                    }
                    ("input_audio", "user") => {
                        part.at("input_audio").at("data").is_string().then_some(()).ok_or("input_audio.data")
                    }
                    ("file", "user") => part.at("file").is_object().then_some(()).ok_or("file"),
                    _ => {
                        return Err(unsupported(
                            &path("type"),
                            part.at("type"),
                            "'text', 'image_url', 'input_audio', 'refusal', and 'file'",
                        ));
                    }
                };
                needed.map_err(|field| missing(&path(field)))?;
            }
        }
        Value::Null if role == "assistant" && calls => {}
        other => {
            let kind = if other.is_null() { "null" } else { "an object" };
            return Err(bad(path, format!("Invalid value for 'content': expected a string, got {kind}.")));
        }
    }
    Ok(text(content))
}

/// The ids of the tools an assistant's message calls.
fn calls<'m>(message: &'m Value, path: &str) -> Result<Vec<&'m str>, Fault> {
    let calls = match message.at("tool_calls") {
        Value::Null => return Ok(Vec::new()),
        Value::Array(calls) if !calls.is_empty() => calls,
        Value::Array(_) => {
            let message = format!("Invalid '{path}': empty array. Expected an array with minimum length 1.");
            return Err(coded(path, message, "empty_array"));
        }
        other => return Err(mistyped(path, "an array of objects", other)),
    };
    let read = |(n, call): (usize, &'m Value)| {
        let path = |field: &str| format!("{path}[{n}].{field}");
        let id = call.at("id").as_str().ok_or_else(|| missing(&path("id")))?;
        if id.len() > MAX_CALL_ID {
            let message = format!(
                "Invalid '{}': string too long. Expected a string with maximum length {MAX_CALL_ID}, but got a \
                    string with length {} instead.",
                path("id"),
                id.len()
            );
            return Err(coded(&path("id"), message, "string_above_max_length"));
        }
        if call.at("type") != "function" {
            return Err(missing(&path("type")));
        }
        check_name(&path("function.name"), call.at("function").at("name").as_str().unwrap_or_default())?;
        if !call.at("function").at("arguments").is_string() {
            return Err(missing(&path("function.arguments")));
        }
        Ok(id)
    };
    calls.iter().enumerate().map(read).collect()
}

fn check_name(path: &str, name: &str) -> Result<(), Fault> {
    if is_name(name, 64) {
        return Ok(());
    }
    let message = format!(
        "Invalid '{path}': string does not match pattern. Expected a string that matches the pattern \
            '^[a-zA-Z0-9_-]{{1,64}}$'."
    );
    Err(coded(path, message, "invalid_value"))
}

fn unanswered(caller: usize, open: &[&str]) -> Fault {
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The \
         following tool_call_ids did not have response messages: {}",
        open.join(", ")
    );
    bad(format!("messages.[{caller}].role"), message)
}

/// A parameter that has to be there.
pub fn missing(path: &str) -> Fault {
    coded(path, format!("Missing required parameter: '{path}'."), "missing_required_parameter")
}

/// A value of another type.
pub fn mistyped(path: &str, expected: &str, value: &Value) -> Fault {
    coded(path, format!("Invalid type for '{path}': expected {expected}, but got {value} instead."), "invalid_type")
}

fn unsupported(path: &str, value: &Value, supported: &str) -> Fault {
    coded(path, format!("Invalid value: {value}. Supported values are: {supported}."), "invalid_value")
}

/// A mistake in a parameter.
pub fn bad(path: impl Into<String>, message: impl Into<String>) -> Fault {
    Fault::Invalid { message: message.into(), param: Some(path.into()), code: None }
}

/// A mistake in a parameter that has a code.
pub fn coded(path: &str, message: impl Into<String>, code: &'static str) -> Fault {
    Fault::Invalid { message: message.into(), param: Some(path.to_owned()), code: Some(code) }
}

const MAX_CALL_ID: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(more: Value) -> Value {
        let mut body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    }

    #[track_caller]
    fn refuses(body: Value, param: &str) {
        match read(&body, "gpt-4o") {
            Err(Fault::Invalid { param: named, .. }) => {
                assert_eq!(named.unwrap_or_default(), param, "{body}")
            }
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn what_the_answer_depends_on_is_read() {
        let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let prompt = read(
            &json!({
                "model": "x", "stop": ["a", "b"], "max_completion_tokens": 9,
                "tools": [{"type": "function", "function": {"name": "f"}}],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
                "messages": [
                    {"role": "system", "content": "be brief"},
                    {"role": "user", "content": [{"type": "text", "text": "one two"}, {"type": "image_url", "image_url": {"url": "u"}}]},
                    {"role": "assistant", "content": null, "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": "c1", "content": "rain"},
                ],
            }),
            "gpt-4o",
        )
        .unwrap();
        assert_eq!((prompt.model.as_str(), prompt.question.as_str(), prompt.words), ("gpt-4o", "one two", 5));
        assert_eq!(
            (prompt.results, prompt.stops, prompt.limit),
            (vec!["rain".into()], vec!["a".into(), "b".into()], Some(9))
        );
        assert_eq!(prompt.choice, Choice::Named("f".into()));
    }

    #[test]
    fn parameters_are_checked() {
        refuses(json!({"messages": []}), "");
        refuses(json!({"model": "x"}), "messages");
        refuses(asked(json!({"messages": []})), "messages");
        refuses(asked(json!({"temperature": 2.5})), "temperature");
        refuses(asked(json!({"temperature": "hot"})), "temperature");
        refuses(asked(json!({"n": 0})), "n");
        refuses(asked(json!({"max_tokens": 1, "max_completion_tokens": 1})), "max_tokens");
        refuses(asked(json!({"stream_options": {"include_usage": true}})), "stream_options");
        refuses(asked(json!({"tool_choice": "auto"})), "tool_choice");
        refuses(asked(json!({"tools": []})), "tools");
        refuses(asked(json!({"tools": [{"type": "function", "function": {"name": "a b"}}]})), "tools[0].function.name");
        refuses(asked(json!({"response_format": {"type": "json_schema"}})), "response_format.json_schema.name");
        refuses(asked(json!({"response_format": {"type": "xml"}})), "response_format.type");
    }

    #[test]
    fn messages_are_checked_against_each_other() {
        let said = |messages: Value| asked(json!({ "messages": messages }));
        let user = json!({"role": "user", "content": "hi"});
        let calling = |id: &str| {
            let call = json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
            json!({"role": "assistant", "content": null, "tool_calls": [call]})
        };
        let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "x"});
        assert!(read(&said(json!([user, calling("a"), result("a"), user])), "").is_ok());
        refuses(said(json!([{"role": "robot", "content": "hi"}])), "messages[0].role");
        refuses(said(json!([{"role": "user", "content": null}])), "messages[0].content");
        refuses(said(json!([{"role": "user", "content": [{"type": "input_text"}]}])), "messages[0].content[0].type");
        refuses(said(json!([user, result("a")])), "messages.[1].role");
        refuses(said(json!([user, calling("a"), result("b")])), "messages.[2].role");
        refuses(said(json!([user, calling("a"), user])), "messages.[1].role");
        refuses(said(json!([user, calling("a")])), "messages.[1].role");
        refuses(said(json!([user, calling(&"a".repeat(41)), user])), "messages[1].tool_calls[0].id");
    }
}
