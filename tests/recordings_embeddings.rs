//! Recorded embeddings of every provider, decoded or spliced, and compared with what a plain reading of the recording finds.
//!
//! The recordings are read in place; where there are none, the test says so and passes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod recordings;

use model_gateway::clients::openai;
use model_gateway::dialect::Operation;
use model_gateway::embedding::Encoding;
use model_gateway::error::Cause;
use model_gateway::json::Document;
use model_gateway::providers::{Failure, Kind, Settings, Speech, Target, find};
use model_gateway::splice::{self, Facts};
use recordings::{Recording, base64, load_any};
use serde_json::{Value, json};

/// Endpoints of providers with a dialect of their own, and those of OpenAI's.
const NATIVE: &[(&str, &str)] = &[
    ("embed", "cohere"),
    ("embedContent", "gemini"),
    ("predict", "vertex"),
    ("embed", "ollama"),
    ("invoke", "bedrock"),
];
const COMPATIBLE: &str = "embeddings";

fn all(endpoint: &str) -> Vec<Recording> {
    load_any(endpoint, |_| true).unwrap_or_default()
}

/// The kind whose vendor the recording is of; that of any server where there is none.
fn kind(provider: &str) -> &'static dyn Kind {
    let name = if provider == "azure" { "azure-openai" } else { provider };
    let kind = find(name).filter(|kind| matches!(kind.speech(), Speech::OpenAi));
    kind.unwrap_or_else(|| find("openai").unwrap())
}

fn check_error(kind: &dyn Kind, recording: &Recording) {
    let Recording { id, status, body, error_name, .. } = recording;
    let document = Document::parse(body.as_bytes()).ok();
    let root = document.as_ref().map(Document::root);
    let error = kind.error(&Failure { status: *status, body: root, name: error_name.as_deref() });
    let read: Value = serde_json::from_str(body).unwrap_or_default();
    let places = [&read["error"]["message"], &read["message"], &read["detail"], &read["error"]];
    match places.into_iter().find_map(Value::as_str) {
        Some(message) => assert_eq!(error.message, message, "{id}"),
        None => assert!(!error.message.is_empty(), "{id}"),
    }
    let words = error.message.to_ascii_lowercase();
    let expected: &[Cause] = match status {
        401 => &[Cause::Authentication],
        403 => &[Cause::Authentication, Cause::TargetNotFound],
        404 => &[Cause::TargetNotFound],
        429 => &[Cause::RateLimited, Cause::QuotaExhausted],
        400 if words.contains("api key not valid") => &[Cause::Authentication],
        400 if words.contains("model") => &[Cause::TargetNotFound, Cause::BadRequest, Cause::ContextWindow],
        400..500 => &[Cause::BadRequest, Cause::ContextWindow, Cause::TooLarge],
        _ => &[Cause::ServerError, Cause::Overloaded, Cause::Timeout],
    };
    assert!(expected.contains(&error.cause), "{id}: {error:?}");
}

/// The numbers of a vector in either encoding.
fn floats(vector: &Value) -> Vec<f32> {
    match vector.as_str() {
        Some(text) => base64(text).chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect(),
        None => vector.as_array().unwrap().iter().map(|number| number.to_string().parse().unwrap()).collect(),
    }
}

#[test]
fn compatible_ones_pass_in_the_encoding_that_was_asked_for() {
    let recordings = all(COMPATIBLE);
    println!("{} recordings", recordings.len());
    for recording in &recordings {
        let Recording { id, provider, status, body, request, .. } = recording;
        let kind = kind(provider);
        if *status != 200 {
            check_error(kind, recording);
            continue;
        }
        let read: Value = serde_json::from_str(body).expect(id);
        if read.get("error").is_some_and(|error| !error.is_null()) {
            let mut out = String::new();
            let classify = |_: model_gateway::json::Value<'_>| model_gateway::error::Error::bad_answer("said so");
            splice::embeddings(body.as_bytes(), Encoding::Float, "asked", classify, &mut out).expect_err(id);
            continue;
        }
        for encoding in [Encoding::Float, Encoding::Base64] {
            let mut out = String::new();
            let classify = |_: model_gateway::json::Value<'_>| panic!("{id} is no error");
            let usage = splice::embeddings(body.as_bytes(), encoding, "asked", classify, &mut out).expect(id);
            let told: Value = serde_json::from_str(&out).unwrap();
            let mut expected = read.clone();
            expected["model"] = json!("asked");
            for (told, read) in told["data"].as_array().unwrap().iter().zip(expected["data"].as_array_mut().unwrap()) {
                assert!(encoding == Encoding::Float || told["embedding"].is_string(), "{id}");
                if read["embedding"].is_array() {
                    assert_eq!(floats(&told["embedding"]), floats(&read["embedding"]), "{id}");
                    read["embedding"] = told["embedding"].clone();
                }
            }
            assert_eq!(told, expected, "{id}");
            assert_eq!(usage.map(|usage| usage.input), read["usage"]["prompt_tokens"].as_u64(), "{id}");
            if encoding == Encoding::Float {
                let name = serde_json::to_string(&read["model"]).unwrap();
                assert!(out == body.replacen(&name, "\"asked\"", 1), "{id}: only the model's name is replaced");
            }
        }
        // What the client asked for is what comes of the request that goes on.
        let text = request.to_string();
        let document = Document::parse(text.as_bytes()).unwrap();
        if request.get("model").is_none() || request.get("input").is_none() {
            continue;
        }
        let facts = Facts::of(Operation::Embeddings, &document).expect(id);
        let mut out = String::new();
        splice::request(&document, &facts, "up", find("openai").unwrap().differences(), &mut out);
        let mut expected = request.clone();
        expected["model"] = json!("up");
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected, "{id}");
        let asked = if request["encoding_format"] == "base64" { Encoding::Base64 } else { Encoding::Float };
        assert_eq!(openai::embeddings_encoding(&document), asked, "{id}");
    }
}

/// All vectors of floats in an answer, wherever they stand.
fn vectors(value: &Value, found: &mut Vec<Vec<f32>>) {
    match value {
        Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_number) => found.push(floats(value)),
        Value::Array(list) => list.iter().for_each(|value| vectors(value, found)),
        Value::Object(members) => {
            let other = |name: &str| ["int8", "uint8", "binary", "ubinary", "embeddingsByType"].contains(&name);
            members.iter().filter(|(name, _)| !other(name)).for_each(|(_, value)| vectors(value, found));
        }
        _ => {}
    }
}

#[test]
fn native_ones_are_decoded() {
    for (endpoint, provider) in NATIVE {
        for recording in all(endpoint).iter().filter(|recording| recording.provider == *provider) {
            let Recording { id, status, body, request, .. } = recording;
            let kind = find(provider).unwrap();
            // Bedrock's endpoint is that of everything else, too.
            let embeds = request.get("input_type").is_some() || body.contains("\"embedding\"");
            if *endpoint == "invoke" && !embeds {
                continue;
            }
            if *status != 200 {
                check_error(kind, recording);
                continue;
            }
            println!("{id}");
            let mut expected = Vec::new();
            vectors(&serde_json::from_str(body).expect(id), &mut expected);
            let document = Document::parse(body.as_bytes()).unwrap();
            let answer = kind.embedder().unwrap().answer(&document);
            if expected.is_empty() {
                assert_eq!(answer.unwrap_err().cause, Cause::BadAnswer, "{id} has no floats");
                continue;
            }
            let mut out = String::new();
            openai::embeddings(&answer.expect(id), Encoding::Base64, "asked", &mut out);
            let told: Value = serde_json::from_str(&out).unwrap();
            let told: Vec<_> = told["data"].as_array().unwrap().iter().map(|item| floats(&item["embedding"])).collect();
            assert_eq!(told, expected, "{id}");
        }
    }
}

/// Whatever an OpenAI client was recorded to ask for can be asked of every native provider, one input at a time, unless it is
/// tokens.
#[test]
fn recorded_requests_can_be_asked_of_every_native_kind() {
    const MODELS: &[(&str, &str)] = &[
        ("cohere", "embed-v4.0"),
        ("gemini", "gemini-embedding-001"),
        ("vertex", "text-embedding-005"),
        ("vertex", "gemini-embedding-2"),
        ("bedrock", "amazon.titan-embed-text-v2:0"),
        ("bedrock", "cohere.embed-v4:0"),
        ("ollama", "embeddinggemma"),
    ];
    for Recording { id, request, .. } in &all(COMPATIBLE) {
        let mut request = request.clone();
        let first = if request["input"].is_array() { request["input"][0].clone() } else { request["input"].clone() };
        if request["encoding_format"] == "invalid_format" || !first.is_string() {
            continue;
        }
        request["input"] = first.clone();
        let text = request.to_string();
        let document = Document::parse(text.as_bytes()).unwrap();
        let read = openai::embeddings_request(&document).expect(id);
        for (name, model) in MODELS {
            let embedder = find(name).unwrap().embedder().unwrap();
            let settings = Settings::default();
            let target = Target { operation: Operation::Embeddings, settings: &settings, ..Target::new(model) };
            let mut out = String::new();
            let dropped = embedder.request(&read, &target, &mut out).expect(id);
            let sent: Value = serde_json::from_str(&out).unwrap();
            assert!(sent.to_string().contains(&first.to_string()), "{id} to {model}: {sent}");
            if let Some(dimensions) = request.get("dimensions") {
                assert!(sent.to_string().contains(&format!(":{dimensions}")), "{id} to {model}: {sent}");
            }
            let known = ["model", "input", "encoding_format", "dimensions"];
            let others = request
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, value)| !known.contains(&&***name) && !value.is_null());
            for (name, value) in others {
                let said = dropped.contains(name) || sent.to_string().contains(&value.to_string());
                assert!(said, "{id} to {model}: {name} is neither sent nor named");
            }
        }
    }
}
