//! Requests as OpenAI clients send them, and what Bedrock gets.

use crate::chat::{Arguments, Format, Message, Part, Reasoning, Request, Role, Tool, ToolCall, ToolChoice};
use crate::json::{Document, Str};
use crate::providers::Target;
use serde_json::{Value, json};

use super::write;

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const CLAUDE_4: &str = "us.anthropic.claude-sonnet-4-20250514-v1:0";
const NOVA_2: &str = "us.amazon.nova-2-lite-v1:0";
const LLAMA: &str = "meta.llama3-3-70b-instruct-v1:0";

fn says(role: Role, parts: Vec<Part<'static>>) -> Message<'static> {
    Message { role, parts, thoughts_by: None }
}

fn text(text: &'static str) -> Part<'static> {
    Part::Text(Str::plain(text).into())
}

fn call(name: &'static str) -> Part<'static> {
    let arguments = Arguments::Text(Str::plain("{}"));
    Part::ToolCall(ToolCall { id: Str::plain("c"), name: Str::plain(name), arguments, signature: None })
}

fn result() -> Part<'static> {
    Part::ToolResult { id: Str::plain("c"), parts: vec![text("r")], is_error: false }
}

fn tool() -> Tool<'static> {
    Tool { name: Str::plain("f"), description: None, parameters: None, strict: None, cache: None }
}

fn hello() -> Request<'static> {
    Request { messages: vec![says(Role::User, vec![text("hi")])], ..Request::default() }
}

fn with_history() -> Request<'static> {
    let history = vec![
        says(Role::User, vec![text("hi")]),
        says(Role::Assistant, vec![call("f")]),
        says(Role::User, vec![result()]),
    ];
    Request { messages: history, ..Request::default() }
}

fn written(request: &Request<'_>, model: &str) -> (Value, Vec<String>) {
    let mut out = String::new();
    let dropped = write(request, &Target::new(model), &mut out).unwrap();
    (serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}")), dropped)
}

fn names(body: &Value) -> Vec<&str> {
    let tools = body["toolConfig"]["tools"].as_array().into_iter().flatten();
    tools.map(|tool| tool["toolSpec"]["name"].as_str().unwrap_or("cachePoint")).collect()
}

#[test]
fn turns_are_merged_and_begin_with_the_user() {
    let request = Request {
        messages: vec![
            says(Role::Assistant, vec![text("I")]),
            says(Role::System, vec![text("be"), text(" \n")]),
            says(Role::User, vec![text(" "), text("a")]),
            says(Role::User, vec![text("b")]),
            says(Role::User, vec![]),
            says(Role::Assistant, vec![text("x \n")]),
        ],
        ..Request::default()
    };
    let (body, dropped) = written(&request, CLAUDE);
    assert_eq!(
        body,
        json!({
            "system": [{"text": "be"}],
            "messages": [
                {"role": "user", "content": [{"text": "."}]},
                {"role": "assistant", "content": [{"text": "I"}]},
                {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
                {"role": "assistant", "content": [{"text": "x"}]},
            ],
        })
    );
    assert_eq!(dropped, Vec::<String>::new());
}

#[test]
fn a_tool_choice_is_said_as_far_as_there_are_words() {
    use ToolChoice::{Auto, None as No, Required};
    let one = || ToolChoice::Tool(Str::plain("f"));
    let (auto, any, this) = (json!({"auto": {}}), json!({"any": {}}), json!({"tool": {"name": "f"}}));
    for (model, choice, expected, dropped) in [
        (CLAUDE, None, Value::Null, &[][..]),
        (CLAUDE, Some(Auto), auto, &[]),
        (CLAUDE, Some(Required), any.clone(), &[]),
        (CLAUDE, Some(one()), this, &[]),
        (LLAMA, Some(Auto), Value::Null, &[]),
        (LLAMA, Some(Required), Value::Null, &["tool_choice"]),
        ("mistral.mistral-large-2407-v1:0", Some(one()), any, &["tool_choice"]),
    ] {
        let (body, names) = written(&Request { tools: vec![tool()], tool_choice: choice, ..hello() }, model);
        assert_eq!(
            (&body["toolConfig"]["toolChoice"], &names.iter().map(String::as_str).collect::<Vec<_>>()[..]),
            (&expected, dropped),
            "{model}"
        );
    }
    let none = Request { tools: vec![tool()], tool_choice: Some(No), ..hello() };
    assert_eq!(written(&none, CLAUDE), (written(&hello(), CLAUDE).0, vec![]));
    let none = Request { tools: vec![tool()], tool_choice: Some(No), ..with_history() };
    let (body, dropped) = written(&none, CLAUDE);
    assert_eq!((names(&body), dropped), (vec!["f"], vec!["tool_choice".to_owned()]));
}

#[test]
fn tools_of_the_past_are_named_where_the_client_does_not() {
    let (body, dropped) = written(&with_history(), CLAUDE);
    assert_eq!((names(&body), dropped.len()), (vec!["f"], 0));
    assert_eq!(body["messages"][2]["content"], json!([{"toolResult": {"toolUseId": "c", "content": [{"text": "r"}]}}]));
}

#[test]
fn parallel_calls_are_forbidden_where_that_can_be_said() {
    let request = Request { tools: vec![tool()], parallel_tool_calls: Some(false), ..hello() };
    let (body, dropped) = written(&request, CLAUDE);
    let said = json!({"tool_choice": {"type": "auto", "disable_parallel_tool_use": true}});
    assert_eq!((&body["additionalModelRequestFields"], dropped.len()), (&said, 0));
    assert_eq!(written(&request, NOVA_2).1, ["parallel_tool_calls"]);
}

#[test]
fn schemas_are_held_to_or_emulated_or_told() {
    let document = Document::parse(br#"{"type":"object", "properties":{}}"#).unwrap();
    let format =
        |strict| Format::JsonSchema { name: Str::plain("n"), description: None, schema: document.root(), strict };
    let (body, dropped) = written(&Request { format: Some(format(true)), ..hello() }, CLAUDE);
    let schema = json!({"schema": "{\"type\":\"object\",\"properties\":{}}", "name": "n"});
    let native = json!({"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}});
    assert_eq!((&body["outputConfig"], dropped.len()), (&native, 0));

    for (model, strict) in [(CLAUDE, false), (CLAUDE_4, true), (NOVA_2, true)] {
        let (body, dropped) = written(&Request { format: Some(format(strict)), ..hello() }, model);
        assert_eq!(names(&body), ["gateway_structured_answer"], "{model}");
        assert_eq!(body["toolConfig"]["toolChoice"], json!({"tool": {"name": "gateway_structured_answer"}}));
        assert_eq!(dropped, ["response_format"]);
        let beside = Request { format: Some(format(strict)), tools: vec![tool()], ..hello() };
        let (body, _) = written(&beside, model);
        assert_eq!(names(&body), ["f", "gateway_structured_answer"]);
        assert_eq!(body["toolConfig"]["toolChoice"], json!({"any": {}}));
    }
    for request in [
        Request { format: Some(format(true)), reasoning: Some(Reasoning::Budget(2000)), ..hello() },
        Request { format: Some(Format::JsonObject), ..hello() },
        Request { format: Some(format(true)), tools: vec![tool()], tool_choice: Some(ToolChoice::Required), ..hello() },
    ] {
        let (body, dropped) = written(&request, CLAUDE_4);
        assert!(body["system"][0]["text"].as_str().unwrap().starts_with("Answer with"), "{body}");
        assert_eq!(dropped, ["response_format"]);
    }
}

#[test]
fn thinking_is_said_in_each_makers_words() {
    let effort = |word: &'static str| Some(Reasoning::Effort(Str::plain(word)));
    let adaptive = json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}});
    let nova = json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}});
    let enabled = |budget: u64| json!({"thinking": {"type": "enabled", "budget_tokens": budget}});
    for (model, reasoning, expected, dropped) in [
        (CLAUDE, effort("medium"), enabled(2048), &[][..]),
        (CLAUDE, Some(Reasoning::Budget(5000)), enabled(5000), &[]),
        (CLAUDE, effort("none"), Value::Null, &[]),
        (CLAUDE, effort("utmost"), Value::Null, &["reasoning_effort"]),
        ("anthropic.claude-opus-4-6-v1", effort("medium"), adaptive, &[]),
        ("anthropic.claude-opus-5", effort("none"), json!({"thinking": {"type": "disabled"}}), &[]),
        ("anthropic.claude-3-haiku-20240307-v1:0", effort("low"), Value::Null, &["reasoning_effort"]),
        (NOVA_2, effort("medium"), nova.clone(), &[]),
        (NOVA_2, Some(Reasoning::Budget(2000)), nova, &["thinking"]),
        ("openai.gpt-oss-20b-1:0", effort("high"), json!({"reasoning_effort": "high"}), &[]),
        (LLAMA, effort("high"), Value::Null, &["reasoning_effort"]),
    ] {
        let (body, names) = written(&Request { reasoning: reasoning.clone(), ..hello() }, model);
        assert_eq!(
            (&body["additionalModelRequestFields"], &names.iter().map(String::as_str).collect::<Vec<_>>()[..]),
            (&expected, dropped),
            "{model} {reasoning:?}"
        );
    }
    // Thoughts that the client has lost while tools are in flight: none in this turn then.
    let lost = Request { tools: vec![tool()], reasoning: effort("low"), ..with_history() };
    assert_eq!(written(&lost, CLAUDE).1, ["reasoning_effort"]);
    let bounded = Request { max_tokens: Some(2000), reasoning: effort("high"), ..hello() };
    assert_eq!(written(&bounded, CLAUDE).0["additionalModelRequestFields"], enabled(1024));
    assert_eq!(written(&bounded, NOVA_2).1, ["max_tokens"]);
}

#[test]
fn only_own_thoughts_are_shown_again() {
    let thought = || Part::Thinking { text: Str::plain("t"), signature: Some(Str::plain("s")) };
    let spoken = |by: Option<&'static str>| {
        let parts = vec![thought(), Part::RedactedThinking(Str::plain("ZA==")), call("f")];
        let message = Message { role: Role::Assistant, parts, thoughts_by: by.map(Str::plain) };
        let user = |parts| says(Role::User, parts);
        let messages = vec![user(vec![text("hi")]), message, user(vec![result()])];
        written(&Request { messages, ..Request::default() }, CLAUDE).0["messages"][1]["content"].clone()
    };
    let used = json!({"toolUse": {"toolUseId": "c", "name": "f", "input": {}}});
    let whole = json!([
        {"reasoningContent": {"reasoningText": {"text": "t", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": "ZA=="}},
        used.clone(),
    ]);
    for (by, expected) in
        [(None, whole.clone()), (Some("bedrock"), whole), (Some("anthropic-claude-v1"), json!([used]))]
    {
        assert_eq!(spoken(by), expected, "{by:?}");
    }
}

#[test]
fn parameters_go_where_they_belong_or_are_named() {
    let document = Document::parse(
        br#"{"top_k":5,"seed":1,"n":1,"guardrailConfig":{"guardrailIdentifier":"g"},"half":0.5,"hot":1.5,"null":null}"#,
    )
    .unwrap();
    let value = |name| document.root().get(name).unwrap();
    let others = ["top_k", "seed", "n", "guardrailConfig", "null"].map(|name| (Str::plain(name), value(name)));
    let request = Request {
        others: others.to_vec(),
        max_tokens: Some(9),
        temperature: Some(value("half")),
        top_p: Some(value("half")),
        stop: vec![Str::plain("x"), Str::plain(" ")],
        user: Some(Str::plain("u")),
        service_tier: Some(Str::plain("flex")),
        ..hello()
    };
    let (body, dropped) = written(&request, NOVA_2);
    let config = json!({"maxTokens": 9, "temperature": 0.5, "topP": 0.5, "stopSequences": ["x"]});
    assert_eq!(body["inferenceConfig"], config);
    assert_eq!(body["additionalModelRequestFields"], json!({"inferenceConfig": {"topK": 5}}));
    assert_eq!(
        (&body["serviceTier"], &body["guardrailConfig"]["guardrailIdentifier"]),
        (&json!({"type": "flex"}), &json!("g"))
    );
    assert_eq!(dropped, ["seed", "stop", "user"]);
    assert_eq!(written(&request, CLAUDE).1, ["seed", "stop", "top_p", "user"]);
    assert_eq!(written(&request, LLAMA).1, ["seed", "stop", "top_k", "user"]);
    let hot = Request { temperature: Some(value("hot")), ..hello() };
    assert_eq!(written(&hot, LLAMA).1, ["temperature"]);
    let several = Request { others: vec![(Str::plain("n"), value("top_k"))], ..hello() };
    assert!(write(&several, &Target::new(LLAMA), &mut String::new()).is_err());
}
