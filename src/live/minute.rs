//! One minute of it, as a record that workers share.

use super::histogram::{BUCKETS, Histogram};
use super::rows::{Counts, FIELDS, Rows};
use super::{End, Sample, Used};
use crate::error::Cause;
use crate::route::Record;

/// What went through within a minute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Minute {
    /// How many there were before it since 1970.
    pub number: u64,
    /// Of all requests.
    pub totals: Totals,
    /// To the first content of streamed answers.
    pub first: Histogram,
    /// To the end of answers.
    pub took: Histogram,
    causes: [u32; CAUSES],
    /// By configuration's names for them.
    pub models: Rows,
    /// By the names of clients' keys.
    pub keys: Rows,
    /// Attempts, by the ids of their targets.
    pub targets: Rows,
}

/// What is counted of all requests. Each came to one of the four ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// They were answered.
    pub answered: u64,
    /// All their attempts failed, or their answers broke off.
    pub failed: u64,
    /// The gateway refused them.
    pub refused: u64,
    /// Their clients left.
    pub left: u64,
    /// They took more than one attempt, whatever came of it.
    pub fell_back: u64,
    /// Of some of what they used nobody knows the price.
    pub unpriced: u64,
    /// Some of what they used was not told by a provider.
    pub estimated: u64,
    /// What they used.
    pub used: Used,
}

/// There is room for more causes than there are.
const CAUSES: usize = 32;

impl Minute {
    /// One in which there was nothing yet.
    pub(super) fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// The record of minute `number`, anew if it has been another's; `None` if it is that of a later one already.
    pub(super) fn of(&mut self, number: u64) -> Option<&mut Self> {
        if self.number < number {
            *self = Self::new(number);
        }
        (self.number == number).then_some(self)
    }

    /// Counts a request that was over in it.
    pub fn add(&mut self, sample: &Sample<'_>) {
        let totals = &mut self.totals;
        let end = match sample.end {
            End::Answered => &mut totals.answered,
            End::Failed => &mut totals.failed,
            End::Refused => &mut totals.refused,
            End::Left => &mut totals.left,
        };
        *end += 1;
        totals.fell_back += u64::from(sample.attempts.len() > 1);
        totals.unpriced += u64::from(sample.unpriced);
        totals.estimated += u64::from(sample.estimated);
        let mut used = Used::default();
        sample.attempts.iter().for_each(|attempt| used.add(&attempt.used));
        totals.used.add(&used);
        if sample.end == End::Answered {
            self.took.add(sample.took);
            sample.first.into_iter().for_each(|first| self.first.add(first));
        }
        let failures = sample.attempts.iter().filter_map(|attempt| attempt.end?.err());
        for cause in failures.chain(sample.refused) {
            if let Some(count) = self.causes.get_mut(cause as usize) {
                *count = count.saturating_add(1);
            }
        }
        let (answered, failed, took) = match sample.end {
            End::Answered => (1, 0, sample.took),
            End::Failed | End::Refused => (0, 1, 0),
            End::Left => (0, 0, 0),
        };
        let counts = Counts { requests: 1, answered, failed, used, took };
        sample.model.into_iter().for_each(|model| self.models.add(model, &counts));
        sample.key.into_iter().for_each(|key| self.keys.add(key, &counts));
        for attempt in sample.attempts {
            let (answered, failed, took) = match attempt.end {
                Some(Ok(())) => (1, 0, attempt.took),
                Some(Err(_)) => (0, 1, 0),
                None => (0, 0, 0),
            };
            self.targets.add(attempt.target, &Counts { requests: 1, answered, failed, used: attempt.used, took });
        }
    }

    /// How often something failed, or was refused, for this reason.
    pub fn cause(&self, cause: Cause) -> u64 {
        self.causes.get(cause as usize).map_or(0, |count| u64::from(*count))
    }
}

impl Totals {
    /// All that came.
    pub fn requests(&self) -> u64 {
        self.answered + self.failed + self.refused + self.left
    }

    /// Adds another minute's.
    pub fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.refused += other.refused;
        self.left += other.left;
        self.fell_back += other.fell_back;
        self.unpriced += other.unpriced;
        self.estimated += other.estimated;
        self.used.add(&other.used);
    }
}

/// What tells these records from those of another release: the order of causes is part of it.
const FORM: u64 = 1;
/// Numbers before the rows, those of 32 bits in pairs.
const HEAD: usize = 13 + BUCKETS + CAUSES / 2;

impl Record for Minute {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
        if !rest.is_empty() || numbers.next()? != FORM {
            return None;
        }
        let mut next = || numbers.next();
        let number = next()?;
        let (answered, failed, refused, left) = (next()?, next()?, next()?, next()?);
        let (fell_back, unpriced, estimated) = (next()?, next()?, next()?);
        let used = Used { input: next()?, cached: next()?, output: next()?, usd: next()? };
        let (first, took) = (pairs(&mut next)?, pairs(&mut next)?);
        let minute = Self {
            number,
            totals: Totals { answered, failed, refused, left, fell_back, unpriced, estimated, used },
            first: Histogram::of_buckets(first),
            took: Histogram::of_buckets(took),
            causes: pairs(&mut next)?,
            models: Rows::read(&mut next)?,
            keys: Rows::read(&mut next)?,
            targets: Rows::read(&mut next)?,
        };
        next().is_none().then_some(minute)
    }

    fn encode(&self) -> Vec<u8> {
        let rows = [&self.models, &self.keys, &self.targets];
        let count = rows.iter().fold(HEAD, |sum, rows| sum + 1 + (rows.len() + 1) * (FIELDS + 1));
        let mut out = Vec::with_capacity(count * 8);
        let Totals { answered, failed, refused, left, fell_back, unpriced, estimated, used } = self.totals;
        let ends = [FORM, self.number, answered, failed, refused, left, fell_back, unpriced, estimated];
        let used = [used.input, used.cached, used.output, used.usd];
        let mut put = |number: u64| out.extend_from_slice(&number.to_le_bytes());
        ends.into_iter().chain(used).for_each(&mut put);
        for numbers in [&self.first.buckets()[..], &self.took.buckets()[..], &self.causes] {
            for pair in numbers.chunks(2) {
                put(pair.iter().rev().fold(0, |both, number| both << 32 | u64::from(*number)));
            }
        }
        rows.iter().for_each(|rows| rows.write(&mut put));
        out
    }
}

/// An even number of numbers of 32 bits, the lower half of a pair first.
fn pairs<const N: usize>(mut next: impl FnMut() -> Option<u64>) -> Option<[u32; N]> {
    let mut numbers = [0; N];
    for pair in numbers.chunks_mut(2) {
        let both = next()?;
        pair.iter_mut().zip([both as u32, (both >> 32) as u32]).for_each(|(number, half)| *number = half);
    }
    Some(numbers)
}
