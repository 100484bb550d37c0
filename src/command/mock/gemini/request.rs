//! What a generateContent request must be, and what the answer takes from it.

use serde_json::{Value, json};

use super::contents::{conversation, text_of};
use crate::mock::dialect::{Fault, is_name};
use crate::mock::json::{At, unknown};
use crate::mock::model::{Choice, Prompt, Tool, words};

/// Reads a request's body, or says what is wrong with it.
pub fn read(body: &Value, model: &str, stream: bool, vertex: bool) -> Result<Prompt, Fault> {
    only("", body, if vertex { VERTEX_FIELDS } else { FIELDS })?;
    let config = body.at("generationConfig");
    parameters(config, model)?;
    let tools = tools(body.at("tools"))?;
    let system = body.at("systemInstruction");
    if !system.is_null() {
        only("system_instruction", system, &["role", "parts"])?;
    }
    let system: Vec<&str> = system.at("parts").as_array().into_iter().flatten().filter_map(text_of).collect();
    let mut prompt = Prompt {
        model: model.to_owned(),
        stream,
        stream_usage: true,
        words: system.iter().map(|text| words(text)).sum(),
        choice: choice(body, &tools)?,
        tools,
        parallel: true,
        format: format(config)?,
        limit: config.at("maxOutputTokens").as_u64(),
        stops: config
            .at("stopSequences")
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        thinking: config.at("thinkingConfig").at("includeThoughts") == true,
        choices: config.at("candidateCount").as_u64().unwrap_or(1) as usize,
        ..Prompt::default()
    };
    if prompt.format.is_some() && !prompt.tools.is_empty() && !is_third(model) {
        return Err(Fault::invalid("Function calling with a response mime type: 'application/json' is unsupported"));
    }
    conversation(body.at("contents"), vertex, &mut prompt)?;
    Ok(prompt)
}

/// Whether a model is of the third generation, which insists on signatures.
pub fn is_third(model: &str) -> bool {
    model.starts_with("gemini-3")
}

/// Refuses fields that are not `known`.
pub fn only(path: &str, object: &Value, known: &[&str]) -> Result<(), Fault> {
    if !object.is_object() {
        return Err(Fault::invalid(format!("Invalid value at '{path}' (type.googleapis.com), {object}")));
    }
    unknown(object, known).map_or(Ok(()), |name| {
        let place = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
        Err(Fault::invalid(format!(
            "Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."
        )))
    })
}

fn parameters(config: &Value, model: &str) -> Result<(), Fault> {
    if config.is_null() {
        return Ok(());
    }
    only("generation_config", config, CONFIG)?;
    for (name, least, most) in
        [("temperature", 0.0, 2.0), ("topP", 0.0, 1.0), ("presencePenalty", -2.0, 2.0), ("frequencyPenalty", -2.0, 2.0)]
    {
        let value = config.at(name);
        if !value.is_null() && !value.as_f64().is_some_and(|value| (least..=most).contains(&value)) {
            return Err(Fault::invalid(format!(
                "Unable to submit request because it has a {name} value of {value} but the supported range is from \
                    {least} to {most}."
            )));
        }
    }
    for (name, most) in [("maxOutputTokens", u64::MAX), ("candidateCount", 8), ("topK", u64::MAX)] {
        let value = config.at(name);
        if !value.is_null() && value.as_u64().is_none_or(|value| value == 0 || value > most) {
            return Err(Fault::invalid(format!("Invalid value at 'generation_config.{name}' (TYPE_INT32), {value}")));
        }
    }
    if !config.at("seed").is_null() && config.at("seed").as_i64().is_none_or(|seed| i32::try_from(seed).is_err()) {
        return Err(Fault::invalid(format!(
            "Invalid value at 'generation_config.seed' (TYPE_INT32), {}",
            config.at("seed")
        )));
    }
    if config.at("stopSequences").as_array().is_some_and(|stops| stops.len() > 5) {
        return Err(Fault::invalid("The number of stop sequences must be at most 5."));
    }
    thinking(config.at("thinkingConfig"), model)
}

fn thinking(thinking: &Value, model: &str) -> Result<(), Fault> {
    if thinking.is_null() {
        return Ok(());
    }
    only("generation_config.thinking_config", thinking, &["includeThoughts", "thinkingBudget", "thinkingLevel"])?;
    let knows = is_third(model) || model.starts_with("gemini-2.5");
    if !knows && thinking.at("thinkingBudget") != 0 {
        return Err(Fault::invalid("Thinking is not enabled for this model."));
    }
    let level = thinking.at("thinkingLevel");
    if !level.is_null() && !is_third(model) {
        return Err(Fault::invalid("Thinking level is not supported for this model."));
    }
    if !matches!(
        level.as_str(),
        None | Some("minimal" | "low" | "medium" | "high" | "MINIMAL" | "LOW" | "MEDIUM" | "HIGH")
    ) {
        return Err(Fault::invalid(format!(
            "Invalid value at 'generation_config.thinking_config.thinking_level', {level}"
        )));
    }
    if !level.is_null() && !thinking.at("thinkingBudget").is_null() {
        return Err(Fault::invalid("You can only set only one of thinking budget and thinking level."));
    }
    let budget = thinking.at("thinkingBudget");
    let (least, most) = match model {
        model if model.contains("pro") => (128, 32_768),
        model if model.contains("lite") => (512, 24_576),
        _ => (0, 24_576),
    };
    let off = budget == 0 && !model.contains("pro") || budget == -1;
    if !budget.is_null() && !off && !budget.as_u64().is_some_and(|budget| (least..=most).contains(&budget)) {
        return Err(Fault::invalid(format!(
            "The thinking budget {budget} is invalid. Please choose a value between {least} and {most}."
        )));
    }
    Ok(())
}

fn tools(tools: &Value) -> Result<Vec<Tool>, Fault> {
    let mut read: Vec<Tool> = Vec::new();
    for (n, tool) in tools.as_array().into_iter().flatten().enumerate() {
        only(&format!("tools[{n}]"), tool, TOOL)?;
        for (k, function) in tool.at("functionDeclarations").as_array().into_iter().flatten().enumerate() {
            let path = format!("tools[{n}].function_declarations[{k}]");
            only(&path, function, FUNCTION)?;
            let name = function.at("name").as_str().unwrap_or_default();
            let plain = name.replace(['.', ':'], "_");
            if !is_name(&plain, 128) || !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
                return Err(Fault::invalid(format!(
                    "Invalid function name at '{path}.name'. Must start with a letter or an underscore."
                )));
            }
            if read.iter().any(|tool| tool.name == name) {
                return Err(Fault::invalid(format!("Duplicate function declaration found: {name}")));
            }
            let (json, open_api) = (function.at("parametersJsonSchema"), function.at("parameters"));
            if !json.is_null() && !open_api.is_null() {
                return Err(Fault::invalid("Only one of `parameters` or `parameters_json_schema` may be set."));
            }
            if !open_api.is_null() {
                schema(&format!("{path}.parameters"), open_api)?;
            }
            let schema = [json, open_api].into_iter().find(|schema| !schema.is_null()).cloned();
            if schema.as_ref().is_some_and(|schema| {
                !schema.at("type").as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("object"))
            }) {
                return Err(Fault::invalid(format!("{path}.parameters.type: should be OBJECT")));
            }
            read.push(Tool { name: name.to_owned(), schema: schema.unwrap_or(json!({"type": "object"})) });
        }
    }
    Ok(read)
}

/// A schema in the words of OpenAPI, which has no others.
fn schema(path: &str, of: &Value) -> Result<(), Fault> {
    only(path, of, SCHEMA)?;
    for (name, property) in of.at("properties").as_object().into_iter().flatten() {
        schema(&format!("{path}.properties[{name}]"), property)?;
    }
    if !of.at("items").is_null() {
        schema(&format!("{path}.items"), of.at("items"))?;
    }
    Ok(())
}

fn choice(body: &Value, tools: &[Tool]) -> Result<Choice, Fault> {
    let config = body.at("toolConfig");
    if config.is_null() {
        return Ok(Choice::Auto);
    }
    only("tool_config", config, &["functionCallingConfig", "retrievalConfig"])?;
    let calling = config.at("functionCallingConfig");
    only("tool_config.function_calling_config", calling, &["mode", "allowedFunctionNames"])?;
    if tools.is_empty() {
        return Err(Fault::invalid("Function calling config is set without function_declarations."));
    }
    let allowed: Vec<&str> =
        calling.at("allowedFunctionNames").as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(name) = allowed.iter().find(|name| !tools.iter().any(|tool| tool.name == **name)) {
        return Err(Fault::invalid(format!("allowed_function_names contains {name}, which is not declared.")));
    }
    match calling.at("mode").as_str() {
        Some("ANY" | "VALIDATED") => Ok(match allowed.as_slice() {
            [only] => Choice::Named((*only).to_owned()),
            _ => Choice::Required,
        }),
        _ if !allowed.is_empty() => Err(Fault::invalid("allowed_function_names should only be set when mode is ANY.")),
        None | Some("AUTO" | "MODE_UNSPECIFIED") => Ok(Choice::Auto),
        Some("NONE") => Ok(Choice::None),
        Some(mode) => Err(Fault::invalid(format!(
            "Invalid value at 'tool_config.function_calling_config.mode' \
                (type.googleapis.com/google.ai.generativelanguage.v1beta.FunctionCallingConfig.Mode), \"{mode}\""
        ))),
    }
}

fn format(config: &Value) -> Result<Option<Value>, Fault> {
    let (json, open_api) = (config.at("responseJsonSchema"), config.at("responseSchema"));
    let mime = config.at("responseMimeType").as_str().unwrap_or("text/plain");
    if mime != "application/json" && !(json.is_null() && open_api.is_null()) && mime != "text/x.enum" {
        return Err(Fault::invalid("response_schema is only supported with response_mime_type 'application/json'."));
    }
    if !open_api.is_null() {
        schema("generation_config.response_schema", open_api)?;
    }
    match mime {
        "text/plain" => Ok(None),
        "application/json" => {
            Ok(Some([json, open_api].into_iter().find(|schema| !schema.is_null()).cloned().unwrap_or(json!({}))))
        }
        other => Err(Fault::invalid(format!(
            "* GenerateContentRequest.generation_config.response_mime_type: unsupported response mime type {other}"
        ))),
    }
}

const FIELDS: &[&str] = &[
    "contents",
    "systemInstruction",
    "generationConfig",
    "tools",
    "toolConfig",
    "safetySettings",
    "cachedContent",
    "serviceTier",
    "store",
];
const VERTEX_FIELDS: &[&str] = &[
    "contents",
    "systemInstruction",
    "generationConfig",
    "tools",
    "toolConfig",
    "safetySettings",
    "cachedContent",
    "labels",
    "modelArmorConfig",
];
#[rustfmt::skip]
const CONFIG: &[&str] = &[
    "stopSequences", "responseMimeType", "responseSchema", "responseJsonSchema", "responseModalities", "candidateCount",
    "maxOutputTokens", "temperature", "topP", "topK", "seed", "presencePenalty", "frequencyPenalty", "responseLogprobs",
    "logprobs", "enableEnhancedCivicAnswers", "speechConfig", "thinkingConfig", "imageConfig", "mediaResolution",
];
const TOOL: &[&str] = &[
    "functionDeclarations",
    "googleSearch",
    "googleSearchRetrieval",
    "codeExecution",
    "urlContext",
    "googleMaps",
    "computerUse",
    "fileSearch",
];
const FUNCTION: &[&str] =
    &["name", "description", "behavior", "parameters", "parametersJsonSchema", "response", "responseJsonSchema"];
#[rustfmt::skip]
const SCHEMA: &[&str] = &[
    "type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required",
    "minProperties", "maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf", "propertyOrdering", "default",
    "items", "minimum", "maximum",
];
