//! Records of requests as the page has them: each counted with the minute in which it was over.

use super::record::{Attempted, Outcome, Record};
use crate::live::{Attempt, End, MINUTE, Minute, Sample, Used, count};
use crate::route::Shared;

/// Counts requests, those that asked for a model at all; `records` are in the order in which they were over.
pub(super) fn add(records: &[&Record], shared: &dyn Shared) {
    for of_a_minute in records.chunk_by(|one, next| one.ended / MINUTE == next.ended / MINUTE) {
        let Some(ended) = of_a_minute.first().map(|record| record.ended) else { continue };
        count(shared, ended, |minute| of_a_minute.iter().for_each(|record| put(record, minute)));
    }
}

fn put(record: &Record, minute: &mut Minute) {
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
    minute.add(&Sample {
        model: asked.found.as_deref(),
        key: asked.key.as_ref().filter(|key| !key.foreign).map(|key| key.name.as_str()),
        end,
        refused: asked.refused.as_ref().map(|refusal| refusal.cause),
        attempts: &attempts,
        estimated: used.estimated,
        unpriced: used.unpriced,
        first: record.first().filter(|_| asked.stream),
        took: record.duration(),
    });
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
