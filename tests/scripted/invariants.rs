//! What holds whatever was asked and answered.

use serde_json::Value;

use super::chat::{self, CLIENT_KEY, ENVIRONMENT};
use super::envoy::{Outcome, Script, Sent};
use super::filters::Headers;

/// Of a request that the gateway took for its own.
pub fn check(name: &str, script: &Script, outcome: &Outcome) {
    for sent in &outcome.sent {
        check_sent(name, sent);
    }
    let secrets = ENVIRONMENT.iter().map(|(_, secret)| *secret).chain([CLIENT_KEY]);
    for secret in secrets {
        assert!(!contains(&outcome.headers, secret) && !outcome.body.contains(secret), "{name}: {outcome:?}");
    }
    for header in ["x-gateway-retry", "x-gateway-target", "content-encoding"] {
        assert_eq!(outcome.headers.get(header), None, "{name}: {header}");
    }
    let length = outcome.headers.text("content-length");
    assert!(length.is_none_or(|length| length == outcome.body.len().to_string()), "{name}: {outcome:?}");
    assert!(outcome.reports <= 1, "{name}: usage reported {} times", outcome.reports);
    assert!(outcome.status != 200 || !outcome.body.is_empty() || outcome.cut, "{name}: an empty success");
    let media_type = outcome.headers.text("content-type").unwrap_or_default();
    if media_type.starts_with("text/event-stream") {
        check_stream(name, script, outcome);
    } else if outcome.status != 503 || media_type != "text/plain" {
        let body: Value = serde_json::from_str(&outcome.body).unwrap_or_else(|_| panic!("{name}: {outcome:?}"));
        assert_eq!(body["error"].is_object(), !(200..300).contains(&outcome.status), "{name}: {outcome:?}");
    }
}

/// What reached a provider is for it, and tells it nothing that it need not know.
fn check_sent(name: &str, sent: &Sent) {
    let provider = chat::provider(&sent.cluster);
    let header = |name: &str| sent.headers.text(name);
    assert_eq!(header(":authority").as_deref(), Some(provider.authority), "{name}");
    assert_eq!(header(":path").as_deref(), Some(provider.path), "{name}");
    assert_eq!(header(":method").as_deref(), Some("POST"), "{name}");
    assert_eq!(header("content-length"), Some(sent.body.len().to_string()), "{name}");
    assert_eq!(header("content-type").as_deref(), Some("application/json"), "{name}");
    assert_eq!(header("accept-encoding"), None, "{name}");
    let anthropic = provider.path.ends_with("/messages");
    assert_eq!(header("anthropic-version").is_some(), anthropic, "{name}");
    let credentials = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"];
    let carried: Vec<_> = credentials.iter().filter_map(|name| Some((*name, header(name)?))).collect();
    let own = provider.credential.map(|(name, value)| (name, value.to_owned()));
    assert_eq!(carried, own.into_iter().collect::<Vec<_>>(), "{name}");
    assert!(!contains(&sent.headers, CLIENT_KEY) && !sent.body.contains(CLIENT_KEY), "{name}: {sent:?}");
    let body: Value = serde_json::from_str(&sent.body).unwrap_or_else(|_| panic!("{name}: {sent:?}"));
    assert_eq!(body["model"], provider.model, "{name}: {sent:?}");
    if !anthropic && body["stream"] == true {
        assert_eq!(body["stream_options"]["include_usage"], true, "{name}: {sent:?}");
    }
}

/// A stream is for the model that was asked for, has its usage if that was asked for, and either an end or an error.
fn check_stream(name: &str, script: &Script, outcome: &Outcome) {
    let asked = script.body.as_ref().map(|body| body.concat()).unwrap_or_default();
    let asked: Value = serde_json::from_slice(&asked).unwrap();
    let wants_usage = asked["stream_options"]["include_usage"] == true;
    let (mut done, mut errors) = (0, 0);
    // A line ends with any of the three: <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>
    let body = outcome.body.replace("\r\n", "\n").replace('\r', "\n");
    for event in body.split_terminator("\n\n") {
        let data: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim).collect();
        let data = data.join("\n");
        assert_eq!(errors, 0, "{name}: something after an error: {}", outcome.body);
        match data.as_str() {
            "" => continue,
            "[DONE]" => done += 1,
            _ => {
                assert_eq!(done, 0, "{name}: something after the end: {}", outcome.body);
                let chunk: Value = serde_json::from_str(&data).unwrap_or_else(|_| panic!("{name}: {data}"));
                // One that says nothing is none, to official clients either.
                errors += usize::from(chunk["error"].as_object().is_some_and(|error| !error.is_empty()));
                assert!(chunk["model"].is_null() || chunk["model"] == asked["model"], "{name}: {chunk}");
                assert!(wants_usage || chunk["usage"].is_null(), "{name}: {chunk}");
            }
        }
    }
    let ends = done + errors;
    assert!(ends == 1 || ends == 0 && outcome.cut, "{name}: {ends} ends in {}", outcome.body);
    assert!(outcome.cut || outcome.body.ends_with("\n\n"), "{name}: {}", outcome.body);
}

fn contains(headers: &Headers, secret: &str) -> bool {
    headers.0.iter().any(|(_, value)| String::from_utf8_lossy(value).contains(secret))
}
