//! Credentials that Envoy finds at run time, on the real Envoy: in files, and at a metadata server like Google's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{Answer, Gateway, chat, poll};

/// Path and headers of a request.
type Head = (String, Vec<(String, String)>);

/// A server that answers each request with a status and a body; its address, and the heads of what it got.
fn serve(answer: impl Fn(&Head) -> (u16, String) + Send + Sync + 'static) -> (String, Arc<Mutex<Vec<Head>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, seen) = (listener.local_addr().unwrap().to_string(), Arc::new(Mutex::new(Vec::new())));
    let (all, answer) = (seen.clone(), Arc::new(answer));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (all, answer) = (all.clone(), answer.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while let Some(head) = read(&mut reader) {
                    let (status, body) = answer(&head);
                    all.lock().unwrap().push(head);
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
                    );
                    stream.write_all((head + &body).as_bytes()).unwrap();
                }
            });
        }
    });
    (address, seen)
}

fn read(reader: &mut impl BufRead) -> Option<Head> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let path = lines.first()?.split(' ').nth(1)?.to_owned();
    let headers: Vec<_> = lines[1..].iter().filter_map(|line| line.split_once(": ")).collect();
    let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let length = header(&headers, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    Some((path, headers))
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// Like a provider that wants a credential: who has none is refused, who has one is told.
fn provider(head: &Head) -> (u16, String) {
    let key = header(&head.1, "authorization").or(header(&head.1, "api-key"));
    let Some(key) = key else { return (401, json!({"error": {"message": "no key"}}).to_string()) };
    let answer = match head.0.contains("generateContent") {
        true => {
            json!({"candidates": [{"content": {"role": "model", "parts": [{"text": key}]}, "finishReason": "STOP"}]})
        }
        false => json!({"id": "a", "object": "chat.completion", "created": 1, "model": "m", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": key}, "finish_reason": "stop"}]}),
    };
    (200, answer.to_string())
}

/// A folder, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("model-gateway-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// As whoever renews a secret does it.
    fn put(&self, name: &str, text: &str) {
        fs::write(self.0.join(".new"), text).unwrap();
        fs::rename(self.0.join(".new"), self.0.join(name)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn ask(gateway: &Gateway, model: &str, headers: &[(&str, &str)]) -> Answer {
    chat(gateway, headers, &json!({"model": model, "messages": [{"role": "user", "content": "x"}]}))
}

/// With which credential the provider saw the request.
fn key(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

fn assert_refused(answer: &Answer, said: &str) {
    let error = answer.json()["error"].clone();
    assert_eq!((answer.status, &error["code"]), (502, &json!("upstream_authentication_failed")), "{answer:?}");
    assert!(error["message"].as_str().unwrap().contains(said), "{error}");
}

#[test]
fn a_file_is_read_and_read_again() {
    let (address, seen) = serve(provider);
    let folder = Folder::new("files");
    let files = folder.0.display();
    let gateway = Gateway::start(&format!(
        r#"
workers: 1
cooldown: 0s
forward_headers: [x-gateway-*]
providers:
  filed: {{ kind: openai, base_url: "http://{address}/v1", api_key: {{ file: {files}/key }} }}
  azure: {{ kind: azure-openai, base_url: "http://{address}", api_key: {{ file: {files}/entra }} }}
  sure: {{ kind: openai, base_url: "http://{address}/v1", api_key: "${{MOCK_KEY}}" }}
models:
  filed: {{ targets: [{{ provider: filed }}] }}
  azure: {{ targets: [{{ provider: azure }}] }}
  safe: {{ targets: [{{ provider: filed }}], fallbacks: [sure] }}
  sure: {{ targets: [{{ provider: sure }}] }}
"#
    ));
    // It need not be there when Envoy starts; until it is, the next target answers. What a client says it is does not count.
    let sly = [("x-gateway-credential-filed", "of-the-client")];
    assert_refused(&ask(&gateway, "filed", &sly), "its file is empty, or not there");
    let answer = ask(&gateway, "safe", &sly);
    assert_eq!((key(&answer).as_str(), answer.header("x-gateway-attempts")), ("Bearer sk-mock-key", Some("2")));

    folder.put("key", "sk-one-of-two\n");
    let wait = |model: &str, expected: &str| {
        poll(expected, || {
            let answer = ask(&gateway, model, &sly);
            (answer.status == 200 && key(&answer) == expected).then_some(())
        })
    };
    wait("filed", "Bearer sk-one-of-two");
    folder.put("key", "sk-two-of-two");
    wait("filed", "Bearer sk-two-of-two");
    assert_eq!(key(&ask(&gateway, "safe", &[])), "Bearer sk-two-of-two");
    // Azure's key goes another way than a token of Entra's.
    folder.put("entra", "plain-key\n");
    wait("azure", "plain-key");
    folder.put("entra", "eyJ0.eyJh.c2ln\n");
    wait("azure", "Bearer eyJ0.eyJh.c2ln");
    folder.put("key", " \n");
    poll("an empty file", || (ask(&gateway, "filed", &[]).status == 502).then_some(()));

    let seen = seen.lock().unwrap();
    let strange = seen.iter().flat_map(|(_, headers)| headers).find(|(name, value)| {
        name.starts_with("x-gateway-credential") || value.contains("of-the-client") || value.trim() != value
    });
    assert_eq!(strange, None);
    let dump = ureq::get(format!("http://{}/config_dump?include_eds", gateway.admin)).call().unwrap();
    let dump = dump.into_body().read_to_string().unwrap();
    assert!(dump.contains("credential_injector"));
    for secret in ["sk-one-of-two", "sk-two-of-two", "plain-key", "c2ln"] {
        assert!(!dump.contains(secret) && !gateway.process.output().contains(secret), "{secret} is told");
    }
    gateway.assert_sound();
}

#[test]
fn google_gives_tokens() {
    let (address, seen) = serve(provider);
    let tokens = json!({"access_token": "ya29.token", "expires_in": 3599, "token_type": "Bearer"}).to_string();
    let is_up = Arc::new(Mutex::new(true));
    let up = is_up.clone();
    let (metadata, asked) =
        serve(move |_| if *up.lock().unwrap() { (200, tokens.clone()) } else { (503, String::new()) });
    let config = format!(
        r#"
workers: 1
cooldown: 0s
providers:
  vertex: {{ kind: vertex, project: p, region: global, base_url: "http://{address}", api_key: gcp }}
  sure: {{ kind: openai, base_url: "http://{address}/v1", api_key: "${{MOCK_KEY}}" }}
models:
  gemini: {{ targets: [{{ provider: vertex, model: gemini-x }}] }}
  safe: {{ targets: [{{ provider: vertex, model: gemini-x }}], fallbacks: [sure] }}
  sure: {{ targets: [{{ provider: sure }}] }}
"#
    );
    let gateway = Gateway::start_with(&config, &[("GCE_METADATA_HOST", &metadata)]);
    // Who has no use for a token does not wait for one.
    assert_eq!(key(&ask(&gateway, "sure", &[])), "Bearer sk-mock-key");
    assert_eq!(asked.lock().unwrap().len(), 0);
    assert_eq!(key(&ask(&gateway, "gemini", &[])), "Bearer ya29.token");
    // The body waits while Envoy asks, and a token serves more than one request.
    let long = "x".repeat(3 << 20);
    let body = json!({"model": "gemini", "messages": [{"role": "user", "content": long}]});
    assert_eq!(key(&chat(&gateway, &[], &body)), "Bearer ya29.token");
    assert_eq!(key(&ask(&gateway, "safe", &[])), "Bearer ya29.token");
    assert_eq!(
        seen.lock().unwrap()[1].0,
        "/v1/projects/p/locations/global/publishers/google/models/gemini-x:generateContent"
    );
    let asked: Vec<Head> = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].0.starts_with("/computeMetadata/v1/instance/service-accounts/default/token"), "{asked:?}");
    assert_eq!(header(&asked[0].1, "metadata-flavor"), Some("Google"));
    assert!(!gateway.process.output().contains("ya29"));
    gateway.assert_sound();
    drop(gateway);

    *is_up.lock().unwrap() = false;
    let gateway = Gateway::start_with(&config, &[("GCE_METADATA_HOST", &metadata)]);
    assert_refused(&ask(&gateway, "gemini", &[]), "metadata server gave no token");
    let answer: Value = ask(&gateway, "safe", &[]).json();
    assert_eq!(answer["choices"][0]["message"]["content"], "Bearer sk-mock-key");
    let answer = chat(&gateway, &[], &body);
    assert_refused(&answer, "metadata server gave no token");
    gateway.assert_sound();
}
