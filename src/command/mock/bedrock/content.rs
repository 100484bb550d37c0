//! The messages of a request: their blocks one by one, and calls of tools against their results.

use serde_json::Value;

use super::request::{only, union};
use super::{REDACTED, signature};
use crate::mock::dialect::{Fault, is_name};
use crate::mock::json::{At, is_base64};
use crate::mock::model::{Prompt, words};
use crate::mock::random::is_sealed;

/// Checks the messages, and adds what they say to the prompt.
pub fn conversation(messages: &Value, prompt: &mut Prompt) -> Result<(), Fault> {
    let messages = messages.as_array().map(Vec::as_slice).unwrap_or_default();
    if messages.first().is_none_or(|first| first.at("role") != "user") {
        return Err(Fault::invalid(
            "A conversation must start with a user message. Try again with a conversation that starts with a user \
                message.",
        ));
    }
    // Calls of the message before, which this one must answer.
    let mut open: Vec<&str> = Vec::new();
    let mut before = "";
    for (n, message) in messages.iter().enumerate() {
        let path = format!("messages.{n}");
        only(&path, message, &["role", "content"])?;
        let role = match message.at("role").as_str() {
            Some(role @ ("user" | "assistant")) => role,
            _ => {
                return Err(Fault::invalid(format!(
                    "Value at '{path}.role' failed to satisfy constraint: Member must satisfy enum value set: \
                        [assistant, user]"
                )));
            }
        };
        if role == before {
            return Err(Fault::invalid(
                "A conversation must alternate between user and assistant roles. Make sure the conversation \
                    alternates between user and assistant roles and try again.",
            ));
        }
        let blocks = message.at("content").as_array().map(Vec::as_slice).unwrap_or_default();
        if blocks.is_empty() {
            return Err(Fault::invalid(format!(
                "The content field in the Message object at {path} is empty. Add a ContentBlock object to the \
                    content field and try again."
            )));
        }
        let (mut called, mut results, mut said) = (Vec::new(), Vec::new(), Vec::new());
        for (k, block) in blocks.iter().enumerate() {
            let path = format!("{path}.content.{k}");
            let (kind, inner) = check(&path, block, role, &prompt.model)?;
            match kind {
                "text" => said.push(inner.as_str().unwrap_or_default()),
                "toolUse" => called.push(inner.at("toolUseId").as_str().unwrap_or_default()),
                "toolResult" => {
                    let id = inner.at("toolUseId").as_str().unwrap_or_default();
                    let Some(place) = open.iter().position(|call| *call == id) else {
                        return Err(Fault::invalid(format!(
                            "The number of toolResult blocks at messages.{n}.content exceeds the number of toolUse \
                                blocks of previous turn."
                        )));
                    };
                    open.remove(place);
                    results.push(result(inner));
                }
                _ => {}
            }
        }
        if !open.is_empty() {
            return Err(Fault::invalid(format!(
                "Expected toolResult blocks at messages.{n}.content for the following Ids: {}",
                open.join(", ")
            )));
        }
        let names_tools = !called.is_empty() || !results.is_empty();
        if names_tools && prompt.tools.is_empty() {
            return Err(Fault::invalid(
                "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
            ));
        }
        let said = said.join("\n");
        prompt.words += words(&said) + results.iter().map(|result| words(result)).sum::<u64>();
        match role {
            "assistant" => prompt.results.clear(),
            _ if said.is_empty() => prompt.results = results,
            _ => {
                prompt.results = if blocks.last().is_some_and(|block| block.get("toolResult").is_some()) {
                    results
                } else {
                    Vec::new()
                };
                prompt.question = said;
            }
        }
        open = called;
        before = role;
    }
    if !open.is_empty() {
        return Err(Fault::invalid(format!(
            "Expected toolResult blocks at messages.{}.content for the following Ids: {}",
            messages.len(),
            open.join(", ")
        )));
    }
    Ok(())
}

/// The text of the system's blocks.
pub fn texts(path: &str, blocks: &Value) -> Result<String, Fault> {
    let mut texts = Vec::new();
    for (n, block) in blocks.as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}.{n}");
        let (kind, inner) = union(&path, block, &["text", "guardContent", "cachePoint"])?;
        if kind == "text" {
            texts.push(text(&path, "SystemContentBlock", inner)?);
        }
    }
    Ok(texts.join("\n"))
}

fn text<'v>(path: &str, of: &str, text: &'v Value) -> Result<&'v str, Fault> {
    text.as_str().filter(|text| !text.trim().is_empty()).ok_or_else(|| {
        Fault::invalid(format!(
            "The text field in the {of} object at {path} is blank. Add text to the text field, and try again."
        ))
    })
}

fn result(inner: &Value) -> String {
    let parts = inner.at("content").as_array().into_iter().flatten();
    let text = |part: &Value| match part.at("text").as_str() {
        Some(text) => Some(text.to_owned()),
        None => part.get("json").map(ToString::to_string),
    };
    parts.filter_map(text).collect::<Vec<_>>().join("\n")
}

/// Checks a block that `role` sent, and returns what it is.
fn check<'b>(path: &str, block: &'b Value, role: &str, model: &str) -> Result<(&'b str, &'b Value), Fault> {
    let (kind, inner) = union(path, block, BLOCK)?;
    let at = format!("{path}.{kind}");
    match (kind, role) {
        ("text", _) => {
            text(path, "ContentBlock", inner)?;
        }
        ("image", "user") => media(&at, inner, &["png", "jpeg", "gif", "webp"], &["format", "source"])?,
        ("video", "user") => {
            let formats = ["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"];
            media(&at, inner, &formats, &["format", "source"])?;
        }
        ("audio", "user") => {
            let formats = [
                "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm",
                "webm",
            ];
            media(&at, inner, &formats, &["format", "source"])?;
        }
        ("document", "user") => {
            let formats = ["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"];
            media(&at, inner, &formats, &["format", "name", "source", "context", "citations"])?;
            let name = inner.at("name").as_str().unwrap_or_default();
            let allowed = |letter: char| letter.is_ascii_alphanumeric() || " -()[]\n".contains(letter);
            if name.is_empty() || name.contains("  ") || !name.chars().all(allowed) {
                return Err(Fault::invalid(
                    "The document file name can only contain alphanumeric characters, whitespace characters, \
                        hyphens, parentheses, and square brackets. The name can't contain more than one consecutive \
                        whitespace character.",
                ));
            }
        }
        ("toolUse", "assistant") => {
            only(&at, inner, &["toolUseId", "name", "input", "type"])?;
            id(&at, inner)?;
            if !is_name(inner.at("name").as_str().unwrap_or_default(), 64) {
                return Err(pattern(&format!("{at}.name"), inner.at("name")));
            }
            if !inner.at("input").is_object() {
                return Err(Fault::invalid(format!(
                    "The format of the value at {at}.input is invalid. Provide a json object for the field and try \
                        again."
                )));
            }
        }
        ("toolResult", "user") => {
            only(&at, inner, &["toolUseId", "content", "status", "type"])?;
            id(&at, inner)?;
            if !matches!(inner.at("status").as_str(), None | Some("success" | "error")) {
                return Err(pattern(&format!("{at}.status"), inner.at("status")));
            }
            for (n, part) in inner.at("content").as_array().into_iter().flatten().enumerate() {
                let path = format!("{at}.content.{n}");
                let (kind, value) =
                    union(&path, part, &["json", "text", "image", "document", "video", "searchResult"])?;
                match kind {
                    "json" if value.is_object() => {}
                    "json" => {
                        return Err(Fault::invalid(format!(
                            "The format of the value at {path}.json is invalid. Provide a json object for the field \
                                and try again."
                        )));
                    }
                    "text" if value.is_string() => {}
                    "image" | "document" => check(&path, part, "user", model).map(|_| ())?,
                    "video" | "searchResult" => {}
                    _ => return Err(Fault::invalid(format!("The value at {path}.{kind} is no text."))),
                }
            }
        }
        ("reasoningContent", "assistant") => reasoning(path, &at, inner, model)?,
        ("cachePoint", _) => {
            only(&at, inner, &["type", "ttl"])?;
            if inner.at("type") != "default" {
                return Err(pattern(&format!("{at}.type"), inner.at("type")));
            }
        }
        ("guardContent" | "searchResult", "user") | ("citationsContent", "assistant") => {}
        _ => {
            let message = format!("The {kind} block at {path} is not allowed in a message with the role {role}.");
            return Err(Fault::invalid(message));
        }
    }
    Ok((kind, inner))
}

/// Claude checks the signatures of its thoughts; other models have none.
fn reasoning(path: &str, at: &str, inner: &Value, model: &str) -> Result<(), Fault> {
    let (kind, value) = union(at, inner, &["reasoningText", "redactedContent"])?;
    let is_right = match kind {
        "redactedContent" => value.as_str().is_some_and(|data| is_sealed(REDACTED, data) && is_base64(data)),
        _ => {
            only(&format!("{at}.reasoningText"), value, &["text", "signature"])?;
            let thought = value.at("text").as_str().unwrap_or_default();
            !model.contains("anthropic.") || value.at("signature") == signature(thought).as_str()
        }
    };
    if is_right {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "The model returned the following errors: {path}: Invalid `signature` in `thinking` block"
    )))
}

fn media(path: &str, inner: &Value, formats: &[&str], fields: &[&str]) -> Result<(), Fault> {
    only(path, inner, fields)?;
    if !inner.at("format").as_str().is_some_and(|format| formats.contains(&format)) {
        return Err(Fault::invalid(format!(
            "Value '{}' at '{path}.format' failed to satisfy constraint: Member must satisfy enum value set: \
                {formats:?}",
            inner.at("format")
        )));
    }
    let (kind, source) =
        union(&format!("{path}.source"), inner.at("source"), &["bytes", "s3Location", "text", "content"])?;
    match kind {
        "bytes" if !source.as_str().is_some_and(|data| !data.is_empty() && is_base64(data)) => {
            Err(Fault::invalid(format!("The value at {path}.source.bytes is not valid base64.")))
        }
        "s3Location" if !source.at("uri").as_str().is_some_and(|uri| uri.starts_with("s3://")) => {
            Err(pattern(&format!("{path}.source.s3Location.uri"), source.at("uri")))
        }
        _ => Ok(()),
    }
}

fn id(path: &str, inner: &Value) -> Result<(), Fault> {
    if is_name(inner.at("toolUseId").as_str().unwrap_or_default(), 64) {
        return Ok(());
    }
    Err(pattern(&format!("{path}.toolUseId"), inner.at("toolUseId")))
}

fn pattern(path: &str, value: &Value) -> Fault {
    Fault::invalid(format!(
        "1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: Member must satisfy \
            regular expression pattern: [a-zA-Z0-9_-]+"
    ))
}

#[rustfmt::skip]
const BLOCK: &[&str] = &[
    "text", "image", "document", "video", "audio", "toolUse", "toolResult", "guardContent", "cachePoint", "reasoningContent",
    "citationsContent", "searchResult",
];
