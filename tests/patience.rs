//! The real Envoy where a provider refuses a key, falls silent, or says that its limit is reached.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Answer, Gateway, Mock, chat};

fn body(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "good day"}]})
}

const TEXT: &str = "Mock answer to: good day";

fn provider(answer: &Answer) -> (u16, Option<&str>, Option<&str>) {
    (answer.status, answer.header("x-gateway-provider"), answer.header("x-gateway-attempts"))
}

#[test]
fn a_key_that_is_refused_is_retired_by_all_workers_and_never_shown() {
    let mock = Mock::start();
    let at = &mock.address;
    let gateway = Gateway::start(&format!(
        r#"
workers: 2
forward_headers: ["x-mock*"]
providers:
  openai:
    kind: openai
    api_keys: [{{ key: "${{BAD_KEY}}", weight: 9, name: "no-good" }}, "${{MOCK_KEY}}"]
    base_url: "http://{at}/openai/v1"
models:
  openai: {{ targets: [{{ provider: openai, model: gpt-4o }}] }}
"#
    ));
    let id = format!("keys-{}", std::process::id());
    for number in 0..30 {
        let answer = chat(&gateway, &[("x-request-id", &id)], &body("openai", number % 2 == 0));
        assert_eq!((answer.status, answer.text().as_str(), answer.broken), (200, TEXT, false), "{answer:?}");
        let shown = format!("{:?} {}", answer.headers, answer.body);
        assert!(!shown.contains("bad-key") && !shown.contains("sk-mock-key"), "{shown}");
    }
    let requests = mock.requests(&id);
    let with = |key: &str| {
        let header = |request: &&Value| {
            let value = &request["headers"]["authorization"];
            value.as_str().or(value[0].as_str()) == Some(&format!("Bearer {key}"))
        };
        requests.iter().filter(header).count()
    };
    // One after the other: whichever worker got the next, it knew.
    assert_eq!((with("bad-key"), with("sk-mock-key"), requests.len()), (1, 30, 31));
    let log = gateway.process.output();
    let retired = "the key no-good of openai is left alone for now: authentication; it does not mend itself";
    assert_eq!(log.matches(retired).count(), 1, "{log}");
    let dump = ureq::get(&format!("http://{}/config_dump", gateway.admin)).call().unwrap();
    let dump = dump.into_body().read_to_string().unwrap();
    assert!(dump.contains("no-good"));
    for text in [&dump, &log] {
        assert!(!text.contains("bad-key") && !text.contains("sk-mock-key"));
    }
    gateway.assert_sound();
}

/// A server that answers every request with a stream's first event, and then as it is told.
struct Silent {
    address: String,
}

impl Silent {
    fn start(then: fn(&mut TcpStream)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || serve(connection, then));
            }
        });
        Self { address }
    }
}

fn serve(mut connection: TcpStream, then: fn(&mut TcpStream)) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut length = 0;
    for line in reader.by_ref().lines().map_while(Result::ok) {
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let _ = connection.write_all(head.as_bytes());
    let _ = send(&mut connection, &event(r#"{"role":"assistant","content":"one"}"#, "null"));
    then(&mut connection);
}

fn event(delta: &str, finish: &str) -> String {
    format!(
        r#"data: {{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
    ) + "\n\n"
}

fn send(connection: &mut TcpStream, text: &str) -> std::io::Result<()> {
    connection.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())
}

/// Until the other side leaves.
fn nothing_more(connection: &mut TcpStream) {
    let _ = connection.read(&mut [0]);
}

/// For longer than any `idle` below.
fn comments_then_the_end(connection: &mut TcpStream) {
    for _ in 0..12 {
        std::thread::park_timeout(Duration::from_millis(250));
        let _ = send(connection, ": still there\n\n");
    }
    let _ = send(connection, &(event(r#"{"content":" two"}"#, "\"stop\"") + "data: [DONE]\n\n"));
    let _ = connection.write_all(b"0\r\n\r\n");
}

#[test]
fn a_stream_that_falls_silent_breaks_off_and_counts_against_its_target() {
    let (silent, mock) = (Silent::start(nothing_more), Mock::start());
    let alive = Silent::start(comments_then_the_end);
    let gateway = Gateway::start(&format!(
        r#"
workers: 2
timeouts: {{ idle: 1s, first_token: 1s, answer: 1s }}
breaker: {{ failures: 2 }}
providers:
  silent: {{ kind: openai, base_url: "http://{}/v1" }}
  alive: {{ kind: openai, base_url: "http://{}/v1" }}
  mock: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{}/openai/v1" }}
models:
  m: {{ targets: [{{ provider: silent }}], fallbacks: [n] }}
  alive: {{ targets: [{{ provider: alive }}] }}
  many: {{ targets: [{{ provider: silent }}] }}
  n: {{ targets: [{{ provider: mock, model: gpt-4o }}] }}
"#,
        silent.address, alive.address, mock.address
    ));
    for _ in 0..2 {
        let since = Instant::now();
        let answer = chat(&gateway, &[], &body("m", true));
        assert_eq!(provider(&answer), (200, Some("silent"), Some("1")), "{answer:?}");
        assert!(answer.broken && answer.body.contains("one") && !answer.body.contains("[DONE]"), "{answer:?}");
        let took = since.elapsed();
        assert!(took >= Duration::from_millis(900), "{took:?}");
    }
    // It is over for the gateway a moment after it is for the client.
    support::poll("the target to be left alone", || {
        let log = gateway.process.output();
        log.contains("silent/m is left alone for now: timeout").then_some(())
    });
    let answer = chat(&gateway, &[], &body("m", true));
    assert_eq!((provider(&answer), answer.text().as_str()), ((200, Some("mock"), Some("1")), TEXT), "{answer:?}");
    // Many at once, and some whose client has left by then.
    std::thread::scope(|scope| {
        for number in 0..40 {
            let gateway = &gateway;
            scope.spawn(move || match number % 4 {
                0 => leave_early(gateway, &body("many", true)),
                _ => {
                    let answer = chat(gateway, &[], &body("many", true));
                    assert!(answer.broken && answer.body.contains("one"), "{answer:?}");
                }
            });
        }
    });
    // A comment is a sign of life: three times as long as a stream may be silent.
    let answer = chat(&gateway, &[], &body("alive", true));
    assert_eq!((answer.status, answer.text().as_str(), answer.broken), (200, "one two", false), "{answer:?}");
    gateway.assert_sound();
}

/// Reads the beginning of an answer.
fn leave_early(gateway: &Gateway, body: &Value) {
    let mut connection = TcpStream::connect(&gateway.address).unwrap();
    let body = body.to_string();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json";
    connection.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(connection).read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
}

#[test]
fn comments_are_no_content_and_idle_does_not_cut_what_is_awaited() {
    let mock = Mock::start();
    let at = &mock.address;
    let gateway = Gateway::start(&format!(
        r#"
workers: 2
forward_headers: ["x-mock*"]
timeouts: {{ idle: 1s, first_token: 2s }}
cooldown: 0s
providers:
  mock: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/openai/v1" }}
  other: {{ kind: anthropic, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/anthropic" }}
models:
  m: {{ targets: [{{ provider: mock, model: gpt-4o }}], fallbacks: [n] }}
  n: {{ targets: [{{ provider: other, model: claude-sonnet-4-5 }}] }}
  patient: {{ targets: [{{ provider: mock, model: gpt-4o }}], timeouts: {{ first_token: 30s }} }}
"#
    ));
    let comments = [("x-mock-openai", "keepalive=15&chunk-delay=200")];
    let answer = chat(&gateway, &comments, &body("m", true));
    assert_eq!((provider(&answer), answer.text().as_str()), ((200, Some("other"), Some("2")), TEXT), "{answer:?}");
    // It was Envoy's timer for the first token that ended the first attempt.
    let timeouts = gateway.stats("cluster.mock.upstream_rq_per_try_timeout");
    assert_eq!(timeouts.iter().map(|(_, count)| count).sum::<u64>(), 1, "{timeouts:?}");
    for (directive, stream) in [(comments[0].1, true), ("first-byte=2500", true), ("first-byte=2500", false)] {
        let answer = chat(&gateway, &[("x-mock-openai", directive)], &body("patient", stream));
        assert_eq!((provider(&answer), answer.text().as_str()), ((200, Some("mock"), Some("1")), TEXT), "{answer:?}");
    }
    gateway.assert_sound();
}
