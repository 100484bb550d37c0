//! What is refused in rules, and what is made of the others.

use serde_json::{Value, json};

use super::{Condition, Share, ShareBy, Side, Subject, Test, Way};
use crate::config::{Config, Scalar};

fn file(rules: Value) -> Value {
    json!({
        "providers": {"a": {"kind": "openai"}, "b": {"kind": "anthropic"}},
        "models": {
            "m": {"targets": [{"provider": "a"}], "mirror": {"provider": "b", "model": "c", "share": 0.5}},
            "n": {"targets": [{"provider": "b"}]},
            "p*": {"targets": [{"provider": "a"}]},
        },
        "rules": rules,
    })
}

fn checked(rules: Value) -> Config {
    Config::check(&serde_json::from_value(file(rules)).unwrap()).unwrap()
}

#[track_caller]
fn mistakes(rules: Value, expected: &[(&str, &str)]) {
    let file = serde_json::from_value(file(rules)).unwrap();
    let found = Config::check(&file).err().unwrap_or_default();
    let found: Vec<_> = found.iter().map(|mistake| (mistake.path.as_str(), mistake.message.as_str())).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((path, message), (expected, part)) in found.into_iter().zip(expected) {
        assert!(path == *expected && message.contains(part), "{path}: {message}, expected {expected}: {part}");
    }
}

#[test]
fn what_is_written_is_what_is_meant() {
    let config = checked(json!([
        {
            "name": "canary", "share": 2.5, "sticky_by": "header:X-Team", "override_header": "X-Canary", "use": "n",
            "when": {
                "model": "gpt-*", "stream": true, "header": {"X-Tier": {"in": ["free", 2]}},
                "parameter": {"metadata.tenant": {"not": {"prefix": "eu-"}}}, "prompt_tokens": {"gt": 8000, "lte": 9000.5},
                "any": [{"tools": false}, {"not": {"images": true}}],
            },
        },
        {"targets": [{"provider": "b"}], "fallbacks": ["m"], "mirror": {"provider": "a"}},
    ]));
    let [canary, last] = &config.rules[..] else { panic!("{:?}", config.rules) };
    let share = Share {
        parts: 25_000,
        sticky_by: Some(ShareBy::Header("x-team".to_owned())),
        override_header: Some("x-canary".to_owned()),
    };
    assert_eq!((canary.name.as_str(), canary.share.as_ref()), ("canary", Some(&share)));
    assert!(matches!(&canary.way, Way::Use(model) if model == "n"));
    let is = |subject, tests: &[Test]| Condition::Is(subject, Test::All(tests.to_vec()));
    let yes = |subject, wanted| Condition::Is(subject, Test::OneOf(vec![Scalar::Bool(wanted)]));
    let parameter = Subject::Parameter(vec!["metadata".to_owned(), "tenant".to_owned()]);
    let expected = Condition::All(vec![
        is(
            Subject::Header("x-tier".to_owned()),
            &[Test::OneOf(vec![Scalar::Text("free".to_owned()), Scalar::Number(2.into())])],
        ),
        is(parameter, &[Test::Not(Box::new(Test::All(vec![Test::Prefix("eu-".to_owned())])))]),
        Condition::Is(Subject::Model, Test::Like("gpt-*".to_owned())),
        is(Subject::PromptTokens, &[Test::Number(Side::Above, 8000.0), Test::Number(Side::To, 9000.5)]),
        yes(Subject::Stream, true),
        Condition::Any(vec![
            Condition::All(vec![yes(Subject::Tools, false)]),
            Condition::All(vec![Condition::Not(Box::new(Condition::All(vec![yes(Subject::Images, true)])))]),
        ]),
    ]);
    assert_eq!(canary.when, expected);
    assert_eq!((last.name.as_str(), last.share.as_ref(), &last.when), ("rules[1]", None, &Condition::All(Vec::new())));
    let Way::Targets(model) = &last.way else { panic!("{last:?}") };
    assert_eq!((model.targets[0].model.as_str(), &model.fallbacks), ("*", &vec!["m".to_owned()]));
    assert_eq!(last.mirror.as_ref().map(|mirror| mirror.parts), Some(1_000_000));
    let own = config.models.get("m").and_then(|model| model.mirror.as_ref()).unwrap();
    assert_eq!((own.parts, own.target.provider.as_str(), own.target.model.as_str()), (5000, "b", "c"));
    assert_eq!((config.ways().count(), config.mirrors().count()), (4, 2));
}

/// What the module reads is what the command has read.
#[test]
fn rules_survive_being_rendered() {
    let text =
        json!([{"when": {"parameter": {"a": {"gt": 1, "not": {"in": ["x", 1.5, true]}}}, "model": "x"}, "use": "n"}]);
    let file: crate::config::File = serde_json::from_value(file(text)).unwrap();
    let rendered = serde_json::to_string(&file).unwrap();
    assert_eq!(serde_json::from_str::<crate::config::File>(&rendered).unwrap(), file, "{rendered}");
}

#[test]
fn every_mistake_is_told_where_it_is() {
    let deep = (0..9).fold(json!({"stream": true}), |when, _| json!({"not": when}));
    let test = (0..9).fold(json!({"prefix": "x"}), |test, _| json!({"not": test}));
    mistakes(
        json!([
            {"when": {"stream": true}},
            {"when": {"stream": true}, "use": "o", "fallbacks": ["m"]},
            {"when": {"stream": true}, "use": "p*", "sticky_by": "user", "override_header": "x"},
            {"when": {"stream": true}, "use": "m", "targets": [{"provider": "a"}]},
            {"share": 101, "use": "m", "sticky_by": "team", "override_header": "Cookie"},
            {"share": 1, "targets": [{"provider": "c", "weight": 0}], "fallbacks": ["o"]},
            {"share": 1, "mirror": {"provider": "c", "share": -1}, "name": "x"},
            {"share": 1, "use": "m", "name": "x"},
            {"share": 1, "use": "m", "when": {
                "header": {"x y": "a", "b": {}}, "parameter": {"a..b": {"in": []}},
                "prompt_tokens": {"prefix": "1"}, "all": [{"prompt_tokens": true}],
            }},
            {"share": 1, "use": "m", "when": deep},
            {"share": 1, "use": "m", "when": {"model": test}},
            {"use": "m"},
            {"use": "m"},
            {"use": "m", "when": {}},
        ]),
        &[
            ("rules[0]", "says nothing to do"),
            ("rules[1].fallbacks", "follow `targets`"),
            ("rules[1].use", "unknown model `o`"),
            ("rules[2].use", "is a pattern"),
            ("rules[2].sticky_by", "write `share` too"),
            ("rules[2].override_header", "write `share` too"),
            ("rules[3].targets", "not both"),
            ("rules[4].sticky_by", "`header:NAME`"),
            ("rules[4].override_header", "such as `x-canary`"),
            ("rules[4].share", "between 0 and 100"),
            ("rules[5].targets", "weight 0"),
            ("rules[5].targets[0].provider", "unknown provider `c`"),
            ("rules[5].fallbacks[0]", "unknown model `o`"),
            ("rules[6].mirror.share", "between 0 and 100"),
            ("rules[6].mirror.provider", "unknown provider `c`"),
            ("rules[7].name", "already a rule `x`"),
            ("rules[8].when.header.b", "no operator"),
            ("rules[8].when.header.x y", "a header's name"),
            ("rules[8].when.parameter.a..b", "a parameter's name"),
            ("rules[8].when.parameter.a..b.in", "at least one"),
            ("rules[8].when.prompt_tokens.prefix", "this is a number"),
            ("rules[8].when.all[0].prompt_tokens", "expected a number"),
            ("rules[9].when.not.not.not.not.not.not.not.not", "nested 8 deep"),
            ("rules[10].when.model.not.not.not.not.not.not.not.not", "nested 8 deep"),
            ("rules[12]", "all of them match rules[11]"),
            ("rules[13]", "all of them match rules[12]"),
        ],
    );
}
