//! The machines without a host: Gateway, Attempt and Single, driven as Envoy drives them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![cfg(not(target_family = "wasm"))]

#[path = "exchange/embeddings.rs"]
mod embeddings;
#[path = "exchange/native.rs"]
mod native;
#[path = "exchange/observe.rs"]
mod observe;
#[path = "exchange/page.rs"]
mod page;
#[path = "exchange/properties.rs"]
mod properties;
#[path = "exchange/rows.rs"]
mod rows;
#[path = "exchange/rules.rs"]
mod rules;
mod scripted;
#[path = "exchange/single.rs"]
mod single;

use model_gateway::config::Breaker;
use model_gateway::route::{Health, Record, key};
use native::Native;
use scripted::cases::{cases, check, check_pieces};
use scripted::chat::{ENVIRONMENT, config};
use scripted::envoy::{Answer, Script, run, run_on};
use scripted::filters::{NOW, Records};
use scripted::wire::{Kind, json};
use scripted::{api_keys, keys, limits, refusals};

fn native() -> Native {
    Native::new(&config(), ENVIRONMENT)
}

#[test]
fn every_case_comes_out_as_it_should_however_its_bytes_are_cut() {
    let mut filters = native();
    for case in cases() {
        let whole = check(&mut filters, &case);
        check_pieces(&mut filters, &case, &whole, |_| true);
        check_pieces(&mut filters, &case, &whole, |index| index % 7 == 0);
        for at in (0..case.longest_answer()).filter(|_| case.delicate) {
            check_pieces(&mut filters, &case, &whole, |index| index == at);
        }
    }
}

/// As for a moment when the module is exchanged for another.
#[test]
fn attempts_in_other_vms_than_their_request_come_out_the_same() {
    let (mut all, mut none, mut first) = (native(), native(), native());
    (none.together, first.together) = (0, 1);
    for case in cases() {
        let [all, none, first] = [&mut all, &mut none, &mut first].map(|filters| run(filters, &case.script));
        for other in [none, first] {
            assert_eq!((all.status, &all.body, all.cut), (other.status, &other.body, other.cut), "{}", case.name);
            assert_eq!(all.sent, other.sent, "{}", case.name);
        }
    }
}

#[test]
fn good_answers_are_told_with_the_next_failure() {
    let (mut filters, records) = (native(), Records::default());
    let mut recent = |answer: Answer| {
        run_on(&mut filters, &Script::chat("o", false, false).answered([answer]), &records);
        let (record, _) = records.borrow().get(&key("openai/gpt-up")).cloned().unwrap();
        Health::decode(&record).unwrap().recent(NOW * 1000, &Breaker::default())
    };
    let told = [(); 3].map(|()| recent(Kind::OpenAi.good(false)));
    assert_eq!(told, [(1, 0); 3]);
    assert_eq!(recent(json(500, "{}")), (3, 1));
}

#[test]
fn what_is_no_request_is_refused() {
    refusals::refusals().iter().for_each(|refusal| refusals::check(&mut native(), refusal));
}

#[test]
fn models_are_listed() {
    refusals::check_models(&mut native());
}

#[test]
fn what_is_not_the_gateways_passes() {
    for root in ["gateway", "single"] {
        refusals::check_others(&mut native(), root);
    }
}

#[test]
fn of_several_keys_another_takes_over_and_what_is_spent_is_left() {
    api_keys::check(&mut Native::new(&api_keys::config(), api_keys::ENVIRONMENT));
}

#[test]
fn keys_open_what_they_are_for_and_nothing_else() {
    keys::check(&mut Native::new(&keys::config(), ENVIRONMENT));
}

#[test]
fn wrong_keys_are_heard_out_a_few_times() {
    keys::check_failures(&mut Native::new(&keys::config(), ENVIRONMENT));
}

#[test]
fn limits_are_reserved_and_settled() {
    let ran = |configured, check: fn(&mut dyn scripted::filters::Filters)| {
        let mut filters = Native::new(&limits::config(configured), ENVIRONMENT);
        check(&mut filters);
        assert!(filters.ledger.is_empty());
    };
    ran(limits::tokens(), limits::check_tokens);
    ran(limits::ends(), limits::check_ends);
    ran(limits::budgets(), limits::check_budgets);
    ran(limits::shared(), limits::check_shared);
}
