//! Streamed answers: each event is an answer of its own, with what is new in it.
//!
//! <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>. There is no event for the end: it is
//! complete when the provider ends it and every candidate had its `finishReason`. More may come after that one (a signature, say),
//! so that ends are told at the end.

use super::super::StreamDecoder;
use super::answer::{self, Piece, call_id, candidates, is_sound, pieces, text};
use super::array::Splitter;
use super::{citations, failure, logprobs};
use crate::chat::{Citation, Delta, Finish, FinishReason, Sink, Usage};
use crate::error::Error;
use crate::frame::sse;
use crate::json::{Document, Kind, Str, Value, Writer};

/// More alternatives than any model gives.
const MOST_CHOICES: usize = 128;

/// More chunks with sources in them than there is any use for.
const MOST_SOURCES: usize = 64;

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    frames: Frames,
    state: State,
}

/// Told by the first byte.
#[derive(Debug, Default)]
enum Frames {
    #[default]
    Unknown,
    Events(sse::Decoder),
    Array(Splitter),
}

#[derive(Debug, Default)]
struct State {
    id: Option<Str<'static>>,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    over: bool,
}

#[derive(Debug, Default)]
struct Choice {
    /// How many there were, the open one included.
    thoughts: u32,
    /// Whether the last thought goes on.
    is_thinking: bool,
    calls: u32,
    /// All of the text so far, since sources name places in it.
    said: String,
    /// Members of candidates that name sources, as JSON: they are told at the end, when all of the text is there.
    sources: Vec<String>,
    finish: Option<Finish<'static>>,
}

impl StreamDecoder for Decoder {
    fn push(&mut self, chunk: &[u8], out: &mut dyn Sink) -> Result<(), Error> {
        let mut chunk = chunk;
        if matches!(self.frames, Frames::Unknown) {
            chunk = chunk.trim_ascii_start();
            match chunk.first() {
                None => return Ok(()),
                Some(b'[' | b'{') => self.frames = Frames::Array(Splitter::default()),
                Some(_) => self.frames = Frames::Events(sse::Decoder::default()),
            }
        }
        match &mut self.frames {
            Frames::Unknown => Ok(()),
            Frames::Array(splitter) => {
                let mut elements = Vec::new();
                let pushed = splitter.push(chunk, &mut elements);
                elements.iter().try_for_each(|element| self.state.data(element, out))?;
                pushed.map_err(|_| Error::bad_answer("the provider's stream is not a JSON array"))
            }
            Frames::Events(frames) => {
                let pushed = frames.push(chunk);
                pushed.map_err(|_| Error::bad_answer("an event of the provider's stream does not end"))?;
                while let Some(frame) = frames.next_frame() {
                    self.state.frame(frame, out)?;
                }
                Ok(())
            }
        }
    }

    /// Gemini has no word for it: an answer is complete when the stream ends.
    fn is_over(&self) -> bool {
        false
    }

    fn end(&mut self, out: &mut dyn Sink) -> Result<(), Error> {
        let is_whole = match &mut self.frames {
            Frames::Unknown => false,
            Frames::Array(splitter) => splitter.is_between(),
            Frames::Events(frames) => {
                if let Some(frame) = frames.rest() {
                    self.state.frame(frame, out)?;
                }
                true
            }
        };
        if is_whole { self.state.finish(out) } else { Err(cut()) }
    }
}

fn cut() -> Error {
    Error::bad_answer("the provider's stream ended before the answer was complete")
}

impl State {
    fn frame(&mut self, frame: sse::Frame<'_>, out: &mut dyn Sink) -> Result<(), Error> {
        match frame.data {
            // Not Google's, but that of proxies.
            Some(b"[DONE]") => Ok(()),
            Some(data) => self.data(data, out),
            None => {
                if frame.raw.contains(&b':') {
                    out.push(0, Delta::KeepAlive);
                }
                Ok(())
            }
        }
    }

    fn data(&mut self, data: &[u8], out: &mut dyn Sink) -> Result<(), Error> {
        let event = Document::parse(data)
            .map_err(|invalid| Error::bad_answer(format!("the provider's stream is not JSON: {invalid}")))?;
        let event = event.root();
        if let Some(error) = failure::inside(event).or_else(|| failure::blocked(event)) {
            return Err(error);
        }
        let id = match &self.id {
            Some(id) => id.clone(),
            None => {
                let id = text(event, "responseId").unwrap_or_default().into_owned();
                out.push(0, Delta::Start(id.borrow()));
                self.id.insert(id).clone()
            }
        };
        for (position, candidate) in candidates(event).enumerate() {
            let index = candidate.get("index").and_then(Value::as_u64).map_or(Ok(position), usize::try_from);
            let index = index.ok().filter(|index| *index < MOST_CHOICES);
            let index = index.ok_or_else(|| Error::bad_answer("the provider's stream has a candidate too many"))?;
            if self.choices.len() <= index {
                self.choices.resize_with(index + 1, Choice::default);
            }
            if let Some(choice) = self.choices.get_mut(index) {
                choice.read(candidate, &id, u32::try_from(index).unwrap_or_default(), out)?;
            }
        }
        // Each is the count so far, of everything.
        self.usage = event.get("usageMetadata").and_then(answer::usage).or(self.usage);
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Sink) -> Result<(), Error> {
        if core::mem::replace(&mut self.over, true) {
            return Ok(());
        }
        if self.choices.is_empty() || self.choices.iter().any(|choice| choice.finish.is_none()) {
            return Err(cut());
        }
        for (index, choice) in (0..).zip(&mut self.choices) {
            choice.cite(index, out);
            if let Some(mut finish) = choice.finish.take() {
                if finish.reason == FinishReason::Stop && choice.calls > 0 {
                    finish.reason = FinishReason::ToolCalls;
                }
                out.push(index, Delta::Finish(finish));
            }
        }
        if let Some(usage) = self.usage {
            out.push(0, Delta::Usage(usage));
        }
        Ok(())
    }
}

impl Choice {
    fn read(&mut self, candidate: Value<'_>, id: &Str<'_>, index: u32, out: &mut dyn Sink) -> Result<(), Error> {
        for (piece, signature) in pieces(candidate) {
            match piece {
                Piece::Thought(text) => {
                    let block = self.thought();
                    if !text.is_empty() {
                        out.push(index, Delta::Thinking { block, text });
                    }
                    if let Some(signature) = signature {
                        self.is_thinking = false;
                        out.push(index, Delta::Signature { block, signature });
                    }
                }
                Piece::Text(text) => {
                    if !text.is_empty() {
                        self.is_thinking = false;
                        self.said.push_str(&text.decode());
                        out.push(index, Delta::Text(text));
                    }
                    self.sign(signature, index, out);
                }
                Piece::Media(media) => {
                    self.is_thinking = false;
                    out.push(index, if is_sound(&media) { Delta::Audio(media) } else { Delta::Image(media) });
                    self.sign(signature, index, out);
                }
                Piece::Call { id: given, name, args } => {
                    self.is_thinking = false;
                    let call = self.calls;
                    self.calls += 1;
                    let id = given.unwrap_or_else(|| call_id(id, index, call, &name, args));
                    out.push(index, Delta::ToolCall { call, id, name, signature });
                    if let Some(args) = args {
                        out.push(index, Delta::ToolArguments { call, json: Str::plain(args.raw()) });
                    }
                }
            }
        }
        for name in ["groundingMetadata", "citationMetadata"] {
            let Some(value) = candidate.get(name).filter(|value| value.kind() == Kind::Object) else { continue };
            let mut source = String::new();
            Writer::new(&mut source).object(|w| w.field(name, &value));
            if self.sources.len() < MOST_SOURCES && !self.sources.contains(&source) {
                self.sources.push(source);
            }
        }
        let logprobs = logprobs::read(candidate);
        if !logprobs.is_empty() {
            out.push(index, Delta::Logprobs(logprobs));
        }
        if let Some(native) = answer::native(candidate) {
            self.finish = Some(answer::finish(native.into_owned(), candidate, false)?);
        }
        Ok(())
    }

    /// Tells where the text is from, each source of a piece once.
    fn cite(&mut self, index: u32, out: &mut dyn Sink) {
        let mut told: Vec<Citation<'static>> = Vec::new();
        for source in core::mem::take(&mut self.sources) {
            let Ok(document) = Document::parse(source.as_bytes()) else { continue };
            for citation in citations::read(document.root(), &self.said) {
                if !told.contains(&citation) {
                    told.push(citation.clone().into_owned());
                    out.push(index, Delta::Citation(citation));
                }
            }
        }
    }

    /// The signature of what is no thought, as that of one without words.
    fn sign(&mut self, signature: Option<Str<'_>>, index: u32, out: &mut dyn Sink) {
        if let Some(signature) = signature {
            self.is_thinking = false;
            let block = self.thought();
            self.is_thinking = false;
            out.push(index, Delta::Signature { block, signature });
        }
    }

    /// The number of the thought that goes on, or of a new one.
    fn thought(&mut self) -> u32 {
        if !core::mem::replace(&mut self.is_thinking, true) {
            self.thoughts += 1;
        }
        self.thoughts - 1
    }
}

#[cfg(test)]
mod tests;
