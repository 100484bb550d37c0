//! What the gateway answers itself, and what it leaves alone.

use model_gateway::names;
use serde_json::{Value, json};

use super::chat::CLIENT_KEY;
use super::envoy::{Answer, End, Script, run};
use super::filters::{Filters, Headers, NOW};

/// A request that no provider gets.
pub struct Refusal {
    pub name: &'static str,
    pub script: Script,
    pub status: u16,
    pub code: Option<&'static str>,
    pub param: Option<&'static str>,
    /// In the message.
    pub says: &'static str,
}

/// Every refusal.
pub fn refusals() -> Vec<Refusal> {
    let row = |name, script, status, code, param, says| Refusal { name, script, status, code, param, says };
    let bad = |body: &str, param, says| row("bad request", Script::post(body), 400, None, param, says);
    let fine = || Script::chat("o", false, false);
    let models = |method: &str, path: &str| Script { body: None, ..fine().with(":method", method).with(":path", path) };
    let mut rows = vec![
        row("unknown model", Script::chat("none", true, true), 404, Some("model_not_found"), Some("model"), "'none'"),
        row("model of a list", models("GET", "/v1/models/none"), 404, Some("model_not_found"), Some("model"), "'none'"),
        bad("{}", Some("model"), "provide a model"),
        bad(r#"{"model":null,"messages":[{}]}"#, Some("model"), "a string"),
        bad(r#"{"model":["o"],"messages":[{}]}"#, Some("model"), "a string"),
        bad(r#"{"model":"o"}"#, Some("messages"), "Missing"),
        bad(r#"{"model":"o","messages":"hi"}"#, Some("messages"), "an array"),
        bad(r#"{"model":"o","messages":[]}"#, Some("messages"), "empty"),
        bad(r#"{"model":"o","messages":[1]}"#, Some("messages[0]"), "an object"),
        bad(r#"{"model":"o","messages":[{}],"stream":1}"#, Some("stream"), "a boolean"),
        bad(r#"{"model":"o","messages":[{}],"model":"a"}"#, Some("model"), "Duplicate"),
        bad(r#"{"model":"o","messages":[{}],"\u006dodel":"a"}"#, Some("model"), "Duplicate"),
        bad(r#"["model"]"#, None, "JSON object"),
        bad(r#"{"model":"o","messages":["#, None, "parse"),
        bad(r#"{"model":"o","messages":[{}]} x"#, None, "parse"),
        bad("", None, "parse"),
        bad(&"[".repeat(10_000), None, "parse"),
        bad(&format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000)), None, "parse"),
        bad(r#"{"model":"a","messages":[{"role":"user","content":"x"}],"n":2}"#, Some("n"), "one answer"),
        row("not UTF-8", Script::post(*b"{\"model\":\"\xff\"}"), 400, None, None, "parse"),
        row("no body", Script { body: None, ..fine() }, 400, None, None, "no body"),
        row("trailers only", Script { body: None, end: End::Trailers, ..fine() }, 400, None, None, "parse"),
        row("an empty body", Script { body: Some(Vec::new()), ..fine() }, 400, None, None, "parse"),
        row(
            "a role",
            Script::post(r#"{"model":"a","messages":[{"role":"wizard","content":"x"}]}"#),
            400,
            Some("invalid_value"),
            Some("messages[0].role"),
            "'wizard'",
        ),
        row(
            "strict",
            Script::post(r#"{"model":"strict","messages":[{"role":"user","content":"x"}],"frequency_penalty":1.5}"#),
            400,
            Some("unsupported_parameter"),
            Some("frequency_penalty"),
            "not supported",
        ),
    ];
    for method in ["GET", "PUT", "DELETE", "HEAD", "get"] {
        let script = Script { body: None, ..fine().with(":method", method) };
        rows.push(row("method", script, 405, Some("method_not_supported"), None, "POST"));
    }
    rows.push(row("method", models("POST", "/v1/models"), 405, Some("method_not_supported"), None, "GET"));
    for media_type in [&b"text/plain"[..], b"", b"multipart/form-data; boundary=x", b"application/jsonl", b"\xff\xfe"] {
        let script = fine().with("content-type", media_type);
        rows.push(row("media type", script, 415, Some("unsupported_media_type"), None, "application/json"));
    }
    let large = || Some("request_too_large");
    let piece = vec![b' '; (40 << 20) / 4 + 1];
    let pieces = Script { body: Some(vec![piece; 4]), ..fine().without("content-length") };
    rows.push(row("length", fine().with("content-length", "41943041"), 413, large(), None, "41943040"));
    rows.push(row("length", fine().with("content-length", "18446744073709551615"), 413, large(), None, "41943040"));
    rows.push(row("growth", pieces, 413, large(), None, "41943040"));
    rows
}

pub fn check(filters: &mut dyn Filters, refusal: &Refusal) {
    let Refusal { name, script, status, code, param, says } = refusal;
    let outcome = run(filters, script);
    let name = format!("{name}, {says}: {} {}", outcome.status, outcome.body);
    let body: Value = serde_json::from_str(&outcome.body).unwrap_or_else(|_| panic!("{name}"));
    let error = &body["error"];
    assert_eq!((outcome.status, error["code"].as_str(), error["param"].as_str()), (*status, *code, *param), "{name}");
    assert_eq!(error["type"], "invalid_request_error", "{name}");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains(says) && !message.is_empty() && message.len() < 300, "{name}");
    let header = |name: &str| outcome.headers.text(name);
    assert_eq!(header("content-type").as_deref(), Some("application/json"), "{name}");
    assert_eq!(header("x-should-retry").as_deref(), Some("false"), "{name}");
    assert_ne!(outcome.log(names::log::ERROR), "", "{name}");
    assert!(outcome.sent.is_empty() && !outcome.body.contains(CLIENT_KEY), "{name}");
}

/// The lists of models.
pub fn check_models(filters: &mut dyn Filters) {
    let mut get = |path: &str| {
        let script = Script { body: None, ..Script::post("").with(":method", "GET").with(":path", path) };
        let outcome = run(filters, &script);
        assert_eq!((outcome.status, outcome.sent.len()), (200, 0), "{path}");
        assert_eq!(outcome.headers.text("content-type").as_deref(), Some("application/json"));
        serde_json::from_str::<Value>(&outcome.body).unwrap()
    };
    let model = |name: &str| json!({"id": name, "object": "model", "created": NOW, "owned_by": "model-gateway"});
    let names = ["a", "a-a", "a-o", "a2", "edited", "edited-a", "lab/q", "o", "o-a", "o-o", "o2", "strict"];
    assert_eq!(get("/v1/models"), json!({"object": "list", "data": names.map(model)}));
    assert_eq!(get("/v1/models?limit=1"), get("/v1/models"));
    for (path, name) in [("o", "o"), ("lab/q", "lab/q"), ("lab%2Fq", "lab/q"), ("lab%2fq?x", "lab/q")] {
        assert_eq!(get(&format!("/v1/models/{path}")), model(name));
    }
}

/// What is not the gateway's passes as it came, both ways, whatever it is: headers, bodies, ends.
pub fn check_others(filters: &mut dyn Filters, root: &'static str) {
    let answer = |status: &str, body: Option<&str>, end| Answer {
        headers: Some(Headers::of(&[(":status", status.as_bytes()), ("x-odd", b"\xff\xfe"), ("set-cookie", b"a")])),
        body: body.map(|body| body.as_bytes().chunks(3).map(<[u8]>::to_vec).collect()),
        end,
    };
    for path in ["/", "/v1/chat", "/v1/chat/completions/x", "/v1/images/generations", "/upload", "*", "/v1/modelsx"] {
        for (method, body) in [("POST", Some("not JSON \u{1f980}")), ("GET", None), ("PUT", Some(""))] {
            for answer in [
                answer("200", Some("data: {\"error\":1}\n\n"), End::Last),
                answer("500", None, End::Last),
                answer("404", Some("no"), End::Empty),
                answer("200", Some("tail"), End::Trailers),
            ] {
                let body = body.map(|body| body.as_bytes().chunks(4).map(<[u8]>::to_vec).collect());
                let end = answer.end;
                let script = Script { root, body, end, route: Some("openai"), ..Script::post("") };
                let script =
                    script.with(":path", path).with(":method", method).with("x-odd", b"\xff").answered([answer]);
                let outcome = run(filters, &script);
                let [sent] = &outcome.sent[..] else { panic!("{path}: {outcome:?}") };
                assert_eq!(sent.headers, script.headers, "{path}");
                assert_eq!(sent.body.as_bytes(), script.body.as_ref().map(|body| body.concat()).unwrap_or_default());
                assert_eq!(Some(&outcome.headers), script.answers[0].headers.as_ref(), "{path}");
                let body = script.answers[0].body.as_ref().map(|body| body.concat()).unwrap_or_default();
                assert_eq!(outcome.body.as_bytes(), body, "{path}");
                assert!(outcome.log.iter().all(|(_, value)| value.is_empty()), "{path}: {outcome:?}");
            }
        }
    }
}
