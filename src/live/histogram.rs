//! How long things took: counts by duration, in buckets that grow with it.

/// Counts of durations. A bucket is at most a quarter as wide as what is in it is long, so that a quantile is off by an eighth at most, and
/// commonly by far less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u32; BUCKETS],
}

/// Four for each power of two, up to 2²⁰ ms, which is more than 17 minutes; what takes longer is in the last one.
pub const BUCKETS: usize = 76;
/// Buckets for each power of two, as a power of two.
const BITS: u32 = 2;

impl Histogram {
    /// Something took so many milliseconds.
    pub fn add(&mut self, milliseconds: u64) {
        if let Some(bucket) = self.buckets.get_mut(place(milliseconds)) {
            *bucket = bucket.saturating_add(1);
        }
    }

    /// The same as if all that was added to `other` had been added here.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket = bucket.saturating_add(*more);
        }
    }

    /// How many things there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|count| u64::from(*count)).sum()
    }

    /// How many milliseconds `percent` of a hundred took at most; `None` if there is nothing.
    pub fn quantile(&self, percent: u64) -> Option<u64> {
        let count = self.count();
        // The rank of the one that is asked for, from 1.
        let rank = (count * percent).div_ceil(100).max(1);
        let mut before = 0;
        for (place, here) in self.buckets.iter().enumerate() {
            let here = u64::from(*here);
            if before + here >= rank {
                // As if those in a bucket lay evenly over it.
                let (start, end) = (start(place), start(place + 1));
                return Some(start + (end - start) * (2 * (rank - before) - 1) / (2 * here));
            }
            before += here;
        }
        None
    }

    pub(super) fn buckets(&self) -> &[u32; BUCKETS] {
        &self.buckets
    }

    pub(super) fn of_buckets(buckets: [u32; BUCKETS]) -> Self {
        Self { buckets }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS] }
    }
}

/// The bucket that a duration is in.
fn place(milliseconds: u64) -> usize {
    let Some(doublings) = milliseconds.checked_ilog2().and_then(|bits| bits.checked_sub(BITS)) else {
        return milliseconds as usize;
    };
    let step = (milliseconds >> doublings) as usize & ((1 << BITS) - 1);
    let place = ((doublings as usize + 1) << BITS) + step;
    place.min(BUCKETS - 1)
}

/// The shortest duration in a bucket.
fn start(place: usize) -> u64 {
    let (doublings, step) = (place >> BITS, (place & ((1 << BITS) - 1)) as u64);
    match doublings.checked_sub(1) {
        None => step,
        Some(doublings) => ((1 << BITS) + step) << doublings,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BUCKETS, Histogram, place, start};

    #[test]
    fn buckets_follow_each_other_without_gaps() {
        for bucket in 0..BUCKETS {
            assert_eq!((place(start(bucket)), start(bucket) < start(bucket + 1)), (bucket, true));
            if bucket > 0 {
                assert_eq!(place(start(bucket) - 1), bucket - 1);
            }
        }
        assert_eq!((start(BUCKETS), place(1 << 20), place(u64::MAX)), (1 << 20, BUCKETS - 1, BUCKETS - 1));
    }

    #[test]
    fn nothing_has_no_quantile_and_one_thing_is_each() {
        assert_eq!(Histogram::default().quantile(50), None);
        let mut one = Histogram::default();
        one.add(3);
        assert_eq!([0, 50, 100].map(|percent| one.quantile(percent)), [Some(3); 3]);
    }

    proptest! {
        /// As sorting all of them would tell, to an eighth.
        #[test]
        fn quantiles_are_off_by_little(mut all in prop::collection::vec(0_u64..1_000_000, 1..300), percent in 0_u64..=100) {
            let mut histogram = Histogram::default();
            all.iter().for_each(|milliseconds| histogram.add(*milliseconds));
            all.sort_unstable();
            let rank = (all.len() as u64 * percent).div_ceil(100).max(1);
            let exact = all[rank as usize - 1];
            let told = histogram.quantile(percent).unwrap();
            prop_assert!(place(told) == place(exact), "{told} for {exact}");
            prop_assert!(told.abs_diff(exact) * 4 <= exact.max(4), "{told} for {exact}");
        }
    }
}
