//! A request's record as changes of metrics.

use std::borrow::Cow;
use std::rc::Rc;

use super::record::{Attempted, Outcome, Record};
use crate::chat::Usage;
use crate::error::Cause;
use crate::metrics::{self, Common, Kind, Metric, Update};

/// What `record` changes.
pub(super) fn updates(record: &Record) -> Vec<Update> {
    let mut updates = Updates(Vec::with_capacity(12));
    let common = Rc::new(of_request(record));
    updates.count(&metrics::REQUESTS, &common);
    if let Some(refusal) = &record.asked.refused {
        let limit = refusal.limit.clone().unwrap_or_default();
        updates.add(&metrics::REFUSALS, &common, limit, 1);
    }
    for (index, attempt) in record.attempts.iter().enumerate() {
        let is_last = index + 1 == record.attempts.len();
        // No metric has both what became of a request and why an attempt failed.
        let is_same = is_last && record.asked.refused.is_none();
        let common = if is_same { common.clone() } else { Rc::new(of_attempt(record, attempt)) };
        updates.count(&metrics::ATTEMPTS, &common);
        if !is_last {
            updates.count(&metrics::FALLBACKS, &common);
        }
        for parameter in &attempt.tried.dropped {
            updates.add(&metrics::DROPPED, &common, known_parameter(parameter), 1);
        }
        if let Some(usage) = &attempt.usage {
            updates.usage(&common, usage);
            match attempt.cost {
                Some(cost) => updates.add(&metrics::COST, &common, "", cost),
                None => updates.count(&metrics::UNPRICED, &common),
            }
            if attempt.estimated {
                updates.count(&metrics::ESTIMATED, &common);
            }
        }
    }
    updates.times(record, &common);
    updates.0
}

/// What a copy of a request changes that used `usage`.
pub(super) fn of_copy(common: Common, usage: &Usage, cost: Option<u64>) -> Vec<Update> {
    let (common, mut updates) = (Rc::new(common), Updates(Vec::new()));
    for (kind, tokens) in wholes(usage) {
        updates.add(&metrics::MIRROR_TOKENS, &common, kind, tokens);
    }
    if let Some(cost) = cost {
        updates.add(&metrics::MIRROR_COST, &common, "", cost);
    }
    updates.0
}

/// That `target` of `provider` is left alone from now on.
pub(super) fn cooldown(provider: &str, target: String, cause: Cause) -> Update {
    let common = Common { provider: provider.to_owned(), cause: cause.name(), ..Common::default() };
    Update { metric: &metrics::COOLDOWNS, common: Rc::new(common), own: target.into(), amount: 1 }
}

struct Updates(Vec<Update>);

impl Updates {
    fn count(&mut self, metric: &'static Metric, common: &Rc<Common>) {
        self.add(metric, common, "", 1);
    }

    fn add(&mut self, metric: &'static Metric, common: &Rc<Common>, own: impl Into<Cow<'static, str>>, amount: u64) {
        // Envoy refuses to count nothing.
        if amount == 0 && metric.kind == Kind::Counter {
            return;
        }
        self.0.push(Update { metric, common: common.clone(), own: own.into(), amount });
    }

    fn usage(&mut self, common: &Rc<Common>, usage: &Usage) {
        for (kind, tokens) in wholes(usage) {
            self.add(&metrics::TOKENS, common, kind, tokens);
        }
        let parts = [
            ("cached", usage.cached),
            ("cache_write", usage.cache_write),
            ("cache_write_1h", usage.cache_write_1h),
            ("input_audio", usage.input_audio),
            ("reasoning", usage.reasoning),
            ("output_audio", usage.output_audio),
        ];
        for (kind, tokens) in parts.into_iter().filter(|(_, tokens)| *tokens > 0) {
            self.add(&metrics::TOKEN_DETAILS, common, kind, tokens);
        }
    }

    fn times(&mut self, record: &Record, common: &Rc<Common>) {
        if record.outcome != Outcome::Refused {
            self.add(&metrics::DURATION, common, "", record.duration());
        }
        let Some((first, last)) = record.first().zip(record.attempts.last()).filter(|_| record.asked.stream) else {
            return;
        };
        self.add(&metrics::FIRST_TOKEN, common, "", first);
        let output = last.usage.filter(|_| record.outcome == Outcome::Ok && !last.estimated).map(|usage| usage.output);
        if let Some((more, began)) = output.and_then(|output| output.checked_sub(1)).zip(last.tried.first) {
            let rest = last.ended.saturating_sub(began).saturating_mul(1000);
            if let Some(each) = rest.checked_div(more) {
                self.add(&metrics::PER_TOKEN, common, "", each);
            }
        }
    }
}

fn wholes(usage: &Usage) -> [(&'static str, u64); 2] {
    [("input", usage.input), ("output", usage.output)]
}

/// The labels of the request as a whole: those of its last attempt, if there was one, and why it was refused, if it was.
fn of_request(record: &Record) -> Common {
    let mut common = match record.attempts.last() {
        Some(last) => of_attempt(record, last),
        None => of_nobody(record),
    };
    common.outcome = record.outcome.name();
    if let Some(refusal) = &record.asked.refused {
        common.cause = refusal.cause.name();
    }
    common
}

fn of_attempt(record: &Record, attempt: &Attempted) -> Common {
    // A name that clients make up is a label once a provider has answered to it; until then its pattern is.
    let made_up = record.asked.made_up && attempt.result == Some(Ok(()));
    let mut common = of_nobody(record);
    if made_up {
        common.request_model.clone_from(&record.asked.model);
    }
    let configured = attempt.tried.target.split_once('/').map(|(_, model)| model);
    let model = configured.filter(|model| model.contains('*') && !made_up).unwrap_or(&attempt.tried.model);
    common.response_model = model.to_owned();
    common.made_up = made_up;
    common.provider.clone_from(&attempt.tried.provider);
    common.cause = attempt.word();
    common.estimated = attempt.estimated;
    common
}

/// The labels of a request that nobody has answered.
fn of_nobody(record: &Record) -> Common {
    let asked = &record.asked;
    let request_model = match &asked.found {
        Some(_) if !asked.made_up => asked.model.clone(),
        Some(found) => found.clone(),
        None => String::new(),
    };
    Common {
        operation: asked.operation.map_or("", |operation| operation.name()),
        request_model,
        // Of names that tokens bring there is no end.
        key: asked
            .key
            .as_ref()
            .map_or_else(String::new, |key| if key.foreign { metrics::OTHER.to_owned() } else { key.name.clone() }),
        team: asked.key.as_ref().and_then(|key| key.team.clone()).unwrap_or_default(),
        ..Common::default()
    }
}

/// The parameter that a path is about, if OpenAI has one of that name: members of requests are for clients to make up.
fn known_parameter(path: &str) -> &'static str {
    let name = path.split(['.', '[']).next().unwrap_or_default();
    PARAMETERS.iter().find(|known| **known == name).copied().unwrap_or(metrics::OTHER)
}

/// <https://platform.openai.com/docs/api-reference/chat/create>, and what several providers have besides.
const PARAMETERS: &[&str] = &[
    "audio",
    "cache_control",
    "dimensions",
    "encoding_format",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "min_p",
    "modalities",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream_options",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

#[cfg(test)]
mod tests;
