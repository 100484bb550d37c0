//! Requests and what they reserve, over all limits that are about them.
use core::cell::{Cell, RefCell};
use std::rc::Rc;

use proptest::prelude::*;

use super::place::{PLACES, RECORDS, subject};
use super::{Amounts, At, Attempted, Refused, Reservation, Who, has_room, look, reserve};
use crate::config::{Amount, Config, Group, Key, Scope};
use crate::route::board::Board;
use crate::route::{Shared, Version};

fn config(limits: serde_json::Value) -> Config {
    let file = serde_json::json!({
        "providers": {"a": {"kind": "openai"}},
        "models": {"m": {"targets": [{"provider": "a"}]}, "cheap": {"targets": [{"provider": "a"}]}},
        "limits": limits,
    });
    Config::check(&serde_json::from_value(file).unwrap()).unwrap()
}

const fn nobody_waits(_: &str) -> bool {
    false
}

const ONE: Amounts = Amounts { input: 100, output: 50, usd: 7 };

fn ask(config: &Config, user: &str, now: u64, board: &Board) -> Result<Reservation, Refused> {
    let who = Who { user: Some(user), model: "m", ..Who::default() };
    reserve(&config.groups, who, ONE, false, &nobody_waits, now, board)
}

#[test]
fn all_limits_are_reserved_or_none() {
    let config = config(serde_json::json!([
        {"requests": 10, "per": "minute"}, {"concurrent": 2}, {"tokens": 1000, "per": "day", "by": ["user"]}
    ]));
    let board = Board::default();
    let first = ask(&config, "u", 0, &board).unwrap();
    assert_eq!(first.room.iter().map(|room| room.left).collect::<Vec<_>>(), [9, 1, 850]);
    let second = ask(&config, "v", 0, &board).unwrap();
    let refused = ask(&config, "u", 0, &board).unwrap_err();
    assert_eq!((refused.limit.as_str(), refused.hopeless), ("2 requests at a time", false));
    // What was refused has not used a request up.
    first.settle(Amounts { input: 10, output: 0, usd: 0 }, 1, &board);
    let third = ask(&config, "u", 1, &board).unwrap();
    assert_eq!(third.room.iter().map(|room| room.left).collect::<Vec<_>>(), [7, 0, 840]);
    third.settle(ONE, 2, &board);
    second.settle(Amounts::default(), 2, &board);
}

#[test]
fn soft_limits_tell_and_count() {
    let config = config(serde_json::json!([{"tokens": 100, "per": "hour", "soft": true}]));
    let board = Board::default();
    let passed = ask(&config, "u", 0, &board).unwrap();
    assert_eq!(passed.passed, ["100 tokens per hour"]);
    passed.settle(Amounts { input: 60, ..Amounts::default() }, 0, &board);
    let refused = ask(&config, "u", 0, &board).unwrap();
    assert_eq!(refused.passed.len(), 1);
}

#[test]
fn more_users_than_records_are_held_to_one_account_and_nobody_goes_free() {
    let config = config(serde_json::json!([{"requests": 1, "per": "day", "by": ["user"]}]));
    let board = Board::default();
    let (mut good, mut twice) = (0, 0);
    for user in 0..40_000 {
        let user = format!("u{user}");
        good += u32::from(ask(&config, &user, 0, &board).is_ok());
        twice += u32::from(ask(&config, &user, 0, &board).is_ok());
    }
    assert!(good > 16_000 && good <= 16_386 && twice == 0, "{good} {twice}");
    assert!(board.count() <= 16_385, "{}", board.count());
    // The next day they are all free again.
    assert!(ask(&config, "new", 86_400_000, &board).is_ok());
}

#[test]
fn an_account_is_found_again_when_a_place_before_it_becomes_free() {
    let config = config(serde_json::json!([{"tokens": 150, "per": "day", "by": ["user"]}]));
    let limit = &config.limits[0];
    let first_place =
        |user: &str| subject(&limit.scope, Who { user: Some(user), model: "m", ..Who::default() }) % RECORDS;
    let other = (0..).map(|number| format!("u{number}")).find(|user| first_place(user) == first_place("one"));
    let (board, other) = (Board::default(), other.unwrap());
    let one = ask(&config, "one", 0, &board).unwrap();
    ask(&config, &other, 0, &board).unwrap().settle(ONE, 0, &board);
    one.settle(Amounts::default(), 0, &board);
    assert!(ask(&config, &other, 0, &board).is_err(), "it has used all that it may");
}

#[test]
fn a_limit_of_a_provider_counts_each_attempt_where_it_went() {
    let config = config(serde_json::json!([
        {"requests": 5, "per": "day", "by": ["provider"]}, {"tokens": 1000, "per": "day", "by": ["target"]},
        {"concurrent": 1, "by": ["provider"]}, {"requests": 9, "per": "day"},
    ]));
    let board = Board::default();
    let at = |provider, target| At { provider, target };
    let [a, a2, b] = [at("a", "a/m"), at("a", "a/n"), at("b", "b/m")];
    let who = |at| Who { model: "m", at: Some(at), ..Who::default() };
    let reserve = |at| reserve(&config.groups, who(at), ONE, false, &nobody_waits, 0, &board);
    let room = |at| has_room(&config.groups, who(at), ONE, 0, &board);
    let seen = |limit: usize, at| look(&config.limits[limit], who(at), 0, &board).map(|seen| (seen.used, seen.held));
    let held = reserve(a).unwrap();
    assert_eq!((held.room.len(), seen(0, a), seen(1, a), seen(1, a2)), (3, Some((1, 0)), Some((0, 150)), Some((0, 0))));
    assert!(!room(a) && !room(a2) && room(b), "only one at a time");
    let attempt = |at, input| Attempted { at, used: Amounts { input, ..Amounts::default() } };
    held.settle_attempts(
        &config.groups,
        Who { model: "m", ..Who::default() },
        &[attempt(a, 10), attempt(a2, 20), attempt(b, 70)],
        0,
        &board,
    );
    assert_eq!([seen(0, a), seen(0, b)], [Some((2, 0)), Some((1, 0))]);
    assert_eq!([seen(1, a), seen(1, a2), seen(1, b)], [Some((10, 0)), Some((20, 0)), Some((70, 0))]);
    // One that never went out has been asked for all the same, and used nothing.
    reserve(b).unwrap().settle_attempts(&config.groups, who(b), &[], 0, &board);
    assert_eq!([seen(0, b), seen(1, b), seen(2, b)], [Some((2, 0)), Some((70, 0)), Some((0, 0))]);
    reserve(b).unwrap().take_back(0, &board);
    assert_eq!((seen(0, b), seen(3, b)), (Some((2, 0)), None));
}

#[test]
fn names_that_tokens_bring_are_their_own_and_fill_nothing() {
    let mut config = config(serde_json::json!([{"requests": 1, "per": "day", "by": ["key"]}]));
    let board = Board::default();
    let unbounded = Scope { unbounded: true, ..config.limits[0].scope.as_ref().clone() };
    config.groups = vec![Rc::new(Group { scope: Rc::new(unbounded), limits: config.limits.clone() })];
    let ask = |name: String, foreign| {
        let key = Key { name, foreign, ..Key::default() };
        let who = Who { key: Some(&key), model: "m", ..Who::default() };
        reserve(&config.groups, who, ONE, false, &nobody_waits, 0, &board).is_ok()
    };
    assert!(ask("x".to_owned(), false) && ask("x".to_owned(), true), "a token is no key of that name");
    assert!(!ask("x".to_owned(), false) && !ask("x".to_owned(), true));
    let good = (0..20_000).filter(|number: &u32| ask(number.to_string(), true)).count();
    assert!(good > 16_000, "{good}");
    assert!(board.count() <= 16_385, "{}", board.count());
}

#[test]
fn who_may_wait_is_told_what_for_and_waits_behind_others() {
    let config =
        config(serde_json::json!([{"tokens": 200, "per": "hour", "wait": "5s"}, {"requests": 9, "per": "day"}]));
    let board = Board::default();
    let who = Who { model: "m", ..Who::default() };
    let first = ask(&config, "u", 0, &board).unwrap();
    let turn = ask(&config, "u", 0, &board).unwrap_err().turn.unwrap();
    assert_eq!((turn.patience(), turn.has_come(0, &board)), (5000, false));
    first.settle(Amounts::default(), 0, &board);
    assert!(turn.has_come(0, &board));
    let behind = |account: &str| account == turn.account();
    let refused = reserve(&config.groups, who, ONE, false, &behind, 0, &board).unwrap_err();
    assert_eq!(refused.turn, Some(turn));
    // What can never fit need not wait.
    let much = Amounts { input: 300, ..ONE };
    assert_eq!(reserve(&config.groups, who, much, false, &nobody_waits, 0, &board).unwrap_err().turn, None);
}

#[test]
fn what_can_never_fit_is_told() {
    let config = config(serde_json::json!([{"tokens": 100, "per": "hour"}]));
    assert!(ask(&config, "u", 0, &Board::default()).unwrap_err().hopeless);
}

#[test]
fn what_one_limit_of_a_record_refuses_the_others_do_not_count() {
    let config = config(serde_json::json!([
        {"requests": 10, "per": "minute"}, {"tokens": 200, "per": "day"}, {"tokens": 9, "per": "hour", "soft": true},
    ]));
    let board = Board::default();
    let held = ask(&config, "u", 0, &board).unwrap();
    assert_eq!((board.count(), ask(&config, "u", 0, &board).unwrap_err().limit.as_str()), (1, "200 tokens per day"));
    let who = Who { model: "m", ..Who::default() };
    let seen = || config.limits.iter().map(|limit| look(limit, who, 0, &board).unwrap()).map(|it| (it.used, it.held));
    assert_eq!(seen().collect::<Vec<_>>(), [(1, 0), (0, 150), (0, 0)]);
    held.settle(ONE, 0, &board);
    assert_eq!(seen().collect::<Vec<_>>(), [(1, 0), (150, 0), (150, 0)]);
}

#[test]
fn what_is_asked_in_one_record_is_one_look_and_one_change() {
    let limits = [
        serde_json::json!({"requests": 10, "per": "minute", "by": ["user"]}),
        serde_json::json!({"tokens": 1000, "per": "day", "by": ["user"]}),
        serde_json::json!({"usd": 1000, "rolling": "5h", "by": ["user"]}),
    ];
    let config = config(limits.into());
    let board = Board::default();
    let (looks, busy) = (Cell::new(0), Cell::new(false));
    let counted = Between { board: &board, between: &|| looks.set(looks.get() + 1), busy: &busy };
    for each in [PLACES, 1] {
        looks.set(0);
        let who = Who { user: Some("u"), model: "m", ..Who::default() };
        let held = reserve(&config.groups, who, ONE, false, &nobody_waits, 0, &counted).unwrap();
        // Who is new may be known in another place.
        assert_eq!(looks.replace(0), each);
        held.settle(ONE, 0, &counted);
        assert_eq!(looks.get(), 1);
    }
}

#[test]
fn a_change_of_configuration_keeps_what_its_other_limits_have_counted() {
    let before = config(serde_json::json!([
        {"requests": 10, "per": "day", "by": ["user"]}, {"tokens": 1000, "per": "day", "by": ["user"]},
        {"concurrent": 3, "by": ["user"]},
    ]));
    // One is gone, one is new in front, one has another number.
    let after = config(serde_json::json!([
        {"output_tokens": 500, "per": "day", "by": ["user"]}, {"concurrent": 3, "by": ["user"]},
        {"requests": 10, "per": "day", "by": ["user"]}, {"tokens": 2000, "per": "day", "by": ["user"]},
    ]));
    let board = Board::default();
    let seen = |config: &Config| -> Vec<(u64, u64)> {
        let who = Who { user: Some("u"), model: "m", ..Who::default() };
        config.limits.iter().map(|limit| look(limit, who, 9, &board).map(|it| (it.used, it.held)).unwrap()).collect()
    };
    ask(&before, "u", 0, &board).unwrap().settle(ONE, 0, &board);
    let draining = ask(&before, "u", 0, &board).unwrap();
    assert_eq!(seen(&before), [(2, 0), (150, 150), (0, 1)]);
    assert_eq!(seen(&after), [(0, 0), (0, 1), (2, 0), (0, 0)]);
    let new = ask(&after, "u", 1, &board).unwrap();
    draining.settle(ONE, 2, &board);
    assert_eq!(seen(&after), [(0, 50), (0, 1), (3, 0), (0, 150)]);
    new.settle(ONE, 3, &board);
    assert_eq!(
        (seen(&after), seen(&before)),
        (vec![(50, 0), (0, 0), (3, 0), (150, 0)], vec![(3, 0), (300, 0), (0, 0)])
    );
    assert_eq!(board.count(), 1);
}

#[test]
fn a_record_stays_small_whatever_configurations_come() {
    let board = Board::default();
    let config = |most: u64| config(serde_json::json!([{"requests": most, "per": "day"}, {"concurrent": 1000 + most}]));
    let who = Who { model: "m", ..Who::default() };
    let used = |most: u64| look(&config(most).limits[0], who, 0, &board).unwrap().used;
    for most in 1000..1100 {
        ask(&config(most), "u", 0, &board).unwrap().settle(ONE, 0, &board);
        // Of old ones that is kept which is still asked for.
        ask(&config(1), "u", 0, &board).map(|held| held.settle(ONE, 0, &board)).ok();
    }
    assert_eq!((board.count(), used(1), used(1099), used(1080), used(1000)), (1, 1, 1, 1, 0));
    let record = format!("limit {:x} {:x}", config(1).groups[0].scope.id, 1);
    let length = board.get(&record).0.unwrap().len();
    assert!(length < 2500, "{length}");
    // What nobody has anything in goes by itself.
    ask(&config(1), "u", 86_400_000, &board).unwrap();
    assert!(board.get(&record).0.unwrap().len() < 150);
}

/// Records with something that happens between a look and the change that follows it.
struct Between<'a> {
    board: &'a Board,
    between: &'a dyn Fn(),
    busy: &'a Cell<bool>,
}

impl Shared for Between<'_> {
    fn get(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        let got = self.board.get(key);
        if !self.busy.replace(true) {
            (self.between)();
            self.busy.set(false);
        }
        got
    }

    fn set(&self, key: &str, record: &[u8], version: Version) -> bool {
        self.board.set(key, record, version)
    }
}

/// A request of the property below: by which configuration, of which user, and what it used if it is over.
struct Asked {
    config: usize,
    user: u8,
    held: Option<Reservation>,
    used: Amounts,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever order requests of several users and configurations begin and end in, and whoever comes between: each limit has
    /// what was settled as used, what is under way as held, and nothing of what was refused or taken back.
    #[test]
    fn sums_agree_over_all_limits_of_a_scope(
        steps in prop::collection::vec((0_u8..8, 0_usize..3, 0_u8..3, 0_u64..300, 0_u8..4), 1..60)
    ) {
        let by_user = |mut limit: serde_json::Value| { limit["by"] = serde_json::json!(["user"]); limit };
        let [requests, tokens] = [serde_json::json!({"requests": 30, "per": "day"}), serde_json::json!({"tokens": 9000, "per": "day"})];
        let [of_user, at_a_time] = [by_user(serde_json::json!({"tokens": 1500, "per": "day"})), by_user(serde_json::json!({"concurrent": 4}))];
        let rolling = by_user(serde_json::json!({"output_tokens": 700, "rolling": "24h"}));
        let configs = [
            config(serde_json::json!([requests, of_user, tokens, at_a_time])),
            config(serde_json::json!([rolling, tokens, of_user])),
            config(serde_json::json!([at_a_time, rolling, requests])),
        ];
        let (board, now, busy) = (Board::default(), Cell::new(0), Cell::new(false));
        let asked: RefCell<Vec<Asked>> = RefCell::default();
        let begin = |config: usize, user: u8, shared: &dyn Shared| {
            let name = user.to_string();
            let who = Who { user: Some(&name), model: "m", ..Who::default() };
            let held = reserve(&configs[config].groups, who, ONE, false, &nobody_waits, now.get(), shared);
            asked.borrow_mut().extend(held.ok().map(|held| Asked { config, user, held: Some(held), used: ONE }));
        };
        for (what, config, user, output, meddled) in steps {
            now.set(now.get() + 1);
            // So many requests of the same user on another worker, each between a look and a change.
            let meddled = Cell::new(meddled);
            let meddle = || {
                if meddled.replace(meddled.get().saturating_sub(1)) > 0 {
                    begin((config + 1) % 3, user, &board);
                }
            };
            let between = Between { board: &board, between: &meddle, busy: &busy };
            if what > 2 {
                begin(config, user, &between);
                continue;
            }
            let mut open: Vec<usize> = (0..asked.borrow().len()).collect();
            open.retain(|index| asked.borrow()[*index].held.is_some());
            if open.is_empty() {
                continue;
            }
            let index = open[output as usize % open.len()];
            let held = asked.borrow_mut()[index].held.take().unwrap();
            if what == 0 {
                held.take_back(now.get(), &between);
                asked.borrow_mut().remove(index);
            } else {
                let used = Amounts { output, ..ONE };
                held.settle(used, now.get(), &between);
                asked.borrow_mut()[index].used = used;
            }
            let asked = asked.borrow();
            for limit in configs.iter().flat_map(|config| &config.limits) {
                for user in 0..3 {
                    let name = user.to_string();
                    let seen = look(limit, Who { user: Some(&name), model: "m", ..Who::default() }, now.get(), &board).unwrap();
                    let about = asked.iter().filter(|asked| {
                        let knows = configs[asked.config].limits.iter().any(|known| known.id == limit.id);
                        knows && (limit.scope.by.is_empty() || asked.user == user)
                    });
                    let (mut used, mut held) = (0, 0);
                    for asked in about {
                        match (limit.amount, asked.held.is_some()) {
                            (Amount::Requests, _) => used += 1,
                            (Amount::Concurrent, false) => {}
                            (amount, false) => used += asked.used.of(amount),
                            (amount, true) => held += ONE.of(amount),
                        }
                    }
                    prop_assert_eq!((seen.used, seen.held), (used, held), "{}", limit.name);
                    prop_assert!(held <= limit.most);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// What clients make up takes no more than its records, and is forgotten with its window: after a flood of users each of
    /// any others gets what is theirs, minute by minute, and no more.
    #[test]
    fn made_up_users_are_forgotten(
        flood in 0_u64..30_000, seed in 0_u64..1000,
        steps in prop::collection::vec((0_u8..20, 0_u64..25_000), 1..200),
    ) {
        let config = config(serde_json::json!([{"requests": 3, "per": "minute", "by": ["user"]}]));
        let board = Board::default();
        for user in 0..flood {
            let _ = ask(&config, &format!("{seed} {user}"), 0, &board);
        }
        let mut now = 60_000;
        let mut counts = std::collections::BTreeMap::new();
        for (user, later) in steps {
            now += later;
            let count: &mut u32 = counts.entry((user, now / 60_000)).or_default();
            *count += 1;
            prop_assert_eq!(ask(&config, &user.to_string(), now, &board).is_ok(), *count <= 3);
        }
        prop_assert!(board.count() as u64 <= RECORDS + 1);
    }
}

proptest! {
    /// However requests of several users overlap: in the end what is used is what was settled, and nothing is held.
    #[test]
    fn everything_comes_back(steps in prop::collection::vec((0_u8..3, 0_u8..4, 0_u64..300), 1..120)) {
        let config = config(serde_json::json!([
            {"tokens": 2000, "per": "day"}, {"tokens": 900, "per": "day", "by": ["user"]}, {"concurrent": 5},
            {"usd": 1, "per": "day", "by": ["user", "model"]},
        ]));
        let board = Board::default();
        let mut open = Vec::new();
        let mut settled = 0;
        for (now, (what, user, used)) in (0_u64..).zip(steps) {
            if what > 0 {
                open.extend(ask(&config, &user.to_string(), now, &board));
            } else if !open.is_empty() {
                let reservation: Reservation = open.remove(usize::from(user) % open.len());
                reservation.settle(Amounts { input: used, output: 0, usd: 0 }, now, &board);
                settled += used;
            }
            prop_assert!(open.len() <= 5);
        }
        for reservation in open {
            reservation.settle(Amounts::default(), 1000, &board);
        }
        if let Ok(last) = ask(&config, "nobody", 1000, &board) {
            let least = last.room.iter().find(|room| room.most == 2000 || room.most == 900).unwrap();
            prop_assert!(least.left == (2000 - settled - 150).min(750), "{least:?} {settled}");
        } else {
            prop_assert!(settled + 150 > 2000);
        }
    }
}
