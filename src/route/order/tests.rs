//! The order of targets by configuration, health and chance.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::board::Board;
use super::super::health::Health;
use super::super::keys::Keys;
use super::super::plan::Plan;
use super::super::shared::{Shared, Version, update};
use super::{Ask, Unfit, key, plan};
use crate::config::Config;
use crate::dialect::Operation;
use crate::error::Cause;
use crate::facts::Needs;
use crate::tokens::Estimate;

fn config(models: Value) -> Config {
    let provider = json!({"kind": "openai"});
    let mut providers: BTreeMap<String, Value> =
        "abcdefghij".chars().map(|c| (c.to_string(), provider.clone())).collect();
    providers.insert("n".to_owned(), json!({"kind": "anthropic"}));
    let file = json!({"providers": providers, "models": models, "cooldown": "10s"});
    Config::check(&serde_json::from_value(file).unwrap()).unwrap()
}

/// A model of equal targets, one for each letter.
fn equals(letters: &str, strategy: &str) -> Config {
    let targets: Vec<Value> = letters.chars().map(|c| json!({"provider": c.to_string()})).collect();
    config(json!({"m": {"targets": targets, "strategy": strategy}}))
}

/// A model whose first target has two credentials.
fn two_keys() -> Config {
    let file = json!({
        "providers": {"a": {"kind": "openai", "api_keys": ["${A}", "${B}"]}, "b": {"kind": "openai", "api_key": "${A}"}},
        "models": {"m": {"targets": [{"provider": "a"}, {"provider": "b", "order": 1}]}},
        "cooldown": "10s",
    });
    Config::check(&serde_json::from_value(file).unwrap()).unwrap()
}

struct Asked<'b> {
    board: &'b dyn Shared,
    now: u64,
    seed: u64,
    sticky: Option<u64>,
}

fn planned(config: &Config, model: &str, asked: &Asked<'_>) -> Option<Plan> {
    let ask = Ask {
        model: config.models.find(model)?,
        operation: Operation::Chat,
        key: None,
        estimate: None,
        sticky: asked.sticky,
        now: asked.now,
        seed: asked.seed,
    };
    plan(config, &ask, asked.board).ok()
}

/// The providers' names, in order.
fn line(plan: &Plan) -> String {
    plan.line.iter().map(|hop| plan.hops[usize::from(*hop)].provider.as_str()).collect()
}

fn providers(config: &Config, model: &str, board: &dyn Shared, now: u64, seed: u64) -> String {
    line(&planned(config, model, &Asked { board, now, seed, sticky: None }).unwrap())
}

fn change(config: &Config, board: &Board, provider: &str, change: impl Fn(&mut Health)) {
    let target = config.models.get("m").unwrap().targets.iter().find(|target| target.provider == provider).unwrap();
    let id = format!("{}/{}", target.provider, target.model);
    let changed = update(board, &key(&id), |health: &mut Health| {
        change(health);
        Some(())
    });
    assert_eq!(changed, Some(()));
}

fn trip(config: &Config, board: &Board, provider: &str, now: u64) {
    let breaker = config.models.get("m").unwrap().targets[0].breaker;
    change(config, board, provider, |health| assert!(health.failed(now, Cause::Authentication, None, &breaker)));
}

#[test]
fn fallbacks_come_in_order_and_none_twice() {
    let config = config(json!({
        "m": {"targets": [{"provider": "a", "model": "x"}], "fallbacks": ["n", "p"]},
        "n": {"targets": [{"provider": "b", "model": "x"}, {"provider": "a", "model": "x", "weight": 0}], "fallbacks": ["o"]},
        "o": {"targets": [{"provider": "c"}]},
        "p": {"targets": [{"provider": "d"}]},
        "few": {"targets": [{"provider": "a"}], "fallbacks": ["m"], "attempts": 2},
    }));
    let board = Board::default();
    assert_eq!(providers(&config, "m", &board, 0, 7), "abcd");
    assert_eq!(providers(&config, "few", &board, 0, 1).len(), 2);
}

#[test]
fn lower_orders_come_first_and_weight_0_last_within_one() {
    let config = config(json!({"m": {"targets": [
        {"provider": "a", "order": 2}, {"provider": "b", "weight": 0}, {"provider": "c"}, {"provider": "d", "order": 1}
    ]}}));
    for seed in 0..50 {
        assert_eq!(providers(&config, "m", &Board::default(), 0, seed), "cbda");
    }
}

#[test]
fn patterns_and_aliases_lead_to_the_providers_own_names() {
    let config = config(json!({
        "claude*": {"targets": [{"provider": "a"}]},
        "a/*": {"targets": [{"provider": "a", "model": "*"}]},
        "a/x-*": {"targets": [{"provider": "b", "model": "y-*-z"}]},
        "m": {"targets": [{"provider": "a", "model": "own"}], "aliases": ["other"]},
    }));
    let models = |name: &str| {
        let plan = planned(&config, name, &Asked { board: &Board::default(), now: 0, seed: 0, sticky: None })?;
        Some(format!("{} {}", line(&plan), plan.hops[0].model))
    };
    assert_eq!(models("claude-sonnet-4-5").as_deref(), Some("a claude-sonnet-4-5"));
    assert_eq!(models("a/gpt-4o").as_deref(), Some("a gpt-4o"));
    assert_eq!(models("a/x-1").as_deref(), Some("b y-1-z"));
    assert_eq!(models("other").as_deref(), Some("a own"));
    for unknown in
        ["a/", "b/gpt", "claude*", "a/../b", "a//b", "a/b?c", "a/%2e", "a/\u{e9}", &format!("a/{}", "x".repeat(200))]
    {
        assert_eq!(models(unknown), None, "{unknown}");
    }
    assert_eq!(config.models.names(), ["m", "other"]);
}

#[test]
fn targets_that_do_not_offer_the_operation_are_left_out() {
    let config = config(
        json!({"m": {"targets": [{"provider": "n"}, {"provider": "a"}]}, "n": {"targets": [{"provider": "n"}]}}),
    );
    let asked = |model: &str| {
        let ask = Ask {
            model: config.models.find(model).unwrap(),
            operation: Operation::Moderations,
            key: None,
            estimate: None,
            sticky: None,
            now: 0,
            seed: 0,
        };
        plan(&config, &ask, &Board::default()).ok().map(|plan| line(&plan))
    };
    assert_eq!((asked("m").as_deref(), asked("n")), (Some("a"), None));
}

#[test]
fn first_places_converge_to_the_weights() {
    let config = config(json!({"m": {"targets": [
        {"provider": "a", "weight": 9}, {"provider": "b", "weight": 1}, {"provider": "c", "weight": 0}
    ]}}));
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    const RUNS: u32 = 20_000;
    for seed in 0..RUNS {
        *counts.entry(providers(&config, "m", &Board::default(), 0, u64::from(seed))).or_default() += 1;
    }
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["abc", "bac"]);
    // Five standard deviations of a binomial with p = 0.1.
    let deviation = f64::from(RUNS * 9 / 100).sqrt() * 5.0;
    assert!((f64::from(counts["bac"]) - f64::from(RUNS / 10)).abs() < deviation, "{counts:?}");
}

#[test]
fn a_target_that_is_left_alone_comes_last_wherever_others_are_well() {
    let config = config(json!({
        "m": {"targets": [{"provider": "a"}, {"provider": "b"}], "fallbacks": ["o"]},
        "o": {"targets": [{"provider": "c"}]},
    }));
    let board = Board::default();
    trip(&config, &board, "a", 1000);
    trip(&config, &board, "b", 3000);
    for seed in 0..50 {
        assert_eq!(providers(&config, "m", &board, 5000, seed), "cab");
    }
    // With all of them cooled the first to be well again is first: the last target is never left alone.
    let breaker = config.models.get("m").unwrap().targets[0].breaker;
    let tripped = update(&board, &key("c/o"), |health: &mut Health| {
        Some(health.failed(2000, Cause::Authentication, None, &breaker))
    });
    assert_eq!(tripped, Some(true));
    assert_eq!(providers(&config, "m", &board, 5000, 1), "acb");
}

#[test]
fn one_request_per_cooldown_sees_whether_a_target_is_well() {
    let config = equals("ab", "weighted");
    let board = Board::default();
    trip(&config, &board, "a", 0);
    let firsts = |from: u64, to: u64| {
        (from..to).step_by(10).filter(|now| providers(&config, "m", &board, *now, *now).starts_with('a')).count()
    };
    assert_eq!(firsts(0, 10_000), 0);
    assert_eq!((firsts(10_000, 20_000), firsts(20_000, 30_000), firsts(30_000, 60_000)), (1, 1, 3));
    let breaker = config.models.get("m").unwrap().targets[0].breaker;
    change(&config, &board, "a", |health| assert!(health.succeeded(60_000, &breaker)));
    assert!(firsts(60_000, 70_000) > 400);
}

/// Glances show what was there a moment ago.
struct Late<'b> {
    now: &'b Board,
    then: Board,
}

impl Shared for Late<'_> {
    fn get(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        self.now.get(key)
    }

    fn glance(&self, key: &str) -> Option<Vec<u8>> {
        self.then.get(key).0
    }

    fn set(&self, key: &str, record: &[u8], version: Version) -> bool {
        self.now.set(key, record, version)
    }
}

#[test]
fn a_target_that_is_well_again_is_found_at_once_whichever_worker_saw_it() {
    let config = two_keys();
    let (board, breaker) = (Board::default(), config.models.get("m").unwrap().targets[0].breaker);
    let seen_by_another = |then: Board| {
        let late = Late { now: &board, then };
        [10_001, 10_002].map(|now| providers(&config, "m", &late, now, now))
    };
    trip(&config, &board, "a", 0);
    let then = board.clone();
    assert_eq!(seen_by_another(then.clone()), ["ab", "ba"]);
    change(&config, &board, "a", |health| assert!(health.succeeded(10_001, &breaker)));
    assert_eq!(seen_by_another(then), ["ab", "ab"]);

    // Of keys each worker knows at once that they are refused, too.
    let keys = Keys { provider: "a", all: &config.providers["a"].keys };
    let well = board.clone();
    for (key, at) in [(0, 0), (1, 5000)] {
        assert!(keys.refused(key, at, Cause::RateLimited, None, &breaker, &board));
    }
    let late = Late { now: &board, then: well };
    assert_eq!(providers(&config, "m", &late, 9_999, 1), "ba");
    let then = board.clone();
    assert_eq!(seen_by_another(then.clone()), ["ab", "ba"]);
    assert!(keys.accepted(0, 10_001, &breaker, &board));
    assert_eq!(seen_by_another(then), ["ab", "ab"]);
}

#[test]
fn the_fastest_is_first_but_for_a_few_requests_that_explore() {
    let config = equals("abc", "latency");
    let board = Board::default();
    for (provider, first) in [("a", 300), ("b", 100), ("c", 200)] {
        change(&config, &board, provider, |health| health.took(1000, first, 0, 0));
    }
    let lines: Vec<String> = (0..1000).map(|seed| providers(&config, "m", &board, 1000, seed)).collect();
    let fastest = lines.iter().filter(|line| *line == "bca").count();
    assert!((900..1000).contains(&fastest), "{fastest}");
    // Nobody asked for long: all are the same again.
    let first = (0..1000).filter(|seed| providers(&config, "m", &board, 10_000_000, *seed).starts_with('b')).count();
    assert!((250..420).contains(&first), "{first}");
}

#[test]
fn the_least_busy_is_first() {
    let config = config(json!({"m": {"strategy": "least_busy", "targets": [
        {"provider": "a", "weight": 4}, {"provider": "b"}, {"provider": "c"}
    ]}}));
    let board = Board::default();
    for (provider, busy) in [("a", 3), ("b", 1), ("c", 2)] {
        (0..busy).for_each(|_| change(&config, &board, provider, |health| health.begins(1000)));
    }
    // 3/4, 1, 2 requests for each unit of weight.
    assert_eq!(providers(&config, "m", &board, 1000, 5), "abc");
}

#[test]
fn what_sticks_goes_to_the_same_target_and_moves_only_for_a_new_one() {
    let first = |config: &Config, sticky: u64| {
        let board = Board::default();
        let at =
            |seed| line(&planned(config, "m", &Asked { board: &board, now: 0, seed, sticky: Some(sticky) }).unwrap());
        assert_eq!(at(1), at(2));
        at(1).chars().next().unwrap()
    };
    let (before, after) = (equals("abcd", "sticky"), equals("abcde", "sticky"));
    let mut moved = 0;
    let mut counts: BTreeMap<char, u32> = BTreeMap::new();
    for sticky in 0..10_000 {
        let (old, new) = (first(&before, sticky), first(&after, sticky));
        *counts.entry(new).or_default() += 1;
        if old != new {
            assert_eq!(new, 'e');
            moved += 1;
        }
    }
    // A fifth of 10,000, give or take five standard deviations.
    for count in counts.values().chain([&moved]) {
        assert!((1800..2200).contains(count), "{counts:?}, {moved}");
    }
}

#[test]
fn refusals_have_lists_of_their_own() {
    let config = config(json!({
        "m": {"targets": [{"provider": "a"}, {"provider": "b", "weight": 0}], "context_window_fallbacks": ["long"],
              "content_policy_fallbacks": ["free"], "retries": {"rate_limited": 0, "timeout": 1}},
        "long": {"targets": [{"provider": "c"}, {"provider": "a", "model": "m"}], "fallbacks": ["free"]},
        "free": {"targets": [{"provider": "d"}]},
    }));
    let fresh = planned(&config, "m", &Asked { board: &Board::default(), now: 0, seed: 1, sticky: None }).unwrap();
    assert_eq!((line(&fresh).as_str(), fresh.most_attempts()), ("ab", 4));
    let after = |causes: &[Cause]| {
        let (mut plan, mut way) = (fresh.clone(), String::new());
        for cause in causes {
            way += &plan.begin(0).unwrap().provider;
            if !plan.fail(*cause) {
                return way;
            }
        }
        way + "+" + plan.next_provider().unwrap()
    };
    assert_eq!(after(&[Cause::ServerError]), "a+b");
    assert_eq!(after(&[Cause::ServerError, Cause::ServerError]), "ab");
    // Not to `a` again, which has refused it.
    assert_eq!(after(&[Cause::ContextWindow]), "a+c");
    assert_eq!(after(&[Cause::ContextWindow, Cause::ServerError]), "ac+d");
    assert_eq!(after(&[Cause::ContextWindow, Cause::ContextWindow]), "ac");
    assert_eq!(after(&[Cause::ContentPolicy, Cause::Overloaded]), "ad");
    assert_eq!(after(&[Cause::RateLimited]), "a");
    assert_eq!(after(&[Cause::Timeout]), "a+b");
    assert_eq!(after(&[Cause::BadRequest]), "a");
}

#[test]
fn what_envoy_tries_again_by_itself_is_judged_by_the_next_attempt() {
    let config = config(
        json!({"m": {"targets": [{"provider": "a"}, {"provider": "b"}, {"provider": "c"}], "retries": {"timeout": 0}}}),
    );
    let asked = Asked { board: &Board::default(), now: 0, seed: 1, sticky: None };
    let mut plan = Plan { patience: 1000, ..planned(&config, "m", &asked).unwrap() };
    assert_eq!(plan.given_up(0), None);
    let first = plan.begin(50).unwrap();
    assert_eq!(plan.given_up(60).map(|(hop, cause)| (hop.clone(), cause)), Some((first, Cause::Connection)));
    let second = plan.begin(60).unwrap();
    assert_eq!(plan.given_up(1060).map(|(hop, cause)| (hop.clone(), cause)), Some((second, Cause::Timeout)));
    // Envoy's timer may be early, but not by much.
    assert_eq!(plan.given_up(1012).map(|(_, cause)| cause), Some(Cause::Timeout));
    assert_eq!(plan.given_up(1000).map(|(_, cause)| cause), Some(Cause::Connection));
    // No attempt is to follow a timeout; and where none is left, none can.
    assert_eq!(plan.clone().begin(1060).unwrap_err().cause, Cause::Timeout);
    plan.begin(70).unwrap();
    assert_eq!(plan.begin(80).unwrap_err().cause, Cause::Connection);
}

#[test]
fn a_target_is_as_well_as_the_best_of_its_keys() {
    let config = two_keys();
    let board = Board::default();
    let keys = Keys { provider: "a", all: &config.providers["a"].keys };
    let breaker = config.models.get("m").unwrap().targets[0].breaker;
    let ask = |now| {
        let plan = planned(&config, "m", &Asked { board: &board, now, seed: now, sticky: None }).unwrap();
        let first = &plan.hops[usize::from(plan.line[0])];
        (line(&plan), first.probe)
    };
    assert!(keys.refused(0, 0, Cause::Authentication, None, &breaker, &board));
    assert_eq!(ask(1), ("ab".to_owned(), None));
    assert!(keys.refused(1, 0, Cause::RateLimited, None, &breaker, &board));
    assert_eq!(ask(9_999), ("ba".to_owned(), None));
    // One request sees whether the key is well again; until it has, the others go elsewhere.
    assert_eq!(ask(10_000), ("ab".to_owned(), Some(1)));
    assert_eq!(ask(10_001), ("ba".to_owned(), None));
    assert!(keys.accepted(1, 10_002, &breaker, &board));
    assert_eq!(ask(10_003), ("ab".to_owned(), None));
}

#[test]
fn targets_that_lack_what_is_needed_are_left_out() {
    let config = config(json!({"m": {"targets": [
        {"provider": "a", "can": {"vision": false}},
        {"provider": "b", "can": {"context": 100}, "weight": 0},
    ]}}));
    let asked = |vision: bool, input: u64| {
        let estimate = Estimate { input, needs: Needs { vision, ..Needs::default() }, ..Estimate::default() };
        let ask = Ask {
            model: config.models.find("m").unwrap(),
            operation: Operation::Chat,
            key: None,
            estimate: Some(estimate),
            sticky: None,
            now: 0,
            seed: 0,
        };
        plan(&config, &ask, &Board::default()).map(|plan| line(&plan))
    };
    assert_eq!(asked(false, 201).as_deref(), Ok("ab"));
    assert_eq!(asked(true, 201).as_deref(), Ok("b"));
    assert_eq!(asked(false, 202).as_deref(), Ok("a"));
    assert_eq!(asked(true, 202), Err(Unfit::Lacks("vision")));
    let model = config.models.get("m").unwrap();
    assert!(config.models.is_picky(model, 1));
}

#[test]
fn the_cheapest_is_first_and_what_nobody_knows_last() {
    let price = |input: &str, output: &str| json!({"input": input, "output": output});
    let config = config(json!({"m": {"strategy": "cheapest", "targets": [
        {"provider": "a"},
        {"provider": "b", "price": price("1", "10")},
        {"provider": "c", "price": price("2", "2")},
    ]}}));
    // 1000 tokens in and 300 out: 4000 and 2600 millionths of a dollar.
    for seed in 0..20 {
        assert_eq!(providers(&config, "m", &Board::default(), 0, seed), "cba");
    }
}

#[test]
fn what_nobody_knows_the_price_of_is_not_asked_where_that_is_to_be_refused() {
    for (policy, expected) in [
        (json!("unknown"), Ok(vec!["a", "b", "c"])),
        (json!("refuse"), Ok(vec!["b", "c"])),
        (json!({"use": {"input": 1, "output": 1}}), Ok(vec!["a", "b", "c"])),
    ] {
        let file = json!({
            "providers": {"a": {"kind": "openai"}, "b": {"kind": "openai"}, "c": {"kind": "openai"}},
            "models": {
                "m": {"targets": [
                    {"provider": "a", "model": "nobody's", "order": 0},
                    {"provider": "b", "model": "nobody's", "price": {"input": 1, "output": 2}, "order": 1},
                    {"provider": "c", "model": "gpt-4o", "order": 2},
                ]},
                "x": {"targets": [{"provider": "a", "model": "nobody's"}]},
            },
            "unknown_price": policy,
        });
        let config = Config::check(&serde_json::from_value(file).unwrap()).unwrap();
        let asked = |model: &str| {
            let ask = Ask {
                model: config.models.find(model).unwrap(),
                operation: Operation::Chat,
                key: None,
                estimate: None,
                sticky: None,
                now: 0,
                seed: 0,
            };
            let plan = plan(&config, &ask, &Board::default())?;
            Ok(plan.hops.into_iter().map(|hop| hop.provider).collect::<Vec<_>>())
        };
        assert_eq!(asked("m"), expected.map(|all| all.into_iter().map(str::to_owned).collect()), "{policy}");
        assert_eq!(asked("x").is_err(), policy == "refuse", "{policy}");
        assert!(policy != "refuse" || asked("x") == Err(Unfit::Price));
    }
}
