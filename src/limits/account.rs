//! One limit's account of one subject: what was used within the window, and what is held for requests under way.
//!
//! A request first holds what it may use, and settles it when it is over. What is held by requests that are never heard of
//! again (a worker that died) comes back by itself. Every number has a bound, and every record the same size.

use super::window::Window;
use crate::route::Record;

/// What is known of a subject, in whatever the limit counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// Tells subjects apart that share a record; 0: nobody's.
    pub subject: u64,
    /// Number of the newest slice of the window.
    slice: u64,
    /// What was used, by slice, the newest first. A calendar window has one slice.
    used: [u64; SLICES],
    /// Number of the newest epoch.
    epoch: u64,
    /// What is held, by the epoch in which it began, the newest first.
    held: [u64; EPOCHS],
}

/// By which what is held is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    epoch: u64,
    /// How much.
    pub amount: u64,
}

/// Why there is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Used and held.
    pub taken: u64,
    /// In how many milliseconds there may be more.
    pub wait: u64,
}

/// Slices of a rolling window: it forgets a sixteenth at a time, and so holds back for up to that much longer than it says.
pub const SLICES: usize = 16;
/// What is held is forgotten after so many epochs.
pub const EPOCHS: usize = 8;
/// Milliseconds of one. Together they outlast the longest request.
const EPOCH: u64 = 15 * 60_000;

impl Account {
    /// Takes `amount` at once, if no more than `limit` is then taken.
    ///
    /// # Errors
    /// It would be more.
    pub fn take(&mut self, now: u64, window: &Window, amount: u64, limit: u64) -> Result<(), Spent> {
        self.fits(now, window, amount, limit)?;
        self.add(amount);
        Ok(())
    }

    /// Holds `amount`, if no more than `limit` is then taken.
    ///
    /// # Errors
    /// It would be more.
    pub fn hold(&mut self, now: u64, window: &Window, amount: u64, limit: u64) -> Result<Lease, Spent> {
        self.fits(now, window, amount, limit)?;
        let [newest, ..] = &mut self.held;
        *newest = newest.saturating_add(amount);
        Ok(Lease { epoch: self.epoch, amount })
    }

    /// Gives back what was held, and counts what was used in its place, in the window that it is by now.
    pub fn settle(&mut self, now: u64, window: &Window, lease: Lease, used: u64) {
        self.turn(now, window);
        let age = self.epoch.saturating_sub(lease.epoch);
        if let Some(held) = usize::try_from(age).ok().and_then(|age| self.held.get_mut(age)) {
            *held = held.saturating_sub(lease.amount);
        }
        self.add(used);
    }

    /// Counts what was used, past any limit.
    pub fn charge(&mut self, now: u64, window: &Window, used: u64) {
        self.turn(now, window);
        self.add(used);
    }

    /// Takes back what was just used, by a request that was refused after all.
    pub fn refund(&mut self, used: u64) {
        let [newest, ..] = &mut self.used;
        *newest = newest.saturating_sub(used);
    }

    /// What is used and what is held.
    pub fn taken(&mut self, now: u64, window: &Window) -> (u64, u64) {
        self.turn(now, window);
        let sum = |amounts: &[u64]| amounts.iter().fold(0_u64, |sum, amount| sum.saturating_add(*amount));
        (sum(&self.used), sum(&self.held))
    }

    /// Whether nothing is left of anybody here.
    pub fn is_idle(&mut self, now: u64, window: &Window) -> bool {
        self.taken(now, window) == (0, 0)
    }

    /// Makes it the subject's, if it is that already or nobody's.
    pub fn claim(&mut self, subject: u64, now: u64, window: &Window) -> bool {
        let is_free = self.subject == subject || self.subject == 0 || self.is_idle(now, window);
        if is_free {
            self.subject = subject;
        }
        is_free
    }

    fn add(&mut self, used: u64) {
        let [newest, ..] = &mut self.used;
        *newest = newest.saturating_add(used);
    }

    fn fits(&mut self, now: u64, window: &Window, amount: u64, limit: u64) -> Result<(), Spent> {
        let (used, held) = self.taken(now, window);
        let taken = used.saturating_add(held);
        if taken.saturating_add(amount) <= limit {
            return Ok(());
        }
        Err(Spent { taken, wait: self.wait(now, window, amount, limit) })
    }

    /// When enough of what was used is forgotten, if what is held comes to nothing.
    fn wait(&self, now: u64, window: &Window, amount: u64, limit: u64) -> u64 {
        let slices = window.slices();
        let mut left = self.used.iter().take(slices).fold(0_u64, |sum, used| sum.saturating_add(*used));
        for (age, used) in self.used.iter().enumerate().take(slices).rev() {
            left = left.saturating_sub(*used);
            if left.saturating_add(amount) <= limit {
                return window.forgotten(self.slice, age).saturating_sub(now);
            }
        }
        window.forgotten(self.slice, 0).saturating_sub(now)
    }

    /// Moves on to the slice and epoch that `now` is in. A worker whose clock is behind another's changes nothing.
    fn turn(&mut self, now: u64, window: &Window) {
        let slice = window.slice(now);
        shift(&mut self.used, slice.saturating_sub(self.slice));
        self.slice = self.slice.max(slice);
        // What a shorter window has no slice for is forgotten.
        self.used.iter_mut().skip(window.slices()).for_each(|used| *used = 0);
        let epoch = now / EPOCH;
        shift(&mut self.held, epoch.saturating_sub(self.epoch));
        self.epoch = self.epoch.max(epoch);
    }
}

/// Moves every amount `by` places on; what falls out at the end is gone.
fn shift<const N: usize>(amounts: &mut [u64; N], by: u64) {
    let by = usize::try_from(by).unwrap_or(N).min(N);
    amounts.rotate_right(by);
    amounts.iter_mut().take(by).for_each(|amount| *amount = 0);
}

/// Numbers of a record.
const FIELDS: usize = 4 + SLICES + EPOCHS;
/// What tells these records from those of another release.
const FORM: u64 = 1;

impl Record for Account {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        if numbers.len() != FIELDS || !rest.is_empty() {
            return None;
        }
        let mut numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
        let mut next = || numbers.next().unwrap_or_default();
        if next() != FORM {
            return None;
        }
        let mut account = Self { subject: next(), slice: next(), epoch: next(), ..Self::default() };
        account.used.iter_mut().chain(&mut account.held).for_each(|amount| *amount = next());
        Some(account)
    }

    fn encode(&self) -> Vec<u8> {
        let head = [FORM, self.subject, self.slice, self.epoch];
        let mut bytes = Vec::with_capacity(8 * FIELDS);
        head.iter()
            .chain(&self.used)
            .chain(&self.held)
            .for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Account, EPOCH, EPOCHS, Lease, Spent};
    use crate::limits::window::{Per, Window};
    use crate::route::Record;
    use crate::time_zone::TimeZone;

    const MINUTE: Window = Window::Calendar { per: Per::Minute, zone: TimeZone::UTC };

    #[test]
    fn a_window_lets_so_much_through_and_no_more() {
        let mut account = Account::default();
        for _ in 0..10 {
            assert_eq!(account.take(59_999, &MINUTE, 1, 10), Ok(()));
        }
        assert_eq!(account.take(59_999, &MINUTE, 1, 10), Err(Spent { taken: 10, wait: 1 }));
        assert_eq!(account.take(60_000, &MINUTE, 1, 10), Ok(()));
        // A clock that is behind does not bring the old window back.
        assert_eq!(account.taken(59_999, &MINUTE), (1, 0));
    }

    #[test]
    fn what_is_held_counts_until_it_is_settled() {
        let mut account = Account::default();
        let first = account.hold(0, &MINUTE, 600, 1000).unwrap();
        assert_eq!(account.hold(0, &MINUTE, 600, 1000), Err(Spent { taken: 600, wait: 60_000 }));
        let second = account.hold(0, &MINUTE, 400, 1000).unwrap();
        account.settle(10, &MINUTE, first, 100);
        assert_eq!(account.taken(10, &MINUTE), (100, 400));
        // In the next window the use of the first one is forgotten, and what is held is not.
        assert_eq!(account.taken(60_000, &MINUTE), (0, 400));
        account.settle(60_000, &MINUTE, second, 1200);
        assert_eq!(account.taken(60_000, &MINUTE), (1200, 0));
    }

    #[test]
    fn what_nobody_settles_comes_back() {
        let mut account = Account::default();
        let lost = account.hold(0, &MINUTE, 5, 5).unwrap();
        assert!(account.hold(EPOCH * EPOCHS as u64 - 1, &MINUTE, 1, 5).is_err());
        assert!(account.hold(EPOCH * EPOCHS as u64, &MINUTE, 5, 5).is_ok());
        // Too late, it gives back nothing of another's.
        account.settle(EPOCH * EPOCHS as u64, &MINUTE, lost, 0);
        assert_eq!(account.taken(EPOCH * EPOCHS as u64, &MINUTE), (0, 5));
    }

    #[test]
    fn a_rolling_window_never_has_more_within_its_length() {
        let window = Window::Rolling(16_000);
        let mut account = Account::default();
        let mut taken: Vec<u64> = Vec::new();
        for now in (0..200_000).step_by(100) {
            if account.take(now, &window, 1, 20).is_ok() {
                taken.push(now);
            }
            let within = taken.iter().filter(|at| now - **at < 16_000).count();
            assert!(within <= 20, "{within} at {now}");
        }
        // Nearly all that it could.
        assert!(taken.len() >= 200_000 / 17_000 * 20, "{}", taken.len());
    }

    #[test]
    fn a_wait_is_long_enough() {
        for window in [MINUTE, Window::Rolling(16_000), Window::Calendar { per: Per::Month, zone: TimeZone::UTC }] {
            let mut account = Account::default();
            (0..5).for_each(|step| account.take(1_000_000 + step * 900, &window, 2, 10).unwrap());
            let now = 1_004_000;
            let spent = account.take(now, &window, 3, 10).unwrap_err();
            assert!(account.clone().take(now + spent.wait - 1, &window, 3, 10).is_err(), "{window:?}");
            assert!(account.take(now + spent.wait, &window, 3, 10).is_ok(), "{window:?} {spent:?}");
        }
    }

    #[test]
    fn records_come_back_as_they_were() {
        let mut account = Account { subject: 7, ..Account::default() };
        account.take(1, &Window::Rolling(16), 3, 9).unwrap();
        account.hold(5, &Window::Rolling(16), 4, 9).unwrap();
        assert_eq!(Account::decode(&account.encode()), Some(account.clone()));
        assert_eq!(Account::decode(&account.encode()[8..]), None);
        assert_eq!(Account::decode(&[0; 224]), None);
    }

    proptest! {
        /// Whatever order requests begin and end in: what is used is what was settled, what is held comes to nothing, and a
        /// limit is never passed by more than what requests used beyond what they held.
        #[test]
        fn sums_agree(steps in prop::collection::vec((0_u64..4, 1_u64..50, 0_u64..80), 1..200)) {
            const LIMIT: u64 = 300;
            let window = Window::Calendar { per: Per::Day, zone: TimeZone::UTC };
            let (mut account, mut open): (Account, Vec<Lease>) = Default::default();
            let (mut settled, mut beyond) = (0, 0);
            for (now, (what, amount, used)) in (0_u64..).zip(steps) {
                if what > 0 {
                    open.extend(account.hold(now, &window, amount, LIMIT));
                } else if !open.is_empty() {
                    let lease = open.remove(amount as usize % open.len());
                    account.settle(now, &window, lease, used);
                    settled += used;
                    beyond += used.saturating_sub(lease.amount);
                }
                let (used, held) = account.taken(now, &window);
                prop_assert_eq!((used, held), (settled, open.iter().map(|lease| lease.amount).sum::<u64>()));
                prop_assert!(used + held <= LIMIT + beyond);
            }
            for lease in open {
                account.settle(1000, &window, lease, 0);
            }
            prop_assert_eq!(account.taken(1000, &window), (settled, 0));
        }
    }
}
