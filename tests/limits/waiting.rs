//! Requests that wait for room at a limit, and limits of providers, past which requests go elsewhere.

use std::time::Duration;

use serde_json::json;

use crate::support::{Gateway, Mock, chat, poll};
use crate::{Client, ask, body, config, runtime};

const KEY: (&str, &str) = ("authorization", "Bearer key-of-the-test");

fn start(mock: &Mock, limits: &str) -> Gateway {
    Gateway::start(&config(mock, "off", limits).replace("workers: 2", "workers: 1"))
}

#[test]
fn requests_wait_for_their_turn() {
    let mock = Mock::start();
    let gateway = start(&mock, "{ concurrent: 2, wait: 60s }");
    let runtime = runtime();
    let clients: Vec<_> = (0..12)
        .map(|number| {
            // Bodies that do not fit into one piece, too.
            let mut body = body(["openai", "anthropic"][number % 2], number % 3 == 0);
            body["messages"][0]["content"] = "x".repeat([10, 200_000][number % 2]).into();
            let ask = ask(&gateway, &[KEY, ("x-mock", "first-byte=50&words=3")], body);
            runtime.spawn(async move { Client::new(&ask.address).send(&ask).await.unwrap() })
        })
        .collect();
    for client in clients {
        let outcome = runtime.block_on(client).unwrap();
        assert_eq!(outcome.status, 200, "{outcome:?}");
        assert!(outcome.broken.is_none() && !outcome.body.is_empty(), "{outcome:?}");
    }
    assert_eq!(mock.rows().len(), 12);
    gateway.assert_sound();
}

#[test]
fn who_has_waited_long_enough_is_refused() {
    let mock = Mock::start();
    let gateway = start(&mock, "{ requests: 1, per: month, wait: 200ms }");
    let ask = || chat(&gateway, &[KEY], &body("openai", false));
    assert_eq!(ask().status, 200);
    for _ in 0..3 {
        let answer = ask();
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].as_str()),
            (429, Some("rate_limit_exceeded")),
            "{answer:?}"
        );
        assert!(answer.header("retry-after").is_some() && answer.body.contains("1 requests per month"), "{answer:?}");
    }
    assert_eq!(mock.rows().len(), 1);
    gateway.assert_sound();
}

#[test]
fn who_leaves_leaves_the_queue() {
    let mock = Mock::start();
    let gateway = start(&mock, "{ concurrent: 1, wait: 60s }");
    let runtime = runtime();
    let slow = ask(&gateway, &[KEY, ("x-mock", "words=2000&chunk-delay=10")], body("openai", true));
    let first = runtime.spawn(async move { Client::new(&slow.address).send(&slow).await });
    poll("the first to be under way", || (!mock.rows().is_empty() || active(&gateway) >= 1).then_some(()));
    let next = ask(&gateway, &[KEY], body("openai", false));
    let spawn = || {
        let ask = next.clone();
        runtime.spawn(async move { Client::new(&ask.address).send(&ask).await })
    };
    let second = spawn();
    poll("the second to wait", || (active(&gateway) >= 2).then_some(()));
    second.abort();
    poll("the second to have left", || (active(&gateway) == 1).then_some(()));
    let third = spawn();
    poll("the third to wait", || (active(&gateway) >= 2).then_some(()));
    first.abort();
    let third = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(50), third).await });
    assert_eq!(third.unwrap().unwrap().unwrap().status, 200);
    gateway.assert_sound();
}

/// How many requests Envoy has at present.
fn active(gateway: &Gateway) -> u64 {
    gateway.stats("http.gateway.downstream_rq_active").into_iter().map(|(_, value)| value).sum()
}

#[test]
fn past_a_limit_of_a_provider_requests_go_elsewhere() {
    let mock = Mock::start();
    let limited = "\"${MOCK_KEY}\", limits: [{ requests: 3, per: month }], base_url: \"http://";
    let config = config(&mock, "off", "").replacen("\"${MOCK_KEY}\", base_url: \"http://", limited, 1);
    let gateway = Gateway::start(&config.replace("workers: 2", "workers: 1"));
    let ask = |model: &str, directive: &str| {
        let answer = chat(
            &gateway,
            &[KEY, ("x-mock-anthropic", directive)],
            &json!({"model": model, "messages": [{"role": "user", "content": "x"}]}),
        );
        (answer.status, answer.header("x-gateway-provider").unwrap_or_default().to_owned())
    };
    // A fallback to it counts, too.
    let back = |answer: (u16, String)| answer == (200, "openai".to_owned());
    assert!(back(ask("both", "")) && back(ask("openai", "")) && back(ask("both", "")));
    for _ in 0..3 {
        assert_eq!(ask("both", ""), (200, "anthropic".to_owned()));
    }
    // There is nobody else.
    assert_eq!(ask("openai", "").0, 429);
    assert_eq!(ask("anthropic", "").0, 200);
    assert_eq!(mock.rows().len(), 7);
    gateway.assert_sound();
}
