//! Every native kind on the real Envoy, against a server that answers what `tests/vectors` has: path, credential, framing and
//! translation of chats and of embeddings, from end to end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use model_gateway::frame::eventstream;
use serde_json::{Value, json};
use support::{Gateway, chat, post};

/// Kind; what else its configuration has; the path of an answer and of a stream; the credential's header and value; the
/// media type of a stream; the cases.
type Row =
    (&'static str, &'static str, [&'static str; 2], (&'static str, &'static str), &'static str, [&'static str; 2]);

const KEY: &str = "sk-mock-key";
const ROWS: &[Row] = &[
    (
        "gemini",
        "",
        ["/v1beta/models/m:generateContent", "/v1beta/models/m:streamGenerateContent?alt=sse"],
        ("x-goog-api-key", KEY),
        "text/event-stream",
        ["text", "stream-text"],
    ),
    (
        "vertex",
        ", project: p, region: r",
        [
            "/v1/projects/p/locations/r/publishers/google/models/m:generateContent",
            "/v1/projects/p/locations/r/publishers/google/models/m:streamGenerateContent?alt=sse",
        ],
        ("authorization", "Bearer sk-mock-key"),
        "text/event-stream",
        ["tools", "stream-text"],
    ),
    (
        "bedrock",
        ", region: r",
        ["/model/m/converse", "/model/m/converse-stream"],
        ("authorization", "Bearer sk-mock-key"),
        "application/vnd.amazon.eventstream",
        ["text", "stream-text"],
    ),
    (
        "cohere",
        "",
        ["/v2/chat", "/v2/chat"],
        ("authorization", "Bearer sk-mock-key"),
        "text/event-stream",
        ["text", "stream-text"],
    ),
    (
        "ollama",
        "",
        ["/api/chat", "/api/chat"],
        ("authorization", "Bearer sk-mock-key"),
        "application/x-ndjson",
        ["text", "stream-text"],
    ),
];

/// A request as the server got it.
#[derive(Debug, Clone, Default)]
struct Got {
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Answers every request with what the header `x-canned` asks for, and tells what it got.
fn serve(canned: impl Fn(&str) -> (String, Vec<u8>) + Send + Sync + 'static) -> (String, Arc<Mutex<Vec<Got>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, seen) = (listener.local_addr().unwrap().to_string(), Arc::new(Mutex::new(Vec::new())));
    let (all, canned) = (seen.clone(), Arc::new(canned));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (all, canned) = (all.clone(), canned.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while let Some(got) = read(&mut reader) {
                    let name = got.headers.iter().find(|(name, _)| name == "x-canned").unwrap().1.clone();
                    all.lock().unwrap().push(got);
                    let (media_type, body) = canned(&name);
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    (&stream).write_all(&[head.as_bytes(), &body].concat()).unwrap();
                }
            });
        }
    });
    (address, seen)
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Got> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut got = Got { path: line.split(' ').nth(1)?.to_owned(), ..Got::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        got.headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = got.headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    got.body = vec![0; length];
    reader.read_exact(&mut got.body).ok()?;
    Some(got)
}

fn vectors(kind: &str, case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(kind).join(case)
}

/// `KIND CASE`, as [`ROWS`] has them.
fn canned(name: &str) -> (String, Vec<u8>) {
    let (kind, case) = name.split_once(' ').unwrap();
    let folder = vectors(kind, case);
    let row = ROWS.iter().find(|row| row.0 == kind).unwrap();
    match fs::read(folder.join("response.json")) {
        Ok(answer) => ("application/json".to_owned(), answer),
        Err(_) if kind == "bedrock" => {
            let mut bytes = Vec::new();
            for line in fs::read_to_string(folder.join("stream.in")).unwrap().lines().filter(|line| !line.is_empty()) {
                let mut words = line.splitn(3, ' ');
                let [_, name, payload] = [(); 3].map(|()| words.next().unwrap());
                eventstream::write(
                    &[(":event-type", name), (":message-type", "event")],
                    payload.as_bytes(),
                    &mut bytes,
                );
            }
            (row.4.to_owned(), bytes)
        }
        Err(_) => (row.4.to_owned(), fs::read(folder.join("stream.in")).unwrap()),
    }
}

fn choices<'e>(events: impl Iterator<Item = &'e str>) -> Vec<Value> {
    events.filter_map(|event| serde_json::from_str::<Value>(event).ok()).map(|event| event["choices"].clone()).collect()
}

#[test]
fn every_native_kind_from_end_to_end() {
    let (address, seen) = serve(canned);
    let mut config = String::from("workers: 1\nforward_headers: [x-canned]\nproviders:\n");
    for (kind, more, ..) in ROWS {
        config += &format!(
            "  {kind}: {{ kind: {kind}, api_key: \"${{MOCK_KEY}}\", base_url: \"http://{address}\"{more} }}\n"
        );
    }
    config += "models:\n";
    for (kind, ..) in ROWS {
        config += &format!("  {kind}: {{ targets: [{{ provider: {kind}, model: m }}] }}\n");
    }
    let gateway = Gateway::start(&config);
    for (kind, _, paths, (header, value), _, cases) in ROWS {
        for (stream, case) in [(false, cases[0]), (true, cases[1])] {
            let mut body =
                json!({"model": kind, "stream": stream, "messages": [{"role": "user", "content": "good day"}]});
            if stream {
                body["stream_options"] = json!({"include_usage": true});
            }
            let headers = [("x-canned", &*format!("{kind} {case}")), ("authorization", "Bearer of-the-client")];
            let answer = chat(&gateway, &headers, &body);
            assert_eq!((answer.status, answer.header("x-gateway-provider")), (200, Some(*kind)), "{answer:?}");
            let folder = vectors(kind, case);
            if stream {
                let expected = fs::read_to_string(folder.join("stream.out")).unwrap();
                let data = |line| str::strip_prefix(line, "data: ");
                assert_eq!(choices(answer.events().into_iter()), choices(expected.lines().filter_map(data)), "{kind}");
                assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"), "{answer:?}");
                assert_eq!(answer.events().last(), Some(&"[DONE]"), "{kind}");
            } else {
                let expected: Value = serde_json::from_slice(&fs::read(folder.join("client.json")).unwrap()).unwrap();
                assert_eq!(answer.json()["choices"], expected["choices"], "{kind}");
                assert_eq!(answer.json()["model"], *kind);
            }
            let got = seen.lock().unwrap().pop().unwrap();
            let credentials = got.headers.iter().filter(|(name, _)| name == header).map(|(_, value)| value.as_str());
            assert_eq!(got.path, paths[usize::from(stream)], "{kind}");
            assert_eq!(credentials.collect::<Vec<_>>(), [*value], "{kind}: {got:?}");
            assert!(got.headers.iter().all(|(_, value)| !value.contains("of-the-client")), "{kind}: {got:?}");
            assert!(serde_json::from_slice::<Value>(&got.body).is_ok(), "{kind}");
        }
    }
    gateway.assert_sound();
}

/// Kind and case of every native kind that has embeddings.
const EMBEDS: &[(&str, &str)] = &[
    ("gemini", "embed"),
    ("gemini", "embed-base64"),
    ("vertex", "embed"),
    ("vertex", "embed-gemini-several"),
    ("bedrock", "embed-titan-v2"),
    ("bedrock", "embed-cohere-v4"),
    ("cohere", "embed"),
    ("ollama", "embed"),
];

#[test]
fn every_native_kind_embeds_from_end_to_end() {
    let embeds = |kind: &str| model_gateway::providers::find(kind).unwrap().embedder().is_some();
    assert!(ROWS.iter().all(|(kind, ..)| EMBEDS.iter().any(|(other, _)| other == kind) == embeds(kind)));
    let read = |kind: &str, case: &str, file: &str| fs::read_to_string(vectors(kind, case).join(file)).unwrap();
    let request = |kind: &str, case: &str| serde_json::from_str::<Value>(&read(kind, case, "request.json")).unwrap();
    let (address, seen) = serve(canned);
    let mut config = String::from("workers: 1\nforward_headers: [x-canned]\nproviders:\n");
    for (kind, more, ..) in ROWS {
        config += &format!(
            "  {kind}: {{ kind: {kind}, api_key: \"${{MOCK_KEY}}\", base_url: \"http://{address}/base\"{more} }}\n"
        );
    }
    config += "models:\n";
    for (kind, case) in EMBEDS {
        let model = request(kind, case)["model"].clone();
        config += &format!("  {kind}-{case}: {{ targets: [{{ provider: {kind}, model: {model} }}] }}\n");
    }
    let gateway = Gateway::start(&config);
    for (kind, case) in EMBEDS {
        let mut body = request(kind, case);
        let model = format!("{kind}-{case}");
        body["model"] = json!(model);
        let headers = [("x-canned", &*format!("{kind} {case}")), ("authorization", "Bearer of-the-client")];
        let answer = post(&gateway, "/v1/embeddings", &headers, &body);
        assert_eq!((answer.status, answer.header("x-gateway-provider")), (200, Some(*kind)), "{answer:?}");
        let mut expected: Value = serde_json::from_str(&read(kind, case, "client.json")).unwrap();
        expected["model"] = json!(model);
        assert_eq!(answer.json(), expected, "{model}");
        let got = seen.lock().unwrap().pop().unwrap();
        assert_eq!(got.path, format!("/base{}", read(kind, case, "path.txt").trim()), "{model}");
        let sent: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(sent, serde_json::from_str::<Value>(&read(kind, case, "upstream.json")).unwrap(), "{model}");
        assert!(got.headers.iter().all(|(_, value)| !value.contains("of-the-client")), "{model}: {got:?}");
    }
    gateway.assert_sound();
}

#[test]
fn the_model_decides_what_vertex_speaks() {
    let (address, seen) = serve(|case| {
        let folder = vectors("vertex", case);
        match fs::read(folder.join("response.json")) {
            Ok(answer) => ("application/json".to_owned(), answer),
            Err(_) => ("text/event-stream".to_owned(), fs::read(folder.join("stream.in")).unwrap()),
        }
    });
    let gateway = Gateway::start(&format!(
        r#"
workers: 1
forward_headers: [x-canned]
providers:
  vertex: {{ kind: vertex, project: p, region: global, api_key: "${{MOCK_KEY}}", base_url: "http://{address}" }}
models:
  claude: {{ targets: [{{ provider: vertex, model: claude-haiku-4-5@20251001 }}] }}
  llama: {{ targets: [{{ provider: vertex, model: meta/llama-3.3-70b-instruct-maas }}] }}
"#
    ));
    for (model, stream, case, path) in [
        ("claude", false, "claude-tools", "publishers/anthropic/models/claude-haiku-4-5@20251001:rawPredict"),
        ("claude", true, "claude-stream", "publishers/anthropic/models/claude-haiku-4-5@20251001:streamRawPredict"),
        ("llama", false, "openapi", "endpoints/openapi/chat/completions"),
    ] {
        let body = json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "good day"}]});
        let answer = chat(&gateway, &[("x-canned", case)], &body);
        assert_eq!((answer.status, answer.header("x-gateway-provider")), (200, Some("vertex")), "{answer:?}");
        let got = seen.lock().unwrap().pop().unwrap();
        assert_eq!(got.path, format!("/v1/projects/p/locations/global/{path}"));
        let sent: Value = serde_json::from_slice(&got.body).unwrap();
        let (version, named) = (sent.get("anthropic_version").is_some(), sent.get("model").is_some());
        assert_eq!((version, named), (model == "claude", model == "llama"), "{sent}");
        if stream {
            assert!(answer.text().contains("Hello"), "{answer:?}");
            assert_eq!(answer.events().last(), Some(&"[DONE]"));
        } else {
            let expected = fs::read(vectors("vertex", case).join("client.json")).unwrap();
            let expected: Value = serde_json::from_slice(&expected).unwrap();
            assert_eq!(answer.json()["choices"], expected["choices"]);
        }
    }
    gateway.assert_sound();
}

#[test]
fn embeddings_go_where_they_are_offered() {
    const ANSWER: &str = r#"{"object":"list","data":[{"index":0,"embedding":[0.10,-2e-3]}],"model":"up","usage":{"prompt_tokens":3,"total_tokens":3}}"#;
    let (address, seen) = serve(|_| ("application/json".to_owned(), ANSWER.as_bytes().to_vec()));
    let gateway = Gateway::start(&format!(
        r#"
workers: 1
forward_headers: [x-canned]
providers:
  anthropic: {{ kind: anthropic, api_key: "${{MOCK_KEY}}", base_url: "http://{address}" }}
  openai: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{address}/v1" }}
models:
  embed: {{ targets: [{{ provider: anthropic, model: up }}], fallbacks: [rest] }}
  rest: {{ targets: [{{ provider: openai, model: up }}] }}
"#
    ));
    let body = json!({"model": "embed", "input": ["good day"], "encoding_format": "float"});
    let answer = post(&gateway, "/v1/embeddings", &[("x-canned", "any")], &body);
    assert_eq!((answer.status, answer.header("x-gateway-attempts")), (200, Some("1")), "{answer:?}");
    assert_eq!(answer.body, ANSWER.replace("\"up\"", "\"embed\""));
    let got = seen.lock().unwrap().pop().unwrap();
    let sent: Value = serde_json::from_slice(&got.body).unwrap();
    assert_eq!((got.path.as_str(), &sent["model"], &sent["input"]), ("/v1/embeddings", &json!("up"), &body["input"]));
    gateway.assert_sound();
}
