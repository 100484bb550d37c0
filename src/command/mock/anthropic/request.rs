//! What a messages request must be, and what the answer takes from it.

use serde_json::Value;

use super::content::{conversation, texts};
use crate::mock::dialect::{Fault, is_name};
use crate::mock::json::At;
use crate::mock::model::{Choice, Prompt, Tool, words};

/// Reads a request's body, or says what is wrong with it. `beta` tells whether the client asked for what is not public.
pub fn read(body: &Value, model: &str, beta: bool) -> Result<Prompt, Fault> {
    only("", body, FIELDS, if beta { BETA_FIELDS } else { &[] })?;
    if body.at("model").as_str().is_none_or(str::is_empty) {
        return Err(refuse("model", REQUIRED));
    }
    let limit = match body.at("max_tokens") {
        Value::Null => return Err(refuse("max_tokens", REQUIRED)),
        value => value.as_u64().filter(|limit| *limit > 0),
    };
    let limit = limit.ok_or_else(|| refuse("max_tokens", "Input should be greater than or equal to 1"))?;
    parameters(body)?;
    let system = if body.at("system").is_null() { String::new() } else { texts("system", body.at("system"))? };
    let tools = tools(body.at("tools"))?;
    let choice = choice(body.at("tool_choice"), &tools)?;
    let thinking = thinking(body, limit, &choice)?;
    let mut prompt = Prompt {
        model: model.to_owned(),
        stream: body.at("stream") == true,
        stream_usage: true,
        words: words(&system),
        tools,
        choice,
        parallel: body.at("tool_choice").at("disable_parallel_tool_use") != true,
        format: format(body)?,
        limit: Some(limit),
        stops: stops(body.at("stop_sequences"))?,
        thinking,
        choices: 1,
        ..Prompt::default()
    };
    let messages = body.at("messages").as_array().ok_or_else(|| refuse("messages", REQUIRED))?;
    conversation(messages, body.at("thinking").at("type") == "enabled", &mut prompt)?;
    Ok(prompt)
}

/// Refuses fields that are neither in `known` nor in `more`.
pub fn only(path: &str, object: &Value, known: &[&str], more: &[&str]) -> Result<(), Fault> {
    let fields = object.as_object().ok_or_else(|| refuse(path, "Input should be an object"))?;
    match fields.keys().find(|key| !known.contains(&key.as_str()) && !more.contains(&key.as_str())) {
        Some(key) => Err(refuse(&format!("{path}{}{key}", if path.is_empty() { "" } else { "." }), EXTRA)),
        None => Ok(()),
    }
}

/// The provider's way to say what is wrong where.
pub fn refuse(path: &str, message: &str) -> Fault {
    Fault::invalid(format!("{path}: {message}"))
}

fn parameters(body: &Value) -> Result<(), Fault> {
    for name in ["temperature", "top_p"] {
        let value = body.at(name);
        if !value.is_null() && !value.as_f64().is_some_and(|value| (0.0..=1.0).contains(&value)) {
            return Err(refuse(name, "range: 0..1"));
        }
    }
    if !matches!(body.at("stream"), Value::Null | Value::Bool(_)) {
        return Err(refuse("stream", "Input should be a valid boolean"));
    }
    if !body.at("top_k").is_null() && body.at("top_k").as_u64().is_none() {
        return Err(refuse("top_k", "Input should be a valid integer"));
    }
    if !body.at("metadata").is_null() {
        only("metadata", body.at("metadata"), &["user_id"], &[])?;
    }
    if !matches!(body.at("service_tier").as_str(), None | Some("auto" | "standard_only")) {
        return Err(refuse("service_tier", "Input should be 'auto' or 'standard_only'"));
    }
    Ok(())
}

fn stops(stops: &Value) -> Result<Vec<String>, Fault> {
    if stops.is_null() {
        return Ok(Vec::new());
    }
    let stops = stops.as_array().ok_or_else(|| refuse("stop_sequences", "Input should be a valid list"))?;
    let read = |(n, stop): (usize, &Value)| match stop.as_str() {
        Some(stop) if !stop.trim().is_empty() => Ok(stop.to_owned()),
        Some(_) => Err(refuse("stop_sequences", "each stop sequence must contain non-whitespace")),
        None => Err(refuse(&format!("stop_sequences.{n}"), "Input should be a valid string")),
    };
    stops.iter().enumerate().map(read).collect()
}

fn tools(tools: &Value) -> Result<Vec<Tool>, Fault> {
    if tools.is_null() {
        return Ok(Vec::new());
    }
    let tools = tools.as_array().ok_or_else(|| refuse("tools", "Input should be a valid list"))?;
    let mut read: Vec<Tool> = Vec::new();
    for (n, tool) in tools.iter().enumerate() {
        // Those that the provider runs itself are named by type and date, and have fields of their own.
        if !matches!(tool.at("type").as_str(), None | Some("custom")) {
            continue;
        }
        let path = |field: &str| format!("tools.{n}.custom{field}");
        only(&path(""), tool, TOOL_FIELDS, &[])?;
        let name = tool.at("name").as_str().ok_or_else(|| refuse(&path(".name"), REQUIRED))?;
        if !is_name(name, 128) {
            return Err(refuse(&path(".name"), "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"));
        }
        if tool.at("input_schema").is_null() {
            return Err(refuse(&path(".input_schema"), REQUIRED));
        }
        match tool.at("input_schema").at("type").as_str() {
            Some("object") => {}
            None => return Err(refuse(&path(".input_schema.type"), REQUIRED)),
            Some(_) => {
                return Err(refuse(&path(".input_schema.type"), "Input should be 'object'"));
            }
        }
        if read.iter().any(|tool| tool.name == name) {
            return Err(refuse("tools", "Tool names must be unique."));
        }
        read.push(Tool { name: name.to_owned(), schema: tool.at("input_schema").clone() });
    }
    Ok(read)
}

fn choice(choice: &Value, tools: &[Tool]) -> Result<Choice, Fault> {
    if choice.is_null() {
        return Ok(Choice::Auto);
    }
    if tools.is_empty() {
        return Err(refuse("tool_choice", "tool_choice may only be specified while providing tools"));
    }
    let (tag, fields, read): (_, &[&str], _) = match choice.at("type").as_str() {
        Some("auto") => ("auto", &["type", "disable_parallel_tool_use"], Choice::Auto),
        Some("any") => ("any", &["type", "disable_parallel_tool_use"], Choice::Required),
        Some("none") => ("none", &["type"], Choice::None),
        Some("tool") => {
            let name = choice.at("name").as_str().ok_or_else(|| refuse("tool_choice.tool.name", REQUIRED))?;
            if !tools.iter().any(|tool| tool.name == name) {
                return Err(Fault::invalid(format!("Tool '{name}' not found in provided tools")));
            }
            ("tool", &["type", "name", "disable_parallel_tool_use"], Choice::Named(name.to_owned()))
        }
        _ => {
            let message = "Input tag does not match any of the expected tags: 'any', 'auto', 'none', 'tool'";
            return Err(refuse("tool_choice", message));
        }
    };
    only(&format!("tool_choice.{tag}"), choice, fields, &[])?;
    Ok(read)
}

fn thinking(body: &Value, limit: u64, choice: &Choice) -> Result<bool, Fault> {
    let thinking = body.at("thinking");
    match thinking.at("type").as_str() {
        None if thinking.is_null() => return Ok(false),
        Some("disabled") => {
            return only("thinking.disabled", thinking, &["type"], &[]).map(|()| false);
        }
        Some("adaptive") => only("thinking.adaptive", thinking, &["type", "display"], &[])?,
        Some("enabled") => {
            only("thinking.enabled", thinking, &["type", "budget_tokens", "display"], &[])?;
            let path = "thinking.enabled.budget_tokens";
            let budget = thinking.at("budget_tokens").as_u64().ok_or_else(|| refuse(path, REQUIRED))?;
            if budget < 1024 {
                return Err(refuse(path, "Input should be greater than or equal to 1024"));
            }
            if budget >= limit {
                return Err(Fault::invalid("`max_tokens` must be greater than `thinking.budget_tokens`."));
            }
        }
        _ => {
            let message = "Input tag does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'";
            return Err(refuse("thinking", message));
        }
    }
    if body.at("temperature").as_f64().is_some_and(|temperature| temperature != 1.0) {
        return Err(Fault::invalid("`temperature` may only be set to 1 when thinking is enabled."));
    }
    if body.at("top_p").as_f64().is_some_and(|top_p| top_p < 0.95) {
        return Err(Fault::invalid("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled."));
    }
    if !body.at("top_k").is_null() {
        return Err(Fault::invalid("`top_k` must be unset when thinking is enabled."));
    }
    if matches!(choice, Choice::Required | Choice::Named(_)) {
        return Err(Fault::invalid("Thinking may not be enabled when tool_choice forces tool use."));
    }
    Ok(true)
}

fn format(body: &Value) -> Result<Option<Value>, Fault> {
    if !body.at("output_config").is_null() {
        only("output_config", body.at("output_config"), &["format", "effort"], &[])?;
    }
    let (path, format) = match body.at("output_config").at("format") {
        Value::Null => ("output_format", body.at("output_format")),
        format => ("output_config.format", format),
    };
    if format.is_null() {
        return Ok(None);
    }
    only(path, format, &["type", "schema"], &[])?;
    if format.at("type") != "json_schema" {
        return Err(refuse(&format!("{path}.type"), "Input should be 'json_schema'"));
    }
    let schema = format.at("schema");
    if !schema.is_object() {
        return Err(refuse(&format!("{path}.schema"), REQUIRED));
    }
    if schema.at("type") == "object" && schema.at("additionalProperties") != false {
        let message = "For 'object' type, 'additionalProperties' must be explicitly set to false";
        return Err(refuse(&format!("{path}.schema"), message));
    }
    Ok(Some(schema.clone()))
}

pub const REQUIRED: &str = "Field required";
const EXTRA: &str = "Extra inputs are not permitted";

#[rustfmt::skip]
const FIELDS: &[&str] = &[
    "model", "messages", "max_tokens", "system", "metadata", "stop_sequences", "stream", "temperature", "top_k", "top_p",
    "tools", "tool_choice", "thinking", "service_tier", "output_config", "cache_control", "inference_geo",
];
const BETA_FIELDS: &[&str] = &["container", "context_management", "mcp_servers", "output_format", "speed"];
#[rustfmt::skip]
const TOOL_FIELDS: &[&str] = &[
    "type", "name", "description", "input_schema", "cache_control", "strict", "allowed_callers", "defer_loading",
    "input_examples", "eager_input_streaming",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(more: Value) -> Value {
        let mut body = json!({"model": "c", "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    }

    #[track_caller]
    fn refuses(more: Value, expected: &str) {
        match read(&asked(more), "c", false) {
            Err(Fault::Invalid { message, .. }) => {
                assert!(message.starts_with(expected), "{message}")
            }
            other => panic!("{expected}: {other:?}"),
        }
    }

    #[test]
    fn what_the_answer_depends_on_is_read() {
        let body = asked(json!({
            "system": [{"type": "text", "text": "be brief"}], "stream": true, "stop_sequences": ["x"],
            "tools": [{"name": "f", "input_schema": {"type": "object"}}, {"type": "web_search_20250305", "name": "web_search"}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        }));
        let prompt = read(&body, "claude", false).unwrap();
        assert_eq!((prompt.words, prompt.stream, prompt.parallel, prompt.limit), (3, true, false, Some(4096)));
        assert_eq!((prompt.tools.len(), prompt.choice, prompt.stops), (1, Choice::Required, vec!["x".to_owned()]));
    }

    #[test]
    fn fields_are_checked() {
        refuses(json!({"n": 1}), "n: Extra inputs are not permitted");
        refuses(json!({"output_format": {}}), "output_format: Extra inputs");
        refuses(json!({"max_tokens": null}), "max_tokens: Field required");
        refuses(json!({"max_tokens": 0}), "max_tokens: Input should be greater");
        refuses(json!({"temperature": 1.5}), "temperature: range: 0..1");
        refuses(json!({"metadata": {"user": "x"}}), "metadata.user: Extra inputs");
        refuses(json!({"stop_sequences": [" "]}), "stop_sequences: each stop sequence");
        refuses(
            json!({"output_config": {"format": {"type": "json_schema"}}}),
            "output_config.format.schema: Field required",
        );
        assert!(read(&asked(json!({"output_format": {"type": "json_schema", "schema": {}}})), "c", true).is_ok());
    }

    #[test]
    fn tools_are_checked() {
        let tool = |name: &str| json!({"name": name, "input_schema": {"type": "object"}});
        refuses(json!({"tools": [tool("a b")]}), "tools.0.custom.name: String should match");
        refuses(json!({"tools": [tool("a"), tool("a")]}), "tools: Tool names must be unique");
        refuses(json!({"tools": [{"name": "a"}]}), "tools.0.custom.input_schema: Field required");
        refuses(json!({"tools": [{"name": "a", "input_schema": {}}]}), "tools.0.custom.input_schema.type: Field");
        refuses(json!({"tools": [{"name": "a", "parameters": {}}]}), "tools.0.custom.parameters: Extra inputs");
        refuses(json!({"tool_choice": {"type": "auto"}}), "tool_choice: tool_choice may only");
        refuses(json!({"tools": [tool("a")], "tool_choice": "auto"}), "tool_choice: Input tag");
        refuses(
            json!({"tools": [tool("a")], "tool_choice": {"type": "tool"}}),
            "tool_choice.tool.name: Field required",
        );
        refuses(json!({"tools": [tool("a")], "tool_choice": {"type": "tool", "name": "b"}}), "Tool 'b' not found");
        let none = json!({"type": "none", "disable_parallel_tool_use": true});
        refuses(
            json!({"tools": [tool("a")], "tool_choice": none}),
            "tool_choice.none.disable_parallel_tool_use: Extra",
        );
    }

    #[test]
    fn thinking_is_checked() {
        let enabled = |budget: u64| json!({"type": "enabled", "budget_tokens": budget});
        refuses(json!({"thinking": enabled(1000)}), "thinking.enabled.budget_tokens: Input should be greater");
        refuses(json!({"thinking": enabled(4096)}), "`max_tokens` must be greater");
        refuses(json!({"thinking": {"type": "enabled"}}), "thinking.enabled.budget_tokens: Field required");
        refuses(
            json!({"thinking": {"type": "adaptive", "budget_tokens": 2000}}),
            "thinking.adaptive.budget_tokens: Extra",
        );
        refuses(json!({"thinking": enabled(1024), "temperature": 0.5}), "`temperature` may only");
        refuses(json!({"thinking": enabled(1024), "top_k": 5}), "`top_k` must be unset");
        let tools = json!([{"name": "a", "input_schema": {"type": "object"}}]);
        let forced = json!({"thinking": enabled(1024), "tools": tools, "tool_choice": {"type": "any"}});
        refuses(forced, "Thinking may not be enabled");
        assert!(read(&asked(json!({"thinking": enabled(1024), "temperature": 1})), "c", false).unwrap().thinking);
    }
}
