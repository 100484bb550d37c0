//! What a request tells the mock to do: `key=value&key=value`, values percent-encoded where they must be.
//!
//! Directives come from the model name after a `?`, from the header `x-mock` and from the header `x-mock-SITE`; they are
//! merged in this order and the later wins. [`TABLE`] lists them all. An unknown one is refused, so that a mistake in a
//! test cannot pass in silence.

use std::str::FromStr;
use std::time::Duration;

use hyper::HeaderMap;

use super::dialect::decoded;

/// The directives of one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Directives {
    pub status: Option<u16>,
    pub retry_after: Option<String>,
    pub retry_after_ms: Option<u64>,
    pub error: Option<Refusal>,
    pub rate: Option<f64>,

    pub hang: bool,
    pub reset: bool,
    pub close: bool,
    pub cut: Option<usize>,
    pub end: Option<usize>,
    pub error_event: Option<usize>,
    pub garbage: bool,
    pub empty: bool,

    pub first_byte: Duration,
    pub headers_then_wait: Duration,
    pub chunk_delay: Duration,
    pub coalesce: bool,
    pub split: Option<usize>,
    pub keepalive: usize,

    pub text: Option<String>,
    pub words: Option<usize>,
    pub chunks: Option<usize>,
    pub tools: Option<usize>,
    pub arguments: Option<String>,
    pub finish: Option<String>,
    pub reasoning: Option<String>,
    pub redacted: bool,
    pub cached: u64,
    pub cache_write: u64,
    pub no_usage: bool,

    /// As they were given, for the record.
    pub given: Vec<(String, String)>,
}

/// A refusal with a body of its own in every provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    /// The prompt is longer than the context window.
    Context,
    /// The prompt or the answer is against the provider's policy.
    Policy,
    /// The account has run out of money.
    Quota,
}

impl Directives {
    /// Those of a request to `site`, whose model name was followed by `?model`.
    pub fn of(model: Option<&str>, headers: &HeaderMap, site: &str) -> Result<Self, String> {
        let mut directives = Self::default();
        if let Some(source) = model {
            directives.merge(source)?;
        }
        let own = format!("x-mock-{site}");
        for name in ["x-mock", &own] {
            for value in headers.get_all(name) {
                directives.merge(&String::from_utf8_lossy(value.as_bytes()))?;
            }
        }
        Ok(directives)
    }

    /// Adds the directives written in `source` to these, and over them.
    pub fn merge(&mut self, source: &str) -> Result<(), String> {
        for pair in source.split('&').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, "1"));
            // `%26` is `&`; anything that is no such triple stands for itself.
            let value = decoded(value);
            let Some((_, set)) = TABLE.iter().find(|(name, _)| *name == key) else {
                return Err(format!("unknown mock directive '{key}'"));
            };
            set(self, &value).ok_or_else(|| format!("bad value '{value}' for the mock directive '{key}'"))?;
            self.given.retain(|(name, _)| name != key);
            self.given.push((key.to_owned(), value));
        }
        Ok(())
    }

    /// Whether `rate` lets this request fail; `draw` is a random number.
    pub fn fails(&self, draw: u64) -> bool {
        let part = (draw >> 11) as f64 / (1u64 << 53) as f64;
        self.rate.is_none_or(|rate| part < rate)
    }

    /// The same without its failures.
    pub fn spared(self) -> Self {
        Self {
            status: None,
            error: None,
            hang: false,
            reset: false,
            close: false,
            cut: None,
            end: None,
            error_event: None,
            garbage: false,
            empty: false,
            ..self
        }
    }
}

type Set = fn(&mut Directives, &str) -> Option<()>;

/// Every directive, and how its value is read.
#[rustfmt::skip]
const TABLE: &[(&str, Set)] = &[
    // An error in the provider's own shape. With `error-event` it is the error that the event tells of.
    ("status", |d, v| read(v).filter(|status| (200..600).contains(status)).map(|status| d.status = Some(status).filter(|s| *s != 200))),
    ("error", |d, v| refusal(v).map(|refusal| d.error = Some(refusal))),
    // Seconds or a date, and milliseconds: headers of an error.
    ("retry-after", |d, v| { d.retry_after = Some(v.to_owned()); Some(()) }),
    ("retry-after-ms", |d, v| read(v).map(|ms| d.retry_after_ms = Some(ms))),
    // The failures that are given happen with this probability.
    ("rate", |d, v| read(v).filter(|rate| (0.0..=1.0).contains(rate)).map(|rate| d.rate = Some(rate))),

    // No answer at all: never one, RST, FIN.
    ("hang", |d, v| flag(v).map(|on| d.hang = on)),
    ("reset", |d, v| flag(v).map(|on| d.reset = on)),
    ("close", |d, v| flag(v).map(|on| d.close = on)),
    // After N events (N bytes, if the answer is no stream): the connection ends; the answer ends as if it were whole.
    ("cut", |d, v| read(v).map(|events| d.cut = Some(events))),
    ("end", |d, v| read(v).map(|events| d.end = Some(events))),
    // Event N is an error, and the last. An answer that is no stream is the error, with status 200.
    ("error-event", |d, v| read(v).map(|event| d.error_event = Some(event))),
    // A 200 that is no answer.
    ("garbage", |d, v| flag(v).map(|on| d.garbage = on)),
    ("empty", |d, v| flag(v).map(|on| d.empty = on)),

    // Milliseconds before the headers, between them and the first event, between two events.
    ("first-byte", |d, v| millis(v).map(|wait| d.first_byte = wait)),
    ("headers-then-wait", |d, v| millis(v).map(|wait| d.headers_then_wait = wait)),
    ("chunk-delay", |d, v| millis(v).map(|wait| d.chunk_delay = wait)),
    // The body in one write; in writes of N bytes.
    ("coalesce", |d, v| flag(v).map(|on| d.coalesce = on)),
    ("split", |d, v| read(v).filter(|bytes| *bytes > 0).map(|bytes| d.split = Some(bytes))),
    // Comments or pings before the first event.
    ("keepalive", |d, v| read(v).filter(|events| *events <= MAX_KEEPALIVES).map(|events| d.keepalive = events)),

    // What the model says, repeated or shortened to N words, sent in N pieces.
    ("text", |d, v| { d.text = Some(v.to_owned()); Some(()) }),
    ("words", |d, v| read(v).filter(|words| *words <= MAX_WORDS).map(|words| d.words = Some(words))),
    ("chunks", |d, v| read(v).filter(|chunks| *chunks > 0).map(|chunks| d.chunks = Some(chunks))),
    // How many tools it calls, and with which arguments.
    ("tools", |d, v| read(v).filter(|calls| *calls <= MAX_CALLS).map(|calls| d.tools = Some(calls))),
    ("arguments", |d, v| { d.arguments = Some(v.to_owned()); Some(()) }),
    // The provider's own word for why it stopped.
    ("finish", |d, v| { d.finish = Some(v.to_owned()); Some(()) }),
    ("reasoning", |d, v| { d.reasoning = Some(v.to_owned()); Some(()) }),
    ("redacted", |d, v| flag(v).map(|on| d.redacted = on)),
    // Prompt tokens that came from the cache, and that went into it, besides those counted.
    ("cached", |d, v| read(v).map(|tokens| d.cached = tokens)),
    ("cache-write", |d, v| read(v).map(|tokens| d.cache_write = tokens)),
    ("no-usage", |d, v| flag(v).map(|on| d.no_usage = on)),
];

fn read<T: FromStr>(value: &str) -> Option<T> {
    value.parse().ok()
}

fn millis(value: &str) -> Option<Duration> {
    read(value).map(Duration::from_millis)
}

fn flag(value: &str) -> Option<bool> {
    match value {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn refusal(value: &str) -> Option<Refusal> {
    match value {
        "context" => Some(Refusal::Context),
        "policy" => Some(Refusal::Policy),
        "quota" => Some(Refusal::Quota),
        _ => None,
    }
}

const MAX_KEEPALIVES: usize = 10_000;
const MAX_WORDS: usize = 1_000_000;
const MAX_CALLS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str) -> Result<Directives, String> {
        let mut directives = Directives::default();
        directives.merge(source).map(|()| directives)
    }

    #[test]
    fn values_and_flags() {
        let directives = parse("status=503&retry-after=2&hang&chunk-delay=5&text=a%26b%20%3D+%zz&error=quota").unwrap();
        assert_eq!(directives.status, Some(503));
        assert_eq!(directives.retry_after.as_deref(), Some("2"));
        assert!(directives.hang);
        assert_eq!(directives.chunk_delay, Duration::from_millis(5));
        assert_eq!(directives.text.as_deref(), Some("a&b =+%zz"));
        assert_eq!(directives.error, Some(Refusal::Quota));
        assert_eq!(parse("").unwrap(), Directives::default());
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(parse("stauts=503").unwrap_err(), "unknown mock directive 'stauts'");
        assert_eq!(parse("status=oops").unwrap_err(), "bad value 'oops' for the mock directive 'status'");
        for bad in ["status=99", "rate=2", "hang=yes", "error=what", "split=0", "words=-1", "chunks=0"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_later_source_wins_and_other_sites_are_not_meant() {
        let mut headers = HeaderMap::new();
        headers.insert("x-mock", "status=500&words=3".parse().unwrap());
        headers.insert("x-mock-openai", "status=429".parse().unwrap());
        headers.insert("x-mock-groq", "nonsense".parse().unwrap());
        let directives = Directives::of(Some("status=400&tools=2"), &headers, "openai").unwrap();
        assert_eq!((directives.status, directives.words, directives.tools), (Some(429), Some(3), Some(2)));
        let given: Vec<&str> = directives.given.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(given, ["tools", "words", "status"]);
        assert_eq!(Directives::of(None, &headers, "").unwrap().status, Some(500));
    }

    #[test]
    fn a_rate_fails_its_share_of_requests() {
        let directives = parse("status=503&rate=0.25").unwrap();
        let failed = (0..10_000).filter(|n| directives.fails(super::super::random::mix(*n))).count();
        assert!((2300..2700).contains(&failed), "{failed}");
        assert!(parse("status=503").unwrap().fails(u64::MAX));
        assert_eq!(directives.spared().status, None);
    }

    #[test]
    fn every_directive_has_one_name() {
        let mut names: Vec<&str> = TABLE.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
    }
}
