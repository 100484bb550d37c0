//! A request's reservations with every limit that is about it, and their settlement.

use std::rc::Rc;

use super::account::{self, Lease, Spent};
use super::place::{self, At, Who, is_about, place};
use crate::config::{Amount, Limit};
use crate::route::{Shared, read, update};

/// What an attempt at a request has used.
#[derive(Debug, Clone, Copy)]
pub struct Attempted<'a> {
    /// Where it went.
    pub at: At<'a>,
    /// How much.
    pub used: Amounts,
}

/// What a request may use, or did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amounts {
    /// Tokens of the prompt.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// 10⁻¹² USD.
    pub usd: u64,
}

impl Amounts {
    pub(super) fn of(&self, amount: Amount) -> u64 {
        match amount {
            Amount::Requests | Amount::Concurrent => 1,
            Amount::Tokens => self.input.saturating_add(self.output),
            Amount::Input => self.input,
            Amount::Output => self.output,
            Amount::Usd => self.usd,
        }
    }
}

/// What a request has reserved.
#[derive(Debug, Default)]
pub struct Reservation {
    held: Vec<Held>,
    /// What is left where least is, for requests and for tokens.
    pub room: Vec<Room>,
    /// Soft limits that were passed, by their names.
    pub passed: Vec<String>,
}

/// What is held at one limit.
#[derive(Debug)]
struct Held {
    limit: Rc<Limit>,
    record: String,
    subject: u64,
    kept: Kept,
}

/// How an amount is kept until the request is over.
#[derive(Debug, Clone, Copy)]
enum Kept {
    /// It was counted at once.
    Counted,
    /// It is held.
    Lease(Lease),
    /// Not at all: there was no room, at a soft limit.
    Not,
}

/// What is left of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Requests or tokens.
    pub amount: Amount,
    /// How much there may be.
    pub most: u64,
    /// How much there may still be.
    pub left: u64,
    /// In how many milliseconds all of it may be there again.
    pub reset: u64,
}

/// A limit is spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The limit's name.
    pub limit: String,
    /// What it counts.
    pub amount: Amount,
    /// In how many milliseconds there may be room.
    pub wait: u64,
    /// The request needs more than there may ever be.
    pub hopeless: bool,
    /// The model that takes what is past the limit.
    pub downgrade_to: Option<String>,
    /// What to wait for, where waiting helps.
    pub turn: Option<Turn>,
}

/// Room at a limit that lets requests wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    limit: Rc<Limit>,
    /// By what the account is known.
    pub record: String,
    amount: u64,
}

impl Turn {
    /// Whether there is room now.
    pub fn has_come(&self, now: u64, shared: &dyn Shared) -> bool {
        let (used, held) = read::<account::Account>(shared, &self.record).taken(now, &self.limit.window);
        used.saturating_add(held).saturating_add(self.amount) <= self.limit.most
    }

    /// For how long, in milliseconds.
    pub fn patience(&self) -> u64 {
        self.limit.wait.unwrap_or_default()
    }
}

/// Reserves `estimate` with each of `limits` that is about `who`: with all of them, or with none. `past`: the request was moved
/// to another model by a limit; such limits count it, and refuse it no more. `is_awaited`: others wait for room in that account.
///
/// # Errors
/// One of them is spent.
pub fn reserve<'l>(
    limits: impl Iterator<Item = &'l Rc<Limit>>,
    who: Who<'_>,
    estimate: Amounts,
    past: bool,
    is_awaited: &dyn Fn(&str) -> bool,
    now: u64,
    shared: &dyn Shared,
) -> Result<Reservation, Refused> {
    let mut reservation = Reservation::default();
    for limit in limits.filter(|limit| is_about(limit, who)) {
        let soft = limit.soft || past && limit.downgrade_to.is_some();
        if let Some(refused) = awaited(limit, who, estimate, is_awaited, now, shared) {
            reservation.take_back(now, shared);
            return Err(refused);
        }
        if let Err(refused) = reservation.add(limit, soft, who, estimate, now, shared) {
            reservation.take_back(now, shared);
            return Err(refused);
        }
    }
    Ok(reservation)
}

/// First come, first served: who does not wait yet waits behind those who do.
fn awaited(
    limit: &Rc<Limit>,
    who: Who<'_>,
    estimate: Amounts,
    is_awaited: &dyn Fn(&str) -> bool,
    now: u64,
    shared: &dyn Shared,
) -> Option<Refused> {
    limit.wait?;
    let (record, _) = place(limit, who, now, shared);
    is_awaited(&record).then(|| refuse(limit, record, estimate.of(limit.amount), limit.wait.unwrap_or_default()))
}

fn refuse(limit: &Rc<Limit>, record: String, amount: u64, wait: u64) -> Refused {
    let hopeless = amount > limit.most;
    Refused {
        limit: limit.name.clone(),
        amount: limit.amount,
        wait,
        hopeless,
        downgrade_to: limit.downgrade_to.clone(),
        turn: (limit.wait.is_some() && !hopeless).then(|| Turn { limit: limit.clone(), record, amount }),
    }
}

/// Whether there is room for `estimate` with each of `limits` that is about `who`.
pub fn has_room<'l>(
    mut limits: impl Iterator<Item = &'l Rc<Limit>>,
    who: Who<'_>,
    estimate: Amounts,
    now: u64,
    shared: &dyn Shared,
) -> bool {
    limits.all(|limit| {
        let taken = if limit.soft { None } else { look(limit, who, now, shared) };
        let most = |Account { used, held, .. }| used.saturating_add(held).saturating_add(estimate.of(limit.amount));
        taken.map(most).is_none_or(|most| most <= limit.most)
    })
}

/// What an account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Used within the window.
    pub used: u64,
    /// Held for requests under way.
    pub held: u64,
    /// In how many milliseconds the window begins anew; 0 where there is none.
    pub reset: u64,
    /// Tells it from other accounts with the limit.
    pub subject: u64,
}

/// What `who` has with a limit; `None` if the limit is not about them.
pub fn look(limit: &Limit, who: Who<'_>, now: u64, shared: &dyn Shared) -> Option<Account> {
    if !is_about(limit, who) {
        return None;
    }
    let (record, subject) = place(limit, who, now, shared);
    let (used, held) = read::<account::Account>(shared, &record).taken(now, &limit.window);
    let reset = limit.window.forgotten(limit.window.slice(now), 0).saturating_sub(now);
    Some(Account { used, held, reset, subject })
}

impl Reservation {
    fn add(
        &mut self,
        limit: &Rc<Limit>,
        soft: bool,
        who: Who<'_>,
        estimate: Amounts,
        now: u64,
        shared: &dyn Shared,
    ) -> Result<(), Refused> {
        let amount = estimate.of(limit.amount);
        let asked = place::change(limit, who, now, shared, |account| ask(account, limit, soft, amount, now));
        // Other workers were faster, dozens of times in a row.
        let (record, subject, asked) = asked.ok_or_else(|| Refused {
            turn: None,
            hopeless: false,
            ..refuse(limit, String::new(), amount, 1000)
        })?;
        let (kept, room) = asked.map_err(|spent| refuse(limit, record.clone(), amount, spent.wait))?;
        match room {
            Some(room) => self.tell(room),
            None => self.passed.push(limit.name.clone()),
        }
        self.held.push(Held { limit: limit.clone(), record, subject, kept });
        Ok(())
    }

    /// Of several limits of a kind, clients are told of the one with the least room.
    pub fn tell(&mut self, room: Room) {
        match self.room.iter_mut().find(|other| other.amount == room.amount) {
            Some(other) if room.left < other.left => *other = room,
            Some(_) => {}
            None => self.room.push(room),
        }
    }

    /// Gives back what was held and counts what was used.
    pub fn settle(self, used: Amounts, now: u64, shared: &dyn Shared) {
        // What was counted at once needs no more.
        for held in self.held.into_iter().filter(|held| !matches!(held.kept, Kept::Counted)) {
            let used = match held.limit.amount {
                // Of what was under way nothing stays.
                Amount::Requests | Amount::Concurrent => 0,
                amount => used.of(amount),
            };
            held.change(shared, |account, held| match held.kept {
                Kept::Lease(lease) => account.settle(now, &held.limit.window, lease, used),
                Kept::Not => account.charge(now, &held.limit.window, used),
                Kept::Counted => {}
            });
        }
    }

    /// The same for limits of targets, which count each attempt where it went. What was reserved is with the first of them.
    pub fn settle_attempts(
        mut self,
        limits: &[Rc<Limit>],
        who: Who<'_>,
        attempts: &[Attempted<'_>],
        now: u64,
        shared: &dyn Shared,
    ) {
        for limit in limits.iter().filter(|limit| limit.is_of_targets()) {
            let mut due: Vec<(String, Who<'_>, u64)> = Vec::new();
            for Attempted { at, used } in attempts {
                let who = Who { at: Some(*at), ..who };
                if limit.amount == Amount::Concurrent || !is_about(limit, who) {
                    continue;
                }
                let (record, _) = place(limit, who, now, shared);
                match due.iter_mut().find(|(other, ..)| *other == record) {
                    Some((_, _, sum)) => *sum = sum.saturating_add(used.of(limit.amount)),
                    None => due.push((record, who, used.of(limit.amount))),
                }
            }
            if let Some(index) = self.held.iter().position(|held| held.limit.id == limit.id) {
                let held = self.held.swap_remove(index);
                let own = due.iter().position(|(record, ..)| *record == held.record).map(|own| due.swap_remove(own).2);
                let own = own.unwrap_or(0);
                held.change(shared, |account, held| match held.kept {
                    Kept::Lease(lease) => account.settle(now, &limit.window, lease, own),
                    Kept::Not => account.charge(now, &limit.window, own),
                    // The first attempt was counted.
                    Kept::Counted => account.charge(now, &limit.window, own.saturating_sub(1)),
                });
            }
            for (_, who, used) in due {
                place::change(limit, who, now, shared, |account| account.charge(now, &limit.window, used));
            }
        }
    }

    /// Undoes all of it: the request is refused.
    pub fn take_back(self, now: u64, shared: &dyn Shared) {
        for held in self.held {
            held.change(shared, |account, held| match held.kept {
                Kept::Lease(lease) => account.settle(now, &held.limit.window, lease, 0),
                Kept::Counted => account.refund(1),
                Kept::Not => {}
            });
        }
    }
}

impl Held {
    fn change(&self, shared: &dyn Shared, change: impl Fn(&mut account::Account, &Self)) {
        update(shared, &self.record, |account: &mut account::Account| {
            // Its record may have become another user's meanwhile, all of its own being forgotten.
            (account.subject == self.subject).then(|| change(account, self))
        });
    }
}

/// Takes or holds `amount`; no room is told of where a soft limit is passed.
fn ask(
    account: &mut account::Account,
    limit: &Limit,
    soft: bool,
    amount: u64,
    now: u64,
) -> Result<(Kept, Option<Room>), Spent> {
    let window = &limit.window;
    let asked = match limit.amount {
        Amount::Requests => account.take(now, window, amount, limit.most).map(|()| Kept::Counted),
        _ => account.hold(now, window, amount, limit.most).map(Kept::Lease),
    };
    let kept = match asked {
        Err(_) if soft && limit.amount == Amount::Requests => {
            account.charge(now, window, amount);
            return Ok((Kept::Counted, None));
        }
        Err(_) if soft => return Ok((Kept::Not, None)),
        asked => asked?,
    };
    let (used, held) = account.taken(now, window);
    let reset = window.forgotten(window.slice(now), 0).saturating_sub(now);
    let left = limit.most.saturating_sub(used.saturating_add(held));
    Ok((kept, Some(Room { amount: limit.amount, most: limit.most, left, reset })))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::place::{RECORDS, subject};
    use super::{Amounts, At, Attempted, Refused, Reservation, Who, has_room, look, reserve};
    use crate::config::{Config, Key};
    use crate::route::board::Board;

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
        reserve(config.limits.iter(), who, ONE, false, &nobody_waits, now, board)
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
        let first_place = |user: &str| subject(limit, Who { user: Some(user), model: "m", ..Who::default() }) % RECORDS;
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
        let reserve = |at| reserve(config.limits.iter(), who(at), ONE, false, &nobody_waits, 0, &board);
        let room = |at| has_room(config.limits.iter(), who(at), ONE, 0, &board);
        let seen =
            |limit: usize, at| look(&config.limits[limit], who(at), 0, &board).map(|seen| (seen.used, seen.held));
        let held = reserve(a).unwrap();
        assert_eq!(
            (held.held.len(), seen(0, a), seen(1, a), seen(1, a2)),
            (3, Some((1, 0)), Some((0, 150)), Some((0, 0)))
        );
        assert!(!room(a) && !room(a2) && room(b), "only one at a time");
        let attempt = |at, input| Attempted { at, used: Amounts { input, ..Amounts::default() } };
        held.settle_attempts(
            &config.limits,
            Who { model: "m", ..Who::default() },
            &[attempt(a, 10), attempt(a2, 20), attempt(b, 70)],
            0,
            &board,
        );
        assert_eq!([seen(0, a), seen(0, b)], [Some((2, 0)), Some((1, 0))]);
        assert_eq!([seen(1, a), seen(1, a2), seen(1, b)], [Some((10, 0)), Some((20, 0)), Some((70, 0))]);
        // One that never went out has been asked for all the same, and used nothing.
        reserve(b).unwrap().settle_attempts(&config.limits, who(b), &[], 0, &board);
        assert_eq!([seen(0, b), seen(1, b), seen(2, b)], [Some((2, 0)), Some((70, 0)), Some((0, 0))]);
        reserve(b).unwrap().take_back(0, &board);
        assert_eq!((seen(0, b), seen(3, b)), (Some((2, 0)), None));
    }

    #[test]
    fn names_that_tokens_bring_are_their_own_and_fill_nothing() {
        let mut config = config(serde_json::json!([{"requests": 1, "per": "day", "by": ["key"]}]));
        let board = Board::default();
        let mut limit = config.limits[0].as_ref().clone();
        limit.unbounded = true;
        config.limits = vec![std::rc::Rc::new(limit)];
        let ask = |name: String, foreign| {
            let key = Key { name, foreign, ..Key::default() };
            let who = Who { key: Some(&key), model: "m", ..Who::default() };
            reserve(config.limits.iter(), who, ONE, false, &nobody_waits, 0, &board).is_ok()
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
        let behind = |record: &str| record == turn.record;
        let refused = reserve(config.limits.iter(), who, ONE, false, &behind, 0, &board).unwrap_err();
        assert_eq!(refused.turn, Some(turn));
        // What can never fit need not wait.
        let much = Amounts { input: 300, ..ONE };
        assert_eq!(reserve(config.limits.iter(), who, much, false, &nobody_waits, 0, &board).unwrap_err().turn, None);
    }

    #[test]
    fn what_can_never_fit_is_told() {
        let config = config(serde_json::json!([{"tokens": 100, "per": "hour"}]));
        assert!(ask(&config, "u", 0, &Board::default()).unwrap_err().hopeless);
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
}
