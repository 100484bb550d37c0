//! The dashboard and the alerts of `examples/`: every query by a real Prometheus that scrapes the real Envoy.
//!
//! `DASHBOARD_MINUTES=5 UPDATE=1` draws `examples/grafana/dashboard.png` too, of traffic of that long.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Gateway, Mock, Process, free_address, poll, post};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Debian's Prometheus, or the one that `make setup` has put there; `None` skips the test, except in CI.
fn prometheus(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([Path::new(ROOT).join(".tools/bin")]);
    let found = folders.map(|folder| folder.join(tool)).find(|file| file.is_file());
    if found.is_none() {
        let why = format!("no {tool}; install it: tests/setup/install prometheus");
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{why}");
        eprintln!("SKIPPED: {why}");
    }
    found
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    let Some(promtool) = prometheus("promtool") else { return };
    let folder = Path::new(ROOT).join("examples/prometheus");
    for arguments in [
        &["check", "rules", "alerts.yaml"][..],
        &["check", "config", "prometheus.yaml"],
        &["test", "rules", "alerts.test.yaml"],
    ] {
        let output = Command::new(&promtool).args(arguments).current_dir(&folder).output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&told));
    }
    // Each of them is told of in README, and has both sorts of tests.
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
    let (rules, tests, readme) = (read("alerts.yaml"), read("alerts.test.yaml"), read("README.md"));
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 10);
    for alert in alerts {
        for name in [format!("name: {alert} fires\n"), format!("name: {alert} does not fire\n")] {
            assert!(tests.contains(&name), "no test has `{name}`");
        }
        assert!(readme.contains(&format!("| `{alert}` |")), "{alert}");
    }
}

/// A Prometheus that scrapes a gateway.
struct Scraper {
    address: String,
    _process: Process,
}

impl Scraper {
    fn start(binary: &Path, gateway: &Gateway) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("dashboard");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let config = fs::read_to_string(Path::new(ROOT).join("examples/prometheus/prometheus.yaml")).unwrap();
        let alerts = Path::new(ROOT).join("examples/prometheus/alerts.yaml");
        let config = config
            .replace("127.0.0.1:9901", &gateway.admin)
            .replace("scrape_interval: 15s", "scrape_interval: 1s")
            .replace("alerts.yaml", alerts.to_str().unwrap());
        fs::write(folder.join("prometheus.yaml"), config).unwrap();
        let address = free_address();
        let mut command = Command::new(binary);
        command.current_dir(&folder).arg("--config.file=prometheus.yaml").arg("--storage.tsdb.path=data");
        command.arg(format!("--web.listen-address={address}"));
        let mut process = Process::spawn(command);
        let url = format!("http://{address}/-/ready");
        process.wait_for("Prometheus to be ready", |_| ureq::get(&url).call().ok());
        Self { address, _process: process }
    }

    /// What a query comes to now: each series' labels and value.
    fn ask(&self, query: &str) -> Vec<(Value, f64)> {
        let body = ureq::get(&format!("http://{}/api/v1/query", self.address)).query("query", query).call();
        let body = body.unwrap_or_else(|error| panic!("{query}: {error}")).body_mut().read_to_string().unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        let series = body["data"]["result"].as_array().unwrap().iter();
        series.map(|series| (series["metric"].clone(), series["value"][1].as_str().unwrap().parse().unwrap())).collect()
    }

    /// All expressions of its alerts.
    fn alerts(&self) -> Vec<(String, String)> {
        let url = format!("http://{}/api/v1/rules", self.address);
        let body: Value =
            serde_json::from_str(&ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap()).unwrap();
        let rules = body["data"]["groups"][0]["rules"].as_array().unwrap().iter();
        let text = |rule: &Value, name: &str| rule[name].as_str().unwrap().to_owned();
        rules.map(|rule| (text(rule, "name"), text(rule, "query"))).collect()
    }
}

fn config(mock: &Mock) -> String {
    let at = &mock.address;
    let key = |key: &str| {
        use sha2::{Digest, Sha256};
        Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    format!(
        r#"
workers: 1
log: "off"
forward_headers: ["x-mock*"]
cooldown: 1s
auth_failures: 0
providers:
  openai: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/openai/v1" }}
  anthropic: {{ kind: anthropic, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/anthropic" }}
  gemini: {{ kind: gemini, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/gemini" }}
  own: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/own/v1" }}
  closed: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/closed/v1" }}
models:
  gpt-4o: {{ targets: [{{ provider: openai }}], fallbacks: [claude-sonnet-4-5] }}
  claude-sonnet-4-5: {{ targets: [{{ provider: anthropic }}] }}
  gemini-2.5-flash:
    targets: [{{ provider: gemini }}]
    mirror: {{ provider: openai, model: gpt-4o-mini, share: 50 }}
  closed: {{ targets: [{{ provider: closed, model: gpt-4o }}] }}
  in-house: {{ targets: [{{ provider: own, model: in-house }}] }}
keys:
  - {{ name: search, team: search, sha256: "{}" }}
  - {{ name: support, team: support, sha256: "{}" }}
  - {{ name: trial, team: trial, sha256: "{}", limits: [{{ requests: 1, per: minute }}] }}
"#,
        key("key-search"),
        key("key-support"),
        key("key-trial"),
    )
}

/// What clients ask: key, model, whether streamed, what the provider does.
const TRAFFIC: &[(&str, &str, bool, &str)] = &[
    ("key-search", "gpt-4o", false, "words=40&cached=3&first-byte=30"),
    ("key-search", "gpt-4o", true, "words=60&chunk-delay=4"),
    ("key-search", "gpt-4o", true, "words=20&chunk-delay=2&reasoning=thinking%20it%20over"),
    ("key-support", "claude-sonnet-4-5", true, "words=80&first-byte=60&chunk-delay=3"),
    ("key-support", "claude-sonnet-4-5", false, "words=30&cache-write=2"),
    ("key-support", "gemini-2.5-flash", false, "words=25"),
    ("key-search", "gemini-2.5-flash", true, "words=50&chunk-delay=1"),
    ("key-support", "in-house", false, "words=10"),
    ("key-search", "gpt-4o", false, "status=503"),
    ("key-support", "claude-sonnet-4-5", false, "status=529"),
    ("key-search", "claude-sonnet-4-5", true, "words=30&cut=9"),
    ("key-support", "closed", false, "status=401"),
    ("key-trial", "gpt-4o", false, "words=5"),
    ("key-nobody", "gpt-4o", false, ""),
];

/// Each of it once, and some of it more often from round to round, so that a picture has something to show.
fn send(gateway: &Gateway, round: usize) {
    let again = TRAFFIC.iter().cycle().skip(round / 8 % TRAFFIC.len()).take(round / 4 % 6);
    for (key, model, stream, directives) in TRAFFIC.iter().chain(again) {
        // `seed` has no word at Anthropic's.
        let body = json!({
            "model": model, "stream": stream, "seed": 7,
            "messages": [{ "role": "user", "content": "How do I get from here to the station by bicycle?" }],
        });
        let key = format!("Bearer {key}");
        post(gateway, "/v1/chat/completions", &[("authorization", &key), ("x-mock", directives)], &body);
    }
}

/// A query of the dashboard, as Grafana would send it.
fn filled(query: &str) -> String {
    let query = query.replace("$__rate_interval", "1m").replace("$__range", "5m");
    ["$team", "$model", "$provider"].iter().fold(query, |query, name| query.replace(name, ".*"))
}

#[test]
fn every_panel_and_every_alert_has_data() {
    let Some(binary) = prometheus("prometheus") else { return };
    let mock = Mock::start();
    let gateway = Gateway::start(&config(&mock));
    let scraper = Scraper::start(&binary, &gateway);
    let path = Path::new(ROOT).join("examples/grafana/model-gateway.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let queries: Vec<(String, String)> = panels
        .flat_map(|panel| {
            let targets = panel["targets"].as_array().into_iter().flatten();
            let title = panel["title"].as_str().unwrap();
            targets.map(move |target| (title.to_owned(), filled(target["expr"].as_str().unwrap())))
        })
        .collect();
    assert!(queries.len() >= 25);
    // Thresholds aside: what is held against them has to be there.
    let alerts = scraper.alerts().into_iter().map(|(name, query)| {
        let (query, _) = query.rsplit_once([' ', '\n']).and_then(|(query, _)| query.rsplit_once(' ')).unwrap();
        (name, query.replace(" > 10)", ")"))
    });
    let alerts: Vec<_> = alerts.collect();
    assert!(alerts.len() >= 10);

    // A counter's rate is of its second value on, so traffic goes on until all is there.
    let minutes: u64 = std::env::var("DASHBOARD_MINUTES").ok().and_then(|it| it.parse().ok()).unwrap_or(0);
    let (begin, mut round) = (Instant::now(), 0);
    poll("data in every panel", || {
        send(&gateway, round);
        round += 1;
        let is_there = |(_, query): &&(String, String)| {
            scraper.ask(query).iter().any(|(_, value)| value.is_finite() && *value > 0.0)
        };
        let all = queries.iter().chain(&alerts);
        let missing: Vec<_> = all.filter(|query| !is_there(query)).collect();
        eprintln!("without data: {missing:#?}");
        missing.is_empty().then_some(())
    });
    gateway.assert_sound();
    if std::env::var_os("UPDATE").is_none() {
        return;
    }
    while begin.elapsed() < Duration::from_secs(minutes * 60) {
        send(&gateway, round);
        round += 1;
    }
    let seconds = begin.elapsed().as_secs().to_string();
    let script = Path::new(ROOT).join("tests/dashboard/draw.py");
    let picture = Path::new(ROOT).join("examples/grafana/dashboard.png");
    let drawn = Command::new("python3").arg(script).arg(&path).arg(&scraper.address).arg(seconds).arg(picture).status();
    assert!(drawn.unwrap().success());
}
