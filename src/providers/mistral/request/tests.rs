//! What requests become.

use super::super::Mistral;
use crate::chat::{Format, Media, Message, Part, Request, Role, ServerTool, Text, Tool, ToolChoice};
use crate::error::Error;
use crate::json::{Document, Str, Value};
use crate::providers::{Dropped, RequestWriter, Target};
use serde_json::json;

fn write(request: &Request<'_>) -> Result<(serde_json::Value, Dropped), Error> {
    let mut out = String::new();
    let dropped = Mistral.request(request, &Target::new("mistral-large-latest"), &mut out)?;
    Ok((serde_json::from_str(&out).expect(&out), dropped))
}

/// `expected` are the members besides `model`, `messages` and `stream`.
fn check(request: Request<'_>, expected: serde_json::Value, dropped: &[&str]) {
    let (mut body, seen) = write(&request).unwrap();
    let members = body.as_object_mut().unwrap();
    assert_eq!(members.remove("model").unwrap(), "mistral-large-latest");
    assert_eq!(members.remove("stream").unwrap(), request.stream);
    members.remove("messages").unwrap();
    assert_eq!(body, expected);
    assert_eq!(seen, dropped);
}

/// Only the messages.
fn says(messages: Vec<Message<'_>>, expected: serde_json::Value, dropped: &[&str]) {
    let (body, seen) = write(&Request { messages, ..Request::default() }).unwrap();
    assert_eq!(body["messages"], expected);
    assert_eq!(seen, dropped);
}

fn value(json: &str) -> Value<'static> {
    Box::leak(Box::new(Document::parse(json.to_owned().leak().as_bytes()).unwrap())).root()
}

fn text(text: &str) -> Part<'_> {
    Part::Text(Str::plain(text).into())
}

fn message<'a>(role: Role, parts: impl IntoIterator<Item = Part<'a>>) -> Message<'a> {
    Message { role, parts: parts.into_iter().collect(), thoughts_by: None }
}

fn result(id: &str) -> Part<'_> {
    Part::ToolResult { id: Str::plain(id), parts: vec![text("r")], is_error: false }
}

fn data<'a>(media_type: &'a str, data: &'a str) -> Media<'a> {
    Media::Base64 { media_type: Str::plain(media_type), data: Str::plain(data) }
}

#[test]
fn turns_come_in_the_order_that_mistral_takes() {
    let ok = json!({"role": "assistant", "content": "OK"});
    let tool = json!({"role": "tool", "tool_call_id": "abcDEF123", "content": "r"});
    let user = |text: &str| json!({"role": "user", "content": text});
    says(
        vec![
            message(Role::User, [text("a")]),
            message(Role::System, [text("s")]),
            message(Role::User, [result("abcDEF123"), result("abcDEF123")]),
            // Nothing was said in it.
            message(Role::Assistant, [text("")]),
            message(Role::User, [text("b")]),
            message(Role::User, [text("c"), result("abcDEF123")]),
            message(Role::Assistant, [text("d")]),
            message(Role::User, []),
        ],
        json!([
            {"role": "system", "content": "s"}, user("a"), tool, tool, ok, user("b"), tool, ok, user("c"),
            {"role": "assistant", "content": "d"}, user(""),
        ]),
        &[],
    );
    says(
        vec![message(Role::User, [text("a")]), message(Role::Assistant, [text("b")])],
        json!([user("a"), {"role": "assistant", "content": "b", "prefix": true}]),
        &[],
    );
}

#[test]
fn thoughts_go_back_to_whom_they_are_from() {
    let thought = |signature: Option<&'static str>| Part::Thinking {
        text: Str::plain("t"),
        signature: signature.map(Str::plain),
    };
    let said = |by: Option<&'static str>, signature| {
        let spoken =
            Message { thoughts_by: by.map(Str::plain), ..message(Role::Assistant, [thought(signature), text("a")]) };
        vec![spoken, message(Role::User, [text("u")])]
    };
    let user = json!({"role": "user", "content": "u"});
    let chunk = json!({"type": "thinking", "thinking": [{"type": "text", "text": "t"}]});
    let answer = json!({"type": "text", "text": "a"});
    let shown = json!([{"role": "assistant", "content": [chunk, answer]}, user]);
    says(said(None, None), shown.clone(), &[]);
    says(said(Some(""), None), shown.clone(), &[]);
    says(said(None, Some("s")), shown, &["messages[].reasoning_details"]);
    let mut signed = chunk.clone();
    signed["signature"] = "s".into();
    says(said(Some("mistral-v1"), Some("s")), json!([{"role": "assistant", "content": [signed, answer]}, user]), &[]);
    let hidden = json!([{"role": "assistant", "content": "a"}, user]);
    says(said(Some("anthropic-claude-v1"), Some("s")), hidden, &["messages[].reasoning_details"]);
}

#[test]
fn files_are_said_in_mistrals_words() {
    let document =
        |media, name: Option<&'static str>| Part::Document { media, name: name.map(Str::plain), cited: false };
    let pdf = "data:application/pdf;base64,JVBERi0=";
    for (part, expected) in [
        (Part::Audio(data("audio/wav", "UklGRg==")), json!({"type": "input_audio", "input_audio": "UklGRg=="})),
        (
            Part::image(Media::Url(Str::plain("https://a.b/c"))),
            json!({"type": "image_url", "image_url": {"url": "https://a.b/c"}}),
        ),
        (
            Part::Image { media: data("image/png", "AAAA"), detail: Some(Str::plain("high")) },
            json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "high"}}),
        ),
        (Part::File(Str::plain("f-1")), json!({"type": "file", "file_id": "f-1"})),
        (
            document(data("application/pdf", "JVBERi0="), Some("a.pdf")),
            json!({"type": "document_url", "document_url": pdf, "document_name": "a.pdf"}),
        ),
        (
            document(data("image/png", "AAAA"), None),
            json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}),
        ),
        (document(data("text/plain", "aGk="), Some("a.txt")), json!({"type": "text", "text": "a.txt:\nhi"})),
        (document(data("text/plain", "aGk="), None), json!({"type": "text", "text": "hi"})),
        (
            document(data("text/plain", "/w=="), None),
            json!({"type": "document_url", "document_url": "data:text/plain;base64,/w=="}),
        ),
    ] {
        says(vec![message(Role::User, [part])], json!([{"role": "user", "content": [expected]}]), &[]);
    }
}

#[test]
fn tools_and_formats() {
    let named = |name: &'static str, parameters: Option<&str>| Tool {
        name: Str::plain(name),
        description: None,
        parameters: parameters.map(value),
        strict: parameters.map(|_| true),
        cache: parameters.map(|_| value("{}")),
    };
    let own =
        |kind: &'static str| ServerTool { kind: Str::plain(kind), value: value(&format!(r#"{{"type":"{kind}"}}"#)) };
    let function = |name: &str| json!({"type": "function", "function": {"name": name}});
    let mut one = function("f");
    one["function"]["parameters"] = json!({"type": "object", "properties": {}});
    let mut two = function("g");
    two["function"]["parameters"] = json!({"type": "object", "properties": {"a": {}}});
    two["function"]["strict"] = true.into();
    check(
        Request {
            tools: vec![named("f", None), named("g", Some(r#"{"properties":{"a":{}}}"#))],
            server_tools: vec![own("image_generation"), own("googleSearch")],
            tool_choice: Some(ToolChoice::Required),
            parallel_tool_calls: Some(false),
            format: Some(Format::JsonObject),
            ..Request::default()
        },
        json!({
            "tools": [one, two, {"type": "image_generation"}],
            "tool_choice": "any",
            "parallel_tool_calls": false,
            "response_format": {"type": "json_object"},
        }),
        &["tools.cache_control", "tools.googleSearch"],
    );
    check(
        Request {
            tools: vec![named("f", None)],
            tool_choice: Some(ToolChoice::Tool(Str::plain("f"))),
            ..Request::default()
        },
        json!({"tools": [one], "tool_choice": function("f")}),
        &[],
    );
    // There is nothing to choose from.
    check(Request { tool_choice: Some(ToolChoice::Required), ..Request::default() }, json!({}), &[]);
}

#[test]
fn parameters_are_said_in_mistrals_words_or_named() {
    let other = |name: &'static str, json: &str| (Str::plain(name), value(json));
    check(
        Request {
            stop: vec![Str::plain("x")],
            max_tokens: Some(5),
            user: Some(Str::plain("u")),
            service_tier: Some(Str::plain("priority")),
            others: vec![
                other("seed", "7"),
                other("random_seed", "8"),
                other("n", "2"),
                other("safe_prompt", "true"),
                other("prompt_mode", "\"reasoning\""),
                other("top_k", "null"),
                other("logit_bias", "{\"1\":1}"),
                other("store", "false"),
                other("messages[].name", "[]"),
                other("messages[].prefix", "[]"),
            ],
            ..Request::default()
        },
        json!({
            "max_tokens": 5, "stop": ["x"], "service_tier": "auto",
            "random_seed": 7, "n": 2, "safe_prompt": true, "prompt_mode": "reasoning",
        }),
        &["logit_bias", "messages[].name", "random_seed", "user"],
    );
    let tier = |word| Request { service_tier: Some(Str::plain(word)), ..Request::default() };
    check(tier("default"), json!({"service_tier": "standard_only"}), &[]);
    check(tier("flex"), json!({}), &["service_tier"]);
}

#[test]
fn what_cannot_be_said_is_refused_or_named() {
    let video = Part::Document { media: data("video/mp4", "AAAA"), name: None, cited: false };
    let request = Request { messages: vec![message(Role::User, [video])], ..Request::default() };
    assert!(write(&request).unwrap_err().message.contains("video"));
    let marked = Part::Text(Text { text: Str::plain("a"), cache: Some(value("{}")) });
    let failed = Part::ToolResult { id: Str::plain("abcDEF123"), parts: vec![text("r")], is_error: true };
    let request =
        Request { messages: vec![message(Role::User, [marked]), message(Role::User, [failed])], ..Request::default() };
    assert_eq!(write(&request).unwrap().1, ["messages[].content[].cache_control", "messages[].is_error"]);
}
