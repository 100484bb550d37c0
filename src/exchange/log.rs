//! A request's record as Envoy's access log has it: one property for each field.

use super::record::{Attempted, Outcome, Record};
use super::step::Step;
use crate::chat::ServiceTier;
use crate::names::log as name;
use crate::price::pico_usd;

/// The longest text that a property is given, in bytes: clients make up names of models, and of parameters that are dropped.
const MOST_BYTES: usize = 1024;

/// Sets the properties of `record`.
pub(super) fn tell(record: &Record, step: &mut Step) {
    for (name, value) in properties(record) {
        step.property(name, value);
    }
}

/// The properties of `record`; one that says nothing is not there.
fn properties(record: &Record) -> Vec<(&'static str, Vec<u8>)> {
    let Record { asked, attempts, used, outcome, cause, .. } = record;
    let mut fields = Fields(Vec::with_capacity(24));
    fields.text(name::OPERATION, asked.operation.map_or("", |operation| operation.name()));
    fields.text(name::STREAM, if asked.stream { "true" } else { "" });
    fields.text(name::OUTCOME, outcome.name());
    fields.text(name::ERROR, cause.map_or("", |cause| cause.name()));
    fields.text(name::MODEL, &asked.model);
    if let Some(key) = &asked.key {
        fields.text(name::KEY, &key.name);
        fields.text(name::TEAM, key.team.as_deref().unwrap_or_default());
    }
    fields.text(name::RULE, asked.rule.as_deref().unwrap_or_default());
    fields.text(name::MIRROR, asked.mirror.as_deref().unwrap_or_default());
    fields.text(name::LIMIT, &limit(record));
    let Some(last) = attempts.last() else { return fields.0 };
    fields.text(name::PROVIDER, &last.tried.provider);
    fields.text(name::TARGET_MODEL, &last.tried.model);
    fields.text(name::ATTEMPTS, &attempts.len().to_string());
    fields.text(name::ATTEMPT_LOG, &attempt_log(attempts));
    fields.text(name::DROPPED, &last.tried.dropped.join(", "));
    if let Some(first) = record.first().filter(|_| asked.stream) {
        fields.text(name::FIRST_TOKEN, &first.to_string());
    }
    if attempts.iter().any(|attempt| attempt.usage.is_some()) {
        let usage = &used.usage;
        fields.text(name::INPUT_TOKENS, &usage.input.to_string());
        fields.text(name::OUTPUT_TOKENS, &usage.output.to_string());
        fields.count(name::CACHED_TOKENS, usage.cached);
        fields.count(name::CACHE_WRITE_TOKENS, usage.cache_write.saturating_add(usage.cache_write_1h));
        fields.count(name::CACHE_WRITE_1H_TOKENS, usage.cache_write_1h);
        fields.count(name::REASONING_TOKENS, usage.reasoning);
        fields.count(name::AUDIO_INPUT_TOKENS, usage.input_audio);
        fields.count(name::AUDIO_OUTPUT_TOKENS, usage.output_audio);
        fields.text(name::SERVICE_TIER, if usage.tier == ServiceTier::Standard { "" } else { usage.tier.name() });
    }
    // What nobody knows is not nothing.
    if !used.unpriced || used.cost > 0 {
        fields.text(name::COST, &pico_usd(used.cost).to_string());
    }
    fields.text(name::UNPRICED, if used.unpriced { "true" } else { "" });
    fields.text(name::ESTIMATED, if used.estimated { "true" } else { "" });
    fields.0
}

struct Fields(Vec<(&'static str, Vec<u8>)>);

impl Fields {
    fn text(&mut self, name: &'static str, text: &str) {
        if !text.is_empty() {
            self.0.push((name, cut(text).as_bytes().to_vec()));
        }
    }

    fn count(&mut self, name: &'static str, count: u64) {
        if count > 0 {
            self.text(name, &count.to_string());
        }
    }
}

/// The limit that refused the request, or those that it passed.
fn limit(record: &Record) -> String {
    match &record.asked.refused {
        Some(refusal) if record.outcome == Outcome::Refused => refusal.limit.clone().unwrap_or_default(),
        _ => record.asked.passed.join(", "),
    }
}

/// `openai:timeout:512ms anthropic:ok:301ms`
fn attempt_log(attempts: &[Attempted]) -> String {
    let each = attempts
        .iter()
        .map(|attempt| format!("{}:{}:{}ms", attempt.tried.provider, attempt.word(), attempt.duration()));
    each.collect::<Vec<_>>().join(" ")
}

/// As much of `text` as a property takes.
fn cut(text: &str) -> &str {
    let mut most = text.len().min(MOST_BYTES);
    while !text.is_char_boundary(most) {
        most -= 1;
    }
    text.get(..most).unwrap_or_default()
}
