//! What a Converse request must be, and what the answer takes from it.

use serde_json::{Value, json};

use super::content::{conversation, texts};
use crate::mock::dialect::{Fault, is_name};
use crate::mock::json::{At, unknown};
use crate::mock::model::{Choice, Prompt, Tool, words};

/// Reads a request's body, or says what is wrong with it.
pub fn read(body: &Value, model: &str, stream: bool) -> Result<Prompt, Fault> {
    only("", body, FIELDS)?;
    let config = body.at("inferenceConfig");
    parameters(config)?;
    let system = if body.at("system").is_null() { String::new() } else { texts("system", body.at("system"))? };
    let tools = tools(body.at("toolConfig"))?;
    let choice = choice(body.at("toolConfig"), &tools)?;
    let thinking = thinking(body.at("additionalModelRequestFields"), model, &choice)?;
    let mut prompt = Prompt {
        model: model.to_owned(),
        stream,
        stream_usage: true,
        words: words(&system),
        choice,
        tools,
        parallel: true,
        format: format(body.at("outputConfig"))?,
        limit: config.at("maxTokens").as_u64(),
        stops: config
            .at("stopSequences")
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        thinking,
        choices: 1,
        ..Prompt::default()
    };
    conversation(body.at("messages"), &mut prompt)?;
    Ok(prompt)
}

/// Refuses fields that are not `known`.
pub fn only(path: &str, object: &Value, known: &[&str]) -> Result<(), Fault> {
    if !object.is_object() {
        return Err(Fault::invalid(format!("The value at {path} in the request body is not an object.")));
    }
    unknown(object, known).map_or(Ok(()), |name| {
        Err(Fault::invalid(format!(
            "Malformed input request: #/{path}: extraneous key [{name}] is not permitted, \
            please reformat your input and try again."
        )))
    })
}

/// The only member of a union, and its value.
pub fn union<'v>(path: &str, object: &'v Value, known: &[&str]) -> Result<(&'v str, &'v Value), Fault> {
    only(path, object, known)?;
    let mut members = object.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    match (members.next(), members.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        _ => Err(Fault::invalid(format!("The value at {path} must have exactly one of: {}.", known.join(", ")))),
    }
}

fn parameters(config: &Value) -> Result<(), Fault> {
    if config.is_null() {
        return Ok(());
    }
    only("inferenceConfig", config, &["maxTokens", "temperature", "topP", "stopSequences"])?;
    for name in ["temperature", "topP"] {
        let value = config.at(name);
        if !value.is_null() && !value.as_f64().is_some_and(|value| (0.0..=1.0).contains(&value)) {
            return Err(Fault::invalid(format!(
                "1 validation error detected: Value '{value}' at 'inferenceConfig.{name}' failed to satisfy \
                    constraint: Member must have value less than or equal to 1"
            )));
        }
    }
    if !config.at("maxTokens").is_null() && config.at("maxTokens").as_u64().is_none_or(|limit| limit == 0) {
        return Err(Fault::invalid(
            "1 validation error detected: Value at 'inferenceConfig.maxTokens' failed to satisfy constraint: Member \
                must have value greater than or equal to 1",
        ));
    }
    let blank = |stop: &Value| stop.as_str().is_none_or(str::is_empty);
    if config.at("stopSequences").as_array().is_some_and(|stops| stops.iter().any(blank)) {
        return Err(Fault::invalid(
            "1 validation error detected: Value at 'inferenceConfig.stopSequences' failed to satisfy constraint: \
                Member must have length greater than or equal to 1",
        ));
    }
    Ok(())
}

fn tools(config: &Value) -> Result<Vec<Tool>, Fault> {
    if config.is_null() {
        return Ok(Vec::new());
    }
    only("toolConfig", config, &["tools", "toolChoice"])?;
    let tools = config.at("tools").as_array().filter(|tools| !tools.is_empty());
    let tools = tools.ok_or_else(|| {
        Fault::invalid(
            "1 validation error detected: Value at 'toolConfig.tools' failed \
        to satisfy constraint: Member must have length greater than or equal to 1",
        )
    })?;
    let mut read: Vec<Tool> = Vec::new();
    for (n, tool) in tools.iter().enumerate() {
        let path = format!("toolConfig.tools.{n}");
        let ("toolSpec", spec) = union(&path, tool, &["toolSpec", "systemTool", "cachePoint"])? else { continue };
        let path = format!("{path}.toolSpec");
        only(&path, spec, &["name", "description", "inputSchema", "strict"])?;
        let name = spec.at("name").as_str().unwrap_or_default();
        if !is_name(name, 64) {
            return Err(Fault::invalid(format!(
                "1 validation error detected: Value '{name}' at '{path}.name' failed to satisfy constraint: Member \
                    must satisfy regular expression pattern: [a-zA-Z0-9_-]+"
            )));
        }
        if spec.at("description") == "" {
            return Err(Fault::invalid(format!(
                "1 validation error detected: Value at '{path}.description' failed to satisfy constraint: Member \
                    must have length greater than or equal to 1"
            )));
        }
        let (_, schema) = union(&format!("{path}.inputSchema"), spec.at("inputSchema"), &["json"])?;
        if schema.at("type") != "object" {
            return Err(Fault::invalid(format!(
                "The value at {path}.inputSchema.json.type must be one of the following: object."
            )));
        }
        if read.iter().any(|tool| tool.name == name) {
            return Err(Fault::invalid(format!("The tool config contains duplicate tool names: {name}")));
        }
        read.push(Tool { name: name.to_owned(), schema: schema.clone() });
    }
    Ok(read)
}

fn choice(config: &Value, tools: &[Tool]) -> Result<Choice, Fault> {
    if config.at("toolChoice").is_null() {
        return Ok(Choice::Auto);
    }
    let (kind, inner) = union("toolConfig.toolChoice", config.at("toolChoice"), &["auto", "any", "tool"])?;
    match kind {
        "auto" => only("toolConfig.toolChoice.auto", inner, &[]).map(|()| Choice::Auto),
        "any" => only("toolConfig.toolChoice.any", inner, &[]).map(|()| Choice::Required),
        _ => {
            only("toolConfig.toolChoice.tool", inner, &["name"])?;
            let name = inner.at("name").as_str().unwrap_or_default();
            if !tools.iter().any(|tool| tool.name == name) {
                return Err(Fault::invalid(format!("The tool {name} in toolChoice is not in toolConfig.tools.")));
            }
            Ok(Choice::Named(name.to_owned()))
        }
    }
}

/// Each vendor's models have words of their own for it.
fn thinking(fields: &Value, model: &str, choice: &Choice) -> Result<bool, Fault> {
    if !matches!(fields, Value::Null | Value::Object(_)) {
        return Err(Fault::invalid("additionalModelRequestFields must be an object"));
    }
    if model.contains("anthropic.") {
        let thinking = fields.at("thinking");
        let on = matches!(thinking.at("type").as_str(), Some("enabled" | "adaptive"));
        if thinking.at("type") == "enabled" && thinking.at("budget_tokens").as_u64().is_none_or(|budget| budget < 1024)
        {
            return Err(Fault::invalid(
                "The model returned the following errors: thinking.enabled.budget_tokens: Input should be greater \
                    than or equal to 1024",
            ));
        }
        if on && matches!(choice, Choice::Required | Choice::Named(_)) {
            return Err(Fault::invalid(
                "The model returned the following errors: Thinking may not be enabled when tool_choice forces tool \
                    use.",
            ));
        }
        if let Some(name) = unknown(fields, CLAUDE) {
            return Err(Fault::invalid(format!(
                "The model returned the following errors: {name}: Extra inputs are not permitted"
            )));
        }
        return Ok(on);
    }
    let nova = fields.at("reasoningConfig").at("type") == "enabled";
    let effort = matches!(fields.at("reasoning_effort").as_str(), Some("low" | "medium" | "high"));
    Ok(nova || effort)
}

fn format(config: &Value) -> Result<Option<Value>, Fault> {
    if config.is_null() {
        return Ok(None);
    }
    only("outputConfig", config, &["textFormat"])?;
    let format = config.at("textFormat");
    only("outputConfig.textFormat", format, &["type", "structure"])?;
    if format.at("type") != "json_schema" {
        return Err(Fault::invalid(
            "Value at 'outputConfig.textFormat.type' failed to satisfy constraint: Member must satisfy enum value \
                set: [json_schema]",
        ));
    }
    let (_, schema) = union("outputConfig.textFormat.structure", format.at("structure"), &["jsonSchema"])?;
    only("outputConfig.textFormat.structure.jsonSchema", schema, &["schema", "name", "description"])?;
    let text = schema.at("schema").as_str().unwrap_or_default();
    match serde_json::from_str::<Value>(text) {
        Ok(schema) if schema.is_object() => Ok(Some(schema)),
        _ => Err(Fault::invalid(json!({"invalid JSON schema": text}).to_string())),
    }
}

#[rustfmt::skip]
const FIELDS: &[&str] = &[
    "messages", "system", "inferenceConfig", "toolConfig", "guardrailConfig", "additionalModelRequestFields", "promptVariables",
    "additionalModelResponseFieldPaths", "requestMetadata", "performanceConfig", "serviceTier", "outputConfig",
];
/// What Claude's models take besides.
const CLAUDE: &[&str] = &["thinking", "top_k", "anthropic_beta", "tool_choice", "output_config", "metadata", "tools"];
