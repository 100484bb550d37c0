//! What requests become.

use super::super::Ollama;
use crate::chat::{Arguments, Media, Message, Part, Reasoning, Request, Role, Tool, ToolCall, ToolChoice};
use crate::error::{Cause, Error};
use crate::json::{Document, Str, Value};
use crate::providers::{Dropped, Target, Translator};
use serde_json::json;

fn write(model: &str, request: &Request<'_>) -> Result<(serde_json::Value, Dropped), Error> {
    let mut out = String::new();
    let dropped = Ollama.request(request, &Target::new(model), &mut out)?;
    Ok((serde_json::from_str(&out).expect(&out), dropped))
}

/// `expected` are the members besides `model`, `messages` and `stream`.
fn check(model: &str, request: Request<'_>, expected: serde_json::Value, dropped: &[&str]) {
    let (mut body, seen) = write(model, &request).unwrap();
    let members = body.as_object_mut().unwrap();
    assert_eq!(members.remove("model").unwrap(), model);
    assert_eq!(members.remove("stream").unwrap(), request.stream);
    members.remove("messages").unwrap();
    assert_eq!(body, expected);
    assert_eq!(seen, dropped);
}

/// Only the messages.
fn says(messages: Vec<Message<'_>>, expected: serde_json::Value) {
    let (body, dropped) = write("m", &Request { messages, ..Request::default() }).unwrap();
    assert_eq!(body["messages"], expected);
    assert_eq!(dropped, Dropped::new());
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

fn image<'a>(media_type: &'a str) -> Media<'a> {
    Media::Base64 { media_type: Str::plain(media_type), data: Str::plain("AAAA") }
}

#[test]
fn results_of_tools_are_messages_with_the_names_of_the_tools() {
    let call = |id: &'static str, arguments: &'static str| {
        let arguments = Arguments::Text(Str::plain(arguments));
        Part::ToolCall(ToolCall { id: Str::plain(id), name: Str::plain("f"), arguments, signature: None })
    };
    let result = |id, parts| Part::ToolResult { id: Str::plain(id), parts, is_error: false };
    says(
        vec![
            message(Role::Assistant, [call("a", " "), call("b", "[1]"), call("c", "{\"x\":")]),
            message(
                Role::User,
                [
                    text("and"),
                    result("a", vec![text("one"), Part::image(image("image/png"))]),
                    result("z", vec![]),
                    text("more"),
                ],
            ),
        ],
        json!([
            {"role":"assistant","content":"","tool_calls":[
                {"id":"a","function":{"name":"f","arguments":{}}},
                {"id":"b","function":{"name":"f","arguments":{"arguments":[1]}}},
                {"id":"c","function":{"name":"f","arguments":{"arguments":"{\"x\":"}}}]},
            {"role":"tool","content":"one","images":["AAAA"],"tool_name":"f","tool_call_id":"a"},
            {"role":"tool","content":"","tool_call_id":"z"},
            {"role":"user","content":"and\nmore"},
        ]),
    );
}

#[test]
fn thoughts_go_back_without_signatures() {
    let thought = |words, signature: Option<&'static str>| Part::Thinking {
        text: Str::plain(words),
        signature: signature.map(Str::plain),
    };
    let secret = Part::RedactedThinking(Str::plain("x"));
    says(
        vec![message(
            Role::Assistant,
            [thought("one", Some("s")), thought("", None), secret, thought("two", None), text("a")],
        )],
        json!([{"role":"assistant","content":"a","thinking":"one\ntwo"}]),
    );
    says(vec![message(Role::User, [])], json!([{"role":"user","content":""}]));
}

#[test]
fn images_are_base64_or_refused() {
    let document = |media| Part::Document { media, name: None, cited: false };
    says(
        vec![message(Role::User, [Part::image(image("image/png")), document(image("image/jpeg"))])],
        json!([{"role":"user","content":"","images":["AAAA","AAAA"]}]),
    );
    let url = || Media::Url(Str::plain("https://example.com"));
    let nested = Part::ToolResult { id: Str::EMPTY, parts: vec![Part::image(url())], is_error: false };
    for part in
        [Part::image(url()), document(url()), document(image("text/plain")), Part::Audio(image("audio/wav")), nested]
    {
        let request = Request { messages: vec![message(Role::User, [part])], ..Request::default() };
        assert_eq!(write("m", &request).unwrap_err().cause, Cause::BadRequest);
    }
}

#[test]
fn thinking_is_on_off_or_by_word() {
    let effort = |word| Reasoning::Effort(Str::plain(word));
    for (model, reasoning, think, dropped) in [
        ("qwen3", effort("none"), json!(false), &[][..]),
        ("qwen3", effort("medium"), json!(true), &[]),
        ("qwen3", effort("low"), json!(true), &["reasoning_effort"]),
        ("qwen3", Reasoning::Budget(0), json!(false), &[]),
        ("qwen3", Reasoning::Budget(1), json!(true), &["thinking"]),
        ("gpt-oss:20b", effort("minimal"), json!("low"), &[]),
        ("acme/gpt-oss", effort("medium"), json!("medium"), &[]),
        ("gpt-oss:120b-cloud", effort("max"), json!("high"), &[]),
        ("gpt-oss", effort("none"), json!("low"), &["reasoning_effort"]),
        ("gpt-oss", Reasoning::Budget(0), json!("low"), &["thinking"]),
        ("gpt-oss", Reasoning::Budget(1025), json!("medium"), &["thinking"]),
    ] {
        check(model, Request { reasoning: Some(reasoning), ..Request::default() }, json!({"think": think}), dropped);
    }
    let odd = Request { reasoning: Some(effort("odd")), ..Request::default() };
    check("qwen3", odd, json!({}), &["reasoning_effort"]);
}

#[test]
fn options_are_said_once() {
    let others = vec![
        (Str::plain("options"), value(r#"{"seed":1,"stop":["x"],"num_predict":1,"mirostat":2}"#)),
        (Str::plain("seed"), value("2")),
        (Str::plain("repetition_penalty"), value("1.1")),
        (Str::plain("presence_penalty"), value("0.0")),
        (Str::plain("n"), value("1")),
        (Str::plain("keep_alive"), value("null")),
    ];
    let request =
        Request { others, max_tokens: Some(9), stop: vec![Str::plain("a")], stream: true, ..Request::default() };
    let options = json!({"num_predict":9,"stop":["a"],"repeat_penalty":1.1,"seed":2,"mirostat":2});
    check("m", request, json!({"options": options}), &[]);
}

#[test]
fn a_tool_cannot_be_forced() {
    let tool = |name| Tool { name: Str::plain(name), description: None, parameters: None, strict: None, cache: None };
    let written =
        |name: &str| json!({"type":"function","function":{"name":name,"parameters":{"type":"object","properties":{}}}});
    let both = json!({"tools": [written("f"), written("g")]});
    let named = |name| Some(ToolChoice::Tool(Str::plain(name)));
    for (tool_choice, expected, dropped) in [
        (None, both.clone(), &[][..]),
        (Some(ToolChoice::Auto), both.clone(), &[]),
        (Some(ToolChoice::None), json!({}), &[]),
        (Some(ToolChoice::Required), both.clone(), &["tool_choice"]),
        (named("g"), json!({"tools": [written("g")]}), &["tool_choice"]),
        (named("h"), both, &["tool_choice"]),
    ] {
        check("m", Request { tools: vec![tool("f"), tool("g")], tool_choice, ..Request::default() }, expected, dropped);
    }
}
