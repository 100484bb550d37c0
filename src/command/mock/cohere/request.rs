//! What a chat request must be, and what the answer takes from it.

use serde_json::{Value, json};

use crate::mock::dialect::{Fault, text};
use crate::mock::json::{At, unknown};
use crate::mock::model::{Choice, Prompt, Tool, words};

/// Reads a request's body, or says what is wrong with it.
pub fn read(body: &Value, model: &str) -> Result<Prompt, Fault> {
    only("", body, FIELDS)?;
    if model.is_empty() {
        return Err(invalid("model is required"));
    }
    parameters(body)?;
    let tools = tools(body.at("tools"))?;
    let choice = match body.at("tool_choice").as_str() {
        None if body.at("tool_choice").is_null() => Choice::Auto,
        Some("NONE") if !tools.is_empty() => Choice::None,
        Some("REQUIRED") if !tools.is_empty() => Choice::Required,
        Some("NONE" | "REQUIRED") => return Err(invalid("tool_choice is only valid with tools")),
        _ => return Err(invalid("tool_choice must be one of REQUIRED, NONE")),
    };
    let thinking = body.at("thinking");
    if !thinking.is_null() {
        only("thinking", thinking, &["type", "token_budget"])?;
        if !matches!(thinking.at("type").as_str(), Some("enabled" | "disabled")) {
            return Err(invalid("thinking.type must be one of enabled, disabled"));
        }
        if !model.contains("reasoning") {
            return Err(invalid("thinking is not supported with the selected model"));
        }
    }
    let mut prompt = Prompt {
        model: model.to_owned(),
        stream: body.at("stream") == true,
        stream_usage: true,
        choice,
        parallel: true,
        format: format(body.at("response_format"), &tools)?,
        tools,
        limit: body.at("max_tokens").as_u64(),
        stops: body
            .at("stop_sequences")
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        thinking: thinking.at("type") == "enabled",
        choices: 1,
        ..Prompt::default()
    };
    conversation(body.at("messages"), &mut prompt)?;
    Ok(prompt)
}

/// Refuses fields that are not `known`.
pub fn only(path: &str, object: &Value, known: &[&str]) -> Result<(), Fault> {
    if !object.is_object() {
        return Err(invalid(&format!("{path} must be an object")));
    }
    unknown(object, known).map_or(Ok(()), |name| {
        let place = if path.is_empty() { String::new() } else { format!("{path}.") };
        let message = format!("invalid request: unknown field: parameter '{place}{name}' is not a valid field");
        Err(Fault::Invalid { message, param: None, code: Some("unknown_field") })
    })
}

fn invalid(message: &str) -> Fault {
    Fault::invalid(format!("invalid request: {message}"))
}

fn parameters(body: &Value) -> Result<(), Fault> {
    for (name, least, most) in [
        ("temperature", 0.0, 1.0),
        ("p", 0.01, 0.99),
        ("k", 0.0, 500.0),
        ("presence_penalty", 0.0, 1.0),
        ("frequency_penalty", 0.0, 1.0),
    ] {
        let value = body.at(name);
        if !value.is_null() && !value.as_f64().is_some_and(|value| (least..=most).contains(&value)) {
            return Err(invalid(&format!("{name} must be between {least} and {most} inclusive")));
        }
    }
    let penalty = |name: &str| body.at(name).as_f64().is_some_and(|value| value != 0.0);
    if penalty("presence_penalty") && penalty("frequency_penalty") {
        return Err(invalid("cannot specify both frequency_penalty and presence_penalty"));
    }
    if !body.at("max_tokens").is_null() && body.at("max_tokens").as_u64().is_none() {
        return Err(invalid("max_tokens must be a non-negative integer"));
    }
    if body.at("stop_sequences").as_array().is_some_and(|stops| stops.len() > 5) {
        return Err(invalid("stop_sequences must have at most 5 items"));
    }
    if !matches!(body.at("stream"), Value::Null | Value::Bool(_)) {
        return Err(invalid("stream must be a boolean"));
    }
    Ok(())
}

fn tools(tools: &Value) -> Result<Vec<Tool>, Fault> {
    let read = |tool: &Value| {
        only("tools", tool, &["type", "function"])?;
        let function = tool.at("function");
        only("tools.function", function, &["name", "description", "parameters"])?;
        let name = function.at("name").as_str().unwrap_or_default();
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if tool.at("type") != "function" || name.is_empty() || !name.chars().all(allowed) {
            return Err(invalid("all elements in tools must have a type of function and a valid name"));
        }
        if function.at("parameters").at("type") != "object" {
            return Err(invalid(&format!(
                "the parameters of the tool {name} must be a JSON schema of the type object"
            )));
        }
        Ok(Tool { name: name.to_owned(), schema: function.at("parameters").clone() })
    };
    tools.as_array().into_iter().flatten().map(read).collect()
}

fn format(format: &Value, tools: &[Tool]) -> Result<Option<Value>, Fault> {
    if format.is_null() {
        return Ok(None);
    }
    only("response_format", format, &["type", "json_schema", "schema"])?;
    match format.at("type").as_str() {
        Some("text") => Ok(None),
        Some("json_object") if !tools.is_empty() => {
            Err(invalid("response_format with type json_object cannot be used with tools"))
        }
        Some("json_object") => Ok(Some(match format.at("json_schema") {
            Value::Null => json!({}),
            schema if schema.at("type") == "object" => schema.clone(),
            _ => return Err(invalid("the json_schema must have an object at its top level")),
        })),
        _ => Err(invalid("response_format.type must be one of text, json_object")),
    }
}

fn conversation(messages: &Value, prompt: &mut Prompt) -> Result<(), Fault> {
    let messages = messages.as_array().filter(|messages| !messages.is_empty());
    let messages =
        messages.ok_or_else(|| invalid("message must be at least 1 token long or tool results must be specified."))?;
    // Calls that have no result yet.
    let mut open: Vec<&str> = Vec::new();
    let mut last = "";
    for (n, message) in messages.iter().enumerate() {
        let path = format!("messages[{n}]");
        let role = message.at("role").as_str().unwrap_or_default();
        if role != "tool" && !open.is_empty() {
            return Err(invalid(&format!("all tool calls must be followed by their results: {}", open.join(", "))));
        }
        let fields: &[&str] = match role {
            "system" | "user" => &["role", "content"],
            "assistant" => &["role", "content", "tool_calls", "tool_plan", "citations"],
            "tool" => &["role", "content", "tool_call_id"],
            _ => return Err(invalid(&format!("{path}.role must be one of user, assistant, system, tool"))),
        };
        only(&path, message, fields)?;
        content(&path, message.at("content"), role, !message.at("tool_calls").is_null())?;
        let said = text(message.at("content"));
        prompt.words += words(&said);
        match role {
            "user" => {
                prompt.question = said;
                prompt.results.clear();
            }
            "assistant" => {
                prompt.results.clear();
                open = calls(&path, message.at("tool_calls"))?;
            }
            "tool" => {
                let id = message.at("tool_call_id").as_str().unwrap_or_default();
                let Some(place) = open.iter().position(|call| *call == id) else {
                    return Err(invalid(&format!("the tool_call_id {id:?} is not among the tool calls before it")));
                };
                open.remove(place);
                prompt.results.push(said);
            }
            _ => {}
        }
        last = role;
    }
    if !open.is_empty() || !matches!(last, "user" | "tool") {
        return Err(invalid("the last message must be of the role user or tool"));
    }
    Ok(())
}

fn content(path: &str, content: &Value, role: &str, calls: bool) -> Result<(), Fault> {
    match content {
        Value::String(text) if !text.is_empty() || role == "tool" => Ok(()),
        Value::Null if role == "assistant" && calls => Ok(()),
        Value::Array(parts) if !parts.is_empty() => {
            for (n, part) in parts.iter().enumerate() {
                let path = format!("{path}.content[{n}]");
                let is_right = match (part.at("type").as_str(), role) {
                    (Some("text"), _) => {
                        only(&path, part, &["type", "text"])?;
                        part.at("text").is_string()
                    }
                    (Some("image_url"), "user") => {
                        only(&path, part, &["type", "image_url"])?;
                        only(&path, part.at("image_url"), &["url", "detail"])?;
                        part.at("image_url").at("url").is_string()
                    }
                    (Some("thinking"), "assistant") => {
                        only(&path, part, &["type", "thinking"])?;
                        part.at("thinking").is_string()
                    }
                    (Some("document"), "tool") => part.at("document").is_object(),
                    _ => false,
                };
                if !is_right {
                    return Err(invalid(&format!("{path} is not valid in a message of the role {role}")));
                }
            }
            Ok(())
        }
        _ => Err(invalid(&format!(
            "{path}: all messages must have content, unless they are an assistant's with tool_calls"
        ))),
    }
}

fn calls<'m>(path: &str, calls: &'m Value) -> Result<Vec<&'m str>, Fault> {
    let read = |call: &'m Value| {
        only(&format!("{path}.tool_calls"), call, &["id", "type", "function"])?;
        only(&format!("{path}.tool_calls.function"), call.at("function"), &["name", "arguments"])?;
        let function = call.at("function");
        match (call.at("id").as_str(), function.at("name").as_str(), function.at("arguments").as_str()) {
            (Some(id), Some(_), Some(_)) if call.at("type") == "function" => Ok(id),
            _ => Err(invalid(&format!(
                "{path}.tool_calls: each needs an id, a type, a name, and arguments that are a text"
            ))),
        }
    };
    calls.as_array().into_iter().flatten().map(read).collect()
}

#[rustfmt::skip]
const FIELDS: &[&str] = &[
    "model", "messages", "stream", "tools", "strict_tools", "documents", "citation_options", "response_format", "safety_mode",
    "max_tokens", "stop_sequences", "temperature", "seed", "frequency_penalty", "presence_penalty", "k", "p", "logprobs",
    "tool_choice", "thinking", "priority",
];
