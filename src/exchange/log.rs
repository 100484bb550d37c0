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

#[cfg(test)]
mod tests {
    use super::{cut, properties};
    use crate::chat::{ServiceTier, Usage};
    use crate::config::Config;
    use crate::error::Cause;
    use crate::exchange::{Asked, Record, Tried};

    #[test]
    fn a_line_tells_every_attempt_and_what_all_of_them_used() {
        let file = serde_json::json!({
            "providers": {"a": {"kind": "openai"}, "b": {"kind": "anthropic"}},
            "models": {"m": {"targets": [{"provider": "a", "model": "x", "price": {"input": 2, "output": 10}}]}},
        });
        let config = Config::check(&serde_json::from_value(file).unwrap()).unwrap();
        let first = Tried {
            target: "a/x".into(),
            provider: "a".into(),
            began: 1000,
            ended: Some((1512, Err(Cause::Timeout))),
            ..Tried::default()
        };
        let usage = Usage { input: 9, cached: 4, cache_write_1h: 2, output: 3, ..Usage::default() };
        let last = Tried {
            target: "b/y".into(),
            provider: "b".into(),
            model: "nobody's".into(),
            began: 1512,
            first: Some(1700),
            ended: Some((1813, Ok(()))),
            usage: Some(Usage { tier: ServiceTier::Flex, ..usage }),
            dropped: vec!["seed".into(), "messages[].name".into()],
            ..Tried::default()
        };
        let asked =
            Asked { began: 990, stream: true, model: "m".into(), passed: vec!["soft".into()], ..Asked::default() };
        let record = Record::new(&config, asked, vec![first, last], None, 1900);
        let fields = properties(&record);
        let line: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", name.trim_start_matches("gateway."), String::from_utf8_lossy(value)))
            .collect();
        let expected = "stream=true|outcome=ok|model=m|limit=soft|provider=b|target_model=nobody's|attempts=2|\
            attempt_log=a:timeout:512ms b:ok:301ms|dropped=seed, messages[].name|first_token_ms=710|input_tokens=9|\
            output_tokens=3|cached_tokens=4|cache_write_tokens=2|cache_write_1h_tokens=2|service_tier=flex|unpriced=true";
        assert_eq!(line.join("|"), expected);
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(cut(&"\u{1f980}".repeat(300)).len(), 1024);
        assert_eq!(cut(&format!("a{}", "\u{1f980}".repeat(300))).len(), 1021);
        assert_eq!(cut("short"), "short");
    }
}
