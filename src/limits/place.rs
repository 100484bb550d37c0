//! Whose account it is: which limits are about a request, and the record that their account with each has.

use super::account::Account;
use crate::chance::hash;
use crate::config::{By, Key, Limit, Of};
use crate::route::{Shared, read, update};

/// Who asks, and for what: by which accounts are told apart.
#[derive(Debug, Clone, Copy, Default)]
pub struct Who<'a> {
    /// The client's key.
    pub key: Option<&'a Key>,
    /// The request's `user`.
    pub user: Option<&'a str>,
    /// The request's labels, those of its client too.
    pub labels: &'a [(String, String)],
    /// Configuration's name for the model.
    pub model: &'a str,
    /// Where it is to go; `None`: wherever. Limits of targets are about the one, all others about the other.
    pub at: Option<At<'a>>,
}

/// A target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At<'a> {
    /// Its provider.
    pub provider: &'a str,
    /// By what it is known: provider and model, as configuration has them.
    pub target: &'a str,
}

/// Whether `limit` is about them at all.
pub(super) fn is_about(limit: &Limit, who: Who<'_>) -> bool {
    let about = match &limit.of {
        Of::All => true,
        Of::Key(name) => who.key.is_some_and(|key| !key.foreign && key.name == *name),
        Of::Model(name) => who.model == name,
        Of::Role(name) => who.key.is_some_and(|key| key.role.name == *name),
        Of::Provider(name) => who.at.is_some_and(|at| at.provider == name),
    };
    about && limit.is_of_targets() == who.at.is_some()
}

/// Changes the account of `who` with the limit. What tells its record, whose it is there, and what `change` says; `None` where others were
/// faster, dozens of times in a row.
pub(super) fn change<T>(
    limit: &Limit,
    who: Who<'_>,
    now: u64,
    shared: &dyn Shared,
    change: impl Fn(&mut Account) -> T,
) -> Option<(String, u64, T)> {
    // Again, where another subject took the record meanwhile.
    for _ in 0..PLACES {
        let (record, subject) = place(limit, who, now, shared);
        let changed = update(shared, &record, |account: &mut Account| {
            account.claim(subject, now, &limit.window).then(|| change(account))
        });
        if let Some(changed) = changed {
            return Some((record, subject, changed));
        }
    }
    None
}

/// Tells accounts of a limit apart.
pub(super) fn subject(limit: &Limit, who: Who<'_>) -> u64 {
    let mut subject = 0;
    for by in &limit.by {
        if *by == By::Key && who.key.is_some_and(|key| key.foreign) {
            subject = hash(subject, b"foreign");
        }
        // Those without one share an account: leaving it out is no way round.
        subject = hash(subject, value(by, who).unwrap_or_default().as_bytes());
    }
    subject.max(1)
}

/// What `who` has of that.
pub(super) fn value<'a>(by: &By, who: Who<'a>) -> Option<&'a str> {
    match by {
        By::Key => who.key.map(|key| key.name.as_str()),
        By::Team => who.key.and_then(|key| key.team.as_deref()),
        By::Label(name) => who.key.and_then(|key| key.labels.get(name)).map(String::as_str),
        By::ClientLabel(name) => who.labels.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str()),
        By::User => who.user,
        By::Model => Some(who.model),
        By::Provider => who.at.map(|at| at.provider),
        By::Target => who.at.map(|at| at.target),
    }
}

/// The record of the account, and whose it is there.
pub(super) fn place(limit: &Limit, who: Who<'_>, now: u64, shared: &dyn Shared) -> (String, u64) {
    let subject = subject(limit, who);
    let id = limit.id;
    if !limit.unbounded {
        return (format!("limit {id:x} {subject:x}"), subject);
    }
    let mut free = None;
    for step in 0..PLACES {
        let number = subject.wrapping_add(step.wrapping_mul(subject >> 32 | 1)) % RECORDS;
        let record = format!("limit {id:x} {number}");
        let mut account: Account = read(shared, &record);
        if account.subject == subject {
            return (record, subject);
        }
        // Only if none of the places is the subject's already: it would begin anew.
        if account.subject == 0 || account.is_idle(now, &limit.window) {
            free.get_or_insert(record);
        }
    }
    free.map_or_else(|| (format!("limit {id:x} others"), OTHERS), |record| (record, subject))
}

/// How many records a limit has whose accounts are not those of configuration: clients make users and labels up, tokens name
/// any number of people, and records never go away. Each has one of [`PLACES`] of them; who finds them all taken shares the last.
pub(super) const RECORDS: u64 = 16_384;
const PLACES: u64 = 8;
/// Whose the account is that all share who find no record of their own.
const OTHERS: u64 = u64::MAX;
