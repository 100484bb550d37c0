//! The core on wasm32, in Node (`make test-wasm`): what a 32-bit `usize` or another target could make different.
#![cfg(all(target_family = "wasm", target_os = "unknown"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "fuzz/checks.rs"]
mod checks;

use model_gateway::chance::Random;
use model_gateway::chat::{Delta, Usage};
use model_gateway::clients::{Envelope, openai};
use model_gateway::config::{Config, File};
use model_gateway::dialect::{Differences, Operation};
use model_gateway::error::{Cause, Error};
use model_gateway::frame::sse::{Decoder, MAX_EVENT};
use model_gateway::headers::Headers;
use model_gateway::json::{Document, MAX_DEPTH, Value as Node};
use model_gateway::providers::{Failure, Speech, Target, Translator, find};
use model_gateway::route::{Ask, Plan, Shared, Version, plan};
use model_gateway::splice::{self, Facts, Stream};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

fn translator() -> &'static dyn Translator {
    match find("anthropic").unwrap().speech() {
        Speech::Native(translator) => translator,
        Speech::OpenAi => panic!("anthropic has a language of its own"),
    }
}

fn classify(status: u16, error: Node<'_>) -> Error {
    find("openai").unwrap().error(&Failure { status, body: Some(error), name: None })
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect(text)
}

#[wasm_bindgen_test]
fn it_is_the_target_that_the_module_is_built_for() {
    assert_eq!(size_of::<usize>(), 4);
}

#[wasm_bindgen_test]
fn texts_are_the_same_by_vectors() {
    let mut chance = Random::new(1);
    (0..20_000).for_each(|_| checks::json_string(&mut chance));
    (0..5000).for_each(|_| checks::estimate(&mut chance));
}

#[wasm_bindgen_test]
fn json_is_read_whole() {
    let text = format!(r#"{{"max":{},"more":1e400,"text":"\ud83e\udd80\ud83e","a":[[],{{}}]}}"#, u64::MAX);
    let document = Document::parse(text.as_bytes()).unwrap();
    let root = document.root();
    assert_eq!(root.get("max").and_then(Node::as_u64), Some(u64::MAX));
    assert_eq!(root.get("more").and_then(Node::as_u64), None);
    assert_eq!(&*root.get("text").and_then(Node::as_str).unwrap().decode(), "🦀\u{fffd}");
    assert_eq!(root.get("a").unwrap().raw(), "[[],{}]");
    assert_eq!(Document::parse("[".repeat(MAX_DEPTH + 1).as_bytes()).unwrap_err().offset, MAX_DEPTH);

    // As large as bodies come, with as many values.
    let many = format!("[{}0]", "{\"a\":\"b\"},".repeat(1 << 18));
    assert_eq!(Document::parse(many.as_bytes()).unwrap().root().elements().count(), (1 << 18) + 1);
    let long = format!(r#"{{"image":"{}","model":"m"}}"#, "A".repeat(32 << 20));
    let document = Document::parse(long.as_bytes()).unwrap();
    assert!(document.root().get("model").and_then(Node::as_str).unwrap() == *"m");
}

#[wasm_bindgen_test]
fn frames_are_bounded() {
    let mut decoder = Decoder::default();
    let piece = vec![b'a'; 1 << 20];
    let refused = (0..(MAX_EVENT >> 20) + 2).find(|_| decoder.push(&piece).is_err());
    assert_eq!(refused, Some((MAX_EVENT >> 20) + 1));
}

#[wasm_bindgen_test]
fn a_stream_is_spliced() {
    let sent = concat!(
        ": hi\n\n",
        "data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"h\u{e9}\"}}]}\r\n\r\n",
        "data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5000000000,\"completion_tokens\":2}}\n\n",
        "data: [DONE]\n\n",
    );
    let mut stream = Stream::new("asked", false);
    let mut out = String::new();
    let classify = |error: Node<'_>| classify(200, error);
    sent.as_bytes().chunks(3).for_each(|chunk| stream.push(chunk, classify, &mut out).unwrap());
    stream.end(classify, &mut out).unwrap();
    assert_eq!(out.matches("\"asked\"").count(), 2);
    assert!(out.ends_with("data: [DONE]\n\n") && !out.contains("prompt_tokens"));
    // More than 32 bits hold.
    assert_eq!(stream.usage(), Some(Usage { input: 5_000_000_000, output: 2, ..Usage::default() }));
}

#[wasm_bindgen_test]
fn requests_and_answers_are_spliced() {
    let body = r#"{"model":"a","messages":[{"role":"user","content":"\u00e9"}],"stream":true,"x":1.50}"#;
    let document = Document::parse(body.as_bytes()).unwrap();
    let mut out = String::new();
    splice::request(&document, &Facts::read(&document).unwrap(), "up", &Differences::NONE, &mut out);
    let expected = body.replace("\"a\"", "\"up\",\"stream_options\":{\"include_usage\":true}");
    assert_eq!(out, expected);

    let body =
        r#"{"model":"up","choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3}}"#;
    let mut out = String::new();
    let answered = splice::answer(body.as_bytes(), "a", |error| classify(200, error), &mut out).unwrap();
    assert_eq!(out, body.replace("\"up\"", "\"a\""));
    assert_eq!(answered.usage, Some(Usage { input: 3, ..Usage::default() }));
    assert_eq!(answered.finishes.names(), "stop");
}

fn check_config(file: Value) -> Result<Config, Vec<String>> {
    let file: File = serde_json::from_value(file).unwrap();
    Config::check(&file).map_err(|mistakes| mistakes.into_iter().map(|mistake| mistake.path).collect())
}

#[wasm_bindgen_test]
fn configuration_is_checked() {
    let good = json!({"providers": {"a": {"kind": "openai"}}, "models": {"m": {"targets": [{"provider": "a"}]}}});
    let config = check_config(good).unwrap();
    assert_eq!(config.body_limit, 32 << 20);
    let bad = json!({"providers": {"a": {"kind": "opemai"}}, "models": {"m": {"targets": [{"provider": "b"}]}}});
    assert_eq!(check_config(bad).unwrap_err(), ["providers.a.kind", "models.m.targets[0].provider"]);
    let large = json!({"body_limit": "5GiB", "providers": {"a": {"kind": "openai"}}});
    assert_eq!(check_config(large).unwrap_err(), ["body_limit"]);
}

/// Nothing is known of any target.
struct Nothing;

impl Shared for Nothing {
    fn get(&self, _: &str) -> (Option<Vec<u8>>, Version) {
        (None, Version(0))
    }

    fn set(&self, _: &str, _: &[u8], _: Version) -> bool {
        true
    }
}

#[wasm_bindgen_test]
fn a_plan_is_the_same_as_anywhere_else() {
    let targets = ["a", "b", "c", "d"].map(|provider| json!({"provider": provider, "weight": 3}));
    let providers: Value =
        ["a", "b", "c", "d"].iter().map(|name| (name.to_string(), json!({"kind": "openai"}))).collect();
    let config = check_config(json!({"providers": providers, "models": {"m": {"targets": targets}}})).unwrap();
    let planned = |seed| {
        let model = config.models.find("m").unwrap();
        let ask = Ask { model, operation: Operation::Chat, key: None, estimate: None, sticky: None, now: 0, seed };
        plan(&config, &ask, &Nothing).unwrap()
    };
    let drawn = |seed| {
        let plan = planned(seed);
        plan.line.iter().map(|hop| plan.hops[usize::from(*hop)].provider.clone()).collect::<String>()
    };
    // By native runs: the seed has 64 bits here too.
    assert_eq!([1, u64::MAX, 1 << 40].map(drawn), ["cdba", "dcab", "abdc"]);

    let plan = planned(1);
    assert_eq!(Plan::decode(&plan.encode()), Some(plan));
    assert_eq!(Plan::decode(b"{}"), None);
}

#[wasm_bindgen_test]
fn anthropic_is_spoken() {
    let body = json!({
        "model": "claude", "max_completion_tokens": 100, "stream": true, "stop": "END",
        "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "h\u{e9}"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    });
    let body = body.to_string();
    let document = Document::parse(body.as_bytes()).unwrap();
    let mut out = String::new();
    let target = Target::new("claude-sonnet-4-5");
    let dropped = translator().request(&openai::request(&document).unwrap(), &target, &mut out).unwrap();
    let sent = parse(&out);
    assert_eq!((&sent["model"], &sent["max_tokens"]), (&json!("claude-sonnet-4-5"), &json!(100)));
    assert_eq!((&sent["tools"][0]["name"], &sent["messages"][0]["role"]), (&json!("f"), &json!("user")));
    assert_eq!(dropped, Vec::<String>::new());

    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "stop_reason": "tool_use",
        "content": [{"type": "text", "text": "a"}, {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}],
        "usage": {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 7},
    });
    let answer = answer.to_string();
    let document = Document::parse(answer.as_bytes()).unwrap();
    let mut out = String::new();
    let envelope = Envelope { id: "", model: "claude", created: 5_000_000_000, include_usage: true, thoughts: "" };
    openai::answer(&translator().answer(&document).unwrap(), &envelope, &mut out);
    let told = parse(&out);
    assert_eq!((&told["created"], &told["usage"]["prompt_tokens"]), (&json!(5_000_000_000_u64), &json!(10)));
    assert_eq!(told["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(told["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], r#"{"x":1}"#);
}

#[wasm_bindgen_test]
fn anthropics_stream_is_told() {
    let events = [
        json!({"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 3}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "h\u{e9}"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
        json!({"type": "message_stop"}),
    ];
    let stream: String = events.iter().map(|event| format!("event: x\ndata: {event}\n\n")).collect();
    let mut decoder = translator().stream();
    let mut encoder =
        openai::StreamEncoder::new(&Envelope { id: "", model: "asked", created: 7, include_usage: true, thoughts: "" });
    let mut out = String::new();
    let mut sink = |choice: u32, delta: Delta<'_>| encoder.push(choice, delta, &mut out);
    stream.as_bytes().chunks(1).for_each(|byte| decoder.push(byte, &mut sink).unwrap());
    decoder.end(&mut sink).unwrap();
    encoder.end(&mut out);
    checks::readable(&out);
    assert!(out.contains("\"content\":\"h\u{e9}\"") && out.contains("\"total_tokens\":5"), "{out}");
}

#[wasm_bindgen_test]
fn errors_are_told_in_openais_terms() {
    let body = r#"{"error":{"message":"slow \"down\"","type":"tokens","code":"rate_limit_exceeded"}}"#;
    let document = Document::parse(body.as_bytes()).unwrap();
    let error = classify(429, document.root());
    assert_eq!((error.cause, error.client_status()), (Cause::RateLimited, 429));
    let told = parse(&openai::error_body(&error));
    assert_eq!(
        told,
        json!({"error": {"message": "slow \"down\"", "type": "tokens", "param": null, "code": "rate_limit_exceeded"}})
    );
    let told = parse(&openai::error_body(&Error::bad_request("no", "messages[0]")));
    assert_eq!(told["error"]["param"], "messages[0]");
}

/// Sizes that come to little in 32 bits are still past the end.
#[wasm_bindgen_test]
fn a_map_of_headers_does_not_wrap() {
    let map = |numbers: &[u32]| -> Vec<u8> {
        let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
        numbers.chain(*b"a\0b\0").collect()
    };
    const MOST: u32 = u32::MAX;
    assert!(Headers::read(map(&[1, 1, 1])).is_some());
    for numbers in [
        &[1 << 29][..],
        &[1 << 29, 1, 1],
        &[MOST, 1, 1],
        &[1, MOST, 1],
        &[1, 1, MOST],
        &[1, MOST, MOST],
        &[1, 1 << 31, 1 << 31],
        &[2, MOST, MOST, 1, 1],
        &[2, 1, 1, MOST - 1, MOST - 1],
    ] {
        assert_eq!(Headers::read(map(numbers)), None, "{numbers:?}");
    }
}

/// The properties of `tests/properties.rs`, on what a small generator puts together.
#[wasm_bindgen_test]
fn properties_hold_here_too() {
    const WORDS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"\\ud83e\"",
        "1e9",
        "null",
        "\n",
        "\n\n",
        "\r\n",
        " ",
        "\u{e9}",
        "data: ",
        ": c\n\n",
        "event: error\n",
        "data: [DONE]\n\n",
        "\"model\":\"m\"",
        "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]",
        "\"stream\":true",
        "{\"model\":\"m\",\"messages\":[{}],\"stream_options\":{}}",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\n\n",
        "data: {\"type\":\"message_stop\"}\n\n",
        "{\"model\":\"m\",\"input\":[\"a\"],\"dimensions\":2}",
        "{\"embeddings\":[[1.5,-2]]}",
        "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"a\"}}\n\n",
    ];
    let mut state = 1_u32;
    for round in 0..3000 {
        let mut text = String::new();
        for _ in 0..round % 12 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text += WORDS[(state >> 16) as usize % WORDS.len()];
        }
        let bytes = text.as_bytes();
        checks::headers(bytes);
        checks::json(bytes);
        checks::sse(bytes);
        checks::splice_stream(bytes);
        checks::splice_answer(bytes);
        checks::splice_request(bytes);
        checks::anthropic_stream(bytes);
        checks::gemini_stream(bytes);
        checks::gemini_request(bytes);
        checks::client_request(bytes);
        checks::embeddings(bytes);
    }
}
