//! Rules against facts that a test makes up.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Fact, Facts, Judgement, judge_all, mirrored};
use crate::config::{Config, Model, Rule, Subject};
use crate::tokens::Estimate;

/// A request that has what is written here: `header.x`, `parameter.a.b`, `model`, `prompt_tokens` and so on.
#[derive(Default)]
struct Known {
    facts: BTreeMap<String, Value>,
    asked: Cell<usize>,
}

impl Known {
    fn of(facts: Value) -> Self {
        Self { facts: serde_json::from_value(facts).unwrap(), asked: Cell::default() }
    }
}

impl Facts for Known {
    fn fact(&self, subject: &Subject) -> Fact<'_> {
        self.asked.set(self.asked.get() + 1);
        let name = match subject {
            Subject::Header(name) => format!("header.{name}"),
            Subject::Parameter(names) => format!("parameter.{}", names.join(".")),
            Subject::Label(name) => format!("label.{name}"),
            Subject::Key => "key".to_owned(),
            Subject::Team => "team".to_owned(),
            Subject::Path => "path".to_owned(),
            Subject::Model => "model".to_owned(),
            Subject::PromptTokens => "prompt_tokens".to_owned(),
            Subject::Stream => "stream".to_owned(),
            Subject::Tools => "tools".to_owned(),
            Subject::Images => "images".to_owned(),
        };
        self.facts.get(&name).map_or(Fact::Absent, fact)
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn estimate(&self) -> Estimate {
        Estimate::default()
    }

    fn sticky(&self, _: &Model) -> Option<u64> {
        None
    }
}

fn fact(value: &Value) -> Fact<'_> {
    match value {
        Value::Null => Fact::Absent,
        Value::Bool(value) => Fact::Bool(*value),
        Value::Number(number) => Fact::Number(number.as_f64().unwrap()),
        Value::String(text) => Fact::Text(Cow::Borrowed(text)),
        Value::Array(list) => Fact::Several(list.iter().map(fact).collect()),
        Value::Object(_) => Fact::Other,
    }
}

fn rules(rules: Value) -> Vec<Rule> {
    let file = json!({
        "providers": {"a": {"kind": "openai"}},
        "models": {"m": {"targets": [{"provider": "a"}]}},
        "rules": rules,
    });
    Config::check(&serde_json::from_value(file).unwrap()).unwrap().rules
}

fn holds(when: &Value, facts: &Value) -> bool {
    let rules = rules(json!([{"when": when, "use": "m"}]));
    judge_all(&rules, &Known::of(facts.clone()), 0)[0].1 == Judgement::Follows
}

#[test]
fn conditions_hold_or_do_not() {
    let about = |test: Value| json!({"parameter": {"p": test}});
    let table = [
        // What is wanted of `p`, values for which it holds, values for which it does not.
        (json!("x"), json!(["x", ["y", "x"]]), json!(["X", "xy", 1, null, {}, []])),
        (json!(1), json!([1, 1.0, "1", " 1.0 "]), json!(["one", true, 2, null])),
        (json!(true), json!([true, "true"]), json!([false, "yes", 1, null])),
        (json!({"in": ["a", 2, false]}), json!(["a", 2, false, "2"]), json!(["b", 3, true, null])),
        (json!({"not": "x"}), json!(["y", null, 1, ["y"]]), json!(["x", ["y", "x"]])),
        (json!({"not": {"not": {"gt": 1}}}), json!([2]), json!([1])),
        (json!({"gt": 1}), json!([1.5, "2", [0, 2]]), json!([1, 0, "x", true, null, "inf", "NaN"])),
        (json!({"gte": 1, "lt": 2}), json!([1, 1.9]), json!([0.9, 2, null])),
        (json!({"lte": -1}), json!([-1, -2]), json!([0, null])),
        (json!({"prefix": "eu-"}), json!(["eu-west", "eu-"]), json!(["us-eu-", 3, null])),
        (json!({"suffix": ".de"}), json!(["a.de"]), json!(["a.de.com", null])),
        (json!({"contains": "and"}), json!(["this and that", ["x", "and"]]), json!(["others", null])),
        (json!({"matches": "a*b*c"}), json!(["abc", "a--b--c"]), json!(["acb", "abcd"])),
        (json!({"present": true}), json!([1, "", false, {}, []]), json!([null])),
        (json!({"present": false}), json!([null]), json!([0])),
        (json!({"present": true, "not": "x"}), json!(["y"]), json!([null, "x"])),
    ];
    for (test, good, bad) in table {
        for (values, wanted) in [(good, true), (bad, false)] {
            for value in values.as_array().unwrap() {
                assert_eq!(holds(&about(test.clone()), &json!({"parameter.p": value})), wanted, "{test}: {value}");
            }
        }
    }
}

#[test]
fn every_subject_is_asked_about() {
    let facts = json!({
        "header.x-tier": "free", "path": "/v1/embeddings", "model": ["best", "gpt-4o"], "parameter.metadata.tenant": "eu",
        "prompt_tokens": 9000, "stream": true, "tools": false, "images": true,
        "key": "alice", "team": "search", "label.stage": "prod",
    });
    for (when, wanted) in [
        (json!({"header": {"X-Tier": "free"}}), true),
        (json!({"header": {"x-tier": "free", "x-team": "a"}}), false),
        (json!({"path": "/v1/*"}), true),
        (json!({"path": "/v1/chat/*"}), false),
        // The alias and the name; both, for what must not be.
        (json!({"model": "gpt-*"}), true),
        (json!({"model": "best"}), true),
        (json!({"model": {"not": {"prefix": "gpt"}}}), false),
        (json!({"parameter": {"metadata.tenant": "eu"}}), true),
        (json!({"prompt_tokens": {"gt": 8000}}), true),
        (json!({"key": "al*", "team": {"in": ["search"]}, "label": {"stage": "prod"}}), true),
        (json!({"key": "bob"}), false),
        (json!({"label": {"app": {"present": true}}}), false),
        (json!({"prompt_tokens": {"gt": 9000}}), false),
        (json!({"stream": true, "tools": false, "images": true}), true),
        (json!({"stream": false}), false),
        (json!({"all": [{"stream": true}, {"tools": true}]}), false),
        (json!({"any": [{"tools": true}, {"stream": true}]}), true),
        (json!({"any": [{"tools": true}, {"stream": false}]}), false),
        (json!({"not": {"tools": true}, "stream": true}), true),
        (json!({"not": {"any": [{"tools": true}, {"all": [{"stream": true}, {"images": true}]}]}}), false),
        (json!({}), true),
    ] {
        assert_eq!(holds(&when, &facts), wanted, "{when}");
    }
}

#[test]
fn the_first_that_matches_is_followed_and_no_more_is_looked_at() {
    let rules = rules(json!([
        {"when": {"header": {"a": "1"}}, "use": "m"},
        {"when": {"header": {"b": "1"}}, "use": "m"},
        {"when": {"images": true}, "use": "m"},
    ]));
    let known = Known::of(json!({"header.b": "1", "images": true}));
    let judged: Vec<Judgement> = judge_all(&rules, &known, 0).iter().map(|(_, judgement)| *judgement).collect();
    assert_eq!((judged, known.asked.get()), (vec![Judgement::Differs, Judgement::Follows], 2));
    assert_eq!(judge_all(&rules, &Known::of(json!({})), 0).len(), 3);
}

fn followed(rules: &[Rule], facts: &Value, seed: u64) -> bool {
    judge_all(rules, &Known::of(facts.clone()), seed)[0].1 == Judgement::Follows
}

fn canary(share: f64, sticky_by: &str) -> Vec<Rule> {
    rules(json!([{"name": "c", "use": "m", "share": share, "sticky_by": sticky_by, "override_header": "X-Canary"}]))
}

/// Within five standard deviations of a binomial.
fn is_share(count: usize, of: usize, percent: f64) -> bool {
    let (n, p) = (of as f64, percent / 100.0);
    (count as f64 - n * p).abs() <= 5.0 * (n * p * (1.0 - p)).sqrt()
}

#[test]
fn a_share_is_that_share() {
    const RUNS: usize = 20_000;
    let none = json!({});
    for percent in [0.0, 0.5, 10.0, 50.0, 100.0] {
        let rules = canary(percent, "user");
        let drawn = (0..RUNS as u64).filter(|seed| followed(&rules, &none, *seed)).count();
        assert!(is_share(drawn, RUNS, percent), "{percent}: {drawn}");
        let users = (0..RUNS).filter(|user| followed(&rules, &json!({"parameter.user": user.to_string()}), 1)).count();
        assert!(is_share(users, RUNS, percent), "{percent}: {users}");
    }
}

#[test]
fn who_sticks_stays_and_a_growing_share_keeps_those_it_had() {
    let (few, many, by_team) = (canary(10.0, "user"), canary(30.0, "user"), canary(30.0, "header:X-Team"));
    let by_key = canary(50.0, "key");
    let other = rules(json!([{"name": "d", "use": "m", "share": 10, "sticky_by": "user"}]));
    let mut both = 0;
    for user in 0..2000 {
        let facts = json!({"parameter.user": format!("u{user}"), "header.x-team": "t"});
        let is_in = followed(&few, &facts, user);
        assert_eq!(is_in, followed(&few, &facts, user + 1));
        assert!(!is_in || followed(&many, &facts, user));
        assert_eq!(followed(&by_team, &facts, user), followed(&by_team, &facts, 0));
        assert_eq!(followed(&by_key, &json!({"key": "k"}), user), followed(&by_key, &json!({"key": "k"}), 0));
        both += usize::from(is_in && followed(&other, &facts, 0));
    }
    // Rules choose independently: a hundredth is in both.
    assert!(is_share(both, 2000, 1.0), "{both}");
}

#[test]
fn testers_choose_for_themselves_where_the_conditions_hold() {
    let rules = rules(json!([
        {"name": "c", "use": "m", "share": 50, "override_header": "x-canary", "when": {"stream": true}},
    ]));
    let judged = |wish: &str, stream: bool, seed| {
        let facts = json!({"header.x-canary": wish, "stream": stream});
        judge_all(&rules, &Known::of(facts), seed)[0].1
    };
    for seed in 0..50 {
        assert_eq!(judged("on", true, seed), Judgement::Follows);
        assert_eq!(judged("off", true, seed), Judgement::Declined);
        assert_eq!(judged("on", false, seed), Judgement::Differs);
    }
    let drawn = (0..1000).filter(|seed| judged("maybe", true, *seed) == Judgement::Follows).count();
    assert!(is_share(drawn, 1000, 50.0), "{drawn}");
}

#[test]
fn copies_are_made_of_a_share() {
    let rules = rules(json!([{"mirror": {"provider": "a", "share": 5}}]));
    let mirror = rules[0].mirror.as_ref().unwrap();
    let copied = (0..20_000).filter(|seed| mirrored(mirror, *seed)).count();
    assert!(is_share(copied, 20_000, 5.0), "{copied}");
}
