//! Whose accounts they are: which limits are about a request, and the record that has its accounts with all of a scope.

use super::book::Book;
use crate::chance::hash;
use crate::config::{By, Key, Of, Scope};
use crate::route::{Record, Shared, TRIES, Version};

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

/// The record of somebody's accounts, as it was found.
pub(super) struct Place {
    /// Its key.
    pub record: String,
    /// What it has, and whose it is: theirs, or that of all who share one.
    pub book: Book,
    version: Version,
}

/// Whether limits of `scope` are about them at all.
pub(super) fn is_about(scope: &Scope, who: Who<'_>) -> bool {
    let about = match &scope.of {
        Of::All => true,
        Of::Key(name) => who.key.is_some_and(|key| !key.foreign && key.name == *name),
        Of::Model(name) => who.model == name,
        Of::Role(name) => who.key.is_some_and(|key| key.role.name == *name),
        Of::Provider(name) => who.at.is_some_and(|at| at.provider == name),
    };
    about && scope.is_of_targets() == who.at.is_some()
}

/// Changes the accounts of `subject`, unless `change` finds that they are to stay as they are. What tells their record, whose it is
/// there, and what `change` says; `None` where others were faster, dozens of times in a row.
pub(super) fn change<T, E>(
    scope: &Scope,
    subject: u64,
    now: u64,
    shared: &dyn Shared,
    change: impl Fn(&str, &mut Book) -> Result<T, E>,
) -> Option<Result<(String, u64, T), E>> {
    for _ in 0..TRIES {
        // Again, where another subject took the record meanwhile.
        let mut place = Place::find(scope, subject, now, shared);
        let changed = match change(&place.record, &mut place.book) {
            Ok(changed) => changed,
            Err(error) => return Some(Err(error)),
        };
        if shared.set(&place.record, &place.book.encode(), place.version) {
            return Some(Ok((place.record, place.book.subject, changed)));
        }
    }
    None
}

/// Tells what `who` has with limits of `scope` from what others have.
pub(super) fn subject(scope: &Scope, who: Who<'_>) -> u64 {
    let mut subject = 0;
    for by in &scope.by {
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

impl Place {
    /// Finds it, or where it may begin.
    pub fn find(scope: &Scope, subject: u64, now: u64, shared: &dyn Shared) -> Self {
        let id = scope.id;
        if !scope.unbounded {
            return Self::read(name(id, |name| push_hex(name, subject)), shared).of(subject);
        }
        let mut free = None;
        for step in 0..PLACES {
            let number = subject.wrapping_add(step.wrapping_mul(subject >> 32 | 1)) % RECORDS;
            let place = Self::read(name(id, |name| name.push_str(&number.to_string())), shared);
            if place.book.subject == subject {
                return place;
            }
            // Only if none of the places is the subject's already: it would begin anew.
            if free.is_none() && place.book.is_idle(now) {
                free = Some(place);
            }
        }
        match free {
            Some(place) => place.of(subject),
            None => Self::read(name(id, |name| name.push_str("others")), shared).of(OTHERS),
        }
    }

    fn read(record: String, shared: &dyn Shared) -> Self {
        let (bytes, version) = shared.get(&record);
        let book = bytes.and_then(|bytes| Book::decode(&bytes)).unwrap_or_default();
        Self { record, book, version }
    }

    fn of(mut self, subject: u64) -> Self {
        self.book.claim(subject);
        self
    }
}

/// The name of a record of the scope with this id. Made by hand: there are two for each limit that a request has, and the machinery
/// of formats is dear.
fn name(scope: u64, rest: impl FnOnce(&mut String)) -> String {
    let mut name = String::with_capacity(48);
    name.push_str("limit ");
    push_hex(&mut name, scope);
    name.push(' ');
    rest(&mut name);
    name
}

/// Appends `number` as `{:x}` has it.
fn push_hex(out: &mut String, number: u64) {
    let most = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
    for place in (0..most).rev() {
        let digit = (number >> (4 * place) & 15) as u8;
        out.push(char::from(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit }));
    }
}

/// How many records a scope has whose accounts are not those of configuration: clients make users and labels up, tokens name
/// any number of people, and records never go away. Each has one of [`PLACES`] of them; who finds them all taken shares the last.
pub(super) const RECORDS: u64 = 16_384;
pub(super) const PLACES: u64 = 8;
/// Whose the account is that all share who find no record of their own.
const OTHERS: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::{name, push_hex};

    #[test]
    fn records_have_the_names_that_they_always_had() {
        for number in [0, 1, 9, 10, 15, 16, 0xff, 0x0123_4567_89ab_cdef, u64::MAX] {
            assert_eq!(name(number, |name| push_hex(name, !number)), format!("limit {number:x} {:x}", !number));
        }
    }
}
