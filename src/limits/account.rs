//! One limit's account of one subject: what was used within the window, and what is held for requests under way.
//!
//! A request first holds what it may use, and settles it when it is over. What is held by requests that are never heard of
//! again (a worker that died) comes back by itself. Every number has a bound, and every record the same size.

use super::window::Window;

/// What is known of a subject, in whatever the limit counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// The limit's id.
    pub limit: u64,
    /// Number of the newest slice of the window.
    slice: u64,
    /// When that slice stops counting, in milliseconds since 1970.
    until: u64,
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
    /// One with nothing in it.
    pub fn new(limit: u64) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Takes `amount` at once, if no more than `limit` is then taken. How much is left.
    ///
    /// # Errors
    /// It would be more.
    pub fn take(&mut self, now: u64, window: &Window, amount: u64, limit: u64) -> Result<u64, Spent> {
        let left = self.fits(now, window, amount, limit)?;
        self.add(amount);
        Ok(left)
    }

    /// Holds `amount`, if no more than `limit` is then taken. How much is left, too.
    ///
    /// # Errors
    /// It would be more.
    pub fn hold(&mut self, now: u64, window: &Window, amount: u64, limit: u64) -> Result<(Lease, u64), Spent> {
        let left = self.fits(now, window, amount, limit)?;
        let [newest, ..] = &mut self.held;
        *newest = newest.saturating_add(amount);
        Ok((Lease { epoch: self.epoch, amount }, left))
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

    /// When the window begins anew, as of the last change; 0 where there is none.
    pub const fn until(&self) -> u64 {
        self.until
    }

    /// Whether nothing is left here, whatever its window is: an account may be of a limit that only others know.
    pub fn is_idle(&self, now: u64) -> bool {
        let gone = usize::try_from((now / EPOCH).saturating_sub(self.epoch)).unwrap_or(EPOCHS);
        let nothing = |amounts: &[u64]| amounts.iter().all(|amount| *amount == 0);
        // Older slices stop counting before the newest does.
        (now >= self.until || nothing(&self.used)) && self.held.iter().rev().skip(gone).all(|amount| *amount == 0)
    }

    fn add(&mut self, used: u64) {
        let [newest, ..] = &mut self.used;
        *newest = newest.saturating_add(used);
    }

    fn fits(&mut self, now: u64, window: &Window, amount: u64, limit: u64) -> Result<u64, Spent> {
        let (used, held) = self.taken(now, window);
        let taken = used.saturating_add(held);
        let left = limit.checked_sub(taken.saturating_add(amount));
        left.ok_or_else(|| Spent { taken, wait: self.wait(now, window, amount, limit) })
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
        // Which piece of the calendar it is takes time to tell, and is told when the last one is over.
        if now >= self.until || matches!(window, Window::Rolling(_)) {
            let slice = window.slice(now);
            shift(&mut self.used, slice.saturating_sub(self.slice));
            self.slice = self.slice.max(slice);
            self.until = window.forgotten(self.slice, 0);
            // What a shorter window has no slice for is forgotten.
            self.used.iter_mut().skip(window.slices()).for_each(|used| *used = 0);
        }
        let epoch = now / EPOCH;
        shift(&mut self.held, epoch.saturating_sub(self.epoch));
        self.epoch = self.epoch.max(epoch);
    }
}

/// Moves every amount `by` places on; what falls out at the end is gone.
fn shift<const N: usize>(amounts: &mut [u64; N], by: u64) {
    if by == 0 {
        return;
    }
    let by = usize::try_from(by).unwrap_or(N).min(N);
    amounts.rotate_right(by);
    amounts.iter_mut().take(by).for_each(|amount| *amount = 0);
}

/// No record speaks of later, in milliseconds or what is longer: two centuries on.
const LATEST: u64 = 1 << 43;
/// Numbers that each account has, whatever is in it.
pub const HEAD: usize = 5;

impl Account {
    /// Reads what [`Self::write`] wrote from the beginning of `numbers`; `None` for anything else.
    pub fn read(numbers: &mut &[[u8; 8]]) -> Option<Self> {
        let (head, rest) = numbers.split_first_chunk::<HEAD>()?;
        let [limit, lengths, slice, until, epoch] = head.map(u64::from_le_bytes);
        let mut account = Self { limit, slice, until, epoch, ..Self::default() };
        let (used, rest) = rest.split_at_checked(usize::try_from(lengths >> 32).ok()?)?;
        let (held, rest) = rest.split_at_checked(usize::try_from(lengths & u64::from(u32::MAX)).ok()?)?;
        fill(account.used.get_mut(..used.len())?, used);
        fill(account.held.get_mut(..held.len())?, held);
        *numbers = rest;
        (slice.max(epoch) <= LATEST).then_some(account)
    }

    /// Writes it, without what is nothing at the ends: most windows have one slice, and few requests take an hour.
    pub fn write(&self, numbers: &mut Vec<[u8; 8]>) {
        let (used, held) = (filled(&self.used), filled(&self.held));
        let lengths = (used.len() as u64) << 32 | held.len() as u64;
        numbers.extend([self.limit, lengths, self.slice, self.until, self.epoch].map(u64::to_le_bytes));
        numbers.extend(used.iter().map(|amount| amount.to_le_bytes()));
        numbers.extend(held.iter().map(|amount| amount.to_le_bytes()));
    }
}

fn fill(amounts: &mut [u64], numbers: &[[u8; 8]]) {
    for (amount, number) in amounts.iter_mut().zip(numbers) {
        *amount = u64::from_le_bytes(*number);
    }
}

/// All up to the last that is something: mostly the first at most.
fn filled(amounts: &[u64]) -> &[u64] {
    let is_nothing = |amounts: &[u64]| amounts.iter().fold(0, |all, amount| all | amount) == 0;
    let length = match amounts {
        [] => 0,
        [first, rest @ ..] if is_nothing(rest) => usize::from(*first != 0),
        _ => amounts.iter().rposition(|amount| *amount != 0).map_or(0, |last| last + 1),
    };
    amounts.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Account, EPOCH, EPOCHS, HEAD, Lease, Spent};
    use crate::limits::window::{Per, Window};
    use crate::time_zone::TimeZone;

    const MINUTE: Window = Window::Calendar { per: Per::Minute, zone: TimeZone::UTC };

    #[test]
    fn a_window_lets_so_much_through_and_no_more() {
        let mut account = Account::default();
        for left in (0..10).rev() {
            assert_eq!(account.take(59_999, &MINUTE, 1, 10), Ok(left));
        }
        assert_eq!(account.take(59_999, &MINUTE, 1, 10), Err(Spent { taken: 10, wait: 1 }));
        assert_eq!(account.take(60_000, &MINUTE, 1, 10), Ok(9));
        // A clock that is behind does not bring the old window back.
        assert_eq!(account.taken(59_999, &MINUTE), (1, 0));
    }

    #[test]
    fn what_is_held_counts_until_it_is_settled() {
        let mut account = Account::default();
        let (first, left) = account.hold(0, &MINUTE, 600, 1000).unwrap();
        assert_eq!(left, 400);
        assert_eq!(account.hold(0, &MINUTE, 600, 1000), Err(Spent { taken: 600, wait: 60_000 }));
        let (second, _) = account.hold(0, &MINUTE, 400, 1000).unwrap();
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
        let (lost, _) = account.hold(0, &MINUTE, 5, 5).unwrap();
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
            (0..5).for_each(|step| assert!(account.take(1_000_000 + step * 900, &window, 2, 10).is_ok()));
            let now = 1_004_000;
            let spent = account.take(now, &window, 3, 10).unwrap_err();
            assert!(account.clone().take(now + spent.wait - 1, &window, 3, 10).is_err(), "{window:?}");
            assert!(account.take(now + spent.wait, &window, 3, 10).is_ok(), "{window:?} {spent:?}");
        }
    }

    #[test]
    fn accounts_come_back_as_they_were_and_short() {
        let mut account = Account::new(7);
        account.take(1, &Window::Rolling(16), 3, 9).unwrap();
        account.hold(5, &Window::Rolling(16), 4, 9).unwrap();
        let mut numbers = Vec::new();
        account.write(&mut numbers);
        let mut read = &*numbers;
        assert_eq!((Account::read(&mut read), read.len()), (Some(account), 0));
        assert_eq!(numbers.len(), HEAD + 3 + 1);
        assert_eq!(Account::read(&mut &numbers[..HEAD + 3]), None);
        let many = [&[7, 17 << 32, 0, 0, 0], &[1; 17][..]].concat().into_iter().map(u64::to_le_bytes);
        assert_eq!(Account::read(&mut &*many.collect::<Vec<_>>()), None);
    }

    #[test]
    fn an_account_is_idle_when_its_window_and_its_requests_are_over() {
        let mut account = Account::new(7);
        assert!(account.is_idle(0));
        account.take(59_000, &MINUTE, 1, 9).unwrap();
        assert!(!account.is_idle(59_999) && account.is_idle(60_000));
        let (lease, _) = account.hold(EPOCH, &MINUTE, 2, 9).unwrap();
        assert!(!account.is_idle(EPOCH * EPOCHS as u64) && account.is_idle(EPOCH * (EPOCHS as u64 + 1)));
        account.settle(EPOCH, &MINUTE, lease, 0);
        assert!(account.is_idle(EPOCH));
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
                    open.extend(account.hold(now, &window, amount, LIMIT).map(|(lease, _)| lease));
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
