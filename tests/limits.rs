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
use support::scrape::{scrape, sum};
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
    ("words=400&chunk-delay=5", true, true),
];

#[test]
fn every_request_is_settled_whatever_becomes_of_it() {
    let requests: u64 = std::env::var("LIMITS_REQUESTS").ok().and_then(|it| it.parse().ok()).unwrap_or(20_000);
    let mock = Mock::start();
    let log = std::env::temp_dir().join(format!("model-gateway-limits-{}.log", std::process::id()));
    let limits = "{ requests: 1000000, per: month }, { tokens: 100000000, per: month }, { input_tokens: 100000000, per: month }, { output_tokens: 100000000, per: month }, { usd: 100000, per: month }, { concurrent: 100 }";
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

    let rows = mock.rows();
    let metrics = poll("a count of every request", || {
        let mut samples = scrape(&gateway);
        // Who asked for the list of models, or for accounts, is none of these.
        samples.retain(|it| it.label("gen_ai_operation_name") == "chat");
        (sum(&samples, "model_gateway_requests_total", |_| true) >= requests).then_some(samples)
    });
    let ids: BTreeMap<&str, &Value> = lines.iter().map(|line| (line["request_id"].as_str().unwrap(), line)).collect();
    let is_estimated = |line: &Value| line["estimated"] == "true" || line["estimated"] == true;
    let estimated = lines.iter().filter(|line| is_estimated(line)).count() as u64;
    // What the mock has told of requests of which all was told.
    let told = |amount: &dyn Fn(&Value) -> u64| {
        let known = |row: &&Value| ids.get(row["request_id"].as_str().unwrap()).is_some_and(|line| !is_estimated(line));
        rows.iter().filter(known).map(amount).sum::<u64>()
    };
    let logged = |name: &'static str, wanted: &dyn Fn(&Value) -> bool| {
        lines.iter().filter(|line| wanted(line)).map(|line| logged(line, name)).sum::<u64>()
    };
    let counted = |name: &str, kind: &str, estimated: &str| {
        sum(&metrics, name, |it| it.label("gen_ai_token_type") == kind && it.label("estimated") == estimated)
    };
    let accounts = accounts(&gateway);
    let account = |name: &str| accounts[name].0;
    let (input, output) = (account("100000000 input tokens per month"), account("100000000 output tokens per month"));
    let usd = (account("100000 USD per month") * 1e12).round() as u64;
    const TOKENS: &str = "gen_ai_client_token_usage_total";
    const COST: &str = "model_gateway_cost_pico_usd_total";
    let mut table = Table::default();
    table.row(
        "requests",
        [sum(&metrics, "model_gateway_requests_total", |_| true), lines.len() as u64],
        Some(account("1000000 requests per month") as u64),
        None,
    );
    let attempts = sum(&metrics, "model_gateway_attempts_total", |_| true);
    table.row("attempts", [attempts, logged("attempts", &|_| true)], None, Some(rows.len() as u64));
    for (what, name, kind, metric, account, ledger) in [
        (
            "input tokens",
            "input_tokens",
            "input",
            TOKENS,
            input as u64,
            &(|row: &Value| tokens(row, "input_tokens")) as &dyn Fn(&Value) -> u64,
        ),
        ("output tokens", "output_tokens", "output", TOKENS, output as u64, &|row: &Value| {
            tokens(row, "output_tokens")
        }),
        ("10⁻¹² USD", "cost_usd", "", COST, usd, &cost),
    ] {
        let (known, not) = (counted(metric, kind, ""), counted(metric, kind, "true"));
        let guessed = logged(name, &is_estimated);
        table.row(
            &format!("{what}, told"),
            [known, logged(name, &|line| !is_estimated(line))],
            Some(account - guessed),
            Some(told(ledger)),
        );
        table.row(&format!("{what}, estimated"), [not, guessed], Some(account - known), None);
        table.row(
            &format!("{what}, all"),
            [known + not, logged(name, &|_| true)],
            Some(account),
            Some(told(ledger) + guessed),
        );
    }
    for (what, name, kind) in
        [("cached tokens", "cached_tokens", "cached"), ("reasoning tokens", "reasoning_tokens", "reasoning")]
    {
        let details = counted("model_gateway_token_details_total", kind, "");
        table.row(what, [details, logged(name, &|_| true)], None, Some(told(&|row| tokens(row, name))));
    }
    print!("{table}");
    assert_eq!(table.differences(), 0);
    assert!(accounts.values().all(|(_, held)| *held == 0.0), "{accounts:#?}");
    assert_eq!(account("100 requests at a time"), 0.0);
    assert_eq!(account("100000000 tokens per month"), input + output);
    let outcomes = ["ok", "error", "broken", "client_left", "refused"].map(|outcome| {
        let metric = sum(&metrics, "model_gateway_requests_total", |it| it.label("outcome") == outcome);
        let log = lines.iter().filter(|line| line["outcome"] == outcome).count() as u64;
        assert_eq!(metric, log, "{outcome}");
        (outcome, log)
    });
    println!("{outcomes:?}");
    assert!(outcomes[..4].iter().all(|(_, count)| *count > 0));
    println!("{requests} requests, {} at the providers, {estimated} estimated", rows.len());
    assert!(estimated > 0 && estimated < requests / 2, "{estimated}");
    gateway.assert_sound();
}

/// A number in a line of the log; of USD, in 10⁻¹².
fn logged(line: &Value, name: &str) -> u64 {
    let text = match &line[name] {
        Value::String(text) => text.clone(),
        Value::Null => return 0,
        value => value.to_string(),
    };
    if name != "cost_usd" {
        return text.parse().unwrap();
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}{fraction:0<12}").parse().unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A number of tokens in a row of the mock's ledger.
fn tokens(row: &Value, name: &str) -> u64 {
    row["usage"][name].as_u64().unwrap_or(0)
}

/// What a row's tokens cost at the public prices, in 10⁻¹² USD.
fn cost(row: &Value) -> u64 {
    let [input, cached, written, output] = match row["site"].as_str() {
        Some("openai") => [2_500_000, 1_250_000, 0, 10_000_000],
        _ => [3_000_000, 300_000, 3_750_000, 15_000_000],
    };
    let (read, wrote) = (tokens(row, "cached_tokens"), tokens(row, "cache_write_tokens"));
    let plain = tokens(row, "input_tokens") - read - wrote;
    plain * input + read * cached + wrote * written + tokens(row, "output_tokens") * output
}

/// What four accounts of the same say.
#[derive(Default)]
struct Table(Vec<(String, [Option<u64>; 4])>);

impl Table {
    fn row(&mut self, what: &str, [metrics, log]: [u64; 2], limits: Option<u64>, mock: Option<u64>) {
        self.0.push((what.to_owned(), [Some(metrics), Some(log), limits, mock]));
    }

    /// In how many rows they are not all the same.
    fn differences(&self) -> usize {
        let differs = |columns: &[Option<u64>; 4]| columns.iter().flatten().any(|value| Some(*value) != columns[0]);
        self.0.iter().filter(|(_, columns)| differs(columns)).count()
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:26} {:>18} {:>18} {:>18} {:>18}", "", "metrics", "log", "limits", "mock")?;
        for (what, columns) in &self.0 {
            write!(f, "{what:26}")?;
            for value in columns {
                write!(f, " {:>18}", value.map_or("-".to_owned(), |value| value.to_string()))?;
            }
            writeln!(f)?;
        }
        writeln!(f, "differences: {}", self.differences())
    }
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
