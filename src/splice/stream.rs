//! A streamed answer: watched event by event, changed where it must be.
//!
//! <https://platform.openai.com/docs/api-reference/chat-streaming>

use super::mend::{Choice, MOST, is_broken};
use super::patch::Patches;
use super::repeat::{Pattern, texts};
use super::request::literal;
use super::usage::{tier, usage};
use crate::answered::Finishes;
use crate::chat::{ServiceTier, Usage};
use crate::error::Error;
use crate::frame::sse::{Decoder, Frame};
use crate::json::{Document, Kind, Value, Write};
use crate::price::{Tariff, pico_usd};

/// One streamed answer on its way from an OpenAI-compatible provider to an OpenAI client.
#[derive(Debug)]
pub struct Stream {
    decoder: Decoder,
    /// The name that the client asked for, as a JSON string.
    model: String,
    include_usage: bool,
    watched: Watched,
}

/// What has been seen so far.
#[derive(Debug, Default)]
struct Watched {
    /// The members that all chunks begin with, for those that the provider leaves out.
    head: String,
    choices: Vec<Choice>,
    /// Whether it is a completion, not a chat.
    is_text: bool,
    content: bool,
    done: bool,
    usage: Option<Usage>,
    tier: ServiceTier,
    /// What the client is to be told of the cost by.
    tariff: Option<Tariff>,
    /// Events with something in them.
    events: u64,
    /// What the last of them was like.
    pattern: Pattern,
}

impl Stream {
    /// A stream for a client that asked for `model`, with the usage at its end or without.
    pub fn new(model: &str, include_usage: bool) -> Self {
        let (decoder, watched) = (Decoder::default(), Watched::default());
        Self { decoder, model: literal(model), include_usage, watched }
    }

    /// The same, with what it costs in the usage, as OpenRouter tells it: <https://openrouter.ai/docs/use-cases/usage-accounting>.
    pub fn priced(mut self, tariff: Option<Tariff>) -> Self {
        self.watched.tariff = tariff;
        self
    }

    /// Takes the provider's next bytes and appends what the client gets for them to `out`.
    ///
    /// # Errors
    /// The provider sent an error, which `classify` was shown, or nonsense. What was appended before stays good.
    pub fn push(&mut self, chunk: &[u8], classify: impl Fn(Value<'_>) -> Error, out: &mut String) -> Result<(), Error> {
        if self.watched.done {
            // Nothing of it is for the client: not even kept.
            return Ok(());
        }
        self.decoder.push(chunk).map_err(|_| Error::bad_answer("the provider sent an event without an end"))?;
        while let Some(frame) = self.decoder.next_frame() {
            self.watched.frame(&frame, &self.model, self.include_usage, &classify, out)?;
        }
        Ok(())
    }

    /// The provider ended the stream. Appends what is missing at its end.
    ///
    /// # Errors
    /// It ended before the answer was complete.
    pub fn end(&mut self, classify: impl Fn(Value<'_>) -> Error, out: &mut String) -> Result<(), Error> {
        if let Some(frame) = self.decoder.rest().filter(|_| !self.watched.done) {
            self.watched.frame(&frame, &self.model, self.include_usage, &classify, out)?;
            // The frame came without its blank line.
            if !out.is_empty() && !out.ends_with("\n\n") {
                out.push_str(if out.ends_with('\n') { "\n" } else { "\n\n" });
            }
        }
        if self.watched.done {
            return Ok(());
        }
        if !self.watched.is_finished() {
            return Err(Error::bad_answer("the provider ended the stream before the answer was complete"));
        }
        // Cerebras, Perplexity and Writer end without it; official SDKs wait for it.
        out.push_str("data: [DONE]\n\n");
        Ok(())
    }

    /// Whether some of the answer has come: text, thought, a tool call, or its end.
    pub fn has_content(&self) -> bool {
        self.watched.content
    }

    /// How many events had content, or came after it.
    pub fn events(&self) -> u64 {
        self.watched.events
    }

    /// What the answer took, as far as the provider has said.
    pub fn usage(&self) -> Option<Usage> {
        Some(Usage { tier: self.watched.tier, ..self.watched.usage? })
    }

    /// Why its choices ended, those that have.
    pub fn finishes(&self) -> Finishes {
        self.watched.choices.iter().filter_map(|choice| choice.finish).collect()
    }

    /// Whether the provider has said that this was all.
    pub fn is_done(&self) -> bool {
        self.watched.done
    }
}

impl Watched {
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        model: &str,
        include_usage: bool,
        classify: &impl Fn(Value<'_>) -> Error,
        out: &mut String,
    ) -> Result<(), Error> {
        if self.done {
            return Ok(());
        }
        if self.pattern.apply(frame.raw, out) {
            self.events += 1;
            return Ok(());
        }
        let Some(data) = frame.data.filter(|data| !data.trim_ascii().is_empty()) else {
            // A comment keeps the connection alive; before the first content there is nothing to keep.
            if self.content {
                out.push_str(&String::from_utf8_lossy(frame.raw));
            }
            return Ok(());
        };
        if data.trim_ascii() == b"[DONE]" {
            if !self.content {
                return Err(Error::bad_answer("the provider ended the stream without an answer"));
            }
            self.done = true;
            self.finish(model, out);
            out.push_str("data: [DONE]\n\n");
            return Ok(());
        }
        let document = Document::parse(data)
            .map_err(|invalid| Error::bad_answer(format!("the provider sent an event that is not JSON: {invalid}")))?;
        let root = document.root();
        if frame.name == b"error" || is_error(root) {
            return Err(classify(root));
        }
        if let Some(choice) =
            root.get("choices").into_iter().flat_map(Value::elements).find(|choice| is_broken(*choice))
        {
            return Err(classify(choice));
        }
        let mut patches = Patches::default();
        self.events += u64::from(self.content);
        let start = out.len();
        if !self.event(root, model, include_usage, &mut patches, out) {
            return Ok(());
        }
        let alone = out.len() == start;
        match frame.data_at {
            Some(at) => {
                let texts = if alone { texts(root, at, &patches) } else { Vec::new() };
                let (before, rest) = frame.raw.split_at_checked(at).unwrap_or_default();
                out.push_str(&String::from_utf8_lossy(before));
                patches.apply(document.text(), out);
                out.push_str(&String::from_utf8_lossy(rest.get(data.len()..).unwrap_or_default()));
                self.pattern.learn(frame.raw, out.get(start..).unwrap_or_default(), &texts);
            }
            None => {
                let mut joined = String::new();
                patches.apply(document.text(), &mut joined);
                for line in joined.lines() {
                    out.push_str("data: ");
                    out.push_str(line);
                    out.push('\n');
                }
                out.push('\n');
            }
        }
        Ok(())
    }

    /// Takes an event and says what is to be changed in it; `false` if it is not for the client. Chunks that have to come
    /// before it are appended to `out`.
    fn event(
        &mut self,
        root: Value<'_>,
        model: &str,
        include_usage: bool,
        patches: &mut Patches,
        out: &mut String,
    ) -> bool {
        let id = root.get("id").and_then(Value::as_str).unwrap_or_default();
        let mut choices = 0;
        let mut has_usage = false;
        let mut told = None;
        for (name, value) in root.members() {
            match &*name.decode() {
                "model" if value.kind() == Kind::String => patches.replace(value.start()..value.end(), model),
                "choices" => {
                    for choice in value.elements() {
                        choices += 1;
                        self.choice(root, choice, id.escaped(), model, patches, out);
                    }
                }
                "usage" => {
                    // Groq, Databricks and HuggingFace repeat it: the last one counts, once.
                    self.usage = usage(value).or(self.usage);
                    has_usage = !value.is_null();
                    told = Some(value).filter(|value| value.kind() == Kind::Object && value.get("cost").is_none());
                    if !include_usage && has_usage {
                        patches.replace(value.start()..value.end(), "null");
                    }
                }
                "service_tier" => self.tier = tier(value),
                // Groq's agents tell it nowhere else.
                "x_groq" => self.usage = self.usage.or(value.get("usage").and_then(usage)),
                _ => {}
            }
        }
        if let Some(told) = told.filter(|_| include_usage)
            && let Some(usage) = usage(told)
            && let Some(tariff) = &self.tariff
            && let Some(cost) = tariff.cost(&Usage { tier: self.tier, ..usage })
        {
            let end = told.end().saturating_sub(1);
            patches.replace(end..end, format!(",\"cost\":{}", pico_usd(cost)));
        }
        include_usage || choices > 0 || !has_usage
    }

    fn choice(
        &mut self,
        root: Value<'_>,
        value: Value<'_>,
        id: &str,
        model: &str,
        patches: &mut Patches,
        out: &mut String,
    ) {
        // Completions have it in the place of a delta.
        let text = value.get("text");
        self.is_text |= text.is_some();
        if !self.content {
            self.content = text.is_some_and(says_something);
        }
        if !self.content {
            let mut delta = value.get("delta").into_iter().flat_map(Value::members);
            self.content = delta.any(|(name, value)| name != "role" && name != "channel" && says_something(value));
        }
        let number = value.get("index").and_then(Value::as_u64).unwrap_or(0);
        let known = self.choices.iter().position(|choice| choice.number == number);
        if known.is_none() && self.choices.len() < MOST {
            if self.head.is_empty() {
                self.head = head(root);
            }
            self.choices.push(Choice::new(number));
        }
        let last = self.choices.len().saturating_sub(1);
        let Some(choice) = self.choices.get_mut(known.unwrap_or(last)).filter(|choice| choice.number == number) else {
            return;
        };
        let had_finished = choice.finish.is_some();
        choice.take(value, id, patches);
        if choice.finish.is_some() && !had_finished {
            self.content = true;
            write_bare(&self.head, model, choice, out);
        }
    }

    /// Whether every choice has come to its end.
    fn is_finished(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finish.is_some())
    }

    /// Ends the choices that the provider has not, though it says that it is done: as OpenRouter and Snowflake do.
    fn finish(&mut self, model: &str, out: &mut String) {
        for choice in self.choices.iter_mut().filter(|choice| choice.finish.is_none()) {
            write_bare(&self.head, model, choice, out);
            let finish = choice.unsaid_finish();
            choice.finish = Some(finish);
            let nothing = if self.is_text { r#""text":"""# } else { r#""delta":{}"# };
            write_chunk(&self.head, model, choice.number, nothing, &literal(finish), out);
        }
    }
}

/// Whether an event is an error. Mistral and vLLM write theirs without a member `error`.
pub(super) fn is_error(root: Value<'_>) -> bool {
    root.get("error").is_some_and(says_something)
        || root.get("object").and_then(Value::as_str).is_some_and(|object| object == "error")
}

/// What chunks begin with, as `chunk` does.
fn head(chunk: Value<'_>) -> String {
    let mut head = String::from("data: {");
    for name in ["id", "object", "created"] {
        if let Some(value) = chunk.get(name) {
            head.push('"');
            head.push_str(name);
            head.push_str("\":");
            value.write(&mut head);
            head.push(',');
        }
    }
    head
}

/// Calls without arguments were called with none: the texts have to add up to JSON.
fn write_bare(head: &str, model: &str, choice: &mut Choice, out: &mut String) {
    let number = choice.number;
    for call in choice.bare() {
        let delta = format!(r#""delta":{{"tool_calls":[{{"index":{call},"function":{{"arguments":"{{}}"}}}}]}}"#);
        write_chunk(head, model, number, &delta, "null", out);
    }
}

fn write_chunk(head: &str, model: &str, choice: u64, delta: &str, finish: &str, out: &mut String) {
    out.push_str(head);
    out.push_str(&format!(r#""model":{model},"choices":[{{"index":{choice},{delta},"finish_reason":{finish}}}]}}"#));
    out.push_str("\n\n");
}

/// Whether a member of a delta has anything in it: role chunks carry empty texts and nulls.
fn says_something(value: Value<'_>) -> bool {
    match value.kind() {
        Kind::Null => false,
        Kind::String => value.as_str().is_some_and(|text| !text.is_empty()),
        Kind::Array => value.elements().next().is_some(),
        Kind::Object => value.members().any(|(_, value)| says_something(value)),
        Kind::Bool | Kind::Number => true,
    }
}

#[cfg(test)]
mod tests;
