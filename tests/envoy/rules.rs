//! Rules and copies on the real Envoy.

use serde_json::{Value, json};

use crate::support::failures::{TEXT, answered};
use crate::support::{Gateway, Mock, chat, poll};
use crate::{Set, body, id};

fn start() -> Set {
    let mock = Mock::start();
    let at = &mock.address;
    let gateway = Gateway::start(&format!(
        r#"
workers: 2
forward_headers: ["x-mock*", "x-c*", "x-gateway*"]
body_limit: 8MiB
debug: true
providers:
  openai: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/openai/v1" }}
  anthropic: {{ kind: anthropic, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/anthropic" }}
models:
  openai: {{ targets: [{{ provider: openai, model: gpt-4o }}] }}
  anthropic: {{ targets: [{{ provider: anthropic, model: claude-sonnet-4-5 }}], fallbacks: [openai] }}
  copied:
    targets: [{{ provider: openai, model: gpt-4o, can: {{ context: 100000000 }} }}]
    fallbacks: [openai-2]
    mirror: {{ provider: anthropic, model: claude-sonnet-4-5, set: {{ max_tokens: 77 }} }}
  openai-2: {{ targets: [{{ provider: openai, model: gpt-4o-mini }}] }}
  some: {{ targets: [{{ provider: openai, model: gpt-4o }}], mirror: {{ provider: anthropic, share: 30 }} }}
rules:
  - {{ name: canary, when: {{ model: openai, stream: true }}, share: 0, override_header: x-canary, use: anthropic }}
  - {{ when: {{ parameter: {{ metadata.tier: {{ in: [gold] }} }} }}, use: anthropic }}
"#
    ));
    Set { mock, gateway }
}

/// What the providers were asked under this id, once it is so much, as (site, request).
fn asked(mock: &Mock, id: &str, count: usize) -> Vec<(String, Value)> {
    let requests = poll("the providers to be asked", || Some(mock.requests(id)).filter(|all| all.len() >= count));
    assert_eq!(requests.len(), count, "{requests:#?}");
    let site = |request: &Value| request["site"].as_str().unwrap().to_owned();
    requests.into_iter().map(|request| (site(&request), request)).collect()
}

#[test]
fn copies_go_elsewhere_and_harm_nobody() {
    let set = start();
    let ask = |model: &str, stream: bool, more: &[(&str, &str)], asks: Option<Value>| {
        let id = id();
        let mut headers = vec![
            ("x-request-id", id.as_str()),
            ("authorization", "Bearer client"),
            ("x-api-key", "client"),
            ("x-gateway-mirror-to", "openai"),
            ("x-gateway-mirror", "{}"),
        ];
        headers.extend(more);
        let answer = chat(&set.gateway, &headers, &asks.unwrap_or_else(|| body(model, stream)));
        (answer, id.clone())
    };
    let check_copy = |id: &str, count: usize| {
        let requests = asked(&set.mock, id, count);
        for (site, request) in &requests {
            let headers = request["headers"].as_object().unwrap();
            assert!(headers.keys().all(|name| !name.starts_with("x-gateway-")), "{request:#}");
            assert!(!request["headers"].to_string().contains("client"), "{request:#}");
            if site == "anthropic" {
                assert_eq!(headers["x-api-key"], "sk-mock-key", "{request:#}");
                assert_eq!(headers["host"], set.mock.address.as_str(), "{request:#}");
                assert_eq!(request["body"]["max_tokens"], 77, "{request:#}");
            }
        }
        let copies = requests.iter().filter(|(site, _)| site == "anthropic").count();
        assert_eq!(copies, 1, "{requests:#?}");
    };
    for stream in [false, true] {
        let (answer, id) = ask("copied", stream, &[], None);
        answered(&answer, "openai", "1").unwrap();
        check_copy(&id, 2);
        // Once for a request, not for each attempt.
        let (answer, id) = ask("copied", stream, &[("x-mock-openai", "status=503")], None);
        assert_eq!((answer.status, answer.header("x-gateway-attempts")), (503, Some("2")), "{answer:?}");
        check_copy(&id, 3);
        for fault in ["status=500", "status=401", "reset", "hang", "status=429&retry-after=600", "cut=3"] {
            let (answer, id) = ask("copied", stream, &[("x-mock-anthropic", fault)], None);
            answered(&answer, "openai", "1").unwrap_or_else(|error| panic!("{fault}: {error}"));
            check_copy(&id, 2);
        }
    }
    // Nobody has judged the target by its copies.
    let (answer, _) = ask("anthropic", false, &[], None);
    answered(&answer, "anthropic", "1").unwrap();
    let text = "word ".repeat((3 << 20) / 5);
    let mut large = body("copied", false);
    large["messages"][0]["content"] = json!(text);
    let (answer, id) = ask("copied", false, &[("x-mock", "text=ok")], Some(large));
    assert_eq!(answer.status, 200, "{answer:?}");
    check_copy(&id, 2);
    let copies = (0..100).filter(|_| {
        let (answer, id) = ask("some", false, &[("x-mock", "text=x"), ("x-gateway-debug", "1")], None);
        let told: Value = serde_json::from_str(answer.header("x-gateway-route").unwrap()).unwrap();
        let copied = told["mirror"] == "anthropic/some";
        asked(&set.mock, &id, 1 + usize::from(copied));
        copied
    });
    let copies = copies.count();
    // Of 100 with a share of 30, within five standard deviations.
    assert!((8..=52).contains(&copies), "{copies}");
    set.gateway.assert_sound();
}

#[test]
fn rules_lead_elsewhere() {
    let set = start();
    let told = |answer: &crate::support::Answer| -> Value {
        serde_json::from_str(answer.header("x-gateway-route").unwrap()).unwrap()
    };
    for (stream, wish, provider, rule) in [
        (true, Some("on"), "anthropic", Some("canary")),
        (true, Some("off"), "openai", None),
        (true, None, "openai", None),
        (false, Some("on"), "openai", None),
    ] {
        let id = id();
        let mut headers = vec![("x-request-id", id.as_str()), ("x-gateway-debug", "1")];
        headers.extend(wish.map(|wish| ("x-canary", wish)));
        let answer = chat(&set.gateway, &headers, &body("openai", stream));
        answered(&answer, provider, "1").unwrap();
        assert_eq!(told(&answer)["rule"].as_str(), rule);
        let [(_, request)] = &asked(&set.mock, &id, 1)[..] else { panic!() };
        assert!(request["headers"].get("x-canary").is_none(), "{request:#}");
    }
    let mut gold = body("openai", true);
    gold["metadata"] = json!({"tier": "gold"});
    let headers = [("x-gateway-debug", "1"), ("x-mock-anthropic", "status=503")];
    let answer = chat(&set.gateway, &headers, &gold);
    assert_eq!((answer.status, answer.text().as_str()), (200, TEXT));
    assert!(answer.events()[0].contains(r#""model":"openai""#), "{answer:?}");
    let expected = json!({
        "rule": "rules[1]", "model": "anthropic",
        "line": [["anthropic/claude-sonnet-4-5", "well"], ["openai/gpt-4o", "well"]],
        "tried": [["anthropic/claude-sonnet-4-5", "overloaded"], ["openai/gpt-4o", "answered"]],
    });
    assert_eq!(told(&answer), expected);
    set.gateway.assert_sound();
}
