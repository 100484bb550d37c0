//! What operators see, on the real Envoy: labels, where logs go, traces, payloads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "observe/collector.rs"]
mod collector;
mod support;

use std::net::TcpListener;
use std::path::PathBuf;

use collector::{Collector, Told};
use serde_json::{Value, json};
use support::{Answer, Gateway, Mock, chat, poll};

/// A file that is gone when dropped.
struct Log(PathBuf);

impl Log {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("model-gateway-observe-{}-{name}.log", std::process::id())))
    }

    /// The line about the request with this id, once it is there.
    fn line(&self, id: &str) -> Value {
        poll(&format!("a line about {id}"), || self.lines().into_iter().find(|line| line["request_id"] == id))
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        // The last may be half there.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn start(mock: &Mock, more: &str) -> Gateway {
    let at = &mock.address;
    let config = format!(
        r#"
workers: 1
cooldown: 0s
forward_headers: ["x-mock*", "x-gateway-*"]
providers:
  openai: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/openai/v1" }}
  anthropic: {{ kind: anthropic, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/anthropic" }}
  dead: {{ kind: openai, base_url: "http://127.0.0.1:1/v1" }}
models:
  gpt: {{ targets: [{{ provider: openai, model: gpt-4o }}] }}
  claude: {{ targets: [{{ provider: anthropic, model: claude-sonnet-4-5 }}] }}
  both: {{ targets: [{{ provider: dead }}], fallbacks: [claude] }}
{more}"#
    );
    Gateway::start_with(&config, &[("COLLECTOR_TOKEN", "token-of-the-collector")])
}

fn body(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "good day"}]})
}

fn id(answer: &Answer) -> String {
    answer.header("x-request-id").unwrap().to_owned()
}

fn hash(key: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn labels_reach_every_log() {
    let (mock, collector, log) = (Mock::start(), Collector::start(), Log::new("labels"));
    let (http, grpc, file) = (collector.http, collector.grpc, log.0.display());
    let key = hash("key-of-the-test");
    let gateway = start(
        &mock,
        &format!(
            r#"
labels: {{ headers: [feature, cost_center, app], metadata: [task, tier], user: true }}
rules:
  - {{ name: by-label, when: {{ label: {{ feature: search }} }}, use: claude }}
limits: [{{ requests: 1, per: month, by: ["label:app"] }}, {{ requests: 2, per: month, by: ["client_label:tier"] }}]
keys:
  - {{ name: test, sha256: "{key}", team: research, labels: {{ app: notebook }} }}
log:
  - {{ file: {file} }}
  - {{ otlp: "http://{http}/base", headers: {{ x-token: "${{COLLECTOR_TOKEN}}" }} }}
  - {{ otlp: "grpc://{grpc}", headers: {{ x-token: token-of-the-collector }} }}
  - {{ grpc: "grpc://{grpc}" }}
"#
        ),
    );
    let headers = [
        ("authorization", "Bearer key-of-the-test"),
        ("x-gateway-label-feature", "search"),
        ("x-gateway-label-cost-center", "  42\tB "),
        ("x-gateway-label-app", "of-the-client"),
        ("x-gateway-label-unknown", "unknown"),
    ];
    let mut request = body("gpt");
    request["metadata"] = json!({"task": "summary \"quoted\"\nline", "tier": 7, "other": "x"});
    request["user"] = json!("u".repeat(1000));
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}});
    request["messages"][0]["content"] = json!([{"type": "text", "text": "good day"}, image]);
    let answer = chat(&gateway, &headers, &request);
    assert_eq!((answer.status, answer.header("x-gateway-provider")), (200, Some("anthropic")), "{answer:?}");
    let id = id(&answer);

    let line = log.line(&id);
    let expected = json!({
        "app": "notebook", "feature": "search", "cost_center": "42?B", "task": "summary \"quoted\"?line", "tier": "7",
        "user": "u".repeat(128),
    });
    assert_eq!(line["labels"], expected, "{line}");
    assert_eq!((&line["rule"], &line["key"], &line["team"]), (&json!("by-label"), &json!("test"), &json!("research")));

    assert_eq!((&line["finish_reason"], &line["images"]), (&json!("stop"), &json!(1)), "{line}");

    // The same everywhere, and what there is nothing to say of is left out.
    let same = |told: &Told| told.get("request_id") == id;
    let services = [
        ("/base/v1/logs", "token-of-the-collector"),
        ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", "token-of-the-collector"),
        ("/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs", ""),
    ];
    for (path, token) in services {
        let told = &collector.wait(path, 1, same)[0];
        assert_eq!(told.token, token, "{path}");
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(told.get(&format!("labels.{name}")), value, "{path} {told:?}");
        }
        assert_eq!((told.get("model"), told.get("key"), told.get("status")), ("gpt", "test", "200"), "{path}");
        assert!(!told.attributes.contains_key("error") && !told.attributes.contains_key("labels.unknown"), "{told:?}");
    }

    // No provider saw any of them.
    let seen = mock.requests(&id);
    assert_eq!(seen.len(), 1);
    let seen: Vec<_> = seen[0]["headers"].as_object().unwrap().keys().filter(|name| name.contains("label")).collect();
    assert!(seen.is_empty(), "{seen:?}");

    // The limit goes by the key's label, whatever the client says.
    let answer = chat(&gateway, &headers, &request);
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(log.line(&self::id(&answer))["labels"]["feature"], "search");
    gateway.assert_sound();
}

#[test]
fn a_trace_has_the_request_and_its_attempts() {
    let (mock, collector) = (Mock::start(), Collector::start());
    let (http, grpc) = (collector.http, collector.grpc);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = "b7ad6b7169203331";
    for (otlp, token, path) in [
        (format!("http://{http}"), "${COLLECTOR_TOKEN}", "/v1/traces"),
        (
            format!("grpc://{grpc}"),
            "token-of-the-collector",
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        ),
    ] {
        let gateway = start(
            &mock,
            &format!(
                r#"
labels: {{ headers: [feature] }}
tracing: {{ otlp: "{otlp}", sample: 0, service_name: llm, headers: {{ x-token: "{token}" }} }}
log: "off"
"#
            ),
        );
        // By chance none is traced; what comes with a trace is.
        assert_eq!(chat(&gateway, &[], &body("both")).status, 200);
        let traceparent = format!("00-{trace}-{parent}-01");
        let headers = [("traceparent", traceparent.as_str()), ("x-gateway-label-feature", "search")];
        let mut request = body("both");
        request["stream"] = json!(true);
        let answer = chat(&gateway, &headers, &request);
        assert_eq!(answer.text(), "Mock answer to: good day");

        let spans = collector.wait(path, 3, |_| true);
        assert!(spans.iter().all(|span| span.trace == trace && span.token == "token-of-the-collector"), "{spans:#?}");
        assert_eq!(spans.len(), 3);
        let whole = spans.iter().find(|span| span.parent == parent).unwrap();
        let attempts: Vec<_> = spans.iter().filter(|span| span.parent == whole.span).collect();
        assert_eq!(attempts.len(), 2, "{spans:#?}");
        assert_eq!((attempts[0].get("error"), attempts[0].get("gateway.provider")), ("true", "dead"));
        assert_eq!((whole.name.as_str(), attempts[1].name.as_str()), ("chat both", "attempt anthropic"));
        assert_eq!(attempts[1].get("gateway.provider"), "anthropic");
        assert_eq!(attempts[1].get("gen_ai.response.model"), "claude-sonnet-4-5");

        let used = mock.rows().pop().unwrap()["usage"].clone();
        let tokens = |name: &str| format!("{}i", used[name].as_u64().unwrap());
        for (name, value) in [
            ("service.name", "llm"),
            ("gen_ai.operation.name", "chat"),
            ("gateway.outcome", "ok"),
            ("gen_ai.provider.name", "anthropic"),
            ("gen_ai.request.model", "both"),
            ("gen_ai.response.model", "claude-sonnet-4-5"),
            ("gen_ai.response.finish_reasons", "stop"),
            ("gen_ai.usage.input_tokens", &tokens("input_tokens")),
            ("gen_ai.usage.output_tokens", &tokens("output_tokens")),
            ("gateway.label.feature", "search"),
        ] {
            assert_eq!(whole.get(name), value, "{name} of {whole:#?}");
        }
        assert!(whole.get("gateway.cost_usd").starts_with("0.0000"), "{whole:#?}");

        // Each attempt hands the trace on, as the parent of whatever the provider does.
        let seen = mock.requests(&id(&answer));
        assert_eq!(seen[0]["headers"]["traceparent"], format!("00-{trace}-{}-01", attempts[1].span));
        gateway.assert_sound();
    }
}

#[test]
fn payloads_are_logged_without_what_is_redacted() {
    let (mock, log, other) = (Mock::start(), Log::new("payloads"), Log::new("others"));
    let keys = [hash("key-of-the-test"), hash("key-of-another")];
    let gateway = start(
        &mock,
        &format!(
            r#"
keys:
  - {{ name: test, sha256: "{}" }}
  - {{ name: other, sha256: "{}" }}
log: {}
payloads:
  log: {{ file: {} }}
  keys: [test]
  models: ["gpt", "claud*"]
  max_bytes: 2KiB
  redact:
    - {{ member: user }}
    - {{ pattern: '\b\d{{4}}(?: ?\d{{4}}){{3}}\b', with: "[card]" }}
"#,
            keys[0],
            keys[1],
            other.0.display(),
            log.0.display(),
        ),
    );
    let ask = |key: &str, model: &str, stream: bool, text: &str| {
        let mut request = body(model);
        request["stream"] = json!(stream);
        request["user"] = json!("somebody");
        request["messages"][0]["content"] = json!(text);
        chat(&gateway, &[("authorization", &format!("Bearer {key}"))], &request)
    };
    let text = "pay with 4111 1111 1111 1111";
    for (model, stream) in [("gpt", false), ("gpt", true), ("claude", false), ("claude", true)] {
        let answer = ask("key-of-the-test", model, stream, text);
        assert_eq!(answer.text(), format!("Mock answer to: {text}"));
        let line = log.line(&id(&answer));
        let parse = |name: &str| serde_json::from_str::<Value>(line[name].as_str().unwrap()).unwrap();
        let (request, answer) = (parse("request"), parse("answer"));
        assert_eq!(request["messages"][0]["content"], "pay with [card]", "{line}");
        assert_eq!(request["user"], "[redacted]");
        assert_eq!((&line["key"], &line["model"], &line["status"]), (&json!("test"), &json!(model), &json!(200)));
        let message = &answer["choices"][0]["message"];
        assert_eq!(message["content"], "Mock answer to: pay with [card]", "{line}");
        assert_eq!(answer["choices"][0]["finish_reason"], "stop", "{line}");
        assert!(answer.get("complete").is_none(), "{line}");
    }
    // A long one is cut, an error is there as the client saw it.
    let answer = ask("key-of-the-test", "gpt", false, &"long ".repeat(2000));
    let line = log.line(&id(&answer));
    for name in ["request", "answer"] {
        let logged = line[name].as_str().unwrap();
        assert!(logged.ends_with(" bytes in all]") && logged.len() < 2100, "{logged}");
    }
    let headers = [("authorization", "Bearer key-of-the-test"), ("x-mock-openai", "status=400")];
    let answer = chat(&gateway, &headers, &body("gpt"));
    assert_eq!(answer.status, 400);
    assert_eq!(
        serde_json::from_str::<Value>(log.line(&id(&answer))["answer"].as_str().unwrap()).unwrap(),
        answer.json()
    );

    // Others are not logged, though the access log has them.
    for (key, model) in [("key-of-another", "gpt"), ("key-of-the-test", "both")] {
        let answer = ask(key, model, false, "not logged");
        assert_eq!(answer.status, 200, "{answer:?}");
        other.line(&id(&answer));
    }
    let last = ask("key-of-the-test", "gpt", false, "last");
    log.line(&id(&last));
    assert_eq!(log.lines().len(), 7);
    let all = std::fs::read_to_string(&log.0).unwrap();
    for secret in ["key-of-the-test", "sk-mock-key", "somebody", "4111", "not logged"] {
        assert!(!all.contains(secret), "{secret}");
    }
    gateway.assert_sound();
}

#[test]
fn what_takes_no_logs_holds_nobody_up() {
    let (mock, log) = (Mock::start(), Log::new("away"));
    // It is connected to, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().map(|address| (silent, address)).unwrap();
    let at = silent.1;
    let gateway = start(
        &mock,
        &format!(
            r#"
log: [{{ otlp: "http://{at}" }}, {{ otlp: "grpc://{at}" }}, {{ grpc: "grpc://127.0.0.1:1" }}, {{ file: {} }}]
tracing: {{ otlp: "http://127.0.0.1:1" }}
payloads: {{ log: [{{ otlp: "http://{at}" }}, {{ otlp: "grpc://127.0.0.1:1" }}] }}
"#,
            log.0.display(),
        ),
    );
    let mut request = body("gpt");
    request["messages"][0]["content"] = json!("x".repeat(50_000));
    let mut last = String::new();
    for number in 0..200 {
        request["stream"] = json!(number % 2 == 0);
        let answer = chat(&gateway, &[], &request);
        assert_eq!(answer.status, 200, "{answer:?}");
        last = id(&answer);
    }
    assert_eq!(log.line(&last)["status"], 200);
    // What nobody takes is dropped, and not kept.
    let pending = gateway.stats("collector").into_iter().filter(|(name, _)| name.ends_with("upstream_rq_active"));
    assert!(pending.map(|(_, count)| count).all(|count| count <= 64));
    gateway.assert_sound();
}

/// Sends these bytes on a connection of their own, and waits for the beginning of an answer.
fn send(gateway: &Gateway, bytes: &[u8]) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(&gateway.address).unwrap();
    stream.write_all(bytes).unwrap();
    let _ = stream.read(&mut [0; 1024]);
}

#[test]
fn a_line_is_json_whatever_comes() {
    let (mock, log) = (Mock::start(), Log::new("hostile"));
    let gateway = start(&mock, &format!("labels: {{ headers: [feature], user: true }}\nlog: {}\n", log.0.display()));
    let request = r#"{"model":"g\"\\\u0007","messages":[{"role":"user","content":"x"}],"user":"u\"\\"}"#;
    let post = |path: &str, headers: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        )
    };
    let hostile = [
        post(
            "/v1/chat/completions?key=secret",
            "x-request-id: a\"b\\c\t\u{e9}{}\"}%REQ(A)%\r\nx-gateway-label-feature: f\"\\\r\n",
            request,
        ),
        // What the module lets pass, and answers itself.
        post("/no\"where\\%22%5c%0a/%2f?a=\"b", "x-request-id: passed\"\\\r\n", "{}"),
        "GET /v1/models/a\"b%22\\ HTTP/1.1\r\nhost: x\r\nx-request-id: models\"\\\r\n\r\n".to_owned(),
        // What never comes so far.
        "GET / HTTP/1.1\r\nhost: \"x\\\r\n\r\n".to_owned(),
        "G\"T\\ /v1/models HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET http://\"x\\/ HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /\u{e9}\" HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /%00\"\\ HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost: x\r\nna\"me\\: x\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost: x\r\nname: x\u{1}\"\\\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: \"gzip\\\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: \"w\\s\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nhost: x\r\nlarge: {}\r\n\r\n", "\"\\".repeat(40_000)),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "\"\\\r\n\r\n".to_owned(),
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\"\\\r\n".to_owned(),
    ];
    hostile.iter().for_each(|request| send(&gateway, request.as_bytes()));
    let last = chat(&gateway, &[("x-mock-openai", "status=500")], &body("gpt"));
    log.line(&id(&last));
    let text = std::fs::read_to_string(&log.0).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        // `Gateway::start` asks whether it is there.
        .filter(|line: &Value| line["path"] != "/v1/models")
        .collect();
    assert_eq!(lines.len(), hostile.len() + 1, "{text}");

    let of = |id: &str| lines.iter().find(|line| line["request_id"] == id).unwrap_or_else(|| panic!("{id}: {text}"));
    let line = of("a\"b\\c\t\u{e9}{}\"}%REQ(A)%");
    assert_eq!(
        (&line["status"], &line["path"], &line["method"]),
        (&json!(404), &json!("/v1/chat/completions"), &json!("POST"))
    );
    assert_eq!((&line["model"], &line["outcome"]), (&json!("g\"\\\u{7}"), &json!("refused")));
    assert_eq!(line["first_byte_ms"], Value::Null);
    let line = of("passed\"\\");
    assert_eq!(
        (&line["status"], &line["endpoint"], &line["details"]),
        (&json!(404), &json!("none"), &json!("direct_response"))
    );
    assert_eq!(of("models\"\\")["status"], 404);
    let line = of(&id(&last));
    assert_eq!(
        (&line["attempts"], &line["upstream_attempts"], &line["error"]),
        (&json!(1), &json!(1), &json!("server_error"))
    );
    // The client's path, and not the provider's.
    assert_eq!((&line["cluster"], &line["path"]), (&json!("openai"), &json!("/v1/chat/completions")));
    let never: Vec<_> = lines.iter().filter(|line| line["request_id"].is_null()).collect();
    assert!(
        never.len() >= 8
            && never.iter().all(|line| line["details"].as_str().is_some_and(|details| !details.is_empty())),
        "{never:#?}"
    );
    gateway.assert_sound();
}

#[test]
fn a_log_of_ones_own_has_properties_and_the_page_asks_unseen() {
    let (mock, log) = (Mock::start(), Log::new("page"));
    let gateway = start(
        &mock,
        &format!(
            "page: {{ path: /live }}\nlog: [{}, properties]\nkeys: [{{ name: test, sha256: \"{}\", role: admin }}]\n",
            log.0.display(),
            hash("key-of-the-test"),
        ),
    );
    let get = |path: &str, key: &str| {
        send(&gateway, format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n").as_bytes());
    };
    get("/live/status.json", "key-of-the-test");
    get("/live/status.json?a=b", "key-of-the-test");
    get("/live/status.json", "a-wrong-key");
    get("/live", "");
    let last = chat(&gateway, &[("authorization", "Bearer key-of-the-test")], &body("gpt"));
    log.line(&id(&last));
    let lines = log.lines();
    let seen = lines.iter().filter(|line| line["endpoint"] == "page").map(|line| (&line["path"], &line["status"]));
    assert_eq!(seen.collect::<Vec<_>>(), [(&json!("/live/status.json"), &json!(401)), (&json!("/live"), &json!(200))]);
    gateway.assert_sound();
}
