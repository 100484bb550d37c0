//! The page: who gets what of it, and what its data say of requests that went through.

use serde_json::{Value, json};

use crate::native::Native;
use crate::scripted::chat::ENVIRONMENT;
use crate::scripted::envoy::{End, Outcome, Script, run_on};
use crate::scripted::filters::Records;
use crate::scripted::keys;
use crate::scripted::wire::{Kind, events, json as answer, reset};

fn config() -> Value {
    let key = |name: &str, more: Value| {
        let mut key = json!({"name": name, "sha256": keys::hash(&format!("key-{name}"))});
        key.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        key
    };
    let mut config = keys::config();
    config["cooldown"] = "30s".into();
    config["breaker"] = json!({"failures": 1});
    config["page"] = json!({"path": "/ops/live"});
    config["keys"] = json!([
        key(
            "user",
            json!({"team": "t", "limits": [{"tokens": 1000, "per": "day"}, {"requests": 8, "per": "hour", "soft": true}]})
        ),
        key("admin", json!({"role": "admin"})),
        key("off", json!({"role": "admin", "disabled": true})),
        key("bound", json!({"role": "admin", "endpoints": ["/v1/*"]})),
    ]);
    config["limits"] =
        json!([{"usd": 5, "per": "month", "by": ["team", "model"]}, {"requests": 9, "per": "day", "by": ["user"]}]);
    config
}

fn without_key(script: Script) -> Script {
    ["authorization", "x-api-key", "api-key", "x-goog-api-key"].iter().fold(script, |script, name| script.without(name))
}

fn get(path: &str, key: &str) -> Script {
    let script = without_key(Script { body: None, ..Script::post("") }).with(":method", "GET").with(":path", path);
    if key.is_empty() { script } else { script.with("authorization", format!("Bearer {key}")) }
}

fn ask(filters: &mut Native, path: &str, key: &str) -> Outcome {
    run_on(filters, &get(path, key), &Records::default())
}

#[test]
fn the_page_is_for_everyone_and_says_nothing() {
    let mut filters = Native::new(&config(), ENVIRONMENT);
    for path in ["/ops/live", "/ops/live/", "/ops/live?from=a-bookmark"] {
        let outcome = ask(&mut filters, path, "");
        assert_eq!((outcome.status, outcome.sent.len()), (200, 0), "{path}");
        let header = |name: &str| outcome.headers.text(name).unwrap_or_default();
        assert_eq!(header("content-type"), "text/html; charset=utf-8");
        assert_eq!(header("cache-control"), "no-store");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
        assert!(outcome.body.starts_with("<!doctype html>") && !outcome.body.contains("gpt-up"));
    }
}

#[test]
fn its_data_are_for_keys_with_the_role_admin() {
    let mut filters = Native::new(&config(), ENVIRONMENT);
    for (key, status, code) in [
        ("", 401, "invalid_api_key"),
        ("wrong", 401, "invalid_api_key"),
        ("key-off", 401, "invalid_api_key"),
        ("key-user", 403, "permission_denied"),
        ("key-bound", 403, "permission_denied"),
        ("key-admin", 200, ""),
    ] {
        let outcome = ask(&mut filters, "/ops/live/status.json", key);
        let body: Value = serde_json::from_str(&outcome.body).unwrap();
        assert_eq!((outcome.status, body["error"]["code"].as_str().unwrap_or_default()), (status, code), "{key}");
        assert_eq!(body["minutes"].is_array(), status == 200, "{key}");
        assert_eq!(outcome.headers.text("content-type").as_deref(), Some("application/json"));
    }
    let told = |outcome: Outcome| outcome.status;
    assert_eq!(told(ask(&mut filters, "/ops/live/status", "key-admin")), 404);
    let post = get("/ops/live/status.json", "key-admin").with(":method", "POST");
    assert_eq!(told(run_on(&mut filters, &post, &Records::default())), 405);
}

#[test]
fn where_there_is_no_page_its_path_is_nobodys_and_nothing_is_counted() {
    let mut config = config();
    config.as_object_mut().unwrap().remove("page");
    let mut filters = Native::new(&config, ENVIRONMENT);
    let script = Script { route: Some("openai"), ..get("/gateway/status.json", "key-admin") };
    let outcome = run_on(&mut filters, &script.answered([answer(200, "{}")]), &Records::default());
    assert_eq!((outcome.sent.len(), outcome.body.as_str()), (1, "{}"));
    let records = Records::default();
    let script = without_key(Script::chat("o", false, false)).with("x-api-key", "key-admin");
    assert_eq!(run_on(&mut filters, &script.answered([Kind::OpenAi.good(false)]), &records).status, 200);
    assert!(records.borrow().keys().all(|key| !key.starts_with("live ")), "{:?}", records.borrow().keys());
}

#[test]
fn its_data_are_what_went_through() {
    let mut filters = Native::new(&config(), ENVIRONMENT);
    let records = Records::default();
    let mut ask = |script: Script, key: &str| {
        let script = without_key(script);
        run_on(&mut filters, &if key.is_empty() { script } else { script.with("x-api-key", key) }, &records)
    };
    let chat = |model: &str, stream| Script::chat(model, stream, false);
    let good = Kind::OpenAi.good(false);
    assert_eq!(ask(chat("o", false).answered([good.clone()]), "key-user").status, 200);
    assert_eq!(ask(chat("o", true).answered([Kind::OpenAi.good(true)]), "key-user").status, 200);
    // One that goes on to another target, one that fails, one that breaks off, one whose client leaves, and two that are refused.
    let overloaded = || answer(503, &Kind::OpenAi.error("server_error", "no", "null"));
    assert_eq!(ask(chat("o-a", false).answered([reset(), Kind::Anthropic.good(false)]), "key-admin").status, 200);
    assert_eq!(ask(chat("o", false).answered([overloaded()]), "key-admin").status, 503);
    let parts = Kind::OpenAi.parts();
    let begun = || events(&[parts.begin, parts.text].concat()).ending(End::Reset);
    assert!(ask(chat("o", true).answered([begun()]), "key-admin").cut);
    let left = Script { client_leaves: true, ..chat("o", true).answered([begun()]) };
    assert!(ask(left, "key-admin").cut);
    assert_eq!(ask(chat("none", false), "key-admin").status, 404);
    assert_eq!(ask(chat("o", false), "").status, 401);

    let outcome = run_on(&mut filters, &get("/ops/live/status.json", "key-admin"), &records);
    let status: Value = serde_json::from_str(&outcome.body).unwrap();
    let minutes = status["minutes"].as_array().unwrap();
    assert_eq!(minutes.len(), 60);
    for of in [&minutes[59], &status["hour"]] {
        let counts = ["answered", "failed", "refused", "left", "fell_back"].map(|name| of[name].as_u64().unwrap());
        assert_eq!(counts, [3, 2, 2, 1, 1], "{of}");
        assert!(of["took"]["p95"].is_u64() && of["first"]["p50"].is_u64(), "{of}");
    }
    assert_eq!(minutes[58]["answered"], 0);
    let rows = |list: &str| -> Vec<(String, [u64; 3])> {
        let rows = status[list].as_array().unwrap().iter();
        let counts = |row: &Value| ["requests", "answered", "failed"].map(|name| row[name].as_u64().unwrap());
        rows.map(|row| (row["name"].as_str().unwrap_or("others").to_owned(), counts(row))).collect()
    };
    let named = |name: &str, counts| (name.to_owned(), counts);
    assert_eq!(rows("models"), [named("o", [5, 2, 2]), named("o-a", [1, 1, 0])]);
    assert_eq!(rows("keys").len(), 2);
    let targets = rows("targets");
    assert!(targets.contains(&named("openai/gpt-up", [6, 2, 3])), "{targets:?}");
    assert!(targets.contains(&named("anthropic-2/claude-up-2", [1, 1, 0])), "{targets:?}");
    let target = status["targets"].as_array().unwrap().iter().find(|row| row["name"] == "openai/gpt-up").unwrap();
    assert_eq!((target["standing"].as_str(), target["for_ms"].as_u64()), (Some("cooled"), Some(30_000)));
    let causes: Vec<_> = status["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["cause"].as_str().unwrap(), &row["count"]))
        .collect();
    let [one, two] = [&json!(1), &json!(2)];
    assert_eq!(causes, [("unknown_model", one), ("unauthorized", one), ("overloaded", one), ("connection", two)]);
    let limits = status["limits"].as_array().unwrap();
    let limit = |name: &str| limits.iter().find(|limit| limit["limit"] == name).unwrap();
    let tokens = limit("1000 tokens per day");
    assert_eq!((&tokens["key"], &tokens["used"], &tokens["most"]), (&json!("user"), &json!(24), &json!(1000)));
    assert_eq!(
        (&limit("8 requests per hour")["soft"], &limit("8 requests per hour")["used"]),
        (&json!(true), &json!(2))
    );
    // One for each model.
    assert_eq!(limits.iter().filter(|limit| limit["limit"] == "5 USD per month" && limit["team"] == "t").count(), 12);
    // What is by user has too many accounts.
    assert!(limits.iter().all(|limit| limit["limit"] != "9 requests per day"));
}
