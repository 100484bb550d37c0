//! Who calls, on the real Envoy: tokens that an issuer signs, and certificates of clients, beside keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "identity/certificates.rs"]
mod certificates;
#[path = "identity/issuer.rs"]
mod issuer;
mod support;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::issuer::{Signer, base64, serve};
use self::support::{Answer, Gateway, Mock, chat, poll, post};

const ISSUER: &str = "https://login.acme.test";
const KEY: &str = "key-of-the-test";

fn hash(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Claims of a good token for `name`, and these.
fn claims(name: &str, more: Value) -> Value {
    let mut claims =
        json!({"iss": ISSUER, "aud": ["other", "gateway"], "sub": name, "exp": now() + 600, "groups": ["staff"]});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

/// Providers, models and what is common to all tests.
fn config(mock: &Mock, log: &str, more: &str) -> String {
    let (at, key) = (&mock.address, hash(KEY));
    format!(
        r#"
workers: 2
log: "{log}"
auth_failures: 0
forward_headers: ["x-m*", "x-j*"]
providers:
  openai: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/openai/v1" }}
  anthropic: {{ kind: anthropic, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/anthropic" }}
models:
  openai: {{ targets: [{{ provider: openai, model: gpt-4o }}] }}
  anthropic: {{ targets: [{{ provider: anthropic, model: claude-sonnet-4-5 }}] }}
{more}
  - {{ name: test, sha256: "{key}" }}
"#
    )
}

const ROLES: &str = r#"
roles:
  staff: { models: [openai], max_tokens: 100 }
  boss: { admin: true }
limits: [{ requests: 3, per: day, by: [key] }]
keys:
  - { name: carol, disabled: true }
  - { name: dave, team: known, models: [anthropic] }
"#;

fn auth(jwks: &str) -> String {
    format!(
        r#"
auth:
  jwt:
    - issuer: {ISSUER}
      audiences: [gateway]
      jwks: "{jwks}"
      refresh: 1s
      claims: {{ role: groups, team: "https://acme.test/org", labels: {{ app: act.client }} }}
    - {{ issuer: "https://machines.test", audiences: [gateway], jwks: "{jwks}", claims: {{ name: act.client, models: scope }} }}
{ROLES}"#
    )
}

fn ask(gateway: &Gateway, token: &str, model: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    chat(
        gateway,
        &[("authorization", &bearer)],
        &json!({"model": model, "messages": [{"role": "user", "content": "x"}]}),
    )
}

fn code(answer: &Answer) -> (u16, String) {
    let error = if answer.status == 200 { Value::Null } else { answer.json()["error"]["code"].clone() };
    (answer.status, error.as_str().unwrap_or_default().to_owned())
}

fn log_of(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("model-gateway-{name}-{}.log", std::process::id()))
}

/// Everything that Envoy tells of itself, and its log.
fn told(gateway: &Gateway, log: &str) -> String {
    let dump = |path: &str| {
        ureq::get(&format!("http://{}{path}", gateway.admin)).call().unwrap().body_mut().read_to_string().unwrap()
    };
    [dump("/config_dump"), dump("/stats"), log.to_owned(), gateway.process.output()].concat()
}

#[test]
fn a_token_says_who_calls_and_what_for() {
    let (mock, signer, log) = (Mock::start(), Signer::new("one"), log_of("tokens"));
    let (jwks, _) = serve(&Signer::set(&[&signer]));
    let gateway = Gateway::start(&config(&mock, log.to_str().unwrap(), &auth(&jwks)));
    let token = |name: &str, more: Value| signer.sign(&claims(name, more));
    let alice = token("alice", json!({"https://acme.test/org": "research", "act": {"client": "notebook"}}));
    // The first request may come before the keys.
    poll("the issuer's keys", || (ask(&gateway, &token("first", json!({})), "openai").status == 200).then_some(()));

    assert_eq!(code(&ask(&gateway, &alice, "openai")).0, 200);
    assert_eq!(code(&ask(&gateway, &alice, "anthropic")), (403, "permission_denied".to_owned()));
    // Each has an account of its own.
    let statuses: Vec<u16> = (0..4).map(|_| ask(&gateway, &alice, "openai").status).collect();
    assert_eq!(statuses, [200, 200, 429, 429]);
    let greedy = json!({"model": "openai", "max_tokens": 101, "messages": [{"role": "user", "content": "x"}]});
    let bearer = format!("Bearer {}", token("frank", json!({})));
    assert_eq!(chat(&gateway, &[("authorization", &bearer)], &greedy).status, 400);
    let bob = token("bob", json!({"groups": ["none", "boss", "staff"]}));
    assert_eq!(ask(&gateway, &bob, "anthropic").status, 200);
    // A key of that name is no token's business, and a token none of the key's.
    let test = token("test", json!({}));
    (0..4).for_each(|_| drop(ask(&gateway, &test, "openai")));
    assert_eq!((ask(&gateway, &test, "openai").status, ask(&gateway, KEY, "anthropic").status), (429, 200));
    // Whom configuration knows.
    assert_eq!(code(&ask(&gateway, &token("carol", json!({})), "openai")), (401, "invalid_api_key".to_owned()));
    let dave = token("dave", json!({}));
    assert_eq!((ask(&gateway, &dave, "anthropic").status, ask(&gateway, &dave, "openai").status), (200, 403));
    // No role, no way; and what is an admin elsewhere is none here.
    for groups in [json!(["admin", "user"]), json!([]), json!(7), json!("nobody staffer")] {
        let answer = ask(&gateway, &token("erin", json!({"groups": groups})), "openai");
        assert_eq!(code(&answer), (403, "permission_denied".to_owned()), "{groups}");
    }
    let admin = |token: &str| {
        let url = format!("http://{}/v1/usage", gateway.address);
        let answer = ureq::get(&url).header("authorization", format!("Bearer {token}")).call();
        let body: Value = serde_json::from_str(&answer.unwrap().body_mut().read_to_string().unwrap()).unwrap();
        body["data"].as_array().unwrap().len()
    };
    assert_eq!((admin(&bob), admin(&alice)), (3, 1));
    // Another issuer, with other claims.
    let machine =
        |scope: Value| token("x", json!({"iss": "https://machines.test", "act": {"client": "robot"}, "scope": scope}));
    let scoped = |scope: Value, model: &str| ask(&gateway, &machine(scope), model).status;
    assert_eq!((scoped(json!("a anthropic"), "anthropic"), scoped(json!(["anth*"]), "openai")), (200, 403));
    assert_eq!(scoped(Value::Null, "openai"), 403);

    let lines = poll("lines in the log", || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        (text.contains("\"robot\"") && text.contains("\"dave\"")).then_some(text)
    });
    let _ = std::fs::remove_file(&log);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| lines.iter().find(|line| line["key"] == name).unwrap();
    assert_eq!((&of("alice")["team"], &of("dave")["team"]), (&json!("research"), &json!("known")));
    gateway.assert_sound();
}

#[test]
fn bad_tokens_open_nothing_and_are_nowhere_to_be_read() {
    let (mock, signer, stranger, log) = (Mock::start(), Signer::new("one"), Signer::new("one"), log_of("bad-tokens"));
    let set = Signer::set(&[&signer]);
    let (jwks, _) = serve(&set);
    let gateway = Gateway::start(&config(&mock, log.to_str().unwrap(), &auth(&jwks)));
    let good = signer.sign(&claims("alice", json!({})));
    poll("the issuer's keys", || (ask(&gateway, &good, "openai").status == 200).then_some(()));

    let unsigned = |head: Value, claims: &Value| {
        format!("{}.{}.", base64(head.to_string().as_bytes()), base64(claims.to_string().as_bytes()))
    };
    let boss = claims("mallory", json!({"groups": ["boss"]}));
    // A public key taken for a shared secret.
    let (head, body) = (json!({"alg": "HS256", "kid": "one"}), boss.clone());
    let text = unsigned(head, &body);
    let text = text.trim_end_matches('.');
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, set.to_string().as_bytes());
    let confused = format!("{text}.{}", base64(ring::hmac::sign(&secret, text.as_bytes()).as_ref()));
    let parts: Vec<&str> = good.split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], base64(boss.to_string().as_bytes()), parts[2]);
    let bad = [
        ("expired", signer.sign(&claims("a", json!({"exp": now() - 3600})))),
        ("without an end", signer.sign(&claims("a", json!({"exp": null})))),
        ("not yet good", signer.sign(&claims("a", json!({"nbf": now() + 3600})))),
        ("for others", signer.sign(&claims("a", json!({"aud": "other"})))),
        ("for nobody", signer.sign(&claims("a", json!({"aud": null})))),
        ("of another issuer", signer.sign(&claims("a", json!({"iss": "https://evil.test"})))),
        ("of nobody", signer.sign(&claims("a", json!({"iss": null})))),
        ("of a stranger", stranger.sign(&boss)),
        ("unsigned", unsigned(json!({"alg": "none", "typ": "JWT"}), &boss)),
        ("unsigned, as the issuer", unsigned(json!({"alg": "none", "kid": "one"}), &boss)),
        ("confused", confused),
        ("forged", forged),
        ("without a name", signer.sign(&claims("a", json!({"sub": null})))),
        ("with a name of numbers", signer.sign(&claims("a", json!({"sub": 7})))),
        ("with an endless name", signer.sign(&claims(&"a".repeat(300), json!({})))),
        ("with a name that breaks lines", signer.sign(&claims("a\r\nx: y", json!({})))),
    ];
    let before = mock.rows().len();
    for (what, token) in &bad {
        for stream in [false, true] {
            let bearer = format!("Bearer {token}");
            let body = json!({"model": "openai", "stream": stream, "messages": [{"role": "user", "content": "x"}]});
            let answer = chat(&gateway, &[("authorization", &bearer)], &body);
            assert_eq!(code(&answer), (401, "invalid_api_key".to_owned()), "{what}: {answer:?}");
            assert!(!answer.body.contains(token.as_str()) && !answer.body.contains("mallory"), "{what}: {answer:?}");
        }
        // Where keys may stand, tokens are none; in a query they are nothing.
        for name in ["x-api-key", "api-key"] {
            let answer = chat(&gateway, &[(name, token)], &json!({"model": "openai", "messages": []}));
            assert_eq!(answer.status, 401, "{what}: {answer:?}");
        }
    }
    let query = format!("/v1/chat/completions?access_token={good}");
    assert_eq!(post(&gateway, &query, &[], &json!({"model": "openai", "messages": []})).status, 401);
    // What only Envoy says is nothing for a client to say.
    let claimed = [("x-jwt-payload", parts[1]), ("jwt-payload", parts[1])];
    assert_eq!(chat(&gateway, &claimed, &json!({"model": "openai", "messages": []})).status, 401);
    assert_eq!(mock.rows().len(), before);

    // Every endpoint asks who calls.
    for endpoint in model_gateway::exchange::ENDPOINTS {
        for (_, token) in bad.iter().chain([&("nothing", String::new())]).step_by(4) {
            let bearer = format!("Bearer {token}");
            let answer = post(&gateway, endpoint.path, &[("authorization", &bearer)], &json!({}));
            assert!([401, 405].contains(&answer.status), "{}: {answer:?}", endpoint.path);
            let url = format!("http://{}{}", gateway.address, endpoint.path);
            let got = ureq::get(&url).header("authorization", &bearer).call();
            assert!(matches!(got, Err(ureq::Error::StatusCode(401 | 405))), "{}: {got:?}", endpoint.path);
        }
    }
    // What a provider got has nothing of a good one either.
    let bearer = format!("Bearer {good}");
    let body = json!({"model": "openai", "messages": [{"role": "user", "content": "x"}]});
    assert_eq!(chat(&gateway, &[("authorization", &bearer), ("x-request-id", "good-one")], &body).status, 200);
    let sent = serde_json::to_string(&mock.requests("good-one")).unwrap();
    assert!(sent.contains("gpt-4o") && !sent.contains(parts[1]) && !sent.contains(parts[2]), "{sent}");

    let text = poll("the log", || std::fs::read_to_string(&log).ok().filter(|text| text.contains("good-one")));
    let _ = std::fs::remove_file(&log);
    let all = told(&gateway, &text.replace(&query, ""));
    for (what, token) in bad.iter().chain([&("good", good.clone())]) {
        let mut parts = token.split('.').skip(1).filter(|part| part.len() > 20);
        assert!(!parts.any(|part| all.contains(part)), "{what} is told");
    }
    assert!(!all.contains("mallory"));
    gateway.assert_sound();
}

#[test]
fn keys_of_issuers_change() {
    let mock = Mock::start();
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let (jwks, body) = serve(&Signer::set(&[&old]));
    let folder = std::env::temp_dir().join(format!("model-gateway-jwks-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let put = |set: Value| {
        std::fs::write(folder.join(".new"), set.to_string()).unwrap();
        std::fs::rename(folder.join(".new"), folder.join("keys.json")).unwrap();
    };
    put(Signer::set(&[&old]));
    let file = folder.join("keys.json").display().to_string();
    for (what, jwks) in [("from a URL", jwks), ("from a file", file)] {
        put(Signer::set(&[&old]));
        *body.lock().unwrap() = Signer::set(&[&old]).to_string();
        let auth = auth(&jwks).replace("requests: 3", "requests: 100000");
        let gateway = Gateway::start(&config(&mock, "off", &auth));
        let status = |signer: &Signer| ask(&gateway, &signer.sign(&claims("alice", json!({}))), "openai").status;
        poll(what, || (status(&old) == 200).then_some(()));
        assert_eq!(status(&new), 401, "{what}");
        *body.lock().unwrap() = Signer::set(&[&old, &new]).to_string();
        put(Signer::set(&[&old, &new]));
        poll(&format!("the new key {what}"), || (status(&new) == 200).then_some(()));
        assert_eq!(status(&old), 200, "{what}");
        *body.lock().unwrap() = Signer::set(&[&new]).to_string();
        put(Signer::set(&[&new]));
        poll(&format!("the end of the old key {what}"), || (status(&old) == 401).then_some(()));
        assert_eq!((status(&new), ask(&gateway, KEY, "openai").status), (200, 200), "{what}");
        gateway.assert_sound();
    }
    let _ = std::fs::remove_dir_all(folder);
}
