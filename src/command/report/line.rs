//! A line of the access log.

use std::borrow::Cow;
use std::fmt;

use model_gateway::calendar;
use model_gateway::chat::{ServiceTier, Usage};
use model_gateway::exchange::ENDPOINTS;
use model_gateway::price::read_pico_usd;
use serde::{Deserialize, Deserializer, de};

/// What a line says.
pub enum Read<'l> {
    /// A request for a model.
    Request(Box<Request<'l>>),
    /// A request that the gateway answered by itself, or at a path that is not its own.
    Other,
    /// Not the gateway's line.
    Foreign,
}

/// A request for a model.
pub struct Request<'l> {
    /// As it was logged.
    pub line: Line<'l>,
    /// When it came, in milliseconds since 1970.
    pub time: u64,
    /// What became of it.
    pub outcome: &'static str,
    /// What was asked for, by the endpoint.
    operation: &'static str,
    /// Tokens.
    pub usage: Usage,
    /// In 10⁻¹² USD; `None` if nothing was used, or nobody knows the price.
    pub cost: Option<u64>,
    /// How many attempts were made.
    pub attempts: u64,
}

/// The members of a line that a report goes by. What the line does not have is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Line<'l> {
    #[serde(borrow)]
    time: Text<'l>,
    #[serde(borrow)]
    endpoint: Text<'l>,
    #[serde(borrow)]
    status: Text<'l>,
    #[serde(borrow)]
    flags: Text<'l>,
    #[serde(borrow)]
    operation: Text<'l>,
    #[serde(borrow)]
    outcome: Text<'l>,
    /// The model that was asked for.
    #[serde(borrow)]
    pub model: Text<'l>,
    /// Who answered, or failed last.
    #[serde(borrow)]
    pub provider: Text<'l>,
    /// The provider's name for the model.
    #[serde(borrow)]
    pub target_model: Text<'l>,
    /// The name of the client's key.
    #[serde(borrow)]
    pub key: Text<'l>,
    /// Whose key it is.
    #[serde(borrow)]
    pub team: Text<'l>,
    /// The rule that was followed.
    #[serde(borrow)]
    pub rule: Text<'l>,
    /// Why it failed.
    #[serde(borrow)]
    pub error: Text<'l>,
    #[serde(borrow)]
    user: Text<'l>,
    attempts: Number,
    #[serde(borrow)]
    attempt_log: Text<'l>,
    input_tokens: Number,
    cached_tokens: Number,
    cache_write_tokens: Number,
    cache_write_1h_tokens: Number,
    output_tokens: Number,
    reasoning_tokens: Number,
    audio_input_tokens: Number,
    audio_output_tokens: Number,
    #[serde(borrow)]
    cost_usd: Text<'l>,
    #[serde(borrow)]
    estimated: Text<'l>,
    #[serde(borrow)]
    unpriced: Text<'l>,
    #[serde(borrow)]
    service_tier: Text<'l>,
    #[serde(borrow)]
    labels: Labels<'l>,
}

impl Request<'_> {
    /// What was asked for, in the log's own word.
    pub fn operation(&self) -> &str {
        if self.line.operation.0.is_empty() { self.operation } else { &self.line.operation.0 }
    }

    /// Whether it was for an answer in words.
    pub fn says(&self) -> bool {
        matches!(self.operation, "chat" | "text_completion")
    }
}

impl<'l> Line<'l> {
    /// Reads a line, without its end.
    pub fn parse(bytes: &'l [u8]) -> Option<Self> {
        bytes.starts_with(b"{").then(|| serde_json::from_slice(bytes).ok()).flatten()
    }

    /// What it says.
    ///
    /// A line of a gateway has a time, a status, and the endpoint. Where a number is none, nothing on it can be relied on.
    pub fn read(self) -> Read<'l> {
        let is_ours = !self.status.0.is_empty() && !self.endpoint.0.is_empty();
        let Some(time) = calendar::parse(&self.time.0).filter(|_| is_ours) else { return Read::Foreign };
        let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.name == self.endpoint.0);
        let Some(operation) = endpoint.and_then(|endpoint| endpoint.operation()) else { return Read::Other };
        let Some((usage, cost, attempts)) = self.numbers() else { return Read::Foreign };
        Read::Request(Box::new(Request {
            time,
            outcome: self.outcome(),
            operation: operation.name(),
            usage,
            cost,
            attempts,
            line: self,
        }))
    }

    fn numbers(&self) -> Option<(Usage, Option<u64>, u64)> {
        let cache_write_1h = self.cache_write_1h_tokens.0?;
        let usage = Usage {
            input: self.input_tokens.0?,
            cached: self.cached_tokens.0?,
            cache_write: self.cache_write_tokens.0?.saturating_sub(cache_write_1h),
            cache_write_1h,
            input_audio: self.audio_input_tokens.0?,
            output: self.output_tokens.0?,
            reasoning: self.reasoning_tokens.0?,
            output_audio: self.audio_output_tokens.0?,
            tier: ServiceTier::named(&self.service_tier.0),
        };
        let cost = match &*self.cost_usd.0 {
            "" => None,
            text => Some(read_pico_usd(text)?),
        };
        Some((usage, cost, self.attempts.0?))
    }

    /// What became of it, in the log's own word, or by what lines had before there was one.
    fn outcome(&self) -> &'static str {
        if let Some(outcome) = OUTCOMES.iter().find(|outcome| **outcome == self.outcome.0) {
            return outcome;
        }
        let left = self.flags.0.split(',').any(|flag| flag == CLIENT_LEFT);
        match &*self.status.0 {
            _ if left => "client_left",
            status if status.starts_with('2') => {
                if self.error.0.is_empty() {
                    "ok"
                } else {
                    "broken"
                }
            }
            _ => {
                if self.provider.0.is_empty() {
                    "refused"
                } else {
                    "error"
                }
            }
        }
    }

    /// The client's end user, as the request or a label has it.
    pub fn user(&self) -> &str {
        if self.user.0.is_empty() { self.label("user") } else { &self.user.0 }
    }

    /// The label of that name.
    pub fn label(&self, name: &str) -> &str {
        self.labels.0.iter().find(|(label, _)| label == name).map_or("", |(_, value)| &value.0)
    }

    /// As it is written: to the hour `2026-11-22T13`, by its first 13 letters.
    pub fn time(&self, letters: usize) -> &str {
        self.time.0.get(..letters).unwrap_or_default()
    }

    /// Whether a provider had not told all of what was used.
    pub fn is_estimated(&self) -> bool {
        is_set(&self.estimated)
    }

    /// Whether the price of some of it was not known.
    pub fn is_unpriced(&self) -> bool {
        is_set(&self.unpriced)
    }

    /// Attempts and what became of each: provider, and `ok` or the cause.
    pub fn tried(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attempt_log.0.split(' ').filter_map(|attempt| {
            let (attempt, _time) = attempt.rsplit_once(':')?;
            attempt.rsplit_once(':')
        })
    }
}

/// As the log has them.
const OUTCOMES: &[&str] = &["ok", "error", "broken", "client_left", "refused"];
/// Envoy's word for a client that left: <https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage>
const CLIENT_LEFT: &str = "DC";

fn is_set(text: &Text<'_>) -> bool {
    !matches!(&*text.0, "" | "false" | "0")
}

/// A number, as a text or bare: earlier releases wrote texts. Nothing is 0, and `None` is no number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Number(Option<u64>);

impl Default for Number {
    fn default() -> Self {
        Self(Some(0))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl de::Visitor<'_> for Any {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                Ok(if text.is_empty() { Number::default() } else { Number(text.parse().ok()) })
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(Some(number)))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Number, E> {
                Ok(Number(None))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Number, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Number, E> {
                Ok(Number(None))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Number, E> {
                Ok(Number::default())
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A text, or whatever else stands in its place.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Text<'l>(pub Cow<'l, str>);

impl<'de: 'l, 'l> Deserialize<'de> for Text<'l> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> de::Visitor<'de> for Any {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a number")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }

            fn visit_bool<E: de::Error>(self, is: bool) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(if is { "true" } else { "false" })))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Text::default())
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A few names and their values.
#[derive(Debug, Default)]
struct Labels<'l>(Vec<(Cow<'l, str>, Text<'l>)>);

impl<'de: 'l, 'l> Deserialize<'de> for Labels<'l> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> de::Visitor<'de> for Members {
            type Value = Labels<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut labels = Vec::new();
                while let Some((Text(name), value)) = map.next_entry()? {
                    labels.push((name, value));
                }
                Ok(Labels(labels))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Labels::default())
            }
        }
        deserializer.deserialize_any(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Read};

    fn read(text: &str) -> Read<'_> {
        Line::parse(text.as_bytes()).map_or(Read::Foreign, Line::read)
    }

    #[test]
    fn numbers_are_read_from_texts_and_bare() {
        for (tokens, cost) in [(r#""12""#, r#""0.0000425""#), ("12", "0.0000425"), ("12", "4.25e-5")] {
            let text = format!(
                r#"{{"time":"2026-11-22T03:46:47.596Z","endpoint":"chat_completions","status":200,"input_tokens":{tokens},"cost_usd":{cost},"estimated":true,"rule":null,"labels":{{"app":"a\"b","n":3}}}}"#
            );
            let Read::Request(request) = read(&text) else { panic!("{text}") };
            assert_eq!((request.usage.input, request.cost), (12, Some(42_500_000)), "{text}");
            assert!(request.line.is_estimated() && !request.line.is_unpriced());
            assert_eq!(
                (request.line.label("app"), request.line.label("n"), request.line.label("x")),
                ("a\"b", "3", "")
            );
            assert_eq!((request.line.time(10), request.line.time(13)), ("2026-11-22", "2026-11-22T03"));
        }
    }

    #[test]
    fn what_is_no_request_for_a_model_is_told_apart() {
        for (text, is_foreign) in [
            (r#"{"time":"2026-11-22T03:46:47.596Z","endpoint":"models","status":200}"#, false),
            (r#"{"time":"2026-11-22T03:46:47.596Z","endpoint":"none","status":404}"#, false),
            (r#"{"time":"2026-11-22T03:46:47.596Z","endpoint":"chat_completions"}"#, true),
            (r#"{"time":"yesterday","endpoint":"chat_completions","status":200}"#, true),
            (r#"{"time":"2026-11-22","endpoint":"chat_completions","status":200,"input_tokens":"many"}"#, true),
            (r#"{"time":"2026-11-22","endpoint":"chat_completions","status":200,"cost_usd":"-1"}"#, true),
            (r#"{"time":"2026-11-22","endpoint":"chat_completions","status":200,"model":["a"]}"#, true),
            (r#"{"time":"2026-11-22","endpoint":"chat_compl"#, true),
            ("[2026-11-22 03:46:49.815][24629][warning][main] caught ENVOY_SIGTERM", true),
            ("[]", true),
            ("", true),
        ] {
            let read = read(text);
            assert!(!matches!(read, Read::Request(_)) && matches!(read, Read::Foreign) == is_foreign, "{text}");
        }
    }

    #[test]
    fn outcomes_are_told_by_older_lines_too() {
        for (members, expected) in [
            (r#""status":200"#, "ok"),
            (r#""status":200,"error":"server_error""#, "broken"),
            (r#""status":503,"provider":"openai""#, "error"),
            (r#""status":429"#, "refused"),
            (r#""status":0,"flags":"DC","provider":"openai""#, "client_left"),
            (r#""status":200,"outcome":"broken""#, "broken"),
            (r#""status":200,"outcome":"of another time""#, "ok"),
        ] {
            let text = format!(r#"{{"time":"2026-11-22","endpoint":"embeddings",{members}}}"#);
            let Read::Request(request) = read(&text) else { panic!("{text}") };
            assert_eq!((request.outcome, request.operation()), (expected, "embeddings"), "{text}");
        }
    }

    #[test]
    fn attempts_are_told_apart() {
        let line = Line::parse(br#"{"attempt_log":"openai:timeout:512ms a:b:ok:301ms bad"}"#).unwrap();
        assert_eq!(line.tried().collect::<Vec<_>>(), [("openai", "timeout"), ("a:b", "ok")]);
        assert_eq!(Line::default().tried().count(), 0);
    }
}
