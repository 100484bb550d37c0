//! Streamed answers.
//!
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>:
//!
//! ```text
//! stream = message_start *block 1*message_delta message_stop     ; ping and error may stand anywhere
//! block  = content_block_start *content_block_delta content_block_stop
//! ```

use super::super::StreamDecoder;
use super::super::pieces::length;
use super::super::structured::Undo;
use super::answer::{Tokens, finish, refusal, text};
use super::{citations, failure};
use crate::chat::{Citation, Delta, Sink, Usage};
use crate::error::Error;
use crate::frame::sse;
use crate::json::{Document, Kind, Str, Value};

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    frames: sse::Decoder,
    state: State,
    undo: Undo,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    block: Block,
    thoughts: u32,
    calls: u32,
    /// Characters of text so far.
    said: u64,
    stop_reason: Option<Str<'static>>,
    tokens: Tokens,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Waiting,
    Started,
    /// Whatever comes is not for us any more.
    Over,
}

/// The block that is being read: they come one after the other.
#[derive(Debug, Default)]
enum Block {
    /// One that is not for the client, or between two.
    #[default]
    Other,
    Text {
        /// The characters before it.
        start: u64,
        /// They may come before the text that they are about: they are told when its end is known.
        citations: Vec<Citation<'static>>,
    },
    Thinking {
        /// So far.
        signature: Str<'static>,
        /// One that leaves nothing to see is not counted.
        said: bool,
    },
    Tool {
        call: u32,
        /// What the arguments are if no piece of them comes.
        input: String,
        said: bool,
    },
}

impl StreamDecoder for Decoder {
    fn push(&mut self, chunk: &[u8], out: &mut dyn Sink) -> Result<(), Error> {
        if self.state.phase == Phase::Over {
            return Ok(());
        }
        self.frames.push(chunk).map_err(|_| Error::bad_answer("an event of the provider's stream does not end"))?;
        while let Some(frame) = self.frames.next_frame() {
            self.state.frame(frame, &mut self.undo.before(out))?;
        }
        Ok(())
    }

    fn told(&self) -> Option<Usage> {
        self.state.tokens.usage()
    }

    fn is_over(&self) -> bool {
        self.state.phase == Phase::Over
    }

    fn end(&mut self, out: &mut dyn Sink) -> Result<(), Error> {
        if let Some(frame) = self.frames.rest() {
            self.state.frame(frame, &mut self.undo.before(out))?;
        }
        match self.state.phase {
            Phase::Over => Ok(()),
            _ => Err(Error::bad_answer("the provider's stream ended before the answer was complete")),
        }
    }
}

impl State {
    fn frame(&mut self, frame: sse::Frame<'_>, out: &mut dyn Sink) -> Result<(), Error> {
        match frame.data {
            _ if self.phase == Phase::Over => Ok(()),
            Some(data) => {
                let event = Document::parse(data)
                    .map_err(|invalid| Error::bad_answer(format!("the provider's stream is not JSON: {invalid}")))?;
                self.event(event.root(), out)
            }
            None => {
                if frame.raw.contains(&b':') {
                    out.push(0, Delta::KeepAlive);
                }
                Ok(())
            }
        }
    }

    fn event(&mut self, event: Value<'_>, out: &mut dyn Sink) -> Result<(), Error> {
        if let Some(error) = failure::inside(event) {
            return Err(error);
        }
        let kind =
            text(event, "type").ok_or_else(|| Error::bad_answer("an event of the provider's stream has no type"))?;
        match (&*kind.decode(), &self.phase) {
            ("error", _) => return Err(Error::bad_answer("the provider's stream failed")),
            ("ping", _) => out.push(0, Delta::KeepAlive),
            ("message_start", Phase::Waiting) => self.start(event, out),
            ("content_block_start", Phase::Started) => self.open(event, out),
            ("content_block_delta", Phase::Started) => self.delta(event, out),
            ("content_block_stop", Phase::Started) => self.close(out),
            ("message_delta", Phase::Started) => {
                let reason = event.path(&["delta", "stop_reason"]).and_then(Value::as_str);
                if let Some(said) = event.get("delta").and_then(refusal) {
                    self.close(out);
                    out.push(0, Delta::Refusal(said));
                }
                self.stop_reason = reason.map(Str::into_owned).or(self.stop_reason.take());
                self.take_usage(event);
            }
            ("message_stop", Phase::Started) => return self.finish(out),
            ("message_start" | "content_block_start" | "content_block_delta" | "message_delta" | "message_stop", _) => {
                return Err(Error::bad_answer("the provider's stream is out of order"));
            }
            // "we may add new event types, and your code should handle unknown event types gracefully"
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, event: Value<'_>, out: &mut dyn Sink) {
        self.phase = Phase::Started;
        let message = event.get("message").unwrap_or(event);
        out.push(0, Delta::Start(text(message, "id").unwrap_or_default()));
        self.take_usage(message);
    }

    fn take_usage(&mut self, holder: Value<'_>) {
        if let Some(usage) = holder.get("usage") {
            self.tokens.take(usage);
        }
    }

    fn open(&mut self, event: Value<'_>, out: &mut dyn Sink) {
        self.close(out);
        let Some(block) = event.get("content_block") else { return };
        let kind = text(block, "type").unwrap_or_default();
        match &*kind.decode() {
            "text" => {
                let whole = block.get("citations").into_iter().flat_map(Value::elements);
                let whole = whole.filter_map(|citation| citations::read(citation, (0, 0))).map(Citation::into_owned);
                self.block = Block::Text { start: self.said, citations: whole.collect() };
            }
            "thinking" => {
                let signature = text(block, "signature").unwrap_or_default().into_owned();
                self.block = Block::Thinking { signature, said: false };
            }
            "redacted_thinking" => {
                let (block, data) = (count(&mut self.thoughts), text(block, "data").unwrap_or_default());
                out.push(0, Delta::RedactedThinking { block, data });
            }
            "tool_use" => {
                let (id, name) = (text(block, "id").unwrap_or_default(), text(block, "name").unwrap_or_default());
                let call = count(&mut self.calls);
                let input = block.get("input").filter(|input| input.kind() == Kind::Object);
                let input = input.map_or("{}", Value::raw).to_owned();
                self.block = Block::Tool { call, input, said: false };
                out.push(0, Delta::ToolCall { call, id, name, signature: None });
            }
            _ => {}
        }
        // Both are empty here, as far as anyone has seen.
        self.say(block, out);
    }

    fn delta(&mut self, event: Value<'_>, out: &mut dyn Sink) {
        let Some(delta) = event.get("delta") else { return };
        match &mut self.block {
            Block::Text { citations, .. } => {
                let citation = delta.get("citation").and_then(|citation| citations::read(citation, (0, 0)));
                citations.extend(citation.map(Citation::into_owned));
            }
            Block::Thinking { signature, .. } => {
                if let Some(more) = text(delta, "signature").filter(|more| !more.is_empty()) {
                    *signature = Str::join([&*signature, &more], &Str::EMPTY);
                }
            }
            Block::Tool { call, said, .. } => {
                if let Some(json) = text(delta, "partial_json").filter(|json| !json.is_empty()) {
                    *said = true;
                    out.push(0, Delta::ToolArguments { call: *call, json });
                }
            }
            _ => {}
        }
        self.say(delta, out);
    }

    /// Passes on the text in `holder`, a block or a delta, if the block is one of text.
    fn say(&mut self, holder: Value<'_>, out: &mut dyn Sink) {
        let more = |name| text(holder, name).filter(|text| !text.is_empty());
        match &mut self.block {
            Block::Text { .. } => {
                if let Some(text) = more("text") {
                    self.said += length(&text);
                    out.push(0, Delta::Text(text));
                }
            }
            Block::Thinking { said, .. } => {
                if let Some(text) = more("thinking") {
                    *said = true;
                    out.push(0, Delta::Thinking { block: self.thoughts, text });
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, out: &mut dyn Sink) {
        match core::mem::take(&mut self.block) {
            Block::Text { start, citations } => {
                for citation in citations {
                    out.push(0, Delta::Citation(Citation { range: Some((start, self.said)), ..citation }));
                }
            }
            Block::Thinking { signature, .. } if !signature.is_empty() => {
                out.push(0, Delta::Signature { block: count(&mut self.thoughts), signature });
            }
            Block::Thinking { said: true, .. } => self.thoughts += 1,
            Block::Tool { call, input, said: false } => {
                out.push(0, Delta::ToolArguments { call, json: Str::plain(&input) });
            }
            _ => {}
        }
    }

    fn finish(&mut self, out: &mut dyn Sink) -> Result<(), Error> {
        let native = self.stop_reason.take();
        let native = native.ok_or_else(|| Error::bad_answer("the provider's stream ended without a stop_reason"))?;
        self.close(out);
        self.phase = Phase::Over;
        out.push(0, Delta::Finish(finish(native, self.calls > 0)));
        if let Some(usage) = self.tokens.usage() {
            out.push(0, Delta::Usage(usage));
        }
        Ok(())
    }
}

/// The next number.
fn count(numbers: &mut u32) -> u32 {
    let number = *numbers;
    *numbers += 1;
    number
}

#[cfg(test)]
mod tests;
