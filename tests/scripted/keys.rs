//! Who may call, and what for.

use model_gateway::names;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::chat;
use super::envoy::{Outcome, Script, run_on};
use super::filters::{Filters, NOW, Records};
use super::wire::Kind;

pub fn hash(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The configuration of all cases, with keys.
pub fn config() -> Value {
    let mut config = chat::config();
    let key = |name: &str, more: Value| {
        let mut key = json!({"name": name, "sha256": hash(&format!("key-{name}"))});
        key.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        key
    };
    config["auth_failures"] = 3.into();
    config["keys"] = json!([
        key("all", json!({"team": "t"})),
        key("old", json!({"expires": "2023-11-14T22:13:20Z"})),
        key("fresh", json!({"expires": "2023-11-14T22:13:21Z"})),
        key("off", json!({"disabled": true})),
        key("some", json!({"models": ["o", "lab/*"], "endpoints": ["/v1/chat/*", "/v1/models*"]})),
        key("capped", json!({"max_tokens": 50, "n": 1})),
        key("bound", json!({"providers": ["anthropic*"]})),
    ]);
    config
}

fn bare(model: &str) -> Script {
    let script = Script::chat(model, false, false).answered([Kind::OpenAi.good(false)]);
    ["authorization", "x-api-key", "api-key", "x-goog-api-key"].iter().fold(script, |script, name| script.without(name))
}

fn told(outcome: &Outcome) -> (u16, String, String) {
    let error = &serde_json::from_str::<Value>(&outcome.body).unwrap()["error"];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (outcome.status, text("code"), text("message"))
}

pub fn check(filters: &mut dyn Filters) {
    let mut run = |script: &Script| run_on(filters, script, &Records::default());
    // However a client puts it.
    for (name, value) in [
        ("authorization", "Bearer key-all"),
        ("authorization", "bearer  key-all "),
        ("x-api-key", "key-all"),
        ("api-key", " key-all"),
        ("x-goog-api-key", "key-all"),
    ] {
        let outcome = run(&bare("o").with(name, value));
        assert_eq!(outcome.status, 200, "{name}: {}", outcome.body);
        assert_eq!((outcome.log(names::log::KEY), outcome.log(names::log::TEAM)), ("all", "t"));
        let headers = &outcome.sent[0].headers.0;
        assert!(headers.iter().all(|(_, sent)| !String::from_utf8_lossy(sent).contains("key-all")));
    }
    assert_eq!(NOW, 1_700_000_000, "2023-11-14T22:13:20Z");
    for (value, status, code, says) in [
        ("", 401, "invalid_api_key", "didn't provide"),
        ("Bearer", 401, "invalid_api_key", "`Bearer KEY`"),
        ("Basic key-all", 401, "invalid_api_key", "`Bearer KEY`"),
        ("Bearer key-ALL", 401, "invalid_api_key", "Incorrect"),
        ("Bearer key-all,Bearer key-all", 401, "invalid_api_key", "Incorrect"),
        ("Bearer \u{e9}", 401, "invalid_api_key", "Incorrect"),
        ("Bearer key-old", 401, "invalid_api_key", "expired"),
        ("Bearer key-off", 401, "invalid_api_key", "disabled"),
        ("Bearer key-fresh", 200, "", ""),
    ] {
        let outcome = run(&bare("o").with("authorization", value));
        if status == 200 {
            assert_eq!(outcome.status, 200, "{value}: {}", outcome.body);
            continue;
        }
        let (got, found, message) = told(&outcome);
        assert_eq!((got, found.as_str(), outcome.sent.len()), (status, code, 0), "{value}: {message}");
        assert!(message.contains(says) && !message.contains("key-"), "{value}: {message}");
    }
    // What it may not do.
    let some = |script: Script| script.with("authorization", "Bearer key-some");
    assert_eq!(run(&some(bare("o"))).status, 200);
    assert_eq!(run(&some(bare("lab/q"))).status, 200);
    assert_eq!(told(&run(&some(bare("a")))).1, "permission_denied");
    // A model that there is not is told no differently, so that names cannot be found out.
    assert_eq!(told(&run(&some(bare("none")))).0, 403);
    assert_eq!(told(&run(&some(bare("o").with(":path", "/v1/embeddings")))).0, 403);
    let list = Script { body: None, ..some(bare("o")).with(":method", "GET").with(":path", "/v1/models") };
    let models: Value = serde_json::from_str(&run(&list).body).unwrap();
    let models: Vec<_> = models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(models, ["lab/q", "o"]);
    let bound = |model: &str| bare(model).with("authorization", "Bearer key-bound");
    assert_eq!(told(&run(&bound("o"))).0, 403);
    let fell = run(&bound("o-a").answered([Kind::Anthropic.good(false)]));
    assert_eq!((fell.status, fell.sent[0].cluster.as_str()), (200, "anthropic-2"));
    check_caps(&mut run);
}

fn check_caps(run: &mut dyn FnMut(&Script) -> Outcome) {
    let mut capped = |more: &str| {
        let body = format!(r#"{{"model":"o","messages":[{{"role":"user","content":"x"}}]{more}}}"#);
        let script = Script::post(body).with("authorization", "Bearer key-capped");
        run(&script.answered([Kind::OpenAi.good(false)]))
    };
    for (more, sent) in [
        ("", r#""max_completion_tokens":50"#),
        (r#","max_tokens":null"#, r#""max_completion_tokens":50"#),
        (r#","max_tokens":50"#, r#""max_tokens":50"#),
        (r#","max_completion_tokens":7,"n":1"#, r#""max_completion_tokens":7"#),
    ] {
        let outcome = capped(more);
        assert_eq!(outcome.status, 200, "{more}: {}", outcome.body);
        let body = &outcome.sent[0].body;
        assert!(body.contains(sent) && body.matches("completion_tokens").count() <= 1, "{more}: {body}");
    }
    for more in [r#","max_tokens":51"#, r#","max_completion_tokens":1e9"#, r#","n":2"#, r#","max_tokens":-1"#] {
        let (status, _, message) = told(&capped(more));
        assert!(status == 400 && message.contains("at most"), "{more}: {message}");
    }
}

/// Who sends too many wrong keys is not heard any more.
pub fn check_failures(filters: &mut dyn Filters) {
    let records = Records::default();
    let mut ask = |key: &str| run_on(filters, &bare("o").with("x-api-key", key), &records);
    for _ in 0..3 {
        assert_eq!(ask("wrong").status, 401);
    }
    for key in ["wrong", "key-all"] {
        let outcome = ask(key);
        assert_eq!(told(&outcome).1, "too_many_wrong_keys");
        // 22:13:20: the minute has 40 seconds left.
        assert_eq!((outcome.status, outcome.headers.text("retry-after").as_deref()), (429, Some("40")));
    }
    // The address's, and that there were any this minute.
    assert_eq!(records.borrow().len(), 2);
}
