//! A request's record as access logs and spans have it: a line of text with all of it, or one property for each field.
//!
//! A property is an object in Envoy's memory, and a field of a log that Envoy writes is looked up, copied and escaped: together that is most
//! of what a log costs. So where it is text the module writes the line itself, and Envoy adds what is its own.

use super::labels::Labels;
use super::record::{Attempted, Outcome, Record};
use super::step::Step;
use crate::chat::ServiceTier;
use crate::config::{Config, Sink};
use crate::digits::Digits;
use crate::json::{Write, Writer};
use crate::names::log as name;
use crate::price::pico_usd;

/// The longest text of a field, in bytes: clients make up paths, names of models, and of parameters that are dropped.
const MOST_BYTES: usize = 1024;
/// What a line has room for before it has to grow, in bytes.
const USUAL_BYTES: usize = 1024;
/// The property that is Envoy's reason for an answer.
const DETAILS: &str = "response\0code_details";

/// What lines of text say of a request: [`name::LINE`]. Empty where there are none, or the request was not seen.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// What is known of it from its beginning. Of the last value the closing quote is Envoy's.
    which: String,
}

impl Line {
    /// Of a request that has just come, if there are such lines.
    pub fn begin(config: &Config, header: impl Fn(&'static str) -> String, method: &str, path: &str) -> Self {
        if !config.log.iter().any(Sink::is_text) {
            return Self::default();
        }
        let id = header("x-request-id");
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let mut members = Members(String::with_capacity(48 + id.len() + method.len() + path.len()));
        members.text_member("request_id", &id);
        members.text_member("method", method);
        members.name("path");
        members.quoted(path);
        members.0.pop();
        Self { which: members.0 }
    }

    /// The request is over; `record` is what is known of it, if it was for a model, `property` reads one of Envoy's. `None`: there is no line.
    pub fn end(
        self,
        record: Option<&Record>,
        labels: &Labels,
        property: impl Fn(&'static str) -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        if self.which.is_empty() {
            return None;
        }
        // What went well has nothing to tell here, and to ask is dear.
        let went_well = record.is_some_and(|record| record.outcome == Outcome::Ok);
        let details = if went_well { None } else { property(DETAILS) }.unwrap_or_default();
        let mut members = Members(String::with_capacity(USUAL_BYTES));
        members.quoted(&String::from_utf8_lossy(&details));
        // Of the first value the opening quote is Envoy's.
        members.0.remove(0);
        members.0.push(',');
        if let Some(record) = record {
            fields(record, &mut members);
        }
        members.labels(labels);
        members.0.push_str(&self.which);
        Some(members.0.into_bytes())
    }
}

/// Sets the properties of `record` that spans have.
pub(super) fn tell_span(record: &Record, step: &mut Step) {
    fields(record, &mut Properties { step, read: name::SPAN });
}

/// Sets the properties that logs read, if any do; `has_payload`: that of payloads has something of this request.
pub(super) fn tell(config: &Config, record: &Record, has_payload: bool, step: &mut Step) {
    let read = if reads_all(config) {
        name::ALL
    } else if has_payload {
        name::PAYLOAD
    } else {
        return;
    };
    fields(record, &mut Properties { step, read });
}

/// Whether anybody reads the properties that are labels.
pub(super) fn reads_labels(config: &Config) -> bool {
    config.tracing.is_some() || config.payloads.is_some() || reads_all(config)
}

fn reads_all(config: &Config) -> bool {
    config.log.iter().any(|sink| !sink.is_text())
}

/// What takes fields. One that says nothing is left out.
trait Fields {
    fn text(&mut self, name: &'static str, text: &str);
    fn number(&mut self, name: &'static str, number: u64);
    /// That something is so.
    fn flag(&mut self, name: &'static str, is: bool);

    fn count(&mut self, name: &'static str, count: u64) {
        if count > 0 {
            self.number(name, count);
        }
    }
}

fn fields(record: &Record, fields: &mut impl Fields) {
    let Record { asked, attempts, used, outcome, cause, .. } = record;
    fields.text(name::OPERATION, asked.operation.map_or("", |operation| operation.name()));
    fields.flag(name::STREAM, asked.stream);
    fields.text(name::OUTCOME, outcome.name());
    fields.text(name::ERROR, cause.map_or("", |cause| cause.name()));
    fields.text(name::MODEL, &asked.model);
    fields.count(name::IMAGES, asked.images);
    if let Some(key) = &asked.key {
        fields.text(name::KEY, &key.name);
        fields.text(name::TEAM, key.team.as_deref().unwrap_or_default());
    }
    fields.text(name::RULE, asked.rule.as_deref().unwrap_or_default());
    fields.text(name::MIRROR, asked.mirror.as_deref().unwrap_or_default());
    fields.text(name::LIMIT, &limit(record));
    let Some(last) = attempts.last() else { return };
    fields.text(name::PROVIDER, &last.tried.provider);
    fields.text(name::TARGET_MODEL, &last.tried.model);
    fields.text(name::FINISH_REASON, &last.tried.finishes.names());
    fields.number(name::ATTEMPTS, attempts.len() as u64);
    fields.text(name::ATTEMPT_LOG, &attempt_log(attempts));
    fields.text(name::DROPPED, &last.tried.dropped.join(", "));
    if let Some(first) = record.first().filter(|_| asked.stream) {
        fields.number(name::FIRST_TOKEN, first);
    }
    if attempts.iter().any(|attempt| attempt.usage.is_some()) {
        let usage = &used.usage;
        fields.number(name::INPUT_TOKENS, usage.input);
        fields.number(name::OUTPUT_TOKENS, usage.output);
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
        // A text, as a double has not all of its digits.
        fields.text(name::COST, pico_usd(used.cost).as_str());
    }
    fields.flag(name::UNPRICED, used.unpriced);
    fields.flag(name::ESTIMATED, used.estimated);
}

/// Fields as properties, those of them that are `read`.
struct Properties<'s> {
    step: &'s mut Step,
    read: &'static [&'static str],
}

impl Fields for Properties<'_> {
    fn text(&mut self, name: &'static str, text: &str) {
        if !text.is_empty() && self.read.contains(&name) {
            self.step.property(name, cut(text));
        }
    }

    fn number(&mut self, name: &'static str, number: u64) {
        if self.read.contains(&name) {
            self.step.property(name, Digits::of(number).as_str());
        }
    }

    fn flag(&mut self, name: &'static str, is: bool) {
        if is {
            self.text(name, "true");
        }
    }
}

/// Fields as members of an object of JSON, with a comma after each.
struct Members(String);

impl Members {
    /// Its value has nothing to escape. Not inline, as the next: what is written out for each member is cold at each.
    #[inline(never)]
    fn plain_member(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push_str(value);
        self.0.push(',');
    }

    #[inline(never)]
    fn text_member(&mut self, name: &str, text: &str) {
        self.name(name);
        self.quoted(text);
        self.0.push(',');
    }

    /// One that has nothing to escape either.
    fn name(&mut self, name: &str) {
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn quoted(&mut self, text: &str) {
        let text = cut(text);
        // All bytes are looked at, whatever the first ones are: so many at a time.
        if text.bytes().fold(false, |any, byte| any | (byte < 0x20) | (byte == b'"') | (byte == b'\\')) {
            text.write(&mut self.0);
        } else {
            self.0.push('"');
            self.0.push_str(text);
            self.0.push('"');
        }
    }

    fn labels(&mut self, labels: &Labels) {
        if labels.all().is_empty() {
            return;
        }
        self.name("labels");
        Writer::new(&mut self.0).object(|members| {
            labels.all().iter().for_each(|(name, value)| members.field(name, value));
        });
        self.0.push(',');
    }
}

impl Fields for Members {
    fn text(&mut self, name: &'static str, text: &str) {
        if !text.is_empty() {
            self.text_member(name::member(name), text);
        }
    }

    fn number(&mut self, name: &'static str, number: u64) {
        self.plain_member(name::member(name), Digits::of(number).as_str());
    }

    fn flag(&mut self, name: &'static str, is: bool) {
        if is {
            self.plain_member(name::member(name), "true");
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
    let mut log = String::with_capacity(attempts.len() * 40);
    for attempt in attempts {
        if !log.is_empty() {
            log.push(' ');
        }
        log.extend([&attempt.tried.provider, ":", attempt.word(), ":"]);
        attempt.duration().write(&mut log);
        log.push_str("ms");
    }
    log
}

/// As much of `text` as a field takes.
fn cut(text: &str) -> &str {
    let mut most = text.len().min(MOST_BYTES);
    while !text.is_char_boundary(most) {
        most -= 1;
    }
    text.get(..most).unwrap_or_default()
}

#[cfg(test)]
mod tests;
