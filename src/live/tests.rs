//! Nothing is lost and nothing is made up, over simulated time and whichever worker overtakes which.

use std::cell::RefCell;

use proptest::prelude::*;

use super::{Attempt, Counts, End, HOUR, MINUTE, Minute, Rows, SLOTS, Sample, Totals, Used, count, hour};
use crate::error::Cause;
use crate::route::board::Board;
use crate::route::{Record, Shared, Version};

/// Between a worker's reading and its writing others get their turns.
struct Busy<'a> {
    board: &'a Board,
    meanwhile: RefCell<Vec<Box<dyn FnOnce() + 'a>>>,
}

impl Shared for Busy<'_> {
    fn get(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        let found = self.board.get(key);
        let turn = self.meanwhile.borrow_mut().pop();
        turn.into_iter().for_each(|turn| turn());
        found
    }

    fn set(&self, key: &str, record: &[u8], version: Version) -> bool {
        self.board.set(key, record, version)
    }
}

/// A request, by numbers that tell it from others.
#[derive(Debug, Clone)]
struct Asked {
    wait: u64,
    model: u8,
    key: Option<u8>,
    end: End,
    attempts: Vec<Tried>,
    took: u64,
}

/// An attempt at it.
#[derive(Debug, Clone)]
struct Tried {
    target: String,
    end: Option<Result<(), Cause>>,
    used: Used,
}

fn asked() -> impl Strategy<Value = Asked> {
    let end = prop::sample::select(vec![End::Answered, End::Failed, End::Refused, End::Left]);
    let cause = prop::sample::select(Cause::all().collect::<Vec<_>>());
    let used = (0_u64..9000, 0_u64..90, 0_u64..900, 0_u64..1 << 40);
    let used = used.prop_map(|(input, cached, output, usd)| Used { input, cached, output, usd });
    let ends = prop::option::of(prop_oneof![Just(Ok(())), cause.prop_map(Err)]);
    let attempt = (any::<u8>(), ends, used);
    let attempt = attempt.prop_map(|(target, end, used)| Tried { target: format!("t{target}"), end, used });
    let attempts = prop::collection::vec(attempt, 0..4);
    (0_u64..40_000, any::<u8>(), prop::option::of(any::<u8>()), end, attempts, 0_u64..100_000)
        .prop_map(|(wait, model, key, end, attempts, took)| Asked { wait, model, key, end, attempts, took })
}

impl Asked {
    fn count(&self, shared: &dyn Shared, now: u64) {
        let (model, key) = (format!("m{}", self.model), self.key.map(|key| format!("k{key}")));
        let attempts = self.attempts.iter();
        let attempts: Vec<Attempt<'_>> =
            attempts.map(|Tried { target, end, used }| Attempt { target, end: *end, used: *used, took: 7 }).collect();
        let sample = Sample {
            model: Some(&model),
            key: key.as_deref(),
            end: self.end,
            attempts: &attempts,
            took: self.took,
            first: Some(self.took / 2),
            ..Sample::default()
        };
        count(shared, now, |minute| minute.add(&sample));
    }
}

fn totals(minutes: &[Minute]) -> Totals {
    let mut totals = Totals::default();
    minutes.iter().for_each(|minute| totals.add(&minute.totals));
    totals
}

proptest! {
    /// Whatever was counted within the hour is told: in the totals, by model, by key, by target, by cause and by duration.
    #[test]
    fn sums_are_what_was_put_in(all in prop::collection::vec(asked(), 1..100), overtaken in any::<u64>()) {
        let board = Board::default();
        let (mut now, mut when) = (1_700_000_000_000, Vec::new());
        let mut rest = &all[..];
        while let [first, after @ ..] = rest {
            now += first.wait;
            // So many other workers get their turns while this one has read and not written.
            let others = (overtaken >> (rest.len() % 61) & 3) as usize;
            let (others, after) = after.split_at(others.min(after.len()));
            let turns = others.iter().map(|asked| -> Box<dyn FnOnce()> { Box::new(|| asked.count(&board, now)) });
            let busy = Busy { board: &board, meanwhile: RefCell::new(turns.collect()) };
            first.count(&busy, now);
            when.extend((0..=others.len()).map(|_| now / MINUTE));
            rest = after;
        }
        let minutes = hour(&board, now);
        prop_assert_eq!(minutes.len() as u64, HOUR);
        prop_assert!(board.count() as u64 <= SLOTS);
        let oldest = now / MINUTE - (HOUR - 1);
        let told: Vec<&Asked> = all.iter().zip(&when).filter(|(_, at)| **at >= oldest).map(|(asked, _)| asked).collect();
        let tried: Vec<&Tried> = told.iter().flat_map(|asked| &asked.attempts).collect();
        let failed = tried.iter().filter(|tried| matches!(tried.end, Some(Err(_)))).count() as u64;
        let mut used = Used::default();
        tried.iter().for_each(|tried| used.add(&tried.used));

        let totals = totals(&minutes);
        let ended = |end: End| told.iter().filter(|asked| asked.end == end).count() as u64;
        prop_assert_eq!(totals.answered, ended(End::Answered));
        prop_assert_eq!(totals.failed, ended(End::Failed));
        prop_assert_eq!(totals.refused, ended(End::Refused));
        prop_assert_eq!(totals.left, ended(End::Left));
        prop_assert_eq!(totals.used, used);
        let sum = |of: fn(&Minute) -> &Rows| {
            minutes.iter().map(of).fold(Counts::default(), |mut sum, rows| { sum.add(&rows.total()); sum })
        };
        let (models, keys, targets) = (sum(|it| &it.models), sum(|it| &it.keys), sum(|it| &it.targets));
        prop_assert_eq!((models.requests, models.used), (told.len() as u64, used));
        prop_assert_eq!(keys.requests, told.iter().filter(|asked| asked.key.is_some()).count() as u64);
        prop_assert_eq!((targets.requests, targets.used, targets.failed), (tried.len() as u64, used, failed));
        let causes: u64 = Cause::all().flat_map(|cause| minutes.iter().map(move |it| it.cause(cause))).sum();
        prop_assert_eq!(causes, failed);
        let timed = |of: fn(&Minute) -> u64| -> u64 { minutes.iter().map(of).sum() };
        prop_assert_eq!((timed(|it| it.took.count()), timed(|it| it.first.count())), (totals.answered, totals.answered));
    }

    #[test]
    fn records_come_back_and_stay_small(all in prop::collection::vec(asked(), 0..200)) {
        let board = Board::default();
        all.iter().for_each(|asked| asked.count(&board, 0));
        let [minute] = &hour(&board, 0)[..] else { panic!("one minute since 1970") };
        let bytes = minute.encode();
        let decoded = Minute::decode(&bytes);
        prop_assert_eq!(decoded.as_ref(), Some(minute));
        prop_assert!(bytes.len() <= 4096, "{}", bytes.len());
        prop_assert_eq!(Minute::decode(&bytes[..bytes.len() - 8]), None);
    }

    #[test]
    fn no_bytes_are_a_danger(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Minute::decode(&bytes);
    }
}

#[test]
fn an_hour_is_forgotten_minute_by_minute() {
    let board = Board::default();
    let ask = |now| count(&board, now, |minute| minute.add(&Sample::default()));
    for minute in 0..200 {
        ask(minute * MINUTE + 59_999);
    }
    assert_eq!(totals(&hour(&board, 199 * MINUTE)).answered, 60);
    assert_eq!(totals(&hour(&board, 200 * MINUTE)).answered, 59);
    assert_eq!(totals(&hour(&board, 1000 * MINUTE)), Totals::default());
    // A worker whose clock is a little behind counts where it belongs; one that is hours behind counts nowhere.
    ask(198 * MINUTE);
    ask(100 * MINUTE);
    assert_eq!(totals(&hour(&board, 199 * MINUTE)).answered, 61);
    assert_eq!(board.count() as u64, SLOTS);
}
