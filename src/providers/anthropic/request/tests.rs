//! Requests in the neutral vocabulary, and what Anthropic gets.

use super::super::OWN;
use crate::chat::{
    Arguments, Format, Media, Message, Part, Reasoning, Request, Role, ServerTool, Text, Tool, ToolCall, ToolChoice,
    WebSearch,
};
use crate::error::{Cause, Error};
use crate::json::{Document, Str, Value};
use crate::providers::{Dropped, Target, Translator};
use serde_json::json;

const HAIKU_3: &str = "claude-3-haiku-20240307";
const SONNET_4_5: &str = "claude-sonnet-4-5";
const OPUS_4_6: &str = "claude-opus-4-6";
const OPUS_4_8: &str = "claude-opus-4-8";
const OPUS_5: &str = "claude-opus-5";
const OPUS_5_5: &str = "claude-opus-5-5";

fn write(model: &str, request: &Request<'_>) -> Result<(serde_json::Value, Dropped), Error> {
    let mut out = String::new();
    let dropped = OWN.request(request, &Target::new(model), &mut out)?;
    Ok((serde_json::from_str(&out).expect(&out), dropped))
}

/// `expected` are the members besides `model`, and besides `max_tokens` and `messages` unless they are of interest.
fn check(model: &str, request: Request<'_>, mut expected: serde_json::Value, dropped: &[&str]) {
    let (mut body, seen) = write(model, &request).unwrap();
    assert_eq!(body.as_object_mut().unwrap().remove("model").unwrap(), model);
    for name in ["max_tokens", "messages"] {
        let expected = expected.as_object_mut().unwrap();
        expected.contains_key(name).then_some(()).or_else(|| body.as_object_mut().unwrap().remove(name).map(drop));
    }
    assert_eq!(body, expected);
    assert_eq!(seen, dropped);
}

/// Only the messages.
fn says(messages: Vec<Message<'_>>, expected: serde_json::Value) {
    let (body, dropped) = write(SONNET_4_5, &Request { messages, ..Request::default() }).unwrap();
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

fn user(words: &str) -> Message<'_> {
    message(Role::User, [text(words)])
}

fn assistant(words: &str) -> Message<'_> {
    message(Role::Assistant, [text(words)])
}

fn call<'a>(id: &'a str, arguments: &'a str) -> Part<'a> {
    Part::ToolCall(ToolCall {
        id: Str::plain(id),
        name: Str::plain("f"),
        arguments: Arguments::Text(Str::plain(arguments)),
        signature: None,
    })
}

fn result<'a>(id: &'a str, parts: impl IntoIterator<Item = Part<'a>>) -> Part<'a> {
    Part::ToolResult { id: Str::plain(id), parts: parts.into_iter().collect(), is_error: false }
}

fn thought<'a>(words: &'a str, signature: Option<&'a str>) -> Part<'a> {
    Part::Thinking { text: Str::plain(words), signature: signature.map(Str::plain) }
}

fn base64<'a>(media_type: &'a str, data: &'a str) -> Media<'a> {
    Media::Base64 { media_type: Str::plain(media_type), data: Str::plain(data) }
}

fn tool(name: &str) -> Tool<'_> {
    Tool { name: Str::plain(name), description: None, parameters: None, strict: None, cache: None }
}

fn ask() -> Request<'static> {
    Request { messages: vec![user("hi")], ..Request::default() }
}

fn others(members: &[(&'static str, &str)]) -> Request<'static> {
    Request { others: members.iter().map(|(name, json)| (Str::plain(name), value(json))).collect(), ..ask() }
}

#[test]
fn the_least_and_the_most() {
    let hi = json!([{"role":"user","content":[{"type":"text","text":"hi"}]}]);
    check(HAIKU_3, ask(), json!({"max_tokens":4096,"messages":hi}), &[]);
    let request = Request {
        max_tokens: Some(9),
        temperature: Some(value("0.50")),
        stop: vec![Str::plain("\n"), Str::plain("END"), Str::EMPTY],
        stream: true,
        user: Some(Str::plain("u")),
        service_tier: Some(Str::plain("default")),
        ..ask()
    };
    let expected = json!({"max_tokens":9,"messages":hi,"temperature":0.5,"stop_sequences":["END"],"stream":true,
        "metadata":{"user_id":"u"},"service_tier":"standard_only"});
    check(SONNET_4_5, request, expected, &["stop"]);
}

#[test]
fn system_messages_stand_at_the_top() {
    let cached = Part::Text(Text { text: Str::plain("a"), cache: Some(value(r#"{"type":"ephemeral"}"#)) });
    let request = Request {
        messages: vec![
            message(Role::System, [cached, text(" ")]),
            user("1"),
            message(Role::System, [text("b")]),
            user("2"),
        ],
        ..Request::default()
    };
    let expected = json!({
        "system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":"b"}],
        "messages":[{"role":"user","content":[{"type":"text","text":"1"},{"type":"text","text":"2"}]}],
    });
    check(SONNET_4_5, request, expected, &[]);
}

#[test]
fn turns_alternate_and_nothing_is_blank() {
    says(
        vec![user("a"), user("\n"), assistant(""), user("b"), assistant("c"), assistant("d \n")],
        json!([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
            {"role":"assistant","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]}]),
    );
    says(
        vec![assistant("a "), user("b")],
        json!([{"role":"user","content":"."},{"role":"assistant","content":[{"type":"text","text":"a "}]},
            {"role":"user","content":[{"type":"text","text":"b"}]}]),
    );
    says(vec![message(Role::System, [text("only")])], json!([{"role":"user","content":"."}]));
    says(
        vec![user("a"), message(Role::Assistant, [Part::Refusal(Str::plain("no"))]), user("b")],
        json!([{"role":"user","content":[{"type":"text","text":"a"}]},
            {"role":"assistant","content":[{"type":"text","text":"no"}]},
            {"role":"user","content":[{"type":"text","text":"b"}]}]),
    );
}

#[test]
fn results_of_tools_stand_together_and_first() {
    let image = Part::image(Media::Url(Str::plain("https://h/i.png")));
    says(
        vec![
            user("q"),
            message(Role::Assistant, [text("a"), call("c.1", r#"{"x":1}"#), call("c2", "")]),
            message(Role::User, [result("c.1", [text("r"), text(""), image])]),
            user("and"),
            message(Role::User, [result("c2", [])]),
        ],
        json!([{"role":"user","content":[{"type":"text","text":"q"}]},
            {"role":"assistant","content":[{"type":"text","text":"a"},
                {"type":"tool_use","id":"c_2e1","name":"f","input":{"x":1}},
                {"type":"tool_use","id":"c2","name":"f","input":{}}]},
            {"role":"user","content":[
                {"type":"tool_result","tool_use_id":"c_2e1","content":[{"type":"text","text":"r"},
                    {"type":"image","source":{"type":"url","url":"https://h/i.png"}}]},
                {"type":"tool_result","tool_use_id":"c2","content":[]},
                {"type":"text","text":"and"}]}]),
    );
}

#[test]
fn thoughts_come_back_as_they_were() {
    let parts =
        [thought("t\n", Some("a+/=")), Part::RedactedThinking(Str::plain("r/")), thought("theirs", None), text("x")];
    let said = vec![user("q"), message(Role::Assistant, parts), user("p")];
    let request = Request { messages: said.clone(), ..Request::default() };
    says(
        said,
        json!([{"role":"user","content":[{"type":"text","text":"q"}]},
            {"role":"assistant","content":[{"type":"thinking","thinking":"t\n","signature":"a+/="},
                {"type":"redacted_thinking","data":"r/"},{"type":"text","text":"x"}]},
            {"role":"user","content":[{"type":"text","text":"p"}]}]),
    );
    let (body, _) = write(HAIKU_3, &request).unwrap();
    assert_eq!(body["messages"][1]["content"], json!([{"type":"text","text":"x"}]));

    let thinks = || thought("t", Some("s"));
    let turn = |first: Vec<Part<'static>>, second: Vec<Part<'static>>| {
        let turns = [user("q"), message(Role::Assistant, first), message(Role::Assistant, second)];
        let (body, _) = write(SONNET_4_5, &Request { messages: turns.into(), ..Request::default() }).unwrap();
        let blocks = body["messages"][1]["content"].as_array().cloned().unwrap_or_default();
        blocks.iter().map(|block| block["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(turn(vec![thinks()], vec![]), [""; 0]);
    assert_eq!(turn(vec![thinks(), text("a"), thinks()], vec![thinks()]), ["thinking", "text"]);
    assert_eq!(turn(vec![thinks(), text("a")], vec![thinks(), text("b")]), ["thinking", "text", "thinking", "text"]);
    assert_eq!(turn(vec![text("a")], vec![thinks(), text("b")]), ["text", "text"]);
}

#[test]
fn media() {
    let document =
        |media, name: Option<&'static str>| Part::Document { media, name: name.map(Str::plain), cited: name.is_some() };
    says(
        vec![message(
            Role::User,
            [
                Part::image(base64("image/jpg", "/9j/4AAQ")),
                Part::image(base64("image/webp", "AAAA")),
                document(base64("application/pdf", "JVBERi0="), Some("a.pdf")),
                document(base64("text/markdown", "w6k=\n"), None),
                document(base64("image/png", "iVBORw0KGgo="), Some("i")),
                document(Media::Url(Str::plain("https://h/d.pdf")), None),
            ],
        )],
        json!([{"role":"user","content":[
            {"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"/9j/4AAQ"}},
            {"type":"image","source":{"type":"base64","media_type":"image/webp","data":"AAAA"}},
            {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="},"title":"a.pdf","citations":{"enabled":true}},
            {"type":"document","source":{"type":"text","media_type":"text/plain","data":"é"}},
            {"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}},
            {"type":"document","source":{"type":"url","url":"https://h/d.pdf"}}]}]),
    );
    for part in [
        Part::Audio(base64("audio/wav", "AAAA")),
        document(base64("application/zip", "AAAA"), None),
        document(base64("text/plain", "_%"), None),
        result("c", [Part::Audio(base64("audio/wav", "AAAA"))]),
    ] {
        let error = write(SONNET_4_5, &Request { messages: vec![message(Role::User, [part])], ..ask() }).unwrap_err();
        assert_eq!((error.cause, error.param.as_deref()), (Cause::BadRequest, Some("messages")));
    }
}

#[test]
fn tools() {
    let schema = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
    let full = Tool {
        description: Some(Str::plain("d")),
        parameters: Some(value(schema)),
        strict: Some(true),
        cache: Some(value(r#"{"type":"ephemeral"}"#)),
        ..tool("f")
    };
    let request = Request { tools: vec![full, tool("g")], parallel_tool_calls: Some(false), ..ask() };
    let mut written = json!({
        "tools":[{"name":"f","description":"d","input_schema":serde_json::from_str::<serde_json::Value>(schema).unwrap(),
            "strict":true,"cache_control":{"type":"ephemeral"}},
            {"name":"g","input_schema":{"type":"object","properties":{}}}],
        "tool_choice":{"type":"auto","disable_parallel_tool_use":true},
    });
    check(SONNET_4_5, request.clone(), written.clone(), &[]);
    written["tools"][0].as_object_mut().unwrap().remove("strict");
    check(HAIKU_3, request, written, &["tools.strict"]);

    let choose = |model, choice, expected: serde_json::Value, dropped: &[&str]| {
        let request = Request { tools: vec![tool("f")], tool_choice: choice, ..ask() };
        let (body, seen) = write(model, &request).unwrap();
        assert_eq!(
            (&body["tool_choice"], &seen[..]),
            (&expected, &dropped.iter().map(<_>::to_string).collect::<Vec<_>>()[..])
        );
    };
    choose(SONNET_4_5, None, json!(null), &[]);
    choose(SONNET_4_5, Some(ToolChoice::Auto), json!({"type":"auto"}), &[]);
    choose(SONNET_4_5, Some(ToolChoice::None), json!({"type":"none"}), &[]);
    choose(SONNET_4_5, Some(ToolChoice::Required), json!({"type":"any"}), &[]);
    choose(SONNET_4_5, Some(ToolChoice::Tool(Str::plain("f"))), json!({"type":"tool","name":"f"}), &[]);
    choose(OPUS_5_5, Some(ToolChoice::Required), json!({"type":"auto"}), &["tool_choice"]);
    check(SONNET_4_5, Request { tool_choice: Some(ToolChoice::None), ..ask() }, json!({}), &[]);
}

#[test]
fn effort_and_budgets() {
    let think = |model, reasoning, max_tokens, expected, dropped: &[&str]| {
        check(model, Request { reasoning: Some(reasoning), max_tokens, ..ask() }, expected, dropped);
    };
    let effort = |word| Reasoning::Effort(Str::plain(word));
    let budget = |tokens: u64, max: u64| json!({"max_tokens":max,"thinking":{"type":"enabled","budget_tokens":tokens}});
    let silent = |max: u64| json!({"max_tokens":max});
    let adaptive = |effort| json!({"thinking":{"type":"adaptive"},"output_config":{"effort":effort}});
    let shown =
        |effort| json!({"thinking":{"type":"adaptive","display":"summarized"},"output_config":{"effort":effort}});

    think(SONNET_4_5, effort("minimal"), None, budget(1024, 64_000), &[]);
    think(SONNET_4_5, effort("high"), Some(5000), budget(4096, 5000), &[]);
    think(SONNET_4_5, effort("high"), Some(4096), budget(2048, 4096), &[]);
    think(SONNET_4_5, effort("low"), Some(1025), budget(1024, 1025), &[]);
    think(SONNET_4_5, effort("low"), Some(1024), silent(1024), &["reasoning_effort"]);
    think(SONNET_4_5, effort("none"), None, silent(64_000), &[]);
    think(SONNET_4_5, effort("utmost"), None, silent(64_000), &["reasoning_effort"]);
    think(SONNET_4_5, Reasoning::Budget(70_000), None, budget(70_000, 74_096), &[]);
    think(SONNET_4_5, Reasoning::Budget(u64::MAX), Some(2050), budget(1025, 2050), &[]);
    think(SONNET_4_5, Reasoning::Budget(0), None, silent(64_000), &[]);
    think("claude-opus-4-1", effort("max"), None, budget(16_384, 20_480), &[]);
    think(HAIKU_3, effort("low"), None, silent(4096), &["reasoning_effort"]);
    think(HAIKU_3, effort("none"), None, silent(4096), &[]);
    think(OPUS_4_6, effort("minimal"), None, adaptive("low"), &[]);
    think(OPUS_4_6, effort("xhigh"), None, adaptive("high"), &[]);
    think(OPUS_4_6, effort("max"), None, adaptive("max"), &[]);
    think(OPUS_4_6, Reasoning::Budget(3000), None, budget(3000, 64_000), &[]);
    think(OPUS_4_8, effort("xhigh"), None, shown("xhigh"), &[]);
    think(OPUS_4_8, Reasoning::Budget(3000), None, shown("high"), &["thinking"]);
    think(OPUS_4_8, effort("none"), None, silent(64_000), &[]);
    think(OPUS_5, effort("none"), None, json!({"thinking":{"type":"disabled"}}), &[]);
    think(OPUS_5_5, effort("none"), None, json!({"output_config":{"effort":"low"}}), &["reasoning_effort"]);
}

#[test]
fn a_forced_tool_wins_over_thinking() {
    let request = Request {
        tools: vec![tool("f")],
        tool_choice: Some(ToolChoice::Required),
        reasoning: Some(Reasoning::Effort(Str::plain("low"))),
        ..ask()
    };
    let (body, dropped) = write(SONNET_4_5, &request).unwrap();
    assert_eq!(
        (&body["thinking"], &body["tool_choice"]["type"], dropped),
        (&json!(null), &json!("any"), vec!["reasoning_effort".into()])
    );
    let (body, dropped) = write(OPUS_4_6, &request).unwrap();
    assert_eq!((&body["thinking"]["type"], dropped), (&json!("adaptive"), vec![]));
    let request = Request { tools: vec![], ..request };
    assert_eq!(write(SONNET_4_5, &request).unwrap().0["thinking"]["type"], "enabled");
}

#[test]
fn lost_thoughts_turn_thinking_off_while_tools_are_in_flight() {
    let think = |messages: Vec<Message<'_>>, lost: bool| {
        let request = Request { messages, reasoning: Some(Reasoning::Effort(Str::plain("low"))), ..Request::default() };
        let (body, dropped) = write(SONNET_4_5, &request).unwrap();
        assert_eq!((body.get("thinking").is_none(), !dropped.is_empty()), (lost, lost), "{body}");
        assert!(write(OPUS_4_6, &request).unwrap().0.get("thinking").is_some());
    };
    let calls = |parts: Vec<Part<'static>>| message(Role::Assistant, parts);
    let results = || message(Role::User, [result("c", [text("r")])]);
    think(vec![user("q"), calls(vec![call("c", "")]), results()], true);
    think(vec![user("q"), calls(vec![thought("t", None), call("c", "")]), results()], true);
    think(vec![user("q"), calls(vec![thought("t", Some("s")), call("c", "")]), results()], false);
    think(vec![user("q"), calls(vec![Part::RedactedThinking(Str::plain("d")), call("c", "")]), results()], false);
    let second = || calls(vec![call("c", "")]);
    think(vec![user("q"), calls(vec![thought("t", Some("s")), call("c", "")]), results(), second(), results()], false);
    think(vec![user("q"), second(), results(), assistant("a"), user("next")], false);
    think(vec![user("q"), assistant("prefill")], true);
}

#[test]
fn sampling_is_what_the_model_takes() {
    let sample = |model, temperature: &str, top_p: &str, expected, dropped: &[&str]| {
        let request = Request { temperature: Some(value(temperature)), top_p: Some(value(top_p)), ..ask() };
        check(model, request, expected, dropped);
    };
    sample(HAIKU_3, "0.2", "0.9", json!({"temperature":0.2,"top_p":0.9}), &[]);
    sample(HAIKU_3, "1.7", "0.9", json!({"top_p":0.9}), &["temperature"]);
    sample(SONNET_4_5, "0.2", "0.9", json!({"temperature":0.2}), &["top_p"]);
    sample(SONNET_4_5, "0.2", "1", json!({"temperature":0.2}), &[]);
    sample(SONNET_4_5, "1.0", "0.9", json!({"top_p":0.9}), &[]);
    sample(OPUS_4_8, "0", "1", json!({}), &["temperature"]);
    let thinking = Request {
        temperature: Some(value("0.2")),
        top_p: Some(value("0.97")),
        reasoning: Some(Reasoning::Budget(2000)),
        ..others(&[("top_k", "1")])
    };
    let expected = json!({"thinking":{"type":"enabled","budget_tokens":2000},"top_p":0.97});
    check(SONNET_4_5, thinking, expected, &["temperature", "top_k"]);
}

#[test]
fn formats() {
    let schema = |strict, about: Option<&'static str>| {
        Some(Format::JsonSchema {
            name: Str::plain("n"),
            description: about.map(Str::plain),
            schema: value(r#"{"type":"object"}"#),
            strict,
        })
    };
    let native = json!({"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}});
    check(SONNET_4_5, Request { format: schema(true, None), ..ask() }, native.clone(), &[]);
    let dropped = ["response_format.json_schema.description"];
    check(SONNET_4_5, Request { format: schema(true, Some("a cat")), ..ask() }, native, &dropped);
    let tool = |about: &str| {
        let description =
            format!("Gives the final answer. Call it once, with the whole answer as its arguments.{about}");
        json!({"name":"gateway_structured_answer","description":description,"input_schema":{"type":"object"}})
    };
    let one = json!({"type":"tool","name":"gateway_structured_answer"});
    let forced = json!({"tools":[tool("")],"tool_choice":one});
    check(SONNET_4_5, Request { format: schema(false, None), ..ask() }, forced.clone(), &["response_format"]);
    check(HAIKU_3, Request { format: schema(true, None), ..ask() }, forced, &["response_format"]);
    let forced = json!({"tools":[tool(" The answer is to be: a cat")],"tool_choice":one});
    check(HAIKU_3, Request { format: schema(true, Some("a cat")), ..ask() }, forced, &["response_format"]);
    let beside = json!({"tools":[{"name":"f","input_schema":{"type":"object","properties":{}}},tool("")],
        "tool_choice":{"type":"any","disable_parallel_tool_use":true}});
    let own = Tool { name: Str::plain("f"), description: None, parameters: None, strict: None, cache: None };
    let request = Request { format: schema(true, None), tools: vec![own], parallel_tool_calls: Some(false), ..ask() };
    check(HAIKU_3, request, beside, &["response_format"]);
    // One that thinks, or that cannot be made to call a tool, is told.
    let told = "Answer with JSON of this schema, and with nothing else, not even a code fence: {\"type\":\"object\"}";
    let told = |about: &str| json!({"system":[{"type":"text","text":format!("{told}{about}")}]});
    check(
        OPUS_5_5,
        Request { format: schema(false, Some("a cat")), ..ask() },
        told(" It is to be: a cat"),
        &["response_format"],
    );
    let request = Request { format: schema(false, None), reasoning: Some(Reasoning::Budget(2000)), ..ask() };
    let mut thinks = told("");
    thinks["thinking"] = json!({"type":"enabled","budget_tokens":2000});
    check(SONNET_4_5, request, thinks, &["response_format"]);
    let told = json!({"system":[{"type":"text","text":
        "Answer with one JSON object, and with nothing else, not even a code fence."}]});
    check(OPUS_5, Request { format: Some(Format::JsonObject), ..ask() }, told, &["response_format"]);
}

#[test]
fn thoughts_of_others_are_left_out() {
    for (by, kept) in
        [(None, true), (Some(""), true), (Some("anthropic-claude-v1"), true), (Some("google-gemini-v1"), false)]
    {
        let thought = Part::Thinking { text: Str::plain("t"), signature: Some(Str::plain("s")) };
        let parts = vec![thought, Part::Text(Str::plain("a").into())];
        let said = Message { role: Role::Assistant, parts, thoughts_by: by.map(Str::plain) };
        let asked = |text| {
            let parts = vec![Part::Text(Str::plain(text).into())];
            Message { role: Role::User, parts, thoughts_by: None }
        };
        let request = Request { messages: vec![asked("q"), said, asked("r")], ..Request::default() };
        let (body, dropped) = write(SONNET_4_5, &request).unwrap();
        let turn = body["messages"][1]["content"].as_array().unwrap();
        assert_eq!(turn.iter().any(|block| block["type"] == "thinking"), kept, "{by:?}");
        assert!(dropped.is_empty());
    }
}

#[test]
fn tools_that_anthropic_runs() {
    let own = |kind, json| ServerTool { kind: Str::plain(kind), value: value(json) };
    let server_tools = vec![
        own("web_fetch_20250910", r#"{"type":"web_fetch_20250910","name":"web_fetch","max_uses":2}"#),
        own("google_search", r#"{"google_search":{}}"#),
        own("mcp_toolset", r#"{"type":"mcp_toolset","mcp_server_name":"m"}"#),
        own("custom", r#"{"type":"custom","custom":{}}"#),
        own("_20250910", "{}"),
    ];
    let location = Some(value(r#"{"city":"Ulm","country":"DE","region":null,"x":1}"#));
    let web_search = Some(WebSearch { context_size: Some(Str::plain("low")), location });
    let expected = json!({"tools":[
        {"type":"web_fetch_20250910","name":"web_fetch","max_uses":2},{"type":"mcp_toolset","mcp_server_name":"m"},
        {"type":"web_search_20250305","name":"web_search","max_uses":1,
         "user_location":{"type":"approximate","city":"Ulm","country":"DE"}}]});
    let request = Request { server_tools, web_search, ..ask() };
    check(SONNET_4_5, request, expected, &["tools._20250910", "tools.custom", "tools.google_search"]);
    let expected = json!({"tools":[{"type":"web_search_20250305","name":"web_search"}]});
    check(SONNET_4_5, Request { web_search: Some(WebSearch::default()), ..ask() }, expected, &[]);
}

#[test]
fn the_rest_is_taken_passed_over_or_named() {
    let neutral = [
        ("n", "1"),
        ("frequency_penalty", "0.0"),
        ("presence_penalty", "0"),
        ("logprobs", "false"),
        ("store", "false"),
        ("stream_options", r#"{"include_usage":true}"#),
        ("logit_bias", "{}"),
        ("modalities", r#"["text"]"#),
        ("seed", "null"),
    ];
    check(SONNET_4_5, others(&neutral), json!({}), &[]);
    let named =
        [("seed", "1"), ("presence_penalty", "0.5"), ("metadata", r#"{"a":"b"}"#), ("modalities", r#"["audio"]"#)];
    check(SONNET_4_5, others(&named), json!({}), &["metadata", "modalities", "presence_penalty", "seed"]);
    let taken = [("top_k", "5"), ("cache_control", r#"{"type":"ephemeral"}"#), ("metadata", r#"{"user_id":"u"}"#)];
    let expected = json!({"top_k":5,"cache_control":{"type":"ephemeral"},"metadata":{"user_id":"u"}});
    check(SONNET_4_5, others(&taken), expected, &[]);
    check(SONNET_4_5, Request { service_tier: Some(Str::plain("flex")), ..ask() }, json!({}), &["service_tier"]);
    let error = write(SONNET_4_5, &others(&[("n", "2")])).unwrap_err();
    assert_eq!((error.cause, error.param.as_deref()), (Cause::BadRequest, Some("n")));
}
