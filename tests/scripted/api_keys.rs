//! Several credentials of one provider, and limits that providers tell of beforehand: what becomes of one request, and what
//! the next one finds.

use model_gateway::names;
use serde_json::{Value, json};

use super::envoy::{Answer, Outcome, Script, run_on};
use super::filters::{Filters, Records};
use super::wire::{Kind, json as answer};

pub fn config() -> Value {
    let keyed = |keys: Value| json!({"kind": "openai", "api_keys": keys, "base_url": "https://one.example/v1"});
    let target = |provider: &str| json!([{"provider": provider, "model": "gpt-up"}]);
    json!({
        "providers": {
            "two": keyed(json!(["${KEY_1}", {"key": "${KEY_2}", "name": "eu", "weight": 3}])),
            "rare": keyed(json!([{"key": "${KEY_1}", "weight": 0}, "${KEY_2}"])),
            "one": {"kind": "openai", "api_key": "${KEY_1}"},
            "other": {"kind": "openai", "api_key": "${KEY_3}"},
        },
        "models": {
            "two": {"targets": target("two")},
            "two-other": {"targets": target("two"), "fallbacks": ["other"]},
            "one-other": {"targets": target("one"), "fallbacks": ["other"]},
            "rare": {"targets": target("rare")},
            "other": {"targets": target("other"), "fallbacks": []},
            "once": {"targets": target("two"), "attempts": 1},
            "final": {"targets": target("two"), "retries": {"authentication": 0}},
            "never": {"targets": target("two"), "cooldown": "0s"},
            "sticky": {"targets": target("two"), "strategy": "sticky"},
        },
    })
}

pub const ENVIRONMENT: &[(&str, &str)] = &[("KEY_1", "sk-value-1"), ("KEY_2", "sk-value-2"), ("KEY_3", "sk-value-3")];

/// Requests one after the other, to workers that remember.
pub struct Talk<'f> {
    filters: &'f mut dyn Filters,
    records: Records,
}

impl<'f> Talk<'f> {
    pub fn new(filters: &'f mut dyn Filters) -> Self {
        filters.renew();
        Self { filters, records: Records::default() }
    }

    fn ask(&mut self, model: &str, answers: Vec<Answer>) -> Outcome {
        let script = Script::chat(model, false, false).answered(answers);
        let outcome = run_on(self.filters, &script, &self.records);
        for (_, secret) in ENVIRONMENT {
            let text = format!("{:?} {} {:?}", outcome.headers, outcome.body, outcome.log);
            assert!(!text.contains(secret), "{model}: {text}");
        }
        outcome
    }
}

fn good() -> Answer {
    Kind::OpenAi.good(false)
}

fn bad(status: u16) -> Answer {
    let code = if status == 402 { "\"insufficient_quota\"" } else { "null" };
    answer(status, &Kind::OpenAi.error("error", "no", code))
}

/// By their last letter.
fn keys(outcome: &Outcome) -> String {
    let sent = outcome.sent.iter().map(|sent| sent.headers.text("authorization").unwrap());
    sent.filter_map(|key| key.strip_prefix("Bearer sk-value-").map(str::to_owned)).collect()
}

fn clusters(outcome: &Outcome) -> Vec<&str> {
    outcome.sent.iter().map(|sent| sent.cluster.as_str()).collect()
}

/// What is said of a key is no reason to leave the target, and none to try that key again.
pub fn check_another_key_takes_over(filters: &mut dyn Filters) {
    for status in [401, 402, 403, 429] {
        let mut talk = Talk::new(filters);
        let outcome = talk.ask("two-other", vec![bad(status), good()]);
        assert_eq!((outcome.status, clusters(&outcome)), (200, vec!["two", "two"]), "{status}");
        assert_eq!(outcome.headers.text("x-gateway-attempts").as_deref(), Some("2"));
        let (refused, taken) = (keys(&outcome).remove(0), keys(&outcome).remove(1));
        assert_ne!(refused, taken, "{status}");
        // Two keys and another target: Envoy may have to try again twice.
        assert_eq!(outcome.routed.text("x-envoy-max-retries").as_deref(), Some("2"));
        for _ in 0..20 {
            assert_eq!(keys(&talk.ask("two-other", vec![good()])), taken.to_string(), "{status}");
        }
        // Now that one too: the other target, within this request and from the start in the next.
        let outcome = talk.ask("two-other", vec![bad(status), good()]);
        assert_eq!((outcome.status, clusters(&outcome)), (200, vec!["two", "other"]), "{status}");
        for _ in 0..20 {
            assert_eq!(clusters(&talk.ask("two-other", vec![good()])), ["other"], "{status}");
        }
        // The last resort is still one.
        assert_eq!(talk.ask("two", vec![good()]).status, 200, "{status}");
    }
}

pub fn check_what_is_not_the_keys_fault_stays_the_targets(filters: &mut dyn Filters) {
    for status in [500, 503, 404] {
        let mut talk = Talk::new(filters);
        let outcome = talk.ask("two-other", vec![bad(status), good()]);
        assert_eq!(clusters(&outcome), ["two", "other"], "{status}");
    }
    let outcome = Talk::new(filters).ask("two", vec![bad(400)]);
    assert_eq!((outcome.status, outcome.sent.len()), (400, 1));
}

pub fn check_attempts_are_bounded(filters: &mut dyn Filters) {
    for model in ["once", "final"] {
        let outcome = Talk::new(filters).ask(model, vec![bad(401)]);
        assert_eq!((outcome.status, outcome.sent.len()), (502, 1), "{model}");
        assert_eq!(outcome.headers.text(names::RETRY_HEADER), None);
    }
    // All of them refused: one error, in the end.
    let outcome = Talk::new(filters).ask("two", vec![bad(401), bad(401)]);
    assert_eq!((outcome.status, outcome.sent.len(), outcome.log(names::log::ERROR)), (502, 2, "authentication"));
    // Without cooldowns nothing is remembered, but a request does not ask twice in the same way.
    let mut talk = Talk::new(filters);
    for _ in 0..10 {
        let outcome = talk.ask("never", vec![bad(429), bad(429)]);
        let mut keys: Vec<char> = keys(&outcome).chars().collect();
        keys.sort_unstable();
        assert_eq!(keys, ['1', '2']);
    }
}

pub fn check_weights(filters: &mut dyn Filters) {
    let mut talk = Talk::new(filters);
    let chosen: Vec<String> = (0..400).map(|_| keys(&talk.ask("two", vec![good()]))).collect();
    let first = chosen.iter().filter(|key| *key == "1").count();
    // A quarter, five standard deviations on either side.
    assert!((57..=143).contains(&first), "{first} of 400");
    assert!((0..50).all(|_| keys(&talk.ask("rare", vec![good()])) == "2"));
    assert_eq!(keys(&talk.ask("rare", vec![bad(429), good()])), "21");
    let sticky: Vec<String> = (0..20).map(|_| keys(&talk.ask("sticky", vec![good()]))).collect();
    assert!(sticky.iter().all(|key| *key == sticky[0]), "{sticky:?}");
}

/// The soonest of all that were asked, not the last.
pub fn check_a_client_is_told_when_to_come_back(filters: &mut dyn Filters) {
    let after = |seconds: &str| bad(429).with("retry-after", seconds);
    for (answers, told) in [
        (vec![after("7"), after("60")], Some("7")),
        (vec![after("60"), after("7")], Some("7")),
        (vec![after("60"), bad(503)], Some("60")),
        (vec![bad(503), after("60")], Some("60")),
        (vec![bad(503), bad(503)], None),
        // It is the client's own mistake, and will be then.
        (vec![after("7"), bad(400)], None),
    ] {
        let outcome = Talk::new(filters).ask("one-other", answers);
        assert_eq!(outcome.headers.text("retry-after").as_deref(), told);
        assert_eq!(outcome.sent.len(), 2);
    }
    // Of keys too; a limit's reset is as good as `retry-after`.
    let reset = |seconds: &str| {
        let limit = [("remaining", "0"), ("reset", seconds)];
        limit.iter().fold(bad(429), |answer, (what, value)| answer.with(&format!("x-ratelimit-{what}-requests"), value))
    };
    let outcome = Talk::new(filters).ask("two", vec![reset("9s"), reset("1m30s")]);
    assert_eq!((outcome.status, outcome.headers.text("retry-after").as_deref()), (429, Some("9")));
}

/// Nobody has been refused yet.
pub fn check_what_is_spent_is_left_before_it_refuses(filters: &mut dyn Filters) {
    let last = |reset: &str| {
        let named = [("remaining-tokens", "12"), ("limit-tokens", "40000"), ("reset-tokens", reset)];
        named.iter().fold(good(), |answer, (what, value)| answer.with(&format!("x-ratelimit-{what}"), value))
    };
    let mut talk = Talk::new(filters);
    assert_eq!(clusters(&talk.ask("one-other", vec![good()])), ["one"]);
    assert_eq!(clusters(&talk.ask("one-other", vec![last("0s")])), ["one"]);
    let outcome = talk.ask("one-other", vec![last("59s")]);
    assert_eq!((outcome.status, clusters(&outcome)), (200, vec!["one"]));
    assert!((0..10).all(|_| clusters(&talk.ask("one-other", vec![good()])) == ["other"]));
    // Of several credentials only that one.
    let first = keys(&talk.ask("two-other", vec![last("59s")]));
    for _ in 0..10 {
        let outcome = talk.ask("two-other", vec![good()]);
        assert_eq!(clusters(&outcome), ["two"]);
        assert_ne!(keys(&outcome), first);
    }
    // With `cooldown: 0s` it is never left alone.
    let mut talk = Talk::new(filters);
    assert!((0..10).all(|_| talk.ask("never", vec![last("59s")]).status == 200));
}

/// One after the other, all of the above.
pub fn check(filters: &mut dyn Filters) {
    check_another_key_takes_over(filters);
    check_what_is_not_the_keys_fault_stays_the_targets(filters);
    check_attempts_are_bounded(filters);
    check_weights(filters);
    check_a_client_is_told_when_to_come_back(filters);
    check_what_is_spent_is_left_before_it_refuses(filters);
}
