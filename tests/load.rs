//! A hundred clients at once on the real Envoy, half of their requests falling back: nothing fails.
//!
//! `LOAD_SECONDS=60 cargo test --profile command --test load -- --nocapture` for longer than the few seconds of `make test`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;
use support::load::{Ask, Client};
use support::{Gateway, Mock};

const CLIENTS: usize = 100;

#[test]
fn a_hundred_clients_half_of_them_falling_back() {
    let seconds = std::env::var("LOAD_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(5);
    let mock = Mock::start();
    let at = &mock.address;
    let gateway = Gateway::start(&format!(
        r#"
workers: 2
forward_headers: ["x-mock*"]
log: "off"
cooldown: 0s
providers:
  openai: {{ kind: openai, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/openai/v1" }}
  anthropic: {{ kind: anthropic, api_key: "${{MOCK_KEY}}", base_url: "http://{at}/anthropic" }}
models:
  openai-first: {{ targets: [{{ provider: openai, model: gpt-4o }}], fallbacks: [anthropic-first] }}
  anthropic-first: {{ targets: [{{ provider: anthropic, model: claude-sonnet-4-5 }}] }}
  anthropic-then-openai: {{ targets: [{{ provider: anthropic, model: claude-sonnet-4-5 }}], fallbacks: [openai] }}
  openai: {{ targets: [{{ provider: openai, model: gpt-4o }}] }}
"#
    ));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let until = Instant::now() + Duration::from_secs(seconds);
    let clients: Vec<_> =
        (0..CLIENTS).map(|number| runtime.spawn(client(gateway.address.clone(), number, until))).collect();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for client in clients {
        for (what, count) in runtime.block_on(client).unwrap() {
            *counts.entry(what).or_default() += count;
        }
    }
    println!("{counts:?}");
    let total: u64 = counts.values().sum();
    let good = |attempts: &str| counts.get(attempts).copied().unwrap_or_default();
    assert_eq!(good("1") + good("2"), total, "{counts:?}");
    assert!(good("2") * 5 > total * 2, "half of the requests fall back: {counts:?}");
    let overflows = gateway.stats("upstream_rq_retry_overflow");
    assert!(!overflows.is_empty() && overflows.iter().all(|(_, count)| *count == 0), "{overflows:?}");
    gateway.assert_sound();
}

/// One client's outcomes: attempts of good answers, and what was wrong with others.
async fn client(address: String, number: usize, until: Instant) -> BTreeMap<String, u64> {
    // Failures that come at once, each at either provider.
    const FAILURES: &[&str] = &["status=503", "status=429", "reset", "error-event=0", "empty"];
    let mut connection = Client::new(&address);
    let mut counts = BTreeMap::new();
    let mut turn = number;
    while Instant::now() < until {
        turn += 1;
        let (model, site) =
            [("openai-first", "x-mock-openai"), ("anthropic-then-openai", "x-mock-anthropic")][turn / 2 % 2];
        let failing = turn.is_multiple_of(2);
        let directive = if failing { FAILURES[turn / 4 % FAILURES.len()] } else { "words=20" };
        let stream = (turn / 8).is_multiple_of(2);
        let ask = Ask {
            address: address.clone(),
            path: "/v1/chat/completions".to_owned(),
            headers: vec![(site, directive.to_owned())],
            body: json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "good day"}]}),
        };
        let what = match connection.send(&ask).await {
            Ok(outcome) => {
                let end: &[u8] = if stream { b"data: [DONE]\n\n" } else { b"}" };
                let expected = if failing { "2" } else { "1" };
                let good = outcome.status == 200 && outcome.body.ends_with(end);
                match outcome.attempts {
                    Some(attempts) if good && attempts == expected => attempts,
                    attempts => format!("{directive}: {} {attempts:?} {:?}", outcome.status, outcome.body),
                }
            }
            Err(error) => format!("{directive}: {error}"),
        };
        *counts.entry(what).or_default() += 1;
    }
    counts
}
