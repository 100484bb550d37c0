//! What requests become.

use super::super::Cohere;
use crate::chat::{Arguments, Format, Media, Message, Part, Reasoning, Request, Role, Tool, ToolCall};
use crate::error::{Cause, Error};
use crate::json::{Document, Str, Value};
use crate::providers::{Dropped, Target, Translator};
use serde_json::json;

fn write(model: &str, request: &Request<'_>) -> Result<(serde_json::Value, Dropped), Error> {
    let mut out = String::new();
    let dropped = Cohere.request(request, &Target::new(model), &mut out)?;
    Ok((serde_json::from_str(&out).expect(&out), dropped))
}

/// `expected` are the members besides `model`, `messages` and `stream`.
fn check(request: Request<'_>, expected: serde_json::Value, dropped: &[&str]) {
    let (mut body, seen) = write("command-a-03-2025", &request).unwrap();
    let members = body.as_object_mut().unwrap();
    assert_eq!(members.remove("model").unwrap(), "command-a-03-2025");
    assert_eq!(members.remove("stream").unwrap(), request.stream);
    members.remove("messages").unwrap();
    assert_eq!(body, expected);
    assert_eq!(seen, dropped);
}

/// Only the messages.
fn says(model: &str, messages: Vec<Message<'_>>, expected: serde_json::Value) {
    let (body, dropped) = write(model, &Request { messages, ..Request::default() }).unwrap();
    assert_eq!(body["messages"], expected);
    assert_eq!(dropped, Dropped::new());
}

fn value(json: &str) -> Value<'static> {
    Box::leak(Box::new(Document::parse(json.to_owned().leak().as_bytes()).unwrap())).root()
}

fn text(text: &str) -> Part<'_> {
    Part::Text(Str::plain(text).into())
}

fn thought(words: &str) -> Part<'_> {
    Part::Thinking { text: Str::plain(words), signature: None }
}

fn call<'a>(id: &'a str, arguments: Arguments<'a>) -> Part<'a> {
    Part::ToolCall(ToolCall { id: Str::plain(id), name: Str::plain("f"), arguments, signature: None })
}

fn message<'a>(role: Role, parts: impl IntoIterator<Item = Part<'a>>) -> Message<'a> {
    Message { role, parts: parts.into_iter().collect(), thoughts_by: None }
}

fn image<'a>(media_type: &'a str) -> Media<'a> {
    Media::Base64 { media_type: Str::plain(media_type), data: Str::plain("AAAA") }
}

#[test]
fn the_system_comes_first_and_nothing_is_empty() {
    says(
        "command-a-03-2025",
        vec![
            message(Role::User, [text("a"), text(" \n")]),
            message(Role::User, [text(" ")]),
            message(Role::Assistant, [text(""), thought("t")]),
            message(Role::Assistant, [Part::Refusal(Str::plain("no"))]),
            message(Role::System, [text("s")]),
        ],
        json!([
            {"role":"system","content":"s"},
            {"role":"user","content":"a"},
            {"role":"assistant","content":"no"},
        ]),
    );
}

#[test]
fn thoughts_go_back_where_the_model_keeps_them() {
    let turns = || {
        let arguments = Arguments::Object(value("{\"a\": 1}"));
        let empty = Arguments::Text(Str::plain(" "));
        let result = Part::ToolResult { id: Str::plain("a"), parts: vec![text("one"), text("two")], is_error: false };
        vec![
            message(Role::Assistant, [thought("t"), thought("u"), call("a", arguments), call("b", empty)]),
            message(Role::User, [text("and"), result]),
        ]
    };
    let calls = json!([
        {"id":"a","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},
        {"id":"b","type":"function","function":{"name":"f","arguments":"{}"}},
    ]);
    let blocks = json!([{"type":"text","text":"one"},{"type":"text","text":"two"}]);
    let rest = [json!({"role":"tool","tool_call_id":"a","content":blocks}), json!({"role":"user","content":"and"})];
    let [result, user] = &rest;
    let plan = json!({"role":"assistant","tool_plan":"t\nu","tool_calls":calls});
    says("command-a-03-2025", turns(), json!([plan, result, user]));
    let content = json!([{"type":"thinking","thinking":"t"},{"type":"thinking","thinking":"u"}]);
    let thinking = json!({"role":"assistant","content":content,"tool_calls":calls});
    says("command-a-reasoning-08-2025", turns(), json!([thinking, result, user]));
}

#[test]
fn images_are_said_to_users_only() {
    let document = |media| Part::Document { media, name: None, cited: false };
    let url = || Media::Url(Str::plain("https://example.com/a"));
    let block = |url: &str| json!({"type":"image_url","image_url":{"url":url}});
    says(
        "command-a-vision-07-2025",
        vec![message(Role::User, [Part::image(image("image/png")), Part::image(url()), document(image("image/jpeg"))])],
        json!([{"role":"user","content":[
            block("data:image/png;base64,AAAA"), block("https://example.com/a"), block("data:image/jpeg;base64,AAAA")]}]),
    );
    let nested = Part::ToolResult { id: Str::EMPTY, parts: vec![Part::image(url())], is_error: false };
    for part in [document(url()), document(image("text/plain")), Part::Audio(image("audio/wav")), nested] {
        let request = Request { messages: vec![message(Role::User, [part])], ..Request::default() };
        assert_eq!(write("m", &request).unwrap_err().cause, Cause::BadRequest);
    }
}

#[test]
fn sampling_stays_within_bounds() {
    let sampled = |temperature, top_p| Request {
        temperature: Some(value(temperature)),
        top_p: Some(value(top_p)),
        ..Request::default()
    };
    check(sampled("1.0", "0.5"), json!({"temperature":1.0,"p":0.5}), &[]);
    check(sampled("1.1", "1"), json!({"p":0.99}), &["temperature"]);
    check(sampled("0", "0"), json!({"temperature":0,"p":0.01}), &[]);
    for (others, expected, dropped) in [
        (&[("top_k", "500"), ("seed", "1")][..], json!({"k":500,"seed":1}), &[][..]),
        (&[("top_k", "501"), ("seed", "-1")], json!({}), &["seed", "top_k"]),
        (&[("presence_penalty", "1"), ("frequency_penalty", "0")], json!({"presence_penalty":1}), &[]),
        (
            &[("presence_penalty", "1.5"), ("frequency_penalty", "-1")],
            json!({}),
            &["frequency_penalty", "presence_penalty"],
        ),
        (
            &[("presence_penalty", "1"), ("frequency_penalty", "0.5")],
            json!({"frequency_penalty":0.5}),
            &["presence_penalty"],
        ),
        (
            &[("priority", "3"), ("logprobs", "true"), ("safety_mode", "null")],
            json!({"priority":3,"logprobs":true}),
            &[],
        ),
    ] {
        let others = others.iter().map(|(name, json)| (Str::plain(name), value(json))).collect();
        check(Request { others, ..Request::default() }, expected, dropped);
    }
}

#[test]
fn thinking_has_a_budget() {
    let effort = |word| Reasoning::Effort(Str::plain(word));
    let thinks = |reasoning: &Reasoning<'static>, expected: serde_json::Value, named: &[&str]| {
        let request = || Request { reasoning: Some(reasoning.clone()), ..Request::default() };
        for model in ["command-a-reasoning-08-2025", "command-next"] {
            let (body, dropped) = write(model, &request()).unwrap();
            assert_eq!((&body["thinking"], dropped), (&expected, Dropped::new()));
        }
        check(request(), json!({}), named);
    };
    for (reasoning, budget) in [(effort("minimal"), 128), (effort("max"), 16_384)] {
        thinks(&reasoning, json!({"type":"enabled","token_budget":budget}), &["reasoning_effort"]);
    }
    thinks(&Reasoning::Budget(7), json!({"type":"enabled","token_budget":7}), &["thinking"]);
    for reasoning in [effort("none"), Reasoning::Budget(0)] {
        thinks(&reasoning, json!({"type":"disabled"}), &[]);
    }
    check(Request { reasoning: Some(effort("odd")), ..Request::default() }, json!({}), &["reasoning_effort"]);
}

#[test]
fn tools_are_strict_together_or_not_at_all() {
    const SCHEMA: &str = r#"{"type":"object","properties":{"a":{}},"required":["a"]}"#;
    let tool = |schema: Option<&str>, strict| Tool {
        name: Str::plain("f"),
        description: None,
        parameters: schema.map(value),
        strict,
        cache: None,
    };
    for (tools, strict, dropped) in [
        (vec![tool(Some(SCHEMA), Some(true))], json!(true), &[][..]),
        (vec![tool(Some(SCHEMA), Some(true)), tool(Some(SCHEMA), None)], json!(null), &["tools.strict"]),
        (vec![tool(Some(SCHEMA), Some(true)), tool(None, Some(true))], json!(null), &["tools.strict"]),
        (vec![tool(Some(SCHEMA), Some(false))], json!(null), &[]),
    ] {
        let (body, seen) = write("m", &Request { tools, ..Request::default() }).unwrap();
        assert_eq!(body["strict_tools"], strict);
        assert_eq!(seen, dropped);
    }
}

#[test]
fn a_format_beside_documents_is_told_to_the_model() {
    let others = vec![(Str::plain("documents"), value(r#"["a"]"#))];
    let request = Request { others, format: Some(Format::JsonObject), ..Request::default() };
    let (body, dropped) = write("m", &request).unwrap();
    assert_eq!((&body["messages"][0]["role"], body["response_format"].is_null()), (&json!("system"), true));
    assert_eq!((&body["documents"], dropped), (&json!(["a"]), vec!["response_format".to_owned()]));
}
