//! Every dialect of the mock over real sockets: answers, each way to fail, and what the ledger has of them.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{MESSAGES, Mock, poll};

/// A dialect: its name, the paths for a whole answer and for a stream, the body for either.
struct Dialect {
    name: &'static str,
    paths: [&'static str; 2],
    body: fn(bool) -> Value,
    stream_type: &'static str,
}

const SSE: &str = "content-type: text/event-stream; charset=utf-8";

fn openai(stream: bool) -> Value {
    let mut body = json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hi there"}]});
    if stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

fn chat(stream: bool) -> Value {
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hi there"}]})
}

const DIALECTS: &[Dialect] = &[
    Dialect { name: "openai", paths: ["/v1/chat/completions"; 2], body: openai, stream_type: SSE },
    Dialect { name: "mistral", paths: ["/mistral/v1/chat/completions"; 2], body: chat, stream_type: SSE },
    Dialect {
        name: "azure-openai",
        paths: ["/azure/openai/deployments/m/chat/completions?api-version=1"; 2],
        body: openai,
        stream_type: SSE,
    },
    Dialect {
        name: "anthropic",
        paths: ["/v1/messages"; 2],
        body: |stream| json!({"model": "m", "max_tokens": 99, "stream": stream, "messages": [{"role": "user", "content": "hi there"}]}),
        stream_type: SSE,
    },
    Dialect {
        name: "vertex-anthropic",
        paths: [
            "/v1/projects/p/locations/r/publishers/anthropic/models/m:rawPredict",
            "/v1/projects/p/locations/r/publishers/anthropic/models/m:streamRawPredict",
        ],
        body: |stream| {
            let messages = json!([{"role": "user", "content": "hi there"}]);
            json!({"anthropic_version": "vertex-2023-10-16", "max_tokens": 99, "stream": stream, "messages": messages})
        },
        stream_type: SSE,
    },
    Dialect {
        name: "gemini",
        paths: ["/v1beta/models/m:generateContent", "/v1beta/models/m:streamGenerateContent?alt=sse"],
        body: |_| json!({"contents": [{"role": "user", "parts": [{"text": "hi there"}]}]}),
        stream_type: SSE,
    },
    Dialect {
        name: "vertex",
        paths: [
            "/v1/projects/p/locations/r/publishers/google/models/m:generateContent",
            "/v1/projects/p/locations/r/publishers/google/models/m:streamGenerateContent?alt=sse",
        ],
        body: |_| json!({"contents": [{"role": "user", "parts": [{"text": "hi there"}]}]}),
        stream_type: SSE,
    },
    Dialect {
        name: "bedrock",
        paths: ["/model/m/converse", "/model/m/converse-stream"],
        body: |_| json!({"messages": [{"role": "user", "content": [{"text": "hi there"}]}]}),
        stream_type: "content-type: application/vnd.amazon.eventstream",
    },
    Dialect { name: "cohere", paths: ["/v2/chat"; 2], body: chat, stream_type: SSE },
    Dialect { name: "ollama", paths: ["/api/chat"; 2], body: chat, stream_type: "content-type: application/x-ndjson" },
];

fn body_of(name: &str) -> fn(bool) -> Value {
    DIALECTS.iter().find(|dialect| dialect.name == name).unwrap().body
}

/// The row of the ledger for a request, once it is over.
fn row(mock: &Mock, id: &str) -> Value {
    poll(|| {
        let rows = mock.get("/mock/ledger/rows")["rows"].take();
        let row = rows.as_array().unwrap().iter().find(|row| row["request_id"] == id).cloned();
        row.filter(|row| row["outcome"] != "open")
    })
}

#[test]
fn every_dialect_answers_and_its_tokens_are_in_the_ledger() {
    let mock = Mock::start();
    for dialect in DIALECTS {
        for (stream, path) in [false, true].into_iter().zip(dialect.paths) {
            let id = format!("{}-{stream}", dialect.name);
            let answer = mock.ask(path, &format!("x-request-id: {id}\r\n"), &(dialect.body)(stream));
            assert_eq!((answer.status, answer.whole), (200, true), "{id}: {}", answer.body);
            answer.has(if stream { dialect.stream_type } else { "content-type: application/json" });
            assert!(stream || answer.body.contains("Mock answer to: hi there"), "{id}: {}", answer.body);
            assert_eq!(answer.chunks.len() > 4, stream, "{id}");
            let row = row(&mock, &id);
            let usage = json!({
                "input_tokens": 2, "cached_tokens": 0, "cache_write_tokens": 0, "output_tokens": 5, "reasoning_tokens": 0,
            });
            assert_eq!((&row["outcome"], &row["usage"]), (&json!("complete"), &usage), "{id}");
            assert_eq!(
                (&row["dialect"], &row["model"], &row["stream"], &row["status"]),
                (&json!(dialect.name), &json!("m"), &json!(stream), &json!(200))
            );
        }
    }
    let ledger = mock.get("/mock/ledger");
    let count = DIALECTS.len() as u64 * 2;
    assert_eq!((&ledger["requests"], &ledger["by_outcome"]), (&json!(count), &json!({"complete": count})));
    assert_eq!((&ledger["input_tokens"], &ledger["output_tokens"]), (&json!(count * 2), &json!(count * 5)));
}

#[test]
fn every_dialect_fails_in_every_way() {
    let mock = Mock::start();
    for dialect in DIALECTS {
        let ask = |how: &str, stream: bool| {
            let id = format!("{}-{how}-{stream}", dialect.name);
            let headers = format!("x-mock: {how}\r\nx-request-id: {id}\r\n");
            let answer = mock.ask(dialect.paths[usize::from(stream)], &headers, &(dialect.body)(stream));
            let row = row(&mock, &id);
            (answer, row["outcome"].as_str().unwrap().to_owned(), id)
        };
        for stream in [false, true] {
            let (answer, outcome, id) = ask("status=503&retry-after=7", stream);
            assert_eq!((answer.status, answer.whole, outcome.as_str()), (503, true, "error"), "{id}");
            assert!(answer.json().is_object());
            answer.has("retry-after: 7");
            let (answer, outcome, id) = ask("reset", stream);
            assert_eq!((answer.end, outcome.as_str()), (Err(ErrorKind::ConnectionReset), "cut"), "{id}");
            let (answer, outcome, id) = ask("cut=2", stream);
            assert_eq!((answer.status, answer.whole, outcome.as_str()), (200, false, "cut"), "{id}");
            let (answer, outcome, id) = ask("end=2", stream);
            assert_eq!((answer.status, answer.whole, outcome.as_str()), (200, true, "cut"), "{id}");
            let (answer, outcome, id) = ask("empty", stream);
            assert_eq!((answer.status, answer.body.as_str(), outcome.as_str()), (200, "", "error"), "{id}");
            let (answer, outcome, id) = ask("garbage", stream);
            assert_eq!((answer.status, outcome.as_str()), (200, "error"), "{id}");
            let (answer, outcome, id) = ask("error-event=2&status=429", stream);
            assert_eq!((answer.status, answer.whole, outcome.as_str()), (200, true, "error"), "{id}");
            assert!(!stream || answer.chunks.len() == 3, "{id}: {}", answer.body);
            for error in ["context", "policy", "quota"] {
                let (answer, outcome, id) = ask(&format!("error={error}"), stream);
                assert!((400..500).contains(&answer.status) && outcome == "error", "{id}: {answer:?}");
            }
        }

        let id = format!("{}-left", dialect.name);
        let headers = format!("x-mock: words=500&chunk-delay=20\r\nx-request-id: {id}\r\n");
        let mut stream = mock.open(dialect.paths[1], &headers, &without_limit((dialect.body)(true)));
        stream.read_exact(&mut [0; 1000]).unwrap();
        drop(stream);
        assert_eq!(row(&mock, &id)["outcome"], "left", "{id}");
    }
}

fn without_limit(mut body: Value) -> Value {
    if let Some(limit) = body.get_mut("max_tokens") {
        *limit = json!(9999);
    }
    body
}

#[test]
fn every_dialect_refuses_what_it_does_not_know() {
    let mock = Mock::start();
    for dialect in DIALECTS.iter().filter(|dialect| !["openai", "azure-openai"].contains(&dialect.name)) {
        let mut body = (dialect.body)(false);
        body["logit_bias"] = json!({});
        // A failure that was asked for does not hide the mistake.
        let answer = mock.ask(dialect.paths[0], "x-mock: status=503\r\n", &body);
        assert!([400, 422].contains(&answer.status), "{}: {answer:?}", dialect.name);
        assert!(answer.body.contains("logit_bias"), "{}: {}", dialect.name, answer.body);
    }
}

/// What `tests/vectors.rs` holds for right is taken, but for thoughts whose signatures the mock has not made.
#[test]
fn what_the_gateway_sends_is_valid() {
    let mock = Mock::start();
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let read = |path: PathBuf| serde_json::from_str::<Value>(&fs::read_to_string(path).ok()?).ok();
    let mut taken = 0;
    for kind in ["anthropic", "bedrock", "cohere", "gemini", "mistral", "ollama", "vertex"] {
        for case in fs::read_dir(vectors.join(kind)).unwrap() {
            let case = case.unwrap().path();
            let (Some(asked), Some(body)) = (read(case.join("request.json")), read(case.join("upstream.json"))) else {
                continue;
            };
            let Some(model) = asked["model"].as_str().filter(|_| asked["messages"].is_array()) else { continue };
            let model = model.replace(':', "%3A").replace('/', "%2F");
            let path = match kind {
                "anthropic" => MESSAGES.to_owned(),
                "bedrock" => format!("/model/{model}/converse"),
                "cohere" => "/v2/chat".to_owned(),
                "gemini" => format!("/v1beta/models/{model}:generateContent"),
                "mistral" => "/mistral/v1/chat/completions".to_owned(),
                "ollama" => "/api/chat".to_owned(),
                _ => format!("/v1/projects/p/locations/r/{}", on_vertex(&model, body["stream"] == true)),
            };
            let answer = mock.ask(&path, "anthropic-beta: any\r\n", &body);
            // Past calls without `tools`, too, are the client's own mistake at Anthropic.
            let known = ["signature", "must define tools"].iter().any(|word| answer.body.to_lowercase().contains(word));
            assert!(answer.status == 200 || answer.status == 400 && known, "{}: {}", case.display(), answer.body);
            taken += usize::from(answer.status == 200);
        }
    }
    assert!(taken > 60, "{taken}");
}

/// Models on Vertex AI are their publishers'.
fn on_vertex(model: &str, stream: bool) -> String {
    let bare = model.trim_start_matches("anthropic%2F");
    match model {
        _ if bare.starts_with("claude") => {
            format!("publishers/anthropic/models/{bare}:{}", if stream { "streamRawPredict" } else { "rawPredict" })
        }
        _ if model.contains("%2F") => "endpoints/openapi/chat/completions".to_owned(),
        _ => format!("publishers/google/models/{model}:generateContent"),
    }
}

#[test]
fn directives_come_from_a_model_in_the_path() {
    let mock = Mock::start();
    for (path, body) in [
        ("/v1beta/models/m%3Fstatus%3D503:generateContent", (body_of("gemini"))(false)),
        ("/model/m%3Fstatus%3D503/converse", (body_of("bedrock"))(false)),
        ("/openai/deployments/m%3Fstatus%3D503/chat/completions?api-version=1", openai(false)),
    ] {
        assert_eq!(mock.ask(path, "", &body).status, 503, "{path}");
    }
}

#[test]
fn embeddings_are_the_same_for_the_same_text() {
    let mock = Mock::start();
    let ask = |path: &str, body: Value| {
        let answer = mock.ask(path, "", &body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    };
    let content = json!({"parts": [{"text": "a b"}]});
    let openai = ask("/v1/embeddings", json!({"model": "m", "input": "a b", "dimensions": 256}));
    let vector = openai["data"][0]["embedding"].clone();
    assert_eq!(vector.as_array().unwrap().len(), 256);
    let gemini = ask("/v1beta/models/m:embedContent", json!({"content": content, "outputDimensionality": 256}));
    assert_eq!(gemini["embedding"]["values"], vector);
    let vertex = ask(
        "/v1/projects/p/locations/r/publishers/google/models/m:predict",
        json!({"instances": [{"content": "a b"}], "parameters": {"outputDimensionality": 256}}),
    );
    assert_eq!(vertex["predictions"][0]["embeddings"]["values"], vector);
    let titan = json!({"inputText": "a b", "dimensions": 256});
    assert_eq!(ask("/model/amazon.titan-embed-text-v2%3A0/invoke", titan)["embedding"], vector);
    let cohere = json!({"model": "m", "input_type": "search_query", "texts": ["a b"], "output_dimension": 256});
    assert_eq!(ask("/v2/embed", cohere)["embeddings"]["float"][0], vector);
    assert_eq!(ask("/api/embed", json!({"model": "m", "input": "a b", "dimensions": 256}))["embeddings"][0], vector);
    let mistral = json!({"model": "m", "input": "a b", "output_dimension": 256});
    assert_eq!(ask("/mistral/v1/embeddings", mistral)["data"][0]["embedding"], vector);
    let refused = mock.ask("/v1/embeddings", "x-mock: status=429\r\n", &json!({"model": "m", "input": "a"}));
    assert_eq!(refused.status, 429);
}
