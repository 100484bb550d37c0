//! What a line and properties say, and that a line is JSON whatever is in it.

use serde_json::{Value, json};

use super::{Labels, Line, Properties, cut, fields};
use crate::chat::{ServiceTier, Usage};
use crate::config::Config;
use crate::error::Cause;
use crate::exchange::{Asked, Outcome, Record, Refusal, Step, Tried};
use crate::names::log;

fn config(log: Value) -> Config {
    let file = json!({
        "providers": {"a": {"kind": "openai"}, "b": {"kind": "anthropic"}},
        "models": {"m": {"targets": [{"provider": "a", "model": "x", "price": {"input": 2, "output": 10}}]}},
        "log": log,
    });
    Config::check(&serde_json::from_value(file).unwrap()).unwrap()
}

fn record(config: &Config) -> Record {
    let first = Tried {
        target: "a/x".into(),
        provider: "a".into(),
        began: 1000,
        ended: Some((1512, Err(Cause::Timeout))),
        ..Tried::default()
    };
    let usage = Usage { input: 9, cached: 4, cache_write_1h: 2, output: 3, ..Usage::default() };
    let last = Tried {
        target: "b/y".into(),
        provider: "b".into(),
        model: "nobody's".into(),
        began: 1512,
        first: Some(1700),
        ended: Some((1813, Ok(()))),
        usage: Some(Usage { tier: ServiceTier::Flex, ..usage }),
        dropped: vec!["seed".into(), "messages[].name".into()],
        finishes: ["length"].into_iter().collect(),
        ..Tried::default()
    };
    let asked = Asked {
        began: 990,
        stream: true,
        model: "m".into(),
        images: 2,
        passed: vec!["soft".into()],
        ..Asked::default()
    };
    Record::new(config, asked, vec![first, last], None, 1900)
}

/// `record`'s line as it stands in the log, but for what is Envoy's.
fn line(record: Option<&Record>, [id, method, path]: [&str; 3], labels: &[&str], details: &[u8]) -> Value {
    let mut all = Labels::default();
    labels.iter().for_each(|label| all.add(label, label));
    let begun = Line::begin(&config(json!("stdout")), |_| id.to_owned(), method, path);
    let line = String::from_utf8(begun.end(record, &all, |_| Some(details.to_vec())).unwrap()).unwrap();
    assert!(!line.contains(|character| character < ' '), "{line}");
    serde_json::from_str(&format!("{{\"details\":\"{line}\"}}")).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn a_record_tells_every_attempt_and_what_all_of_them_used() {
    let record = record(&config(json!("off")));
    let mut step = Step::go();
    fields(&record, &mut Properties { step: &mut step, read: log::ALL });
    let told: Vec<String> = step
        .properties
        .iter()
        .map(|(name, value)| format!("{}={}", name.trim_start_matches("gateway."), String::from_utf8_lossy(value)))
        .collect();
    let expected = "stream=true|outcome=ok|model=m|images=2|limit=soft|provider=b|target_model=nobody's|finish_reason=length|attempts=2|\
        attempt_log=a:timeout:512ms b:ok:301ms|dropped=seed, messages[].name|first_token_ms=710|input_tokens=9|\
        output_tokens=3|cached_tokens=4|cache_write_tokens=2|cache_write_1h_tokens=2|service_tier=flex|unpriced=true";
    assert_eq!(told.join("|"), expected);
    // A line has the same, but numbers are numbers.
    let line = line(Some(&record), ["7-7", "POST", "/v1/chat/completions?key=secret"], &["app"], b"of no matter");
    let mut expected = json!({
        "details": "", "request_id": "7-7", "method": "POST", "path": "/v1/chat/completions", "labels": {"app": "app"},
    });
    for (name, value) in &step.properties {
        let text = std::str::from_utf8(value).unwrap();
        let number = text.parse::<u64>().map(Value::from).or_else(|_| text.parse::<bool>().map(Value::from));
        expected[log::member(name)] = number.unwrap_or_else(|_| text.into());
    }
    assert_eq!(line, expected);
}

#[test]
fn long_names_are_cut_between_characters() {
    assert_eq!(cut(&"\u{1f980}".repeat(300)).len(), 1024);
    assert_eq!(cut(&format!("a{}", "\u{1f980}".repeat(300))).len(), 1021);
    assert_eq!(cut("short"), "short");
}

#[test]
fn a_line_is_json_whatever_clients_and_providers_send() {
    let all: String = (0..=0x7f_u8).map(char::from).chain(['\u{80}', '\u{2028}', '\u{fffd}', '\u{1f980}']).collect();
    let ends = ["\\", "\"", "\"}", "\u{0}", "%FILTER_STATE(a)%"];
    let long = format!("{}\u{1f980}", "\"".repeat(1022));
    for text in ends.into_iter().chain([&*all, &*long, &*"x".repeat(100_000)]) {
        let mut record = record(&config(json!("off")));
        let told = cut(text);
        record.asked.model = text.to_owned();
        (record.asked.rule, record.asked.mirror) = (Some(text.to_owned()), Some(text.to_owned()));
        record.asked.refused = Some(Refusal { cause: Cause::Limited, limit: Some(text.to_owned()) });
        record.attempts[1].tried.model = text.to_owned();
        record.attempts[1].tried.dropped = vec![text.to_owned()];
        record.outcome = Outcome::Refused;
        let path = told.split(['?', '#']).next().unwrap();
        let line = line(Some(&record), [text, "P\"", text], &[text, "app"], text.as_bytes());
        let members = ["details", "request_id", "model", "rule", "mirror", "limit", "target_model", "dropped"];
        assert!(members.iter().all(|name| line[name] == told), "{line}");
        assert_eq!((&line["method"], &line["path"], &line["attempts"]), (&json!("P\""), &json!(path), &json!(2)));
        assert_eq!(line["labels"]["app"], "app");
    }
    let line = line(None, ["", "GET", "/v1/models"], &[], b"\xff\"");
    assert_eq!(line, json!({"details": "\u{fffd}\"", "request_id": "", "method": "GET", "path": "/v1/models"}));
}

#[test]
fn nothing_is_written_that_nobody_reads() {
    let told = |log: Value, has_payload: bool| {
        let config = config(log);
        let (record, mut step) = (record(&config), Step::go());
        super::tell(&config, &record, has_payload, &mut step);
        let begun = Line::begin(&config, |_| String::new(), "GET", "/");
        (begun.end(None, &Labels::default(), |_| None).is_some(), step.properties.len(), super::reads_labels(&config))
    };
    assert_eq!(told(json!("off"), false), (false, 0, false));
    assert_eq!(told(json!(["stdout", "/log"]), false), (true, 0, false));
    assert_eq!(told(json!("/log"), true), (true, 3, false));
    assert_eq!(told(json!("properties"), true), (false, 19, true));
    assert_eq!(told(json!(["stdout", {"otlp": "http://c"}]), false), (true, 19, true));
}
