//! What went through the gateway within the last hour, as all workers have seen it: for the page that operators look at.
//!
//! Each minute is one record of bounded size in shared data, changed by compare-and-swap for some requests at a time. The record of a minute
//! takes the place of one of an hour before, so that there are never more than [`SLOTS`] of them. Time comes from outside.

mod histogram;
mod minute;
mod rows;
#[cfg(test)]
mod tests;

pub use self::histogram::Histogram;
pub use self::minute::{Minute, Totals};
pub use self::rows::{Counts, Rows, by_name};
use crate::error::Cause;
use crate::route::{Shared, read, update};

/// A request that is over.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample<'a> {
    /// Configuration's name for the model; `None` if the request never came as far.
    pub model: Option<&'a str>,
    /// The name of the client's key, if it has a good one.
    pub key: Option<&'a str>,
    /// What became of it.
    pub end: End,
    /// Why the gateway refused it.
    pub refused: Option<Cause>,
    /// Each attempt at it, in order.
    pub attempts: &'a [Attempt<'a>],
    /// Whether a provider had not told all of what was used.
    pub estimated: bool,
    /// Whether the price of some of it is not known.
    pub unpriced: bool,
    /// From its beginning to the first content of a streamed answer, in milliseconds.
    pub first: Option<u64>,
    /// From its beginning to its end, in milliseconds.
    pub took: u64,
}

/// One attempt at a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attempt<'a> {
    /// The target's id in configuration.
    pub target: &'a str,
    /// How it ended; `None`: the client left before.
    pub end: Option<Result<(), Cause>>,
    /// What it used.
    pub used: Used,
    /// How long it took, in milliseconds.
    pub took: u64,
}

/// What was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Tokens of the prompt.
    pub input: u64,
    /// Those of them that the provider had in its cache.
    pub cached: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// 10⁻¹² USD, as far as prices are known.
    pub usd: u64,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum End {
    /// It was answered.
    #[default]
    Answered,
    /// All attempts failed, or the answer broke off.
    Failed,
    /// The gateway itself refused it.
    Refused,
    /// The client left before the end.
    Left,
}

/// Milliseconds of a minute.
pub const MINUTE: u64 = 60_000;
/// How many minutes are told, the one that is not over yet among them.
pub const HOUR: u64 = 60;
/// How many records there are: some more, so that a worker whose clock is behind still finds its minute.
pub const SLOTS: u64 = 64;

/// Counts what was over at `now`, or in the same minute, in milliseconds since 1970: `add` adds it, more than once where another worker
/// was faster.
pub fn count(shared: &dyn Shared, now: u64, add: impl Fn(&mut Minute)) {
    let number = now / MINUTE;
    update(shared, &key(number), |minute: &mut Minute| minute.of(number).map(&add));
}

/// The minutes of the last hour, the oldest first; those in which there was nothing are empty.
pub fn hour(shared: &dyn Shared, now: u64) -> Vec<Minute> {
    let newest = now / MINUTE;
    let numbers = newest.saturating_sub(HOUR - 1)..=newest;
    numbers
        .map(|number| {
            let minute: Minute = read(shared, &key(number));
            if minute.number == number { minute } else { Minute::new(number) }
        })
        .collect()
}

fn key(minute: u64) -> String {
    format!("live {}", minute % SLOTS)
}
