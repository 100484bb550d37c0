//! Writes what every native provider would get for every request of the vectors and of the recordings, as JSON lines, for
//! `tests/schemas` to hold against the providers' own schemas. It judges nothing itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod recordings;

use std::fs;
use std::path::{Path, PathBuf};

use model_gateway::clients::openai;
use model_gateway::error::Error;
use model_gateway::json::Document;
use model_gateway::providers::{Dropped, Speech, Target, find};
use model_gateway::splice::{self, Facts};
use serde_json::{Value, json};

/// A kind, and models of it that do not take the same.
const TARGETS: &[(&str, &[&str])] = &[
    ("anthropic", &["claude-3-5-haiku-20241022", "claude-sonnet-4-5", "claude-opus-4-8"]),
    ("azure-openai", &["gpt-4o"]),
    (
        "bedrock",
        &["anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0", "meta.llama3-3-70b-instruct-v1:0"],
    ),
    ("cohere", &["command-a-03-2025", "command-a-reasoning-08-2025"]),
    ("gemini", &["gemini-2.5-flash", "gemini-3-pro-preview"]),
    ("mistral", &["mistral-large-latest", "magistral-medium-latest"]),
    ("ollama", &["llama3.2", "gpt-oss:20b"]),
    ("vertex", &["gemini-2.5-flash", "gemini-3-pro-preview", "claude-sonnet-4-5@20250929", "claude-opus-4-8"]),
];

/// Where they go: `make test-schemas` reads them from there.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/translations");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every request of OpenAI's dialect: where it is from, and its body.
fn requests() -> Vec<(String, Value)> {
    let mut requests = Vec::new();
    for kind in fs::read_dir(project().join("tests/vectors")).unwrap().map(|entry| entry.unwrap().path()) {
        for case in fs::read_dir(&kind).unwrap().map(|entry| entry.unwrap().path()) {
            let Ok(text) = fs::read(case.join("request.json")) else { continue };
            let body: Value = serde_json::from_slice(&text).unwrap();
            // Those of other operations have no messages.
            if body.get("messages").is_some() {
                let name = case.strip_prefix(project().join("tests/vectors")).unwrap();
                requests.push((format!("vectors/{}", name.display()), body));
            }
        }
    }
    let recorded = recordings::load("chat_completions", |_| true).unwrap_or_default();
    requests.extend(recorded.into_iter().map(|recording| (recording.id, recording.request)));
    requests.sort_by(|one, other| one.0.cmp(&other.0));
    requests
}

fn say(kind: &str, model: &str, body: &str, out: &mut String) -> Result<Dropped, Error> {
    let kind = find(kind).unwrap();
    let document = Document::parse(body.as_bytes()).unwrap();
    if let Some(writer) = kind.writer() {
        let request = openai::request(&document)?;
        return writer.request(&request, &Target { stream: request.stream, ..Target::new(model) }, out);
    }
    match kind.speech_to(model) {
        Speech::Native(translator) => {
            let request = openai::request(&document)?;
            translator.request(&request, &Target { stream: request.stream, ..Target::new(model) }, out)
        }
        Speech::OpenAi => Ok(splice::request(&document, &Facts::read(&document)?, model, kind.differences(), out)),
    }
}

#[test]
#[ignore = "`make test-schemas` runs it"]
fn every_translation_is_written() {
    let (folder, requests) = (folder(), requests());
    assert!(requests.len() > 40, "{}", requests.len());
    for (kind, models) in TARGETS {
        let mut lines = String::new();
        for (case, client) in &requests {
            for model in *models {
                let mut out = String::new();
                let line = match say(kind, model, &client.to_string(), &mut out) {
                    Ok(dropped) => {
                        let body: Value = serde_json::from_str(&out).unwrap();
                        json!({"case": case, "model": model, "client": client, "body": body, "dropped": dropped})
                    }
                    Err(error) => {
                        let refused = json!({"status": error.client_status(), "code": error.client_code(),
                            "param": error.param, "message": error.message});
                        json!({"case": case, "model": model, "client": client, "refused": refused})
                    }
                };
                lines += &format!("{line}\n");
            }
        }
        fs::write(folder.join(format!("{kind}.jsonl")), lines).unwrap();
    }
}
