//! Writing a streamed answer.

use super::answer::{finish_reason, write_usage};
use crate::chat::{Delta, Usage};
use crate::clients::Envelope;
use crate::json::{Str, Write, Writer};

/// Most alternative answers in one stream; OpenAI's own bound. Further ones are passed over.
const MAX_CHOICES: usize = 128;

/// What stands before the id in every chunk.
const BEFORE_ID: &str = "data: {\"id\":\"";

/// Writes the deltas of one answer as `chat.completion.chunk` events.
#[derive(Debug)]
pub struct StreamEncoder {
    /// Every chunk up to its choices.
    head: String,
    /// Every chunk after its choices.
    tail: &'static str,
    started: bool,
    include_usage: bool,
    usage: Option<Usage>,
    choices: Vec<Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    number: u32,
    /// Whether a chunk of it went out.
    begun: bool,
    called: bool,
    /// Calls of which no argument came yet.
    bare: Vec<u32>,
}

impl StreamEncoder {
    /// An encoder for one answer.
    pub fn new(envelope: &Envelope<'_>) -> Self {
        let mut head = String::with_capacity(160);
        head.push_str(BEFORE_ID);
        head.push_str("\",\"object\":\"chat.completion.chunk\",\"created\":");
        envelope.created.write(&mut head);
        head.push_str(",\"model\":");
        envelope.model.write(&mut head);
        head.push_str(",\"choices\":[");
        // A client that asked for usage finds the member in every chunk.
        let tail = if envelope.include_usage { "],\"usage\":null}\n\n" } else { "]}\n\n" };
        let include_usage = envelope.include_usage;
        Self { head, tail, started: false, include_usage, usage: None, choices: Vec::new() }
    }

    /// Appends what `delta` of choice number `choice` is to the client.
    pub fn push(&mut self, choice: u32, delta: Delta<'_>, out: &mut String) {
        match &delta {
            Delta::Start(id) => {
                if !self.started {
                    self.head.insert_str(BEFORE_ID.len(), id.escaped());
                    self.started = true;
                }
            }
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::KeepAlive => out.push_str(": keep-alive\n\n"),
            Delta::Text(text) | Delta::Refusal(text) | Delta::Thinking { text, .. } if text.is_empty() => {}
            Delta::ToolArguments { json, .. } if json.is_empty() => {}
            _ => self.chunk(choice, &delta, out),
        }
    }

    /// Appends the end of a complete answer.
    pub fn end(&mut self, out: &mut String) {
        if let Some(usage) = self.usage.take().filter(|_| self.include_usage) {
            out.push_str(&self.head);
            out.push_str("],\"usage\":");
            write_usage(&usage, &mut Writer::new(out));
            out.push_str("}\n\n");
        }
        out.push_str("data: [DONE]\n\n");
    }

    fn chunk(&mut self, number: u32, delta: &Delta<'_>, out: &mut String) {
        let index = match self.choices.iter().position(|choice| choice.number == number) {
            Some(index) => index,
            None if self.choices.len() < MAX_CHOICES => {
                self.choices.push(Choice { number, ..Choice::default() });
                self.choices.len() - 1
            }
            None => return,
        };
        let Some(choice) = self.choices.get_mut(index) else { return };
        match delta {
            Delta::ToolCall { call, .. } => {
                choice.called = true;
                choice.bare.push(*call);
            }
            Delta::ToolArguments { call, .. } => choice.bare.retain(|bare| bare != call),
            // What was called without arguments was called with none: the texts have to add up to JSON.
            Delta::Finish(_) => {
                for call in core::mem::take(&mut choice.bare) {
                    write_chunk(
                        &self.head,
                        self.tail,
                        choice,
                        &Delta::ToolArguments { call, json: Str::plain("{}") },
                        out,
                    );
                }
            }
            _ => {}
        }
        write_chunk(&self.head, self.tail, choice, delta, out);
    }
}

fn write_chunk(head: &str, tail: &str, choice: &mut Choice, delta: &Delta<'_>, out: &mut String) {
    out.push_str(head);
    let mut w = Writer::new(out);
    w.object(|w| {
        w.field("index", &choice.number);
        w.name("delta").object(|w| {
            if !choice.begun {
                choice.begun = true;
                w.field("role", "assistant");
            }
            write_delta(delta, w);
        });
        match delta {
            Delta::Finish(finish) => {
                w.field("finish_reason", finish_reason(finish, choice.called));
                w.field("native_finish_reason", &finish.native);
            }
            _ => w.field("finish_reason", &None::<bool>),
        }
    });
    out.push_str(tail);
}

fn write_delta(delta: &Delta<'_>, w: &mut Writer<'_>) {
    match delta {
        Delta::Text(text) => w.field("content", text),
        Delta::Refusal(text) => w.field("refusal", text),
        Delta::Thinking { block, text } => {
            w.field("reasoning_content", text);
            write_detail(w, "reasoning.text", "text", text, *block);
        }
        Delta::Signature { block, signature } => write_detail(w, "reasoning.text", "signature", signature, *block),
        Delta::RedactedThinking { block, data } => write_detail(w, "reasoning.encrypted", "data", data, *block),
        Delta::ToolCall { call, id, name } => write_call(w, *call, |w| {
            w.field("id", id);
            w.field("type", "function");
            w.name("function").object(|w| {
                w.field("name", name);
                w.field("arguments", "");
            });
        }),
        Delta::ToolArguments { call, json } => {
            write_call(w, *call, |w| w.name("function").object(|w| w.field("arguments", json)));
        }
        Delta::Start(_) | Delta::Finish(_) | Delta::Usage(_) | Delta::KeepAlive => {}
    }
}

fn write_detail(w: &mut Writer<'_>, kind: &str, name: &str, text: &Str<'_>, block: u32) {
    w.name("reasoning_details").array(|w| {
        w.object(|w| {
            w.field("type", kind);
            w.field(name, text);
            w.field("index", &block);
        });
    });
}

fn write_call(w: &mut Writer<'_>, call: u32, members: impl FnOnce(&mut Writer<'_>)) {
    w.name("tool_calls").array(|w| {
        w.object(|w| {
            w.field("index", &call);
            members(w);
        });
    });
}
