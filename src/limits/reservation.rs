//! What a request has reserved, and its settlement when the request is over.

use std::rc::Rc;

use super::account::{Account, Lease};
use super::book::Book;
use super::place::{self, At, Who, is_about};
use super::reserve::{Amounts, Room};
use crate::config::{Amount, Group, Limit};
use crate::route::{Shared, update};

/// What a request has reserved.
#[derive(Debug, Default)]
pub struct Reservation {
    held: Vec<Held>,
    /// What is left where least is, for requests and for tokens.
    pub room: Vec<Room>,
    /// Soft limits that were passed, by their names.
    pub passed: Vec<String>,
}

/// What is held in one record.
#[derive(Debug)]
struct Held {
    group: Rc<Group>,
    /// Whom it is for.
    subject: u64,
    record: String,
    /// Whose the record is: theirs, or that of all who share one.
    owner: u64,
    /// By the group's limits.
    kept: Vec<Kept>,
}

/// How an amount is kept until the request is over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kept {
    /// It was counted at once.
    Counted,
    /// It is held.
    Lease(Lease),
    /// Not at all: there was no room, at a soft limit.
    Not,
}

/// What an attempt at a request has used.
#[derive(Debug, Clone, Copy)]
pub struct Attempted<'a> {
    /// Where it went.
    pub at: At<'a>,
    /// How much.
    pub used: Amounts,
}

impl Reservation {
    pub(super) fn add(
        &mut self,
        group: &Rc<Group>,
        subject: u64,
        (record, owner): (String, u64),
        asked: Vec<(Kept, Option<Room>)>,
    ) {
        for (limit, (_, room)) in group.limits.iter().zip(&asked) {
            match room {
                Some(room) => self.tell(*room),
                None => self.passed.push(limit.name.clone()),
            }
        }
        let kept = asked.into_iter().map(|(kept, _)| kept).collect();
        self.held.push(Held { group: group.clone(), subject, record, owner, kept });
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
        for held in self.held {
            held.settle(now, shared, |limit| match limit.amount {
                // Of what was under way nothing stays.
                Amount::Requests | Amount::Concurrent => 0,
                amount => used.of(amount),
            });
        }
    }

    /// The same for limits of targets, which count each attempt where it went. What was reserved is with the first of them.
    pub fn settle_attempts(
        mut self,
        groups: &[Rc<Group>],
        who: Who<'_>,
        attempts: &[Attempted<'_>],
        now: u64,
        shared: &dyn Shared,
    ) {
        for group in groups.iter().filter(|group| group.scope.is_of_targets()) {
            let mut due: Vec<(u64, Vec<Amounts>)> = Vec::new();
            for Attempted { at, used } in attempts {
                let who = Who { at: Some(*at), ..who };
                if !is_about(&group.scope, who) {
                    continue;
                }
                let subject = place::subject(&group.scope, who);
                match due.iter_mut().find(|(other, _)| *other == subject) {
                    Some((_, attempts)) => attempts.push(*used),
                    None => due.push((subject, vec![*used])),
                }
            }
            if let Some(index) = self.held.iter().position(|held| held.group.scope.id == group.scope.id) {
                let held = self.held.swap_remove(index);
                let own = due.iter().position(|(subject, _)| *subject == held.subject);
                let own = own.map(|own| due.swap_remove(own).1).unwrap_or_default();
                // A place is looked for anew where the record became another subject's, its own being forgotten.
                if !held.settle(now, shared, |limit| sum(&own, limit)) {
                    due.push((held.subject, own));
                }
            }
            for (subject, attempts) in due {
                if group.limits.iter().any(|limit| sum(&attempts, limit) > 0) {
                    place::change(&group.scope, subject, now, shared, |_, book| {
                        let accounts = book.open(&group.limits, now);
                        accounts.for_each(|(limit, account)| {
                            account.charge(now, &limit.window, sum(&attempts, limit));
                        });
                        Ok::<_, ()>(())
                    });
                }
            }
        }
    }

    /// Undoes all of it: the request is refused.
    pub fn take_back(self, now: u64, shared: &dyn Shared) {
        for held in self.held.into_iter().filter(|held| held.kept.iter().any(|kept| !matches!(kept, Kept::Not))) {
            held.change(now, shared, |limit, account, kept| match kept {
                Kept::Lease(lease) => account.settle(now, &limit.window, lease, 0),
                Kept::Counted => account.refund(1),
                Kept::Not => {}
            });
        }
    }
}

/// What a limit counts of attempts. Of what was under way nothing stays.
fn sum(attempts: &[Amounts], limit: &Limit) -> u64 {
    match limit.amount {
        Amount::Concurrent => 0,
        amount => attempts.iter().fold(0_u64, |sum, used| sum.saturating_add(used.of(amount))),
    }
}

impl Held {
    /// Whether what is due is where it belongs: `false` where the record is another's by now.
    fn settle(&self, now: u64, shared: &dyn Shared, used: impl Fn(&Limit) -> u64) -> bool {
        let is_due = |(limit, kept): (&Rc<Limit>, &Kept)| match kept {
            Kept::Lease(_) => true,
            // One was counted.
            Kept::Counted => used(limit) > 1,
            Kept::Not => used(limit) > 0,
        };
        if !self.group.limits.iter().zip(&self.kept).any(is_due) {
            return true;
        }
        self.change(now, shared, |limit, account, kept| match kept {
            Kept::Lease(lease) => account.settle(now, &limit.window, lease, used(limit)),
            Kept::Counted => account.charge(now, &limit.window, used(limit).saturating_sub(1)),
            Kept::Not => account.charge(now, &limit.window, used(limit)),
        })
    }

    /// Changes the accounts, if they are still there: their record may have become another user's, all of them being forgotten.
    fn change(&self, now: u64, shared: &dyn Shared, change: impl Fn(&Limit, &mut Account, Kept)) -> bool {
        let changed = update(shared, &self.record, |book: &mut Book| {
            (book.subject == self.owner).then(|| {
                let accounts = book.open(&self.group.limits, now).zip(&self.kept);
                accounts.for_each(|((limit, account), kept)| change(limit, account, *kept));
            })
        });
        changed.is_some()
    }
}
