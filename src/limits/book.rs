//! What a subject has with all limits of a scope: one record, that one look finds and one change writes.
//!
//! Configurations come and go, and for a while two of them write the same record: an old one, until its last request is over,
//! and its successor. So accounts are known by their limits, and who does not know a limit leaves its account as it is.

use std::rc::Rc;

use super::account::{Account, HEAD};
use crate::config::Limit;
use crate::route::Record;

/// A subject's accounts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Book {
    /// Tells subjects apart that share a record; 0: nobody's.
    pub subject: u64,
    accounts: Vec<Account>,
}

/// How many accounts are kept of limits that the writer does not know, so that a record has a bound. Those that stood untouched
/// for longest are dropped first: should a configuration bring such a limit back within its window, it begins anew, as it does for
/// a writer that is not done yet and has more limits of the scope than that which its successor has not.
const KEPT: usize = 32;

impl Book {
    /// Whether nothing is left of anybody here.
    pub fn is_idle(&self, now: u64) -> bool {
        self.accounts.iter().all(|account| account.is_idle(now))
    }

    /// Makes it the subject's, and empty if it was another's.
    pub fn claim(&mut self, subject: u64) {
        if self.subject != subject {
            *self = Self { subject, accounts: Vec::new() };
        }
    }

    /// The account with a limit, as it was when it was last changed.
    pub fn account(&self, limit: &Limit) -> Account {
        let account = self.accounts.iter().find(|account| account.limit == limit.id);
        account.cloned().unwrap_or_else(|| Account::new(limit.id))
    }

    /// The accounts with `limits`, each with its limit.
    ///
    /// They come first in the record, so that others move behind with every change that leaves them as they are.
    pub fn open<'a>(
        &'a mut self,
        limits: &'a [Rc<Limit>],
        now: u64,
    ) -> impl Iterator<Item = (&'a Rc<Limit>, &'a mut Account)> {
        for (place, limit) in limits.iter().enumerate() {
            let rest = self.accounts.get_mut(place..).unwrap_or_default();
            match rest.iter().position(|account| account.limit == limit.id) {
                // As in nearly all records.
                Some(0) => {}
                Some(behind) => rest.get_mut(..=behind).unwrap_or_default().rotate_right(1),
                None => self.accounts.insert(place, Account::new(limit.id)),
            }
        }
        if self.accounts.len() > limits.len() {
            let mut place = 0;
            self.accounts.retain(|account| {
                place += 1;
                place <= limits.len() || !account.is_idle(now)
            });
            self.accounts.truncate(limits.len().saturating_add(KEPT));
        }
        limits.iter().zip(&mut self.accounts)
    }
}

/// What tells these records from those of another release.
const FORM: u64 = 2;

impl Record for Book {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, []) = bytes.as_chunks::<8>() else { return None };
        let (form, numbers) = numbers.split_first()?;
        let (subject, mut numbers) = numbers.split_first()?;
        if u64::from_le_bytes(*form) != FORM {
            return None;
        }
        let accounts = Vec::with_capacity(numbers.len() / HEAD);
        let mut book = Self { subject: u64::from_le_bytes(*subject), accounts };
        while !numbers.is_empty() {
            book.accounts.push(Account::read(&mut numbers)?);
        }
        Some(book)
    }

    fn encode(&self) -> Vec<u8> {
        let mut numbers = Vec::with_capacity(2 + 8 * self.accounts.len());
        numbers.extend([FORM, self.subject].map(u64::to_le_bytes));
        self.accounts.iter().for_each(|account| account.write(&mut numbers));
        numbers.into_flattened()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Book, FORM};
    use crate::config::{Config, File};
    use crate::route::Record;

    fn config() -> Config {
        let file = serde_json::json!({
            "providers": {"a": {"kind": "openai"}}, "models": {"m": {"targets": [{"provider": "a"}]}},
            "limits": [
                {"requests": 5, "per": "second"}, {"tokens": 5, "per": "month", "time_zone": "CET-1CEST,M3.5.0,M10.5.0/3"},
                {"tokens": 5, "per": "day", "utc_offset": "-05:00"}, {"requests": 5, "per": "hour"},
                {"tokens": 5, "rolling": "5h"}, {"concurrent": 5},
            ],
        });
        Config::check(&serde_json::from_value::<File>(file).unwrap()).unwrap()
    }

    #[test]
    fn a_book_comes_back_as_it_was_and_nothing_else_does() {
        let config = config();
        let mut book = Book::default();
        book.claim(7);
        for (limit, account) in book.open(&config.limits, 1) {
            account.hold(1, &limit.window, 3, 5).unwrap();
            account.charge(2, &limit.window, 4);
        }
        let bytes = book.encode();
        assert_eq!(Book::decode(&bytes), Some(book.clone()));
        assert!((0..bytes.len()).all(|length| Book::decode(&bytes[..length]) != Some(book.clone())));
        for other in [&bytes[8..], &bytes[..17], &[0; 224], &[]] {
            assert_eq!(Book::decode(other), None);
        }
        let account = book.account(&config.limits[5]);
        book.claim(7);
        assert_eq!(book.account(&config.limits[5]), account);
        book.claim(8);
        assert!(book.is_idle(2) && book.account(&config.limits[5]) != account);
    }

    proptest! {
        /// Whatever is in a record, nothing breaks over it.
        #[test]
        fn any_record_is_read(
            numbers in prop::collection::vec(prop_oneof![0_u64..9, (0_u64..17).prop_map(|it| it << 32 | 1), any::<u64>()], 0..40),
            cut in 0_usize..8, now in 0_u64..4_000_000_000_000,
        ) {
            let bytes: Vec<u8> = [&[FORM], &numbers[..]].concat().into_iter().flat_map(u64::to_le_bytes).collect();
            let mut book = Book::decode(&bytes[..bytes.len() - cut]).unwrap_or_default();
            let config = config();
            for (limit, account) in book.open(&config.limits, now) {
                let _ = account.hold(now, &limit.window, 3, 5);
                account.charge(now, &limit.window, u64::MAX);
                let _ = account.take(now, &limit.window, 3, 5);
            }
            prop_assert!(!book.is_idle(now));
            prop_assert_eq!(Book::decode(&book.encode()), Some(book));
        }
    }
}
