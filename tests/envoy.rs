//! The real Envoy, the real module, the simulated providers: each failure × streamed or not × alone or first of two.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "envoy/rules.rs"]
mod rules;
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use support::failures::{Ends::Error, FAILURES, answered, failed};
use support::{Answer, Gateway, Mock, chat};

struct Set {
    mock: Mock,
    gateway: Gateway,
}

fn start() -> Set {
    let mock = Mock::start();
    let at = &mock.address;
    let gateway = Gateway::start(&format!(
        r#"
workers: 2
forward_headers: ["x-mock*"]
body_limit: 4MiB
cooldown: 0s
providers:
  openai: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/openai/v1" }}
  anthropic: {{ kind: anthropic, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/anthropic" }}
  dead: {{ kind: openai, base_url: "http://127.0.0.1:1/v1" }}
models:
  openai: {{ targets: [{{ provider: openai, model: gpt-4o }}] }}
  anthropic: {{ targets: [{{ provider: anthropic, model: claude-sonnet-4-5 }}] }}
  openai-first: {{ targets: [{{ provider: openai, model: gpt-4o }}], fallbacks: [anthropic] }}
  anthropic-first: {{ targets: [{{ provider: anthropic, model: claude-sonnet-4-5 }}], fallbacks: [openai] }}
  openai-hasty: {{ targets: [{{ provider: openai, model: gpt-4o }}], timeouts: {{ first_token: 1s, answer: 1s }} }}
  anthropic-hasty:
    targets: [{{ provider: anthropic, model: claude-sonnet-4-5 }}]
    timeouts: {{ first_token: 1s, answer: 1s }}
  openai-first-hasty:
    targets: [{{ provider: openai, model: gpt-4o }}]
    fallbacks: [anthropic]
    timeouts: {{ first_token: 1s, answer: 1s }}
  anthropic-first-hasty:
    targets: [{{ provider: anthropic, model: claude-sonnet-4-5 }}]
    fallbacks: [openai]
    timeouts: {{ first_token: 1s, answer: 1s }}
  large:
    targets: [{{ provider: openai, model: gpt-4o, can: {{ context: 100000000 }} }}]
    fallbacks: [large-2]
  large-2: {{ targets: [{{ provider: anthropic, model: claude-sonnet-4-5, can: {{ context: 100000000 }} }}] }}
  dead: {{ targets: [{{ provider: dead }}] }}
  dead-first: {{ targets: [{{ provider: dead }}], fallbacks: [openai] }}
  three: {{ targets: [{{ provider: dead }}], fallbacks: [anthropic, openai] }}
"#
    ));
    Set { mock, gateway }
}

/// A request id that no other has.
fn id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn body(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "good day"}]})
}

#[test]
fn every_failure_of_every_kind_of_provider() {
    let set = start();
    let mut wrong = Vec::new();
    for (directive, falls_back, ends) in FAILURES {
        for (first, second) in [("openai", "anthropic"), ("anthropic", "openai")] {
            for stream in [false, true] {
                let header = format!("x-mock-{first}");
                let haste = if directive.contains("hang") || directive.contains("wait") { "-hasty" } else { "" };
                let ask = |model: &str| {
                    let id = id();
                    let headers =
                        [(header.as_str(), *directive), ("x-request-id", &id), ("authorization", "Bearer client")];
                    (chat(&set.gateway, &headers, &body(model, stream)), id)
                };
                let mut check = |what: &str, result: Result<(), String>| {
                    if let Err(reason) = result {
                        wrong.push(format!("{directive} at {first}, stream {stream}, {what}: {reason}"));
                    }
                };
                let (alone, _) = ask(&format!("{first}{haste}"));
                check("alone", failed(&alone, *ends, stream));
                let (two, id) = ask(&format!("{first}-first{haste}"));
                if *falls_back && (!stream || matches!(ends, Error(..))) {
                    check("first of two", answered(&two, second, "2"));
                    check("first of two", keys_are_right(&set.mock, &id));
                } else {
                    check("first of two", failed(&two, *ends, stream));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    set.gateway.assert_sound();
}

/// Every provider got its own credential, and nobody the client's.
fn keys_are_right(mock: &Mock, id: &str) -> Result<(), String> {
    let requests = mock.requests(id);
    for request in &requests {
        let header = |name: &str| request["headers"].get(name).and_then(|value| value.as_str().or(value[0].as_str()));
        let (bearer, key) = (header("authorization"), header("x-api-key"));
        let right = match request["site"].as_str() {
            Some("openai") => (bearer, key) == (Some("Bearer sk-mock-key"), None),
            _ => (bearer, key) == (None, Some("sk-mock-key")),
        };
        if !right {
            return Err(format!("authorization {bearer:?}, x-api-key {key:?} at {}", request["site"]));
        }
    }
    if requests.len() == 2 { Ok(()) } else { Err(format!("{} requests at the providers", requests.len())) }
}

#[test]
fn good_answers() {
    let set = start();
    for provider in ["openai", "anthropic"] {
        for stream in [false, true] {
            let answer = chat(&set.gateway, &[], &body(provider, stream));
            answered(&answer, provider, "1").unwrap();
            let mut asks = body(provider, stream);
            asks["messages"][0]["content"] = json!("what is the weather in Rome");
            asks["tools"] = json!([{"type": "function", "function": {"name": "get_weather", "parameters":
                {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]);
            if stream {
                asks["stream_options"] = json!({"include_usage": true});
            }
            let answer = chat(&set.gateway, &[("x-mock", "tools=2")], &asks);
            let calls = tool_calls(&answer, stream);
            assert_eq!(calls.len(), 2, "{answer:?}");
            for (name, arguments) in calls {
                assert_eq!(name, "get_weather");
                assert!(serde_json::from_str::<Value>(&arguments).unwrap()["city"].is_string());
            }
            assert!(answer.body.contains("\"prompt_tokens\""), "{answer:?}");
        }
    }
    let answer = chat(&set.gateway, &[], &body("three", true));
    answered(&answer, "anthropic", "2").unwrap();
    let answer = chat(&set.gateway, &[("x-mock-anthropic", "status=503")], &body("three", true));
    answered(&answer, "openai", "3").unwrap();
    let answer = chat(&set.gateway, &[], &body("dead", false));
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (503, Some("upstream_unavailable")));
    answered(&chat(&set.gateway, &[], &body("dead-first", true)), "openai", "2").unwrap();
    set.gateway.assert_sound();
}

fn tool_calls(answer: &Answer, stream: bool) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if !stream {
        let calls = answer.json()["choices"][0]["message"]["tool_calls"].clone();
        let function = |call: &Value| (text(&call["function"]["name"]), text(&call["function"]["arguments"]));
        return calls.as_array().unwrap().iter().map(function).collect();
    }
    let mut calls: Vec<(String, String)> = Vec::new();
    for event in answer.events().iter().filter_map(|event| serde_json::from_str::<Value>(event).ok()) {
        for call in event["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = call["index"].as_u64().unwrap() as usize;
            if calls.len() <= index {
                calls.resize(index + 1, Default::default());
            }
            calls[index].0 += &text(&call["function"]["name"]);
            calls[index].1 += &text(&call["function"]["arguments"]);
        }
    }
    calls
}

/// Sends bytes as they are, and reads all that comes until the connection ends.
fn raw(gateway: &Gateway, bytes: &[u8]) -> String {
    let mut connection = TcpStream::connect(&gateway.address).unwrap();
    connection.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    // A refusal may come before all was sent.
    let _ = connection.write_all(bytes);
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn bad_input_is_refused_in_openais_shape_and_the_gateway_goes_on() {
    let set = start();
    let post = |headers: &str, body: &str| {
        let length = body.len();
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        )
    };
    const JSON: &str = "content-type: application/json\r\n";
    let chunked = |body: &str| {
        let length = body.len();
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\ntransfer-encoding: chunked\r\n{JSON}\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        )
    };
    let good = body("openai", false).to_string();
    let deep = format!(r#"{{"model":"openai","messages":[{{}}],"x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let large = format!(r#"{{"model":"openai","messages":["{}"]}}"#, "x".repeat(40 << 20));
    let cases: Vec<(&str, String, u16)> = vec![
        ("malformed JSON", post(JSON, r#"{"model": "openai", "#), 400),
        ("a body that is no object", post(JSON, "[1]"), 400),
        ("model of a wrong type", post(JSON, r#"{"model":1,"messages":[{}]}"#), 400),
        ("messages of a wrong type", post(JSON, r#"{"model":"openai","messages":"hi"}"#), 400),
        (
            "content of a wrong type",
            post(JSON, r#"{"model":"anthropic","messages":[{"role":"user","content":7}]}"#),
            400,
        ),
        ("unknown model", post(JSON, r#"{"model":"nobody","messages":[{"role":"user","content":"x"}]}"#), 404),
        ("two models", post(JSON, r#"{"model":"openai","model":"anthropic","messages":[{}]}"#), 400),
        ("40 MiB", post(JSON, &large), 413),
        ("40 MiB in chunks", chunked(&large), 413),
        ("no body", post(JSON, ""), 400),
        ("wrong content type", post("content-type: text/plain\r\n", &good), 415),
        ("10,000-deep nesting", post(JSON, &deep), 400),
        ("not UTF-8 in JSON", post(JSON, "{\"model\":\"\u{1}\"}"), 400),
        (
            "wrong method",
            "GET /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n".to_owned(),
            405,
        ),
        ("unknown path", "GET /v2/anything HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n".to_owned(), 404),
        ("chunked nonsense", chunked("{"), 400),
    ];
    for (what, request, status) in cases {
        let answer = raw(&set.gateway, request.as_bytes());
        let start = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&start), "{what}: {answer}");
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        let json: Value = serde_json::from_str(body.trim()).unwrap_or_else(|error| panic!("{what}: {error}: {answer}"));
        let error = &json["error"];
        assert!(error["message"].is_string() && error["type"].is_string(), "{what}: {answer}");
        assert!(error.get("param").is_some() && error.get("code").is_some(), "{what}: {answer}");
    }
    // Envoy's codec refuses this before any filter: a 400 of any shape.
    let nul = post("content-type: application/json\r\nx-odd: a\0b\r\n", &good);
    assert!(raw(&set.gateway, nul.as_bytes()).starts_with("HTTP/1.1 400 "));
    // A body in chunks is a good body; so is one with a header that is not UTF-8.
    assert!(raw(&set.gateway, chunked(&good).as_bytes()).starts_with("HTTP/1.1 200 "));
    let mut odd = post("content-type: application/json\r\nx-odd: ?\r\n", &good).into_bytes();
    let at = odd.iter().position(|byte| *byte == b'?').unwrap();
    odd[at] = 0xff;
    let answer = raw(&set.gateway, &odd);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answered(&chat(&set.gateway, &[], &body("openai", false)), "openai", "1").unwrap();
    set.gateway.assert_sound();
}

#[test]
fn a_body_up_to_the_limit_survives_a_fallback_whole() {
    let set = start();
    let text = "word ".repeat((4 << 20) / 5 - 100);
    let mut asks = body("large", false);
    asks["messages"][0]["content"] = json!(text);
    let id = id();
    let answer =
        chat(&set.gateway, &[("x-mock-openai", "status=503"), ("x-mock", "text=ok"), ("x-request-id", &id)], &asks);
    assert_eq!((answer.status, answer.header("x-gateway-attempts")), (200, Some("2")), "{answer:?}");
    let usage = answer.json()["usage"]["prompt_tokens"].as_u64().unwrap();
    assert_eq!(usage, text.split_whitespace().count() as u64);
    set.gateway.assert_sound();
}

/// `examples/one-filter`: one attempt, by the routes of an Envoy that serves other things too.
#[test]
fn one_filter_in_an_envoy_of_its_own() {
    let mock = Mock::start();
    let port = format!("port_value: {}", mock.address.rsplit_once(':').unwrap().1);
    let places = [("port_value: 9100", port.as_str()), ("127.0.0.1:9100", mock.address.as_str())];
    let gateway = Gateway::of_envoy("examples/one-filter/envoy.yaml", &places, ("DEMO_KEY", "sk-mock-key"));
    for (model, provider) in [("gpt-4o", "openai"), ("claude", "anthropic")] {
        for stream in [false, true] {
            let id = id();
            // A client's own word on where to go is not heard.
            let headers =
                [("x-request-id", id.as_str()), ("authorization", "Bearer client"), ("x-gateway-target", "openai")];
            answered(&chat(&gateway, &headers, &body(model, stream)), provider, "1").unwrap();
            assert_eq!(mock.requests(&id).len(), 1);
        }
    }
    let failed = chat(&gateway, &[("x-mock", "status=503")], &body("claude", true));
    assert_eq!((failed.status, failed.json()["error"]["message"].is_string()), (503, true), "{failed:?}");
    let other =
        raw(&gateway, b"GET /else HTTP/1.1\r\nhost: a\r\nx-gateway-target: openai\r\nconnection: close\r\n\r\n");
    assert!(other.ends_with("Something else.\n"), "{other}");
    gateway.assert_sound();
}
