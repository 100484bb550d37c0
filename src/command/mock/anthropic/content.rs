//! The messages of a request: their blocks one by one, and tool calls against their results.

use serde_json::Value;

use super::request::{REQUIRED, only, refuse};
use super::{is_redacted, signature};
use crate::mock::dialect::{Fault, is_name, text};
use crate::mock::json::At;
use crate::mock::model::{Prompt, words};

/// Checks the messages, and adds what they say to the prompt. `thinking` tells whether it is enabled, with a budget.
pub fn conversation(messages: &[Value], thinking: bool, prompt: &mut Prompt) -> Result<(), Fault> {
    if messages.is_empty() {
        return Err(refuse("messages", "at least one message is required"));
    }
    // Calls of the message before, which this one must answer.
    let mut open: Vec<&str> = Vec::new();
    // Thoughts of turns that are over may be left out: the current one began with what the user said last.
    let turn = messages.iter().rposition(is_said_by_user).unwrap_or_default();
    for (n, message) in messages.iter().enumerate() {
        let path = format!("messages.{n}");
        only(&path, message, &["role", "content"], &[])?;
        let role = match message.at("role").as_str() {
            Some(role @ ("user" | "assistant")) => role,
            None => return Err(refuse(&format!("{path}.role"), REQUIRED)),
            Some(other) => {
                let message = format!(
                    "Unexpected role \"{other}\". The Messages API accepts a top-level `system` parameter, not \"system\" as an \
                     input message role."
                );
                return Err(refuse("messages", &message));
            }
        };
        let blocks = match message.at("content") {
            Value::Null => return Err(refuse(&format!("{path}.content"), REQUIRED)),
            Value::String(text) if text.is_empty() => Vec::new(),
            Value::String(_) => vec![message.at("content")],
            Value::Array(blocks) => blocks.iter().collect(),
            _ => {
                return Err(refuse(&format!("{path}.content"), "Input should be a valid list"));
            }
        };
        let last = n + 1 == messages.len();
        if blocks.is_empty() && !(last && role == "assistant") {
            let message = "all messages must have non-empty content except for the optional final assistant message";
            return Err(refuse(&path, message));
        }

        let mut called = Vec::new();
        let mut said = Vec::new();
        for (k, block) in blocks.iter().enumerate() {
            let path = format!("{path}.content.{k}");
            let kind = if block.is_string() { "text" } else { check(&path, block, role)? };
            match kind {
                "text" => said.push(text_of(block)),
                "tool_use" => called.push(block.at("id").as_str().unwrap_or_default()),
                "tool_result" => {
                    let id = block.at("tool_use_id").as_str().unwrap_or_default();
                    let Some(place) = open.iter().position(|call| *call == id) else {
                        let message = format!(
                            "unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a \
                             corresponding `tool_use` block in the previous message."
                        );
                        return Err(refuse(&path, &message));
                    };
                    open.remove(place);
                    let result = text(block.at("content"));
                    prompt.words += words(&result);
                    prompt.results.push(result);
                }
                _ => {}
            }
        }
        if !open.is_empty() {
            let message = format!(
                "`tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must have a \
                 corresponding `tool_result` block in the next message.",
                open.join(", ")
            );
            return Err(refuse(&format!("messages.{}", n - 1), &message));
        }
        let said = said.join("\n");
        prompt.words += words(&said);
        if role == "assistant" {
            prompt.results.clear();
            check_turn(&path, &blocks, last, thinking && n > turn && !called.is_empty(), &said)?;
        } else if !said.is_empty() {
            // Text beside results is the newer word.
            prompt.question = said;
            prompt.results.retain(|_| blocks.last().is_some_and(|block| block.at("type") == "tool_result"));
        }
        open = called;
    }
    if !open.is_empty() {
        let message =
            format!("`tool_use` ids were found without `tool_result` blocks immediately after: {}.", open.join(", "));
        return Err(refuse(&format!("messages.{}", messages.len() - 1), &message));
    }
    if prompt.tools.is_empty() && messages.iter().any(names_tools) {
        return Err(Fault::invalid("Requests which include `tool_use` or `tool_result` blocks must define tools"));
    }
    Ok(())
}

/// The text of a string or of an array of text blocks, which must not be empty.
pub fn texts(path: &str, content: &Value) -> Result<String, Fault> {
    match content {
        Value::String(_) => {}
        Value::Array(blocks) => {
            for (n, block) in blocks.iter().enumerate() {
                if check(&format!("{path}.{n}"), block, "system")? != "text" {
                    return Err(refuse(&format!("{path}.{n}.type"), "Input should be 'text'"));
                }
            }
        }
        _ => return Err(refuse(path, "Input should be a valid list")),
    }
    Ok(text(content))
}

/// Checks a block that `role` sent, and returns its type.
fn check<'b>(path: &str, block: &'b Value, role: &str) -> Result<&'b str, Fault> {
    let kind = block.at("type").as_str().ok_or_else(|| refuse(&format!("{path}.type"), REQUIRED))?;
    let at = |field: &str| format!("{path}.{kind}.{field}");
    let string = |field: &str| block.at(field).as_str().ok_or_else(|| refuse(&at(field), REQUIRED));
    let own = |fields: &[&str]| only(&format!("{path}.{kind}"), block, fields, &["type", "cache_control"]);
    match (kind, role) {
        ("text", _) => {
            own(&["text", "citations"])?;
            if string("text")?.is_empty() {
                return Err(refuse("messages", "text content blocks must be non-empty"));
            }
            if role != "assistant" && block.at("text").as_str().is_some_and(|text| text.trim().is_empty()) {
                return Err(refuse("messages", "text content blocks must contain non-whitespace text"));
            }
        }
        ("image", "user") => {
            own(&["source"])?;
            source(&at("source"), block.at("source"), IMAGES)?;
        }
        ("document", "user") => {
            own(&["source", "title", "context", "citations"])?;
            source(&at("source"), block.at("source"), &["application/pdf", "text/plain"])?;
        }
        ("tool_use", "assistant") => {
            own(&["id", "name", "input", "caller"])?;
            if !is_name(string("id")?, usize::MAX) {
                return Err(refuse(&at("id"), "String should match pattern '^[a-zA-Z0-9_-]+$'"));
            }
            if !is_name(string("name")?, 200) {
                return Err(refuse(&at("name"), "String should match pattern '^[a-zA-Z0-9_-]{1,200}$'"));
            }
            if !block.at("input").is_object() {
                return Err(refuse(&at("input"), "Input should be a valid dictionary"));
            }
        }
        ("tool_result", "user") => {
            own(&["tool_use_id", "content", "is_error"])?;
            if !is_name(string("tool_use_id")?, usize::MAX) {
                return Err(refuse(&at("tool_use_id"), "String should match pattern '^[a-zA-Z0-9_-]+$'"));
            }
            match block.at("content") {
                Value::Null | Value::String(_) => {}
                Value::Array(parts) => {
                    for (n, part) in parts.iter().enumerate() {
                        let path = at(&format!("content.{n}"));
                        if !matches!(check(&path, part, "user")?, "text" | "image" | "document") {
                            return Err(refuse(
                                &format!("{path}.type"),
                                "Input should be 'text', 'image' or 'document'",
                            ));
                        }
                    }
                }
                _ => return Err(refuse(&at("content"), "Input should be a valid list")),
            }
        }
        ("thinking", "assistant") => {
            own(&["thinking", "signature"])?;
            if string("signature")? != signature(string("thinking")?) {
                return Err(refuse(path, "Invalid `signature` in `thinking` block"));
            }
        }
        ("redacted_thinking", "assistant") => {
            own(&["data"])?;
            if !is_redacted(string("data")?) {
                return Err(refuse(path, "Invalid `data` in `redacted_thinking` block"));
            }
        }
        // What the provider's own tools left in its answers; it comes back as it was.
        (
            "server_tool_use" | "web_search_tool_result" | "web_fetch_tool_result" | "code_execution_tool_result",
            "assistant",
        ) => {}
        _ => {
            let message = format!(
                "Input tag '{kind}' found using 'type' does not match any of the expected tags: 'document', 'image', \
                 'redacted_thinking', 'text', 'thinking', 'tool_result', 'tool_use'"
            );
            return Err(refuse(path, &message));
        }
    }
    Ok(kind)
}

/// Checks the source of an image or a document.
fn source(path: &str, source: &Value, media: &[&str]) -> Result<(), Fault> {
    let string = |field: &str| source.at(field).as_str().ok_or_else(|| refuse(&format!("{path}.{field}"), REQUIRED));
    let fields: &[&str] = match string("type")? {
        "base64" | "text" => {
            if !media.contains(&string("media_type")?) {
                return Err(refuse(&format!("{path}.media_type"), &format!("Input should be one of {media:?}")));
            }
            let data = string("data")?;
            let digits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
            if data.is_empty() || (source.at("type") == "base64" && !(data.len() % 4 == 0 && data.bytes().all(digits)))
            {
                return Err(refuse(&format!("{path}.data"), "Invalid base64 data"));
            }
            &["type", "media_type", "data"]
        }
        "url" => {
            if !string("url")?.starts_with("https://") && !string("url")?.starts_with("http://") {
                return Err(refuse(&format!("{path}.url"), "Only HTTPS URLs are supported."));
            }
            &["type", "url"]
        }
        "file" => {
            string("file_id")?;
            &["type", "file_id"]
        }
        other => {
            let message =
                format!("Input tag '{other}' does not match any of the expected tags: 'base64', 'file', 'url'");
            return Err(refuse(path, &message));
        }
    };
    only(path, source, fields, &[])
}

/// Checks an assistant's message as a whole.
fn check_turn(path: &str, blocks: &[&Value], last: bool, must_think: bool, said: &str) -> Result<(), Fault> {
    if last && said.ends_with(char::is_whitespace) {
        return Err(refuse("messages", "final assistant content cannot end with trailing whitespace"));
    }
    let first = blocks.first().and_then(|block| block.at("type").as_str()).unwrap_or("text");
    if must_think && !matches!(first, "thinking" | "redacted_thinking") {
        let message = format!(
            "Expected `thinking` or `redacted_thinking`, but found `{first}`. When `thinking` is enabled, a final `assistant` \
             message must start with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks)."
        );
        return Err(refuse(&format!("{path}.content.0.type"), &message));
    }
    Ok(())
}

fn is_said_by_user(message: &Value) -> bool {
    let is_result = |block: &Value| block.at("type") == "tool_result";
    message.at("role") == "user" && !message.at("content").as_array().is_some_and(|blocks| blocks.iter().all(is_result))
}

fn names_tools(message: &Value) -> bool {
    let is_tool = |block: &Value| matches!(block.at("type").as_str(), Some("tool_use" | "tool_result"));
    message.at("content").as_array().is_some_and(|blocks| blocks.iter().any(is_tool))
}

fn text_of(block: &Value) -> String {
    block.as_str().or(block.at("text").as_str()).unwrap_or_default().to_owned()
}

const IMAGES: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/webp"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mock::anthropic::redacted;
    use crate::mock::model::Tool;

    fn read(messages: &Value, thinking: bool) -> Result<Prompt, Fault> {
        let tool = Tool { name: "f".into(), schema: json!({"type": "object"}) };
        let mut prompt = Prompt { tools: vec![tool], ..Prompt::default() };
        conversation(messages.as_array().unwrap(), thinking, &mut prompt).map(|()| prompt)
    }

    #[track_caller]
    fn refuses(messages: Value, expected: &str) {
        match read(&messages, true) {
            Err(Fault::Invalid { message, .. }) => {
                assert!(message.starts_with(expected), "{message}")
            }
            other => panic!("{expected}: {other:?}"),
        }
    }

    fn user(content: Value) -> Value {
        json!({"role": "user", "content": content})
    }

    fn calling(id: &str) -> Value {
        let thought = json!({"type": "thinking", "thinking": "hm", "signature": signature("hm")});
        json!({"role": "assistant", "content": [thought, {"type": "tool_use", "id": id, "name": "f", "input": {}}]})
    }

    fn result(id: &str) -> Value {
        json!({"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": "rain"}]})
    }

    #[test]
    fn questions_and_results_are_read() {
        let begun = [user(json!("one two")), calling("a")];
        let asked = |last: Value| read(&json!([begun[0], begun[1], user(last)]), true).unwrap();
        let prompt = asked(json!([result("a")]));
        assert_eq!((prompt.question.as_str(), prompt.results, prompt.words), ("one two", vec!["rain".to_owned()], 3));
        let prompt = asked(json!([result("a"), {"type": "text", "text": "and now?"}]));
        assert_eq!((prompt.question.as_str(), prompt.results.len()), ("and now?", 0));
    }

    #[test]
    fn messages_are_checked() {
        refuses(json!([]), "messages: at least one message is required");
        refuses(json!([{"role": "system", "content": "x"}]), "messages: Unexpected role \"system\"");
        refuses(json!([user(json!(""))]), "messages.0: all messages must have non-empty content");
        refuses(json!([user(json!([]))]), "messages.0: all messages must have non-empty content");
        refuses(
            json!([user(json!([{"type": "text", "text": ""}]))]),
            "messages: text content blocks must be non-empty",
        );
        refuses(
            json!([user(json!([{"type": "text", "text": "x", "name": "y"}]))]),
            "messages.0.content.0.text.name: Extra",
        );
        refuses(json!([user(json!([{"type": "image_url"}]))]), "messages.0.content.0: Input tag 'image_url'");
        refuses(json!([{"role": "user", "content": "x", "name": "y"}]), "messages.0.name: Extra inputs");
        let prefill = json!({"role": "assistant", "content": "So "});
        refuses(json!([user(json!("x")), prefill]), "messages: final assistant content cannot end");
    }

    #[test]
    fn calls_and_results_belong_together() {
        let asked = user(json!("x"));
        refuses(json!([asked, calling("a b")]), "messages.1.content.1.tool_use.id: String should match");
        refuses(json!([asked, calling("a"), asked]), "messages.1: `tool_use` ids were found without");
        refuses(json!([asked, calling("a")]), "messages.1: `tool_use` ids were found without");
        refuses(
            json!([asked, calling("a"), user(json!([result("b")]))]),
            "messages.2.content.0: unexpected `tool_use_id`",
        );
        refuses(json!([user(json!([result("b")]))]), "messages.0.content.0: unexpected `tool_use_id`");
    }

    #[test]
    fn thoughts_come_back_as_they_were() {
        let said =
            |block: Value| json!([user(json!("x")), {"role": "assistant", "content": [block]}, user(json!("y"))]);
        assert!(read(&said(json!({"type": "redacted_thinking", "data": redacted(3)})), true).is_ok());
        refuses(
            said(json!({"type": "thinking", "thinking": "hm!", "signature": signature("hm")})),
            "messages.1.content.0: Invalid `signature` in `thinking` block",
        );
        refuses(said(json!({"type": "redacted_thinking", "data": "x"})), "messages.1.content.0: Invalid `data`");
        let mut bare = calling("a");
        bare["content"].as_array_mut().unwrap().remove(0);
        let turn = json!([user(json!("x")), bare, user(json!([result("a")]))]);
        assert!(read(&turn, false).is_ok());
        refuses(turn, "messages.1.content.0.type: Expected `thinking`");
    }

    #[test]
    fn images_are_checked() {
        let image = |source: Value| json!([user(json!([{"type": "image", "source": source}]))]);
        assert!(read(&image(json!({"type": "base64", "media_type": "image/png", "data": "AAAA"})), false).is_ok());
        assert!(read(&image(json!({"type": "url", "url": "https://example.com/a.png"})), false).is_ok());
        let path = "messages.0.content.0.image.source";
        refuses(
            image(json!({"type": "base64", "media_type": "image/tiff", "data": "AAAA"})),
            &format!("{path}.media_type"),
        );
        refuses(image(json!({"type": "base64", "media_type": "image/png", "data": "data:x"})), &format!("{path}.data"));
        refuses(image(json!({"type": "url", "url": "data:image/png;base64,AAAA"})), &format!("{path}.url"));
    }
}
