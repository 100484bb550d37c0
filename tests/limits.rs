//! Limits and keys on the real Envoy with two workers: exact under concurrency, whatever becomes of requests.
//!
//! `LIMITS_REQUESTS=20000` is the default; fewer for a quick look.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;
#[path = "limits/waiting.rs"]
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use support::load::{Ask, Client};
use support::{Gateway, Mock, poll};

const CLIENTS: usize = 64;

/// What `model-gateway key hash` makes of a key.
fn hash(key: &str) -> String {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut command = Command::new(env!("CARGO_BIN_EXE_model-gateway"));
    let mut child = command.args(["key", "hash"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(key.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn config(mock: &Mock, log: &str, limits: &str) -> String {
    let (at, key, admin) = (&mock.address, hash("key-of-the-test"), hash("key-of-the-admin"));
    format!(
        r#"
workers: 2
forward_headers: ["x-mock*"]
log: "{log}"
cooldown: 0s
auth_failures: 0
providers:
  openai: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/openai/v1" }}
  anthropic: {{ kind: anthropic, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/anthropic" }}
models:
  openai: {{ targets: [{{ provider: openai, model: gpt-4o }}] }}
  anthropic: {{ targets: [{{ provider: anthropic, model: claude-sonnet-4-5 }}] }}
  both: {{ targets: [{{ provider: openai, model: gpt-4o }}], fallbacks: [anthropic] }}
keys:
  - name: test
    sha256: "{key}"
    limits: [{limits}]
  - {{ name: admin, sha256: "{admin}", role: admin }}
  - {{ name: off, sha256: "{}", disabled: true }}
  - {{ name: old, sha256: "{}", expires: 2024-01-01 }}
  - {{ name: other, sha256: "{}", models: [anthropic] }}
"#,
        hash("key-that-is-off"),
        hash("key-that-is-old"),
        hash("key-of-another"),
    )
}

/// The accounts of the key `test`, by the names of their limits: used, and held.
fn accounts(gateway: &Gateway) -> BTreeMap<String, (f64, f64)> {
    let url = format!("http://{}/v1/usage", gateway.address);
    let mut response = ureq::get(&url).header("authorization", "Bearer key-of-the-admin").call().unwrap();
    let body: Value = serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap();
    let keys = body["data"].as_array().unwrap();
    let test = keys.iter().find(|key| key["key"] == "test").unwrap();
    let limits = test["limits"].as_array().unwrap().iter();
    limits
        .map(|limit| {
            let number = |name: &str| limit[name].as_f64().unwrap();
            (limit["limit"].as_str().unwrap().to_owned(), (number("used"), number("held")))
        })
        .collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

fn ask(gateway: &Gateway, headers: &[(&'static str, &str)], body: Value) -> Ask {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Ask { address: gateway.address.clone(), path: "/v1/chat/completions".to_owned(), headers, body }
}

fn body(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "good day"}]})
}

#[test]
fn a_limit_of_n_lets_exactly_n_through() {
    const N: u64 = 300;
    let mock = Mock::start();
    let gateway = Gateway::start(&config(&mock, "off", &format!("{{ requests: {N}, per: day }}")));
    let (runtime, next) = (runtime(), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let next = next.clone();
            let ask = ask(&gateway, &[("authorization", "Bearer key-of-the-test")], body("openai", false));
            runtime.spawn(async move {
                let mut client = Client::new(&ask.address);
                let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
                while next.fetch_add(1, Ordering::Relaxed) < 10 * N {
                    *counts.entry(client.send(&ask).await.unwrap().status).or_default() += 1;
                }
                counts
            })
        })
        .collect();
    let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
    for client in clients {
        for (status, count) in runtime.block_on(client).unwrap() {
            *counts.entry(status).or_default() += count;
        }
    }
    assert_eq!(counts, BTreeMap::from([(200, N), (429, 9 * N)]));
    assert_eq!(accounts(&gateway)[&format!("{N} requests per day")], (N as f64, 0.0));
    gateway.assert_sound();
}

/// One in so many of these each: what the provider does, and whether the client leaves in the midst of it.
const TURNS: &[(&str, bool, bool)] = &[
    ("words=5", false, false),
    ("words=12", true, false),
    ("words=3", true, false),
    ("status=503", false, false),
    ("status=400", true, false),
    ("words=8&cut=3", true, false),
    ("words=9&end=4", true, false),
    ("error-event=2", true, false),
    ("reset", false, false),
    ("words=400&chunk-delay=5ms", true, true),
];

#[test]
fn every_request_is_settled_whatever_becomes_of_it() {
    let requests: u64 = std::env::var("LIMITS_REQUESTS").ok().and_then(|it| it.parse().ok()).unwrap_or(20_000);
    let mock = Mock::start();
    let log = std::env::temp_dir().join(format!("model-gateway-limits-{}.log", std::process::id()));
    let limits = "{ requests: 1000000, per: month }, { tokens: 100000000, per: month }, { input_tokens: 100000000, per: month }, { usd: 100000, per: month }, { concurrent: 100 }";
    let gateway = Gateway::start(&config(&mock, log.to_str().unwrap(), limits));
    let (runtime, next) = (runtime(), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (next, address) = (next.clone(), gateway.address.clone());
            runtime.spawn(async move {
                let mut client = Client::new(&address);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= requests {
                        break;
                    }
                    let turn = (number ^ number >> 7) as usize;
                    let (directive, stream, leaves) = TURNS[turn % TURNS.len()];
                    let model = ["openai", "anthropic", "both"][turn / 10 % 3];
                    let site = if model == "anthropic" { "x-mock-anthropic" } else { "x-mock-openai" };
                    let ask = Ask {
                        address: address.clone(),
                        path: "/v1/chat/completions".to_owned(),
                        headers: vec![
                            ("authorization", "Bearer key-of-the-test".to_owned()),
                            ("x-request-id", format!("limits-{number}")),
                            (site, directive.to_owned()),
                        ],
                        body: body(model, stream),
                    };
                    // What becomes of each is what the accounts have to get right; here it only has to end.
                    let sent = client.send_and_read(&ask, leaves.then_some(300)).await;
                    if sent.is_err() || leaves {
                        client = Client::new(&address);
                    }
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| runtime.block_on(client).unwrap());

    let lines = poll("a line in the log for every request", || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let own = lines.into_iter().filter(|line: &Value| line["endpoint"] == "chat_completions");
        let own: Vec<Value> = own.collect();
        (own.len() as u64 >= requests).then_some(own)
    });
    let _ = std::fs::remove_file(&log);
    assert_eq!(lines.len() as u64, requests);

    let number = |line: &Value, name: &str| match &line[name] {
        Value::String(text) => text.parse::<f64>().unwrap(),
        value => value.as_f64().unwrap_or(0.0),
    };
    let sum = |name: &str| lines.iter().map(|line| number(line, name)).sum::<f64>();
    let (input, output) = (sum("input_tokens"), sum("output_tokens"));
    // In 10⁻¹² USD: sums of decimals in binary are not exact.
    let cost: u64 = lines.iter().map(|line| (number(line, "cost_usd") * 1e12).round() as u64).sum();
    let accounts = accounts(&gateway);
    println!("{accounts:#?}");
    let used = |name: &str| accounts[name];
    assert_eq!(used("1000000 requests per month"), (requests as f64, 0.0));
    assert_eq!(used("100 requests at a time"), (0.0, 0.0));
    assert_eq!(used("100000000 tokens per month"), (input + output, 0.0));
    assert_eq!(used("100000000 input tokens per month"), (input, 0.0));
    let (usd, held) = used("100000 USD per month");
    assert_eq!(((usd * 1e12).round() as u64, held), (cost, 0.0));

    // Line by line, what was measured is what the provider says that it told.
    let rows = mock.rows();
    let mut told: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for row in &rows {
        let entry = told.entry(row["request_id"].as_str().unwrap_or_default()).or_default();
        entry.0 += row["usage"]["input_tokens"].as_f64().unwrap_or(0.0);
        entry.1 += row["usage"]["output_tokens"].as_f64().unwrap_or(0.0);
    }
    let mut estimated = 0;
    for line in &lines {
        let id = line["request_id"].as_str().unwrap();
        if line["estimated"] == "true" || line["estimated"] == true {
            estimated += 1;
        } else if line["status"] == 200 {
            let logged = (number(line, "input_tokens"), number(line, "output_tokens"));
            assert_eq!(logged, told.get(id).copied().unwrap_or_default(), "{line}\n{:?}", mock.requests(id));
        }
    }
    println!("{requests} requests, {} at the providers, {estimated} estimated, {input} + {output} tokens", rows.len());
    assert!(estimated > 0 && estimated < requests / 2, "{estimated}");
    gateway.assert_sound();
}

#[test]
fn wrong_keys_by_the_thousand_open_nothing_and_are_nowhere_to_be_read() {
    let mock = Mock::start();
    let log = std::env::temp_dir().join(format!("model-gateway-keys-{}.log", std::process::id()));
    let gateway = Gateway::start(&config(&mock, log.to_str().unwrap(), ""));
    let runtime = runtime();
    let cases: &[(&str, &str, u16)] = &[
        ("Bearer key-that-is-wrong", "openai", 401),
        ("Bearer key-that-is-old", "openai", 401),
        ("Bearer key-that-is-off", "openai", 401),
        ("Bearer key-of-another", "openai", 403),
        ("Bearer key-of-another", "anthropic", 200),
        ("Basic key-of-the-test", "openai", 401),
    ];
    for (key, model, status) in cases {
        let clients: Vec<_> = (0..20)
            .map(|_| {
                let ask = ask(&gateway, &[("authorization", key)], body(model, false));
                runtime.spawn(async move {
                    let mut client = Client::new(&ask.address);
                    let mut answers = Vec::new();
                    for _ in 0..50 {
                        let outcome = client.send(&ask).await.unwrap();
                        answers.push((outcome.status, String::from_utf8_lossy(&outcome.body).into_owned()));
                    }
                    answers
                })
            })
            .collect();
        for client in clients {
            for (got, body) in runtime.block_on(client).unwrap() {
                assert_eq!(got, *status, "{key} {model}: {body}");
                assert!(!body.contains("key-"), "{body}");
                let body: Value = serde_json::from_str(&body).unwrap();
                assert_eq!(body["error"].is_object(), *status != 200);
            }
        }
    }
    // Every endpoint asks for a key.
    for endpoint in model_gateway::exchange::ENDPOINTS {
        let url = format!("http://{}{}", gateway.address, endpoint.path);
        for method in ["GET", "POST"] {
            let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
            let response = match method {
                "GET" => agent.get(&url).call().unwrap(),
                _ => agent.post(&url).header("content-type", "application/json").send("{}").unwrap(),
            };
            let status = response.status().as_u16();
            assert!(matches!(status, 401 | 405), "{method} {url}: {status}");
        }
    }
    let dump = |path: &str| {
        ureq::get(&format!("http://{}{path}", gateway.admin)).call().unwrap().body_mut().read_to_string().unwrap()
    };
    let log_text = std::fs::read_to_string(&log).unwrap();
    let _ = std::fs::remove_file(&log);
    for text in [dump("/config_dump"), dump("/stats"), log_text, gateway.process.output()] {
        for key in ["key-that-is", "key-of-the", "key-of-another", "sk-mock-key"] {
            assert!(!text.contains(key), "{key} in {}", text.lines().find(|line| line.contains(key)).unwrap());
        }
    }
    assert!(mock.rows().len() == 1000, "{}", mock.rows().len());
    gateway.assert_sound();
}
