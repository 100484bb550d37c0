//! How a target has done of late, as all workers have seen it: whether to leave it alone, how fast it is, how busy.
//!
//! A circuit breaker of three states (closed, open, half-open) over a window of two halves. Time comes from outside.

use super::shared::{Record, Shared, glance, read};
use crate::config::Breaker;
use crate::error::{Cause, Fault};

/// What is known of a target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Number of the half window that `recent` is about.
    half: u64,
    /// Requests of this half window and of the one before.
    recent: [Tally; 2],
    /// It is left alone until then; 0: it is not.
    cooled_until: u64,
    /// One request is out to see whether it is well again, and until then no other is.
    probed_until: u64,
    pace: Pace,
    busy: Busy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tally {
    good: u32,
    failed: u32,
}

/// Moving averages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Pace {
    /// When it was measured last.
    at: u64,
    /// To the first content, in microseconds; 0: never measured.
    first: u64,
    /// For each token after it, in microseconds.
    token: u64,
}

/// Requests in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Busy {
    count: u32,
    /// When the last one began.
    at: u64,
}

/// Whether to send requests to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Well,
    /// It was left alone for long enough: one request may see whether it is well, see [`Health::claim`].
    Due,
    /// Not before this time.
    Cooled(u64),
}

/// The longest that a provider can ask to be left alone, in milliseconds: an hour. Daily quotas name the next day; by then
/// an operator may have bought more.
const LONGEST: u64 = 3_600_000;
/// A request that is out for longer is not counted as in flight, in milliseconds: a worker that died never took it back.
const FORGOTTEN: u64 = 900_000;
/// After so long an average counts for half, in milliseconds, so that a target that was slow is tried again.
const HALF_LIFE: u64 = 60_000;
/// Tokens of a typical answer, to make one number of the two paces.
const TYPICAL: u64 = 200;

impl Health {
    /// The record with that key: by a glance if that shows it well. One that is left alone can be well again any moment, and
    /// then gets the very next request, whichever worker has it.
    pub(super) fn seen(shared: &dyn Shared, key: &str, now: u64) -> Self {
        let seen: Self = glance(shared, key);
        if seen.standing(now) == Standing::Well { seen } else { read(shared, key) }
    }

    /// Whether to send requests to it.
    pub fn standing(&self, now: u64) -> Standing {
        match self.cooled_until.max(self.probed_until) {
            _ if self.cooled_until == 0 => Standing::Well,
            until if now < until => Standing::Cooled(until),
            _ => Standing::Due,
        }
    }

    /// Takes it upon the caller to send the one request that shows whether the target is well again; `None` if it is not
    /// due, or another was faster. One that never comes back is replaced after another cooldown.
    pub fn claim(&mut self, now: u64, breaker: &Breaker) -> Option<()> {
        (self.standing(now) == Standing::Due).then(|| self.probed_until = now.saturating_add(breaker.cooldown))
    }

    /// A request was answered, or refused for a fault of the client's: the target works. `true` if it had been left alone.
    pub fn succeeded(&mut self, now: u64, breaker: &Breaker) -> bool {
        self.add_good(now, 1, breaker);
        // An answer to what was asked before it was cooled says nothing yet.
        let recovered = self.cooled_until != 0 && now >= self.cooled_until;
        if recovered {
            (self.cooled_until, self.probed_until, self.recent) = (0, 0, [Tally::default(); 2]);
        }
        recovered
    }

    /// So many requests were answered of late.
    pub fn add_good(&mut self, now: u64, times: u32, breaker: &Breaker) {
        let tally = self.tally(now, breaker);
        tally.good = tally.good.saturating_add(times);
    }

    /// A request failed for this reason; `retry_after`, in milliseconds, is what the provider asks for. `true` if the target
    /// is now left alone.
    pub fn failed(&mut self, now: u64, cause: Cause, retry_after: Option<u64>, breaker: &Breaker) -> bool {
        if cause.fault() == Fault::Client {
            self.succeeded(now, breaker);
            return false;
        }
        let probed = self.cooled_until != 0 && now >= self.cooled_until;
        let tally = self.tally(now, breaker);
        tally.failed = tally.failed.saturating_add(1);
        let (good, failed) = self.tallied();
        let often =
            failed >= u64::from(breaker.failures) && failed * 100 >= (good + failed) * u64::from(breaker.percent);
        // What the operator has to mend does not mend itself; who names a time means it.
        let sure = cause.fault() == Fault::Operator || retry_after.is_some();
        if breaker.cooldown == 0 || !(probed || often || sure) {
            return false;
        }
        let pause = breaker.cooldown.max(retry_after.unwrap_or(0).min(LONGEST));
        self.leave_until(now.saturating_add(pause));
        self.recent = [Tally::default(); 2];
        true
    }

    /// Its provider says that nothing is left to be had of it until then, though it has refused nothing yet. `true` if it was
    /// well until now; `None` if this is nothing new.
    pub fn spent(&mut self, now: u64, until: u64) -> Option<bool> {
        let until = until.min(now.saturating_add(LONGEST));
        let was_well = self.standing(now) == Standing::Well;
        (until > now && until > self.cooled_until).then(|| self.leave_until(until)).map(|()| was_well)
    }

    /// Leaves it alone until then, at least.
    pub fn leave_until(&mut self, until: u64) {
        self.cooled_until = self.cooled_until.max(until);
        self.probed_until = 0;
    }

    /// How many requests came to a good end of late, and how many failed.
    pub fn recent(&self, now: u64, breaker: &Breaker) -> (u64, u64) {
        let mut health = self.clone();
        health.tally(now, breaker);
        health.tallied()
    }

    fn tallied(&self) -> (u64, u64) {
        self.recent
            .iter()
            .fold((0, 0), |(good, failed), tally| (good + u64::from(tally.good), failed + u64::from(tally.failed)))
    }

    /// The tally of the half window that `now` is in.
    fn tally(&mut self, now: u64, breaker: &Breaker) -> &mut Tally {
        let half = now / (breaker.window / 2).max(1);
        let [recent, before] = self.recent;
        self.recent = match half.saturating_sub(self.half) {
            0 => [recent, before],
            1 => [Tally::default(), recent],
            _ => [Tally::default(); 2],
        };
        self.half = self.half.max(half);
        let [recent, _] = &mut self.recent;
        recent
    }

    /// A request goes out.
    pub fn begins(&mut self, now: u64) {
        self.busy = Busy { count: self.in_flight(now).saturating_add(1), at: now };
    }

    /// It is over, whatever came of it.
    pub fn ends(&mut self) {
        self.busy.count = self.busy.count.saturating_sub(1);
    }

    /// How many requests are out.
    pub fn in_flight(&self, now: u64) -> u32 {
        if now.saturating_sub(self.busy.at) > FORGOTTEN { 0 } else { self.busy.count }
    }

    /// An answer's first content came after `first` milliseconds, and `tokens` more in `rest` milliseconds.
    pub fn took(&mut self, now: u64, first: u64, rest: u64, tokens: u64) {
        let (first, rest) = (first.saturating_mul(1000).max(1), rest.saturating_mul(1000));
        let token = rest.checked_div(tokens).unwrap_or(self.pace.token);
        self.pace = match self.pace.first {
            0 => Pace { at: now, first, token },
            _ => Pace { at: now, first: mix(self.pace.first, first), token: mix(self.pace.token, token) },
        };
    }

    /// How long a typical answer takes, in microseconds; 0 if nobody knows, and ever less if nobody has asked for long.
    pub fn slowness(&self, now: u64) -> u64 {
        let halvings = u32::try_from(now.saturating_sub(self.pace.at) / HALF_LIFE).unwrap_or(u32::MAX);
        let typical = self.pace.first.saturating_add(self.pace.token.saturating_mul(TYPICAL));
        typical.checked_shr(halvings).unwrap_or(0)
    }
}

/// The newest measurement counts for a quarter.
fn mix(average: u64, measured: u64) -> u64 {
    average - average / 4 + measured / 4
}

/// Numbers, in order.
type Fields = [u64; 12];

impl Health {
    fn fields(&self) -> Fields {
        let [recent, before] = self.recent;
        let Pace { at, first, token } = self.pace;
        let both = |tally: Tally| u64::from(tally.good) << 32 | u64::from(tally.failed);
        let busy = [u64::from(self.busy.count), self.busy.at];
        let [count, since] = busy;
        [
            FORM,
            self.half,
            both(recent),
            both(before),
            self.cooled_until,
            self.probed_until,
            at,
            first,
            token,
            count,
            since,
            0,
        ]
    }
}

/// What tells these records from those of another release.
const FORM: u64 = 1;

impl Record for Health {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields: Fields = [0; 12];
        let (numbers, rest) = bytes.as_chunks::<8>();
        if numbers.len() != fields.len() || !rest.is_empty() {
            return None;
        }
        for (field, number) in fields.iter_mut().zip(numbers) {
            *field = u64::from_le_bytes(*number);
        }
        let [FORM, half, recent, before, cooled_until, probed_until, at, first, token, count, since, _] = fields else {
            return None;
        };
        let both = |both: u64| Tally { good: (both >> 32) as u32, failed: both as u32 };
        Some(Self {
            half,
            recent: [both(recent), both(before)],
            cooled_until,
            probed_until,
            pace: Pace { at, first, token },
            busy: Busy { count: count as u32, at: since },
        })
    }

    fn encode(&self) -> Vec<u8> {
        self.fields().iter().flat_map(|field| field.to_le_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{FORGOTTEN, HALF_LIFE, Health, LONGEST, Standing};
    use crate::config::Breaker;
    use crate::error::Cause;
    use crate::route::shared::Record;

    const BREAKER: Breaker = Breaker { cooldown: 10_000, failures: 3, percent: 50, window: 20_000 };

    fn failing(times: u32, now: u64) -> Health {
        let mut health = Health::default();
        (0..times).for_each(|_| {
            health.failed(now, Cause::ServerError, None, &BREAKER);
        });
        health
    }

    #[test]
    fn failures_within_the_window_trip_it() {
        assert_eq!(failing(2, 1000).standing(1000), Standing::Well);
        assert_eq!(failing(3, 1000).standing(1000), Standing::Cooled(11_000));
        // Not if they are far apart, or few among many.
        let mut health = failing(2, 1000);
        assert!(!health.failed(40_000, Cause::Timeout, None, &BREAKER));
        let mut health = Health::default();
        (0..10).for_each(|_| assert!(!health.succeeded(5000, &BREAKER)));
        (0..9).for_each(|_| assert!(!health.failed(6000, Cause::Overloaded, None, &BREAKER)));
        assert!(health.failed(6000, Cause::Overloaded, None, &BREAKER));
        // The half before counts, the one before that does not.
        let mut health = failing(2, 9_999);
        assert!(health.failed(10_000, Cause::BadAnswer, None, &BREAKER));
        let mut health = failing(2, 9_999);
        assert!(!health.failed(20_000, Cause::BadAnswer, None, &BREAKER));
    }

    #[test]
    fn what_is_certain_trips_it_at_once() {
        for cause in [Cause::Authentication, Cause::QuotaExhausted, Cause::TargetNotFound] {
            assert!(Health::default().failed(0, cause, None, &BREAKER), "{cause:?}");
        }
        let mut health = Health::default();
        assert!(health.failed(1000, Cause::RateLimited, Some(60_000), &BREAKER));
        assert_eq!(health.standing(1000), Standing::Cooled(61_000));
        // The longer of the two, within reason.
        let mut health = Health::default();
        health.failed(1000, Cause::RateLimited, Some(5), &BREAKER);
        assert_eq!(health.standing(1000), Standing::Cooled(11_000));
        let mut health = Health::default();
        health.failed(0, Cause::RateLimited, Some(u64::MAX), &BREAKER);
        assert_eq!(health.standing(0), Standing::Cooled(LONGEST));
    }

    #[test]
    fn without_a_cooldown_nothing_trips_it() {
        let mut health = Health::default();
        let breaker = Breaker { cooldown: 0, ..BREAKER };
        (0..10).for_each(|_| assert!(!health.failed(0, Cause::Authentication, Some(1000), &breaker)));
    }

    #[test]
    fn a_clients_fault_cools_nobody() {
        let mut health = Health::default();
        for cause in [Cause::BadRequest, Cause::ContextWindow, Cause::ContentPolicy, Cause::TooLarge] {
            (0..100).for_each(|_| assert!(!health.failed(0, cause, Some(1), &BREAKER)));
        }
        assert_eq!(health.standing(0), Standing::Well);
    }

    #[test]
    fn one_request_at_a_time_sees_whether_it_is_well_again() {
        let mut health = failing(3, 0);
        assert_eq!(health.claim(9_999, &BREAKER), None);
        assert_eq!(health.standing(10_000), Standing::Due);
        assert_eq!(health.claim(10_000, &BREAKER), Some(()));
        assert_eq!((health.claim(10_000, &BREAKER), health.standing(10_001)), (None, Standing::Cooled(20_000)));
        // It failed: another cooldown. It was lost: the same.
        let mut failed = health.clone();
        assert!(failed.failed(12_000, Cause::Timeout, None, &BREAKER));
        assert_eq!(failed.standing(12_000), Standing::Cooled(22_000));
        assert_eq!(health.standing(20_000), Standing::Due);
        assert!(health.succeeded(20_500, &BREAKER));
        assert_eq!(health.standing(20_500), Standing::Well);
        // The failures of before are forgotten.
        assert!(!health.failed(20_600, Cause::Timeout, None, &BREAKER));
    }

    #[test]
    fn what_was_asked_before_it_was_cooled_proves_nothing() {
        let mut health = failing(3, 0);
        assert!(!health.succeeded(5, &BREAKER));
        assert_eq!(health.standing(5), Standing::Cooled(10_000));
    }

    #[test]
    fn what_is_spent_is_left_alone_until_its_time_and_no_longer_than_others() {
        let mut health = Health::default();
        assert_eq!(health.spent(1000, 1000), None);
        assert_eq!((health.spent(1000, 1500), health.standing(1499)), (Some(true), Standing::Cooled(1500)));
        assert_eq!((health.spent(1100, 1500), health.spent(1100, 1501)), (None, Some(false)));
        assert_eq!(health.standing(1501), Standing::Due);
        health.spent(2000, u64::MAX);
        assert_eq!(health.standing(2000), Standing::Cooled(2000 + LONGEST));
    }

    #[test]
    fn slowness_follows_what_is_measured_and_fades() {
        let mut health = Health::default();
        assert_eq!(health.slowness(0), 0);
        health.took(1000, 100, 1000, 100);
        assert_eq!(health.slowness(1000), 100_000 + 200 * 10_000);
        (0..40).for_each(|_| health.took(2000, 10, 100, 100));
        let slowness = health.slowness(2000);
        assert!((200_000..230_000).contains(&slowness), "{slowness}");
        assert_eq!(health.slowness(2000 + HALF_LIFE), slowness / 2);
        assert_eq!(health.slowness(u64::MAX), 0);
        // An answer without tokens says nothing about their pace.
        health.took(2000, 10, 0, 0);
        assert!(health.slowness(2000) > 100_000);
    }

    #[test]
    fn what_is_in_flight_is_counted_and_forgotten() {
        let mut health = Health::default();
        health.ends();
        health.begins(5);
        health.begins(6);
        assert_eq!(health.in_flight(6), 2);
        health.ends();
        assert_eq!((health.in_flight(6), health.in_flight(7 + FORGOTTEN)), (1, 0));
    }

    #[test]
    fn records_come_back_as_they_were() {
        let mut health = failing(3, 7);
        health.succeeded(8, &BREAKER);
        health.took(9, 10, 11, 12);
        health.begins(13);
        health.claim(10_007, &BREAKER);
        assert_eq!(Health::decode(&health.encode()), Some(health.clone()));
        for bytes in [&[][..], &[1; 8], &[0; 96], &[1; 97]] {
            assert_eq!(Health::decode(bytes), None);
        }
    }
}
