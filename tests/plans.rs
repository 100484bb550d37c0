//! Properties of plans, cooldowns and averages, for any configuration and any interleaving of many workers in simulated time.
//! `PROPTEST_CASES=100000` for more of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use model_gateway::config::{Breaker, Config};
use model_gateway::dialect::Operation;
use model_gateway::error::Cause;
use model_gateway::route::{Ask, Health, Shared, Standing, Version, candidates, plan, read, update};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// What all workers share. Between a worker's reading and its writing another one may get its turn.
#[derive(Default)]
struct Board<'b> {
    records: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
    /// What another worker does the next time that one reads.
    meanwhile: RefCell<Vec<Work<'b>>>,
    overtaken: Cell<u32>,
}

type Work<'b> = Box<dyn FnOnce(&Board<'b>) + 'b>;

impl Shared for Board<'_> {
    fn get(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        let (record, version) = self.records.borrow().get(key).cloned().unzip();
        let next = self.meanwhile.borrow_mut().pop();
        if let Some(work) = next {
            work(self);
        }
        (record, Version(version.unwrap_or(u32::MAX)))
    }

    fn set(&self, key: &str, record: &[u8], Version(version): Version) -> bool {
        let mut records = self.records.borrow_mut();
        let current = records.get(key).map_or(u32::MAX, |(_, version)| *version);
        if version == current {
            records.insert(key.to_owned(), (record.to_vec(), current.wrapping_add(2)));
        } else {
            self.overtaken.set(self.overtaken.get() + 1);
        }
        version == current
    }
}

fn key(target: &str) -> String {
    format!("health {target}")
}

fn change<T>(board: &dyn Shared, target: &str, change: impl Fn(&mut Health) -> T) -> T {
    update(board, &key(target), |health: &mut Health| Some(change(health))).unwrap()
}

fn config(models: Value) -> Config {
    let provider = json!({"kind": "openai"});
    let providers: BTreeMap<String, Value> = "abcdef".chars().map(|c| (c.to_string(), provider.clone())).collect();
    let file = json!({"providers": providers, "models": models, "cooldown": "10s"});
    Config::check(&serde_json::from_value(file).unwrap()).unwrap()
}

fn ask(config: &Config, now: u64, seed: u64) -> Ask<'_> {
    let model = config.models.find("m0").unwrap();
    Ask { model, operation: Operation::Chat, key: None, estimate: None, sticky: Some(seed % 7), now, seed }
}

fn target() -> impl Strategy<Value = Value> {
    ("[a-f]", select(vec!["x", "y"]), 0_u32..4, 0_u32..3).prop_map(
        |(provider, model, weight, order)| json!({"provider": provider, "model": model, "weight": weight, "order": order}),
    )
}

/// Models `m0` to `m3`, each with fallbacks among those after it.
fn models() -> impl Strategy<Value = Value> {
    let strategies = vec!["weighted", "latency", "least_busy", "sticky"];
    let model = (prop::collection::vec(target(), 1..7), select(strategies), any::<[u8; 3]>(), 1_u32..9);
    prop::collection::vec(model, 4).prop_map(|models| {
        let models = models.into_iter().enumerate().map(|(number, (mut targets, strategy, lists, attempts))| {
            // No target twice in one model, and one at least with a weight.
            let mut seen = BTreeSet::new();
            targets.retain(|it| seen.insert((it["provider"].to_string(), it["model"].to_string())));
            targets[0]["weight"] = 1.into();
            let names = |bits: u8| -> Vec<String> {
                (number + 1..4).filter(|n| bits >> n & 1 == 1).map(|n| format!("m{n}")).collect()
            };
            let model = json!({
                "targets": targets, "strategy": strategy, "attempts": attempts, "fallbacks": names(lists[0]),
                "context_window_fallbacks": names(lists[1]), "content_policy_fallbacks": names(lists[2]),
            });
            (format!("m{number}"), model)
        });
        Value::Object(models.collect())
    })
}

proptest! {
    #[test]
    fn a_plan_never_repeats_a_target_and_never_begins_with_a_cooled_one_while_another_is_well(
        models in models(), cooled in prop::collection::vec(("[a-f]", select(vec!["x", "y"]), 0_u64..30_000), 0..12),
        now in 20_000_u64..40_000, seed in any::<u64>(),
    ) {
        let config = config(models);
        let board = Board::default();
        let breaker = Breaker { cooldown: 10_000, ..Breaker::default() };
        for (provider, model, at) in &cooled {
            change(&board, &format!("{provider}/{model}"), |it| it.failed(*at, Cause::Authentication, None, &breaker));
        }
        let ask = ask(&config, now, seed);
        let known: BTreeMap<String, Standing> =
            candidates(&config, &ask, &[ask.model], &board, &mut Vec::new()).into_iter().map(|it| (it.id.to_owned(), it.standing)).collect();
        let made = plan(&config, &ask, &board).unwrap();
        let distinct = |line: &[u8]| {
            let targets: BTreeSet<_> = line.iter().map(|hop| &made.hops[usize::from(*hop)].target).collect();
            targets.len() == line.len()
        };
        prop_assert!(distinct(&made.line) && distinct(&made.context_window) && distinct(&made.content_policy));
        let hops: BTreeSet<_> = made.hops.iter().map(|hop| (&hop.provider, &hop.model)).collect();
        prop_assert_eq!(hops.len(), made.hops.len());
        prop_assert!(!made.line.is_empty() && made.line.len() <= made.attempts as usize);
        let standing = |hop: u8| known[&made.hops[usize::from(hop)].target];
        let rank = |standing| match standing {
            Standing::Well => 0,
            Standing::Due => 1,
            Standing::Cooled(until) => until,
        };
        let open = |standing: &Standing| !matches!(standing, Standing::Cooled(_));
        prop_assert!(open(&standing(made.line[0])) || !known.values().any(open));
        let rest: Vec<_> = made.line[1..].iter().map(|hop| rank(standing(*hop))).collect();
        prop_assert!(rest.is_sorted(), "{:?}", rest);
        // However it fares, nobody is asked twice.
        let mut left = made.clone();
        let mut asked = BTreeSet::new();
        let causes = [Cause::ServerError, Cause::ContextWindow, Cause::ContentPolicy, Cause::Timeout];
        for turn in 0_u64.. {
            if left.next_provider().is_none() {
                break;
            }
            let hop = left.begin(now).unwrap();
            // A list of its own may lead back to who has failed for another reason, but only by such a list.
            let cause = causes[(seed >> (turn % 32) & 3) as usize];
            prop_assert!(asked.insert((hop.provider, hop.model)), "{:?}", made);
            left.fail(cause);
        }
    }

    /// A target is down, another is well. However many workers plan at once, however long an attempt takes: from the first
    /// cooldown on no more than one request an interval goes there.
    #[test]
    fn at_most_one_probe_in_an_interval(
        seed in any::<u64>(), cooldown in 50_u64..5000, strategy in select(vec!["weighted", "latency", "sticky"]),
        requests in prop::collection::vec((0_u64..40, 0_u64..4, 0_u64..10_000), 100..400),
    ) {
        let config = config(json!({"m0": {
            "strategy": strategy, "cooldown": format!("{cooldown}ms"),
            "targets": [{"provider": "a", "model": "x"}, {"provider": "b", "model": "x"}],
        }}));
        let breaker = config.models.get("m0").unwrap().targets[0].breaker;
        // When the requests that are out at the target will have failed.
        let (config, out) = (&config, &RefCell::new(Vec::<u64>::new()));
        let (mut now, mut tripped, mut last): (u64, bool, Option<u64>) = (1_000_000, false, None);
        let mut records = BTreeMap::new();
        for (turn, (pause, overtakers, takes)) in requests.into_iter().enumerate() {
            now += pause;
            let first = &Cell::new(0);
            let one = move |board: &Board<'_>, number: u64| {
                let made = plan(config, &ask(config, now, seed ^ (turn as u64) << 8 ^ number), board).unwrap();
                if made.hops[usize::from(made.line[0])].target == "a/x" {
                    first.set(first.get() + 1);
                    out.borrow_mut().push(now + takes + 1);
                }
            };
            let board = Board { records: RefCell::new(records), ..Board::default() };
            let mut failed: Vec<u64> = out.borrow_mut().extract_if(.., |fails| *fails <= now).collect();
            failed.sort_unstable();
            for fails in failed {
                tripped |= change(&board, "a/x", |it| it.failed(fails, Cause::ServerError, None, &breaker));
            }
            let others = (0..overtakers).map(|number| Box::new(move |board: &Board<'_>| one(board, number)) as Box<_>);
            board.meanwhile.borrow_mut().extend(others);
            one(&board, 99);
            while let Some(work) = { let mut waiting = board.meanwhile.borrow_mut(); waiting.pop() } {
                work(&board);
            }
            if tripped && first.get() > 0 {
                prop_assert_eq!(first.get(), 1, "at {}", now);
                prop_assert!(last.is_none_or(|last| now - last >= cooldown), "at {}, and {:?} before", now, last);
                last = Some(now);
            }
            records = board.records.take();
        }
    }

    #[test]
    fn an_average_is_between_what_was_measured_and_fades(
        measured in prop::collection::vec((1_u64..100_000, 0_u64..100_000, 1_u64..1000), 1..60), later in 0_u64..10_000_000,
    ) {
        let mut health = Health::default();
        let typical = |(first, rest, tokens): (u64, u64, u64)| {
            let mut alone = Health::default();
            alone.took(5, first, rest, tokens);
            alone.slowness(5)
        };
        for (first, rest, tokens) in &measured {
            health.took(5, *first, *rest, *tokens);
        }
        let (least, most) = measured.iter().map(|it| typical(*it)).fold((u64::MAX, 0), |(a, b), it| (a.min(it), b.max(it)));
        let slowness = health.slowness(5);
        // Whole numbers, of 200 tokens each.
        prop_assert!(slowness + 1000 >= least && slowness <= most + 1000, "{} of {}..{}", slowness, least, most);
        prop_assert!(health.slowness(5 + later) <= slowness);
    }

    #[test]
    fn what_was_begun_and_ended_by_many_workers_is_in_flight_no_more(ends in prop::collection::vec(0_usize..40, 1..40)) {
        let board = Board::default();
        for _ in &ends {
            board.meanwhile.borrow_mut().push(Box::new(|board| change(board, "a/x", |it| it.begins(7))));
            change(&board, "a/x", |it| it.begins(7));
        }
        let in_flight = |board: &Board<'_>| read::<Health>(board, &key("a/x")).in_flight(8);
        prop_assert_eq!(in_flight(&board), ends.len() as u32 * 2);
        prop_assert!(board.overtaken.get() > 0);
        for _ in 0..ends.len() * 2 {
            change(&board, "a/x", Health::ends);
        }
        prop_assert_eq!(in_flight(&board), 0);
    }
}

/// A request a second for ten minutes. Who was slow and is fast now is found again, who is slow now is left.
#[test]
fn the_fastest_gets_the_requests_and_changes_are_noticed() {
    let config = config(json!({"m0": {
        "strategy": "latency", "targets": [{"provider": "a", "model": "x"}, {"provider": "b", "model": "x"}],
    }}));
    let board = Board::default();
    let mut firsts = Vec::new();
    for second in 0..900_u64 {
        let now = 1_000_000 + second * 1000;
        let made = plan(&config, &ask(&config, now, second.wrapping_mul(0x9E37_79B9_7F4A_7C15)), &board).unwrap();
        let first = made.hops[usize::from(made.line[0])].target.clone();
        let slow = (first == "a/x") != (300..600).contains(&second);
        let (first_token, rest) = if slow { (800, 4000) } else { (200, 1000) };
        change(&board, &first, |it| it.took(now, first_token, rest, 100));
        firsts.push(first);
    }
    for (from, to, fast) in [(100, 300, "b/x"), (400, 600, "a/x"), (700, 900, "b/x")] {
        let share = firsts[from..to].iter().filter(|first| *first == fast).count();
        assert!(share >= 170, "{share} of 200 from second {from} to {fast}");
    }
}
