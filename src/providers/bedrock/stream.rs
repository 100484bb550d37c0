//! Streamed answers.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>:
//!
//! ```text
//! stream = messageStart *block messageStop metadata              ; an exception may stand anywhere
//! block  = [ contentBlockStart ] *contentBlockDelta contentBlockStop
//! ```
//!
//! Only tools begin with `contentBlockStart`. Every event has a member `p` that makes its length say nothing.

use super::super::StreamDecoder;
use super::super::pieces::length;
use super::super::structured::Undo;
use super::answer::{finish, is_servers, picture, text, usage};
use super::{citations, failure};
use crate::chat::{Citation, Delta, Sink};
use crate::error::Error;
use crate::frame::eventstream::{self, Frame};
use crate::json::{Document, Str, Value};

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    frames: eventstream::Decoder,
    state: State,
    undo: Undo,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    block: Block,
    /// Its number.
    index: Option<u64>,
    thoughts: u32,
    calls: u32,
    /// The characters of the last block of text.
    said: (u64, u64),
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Waiting,
    Started,
    /// The answer is complete, but for what it took.
    Complete,
    /// Whatever comes is not for us any more.
    Over,
}

/// The block that is being read: they come one after the other.
#[derive(Debug, Default)]
enum Block {
    /// One of which nothing is known yet, or between two.
    #[default]
    New,
    /// One that is not for the client.
    Other,
    Text {
        /// The characters before it.
        start: u64,
        /// Told when its end is known; those of a block without text are of the text before.
        citations: Vec<Citation<'static>>,
    },
    Image {
        format: Str<'static>,
        data: String,
    },
    Thinking {
        /// So far.
        signature: Str<'static>,
        /// One that leaves nothing to see is not counted.
        said: bool,
    },
    Tool {
        call: u32,
        said: bool,
    },
}

impl StreamDecoder for Decoder {
    fn push(&mut self, chunk: &[u8], out: &mut dyn Sink) -> Result<(), Error> {
        if self.state.phase == Phase::Over {
            return Ok(());
        }
        self.frames.push(chunk);
        let broken = |broken| Error::bad_answer(format!("the provider's stream is broken: {broken}"));
        while let Some(frame) = self.frames.next_frame().map_err(broken)? {
            self.state.frame(frame, &mut self.undo.before(out))?;
            if self.state.phase == Phase::Over {
                break;
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.state.phase == Phase::Over
    }

    /// An answer without its `metadata` is complete all the same; a piece of a message is not.
    fn end(&mut self, _out: &mut dyn Sink) -> Result<(), Error> {
        match self.state.phase {
            Phase::Over => Ok(()),
            Phase::Complete if self.frames.is_between() => {
                self.state.phase = Phase::Over;
                Ok(())
            }
            _ => Err(Error::bad_answer("the provider's stream ended before the answer was complete")),
        }
    }
}

impl State {
    fn frame(&mut self, frame: Frame<'_>, out: &mut dyn Sink) -> Result<(), Error> {
        let document = Document::parse(frame.payload);
        let payload = document.as_ref().ok().map(Document::root);
        match frame.text(":message-type").unwrap_or("event") {
            "event" => {}
            "error" => {
                let message = frame.text(":error-message").filter(|message| !message.is_empty());
                let error = failure::in_stream(frame.text(":error-code").unwrap_or_default(), payload);
                return Err(Error { message: message.map_or(error.message, str::to_owned), ..error });
            }
            _ => {
                let name = frame.text(":exception-type").or(frame.text(":event-type")).unwrap_or_default();
                return Err(failure::in_stream(name, payload));
            }
        }
        let name = frame.text(":event-type").unwrap_or_default();
        // As botocore has it, exceptions are members of the stream like events.
        if name.ends_with("Exception") {
            return Err(failure::in_stream(name, payload));
        }
        match payload {
            Some(event) => self.event(name, event, out),
            None => Err(Error::bad_answer(format!("the provider's stream is not JSON: {name}"))),
        }
    }

    fn event(&mut self, name: &str, event: Value<'_>, out: &mut dyn Sink) -> Result<(), Error> {
        match (name, &self.phase) {
            ("messageStart", Phase::Waiting) => {
                self.phase = Phase::Started;
                out.push(0, Delta::Start(Str::EMPTY));
            }
            ("contentBlockStart", Phase::Started) => self.open(event, out),
            ("contentBlockDelta", Phase::Started) => self.delta(event, out),
            ("contentBlockStop", Phase::Started) => self.close(out),
            ("messageStop", Phase::Started) => {
                self.close(out);
                let native = text(event, "stopReason");
                let native =
                    native.ok_or_else(|| Error::bad_answer("the provider's stream ended without a stopReason"))?;
                out.push(0, Delta::Finish(finish(native, self.calls > 0)?));
                self.phase = Phase::Complete;
            }
            ("metadata", Phase::Complete) => {
                self.phase = Phase::Over;
                if let Some(usage) = usage(event) {
                    out.push(0, Delta::Usage(usage));
                }
            }
            (
                "messageStart" | "contentBlockStart" | "contentBlockDelta" | "contentBlockStop" | "messageStop"
                | "metadata",
                _,
            ) => return Err(Error::bad_answer("the provider's stream is out of order")),
            _ => out.push(0, Delta::KeepAlive),
        }
        Ok(())
    }

    fn open(&mut self, event: Value<'_>, out: &mut dyn Sink) {
        self.close(out);
        self.index = event.get("contentBlockIndex").and_then(Value::as_u64);
        let Some(start) = event.get("start") else { return };
        self.block = match member(start, "toolUse") {
            Some(tool) if !is_servers(tool) => {
                let call = count(&mut self.calls);
                let (id, name) = (text(tool, "toolUseId").unwrap_or_default(), text(tool, "name").unwrap_or_default());
                out.push(0, Delta::ToolCall { call, id, name, signature: None });
                Block::Tool { call, said: false }
            }
            Some(_) => Block::Other,
            None if member(start, "image").is_some() => {
                let format = member(start, "image").and_then(|image| text(image, "format"));
                Block::Image { format: format.unwrap_or(Str::plain("png")).into_owned(), data: String::new() }
            }
            // Results of tools.
            None if start.members().any(|(_, value)| !value.is_null()) => Block::Other,
            None => Block::New,
        };
    }

    fn delta(&mut self, event: Value<'_>, out: &mut dyn Sink) {
        let index = event.get("contentBlockIndex").and_then(Value::as_u64);
        if index != self.index {
            self.close(out);
            self.index = index;
        }
        let Some(delta) = event.get("delta") else { return };
        let thought = member(delta, "reasoningContent");
        if matches!(self.block, Block::New) {
            let is_text = ["text", "citation"].iter().any(|name| member(delta, name).is_some());
            self.block = match thought {
                Some(_) => Block::Thinking { signature: Str::EMPTY, said: false },
                None if is_text => Block::Text { start: self.said.1, citations: Vec::new() },
                None if member(delta, "image").is_some() => {
                    Block::Image { format: Str::plain("png"), data: String::new() }
                }
                None => return,
            };
        }
        let more = |holder: Value<'_>, name| text(holder, name).filter(|text| !text.is_empty()).map(Str::into_owned);
        match &mut self.block {
            Block::Text { start, citations } => {
                let citation = delta.get("citation").and_then(|citation| citations::read(citation, (0, 0)));
                citations.extend(citation.map(Citation::into_owned));
                if let Some(text) = more(delta, "text") {
                    self.said = (*start, self.said.1 + length(&text));
                    out.push(0, Delta::Text(text));
                }
            }
            Block::Tool { call, said } => {
                if let Some(json) = delta.get("toolUse").and_then(|tool| more(tool, "input")) {
                    *said = true;
                    out.push(0, Delta::ToolArguments { call: *call, json });
                }
            }
            Block::Thinking { signature, said } => {
                let Some(thought) = thought else { return };
                if let Some(text) = more(thought, "text") {
                    *said = true;
                    out.push(0, Delta::Thinking { block: self.thoughts, text });
                }
                if let Some(more) = more(thought, "signature") {
                    *signature = Str::join([&*signature, &more], &Str::EMPTY);
                }
                if let Some(data) = more(thought, "redactedContent") {
                    out.push(0, Delta::RedactedThinking { block: count(&mut self.thoughts), data });
                }
            }
            Block::Image { data, .. } => {
                let bytes = delta.path(&["image", "source", "bytes"]).and_then(Value::as_str);
                data.push_str(bytes.as_ref().map_or("", Str::escaped));
            }
            Block::New | Block::Other => {}
        }
    }

    fn close(&mut self, out: &mut dyn Sink) {
        match core::mem::take(&mut self.block) {
            Block::Text { citations, .. } => {
                let range = Some(self.said);
                citations.into_iter().for_each(|citation| out.push(0, Delta::Citation(Citation { range, ..citation })));
            }
            Block::Image { format, data } if !data.is_empty() => {
                out.push(0, Delta::Image(picture(&format, Str::plain(&data))));
            }
            Block::Thinking { signature, .. } if !signature.is_empty() => {
                out.push(0, Delta::Signature { block: count(&mut self.thoughts), signature });
            }
            Block::Thinking { said: true, .. } => self.thoughts += 1,
            Block::Tool { call, said: false } => {
                out.push(0, Delta::ToolArguments { call, json: Str::plain("{}") });
            }
            _ => {}
        }
        self.index = None;
    }
}

/// The next number.
fn count(numbers: &mut u32) -> u32 {
    let number = *numbers;
    *numbers += 1;
    number
}

/// The member `name`, unless it is null: by what is there it is known what it is.
fn member<'a>(object: Value<'a>, name: &str) -> Option<Value<'a>> {
    object.get(name).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests;
