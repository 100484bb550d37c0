//! What a request may use, and what it has used.

use model_gateway::names;
use serde_json::{Value, json};

use super::chat;
use super::envoy::{Limiter, Outcome, Script, run_on};
use super::filters::{Filters, Records};
use super::wire::{KINDS, Kind, bare};

/// The configuration of all cases, with these limits.
pub fn config(limits: Value) -> Value {
    let mut config = chat::config();
    config["limits"] = limits;
    config["rate_limit_service"] = json!({"url": "http://127.0.0.1:8081"});
    for model in config["models"].as_object_mut().unwrap().values_mut() {
        model["targets"][0]["price"] = json!({"input": 2, "output": "10.5"});
    }
    config
}

/// What is counted in the end, and how often each limit was passed: every answer is of 9 and 3 tokens.
pub fn check_tokens(filters: &mut dyn Filters) {
    let records = Records::default();
    let mut ask = |script: &Script| run_on(filters, script, &records);
    for kind in KINDS {
        for stream in [false, true] {
            let script = Script::chat(kind.letter(), stream, false).answered([kind.good(stream)]);
            let outcome = ask(&script);
            assert_eq!(outcome.status, 200, "{}", outcome.body);
            let header = |name: &str| outcome.headers.text(name).unwrap_or_default();
            assert_eq!(header("x-ratelimit-limit-tokens"), "100000");
            assert_eq!(header("x-ratelimit-limit-requests"), "6");
            // 22:13:20 UTC: the day has 1 hour, 46 minutes and 40 seconds left.
            assert_eq!(header("x-ratelimit-reset-tokens"), "1h46m40s");
            // 9 at 2 and 3 at 10.5 USD per million.
            assert_eq!(outcome.log(names::log::COST), "0.0000495");
            assert_eq!(header("x-gateway-cost"), if stream { "" } else { "0.0000495" });
            assert_eq!(outcome.log(names::log::ESTIMATED), "");
        }
    }
    // One that falls back is one request, and an error costs nothing.
    let outcome = ask(&Script::chat("o-a", false, false).answered([bare(503), Kind::Anthropic.good(false)]));
    assert_eq!(outcome.headers.text("x-ratelimit-remaining-requests").as_deref(), Some("1"));
    let outcome = ask(&Script::chat("o", true, false).answered([bare(400)]));
    assert_eq!((outcome.status, outcome.log(names::log::COST)), (400, "0"));
    let refused = ask(&Script::chat("o", true, false));
    assert_eq!(told(&refused), (429, "rate_limit_exceeded".to_owned()));
    assert_eq!(refused.headers.text("retry-after").as_deref(), Some("40"), "{}", refused.body);
    assert!(refused.body.contains("6 requests per minute"), "{}", refused.body);
    assert_eq!(used(&records), [(6, 0), (60, 0)]);
}

/// The limits of [`check_tokens`].
pub fn tokens() -> Value {
    json!([{"requests": 6, "per": "minute"}, {"tokens": 100_000, "per": "day"}])
}

/// What the accounts have as used and as held, sorted.
fn used(records: &Records) -> Vec<(u64, u64)> {
    let records = records.borrow();
    let books = records.iter().filter(|(key, _)| key.starts_with("limit "));
    let mut used: Vec<(u64, u64)> = books
        .flat_map(|(_, (bytes, _))| {
            let (numbers, []) = bytes.as_chunks::<8>() else { panic!("{bytes:?}") };
            let numbers: Vec<u64> = numbers.iter().map(|number| u64::from_le_bytes(*number)).collect();
            accounts(&numbers[2..])
        })
        .collect();
    used.sort_unstable();
    used
}

/// Each has five numbers, the second of which says how many follow that are used, and held.
fn accounts(mut numbers: &[u64]) -> Vec<(u64, u64)> {
    let mut accounts = Vec::new();
    while let [_, lengths, _, _, _, rest @ ..] = numbers {
        let (used, rest) = rest.split_at((lengths >> 32) as usize);
        let (held, rest) = rest.split_at((lengths & 0xffff_ffff) as usize);
        accounts.push((used.iter().sum(), held.iter().sum()));
        numbers = rest;
    }
    accounts
}

fn told(outcome: &Outcome) -> (u16, String) {
    let body: Value = serde_json::from_str(&outcome.body).unwrap_or_else(|_| panic!("{outcome:?}"));
    (outcome.status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

/// A stream that is cut off is counted as far as it was seen, and marked; nothing stays held, whatever happened.
pub fn check_ends(filters: &mut dyn Filters) {
    for kind in KINDS {
        for answer in
            super::faults::FAULTS.iter().map(|fault| (fault.answer)(super::faults::Asked { kind, stream: true }))
        {
            let records = Records::default();
            let script = Script::chat(kind.letter(), true, false).answered([answer]);
            let outcome = run_on(filters, &script, &records);
            let [(concurrent, _), .., (tokens, _)] = used(&records)[..] else { panic!() };
            assert!(used(&records).iter().all(|(_, held)| *held == 0), "{outcome:?}");
            let logged = |name: &str| outcome.log(name).parse::<u64>().unwrap_or_default();
            let all = logged(names::log::INPUT_TOKENS) + logged(names::log::OUTPUT_TOKENS);
            let estimated = outcome.log(names::log::ESTIMATED) == "true";
            assert!(tokens == all || estimated && tokens > all, "{tokens} {all} {outcome:?}");
            assert_eq!(concurrent, 0);
        }
    }
}

/// The limits of [`check_ends`].
pub fn ends() -> Value {
    json!([{"concurrent": 1}, {"tokens": 100_000, "per": "day", "by": ["user", "key"]}])
}

/// Past a budget a cheaper model answers, or nobody does.
pub fn check_budgets(filters: &mut dyn Filters) {
    let records = Records::default();
    let mut ask = |model: &str, tokens: u32| {
        let body =
            json!({"model": model, "messages": [{"role": "user", "content": "x"}], "max_completion_tokens": tokens});
        let script = Script::post(body.to_string()).answered([Kind::Anthropic.good(false)]);
        run_on(filters, &script, &records)
    };
    // 100,000 tokens at 10.5 are a dollar and five cents.
    let outcome = ask("a", 100_000);
    assert_eq!((outcome.status, outcome.sent[0].cluster.as_str()), (200, "anthropic-2"), "{}", outcome.body);
    let body: Value = serde_json::from_str(&outcome.body).unwrap();
    assert_eq!(body["model"], "a", "the client is not told of another model");
    let outcome = ask("a", 1000);
    assert_eq!(outcome.sent[0].cluster, "anthropic");
    let outcome = ask("a-a", 1_000_000);
    assert_eq!(told(&outcome), (429, "insufficient_quota".to_owned()));
    assert!(outcome.body.contains("more than the limit of 5 USD per month"), "{}", outcome.body);
}

/// The limits of [`check_budgets`].
pub fn budgets() -> Value {
    json!([
        {"usd": 1, "per": "day", "by": ["model"], "downgrade_to": "a2"},
        {"usd": 5, "per": "month"},
    ])
}

/// What a rate limit service is asked and told, and what becomes of its answers.
pub fn check_shared(filters: &mut dyn Filters) {
    let records = Records::default();
    let [account, requests] = [names::SHARED[1][0], names::SHARED[0][0]];
    let mut ask = |refuses, headers| {
        let limiter = Some(Limiter { refuses, headers });
        run_on(
            filters,
            &Script { limiter, ..Script::chat("a", false, false).answered([Kind::Anthropic.good(false)]) },
            &records,
        )
    };
    // The service has counted more than this Envoy.
    let headers = &[
        ("x-ratelimit-limit", "6, 6;w=60, 100000;w=86400"),
        ("x-ratelimit-remaining", "1"),
        ("x-ratelimit-reset", "20"),
    ];
    let outcome = ask(None, headers);
    let header = |outcome: &Outcome, name: &str| outcome.headers.text(name).unwrap_or_default();
    assert_eq!((outcome.status, header(&outcome, "x-ratelimit-remaining-requests").as_str()), (200, "1"));
    assert_eq!(header(&outcome, "x-ratelimit-reset-requests"), "20s");
    assert_eq!(header(&outcome, "x-ratelimit-limit"), "", "{outcome:?}");
    assert_eq!((outcome.log(requests), outcome.log(account)), ("all", "all model=a"));
    // Requests were counted when it was asked; nine tokens and three at the end.
    assert_eq!((outcome.log(names::SHARED[0][1]), outcome.log(names::SHARED[1][1])), ("", "12"));

    let headers = &[
        ("x-ratelimit-limit", "100000, 6;w=60, 100000;w=86400"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "61"),
    ];
    let outcome = ask(Some((429, "request_rate_limited")), headers);
    assert_eq!(told(&outcome), (429, "rate_limit_exceeded".to_owned()));
    assert!(outcome.body.contains("the limit of 100000 tokens per day"), "{}", outcome.body);
    assert_eq!(
        (header(&outcome, "retry-after"), header(&outcome, "x-should-retry")),
        ("61".to_owned(), "false".to_owned())
    );
    assert_eq!(outcome.log(names::SHARED[1][1]), "0", "nothing was used");

    let outcome = ask(Some((503, "rate_limiter_error")), &[]);
    assert_eq!(told(&outcome), (503, "limits_unavailable".to_owned()));
    // A service that says nothing of the limit is believed nevertheless.
    assert_eq!(told(&ask(Some((429, "request_rate_limited")), &[])).0, 429);
    // Of what was refused nothing is counted here either, and nothing stays held.
    assert_eq!(used(&records), [(1, 0), (12, 0)]);
}

/// The limits of [`check_shared`].
pub fn shared() -> Value {
    json!([
        {"requests": 6, "per": "minute", "shared": true},
        {"tokens": 100_000, "per": "day", "by": ["model"], "shared": true},
    ])
}
