//! What requests become.

use crate::chat::{Arguments, Media, Message, Part, Request, Role, ServerTool, Text, Tool, ToolCall, WebSearch};
use crate::json::{Document, Str, Value};
use crate::providers::gemini::{GOOGLE_AI, Language, VERTEX};
use crate::providers::{Target, Translator};
use serde_json::json;

const FLASH: &str = "gemini-2.5-flash";
const THIRD: &str = "gemini-3-flash-preview";

fn check(language: &Language, model: &str, request: Request<'_>, expected: serde_json::Value, dropped: &[&str]) {
    let mut out = String::new();
    let seen = language.request(&request, &Target::new(model), &mut out).unwrap();
    let body: serde_json::Value = serde_json::from_str(&out).expect(&out);
    for (name, expected) in expected.as_object().unwrap() {
        assert_eq!(&body[name], expected, "{name}");
    }
    assert_eq!(seen, dropped);
}

fn says(language: &Language, model: &str, messages: Vec<Message<'_>>, expected: serde_json::Value) {
    check(language, model, Request { messages, ..Request::default() }, json!({"contents": expected}), &[]);
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

fn call<'a>(id: &'a str, name: &'a str, signature: Option<&'a str>) -> Part<'a> {
    let arguments = Arguments::Text(Str::plain("{}"));
    Part::ToolCall(ToolCall {
        id: Str::plain(id),
        name: Str::plain(name),
        arguments,
        signature: signature.map(Str::plain),
    })
}

fn result<'a>(id: &'a str, parts: impl IntoIterator<Item = Part<'a>>) -> Part<'a> {
    Part::ToolResult { id: Str::plain(id), parts: parts.into_iter().collect(), is_error: false }
}

fn thought<'a>(words: &'a str, signature: &'a str) -> Part<'a> {
    Part::Thinking { text: Str::plain(words), signature: Some(Str::plain(signature)) }
}

fn image() -> Part<'static> {
    Part::image(Media::Base64 { media_type: Str::plain("image/png"), data: Str::plain("aQ==") })
}

#[test]
fn turns_alternate_and_nothing_is_blank() {
    use Role::{Assistant, System, User};
    let dot = json!({"role": "user", "parts": [{"text": "."}]});
    says(&GOOGLE_AI, FLASH, vec![], json!([dot]));
    says(
        &GOOGLE_AI,
        FLASH,
        vec![
            message(Assistant, [text("a")]),
            message(User, [text("b"), text(" \n")]),
            message(System, [text("s")]),
            message(Assistant, [text("")]),
            message(User, [text("c")]),
        ],
        json!([dot, {"role": "model", "parts": [{"text": "a"}]}, {"role": "user", "parts": [{"text": "b"}, {"text": "c"}]}]),
    );
}

#[test]
fn results_stand_together_first_and_know_their_function() {
    use Role::{Assistant, User};
    let messages = || {
        vec![
            message(User, [text("q")]),
            message(Assistant, [call("i", "f", Some("c2ln")), call("j", "g", None)]),
            message(User, [result("i", [text("1"), image()])]),
            message(User, [text("and")]),
            message(User, [result("j", [text("{\"a\":2}")])]),
        ]
    };
    let file = json!({"inlineData": {"mimeType": "image/png", "data": "aQ=="}});
    says(
        &VERTEX,
        FLASH,
        messages(),
        json!([
            {"role": "user", "parts": [{"text": "q"}]},
            {"role": "model", "parts": [
                {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}, {"functionCall": {"name": "g", "args": {}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "f", "response": {"result": "1"}}},
                {"functionResponse": {"name": "g", "response": {"a": 2}}},
                file, {"text": "and"}]},
        ]),
    );
    says(
        &GOOGLE_AI,
        THIRD,
        messages(),
        json!([
            {"role": "user", "parts": [{"text": "q"}]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "i", "name": "f", "args": {}}, "thoughtSignature": "c2ln"},
                {"functionCall": {"id": "j", "name": "g", "args": {}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "i", "name": "f", "response": {"result": "1"}, "parts": [file]}},
                {"functionResponse": {"id": "j", "name": "g", "response": {"a": 2}}},
                {"text": "and"}]},
        ]),
    );
    says(
        &VERTEX,
        FLASH,
        vec![message(User, [result("x", [])])],
        json!([{"role": "user", "parts": [{"functionResponse": {"name": "unknown_function", "response": {"result": ""}}}]}]),
    );
}

#[test]
fn signatures_stand_where_they_stood() {
    let parts = || vec![thought("hm", "dGhv"), thought("", "c2ln"), text("a"), call("i", "f", Some("Y2Fs"))];
    let says = |thoughts_by: Option<&'static str>, model: &str, expected: serde_json::Value| {
        let spoken = Message { role: Role::Assistant, parts: parts(), thoughts_by: thoughts_by.map(Str::plain) };
        let messages = vec![message(Role::User, [text("q")]), spoken];
        says(
            &VERTEX,
            model,
            messages,
            json!([{"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": expected}]),
        );
    };
    let call = json!({"name": "f", "args": {}});
    let ours = json!([
        {"text": "hm", "thought": true, "thoughtSignature": "dGhv"},
        {"text": "a", "thoughtSignature": "c2ln"},
        {"functionCall": call, "thoughtSignature": "Y2Fs"},
    ]);
    says(Some("google-gemini-v1"), THIRD, ours.clone());
    says(None, FLASH, ours);
    says(Some("anthropic-claude-v1"), FLASH, json!([{"text": "a"}, {"functionCall": call}]));
    let unsigned = json!({"functionCall": call, "thoughtSignature": "skip_thought_signature_validator"});
    says(Some("anthropic-claude-v1"), THIRD, json!([{"text": "a"}, unsigned]));
}

#[test]
fn what_can_be_no_signature_is_left_out_and_named() {
    let spoken = |by: Option<&'static str>| Message {
        thoughts_by: by.map(Str::plain),
        ..message(Role::Assistant, [thought("hm", "not base64"), text("a"), call("i", "f", Some("?"))])
    };
    for (by, named) in [(None, &["messages[].reasoning_details"][..]), (Some("anthropic-claude-v1"), &[])] {
        let messages = vec![message(Role::User, [text("q")]), spoken(by)];
        let mut out = String::new();
        let request = Request { messages, ..Request::default() };
        let dropped = VERTEX.request(&request, &Target::new(FLASH), &mut out).unwrap();
        assert_eq!(dropped, named);
        let body: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(body["contents"][1]["parts"], json!([{"text": "a"}, {"functionCall": {"name": "f", "args": {}}}]));
    }
    for (signature, expected) in
        [("c2ln", true), ("c2k=", true), ("YQ==", true), ("_-", true), ("a", false), ("a===", false)]
    {
        assert_eq!(crate::providers::gemini::thinking::is_signature(&Str::plain(signature)), expected, "{signature}");
    }
}

#[test]
fn a_signature_without_a_text_has_an_empty_one() {
    let spoken = message(Role::Assistant, [thought("", "c2ln"), call("i", "f", None)]);
    says(
        &VERTEX,
        FLASH,
        vec![message(Role::User, [text("q")]), spoken],
        json!([{"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": [
            {"text": "", "thoughtSignature": "c2ln"}, {"functionCall": {"name": "f", "args": {}}}]}]),
    );
}

#[test]
fn the_rest_is_taken_passed_over_or_named() {
    let others = [
        ("n", "2"),
        ("seed", "1"),
        ("top_k", "4"),
        ("presence_penalty", "0"),
        ("frequency_penalty", "0.5"),
        ("logprobs", "true"),
        ("logit_bias", "{}"),
        ("prediction", "{}"),
        ("safety_settings", "[]"),
    ];
    let tool = Tool { name: Str::plain("f"), description: None, parameters: None, strict: Some(true), cache: None };
    let marked = Part::Text(Text { text: Str::plain("x"), cache: Some(value("{}")) });
    let request = Request {
        messages: vec![message(Role::User, [marked])],
        tools: vec![tool],
        parallel_tool_calls: Some(false),
        user: Some(Str::plain("u")),
        service_tier: Some(Str::plain("flex")),
        stop: ["a", "", "b", "c", "d", "e", "f"].map(Str::plain).to_vec(),
        others: others.map(|(name, json)| (Str::plain(name), value(json))).to_vec(),
        ..Request::default()
    };
    let dropped = ["cache_control", "parallel_tool_calls", "prediction", "stop", "tools.strict", "user"];
    let config = json!({"candidateCount": 2, "seed": 1, "topK": 4, "frequencyPenalty": 0.5, "stopSequences": ["a", "b", "c", "d", "e"],
        "responseLogprobs": true});
    let expected = json!({
        "generationConfig": config, "serviceTier": "flex", "safetySettings": [],
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
    });
    check(&GOOGLE_AI, FLASH, request.clone(), expected, &dropped);
    let mut dropped = dropped.to_vec();
    dropped.insert(3, "service_tier");
    check(&VERTEX, FLASH, request, json!({"generationConfig": config}), &dropped);
}

#[test]
fn what_comes_out_is_asked_for_in_googles_words() {
    let others = |others: &[(&'static str, &'static str)]| Request {
        messages: vec![message(Role::User, [Part::Text(Str::plain("x").into())])],
        others: others.iter().map(|(name, json)| (Str::plain(name), value(json))).collect(),
        ..Request::default()
    };
    for (asked, config, dropped) in [
        (&[("modalities", r#"["text"]"#)][..], json!(null), &[][..]),
        (&[("modalities", r#"["image","text"]"#)], json!({"responseModalities": ["TEXT", "IMAGE"]}), &[]),
        (&[("modalities", r#"["image"]"#)], json!({"responseModalities": ["IMAGE"]}), &[]),
        (&[("modalities", r#"["text","video"]"#)], json!(null), &["modalities"]),
        (
            &[("modalities", r#"["text","audio"]"#), ("audio", r#"{"voice":"Kore","format":"wav"}"#)],
            json!({"responseModalities": ["AUDIO"],
                "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}}),
            &[],
        ),
        (
            &[("audio", r#"{"voice":"alloy","format":"mp3"}"#), ("modalities", r#"["audio"]"#)],
            json!({"responseModalities": ["AUDIO"]}),
            &["audio.format", "audio.voice"],
        ),
        (&[("audio", r#"{"voice":"Kore"}"#)], json!(null), &["audio"]),
        (
            &[("image_config", r#"{"aspect_ratio":"16:9","image_size":"2K","x":1}"#)],
            json!({"imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"}}),
            &["image_config"],
        ),
        (&[("logprobs", "true"), ("top_logprobs", "3")], json!({"responseLogprobs": true, "logprobs": 3}), &[]),
        (&[("logprobs", "true"), ("top_logprobs", "0")], json!({"responseLogprobs": true}), &[]),
        (&[("logprobs", "false"), ("top_logprobs", "3")], json!(null), &["top_logprobs"]),
    ] {
        let expected = if config.is_null() { json!({}) } else { json!({"generationConfig": config}) };
        check(&GOOGLE_AI, FLASH, others(asked), expected, dropped);
    }
    let streamed = [("modalities", r#"["audio"]"#), ("audio", r#"{"format":"pcm16"}"#)];
    let expected = json!({"generationConfig": {"responseModalities": ["AUDIO"]}});
    check(&GOOGLE_AI, FLASH, Request { stream: true, ..others(&streamed) }, expected, &[]);
}

#[test]
fn googles_own_tools_are_passed_on() {
    let own = |kind, json| ServerTool { kind: Str::plain(kind), value: value(json) };
    let request = Request {
        messages: vec![message(Role::User, [Part::Text(Str::plain("x").into())])],
        server_tools: vec![
            own("google_search", r#"{"type":"google_search"}"#),
            own("url_context", r#"{"url_context":{}}"#),
            own("googleMaps", r#"{"googleMaps":{"enableWidget":true}}"#),
            own("code_interpreter", r#"{"type":"code_interpreter"}"#),
        ],
        web_search: Some(WebSearch { context_size: Some(Str::plain("low")), location: None }),
        ..Request::default()
    };
    let tools =
        json!([{"googleSearch": {}}, {"googleSearch": {}}, {"urlContext": {}}, {"googleMaps": {"enableWidget": true}}]);
    let dropped = ["tools.code_interpreter", "web_search_options.search_context_size"];
    check(&GOOGLE_AI, FLASH, request, json!({"tools": tools}), &dropped);
}
