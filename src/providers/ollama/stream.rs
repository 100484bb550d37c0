//! Streamed answers: JSON lines of the answer's own shape, each with what is new, the last one `done`.
//!
//! <https://docs.ollama.com/api/streaming>; an error in the middle is a line `{"error": "..."}`:
//! <https://docs.ollama.com/api/errors>

use super::super::StreamDecoder;
use super::answer::{arguments, calls, finish, id, inside, is_done, logprobs, named, stamp, text, usage};
use crate::chat::{Arguments, Delta, Sink};
use crate::error::Error;
use crate::frame::json_lines;
use crate::json::{Document, Kind, Str, Value};

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    lines: json_lines::Decoder,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    started: bool,
    /// Whatever comes is not for us any more.
    over: bool,
    said: bool,
    thought: Option<Thought>,
    calls: u32,
}

/// The thought that was last heard.
#[derive(Debug)]
struct Thought {
    block: u32,
    /// Something else was said since: what is thought next is another one.
    over: bool,
}

impl StreamDecoder for Decoder {
    fn push(&mut self, chunk: &[u8], out: &mut dyn Sink) -> Result<(), Error> {
        if self.state.over {
            return Ok(());
        }
        self.lines.push(chunk).map_err(|_| Error::bad_answer("a line of the provider's stream does not end"))?;
        while let Some(line) = self.lines.next_frame() {
            self.state.line(line, out)?;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.state.over
    }

    fn end(&mut self, out: &mut dyn Sink) -> Result<(), Error> {
        if let Some(line) = self.lines.rest() {
            self.state.line(line, out)?;
        }
        if !self.state.over {
            return Err(Error::bad_answer("the provider's stream ended before the answer was complete"));
        }
        Ok(())
    }
}

impl State {
    fn line(&mut self, line: &[u8], out: &mut dyn Sink) -> Result<(), Error> {
        if self.over {
            return Ok(());
        }
        let document = Document::parse(line)
            .map_err(|invalid| Error::bad_answer(format!("the provider's stream is not JSON: {invalid}")))?;
        let body = document.root();
        if body.kind() != Kind::Object {
            return Err(Error::bad_answer("a line of the provider's stream is not an object"));
        }
        if let Some(error) = inside(body) {
            return Err(error);
        }
        let stamp = stamp(body);
        if !self.started {
            self.started = true;
            out.push(0, Delta::Start(id(&stamp)));
        }
        if let Some(message) = body.get("message") {
            self.message(message, &stamp, out);
        }
        let logprobs = logprobs(body);
        if !logprobs.is_empty() {
            out.push(0, Delta::Logprobs(logprobs));
        }
        if is_done(body) {
            out.push(0, Delta::Finish(finish(body, self.calls > 0, self.said)?));
            self.over = true;
            if let Some(usage) = usage(body) {
                out.push(0, Delta::Usage(usage));
            }
        }
        Ok(())
    }

    fn message(&mut self, message: Value<'_>, stamp: &str, out: &mut dyn Sink) {
        if let Some(text) = text(message, "thinking") {
            let block = match &self.thought {
                None => 0,
                Some(thought) => thought.block + u32::from(thought.over),
            };
            self.thought = Some(Thought { block, over: false });
            self.said = true;
            out.push(0, Delta::Thinking { block, text });
        }
        if let Some(text) = text(message, "content") {
            self.turn();
            out.push(0, Delta::Text(text));
        }
        for call in calls(message) {
            let Some((id, name)) = named(call, stamp, self.calls as usize) else { continue };
            self.turn();
            let number = self.calls;
            self.calls += 1;
            out.push(0, Delta::ToolCall { call: number, id, name, signature: None });
            let json = match arguments(call) {
                Arguments::Object(value) => Str::plain(value.raw()),
                Arguments::Text(text) => text,
            };
            out.push(0, Delta::ToolArguments { call: number, json });
        }
    }

    /// Something else than a thought is said.
    fn turn(&mut self) {
        self.said = true;
        if let Some(thought) = &mut self.thought {
            thought.over = true;
        }
    }
}

#[cfg(test)]
mod tests;
