//! Streamed answers.
//!
//! <https://docs.cohere.com/v2/docs/streaming>:
//!
//! ```text
//! stream  = message-start *( content / tool-plan-delta / call / citation ) message-end
//! content = content-start *content-delta content-end
//! call    = tool-call-start *tool-call-delta tool-call-end
//! ```

use super::super::StreamDecoder;
use super::super::pieces::length;
use super::answer::{finish, text, usage};
use super::{citations, failure};
use crate::chat::{Delta, Sink};
use crate::error::Error;
use crate::frame::sse;
use crate::json::{Document, Kind, Str, Value};

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    frames: sse::Decoder,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    started: bool,
    /// Whatever comes is not for us any more, as `[DONE]`.
    over: bool,
    /// The thought that was last heard, and its number.
    thought: Option<(Thought, u32)>,
    calls: Vec<Call>,
    /// Characters of text so far, and before the block that is being read.
    said: u64,
    start: u64,
}

/// Where a thought is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thought {
    Plan,
    /// A block of the content, by its number.
    Block(u64),
}

/// A call that has begun.
#[derive(Debug)]
struct Call {
    /// Cohere's number for it.
    index: u64,
    /// Ours.
    number: u32,
    /// Whether any of its arguments came.
    said: bool,
}

impl StreamDecoder for Decoder {
    fn push(&mut self, chunk: &[u8], out: &mut dyn Sink) -> Result<(), Error> {
        if self.state.over {
            return Ok(());
        }
        self.frames.push(chunk).map_err(|_| Error::bad_answer("an event of the provider's stream does not end"))?;
        while let Some(frame) = self.frames.next_frame() {
            self.state.frame(frame, out)?;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.state.over
    }

    fn end(&mut self, out: &mut dyn Sink) -> Result<(), Error> {
        if let Some(frame) = self.frames.rest() {
            self.state.frame(frame, out)?;
        }
        if !self.state.over {
            return Err(Error::bad_answer("the provider's stream ended before the answer was complete"));
        }
        Ok(())
    }
}

impl State {
    fn frame(&mut self, frame: sse::Frame<'_>, out: &mut dyn Sink) -> Result<(), Error> {
        match frame.data {
            _ if self.over => {}
            Some(b"[DONE]") => return Err(Error::bad_answer("the provider's stream is done without a message-end")),
            Some(data) => {
                let event = Document::parse(data)
                    .map_err(|invalid| Error::bad_answer(format!("the provider's stream is not JSON: {invalid}")))?;
                return self.event(event.root(), out);
            }
            None if frame.raw.contains(&b':') => out.push(0, Delta::KeepAlive),
            None => {}
        }
        Ok(())
    }

    fn event(&mut self, event: Value<'_>, out: &mut dyn Sink) -> Result<(), Error> {
        if let Some(error) = failure::inside(event) {
            return Err(error);
        }
        let kind =
            text(event, "type").ok_or_else(|| Error::bad_answer("an event of the provider's stream has no type"))?;
        if !self.started {
            self.started = true;
            out.push(0, Delta::Start(text(event, "id").unwrap_or_default()));
        }
        let index = event.get("index").and_then(Value::as_u64).unwrap_or(0);
        let message = event.path(&["delta", "message"]);
        let holder = |name: &str| message.and_then(|message| message.get(name));
        match &*kind.decode() {
            "content-start" | "content-delta" => {
                let Some(content) = holder("content") else { return Ok(()) };
                if let Some(text) = text(content, "thinking") {
                    self.think(Thought::Block(index), text, out);
                }
                if &*kind.decode() == "content-start" {
                    self.start = self.said;
                }
                if let Some(text) = text(content, "text") {
                    self.said += length(&text);
                    out.push(0, Delta::Text(text));
                }
                let logprobs = citations::logprobs(event);
                if !logprobs.is_empty() {
                    out.push(0, Delta::Logprobs(logprobs));
                }
            }
            "citation-start" => {
                // One, or several.
                let Some(member) = holder("citations") else { return Ok(()) };
                let one = Some(member).filter(|member| member.kind() == Kind::Object);
                for citation in one.into_iter().chain(member.elements()) {
                    let told = citations::read(citation, self.start);
                    told.for_each(|citation| out.push(0, Delta::Citation(citation)));
                }
            }
            "tool-plan-delta" => {
                if let Some(plan) = message.and_then(|message| text(message, "tool_plan")) {
                    self.think(Thought::Plan, plan, out);
                }
            }
            "tool-call-start" => {
                if let Some(call) = holder("tool_calls") {
                    self.call(index, call, out);
                }
            }
            "tool-call-delta" => {
                if let Some(call) = holder("tool_calls") {
                    self.arguments(index, call, out);
                }
            }
            "message-end" => return self.finish(event, out),
            // Ends of blocks and citations; what may be added.
            _ => {}
        }
        Ok(())
    }

    fn think(&mut self, thought: Thought, text: Str<'_>, out: &mut dyn Sink) {
        let block = match self.thought {
            None => 0,
            Some((last, block)) => block + u32::from(last != thought),
        };
        self.thought = Some((thought, block));
        out.push(0, Delta::Thinking { block, text });
    }

    fn call(&mut self, index: u64, call: Value<'_>, out: &mut dyn Sink) {
        let (id, function) = (text(call, "id"), call.get("function"));
        let (Some(id), Some(name)) = (id, function.and_then(|function| text(function, "name"))) else { return };
        let number = self.calls.len() as u32;
        self.calls.push(Call { index, number, said: false });
        out.push(0, Delta::ToolCall { call: number, id, name, signature: None });
        self.arguments(index, call, out);
    }

    fn arguments(&mut self, index: u64, call: Value<'_>, out: &mut dyn Sink) {
        let json = call.get("function").and_then(|function| text(function, "arguments"));
        let begun = self.calls.iter_mut().rev().find(|call| call.index == index);
        if let (Some(json), Some(call)) = (json, begun) {
            call.said = true;
            out.push(0, Delta::ToolArguments { call: call.number, json });
        }
    }

    fn finish(&mut self, event: Value<'_>, out: &mut dyn Sink) -> Result<(), Error> {
        let end = event.get("delta").unwrap_or(event);
        let native = text(end, "finish_reason");
        let native = native.ok_or_else(|| Error::bad_answer("the provider's stream ended without a finish_reason"))?;
        if let Some(error) = failure::of_finish(&native.decode(), end) {
            return Err(error);
        }
        for call in self.calls.iter().filter(|call| !call.said) {
            out.push(0, Delta::ToolArguments { call: call.number, json: Str::plain("{}") });
        }
        self.over = true;
        out.push(0, Delta::Finish(finish(native, !self.calls.is_empty())));
        if let Some(usage) = end.get("usage").and_then(usage) {
            out.push(0, Delta::Usage(usage));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
