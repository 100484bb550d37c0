//! Metrics on the real Envoy, as a real Prometheus reads them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use support::scrape::{Sample, scrape, sum};
use support::{Answer, Gateway, Mock, Process, chat, poll};

/// Of `key-NAME`, by the command itself.
fn hash(key: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn config(mock: &Mock, more: &str) -> String {
    let at = &mock.address;
    format!(
        r#"
workers: 1
forward_headers: ["x-mock*"]
log: off
cooldown: 1h
{more}
providers:
  openai: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/openai/v1" }}
  claude.eu: {{ kind: anthropic, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/anthropic" }}
models:
  gpt-4o: {{ targets: [{{ provider: openai }}] }}
  claude-4.5: {{ targets: [{{ provider: claude.eu, model: claude-sonnet-4-5 }}] }}
  "two: a=b, \"ü\"": {{ targets: [{{ provider: openai, model: gpt-4o }}, {{ provider: claude.eu, model: claude-sonnet-4-5, weight: 0 }}] }}
  free: {{ targets: [{{ provider: openai, model: nobody-knows-it }}] }}
  copied: {{ targets: [{{ provider: openai, model: gpt-4o }}], mirror: {{ provider: claude.eu, model: claude-sonnet-4-5 }} }}
  "any/*": {{ targets: [{{ provider: openai, model: "*" }}] }}
keys:
  - {{ name: a.b, team: search.eu, sha256: "{}" }}
  - {{ name: c/d, team: ads, sha256: "{}", limits: [{{ requests: 2, per: day }}] }}
"#,
        hash("key-one"),
        hash("key-two"),
    )
}

fn ask(gateway: &Gateway, key: &str, model: &str, headers: &[(&str, &str)], more: Value) -> Answer {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "good day"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let key = format!("Bearer {key}");
    let headers: Vec<_> = [("authorization", key.as_str())].into_iter().chain(headers.iter().copied()).collect();
    chat(gateway, &headers, &body)
}

fn of<'s>(samples: &'s [Sample], name: &str, label: &str, value: &str) -> Vec<&'s Sample> {
    samples.iter().filter(|sample| sample.name == name && sample.label(label) == value).collect()
}

#[test]
fn what_became_of_requests_is_told_by_labels() {
    let mock = Mock::start();
    let gateway = Gateway::start(&config(&mock, ""));
    let odd = "two: a=b, \"ü\"";
    let stream = json!({"stream": true, "stream_options": {"include_usage": true}});
    assert_eq!(ask(&gateway, "key-one", "gpt-4o", &[("x-mock-openai", "words=5")], json!({})).status, 200);
    let streamed = ask(&gateway, "key-one", "claude-4.5", &[("x-mock-anthropic", "words=20&chunk-delay=5")], stream);
    // Its price stands in the usage that it asked for.
    let usage = streamed.events().iter().rev().find_map(|event| {
        serde_json::from_str::<Value>(event).ok()?.get("usage").filter(|usage| usage.is_object()).cloned()
    });
    let usage = usage.unwrap_or_else(|| panic!("{streamed:?}"));
    let (input, output) = (usage["prompt_tokens"].as_u64().unwrap(), usage["completion_tokens"].as_u64().unwrap());
    let claude = input * 3_000_000 + output * 15_000_000;
    assert_eq!((usage["cost"].as_f64().unwrap() * 1e12).round() as u64, claude, "{usage}");
    assert_eq!(ask(&gateway, "key-one", odd, &[("x-mock-openai", "status=503")], json!({"seed": 1})).status, 200);
    assert_eq!(ask(&gateway, "key-one", "free", &[], json!({})).status, 200);
    assert_eq!(ask(&gateway, "key-one", "copied", &[], json!({})).status, 200);
    assert_eq!(ask(&gateway, "key-one", "any/gpt-4o", &[], json!({})).status, 200);
    assert_eq!(ask(&gateway, "key-one", "any/made-up", &[("x-mock-openai", "status=404")], json!({})).status, 404);
    for status in [200, 200, 429] {
        assert_eq!(ask(&gateway, "key-two", "gpt-4o", &[], json!({})).status, status);
    }
    assert_eq!(ask(&gateway, "key-three", "gpt-4o", &[], json!({})).status, 401);
    let bad = ask(&gateway, "key-one", "claude-4.5", &[("x-mock-anthropic", "status=529")], json!({}));
    assert_eq!(bad.status, 503, "{bad:?}");

    let samples = poll("all that is counted", || {
        let mut samples = scrape(&gateway);
        // Whoever looked whether the gateway serves is none of these.
        samples.retain(|it| {
            let of_requests = it.name.contains("requests_total") || it.name.contains("refusals_total");
            !of_requests || it.label("gen_ai_operation_name") == "chat"
        });
        let all = sum(&samples, "model_gateway_requests_total", |_| true);
        let copies = sum(&samples, "model_gateway_mirror_tokens_total", |_| true);
        let times = sum(&samples, "gen_ai_server_time_per_output_token_microseconds_count", |_| true);
        (all == 12 && copies > 0 && times > 0).then_some(samples)
    });
    let requests = |outcome: &str| sum(&samples, "model_gateway_requests_total", |it| it.label("outcome") == outcome);
    assert_eq!((requests("ok"), requests("refused"), requests("error")), (8, 2, 2), "{samples:#?}");
    let [claude_cost] = of(&samples, "model_gateway_cost_pico_usd_total", "gen_ai_request_model", "claude-4.5")[..]
    else {
        panic!("{samples:#?}");
    };
    assert_eq!(claude_cost.count(), claude);
    let labels: BTreeMap<&str, &str> = BTreeMap::from([
        ("gen_ai_request_model", "claude-4.5"),
        ("gen_ai_response_model", "claude-sonnet-4-5"),
        ("gen_ai_provider_name", "claude.eu"),
        ("key", "a.b"),
        ("team", "search.eu"),
        ("gen_ai_operation_name", "chat"),
    ]);
    let own = claude_cost.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    assert_eq!(own.collect::<BTreeMap<_, _>>(), labels);
    let [fallback] = of(&samples, "model_gateway_fallbacks_total", "gen_ai_request_model", odd)[..] else {
        panic!("{samples:#?}");
    };
    assert_eq!((fallback.label("cause"), fallback.label("gen_ai_provider_name")), ("overloaded", "openai"));
    let one = |name: &str, label: &str, value: &str| {
        let found = of(&samples, name, label, value);
        assert_eq!(found.iter().map(|it| it.count()).sum::<u64>(), 1, "{name} {label} {value}: {samples:#?}");
    };
    one("model_gateway_dropped_parameters_total", "parameter", "seed");
    one("model_gateway_unpriced_requests_total", "gen_ai_request_model", "free");
    one("model_gateway_refusals_total", "limit", "2 requests per day");
    one("model_gateway_refusals_total", "cause", "unauthorized");
    one("model_gateway_attempts_total", "gen_ai_response_model", "*");
    one("model_gateway_requests_total", "gen_ai_request_model", "any/gpt-4o");
    one("model_gateway_requests_total", "gen_ai_request_model", "any/*");
    assert!(samples.iter().all(|it| !it.labels.values().any(|value| value.contains("made-up"))));
    let buckets = of(&samples, "gen_ai_server_time_per_output_token_microseconds_bucket", "le", "5000");
    assert!(!buckets.is_empty(), "{samples:#?}");
    gateway.assert_sound();
}

#[test]
fn metrics_can_be_off() {
    let mock = Mock::start();
    let gateway = Gateway::start(&config(&mock, "metrics: false"));
    assert_eq!(ask(&gateway, "key-one", "gpt-4o", &[], json!({})).status, 200);
    assert!(scrape(&gateway).is_empty());
    gateway.assert_sound();
}

/// A Prometheus, or None (said once) where there is none.
fn prometheus() -> Option<PathBuf> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".tools/bin/prometheus");
    let path = if own.exists() { own } else { PathBuf::from("prometheus") };
    let found = Command::new(&path).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        let why = "no prometheus; install it: tests/setup/install prometheus";
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{why}");
        eprintln!("SKIPPED: {why}");
    }
    found.then_some(path)
}

#[test]
fn prometheus_knows_what_each_team_spends_on_each_model() {
    let Some(path) = prometheus() else { return };
    let mock = Mock::start();
    let gateway = Gateway::start(&config(&mock, ""));
    for (key, model, times) in [("key-one", "gpt-4o", 3), ("key-one", "claude-4.5", 2), ("key-two", "gpt-4o", 2)] {
        for number in 0..times {
            let id = format!("{key} {model}");
            let words = format!("words={}", 5 + 7 * number);
            let headers = [("x-request-id", id.as_str()), ("x-mock-openai", &words), ("x-mock-anthropic", &words)];
            assert_eq!(ask(&gateway, key, model, &headers, json!({})).status, 200);
        }
    }
    // What the mock has told, at the public prices.
    let mut expected: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let rows = mock.rows();
    for row in &rows {
        let team = if row["request_id"].as_str().unwrap().starts_with("key-one") { "search.eu" } else { "ads" };
        let count = |name: &str| row["usage"][name].as_u64().unwrap();
        let (model, cost) = match row["site"].as_str() {
            Some("openai") => ("gpt-4o", count("input_tokens") * 2_500_000 + count("output_tokens") * 10_000_000),
            _ => ("claude-4.5", count("input_tokens") * 3_000_000 + count("output_tokens") * 15_000_000),
        };
        *expected.entry((team, model)).or_default() += cost;
    }
    assert_eq!((rows.len(), expected.len()), (7, 3));

    let folder = std::env::temp_dir().join(format!("model-gateway-prometheus-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let config = folder.join("prometheus.yml");
    let targets = format!(
        "scrape_configs:\n  - job_name: envoy\n    scrape_interval: 1s\n    metrics_path: /stats/prometheus\n    static_configs: [{{ targets: [\"{}\"] }}]\n",
        gateway.admin
    );
    std::fs::write(&config, targets).unwrap();
    let address = support::free_address();
    let mut command = Command::new(path);
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
    command.arg(format!("--web.listen-address={address}"));
    let process = Process::spawn(command);
    let query = "sum by (team, gen_ai_request_model) (model_gateway_cost_pico_usd_total)";
    let got = poll("Prometheus to know what was spent", || {
        let url = format!("http://{address}/api/v1/query");
        let mut answer = ureq::get(&url).query("query", query).call().ok()?;
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()?;
        let result = answer["data"]["result"].as_array()?.clone();
        (result.len() == 3).then_some(result)
    });
    println!("{query}");
    for row in &got {
        println!("  {} {}", row["metric"], row["value"][1]);
    }
    let got: BTreeMap<(&str, &str), u64> = got
        .iter()
        .map(|row| {
            let label = |name: &str| row["metric"][name].as_str().unwrap();
            let value = row["value"][1].as_str().unwrap().parse().unwrap();
            ((label("team"), label("gen_ai_request_model")), value)
        })
        .collect();
    assert_eq!(got, expected);
    drop(process);
    let _ = std::fs::remove_dir_all(&folder);
    gateway.assert_sound();
}
