//! The turns of a request: their parts one by one, and calls of functions against their results.

use serde_json::Value;

use super::SIGNATURE;
use super::request::{is_third, only};
use crate::mock::dialect::Fault;
use crate::mock::json::{At, is_base64};
use crate::mock::model::{Prompt, words};
use crate::mock::random::is_sealed;

/// Checks the turns, and adds what they say to the prompt.
pub fn conversation(contents: &Value, vertex: bool, prompt: &mut Prompt) -> Result<(), Fault> {
    let turns = contents.as_array().map(Vec::as_slice).unwrap_or_default();
    if turns.is_empty() {
        return Err(Fault::invalid("* GenerateContentRequest.contents: contents is not specified"));
    }
    // Names of the calls that this turn must answer.
    let mut open: Vec<&str> = Vec::new();
    let mut before = "";
    // The current turn begins with what the user said last; what came before it may be without signatures.
    let said_last = turns.iter().rposition(is_said_by_user).unwrap_or_default();
    for (n, turn) in turns.iter().enumerate() {
        let path = format!("contents[{n}]");
        only(&path, turn, &["role", "parts"])?;
        let role = match turn.at("role").as_str() {
            None | Some("user" | "function") => "user",
            Some("model") => "model",
            Some(_) => return Err(Fault::invalid("Please use a valid role: user, model.")),
        };
        let parts = turn.at("parts").as_array().map(Vec::as_slice).unwrap_or_default();
        if parts.is_empty() {
            return Err(Fault::invalid(format!(
                "* GenerateContentRequest.{path}.parts: contents.parts must not be empty."
            )));
        }
        for (k, part) in parts.iter().enumerate() {
            check(&format!("{path}.parts[{k}]"), part, role, vertex)?;
        }
        let calls: Vec<&Value> =
            parts.iter().map(|part| part.at("functionCall")).filter(|call| !call.is_null()).collect();
        let results: Vec<&Value> =
            parts.iter().map(|part| part.at("functionResponse")).filter(|result| !result.is_null()).collect();
        if !calls.is_empty() && before != "user" {
            return Err(Fault::invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a function \
                    response turn.",
            ));
        }
        if results.len() != open.len() {
            return Err(Fault::invalid(if open.is_empty() {
                "Please ensure that function response turn comes immediately after a function call turn."
            } else {
                "Please ensure that the number of function response parts is equal to the number of function call \
                    parts of the function call turn."
            }));
        }
        for result in &results {
            let name = result.at("name").as_str().unwrap_or_default();
            let Some(place) = open.iter().position(|call| *call == name) else {
                return Err(Fault::invalid(format!("No function call found for function response {name}.")));
            };
            open.remove(place);
        }
        open = calls.iter().filter_map(|call| call.at("name").as_str()).collect();
        let signed =
            parts.iter().find(|part| !part.at("functionCall").is_null()).map(|part| part.at("thoughtSignature"));
        if n > said_last && is_third(&prompt.model) && signed.is_some_and(Value::is_null) {
            let name = open.first().copied().unwrap_or_default();
            return Err(Fault::invalid(format!(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to \
                    work correctly, and missing thought_signature may lead to degraded model performance. \
                    Additional data, function call `default_api:{name}`, position {n}."
            )));
        }
        add(parts, role, &results, prompt);
        before = role;
    }
    if !open.is_empty() {
        return Err(Fault::invalid(
            "Please ensure that single turn requests end with a user role or the role field is empty.",
        ));
    }
    if before == "model" {
        return Err(Fault::invalid("Please ensure that multiturn requests end with a user role."));
    }
    Ok(())
}

/// The text of a part that is no thought.
pub fn text_of(part: &Value) -> Option<&str> {
    part.at("text").as_str().filter(|_| part.at("thought") != true)
}

fn is_said_by_user(turn: &Value) -> bool {
    let is_result = |part: &Value| !part.at("functionResponse").is_null();
    turn.at("role") != "model" && !turn.at("parts").as_array().is_some_and(|parts| parts.iter().any(is_result))
}

fn add(parts: &[Value], role: &str, results: &[&Value], prompt: &mut Prompt) {
    let said: Vec<&str> = parts.iter().filter_map(text_of).collect();
    let said = said.join("\n");
    prompt.words += words(&said);
    if role == "model" {
        prompt.results.clear();
        return;
    }
    for result in results {
        // What is no JSON object comes in one, under a name of the client's.
        let response = result.at("response");
        let only = response.as_object().filter(|object| object.len() == 1).and_then(|object| object.values().next());
        let text = only.and_then(Value::as_str).map_or_else(|| response.to_string(), str::to_owned);
        prompt.words += words(&text);
        prompt.results.push(text);
    }
    if results.is_empty() {
        prompt.question = said;
        prompt.results.clear();
    }
}

fn check(path: &str, part: &Value, role: &str, vertex: bool) -> Result<(), Fault> {
    only(path, part, PART)?;
    let data: Vec<&str> = DATA.iter().copied().filter(|name| part.get(name).is_some()).collect();
    let [kind] = data.as_slice() else {
        return Err(Fault::invalid(format!(
            "* GenerateContentRequest.{path}.data: required oneof field 'data' must have one initialized field"
        )));
    };
    let inner = part.at(kind);
    let path = format!("{path}.{kind}");
    match *kind {
        "text" if inner.is_string() => {}
        "inlineData" => {
            only(&path, inner, &["mimeType", "data", "displayName"])?;
            if !inner.at("mimeType").as_str().is_some_and(|mime| mime.contains('/')) {
                return Err(Fault::invalid(format!("Unsupported MIME type: {}", inner.at("mimeType"))));
            }
            if !inner.at("data").as_str().is_some_and(|data| !data.is_empty() && is_base64(data)) {
                return Err(Fault::invalid(format!(
                    "Invalid value at '{path}.data' (TYPE_BYTES), Base64 decoding failed"
                )));
            }
        }
        "fileData" => {
            only(&path, inner, &["mimeType", "fileUri", "displayName"])?;
            if !inner.at("fileUri").as_str().is_some_and(|uri| uri.contains("://")) {
                return Err(Fault::invalid("Invalid or unsupported file uri"));
            }
        }
        "functionCall" if role == "model" => {
            only(&path, inner, if vertex { &["name", "args"] } else { &["id", "name", "args"] })?;
            named(&path, inner, "args")?;
        }
        "functionResponse" if role == "user" => {
            let own: &[&str] = if vertex {
                &["name", "response", "parts"]
            } else {
                &["id", "name", "response", "parts", "willContinue", "scheduling"]
            };
            only(&path, inner, own)?;
            named(&path, inner, "response")?;
        }
        "executableCode" | "codeExecutionResult" => {}
        _ => return Err(Fault::invalid(format!("Invalid value at '{path}': not in a turn of {role}"))),
    }
    match part.at("thoughtSignature").as_str() {
        None if part.at("thoughtSignature").is_null() => Ok(()),
        Some(NO_SIGNATURE) => Ok(()),
        Some(signature) if is_sealed(SIGNATURE, signature) && is_base64(signature) => Ok(()),
        _ => Err(Fault::invalid("Corrupted thought signature.")),
    }
}

/// A name, and a `Struct` under `object`, which may be left out.
fn named(path: &str, inner: &Value, object: &str) -> Result<(), Fault> {
    if inner.at("name").as_str().is_none_or(str::is_empty) {
        return Err(Fault::invalid(format!("* GenerateContentRequest.{path}.name: Name cannot be empty.")));
    }
    if !matches!(inner.at(object), Value::Null | Value::Object(_)) {
        return Err(Fault::invalid(format!(
            "Invalid value at '{path}.{object}' (type.googleapis.com/google.protobuf.Struct), {}",
            inner.at(object)
        )));
    }
    Ok(())
}

const DATA: &[&str] =
    &["text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult"];
#[rustfmt::skip]
const PART: &[&str] = &[
    "text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult", "thought",
    "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata",
];

/// What stands for a signature that was lost: <https://ai.google.dev/gemini-api/docs/thought-signatures#faqs>
const NO_SIGNATURE: &str = "skip_thought_signature_validator";
