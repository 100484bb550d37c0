//! A request's record as the page has it: counted with the minute in which it was over.

use super::record::{Attempted, Outcome, Record};
use super::step::Host;
use crate::live::{Attempt, End, Sample, Used, count};

/// Counts a request, if it asked for a model at all.
pub(super) fn add(record: &Record, host: &dyn Host) {
    let Record { asked, attempts, used, outcome, .. } = record;
    if asked.operation.is_none() {
        return;
    }
    let end = match outcome {
        Outcome::Ok => End::Answered,
        Outcome::Error | Outcome::Broken => End::Failed,
        Outcome::Refused => End::Refused,
        Outcome::ClientLeft => End::Left,
    };
    let attempts: Vec<Attempt<'_>> = attempts.iter().map(attempt).collect();
    let sample = Sample {
        model: asked.found.as_deref(),
        key: asked.key.as_ref().filter(|key| !key.foreign).map(|key| key.name.as_str()),
        end,
        refused: asked.refused.as_ref().map(|refusal| refusal.cause),
        attempts: &attempts,
        estimated: used.estimated,
        unpriced: used.unpriced,
        first: record.first().filter(|_| asked.stream),
        took: record.duration(),
    };
    count(host, record.ended, &sample);
}

fn attempt(attempted: &Attempted) -> Attempt<'_> {
    let usage = attempted.usage.unwrap_or_default();
    let usd = attempted.cost.unwrap_or(0);
    Attempt {
        target: &attempted.tried.target,
        end: attempted.result,
        used: Used { input: usage.input, cached: usage.cached, output: usage.output, usd },
        took: attempted.duration(),
    }
}
