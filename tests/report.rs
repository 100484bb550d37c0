//! `model-gateway report`: the real executable over logs that were written for it, and over one that the real Envoy wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use support::{Gateway, Mock, chat, poll};

/// A folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("report").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn log(test: &str, name: &str, bytes: &[u8]) -> String {
    let path = folder(test).join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_model-gateway"));
    command.arg("report").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn report(arguments: &[&str]) -> String {
    let output = run(arguments, b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(arguments: &[&str]) -> Value {
    serde_json::from_str(&report(&[arguments, &["--format", "json"]].concat())).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Lines of before and after there was `outcome`, numbers as texts and bare, and what is none of ours.
const LOG: &str = r#"[2026-11-22 03:46:49.815][24629][warning][main] caught ENVOY_SIGTERM
{"time":"2026-11-01T00:00:00.000Z","endpoint":"chat_completions","status":200,"team":"search","model":"gpt-4o","provider":"openai","target_model":"gpt-4o","attempts":"1","input_tokens":"1000","output_tokens":"100","cost_usd":"0.0035"}
{"time":"2026-11-02T10:00:00.000Z","endpoint":"chat_completions","status":200,"team":"search","model":"gpt-4o","provider":"openai","target_model":"gpt-4o","attempts":1,"input_tokens":2000,"cached_tokens":1000,"output_tokens":10,"reasoning_tokens":4,"cost_usd":0.00385,"outcome":"ok","estimated":"true","labels":{"app":"a,\"b\""}}
{"time":"2026-11-02T11:59:59.999Z","endpoint":"chat_completions","status":200,"team":"trial","model":"claude","provider":"anthropic","target_model":"claude-sonnet-4-5","attempts":"2","input_tokens":"3000","cached_tokens":"1000","cache_write_tokens":"1000","output_tokens":"0","cost_usd":"0.00705","outcome":"broken","user":"=cmd()","attempt_log":"openai:timeout:512ms anthropic:ok:301ms"}
{"time":"2026-11-30T23:59:59.999Z","endpoint":"embeddings","status":200,"model":"own","provider":"vllm","target_model":"own","attempts":"1","input_tokens":"7","output_tokens":"0"}
{"time":"2026-11-30T23:59:59.999Z","endpoint":"chat_completions","status":429,"team":"trial","error":"rate_limited","model":"gpt-4o"}
{"time":"2026-12-01T00:00:00.000Z","endpoint":"chat_completions","status":200,"team":"search","model":"gpt-4o","provider":"openai","target_model":"gpt-4o","attempts":"1","input_tokens":"1","output_tokens":"1","cost_usd":"0.000000000001"}
{"time":"2026-11-22T03:46:47.596Z","endpoint":"models","status":200}
{"time":"2026-11-22T03:46:47.596Z","endpoint":"chat_completions","status":200,"input_tokens":"lots"}

{"time":"2026-11-22T03:46:47.596Z","endpoint":"chat_compl"#;

#[test]
fn sums_are_exact() {
    let log = log("sums", "log", LOG.as_bytes());
    let expected = "\
team,model,requests,errors,input_tokens,cached_tokens,cache_write_tokens,output_tokens,reasoning_tokens,cost_usd,cache_savings_usd,cache_writes_usd,estimated_requests,estimated_usd,unpriced_requests\r
search,gpt-4o,2,0,3000,1000,0,110,4,0.00735,0.00125,0,1,0.00385,0\r
trial,claude,1,1,3000,1000,1000,0,0,0.00705,0.0027,0.00075,0,0,0\r
,own,1,0,7,0,0,0,0,,0,0,0,0,1\r
trial,gpt-4o,1,1,0,0,0,0,0,0,0,0,0,0,0\r
";
    assert_eq!(report(&[&log, "--by", "team,model", "--month", "2026-11", "--format", "csv"]), expected);
    let november = json_of(&[&log, "--month", "2026-11"]);
    assert_eq!(november["lines"], json!({"requests": 5, "outside": 1, "other": 1, "foreign": 3}));
    assert_eq!(november["total"]["cost_usd"], "0.0144");
    assert_eq!(november["total"]["unpriced_requests"], 1);
    assert_eq!(json_of(&[&log])["total"]["cost_usd"], "0.014400000001");
}

#[test]
fn the_table_is_for_people() {
    let log = log("table", "log", LOG.as_bytes());
    let expected = "\
From 2026-11-01 00:00 to 2026-12-01 00:00 (UTC)

model   requests  errors  input  cached  output  reasoning  cost USD  saved by caches  estimated  unpriced
------  --------  ------  -----  ------  ------  ---------  --------  ---------------  ---------  --------
gpt-4o         4       1  3,001   1,000     111          4    0.0074           0.0013      52.4%         -
claude         1       1  3,000   1,000       -          -    0.0071           0.0027          -         -
own            1       -      7       -       -          -   unknown           0.0000          -         1
------  --------  ------  -----  ------  ------  ---------  --------  ---------------  ---------  --------
total          6       2  6,008   2,000     111          4   ≥0.0144           0.0040      26.7%         1

Requests whose price is not known: 1. What they cost is in no sum; give it as the `price` of their targets.
Requests whose tokens are partly estimated, since a provider did not tell them: 1, for 0.0039 USD.
Writing to caches cost 0.0008 USD more than the same tokens without caches.
Lines of requests that were for no model: 1.
Lines that are not of the gateway's access log, and left out: 3.
";
    assert_eq!(report(&[&log]), expected);
}

#[test]
fn requests_are_told_apart_by_every_dimension() {
    let log = log("dimensions", "log", LOG.as_bytes());
    for (by, expected) in [
        ("key", &[json!(null)][..]),
        ("provider", &[json!("openai"), json!("anthropic"), json!(null), json!("vllm")]),
        ("target_model", &[json!("gpt-4o"), json!("claude-sonnet-4-5"), json!(null), json!("own")]),
        ("operation", &[json!("chat"), json!("embeddings")]),
        ("outcome", &[json!("ok"), json!("broken"), json!("refused")]),
        ("error", &[json!(null), json!("rate_limited")]),
        ("rule", &[json!(null)]),
        ("user", &[json!(null), json!("=cmd()")]),
        ("label:app", &[json!(null), json!("a,\"b\"")]),
        ("month", &[json!("2026-11"), json!("2026-12")]),
        ("day", &[json!("2026-11-01"), json!("2026-11-02"), json!("2026-11-30"), json!("2026-12-01")]),
        (
            "hour",
            &[
                json!("2026-11-01T00"),
                json!("2026-11-02T10"),
                json!("2026-11-02T11"),
                json!("2026-11-30T23"),
                json!("2026-12-01T00"),
            ],
        ),
    ] {
        let rows = json_of(&[&log, "--by", by])["rows"].as_array().unwrap().clone();
        assert_eq!(rows.iter().map(|row| row[by].clone()).collect::<Vec<_>>(), expected, "{by}");
        assert_eq!(rows.iter().map(|row| row["requests"].as_u64().unwrap()).sum::<u64>(), 6, "{by}");
    }
    let text = report(&[&log, "--by", "team,day", "--top", "2"]);
    assert!(text.contains("(4 others)  (4 others)         4       1"), "{text}");
    // Spreadsheets take a name for what it is.
    let csv = report(&[&log, "--by", "user,label:app", "--format", "csv"]);
    assert!(csv.contains("\n\"'=cmd()\",,1,") && csv.contains("\n,\"a,\"\"b\"\"\",1,"), "{csv}");
}

#[test]
fn logs_may_be_several_or_compressed_or_piped() {
    let once = json_of(&[&log("logs", "plain", LOG.as_bytes())]);
    // Files that were compressed one by one and put together are one file.
    let (first, second) = LOG.as_bytes().split_at(LOG.find("{\"time\":\"2026-11-30").unwrap());
    let members = log("logs", "members.gz", &[gzip(first), gzip(second)].concat());
    assert_eq!(json_of(&[&members]), once);
    let (first, second) = (log("logs", "first", first), log("logs", "second.gz", &gzip(second)));
    assert_eq!(json_of(&[&second, &first]), once);
    for input in [LOG.as_bytes(), &gzip(LOG.as_bytes())] {
        let output = run(&["-", "--format", "json"], input);
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), once);
    }
    // More than what is read at once, so that lines are cut and threads share a file.
    let many = log("logs", "many", LOG.repeat(3000).replace("chat_compl[", "chat_compl\n[").as_bytes());
    let total = |of: &Value| of["total"]["cost_usd"].as_str().unwrap().to_owned();
    assert_eq!(total(&once), "0.014400000001");
    assert_eq!(total(&json_of(&[&many, &many, &members])), "86.414400006001");
}

#[test]
fn times_can_be_chosen() {
    let log = log("times", "log", LOG.as_bytes());
    for (arguments, requests) in [
        (&["--from", "2026-11-02", "--to", "2026-11-03"][..], 2),
        (&["--from", "2026-11-02T11:00:00+01:00"], 5),
        (&["--to", "2026-11-02T11:59:59Z"], 2),
        (&["--month", "2026-12"], 1),
        (&["--month", "2027-01"], 0),
    ] {
        let report = json_of(&[&[log.as_str()], arguments].concat());
        assert_eq!(report["total"]["requests"], requests, "{arguments:?}");
        assert_eq!(report["lines"]["outside"], 6 - requests, "{arguments:?}");
    }
}

#[test]
fn advice_says_what_could_be_had_for_less() {
    let line = |provider: &str, model: &str, input: u64, cost: &str, attempts: &str| {
        let log = if attempts == "2" { "groq:rate_limited:3ms x:ok:1ms" } else { "x:ok:1ms" };
        format!(
            r#"{{"time":"2026-11-22T03:00:00.000Z","endpoint":"chat_completions","status":200,"model":"asked-{model}","provider":"{provider}","target_model":"{model}","attempts":"{attempts}","attempt_log":"{log}","input_tokens":"{input}","output_tokens":"100","cost_usd":"{cost}"}}"#
        ) + "\n"
    };
    let mut text = String::new();
    for number in 0..20 {
        // 100 of input and 100 of output cost 0.00125, and 0.000075 on the small one.
        text += &line("openai", "gpt-4o", 100, "0.00125", "1");
        text += &line("openai", "gpt-4o-mini", 100, "0.000075", if number < 12 { "2" } else { "1" });
        text += &line("anthropic", "claude-sonnet-4-5", 2000, "0.0075", "1");
    }
    let log = log("advice", "log", text.as_bytes());
    let of = |arguments: &[&str]| {
        let report = json_of(&[&[log.as_str()], arguments].concat());
        let advice = report["advice"].as_array().unwrap().iter();
        advice
            .map(|advice| {
                let text = |name: &str| advice[name].as_str().unwrap_or_default().to_owned();
                (text("kind"), text("subject"), text("saves_usd"), text("text"))
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&[]), []);
    let advice = of(&["--advice"]);
    let named: Vec<_> =
        advice.iter().map(|(kind, of, saves, _)| (kind.as_str(), of.as_str(), saves.as_str())).collect();
    assert_eq!(
        named,
        [
            ("short_prompts", "openai/gpt-4o", "0.0235"),
            ("failing_over", "asked-gpt-4o-mini", ""),
            // A tenth of 40,000 tokens at 0.30 rather than at 3.00 a million.
            ("caching", "anthropic/claude-sonnet-4-5", "0.0108"),
        ]
    );
    assert!(advice[1].3.starts_with("60.0% of 20 requests"), "{}", advice[1].3);
    assert!(advice[1].3.contains("groq with rate_limited (12)"), "{}", advice[1].3);

    for of_name in ["gpt-4o", "openai/gpt-4o", "asked-gpt-4o"] {
        let advice = of(&["--instead-of", of_name, "--use", "gpt-4o-mini"]);
        assert_eq!((advice[0].0.as_str(), advice[0].2.as_str()), ("instead", "0.0235"), "{of_name}");
        assert_eq!(advice[1].0, "short_prompts");
    }
    // What costs more is said too, and a model at another provider has to be told with it.
    let advice = of(&["--instead-of", "gpt-4o-mini", "--use", "anthropic/claude-sonnet-4-5"]);
    assert_eq!(advice[0].2, "-0.0345");
    assert!(advice[0].3.ends_with("would have cost 0.0360: 0.0345 more."), "{}", advice[0].3);
    let advice = of(&["--instead-of", "gpt-4o-mini", "--use", "claude-sonnet-4-5"]);
    assert!(advice[0].3.contains("Left out: 20,"), "{}", advice[0].3);
}

#[test]
fn prices_are_those_of_the_operators_file() {
    let config = "providers: { eu: { kind: openai } }\nmodels: { m: { targets: [{ provider: eu, model: gpt-4o, price: { input: 10, cached: 1 } }] } }\n";
    let config = log("config", "gateway.yaml", config.as_bytes());
    let line = r#"{"time":"2026-11-22T03:00:00.000Z","endpoint":"chat_completions","status":200,"model":"m","provider":"eu","target_model":"gpt-4o","input_tokens":"1000","cached_tokens":"1000","cost_usd":"0.001"}"#;
    let log = log("config", "log", line.as_bytes());
    let without = json_of(&[&log]);
    assert_eq!(without["total"]["cache_savings_usd"], "0");
    assert!(without["notes"][0].as_str().unwrap().contains("--config FILE"), "{}", without["notes"]);
    assert_eq!(json_of(&[&log, "--config", &config])["total"]["cache_savings_usd"], "0.009");
    assert_eq!(json_of(&[&log, "--config", &config])["notes"], json!([]));
}

#[test]
fn the_page_needs_nothing_else_and_believes_nothing() {
    let lines = LOG.replace("\"own\"", "\"<script>alert(1)</script>\"") + "\n";
    let log = log("page", "log", lines.as_bytes());
    let page = report(&[&log, "--by", "model,day", "--advice", "--format", "html"]);
    for word in ["<script", "http:", "https:", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(word), "{word} in\n{page}");
    }
    for word in
        ["prefers-color-scheme: dark", "@media print", "&lt;script&gt;alert(1)", "≥0.0144", "<tfoot>", "unknown"]
    {
        assert!(page.contains(word), "no {word} in\n{page}");
    }
}

#[test]
fn mistakes_are_told() {
    let good = log("mistakes", "log", LOG.as_bytes());
    let cut = gzip(LOG.as_bytes());
    let cut = log("mistakes", "cut.gz", &cut[..cut.len() / 2]);
    for (arguments, told) in [
        (&["nowhere.log"][..], "nowhere.log: cannot be read: No such file"),
        (&[&cut], "cut.gz: cannot be read"),
        (&[], "<LOGFILE>..."),
        (&[&good, "--by", "taem"], "unknown dimension `taem`; did you mean `team`?"),
        (&[&good, "--by", "label:"], "unknown dimension `label:`"),
        (&[&good, "--month", "2026-13"], "expected a month such as `2026-11`"),
        (&[&good, "--from", "yesterday"], "expected a date such as"),
        (&[&good, "--month", "2026-11", "--to", "2026-11-03"], "cannot be used with"),
        (&[&good, "--use", "gpt-4o"], "--instead-of"),
        (&[&good, "--instead-of", "a", "--use", "gpt-nothing"], "no price is known of `gpt-nothing`"),
        (&[&good, "--instead-of", "a", "--use", "anthropic/gpt-4o"], "there are: "),
        (&[&good, "--config", "nowhere.yaml"], "nowhere.yaml"),
    ] {
        let output = run(arguments, b"");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(told), "expected {told}: {error}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn what_envoy_wrote_adds_up_to_what_the_mock_told() {
    let mock = Mock::start();
    let log = folder("envoy").join("log");
    let _ = fs::remove_file(&log);
    let (at, path) = (&mock.address, log.to_str().unwrap());
    let gateway = Gateway::start(&format!(
        r#"
workers: 1
forward_headers: ["x-mock*"]
log: "{path}"
providers:
  openai: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/openai/v1" }}
  anthropic: {{ kind: anthropic, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/anthropic" }}
  own: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/own/v1" }}
models:
  gpt-4o: {{ targets: [{{ provider: openai }}], fallbacks: [claude] }}
  claude: {{ targets: [{{ provider: anthropic, model: claude-sonnet-4-5 }}] }}
  own: {{ targets: [{{ provider: own }}] }}
"#
    ));
    let ask = |model: &str, stream: bool, directive: &str| {
        let body =
            json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "good day to you"}]});
        chat(&gateway, &[("x-mock-openai", directive)], &body).status
    };
    let mut asked = 0;
    for stream in [false, true] {
        for (model, directive, status) in [
            ("gpt-4o", "words=20", 200),
            ("gpt-4o", "status=503", 200),
            ("gpt-4o", "status=400", 400),
            ("claude", "words=1", 200),
            ("own", "words=1", 200),
            ("nobody", "words=1", 404),
        ] {
            assert_eq!(ask(model, stream, directive), status, "{model} {directive}");
            asked += 1;
        }
    }
    poll("the log", || (fs::read_to_string(&log).ok()?.matches("chat_completions\"").count() >= asked).then_some(()));
    let report = json_of(&[path, "--by", "model,provider"]);

    // In 10⁻¹² USD a token, of input and output.
    let prices = [("openai", 2_500_000, 10_000_000), ("anthropic", 3_000_000, 15_000_000)];
    let (mut input, mut output, mut cost) = (0, 0, 0);
    for row in mock.rows() {
        let tokens = |name: &str| row["usage"][name].as_u64().unwrap_or(0);
        input += tokens("input_tokens");
        output += tokens("output_tokens");
        let site = row["site"].as_str().unwrap_or_default();
        for (_, input_price, output_price) in prices.iter().filter(|(name, _, _)| *name == site) {
            cost += tokens("input_tokens") * input_price + tokens("output_tokens") * output_price;
        }
    }
    let total = &report["total"];
    assert!(input > 0 && output > 0 && cost > 0, "{:?}", mock.rows());
    assert_eq!((total["requests"].as_u64(), total["errors"].as_u64()), (Some(asked as u64), Some(4)), "{report}");
    assert_eq!((&total["input_tokens"], &total["output_tokens"]), (&json!(input), &json!(output)), "{report}");
    assert_eq!(total["cost_usd"], json!(model_gateway::price::pico_usd(cost).to_string()), "{report}");
    assert_eq!(total["unpriced_requests"], 2, "{report}");
    let own = report["rows"].as_array().unwrap().iter().find(|row| row["model"] == "own").unwrap();
    assert_eq!((&own["cost_usd"], &own["unpriced_requests"]), (&Value::Null, &json!(2)));
    // Those are lines of the gateway's too, if for no model: asking whether it serves.
    assert!(report["lines"]["other"].as_u64().unwrap() >= 1 && report["lines"]["foreign"] == 0, "{}", report["lines"]);
    gateway.assert_sound();
}
