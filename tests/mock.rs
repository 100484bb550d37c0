//! The simulated providers as a client sees them: the real command, over real sockets.

// Clippy takes the helpers of a test for no test.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

#[path = "mock/dialects.rs"]
mod dialects;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A running mock, which ends with the test.
struct Mock {
    child: Child,
    addresses: Vec<String>,
}

impl Mock {
    fn start() -> Self {
        Self::with(&["--listen", "127.0.0.1:0"], 1)
    }

    fn with(arguments: &[&str], listeners: usize) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_model-gateway"))
            .arg("mock")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(listeners);
        let address = |line: String| line.strip_prefix("mock listens on http://").unwrap().to_owned();
        Self { addresses: lines.map(|line| address(line.unwrap())).collect(), child }
    }

    fn address(&self) -> &str {
        &self.addresses[0]
    }

    /// Writes a request and leaves the answer to be read.
    fn open(&self, path: &str, headers: &str, body: &Value) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\nauthorization: Bearer k\r\nx-api-key: k\r\n\
             x-goog-api-key: k\r\nanthropic-version: 2023-06-01\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn ask(&self, path: &str, headers: &str, body: &Value) -> Answer {
        let mut wire = Vec::new();
        let end = self.open(path, headers, body).read_to_end(&mut wire).map(|_| ()).map_err(|error| error.kind());
        Answer::read(&wire, end)
    }

    /// Asks the OpenAI dialect for a stream.
    fn stream(&self, directives: &str) -> Answer {
        self.ask(CHAT, &format!("x-mock: {directives}\r\n"), &chat(json!({"stream": true})))
    }

    fn get(&self, path: &str) -> Value {
        let mut answer = ureq::get(format!("http://{}{path}", self.address())).call().unwrap();
        answer.body_mut().read_json().unwrap()
    }

    /// What the record has of a request, once it is over.
    fn told(&self, id: &str) -> Value {
        poll(|| {
            let request = self.get(&format!("/mock/requests?id={id}"))[0].take();
            let outcome = &request["outcome"];
            (outcome["finished"] == true || outcome["disconnected"] == true).then_some(request)
        })
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer as it was on the wire.
#[derive(Debug)]
struct Answer {
    status: u16,
    /// In lower case.
    head: String,
    body: String,
    /// The chunks' sizes, if it came in chunks.
    chunks: Vec<usize>,
    /// Whether it came to its end.
    whole: bool,
    end: Result<(), ErrorKind>,
}

impl Answer {
    fn read(wire: &[u8], end: Result<(), ErrorKind>) -> Self {
        let blank = wire.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(wire.len(), |at| at + 4);
        let (head, mut rest) = wire.split_at(blank);
        let head = String::from_utf8_lossy(head).to_lowercase();
        let status = head.split(' ').nth(1).map_or(0, |status| status.parse().unwrap());
        let (mut body, mut chunks, mut whole) = (Vec::new(), Vec::new(), false);
        if let Some(length) = head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
            whole = length.parse() == Ok(rest.len());
            body.extend(rest);
        }
        while let (true, Some(line)) = (head.contains("chunked"), rest.windows(2).position(|bytes| bytes == b"\r\n")) {
            let size = usize::from_str_radix(str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
            if size == 0 {
                whole = true;
                break;
            }
            chunks.push(size);
            body.extend(&rest[line + 2..][..size]);
            rest = &rest[line + 2 + size + 2..];
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Self { status, head, body, chunks, whole, end }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The data of each event.
    fn events(&self) -> Vec<&str> {
        self.body.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
    }

    #[track_caller]
    fn has(&self, header: &str) {
        assert!(self.head.lines().any(|line| line == header), "{header} in {}", self.head);
    }
}

#[track_caller]
fn poll<T>(mut done: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < deadline, "it never came");
        std::thread::yield_now();
    }
}

const CHAT: &str = "/openai/v1/chat/completions";
const MESSAGES: &str = "/anthropic/v1/messages";

fn chat(more: Value) -> Value {
    with(json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi there"}]}), more)
}

fn messages(more: Value) -> Value {
    with(json!({"model": "claude", "max_tokens": 99, "messages": [{"role": "user", "content": "hi there"}]}), more)
}

fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn openai_answers_whole_and_streamed() {
    let mock = Mock::start();
    let answer = mock.ask(CHAT, "", &chat(json!({})));
    assert_eq!((answer.status, answer.whole), (200, true));
    answer.has("content-type: application/json");
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "Mock answer to: hi there");
    assert_eq!(answer.json()["model"], "gpt-4o");

    let answer = mock.ask(CHAT, "", &chat(json!({"stream": true, "stream_options": {"include_usage": true}})));
    assert_eq!((answer.status, answer.whole), (200, true));
    answer.has("content-type: text/event-stream; charset=utf-8");
    answer.has("transfer-encoding: chunked");
    assert_eq!(answer.events().last(), Some(&"[DONE]"));
    // Every event is a write of its own.
    assert_eq!(answer.chunks.len(), answer.events().len());

    let models = ureq::get(format!("http://{}/v1/models", mock.address())).header("authorization", "Bearer k").call();
    assert_eq!(models.unwrap().body_mut().read_json::<Value>().unwrap()["object"], "list");
}

#[test]
fn anthropic_answers_whole_and_streamed() {
    let mock = Mock::start();
    let answer = mock.ask(MESSAGES, "", &messages(json!({})));
    assert_eq!((answer.status, answer.whole), (200, true));
    assert_eq!(answer.json()["content"][0]["text"], "Mock answer to: hi there");

    let answer = mock.ask(MESSAGES, "", &messages(json!({"stream": true})));
    assert!(answer.whole && answer.body.starts_with("event: message_start\ndata: {\"type\":\"message_start\""));
    let last: Value = serde_json::from_str(answer.events().last().unwrap()).unwrap();
    assert_eq!(last["type"], "message_stop");
}

#[test]
fn wrong_requests_are_refused_in_the_providers_words() {
    let mock = Mock::start();
    let answer = mock.ask(CHAT, "", &json!({"model": "gpt-4o"}));
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!("missing_required_parameter")));
    let answer = mock.ask(MESSAGES, "", &messages(json!({"n": 1})));
    assert_eq!(answer.json()["error"]["message"], "n: Extra inputs are not permitted");
    let answer = mock.ask("/v1/images", "", &json!({}));
    assert_eq!((answer.status, &answer.json()["error"]["message"]), (404, &json!("Invalid URL (POST /v1/images)")));
    // A failure that was asked for does not hide a mistake.
    assert_eq!(mock.ask(MESSAGES, "x-mock: status=503\r\n", &messages(json!({"n": 1}))).status, 400);

    let post = |path: &str, headers: &[(&str, &str)], body: &Value| {
        let request = ureq::post(format!("http://{}{path}", mock.address()));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut answer = request.config().http_status_as_error(false).build().send_json(body).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_json::<Value>().unwrap()["error"].take())
    };
    assert_eq!(post(CHAT, &[], &chat(json!({}))).0, 401);
    let (status, error) = post(CHAT, &[("authorization", "Bearer bad-key")], &chat(json!({})));
    assert_eq!((status, &error["code"]), (401, &json!("invalid_api_key")));
    assert_eq!(post(MESSAGES, &[("authorization", "Bearer k")], &messages(json!({}))).0, 401);
    let (status, error) = post(MESSAGES, &[("x-api-key", "k")], &messages(json!({})));
    assert_eq!((status, &error["message"]), (400, &json!("anthropic-version: header is required")));
}

#[test]
fn directives_come_from_the_model_and_the_headers() {
    let mock = Mock::start();
    let answer = mock.ask(CHAT, "", &chat(json!({"model": "gpt-4o?text=a%26b"})));
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "a&b");
    assert_eq!(answer.json()["model"], "gpt-4o");
    let headers = "x-mock: status=500\r\nx-mock-openai: status=429&retry-after=7\r\nx-mock-groq: status=418\r\n";
    let answer = mock.ask(CHAT, headers, &chat(json!({})));
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (429, &json!("rate_limit_exceeded")));
    answer.has("retry-after: 7");
    let answer = mock.ask(MESSAGES, "x-mock: status=529&retry-after-ms=50\r\n", &messages(json!({})));
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (529, &json!("overloaded_error")));
    answer.has("retry-after-ms: 50");
    let answer = mock.ask(MESSAGES, "x-mock: error=context&status=413\r\n", &messages(json!({})));
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["error"]["message"], "prompt is too long: 208310 tokens > 200000 maximum");
    let answer = mock.stream("stauts=500");
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["message"], "unknown mock directive 'stauts'");
}

#[test]
fn connections_end_before_the_answer() {
    let mock = Mock::start();
    let answer = mock.stream("reset");
    assert_eq!((answer.status, answer.end), (0, Err(ErrorKind::ConnectionReset)));
    let answer = mock.stream("close");
    assert_eq!((answer.status, answer.end), (0, Ok(())));

    let mut stream = mock.open(CHAT, "x-mock: hang\r\nx-request-id: hung\r\n", &chat(json!({})));
    poll(|| (mock.get("/mock/requests?id=hung")[0]["outcome"]["broken"] == "hang").then_some(()));
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(stream);
    assert_eq!(mock.told("hung")["outcome"]["disconnected"], true);
    assert_eq!(mock.get("/mock/ledger")["by_status"], json!({"close": 1, "hang": 1, "reset": 1}));
}

#[test]
fn streams_break_and_end_early() {
    let mock = Mock::start();
    let answer = mock.stream("cut=2");
    assert_eq!((answer.status, answer.whole, answer.events().len()), (200, false, 2));
    let answer = mock.stream("cut=0");
    assert_eq!((answer.status, answer.whole, answer.body.as_str()), (200, false, ""));
    let answer = mock.stream("end=3");
    assert_eq!((answer.status, answer.whole, answer.events().len()), (200, true, 3));
    let answer = mock.stream("error-event=0");
    assert_eq!((answer.status, answer.whole, answer.events().len()), (200, true, 1));
    let answer = mock.stream("error-event=2&status=429");
    assert_eq!((answer.status, answer.events().len()), (200, 3));
    assert!(answer.events()[2].contains("rate_limit_exceeded"));
    let answer = mock.ask(MESSAGES, "x-mock: error-event=1\r\n", &messages(json!({"stream": true})));
    assert!(answer.body.contains("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\""));

    let answer = mock.stream("empty");
    assert_eq!((answer.status, answer.whole, answer.body.as_str()), (200, true, ""));
    let answer = mock.stream("garbage");
    assert_eq!((answer.status, answer.whole), (200, true));
    assert!(answer.events().iter().all(|event| serde_json::from_str::<Value>(event).is_err()));
}

#[test]
fn documents_break_and_end_early() {
    let mock = Mock::start();
    let ask = |directives: &str| mock.ask(CHAT, &format!("x-mock: {directives}\r\n"), &chat(json!({})));
    let answer = ask("cut=9");
    assert_eq!((answer.status, answer.whole, answer.body.len()), (200, false, 9));
    let answer = ask("end=9");
    assert_eq!((answer.status, answer.whole, answer.body.len()), (200, true, 9));
    let answer = ask("empty");
    assert_eq!((answer.status, answer.whole, answer.body.as_str()), (200, true, ""));
    assert!(ask("garbage").body.starts_with("<html>"));
    let answer = ask("error-event=0");
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (200, &json!("server_error")));
}

#[test]
fn answers_are_paced_and_cut_into_writes() {
    let mock = Mock::start();
    assert_eq!(mock.stream("coalesce").chunks.len(), 1);
    let answer = mock.stream("split=100");
    let (last, others) = answer.chunks.split_last().unwrap();
    assert!(*last <= 100 && others.iter().all(|size| *size == 100));
    let answer = mock.stream("keepalive=3");
    assert!(answer.body.starts_with(": keep-alive\n\n: keep-alive\n\n: keep-alive\n\ndata: {"));

    let (wait, begun) = (Duration::from_millis(150), Instant::now());
    mock.stream("first-byte=150");
    assert!(begun.elapsed() >= wait);
    let begun = Instant::now();
    mock.stream("words=4&chunk-delay=50");
    assert!(begun.elapsed() >= wait);

    // The headers come first and alone.
    let headers = "x-mock: headers-then-wait=150\r\n";
    let mut reader = BufReader::new(mock.open(CHAT, headers, &chat(json!({"stream": true}))));
    let (mut line, begun) = (String::new(), Instant::now());
    while line != "\r\n" {
        line.clear();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0);
    }
    assert!(reader.buffer().is_empty());
    assert_ne!(reader.fill_buf().unwrap(), b"");
    assert!(begun.elapsed() >= wait / 2);
}

#[test]
fn tools_and_thinking_go_round() {
    let mock = Mock::start();
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let mut body = messages(json!({
        "max_tokens": 4000,
        "messages": [{"role": "user", "content": "How is the weather?"}],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [{"name": "get_weather", "input_schema": schema}],
    }));
    let answer = mock.ask(MESSAGES, "", &body).json();
    assert_eq!(answer["stop_reason"], "tool_use");
    let result = json!({"type": "tool_result", "tool_use_id": answer["content"][1]["id"], "content": "rain"});
    let asked = body["messages"].as_array_mut().unwrap();
    asked.push(json!({"role": "assistant", "content": answer["content"]}));
    asked.push(json!({"role": "user", "content": [result]}));
    assert_eq!(mock.ask(MESSAGES, "", &body).json()["content"][1]["text"], "Mock answer from tools: rain");
    body["messages"][1]["content"][0]["thinking"] = json!("forged");
    let answer = mock.ask(MESSAGES, "", &body);
    let message = "messages.1.content.0: Invalid `signature` in `thinking` block";
    assert_eq!((answer.status, &answer.json()["error"]["message"]), (400, &json!(message)));
}

#[test]
fn what_was_received_and_sent_is_told() {
    let mock = Mock::with(&["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"], 2);
    assert_eq!(mock.get("/mock/health")["status"], "ok");
    let asked = json!({"stream": true, "stream_options": {"include_usage": true}});
    mock.ask(CHAT, "x-mock: cached=5\r\nx-request-id: one\r\n", &chat(asked));
    let told = mock.told("one");
    assert_eq!((&told["site"], &told["dialect"]), (&json!("openai"), &json!("openai")));
    assert_eq!((&told["method"], &told["path"]), (&json!("POST"), &json!(CHAT)));
    assert_eq!((&told["listener"], &told["headers"]["authorization"]), (&json!(mock.address()), &json!("Bearer k")));
    assert_eq!((&told["body"]["model"], &told["directives"]), (&json!("gpt-4o"), &json!({"cached": "5"})));
    let usage = json!({
        "input_tokens": 7, "cached_tokens": 5, "cache_write_tokens": 0, "output_tokens": 5, "reasoning_tokens": 0,
    });
    let outcome = json!({
        "how": "complete", "status": 200, "broken": null, "events": 9, "usage": usage, "finished": true, "disconnected": false,
    });
    assert_eq!(told["outcome"], outcome);

    // A client that leaves in the middle.
    let headers = "x-mock: words=500&chunk-delay=20\r\nx-request-id: two\r\n";
    let mut stream = mock.open(MESSAGES, headers, &messages(json!({"stream": true, "max_tokens": 999})));
    stream.read_exact(&mut [0; 1000]).unwrap();
    drop(stream);
    let outcome = mock.told("two")["outcome"].take();
    assert_eq!((&outcome["disconnected"], &outcome["usage"]["output_tokens"]), (&json!(true), &json!(1)));
    mock.ask(CHAT, "x-mock: cut=1\r\nx-request-id: three\r\n", &chat(json!({"stream": true})));
    assert_eq!(mock.told("three")["outcome"]["broken"], "cut");

    let ledger = mock.get("/mock/ledger");
    assert_eq!((&ledger["requests"], &ledger["disconnects"]), (&json!(3), &json!(1)));
    assert_eq!(ledger["by_site"], json!({"anthropic": 1, "openai": 2}));
    assert_eq!((&ledger["input_tokens"], &ledger["output_tokens"]), (&json!(9), &json!(6)));
    ureq::delete(format!("http://{}/mock/requests", mock.addresses[1])).call().unwrap();
    assert_eq!(mock.get("/mock/requests"), json!([]));
}

#[test]
fn the_seed_decides_who_fails() {
    let statuses = |seed| {
        let mock = Mock::with(&["--listen", "127.0.0.1:0", "--seed", seed], 1);
        (0..40).map(|_| mock.stream("status=503&rate=0.5").status).collect::<Vec<_>>()
    };
    let first = statuses("1");
    assert!(first.contains(&200) && first.contains(&503));
    assert_eq!(first, statuses("1"));
    assert_ne!(first, statuses("2"));
}
