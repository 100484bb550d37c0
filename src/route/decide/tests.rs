//! What a rule makes of a request's plan.

use serde_json::json;

use super::{Decision, Question, choose, decide};
use crate::config::{Config, Model, Subject};
use crate::dialect::Operation;
use crate::route::{Brief, Explanation, Fact, Facts, Health, Plan, Shared, Version, key};
use crate::tokens::Estimate;

/// A request with one header, `x-way`.
struct Headed(&'static str);

impl Facts for Headed {
    fn fact(&self, subject: &Subject) -> Fact<'_> {
        match subject {
            Subject::Header(name) if name == "x-way" => Fact::Text(self.0.into()),
            _ => Fact::Absent,
        }
    }

    fn bytes(&self) -> u64 {
        100
    }

    fn estimate(&self) -> Estimate {
        Estimate { input: 1000, most_output: Some(100), ..Estimate::default() }
    }

    fn sticky(&self, model: &Model) -> Option<u64> {
        (model.strategy == crate::config::Strategy::Sticky).then_some(7)
    }
}

/// All targets are well but `b/two`.
struct Board;

impl Shared for Board {
    fn get(&self, asked: &str) -> (Option<Vec<u8>>, Version) {
        let mut health = Health::default();
        health.leave_until(9_000);
        ((asked == key("b/two")).then(|| crate::route::Record::encode(&health)), Version(1))
    }

    fn set(&self, _: &str, _: &[u8], _: Version) -> bool {
        true
    }
}

fn config() -> Config {
    let when = |way: &str| json!({"header": {"x-way": way}});
    let file = json!({
        "providers": {"a": {"kind": "openai"}, "b": {"kind": "openai"}, "n": {"kind": "anthropic"}},
        "fallbacks": ["spare"],
        "models": {
            "m": {"targets": [{"provider": "a", "model": "one"}], "aliases": ["alias"],
                  "mirror": {"provider": "n", "set": {"max_tokens": 5}}},
            "p/*": {"targets": [{"provider": "a", "model": "*"}], "fallbacks": [], "mirror": {"provider": "b"}},
            "other": {
                "targets": [{"provider": "b", "model": "two"}, {"provider": "n", "model": "claude"}],
                "fallbacks": [], "strategy": "sticky", "timeouts": {"answer": "7s"}, "retries": {"timeout": 1}, "attempts": 1,
                "context_window_fallbacks": ["spare"],
            },
            "spare": {"targets": [{"provider": "b", "model": "spare"}]},
            "cheap": {
                "targets": [{"provider": "a", "model": "nobody-knows"}, {"provider": "a", "model": "gpt-4o"},
                            {"provider": "a", "model": "gpt-4o-mini"}, {"provider": "a", "model": "x", "can": {"context": 499}}],
                "strategy": "cheapest", "fallbacks": [],
            },
        },
        "rules": [
            {"when": when("use"), "use": "other"},
            {"when": when("targets"), "name": "own", "targets": [{"provider": "b"}, {"provider": "b", "model": "x-*", "weight": 0}]},
            {"when": when("back"), "targets": [{"provider": "b", "model": "y"}], "fallbacks": ["m"]},
            {"when": when("copy"), "mirror": {"provider": "b", "model": "c-*"}},
            {"when": when("no copy"), "mirror": {"provider": "b", "share": 0}},
        ],
    });
    Config::check(&serde_json::from_value(file).unwrap()).unwrap()
}

fn decided<'a>(config: &'a Config, name: &'a str, way: &'static str, operation: Operation) -> Decision<'a> {
    let question = Question {
        name,
        asked: config.models.find(name).unwrap(),
        key: None,
        operation,
        stream: false,
        include_usage: false,
        now: 1_000,
        seed: 3,
    };
    let choice = choose(config, &question, &Headed(way));
    decide(config, question, choice, &Headed(way), &Board)
}

/// Providers and their names for the model, in order.
fn line(plan: &Plan) -> String {
    let hops = plan.line.iter().map(|hop| &plan.hops[usize::from(*hop)]);
    hops.map(|hop| format!("{}/{}", hop.provider, hop.model)).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_rule_leads_elsewhere_and_the_client_is_told_of_what_it_asked_for() {
    let config = config();
    for (name, way, expected) in [
        ("m", "", "a/one b/spare"),
        ("alias", "use", "n/claude"),
        ("m", "targets", "b/m b/x-m"),
        ("p/q-1", "targets", "b/q-1 b/x-q-1"),
        // A rule's targets are followed by what the rule names, and by nothing else.
        ("p/q-1", "back", "b/y a/one b/spare"),
        ("m", "copy", "a/one b/spare"),
    ] {
        let plan = decided(&config, name, way, Operation::Chat).plan.unwrap();
        assert_eq!((line(&plan).as_str(), plan.model.as_str()), (expected, name), "{way}");
    }
    let used = decided(&config, "m", "use", Operation::Chat);
    assert_eq!((used.sticky, used.plan.map(|plan| plan.patience)), (Some(7), Ok(7_000)));
}

#[test]
fn a_copy_has_a_plan_of_its_own_by_which_nobody_is_judged() {
    let config = config();
    for (name, way, expected) in [
        ("m", "", Some("n/m")),
        ("p/q", "", Some("b/p/q")),
        // The model that is used has none; a rule's own comes first; the rule's targets are no model with a mirror.
        ("m", "use", None),
        ("m", "copy", Some("b/c-m")),
        ("p/q", "copy", Some("b/c-q")),
        ("m", "no copy", None),
        ("m", "targets", None),
    ] {
        let decision = decided(&config, name, way, Operation::Chat);
        assert_eq!(decision.copy.as_ref().map(line).as_deref(), expected, "{name} {way}");
        let Some(copy) = decision.copy else { continue };
        assert_eq!((copy.model.as_str(), copy.attempts, copy.hops[0].target.as_str()), (name, 1, ""));
        let header = copy.to_header();
        assert!(header.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        assert_eq!(Plan::decode(header.as_bytes()), Some(copy));
    }
    let copy = decided(&config, "m", "", Operation::Chat).copy.unwrap();
    assert_eq!(copy.hops[0].edits.as_ref().unwrap().set["max_tokens"], 5);
    // Anthropic has no embeddings.
    assert!(decided(&config, "m", "", Operation::Embeddings).copy.is_none());
}

/// Headers hold no more than ASCII, and configuration may name anything.
#[test]
fn a_plan_in_a_header_is_all_ascii() {
    let config = config();
    let mut plan = decided(&config, "m", "", Operation::Chat).plan.unwrap();
    plan.model = "é \u{1f980} \"quoted\"\\\n\u{7f}".to_owned();
    let header = plan.to_header();
    assert!(header.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{header}");
    assert_eq!(Plan::decode(header.as_bytes()), Some(plan));
}

#[test]
fn it_is_explained_as_it_was_decided() {
    let config = config();
    let decision = decided(&config, "alias", "use", Operation::Chat);
    let explained = serde_json::to_value(Explanation::of(&decision)).unwrap();
    let draw = explained["line"][0]["draw"].as_f64().unwrap();
    assert!(draw > 0.0);
    assert_eq!(
        explained,
        json!({
            "asked": "alias", "model": "m", "found_by": "alias", "operation": "chat", "stream": false,
            "rules": [{"rule": "rules[0]", "outcome": "is followed"}], "rule": "rules[0]", "answered_by": "other",
            "strategy": "sticky", "sticks": true,
            "line": [
                {"target": "n/claude", "sent_as": "claude", "of": "other", "weight": 1, "order": 0, "standing": "well",
                 "draw": draw},
                {"target": "b/two", "sent_as": "two", "of": "other", "weight": 1, "order": 0, "standing": "cooled",
                 "cooled_ms": 8000, "draw": explained["line"][1]["draw"], "beyond": true},
            ],
            "context_window": [
                {"target": "b/spare", "sent_as": "spare", "of": "spare", "weight": 1, "order": 0, "standing": "well"},
            ],
            "attempts": 1, "retries": [["timeout", 1]], "attempt_timeout_ms": 7000, "whole_timeout_ms": 900_000,
        })
    );
    let embeddings = Explanation::of(&decided(&config, "m", "use", Operation::Embeddings));
    let out = &embeddings.left_out[0];
    assert_eq!(
        (out.target.as_str(), out.of.as_str(), out.why.as_str()),
        ("n/claude", "other", "it does not offer the operation")
    );
    let cheap = Explanation::of(&decided(&config, "cheap", "", Operation::Chat));
    let costs: Vec<_> = cheap.line.iter().map(|line| (line.sent_as.as_str(), line.cost)).collect();
    let [("gpt-4o-mini", Some(least)), ("gpt-4o", Some(more)), ("nobody-knows", None)] = costs[..] else {
        panic!("{costs:?}")
    };
    assert!(0 < least && least < more);
    assert_eq!(cheap.left_out[0].why, "it is known to lack what is needed: context");
    let own = Explanation::of(&decided(&config, "p/x", "targets", Operation::Chat));
    assert_eq!((own.answered_by, own.rule.as_deref(), own.found_by), (None, Some("own"), "pattern"));
    assert_eq!((own.line[0].target.as_str(), own.line[0].sent_as.as_str()), ("b/*", "x"));
    let copied = Explanation::of(&decided(&config, "m", "no copy", Operation::Chat)).mirror.unwrap();
    assert_eq!((copied.target.as_str(), copied.share, copied.copied), ("b/m", 0.0, false));
}

#[test]
fn what_a_client_is_told_has_every_attempt_and_fits() {
    use crate::error::Cause;
    let config = config();
    let decision = decided(&config, "m", "back", Operation::Chat);
    let mut plan = decision.plan.clone().unwrap();
    plan.begin(0).unwrap();
    assert!(plan.fail(Cause::RateLimited));
    plan.begin(5).unwrap();
    // Envoy goes on by itself.
    plan.begin(10).unwrap();
    let told = Brief::of(&decision).tried(&plan, "answered");
    let expected = concat!(
        r#"{"rule":"rules[2]","line":[["b/y","well"],["a/one","well"],["b/spare","well"]],"#,
        r#""tried":[["b/y","rate_limited"],["a/one","connection"],["b/spare","answered"]]}"#
    );
    assert_eq!(told.clone().to_json(2000), expected);
    let cut = told.clone().to_json(150);
    assert!(cut.len() <= 150 && cut.contains("b/y") && cut.contains(r#""cut":true"#), "{cut}");
    for most in 0..300 {
        let json = told.clone().to_json(most);
        assert!(json.len() <= most && (json.is_empty() || serde_json::from_str::<serde_json::Value>(&json).is_ok()));
    }
}
