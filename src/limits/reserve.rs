//! What a request may use, reserved with every limit that is about it: a record for each scope, and all limits of a scope at once.

use std::rc::Rc;

use super::account::{self, Spent};
use super::book::Book;
use super::place::{self, Place, Who, is_about, subject};
use super::reservation::{Kept, Reservation};
use crate::config::{Amount, Group, Limit};
use crate::route::{Shared, read};

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
    /// Where the account is.
    record: String,
    amount: u64,
}

impl Turn {
    /// Whether there is room now.
    pub fn has_come(&self, now: u64, shared: &dyn Shared) -> bool {
        has_space(&read(shared, &self.record), &self.limit, self.amount, now)
    }

    /// By what the account is known.
    pub fn account(&self) -> String {
        known_by(&self.record, &self.limit)
    }

    /// For how long, in milliseconds.
    pub fn patience(&self) -> u64 {
        self.limit.wait.unwrap_or_default()
    }
}

/// Reserves `estimate` with each limit of `groups` that is about `who`: with all of them, or with none. `past`: the request was moved
/// to another model by a limit; such limits count it, and refuse it no more. `is_awaited`: others wait for room in that account.
///
/// # Errors
/// One of them is spent: the first, of the first scope that has one.
pub fn reserve(
    groups: &[Rc<Group>],
    who: Who<'_>,
    estimate: Amounts,
    past: bool,
    is_awaited: &dyn Fn(&str) -> bool,
    now: u64,
    shared: &dyn Shared,
) -> Result<Reservation, Refused> {
    let mut reservation = Reservation::default();
    let asking = Asking { estimate, past, is_awaited, now };
    for group in groups.iter().filter(|group| is_about(&group.scope, who)) {
        let subject = subject(&group.scope, who);
        let ask = |record: &str, book: &mut Book| {
            let accounts = book.open(&group.limits, now);
            accounts.map(|(limit, account)| asking.ask(limit, record, account)).collect::<Result<Vec<_>, _>>()
        };
        let refused = match place::change(&group.scope, subject, now, shared, ask) {
            Some(Ok((record, owner, asked))) => {
                reservation.add(group, subject, (record, owner), asked);
                continue;
            }
            Some(Err(refused)) => Some(refused),
            // Other workers were faster, dozens of times in a row.
            None => group.limits.first().map(|limit| Refused {
                turn: None,
                hopeless: false,
                ..refuse(limit, "", estimate.of(limit.amount), 1000)
            }),
        };
        if let Some(refused) = refused {
            reservation.take_back(now, shared);
            return Err(refused);
        }
    }
    Ok(reservation)
}

/// Whether there is room for `estimate` with each limit of `groups` that is about `who`.
pub fn has_room(groups: &[Rc<Group>], who: Who<'_>, estimate: Amounts, now: u64, shared: &dyn Shared) -> bool {
    groups.iter().filter(|group| is_about(&group.scope, who)).all(|group| {
        let book = Place::find(&group.scope, subject(&group.scope, who), now, shared).book;
        let mut limits = group.limits.iter().filter(|limit| !limit.soft);
        limits.all(|limit| has_space(&book, limit, estimate.of(limit.amount), now))
    })
}

fn has_space(book: &Book, limit: &Limit, amount: u64, now: u64) -> bool {
    let (used, held) = book.account(limit).taken(now, &limit.window);
    used.saturating_add(held).saturating_add(amount) <= limit.most
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
    if !is_about(&limit.scope, who) {
        return None;
    }
    let book = Place::find(&limit.scope, subject(&limit.scope, who), now, shared).book;
    let mut account = book.account(limit);
    let (used, held) = account.taken(now, &limit.window);
    Some(Account { used, held, reset: account.until().saturating_sub(now), subject: book.subject })
}

/// What is asked of each limit.
struct Asking<'a> {
    estimate: Amounts,
    past: bool,
    is_awaited: &'a dyn Fn(&str) -> bool,
    now: u64,
}

impl Asking<'_> {
    /// Takes or holds it; no room is told of where a soft limit is passed.
    fn ask(
        &self,
        limit: &Rc<Limit>,
        record: &str,
        account: &mut account::Account,
    ) -> Result<(Kept, Option<Room>), Refused> {
        let (now, window, amount) = (self.now, &limit.window, self.estimate.of(limit.amount));
        // First come, first served: who does not wait yet waits behind those who do.
        if let Some(wait) = limit.wait
            && (self.is_awaited)(&known_by(record, limit))
        {
            return Err(refuse(limit, record, amount, wait));
        }
        let asked = match limit.amount {
            Amount::Requests => account.take(now, window, amount, limit.most).map(|left| (Kept::Counted, left)),
            _ => account.hold(now, window, amount, limit.most).map(|(lease, left)| (Kept::Lease(lease), left)),
        };
        let is_soft = limit.soft || self.past && limit.downgrade_to.is_some();
        match asked {
            Ok((kept, left)) => {
                let reset = account.until().saturating_sub(now);
                Ok((kept, Some(Room { amount: limit.amount, most: limit.most, left, reset })))
            }
            Err(_) if is_soft && limit.amount == Amount::Requests => {
                account.charge(now, window, amount);
                Ok((Kept::Counted, None))
            }
            Err(_) if is_soft => Ok((Kept::Not, None)),
            Err(Spent { wait, .. }) => Err(refuse(limit, record, amount, wait)),
        }
    }
}

fn refuse(limit: &Rc<Limit>, record: &str, amount: u64, wait: u64) -> Refused {
    let hopeless = amount > limit.most;
    let turn = || Turn { limit: limit.clone(), record: record.to_owned(), amount };
    Refused {
        limit: limit.name.clone(),
        amount: limit.amount,
        wait,
        hopeless,
        downgrade_to: limit.downgrade_to.clone(),
        turn: (limit.wait.is_some() && !hopeless).then(turn),
    }
}

/// By what an account is known among all.
fn known_by(record: &str, limit: &Limit) -> String {
    format!("{record} {:x}", limit.id)
}
