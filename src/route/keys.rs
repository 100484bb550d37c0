//! Which of a provider's several credentials a request goes out with, and how each has done of late.
//!
//! Each has a record of its own, by its name: what is wrong with one is not the target's fault. Where there is but one, the
//! target's own record says all.

use super::health::{Health, Standing};
use super::order::rank;
use super::shared::{Shared, glance, read, update};
use super::strategy::rendezvous;
use crate::chance::Random;
use crate::config::{ApiKey, Breaker};
use crate::error::Cause;

/// A provider's credentials.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// Its name.
    pub provider: &'a str,
    /// All of them, in configuration's order.
    pub all: &'a [ApiKey],
}

/// What decides on the credential of one attempt.
#[derive(Debug, Clone, Copy, Default)]
pub struct Draw<'a> {
    /// Those that have failed this request already, by number.
    pub spent: &'a [u8],
    /// The one that this request is to try, as one that may be well again.
    pub probe: Option<u8>,
    /// What keeps requests with the same credential: providers' caches are an account's.
    pub sticky: Option<u64>,
    /// Decides what is left to chance.
    pub seed: u64,
    /// Whether nobody is judged by the attempt, so that it cannot show whether one is well again.
    pub copy: bool,
}

/// How long a credential is left alone that was refused, or has no credit left: in milliseconds, at least.
const RETIRED: u64 = 600_000;

impl Keys<'_> {
    /// Whether one can stand in for another.
    pub fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// How the best of them is; and which it is, if it is to show whether it is well again.
    pub(super) fn standing(&self, now: u64, shared: &dyn Shared) -> (Standing, Option<u8>) {
        if !self.are_several() {
            return (Standing::Well, None);
        }
        let each = self.numbered(now, shared);
        match each.into_iter().min_by_key(|(_, _, standing)| rank(*standing)) {
            Some((number, _, Standing::Due)) => (Standing::Due, Some(number)),
            Some((_, _, standing)) => (standing, None),
            None => (Standing::Well, None),
        }
    }

    /// Takes it upon the caller to send the one request that shows whether it is well again.
    pub(super) fn claim(&self, number: u8, now: u64, breaker: &Breaker, shared: &dyn Shared) -> bool {
        self.change(number, shared, |health| health.claim(now, breaker)).is_some()
    }

    /// The credential for an attempt: by weight, of those that are well; where there is none, the one that will be first.
    /// `None` if all are spent.
    pub fn choose(&self, draw: &Draw<'_>, now: u64, breaker: &Breaker, shared: &dyn Shared) -> Option<u8> {
        let left = |number: &u8| !draw.spent.contains(number);
        if let Some(probe) = draw.probe.filter(left) {
            return Some(probe);
        }
        let mut line = self.numbered(now, shared);
        line.retain(|(number, ..)| left(number));
        // Weighted rendezvous with a number that is never the same again is a draw by weight.
        let point = draw.sticky.unwrap_or_else(|| Random::new(draw.seed).draw());
        let place = |key: &ApiKey| rendezvous(point, key.name.as_bytes(), key.weight);
        line.sort_by(|(_, one, _), (_, other, _)| place(one).total_cmp(&place(other)));
        line.sort_by_key(|(_, key, _)| key.weight == 0);
        let open = line.iter().find(|(number, _, standing)| match standing {
            Standing::Well => true,
            Standing::Due => !draw.copy && self.claim(*number, now, breaker, shared),
            Standing::Cooled(_) => false,
        });
        let soonest = || line.iter().min_by_key(|(_, _, standing)| rank(*standing));
        open.or_else(soonest).map(|(number, ..)| *number)
    }

    /// Whether there is one that is not spent, and not to be left alone.
    pub fn has_another(&self, spent: &[u8], now: u64, shared: &dyn Shared) -> bool {
        let each = self.numbered(now, shared);
        each.into_iter()
            .any(|(number, _, standing)| !spent.contains(&number) && !matches!(standing, Standing::Cooled(_)))
    }

    /// It was refused for this reason; `retry_after`, in milliseconds, is what the provider asks for. `true` if it is left
    /// alone now.
    pub fn refused(
        &self,
        number: u8,
        now: u64,
        cause: Cause,
        retry_after: Option<u64>,
        breaker: &Breaker,
        shared: &dyn Shared,
    ) -> bool {
        let retired = cause != Cause::RateLimited && breaker.cooldown != 0;
        let cooldown = if retired { breaker.cooldown.max(RETIRED) } else { breaker.cooldown };
        let breaker = Breaker { cooldown, ..*breaker };
        // Once is enough: there is another to take its place.
        let retry_after = Some(retry_after.unwrap_or(0));
        self.change(number, shared, |health| Some(health.failed(now, cause, retry_after, &breaker))) == Some(true)
    }

    /// It was taken. `true` if it had been left alone.
    pub fn accepted(&self, number: u8, now: u64, breaker: &Breaker, shared: &dyn Shared) -> bool {
        let is_well = |health: &Health| health.standing(now) == Standing::Well;
        let record = self.all.get(usize::from(number)).map(|key| self.record(key));
        if record.is_none_or(|record| is_well(&glance(shared, &record))) {
            return false;
        }
        let accept = |health: &mut Health| (!is_well(health)).then(|| health.succeeded(now, breaker));
        self.change(number, shared, accept) == Some(true)
    }

    /// There is nothing left to be had with it until then. `true` if it was well until now.
    pub fn leave_until(&self, number: u8, now: u64, until: u64, shared: &dyn Shared) -> bool {
        self.change(number, shared, |health| health.spent(now, until)) == Some(true)
    }

    /// How each of them is, by its name, in configuration's order.
    pub fn each(&self, now: u64, shared: &dyn Shared) -> Vec<(&str, Standing)> {
        let each = self.numbered(now, shared).into_iter();
        each.map(|(_, key, standing)| (key.name.as_str(), standing)).collect()
    }

    /// Its name, for logs.
    pub fn name(&self, number: u8) -> &str {
        self.all.get(usize::from(number)).map_or("", |key| key.name.as_str())
    }

    /// As all workers know them: what one was refused with the next does not send again.
    fn numbered(&self, now: u64, shared: &dyn Shared) -> Vec<(u8, &ApiKey, Standing)> {
        let standing = |key: &ApiKey| read::<Health>(shared, &self.record(key)).standing(now);
        (0..=u8::MAX).zip(self.all).map(|(number, key)| (number, key, standing(key))).collect()
    }

    fn change<T>(&self, number: u8, shared: &dyn Shared, change: impl Fn(&mut Health) -> Option<T>) -> Option<T> {
        update(shared, &self.record(self.all.get(usize::from(number))?), change)
    }

    /// Where its health is kept.
    fn record(&self, key: &ApiKey) -> String {
        format!("key {}/{}", self.provider, key.name)
    }
}

/// Whether this is said of the credential rather than of the target.
pub fn blames_key(cause: Cause) -> bool {
    matches!(cause, Cause::Authentication | Cause::QuotaExhausted | Cause::RateLimited)
}

#[cfg(test)]
mod tests {
    use super::super::board::Board;
    use super::{Draw, Keys, RETIRED, blames_key};
    use crate::config::{ApiKey, Breaker};
    use crate::error::{Cause, Fault};
    use crate::route::health::Standing;

    const BREAKER: Breaker = Breaker { cooldown: 10_000, failures: 3, percent: 50, window: 20_000 };

    fn keys(weights: &[u32]) -> Vec<ApiKey> {
        let key = |(number, weight): (usize, &u32)| {
            let name = format!("key-{number}");
            ApiKey { variable: name.to_uppercase(), name, weight: *weight, place: String::new() }
        };
        weights.iter().enumerate().map(key).collect()
    }

    fn chosen(keys: &Keys<'_>, board: &Board, now: u64, draw: Draw<'_>) -> Option<u8> {
        keys.choose(&draw, now, &BREAKER, board)
    }

    #[test]
    fn requests_are_shared_out_by_weight() {
        let all = keys(&[1, 3, 0]);
        let (keys, board) = (Keys { provider: "p", all: &all }, Board::default());
        let mut counts = [0_u32; 3];
        for seed in 0..10_000 {
            counts[usize::from(chosen(&keys, &board, 0, Draw { seed, ..Draw::default() }).unwrap())] += 1;
        }
        // Five standard deviations of a binomial distribution.
        assert!(counts[0].abs_diff(2_500) < 220 && counts[2] == 0, "{counts:?}");
    }

    #[test]
    fn the_same_number_has_the_same_key_while_it_is_well() {
        let all = keys(&[1, 1, 1]);
        let (keys, board) = (Keys { provider: "p", all: &all }, Board::default());
        let at = |now, seed| chosen(&keys, &board, now, Draw { sticky: Some(77), seed, ..Draw::default() }).unwrap();
        let first = at(0, 1);
        assert!((0..50).all(|seed| at(0, seed) == first));
        assert!(keys.refused(first, 0, Cause::RateLimited, None, &BREAKER, &board));
        let second = at(1, 1);
        assert!(second != first && (0..50).all(|seed| at(1, seed) == second));
    }

    #[test]
    fn one_that_is_refused_is_retired_and_one_that_is_limited_waits() {
        let all = keys(&[1, 1]);
        let (keys, board) = (Keys { provider: "p", all: &all }, Board::default());
        for (cause, retry_after, until) in [
            (Cause::Authentication, None, RETIRED),
            (Cause::QuotaExhausted, Some(5), RETIRED),
            (Cause::RateLimited, None, 10_000),
            (Cause::RateLimited, Some(30_000), 30_000),
        ] {
            let board = Board::default();
            assert!(keys.refused(0, 0, cause, retry_after, &BREAKER, &board));
            assert!((0..50).all(|seed| chosen(&keys, &board, until - 1, Draw { seed, ..Draw::default() }) == Some(1)));
            // Its time has come: one request, then none until it is known how that went.
            let drawn: Vec<u8> =
                (0..50).filter_map(|seed| chosen(&keys, &board, until, Draw { seed, ..Draw::default() })).collect();
            assert_eq!(drawn.iter().filter(|number| **number == 0).count(), 1, "{cause:?}");
            assert!(keys.accepted(0, until + 1, &BREAKER, &board));
            assert!(!keys.accepted(0, until + 2, &BREAKER, &board));
            assert_eq!(keys.standing(until + 2, &board), (Standing::Well, None));
        }
        // The others of the same name, elsewhere, are others.
        let other = Keys { provider: "q", all: &all };
        keys.refused(0, 0, Cause::Authentication, None, &BREAKER, &board);
        keys.refused(1, 0, Cause::RateLimited, None, &BREAKER, &board);
        assert_eq!(keys.standing(1, &board), (Standing::Cooled(10_000), None));
        assert_eq!(keys.standing(10_000, &board), (Standing::Due, Some(1)));
        assert_eq!(other.standing(1, &board), (Standing::Well, None));
        // With none that is well, the one that will be first.
        assert_eq!(chosen(&keys, &board, 1, Draw::default()), Some(1));
    }

    #[test]
    fn what_failed_this_request_is_not_chosen_again() {
        let all = keys(&[1, 1]);
        let (keys, board) = (Keys { provider: "p", all: &all }, Board::default());
        assert!((0..50).all(|seed| chosen(&keys, &board, 0, Draw { spent: &[1], seed, ..Draw::default() }) == Some(0)));
        assert_eq!(chosen(&keys, &board, 0, Draw { spent: &[0, 1], probe: Some(1), ..Draw::default() }), None);
        assert_eq!(chosen(&keys, &board, 0, Draw { probe: Some(1), ..Draw::default() }), Some(1));
        assert!(keys.has_another(&[0], 0, &board) && !keys.has_another(&[0, 1], 0, &board));
        assert!(keys.refused(1, 0, Cause::RateLimited, None, &BREAKER, &board));
        assert!(!keys.has_another(&[0], 1, &board));
        // Without cooldowns a request still goes on to the other.
        let (never, board) = (Breaker { cooldown: 0, ..BREAKER }, Board::default());
        assert!(!keys.refused(1, 0, Cause::Authentication, None, &never, &board));
        assert!(keys.has_another(&[0], 1, &board));
    }

    #[test]
    fn what_is_left_alone_beforehand_comes_back_at_its_time() {
        let all = keys(&[1, 1]);
        let (keys, board) = (Keys { provider: "p", all: &all }, Board::default());
        assert!(keys.leave_until(0, 0, 500, &board) && !keys.leave_until(0, 1, 500, &board));
        assert!((0..50).all(|seed| chosen(&keys, &board, 499, Draw { seed, ..Draw::default() }) == Some(1)));
        assert_eq!(keys.standing(499, &board), (Standing::Well, None));
    }

    #[test]
    fn a_copy_shows_nothing_and_so_takes_nobodys_turn() {
        let all = keys(&[1, 1]);
        let (keys, board) = (Keys { provider: "p", all: &all }, Board::default());
        assert!(keys.refused(0, 0, Cause::RateLimited, None, &BREAKER, &board));
        let draw = |seed, copy| Draw { spent: &[1], seed, copy, ..Draw::default() };
        assert!((0..50).all(|seed| chosen(&keys, &board, 10_000, draw(seed, true)) == Some(0)));
        assert_eq!(keys.numbered(10_000, &board)[0].2, Standing::Due);
        assert_eq!(chosen(&keys, &board, 10_000, draw(0, false)), Some(0));
        assert!(matches!(keys.numbered(10_000, &board)[0].2, Standing::Cooled(_)));
    }

    #[test]
    fn a_single_key_has_no_record() {
        let all = keys(&[1]);
        let (keys, board) = (Keys { provider: "p", all: &all }, Board::default());
        assert_eq!((keys.are_several(), keys.standing(0, &board)), (false, (Standing::Well, None)));
    }

    #[test]
    fn clients_and_servers_are_not_the_keys_fault() {
        assert!(Cause::all().filter(|cause| cause.fault() == Fault::Client).all(|cause| !blames_key(cause)));
        assert!(!blames_key(Cause::ServerError) && blames_key(Cause::RateLimited));
    }
}
