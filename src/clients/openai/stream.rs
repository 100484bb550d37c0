//! Writing a streamed answer.

use super::answer::{finish_reason, write_usage};
use super::{citations, logprobs, produced};
use crate::answered::Finishes;
use crate::chat::{Delta, Usage};
use crate::clients::Envelope;
use crate::dialect::signed_id;
use crate::json::{Str, Write, Writer};
use crate::price::Tariff;

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
    /// The answer's id if the provider gives none.
    id: String,
    /// Whose thoughts are in the answer, if not nobody's.
    thoughts: String,
    usage: Option<Usage>,
    /// What the client is told of the cost by.
    tariff: Option<Tariff>,
    choices: Vec<Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    number: u32,
    /// Whether a chunk of it went out.
    begun: bool,
    called: bool,
    /// Why it ended, once it has.
    finish: Option<&'static str>,
    /// Images so far.
    images: u64,
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
        let (id, thoughts) = (envelope.id.to_owned(), envelope.thoughts.to_owned());
        Self { head, tail, started: false, include_usage, id, thoughts, usage: None, tariff: None, choices: Vec::new() }
    }

    /// The same, with what it costs in the usage, as OpenRouter tells it: <https://openrouter.ai/docs/use-cases/usage-accounting>.
    pub fn priced(self, tariff: Option<Tariff>) -> Self {
        Self { tariff, ..self }
    }

    /// Appends what `delta` of choice number `choice` is to the client.
    pub fn push(&mut self, choice: u32, delta: Delta<'_>, out: &mut String) {
        match &delta {
            Delta::Start(id) => {
                if !self.started {
                    let own = Str::plain(&self.id);
                    self.head.insert_str(BEFORE_ID.len(), if id.is_empty() { own.escaped() } else { id.escaped() });
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
            write_usage(&usage, self.tariff.as_ref().and_then(|tariff| tariff.cost(&usage)), &mut Writer::new(out));
            out.push_str("}\n\n");
        }
        out.push_str("data: [DONE]\n\n");
    }

    /// Why its choices ended, those that have.
    pub fn finishes(&self) -> Finishes {
        self.choices.iter().filter_map(|choice| choice.finish).collect()
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
        let frame = (self.head.as_str(), self.tail, self.thoughts.as_str());
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
                    write_chunk(frame, choice, &Delta::ToolArguments { call, json: Str::plain("{}") }, out);
                }
            }
            _ => {}
        }
        write_chunk(frame, choice, delta, out);
    }
}

fn write_chunk(frame: (&str, &str, &str), choice: &mut Choice, delta: &Delta<'_>, out: &mut String) {
    let (head, tail, thoughts) = frame;
    out.push_str(head);
    let mut w = Writer::new(out);
    w.object(|w| {
        w.field("index", &choice.number);
        w.name("delta").object(|w| {
            if !choice.begun {
                choice.begun = true;
                w.field("role", "assistant");
            }
            write_delta(delta, thoughts, choice.images, w);
        });
        match delta {
            Delta::Logprobs(tokens) => logprobs::write(tokens, w),
            Delta::Image(_) => choice.images += 1,
            _ => {}
        }
        match delta {
            Delta::Finish(finish) => {
                let reason = finish_reason(finish, choice.called);
                choice.finish = Some(reason);
                w.field("finish_reason", reason);
                w.field("native_finish_reason", &finish.native);
            }
            _ => w.field("finish_reason", &None::<bool>),
        }
    });
    out.push_str(tail);
}

fn write_delta(delta: &Delta<'_>, thoughts: &str, images: u64, w: &mut Writer<'_>) {
    match delta {
        Delta::Text(text) => w.field("content", text),
        Delta::Refusal(text) => w.field("refusal", text),
        Delta::Thinking { block, text } => {
            w.field("reasoning_content", text);
            write_detail(w, thoughts, "reasoning.text", ("text", text), *block);
        }
        Delta::Signature { block, signature } => {
            write_detail(w, thoughts, "reasoning.text", ("signature", signature), *block)
        }
        Delta::RedactedThinking { block, data } => {
            write_detail(w, thoughts, "reasoning.encrypted", ("data", data), *block)
        }
        Delta::ToolCall { call, id, name, signature } => write_call(w, *call, |w| {
            signed_id::write(w, id, signature.as_ref());
            w.field("type", "function");
            w.name("function").object(|w| {
                w.field("name", name);
                w.field("arguments", "");
            });
        }),
        Delta::ToolArguments { call, json } => {
            write_call(w, *call, |w| w.name("function").object(|w| w.field("arguments", json)));
        }
        Delta::Citation(citation) => citations::write(core::iter::once(citation), w),
        Delta::Image(image) => produced::images(core::iter::once(image), images, w),
        Delta::Audio(sound) => produced::audio_delta(sound, w),
        Delta::Start(_) | Delta::Finish(_) | Delta::Usage(_) | Delta::KeepAlive | Delta::Logprobs(_) => {}
    }
}

fn write_detail(w: &mut Writer<'_>, thoughts: &str, kind: &str, (name, text): (&str, &Str<'_>), block: u32) {
    w.name("reasoning_details").array(|w| {
        w.object(|w| {
            w.field("type", kind);
            w.field(name, text);
            w.field_some("format", &(!thoughts.is_empty()).then_some(thoughts));
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

#[cfg(test)]
mod tests {
    use super::StreamEncoder;
    use crate::chat::{Delta, Finish, FinishReason, Usage};
    use crate::clients::Envelope;
    use crate::json::Str;

    fn finish(reason: FinishReason) -> Delta<'static> {
        Delta::Finish(Finish { reason, native: Str::plain("native") })
    }

    /// Chunks by what stands in `choices`, other lines as they are.
    fn check(include_usage: bool, deltas: &[(u32, Delta<'_>)], expected: &[&str]) {
        let mut encoder = StreamEncoder::new(&Envelope { id: "", model: "m", created: 7, include_usage, thoughts: "" });
        let mut out = String::new();
        for (choice, delta) in deltas {
            encoder.push(*choice, delta.clone(), &mut out);
        }
        encoder.end(&mut out);
        let head = r#"data: {"id":"a1","object":"chat.completion.chunk","created":7,"model":"m","choices":["#;
        let tail = if include_usage { "],\"usage\":null}" } else { "]}" };
        let seen: Vec<_> = out
            .strip_suffix("\n\n")
            .unwrap()
            .split("\n\n")
            .map(|event| {
                let chunk = event.strip_prefix(head);
                chunk.map_or(event, |chunk| chunk.strip_suffix(tail).unwrap_or(chunk))
            })
            .collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_text_is_streamed() {
        let usage = Usage { input: 3, output: 2, ..Usage::default() };
        let deltas = [
            (0, Delta::Start(Str::plain("a1"))),
            (0, Delta::KeepAlive),
            (0, Delta::Text(Str::EMPTY)),
            (0, Delta::Text(Str::plain("Hi\n"))),
            (1, Delta::Refusal(Str::plain("no"))),
            (0, Delta::Text(Str::plain("!"))),
            (0, finish(FinishReason::Length)),
            (1, finish(FinishReason::ContentFilter)),
            (0, Delta::Usage(usage)),
        ];
        let chunks = [
            ": keep-alive",
            r#"{"index":0,"delta":{"role":"assistant","content":"Hi\n"},"finish_reason":null}"#,
            r#"{"index":1,"delta":{"role":"assistant","refusal":"no"},"finish_reason":null}"#,
            r#"{"index":0,"delta":{"content":"!"},"finish_reason":null}"#,
            r#"{"index":0,"delta":{},"finish_reason":"length","native_finish_reason":"native"}"#,
            r#"{"index":1,"delta":{},"finish_reason":"content_filter","native_finish_reason":"native"}"#,
        ];
        check(false, &deltas, &[&chunks[..], &["data: [DONE]"]].concat());
        let usage = r#"],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}}"#;
        check(true, &deltas, &[&chunks[..], &[usage, "data: [DONE]"]].concat());
    }

    #[test]
    fn tool_calls_are_streamed_and_their_arguments_add_up() {
        let call = |call, id| Delta::ToolCall { call, id: Str::plain(id), name: Str::plain("f"), signature: None };
        let arguments = |call, json| Delta::ToolArguments { call, json: Str::plain(json) };
        check(
            false,
            &[
                (0, Delta::Start(Str::plain("a1"))),
                (0, call(0, "c0")),
                (0, arguments(0, "")),
                (0, call(1, "c1")),
                (0, arguments(1, "{\"a\":")),
                (0, arguments(1, "1}")),
                (0, finish(FinishReason::Stop)),
            ],
            &[
                r#"{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"c0","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}"#,
                r#"{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c1","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}"#,
                r#"{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{\"a\":"}}]},"finish_reason":null}"#,
                r#"{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"1}"}}]},"finish_reason":null}"#,
                r#"{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]},"finish_reason":null}"#,
                r#"{"index":0,"delta":{},"finish_reason":"tool_calls","native_finish_reason":"native"}"#,
                "data: [DONE]",
            ],
        );
    }

    #[test]
    fn thoughts_are_streamed() {
        check(
            false,
            &[
                (0, Delta::Start(Str::plain("a1"))),
                (0, Delta::Thinking { block: 0, text: Str::EMPTY }),
                (0, Delta::Thinking { block: 0, text: Str::plain("t") }),
                (0, Delta::Signature { block: 0, signature: Str::plain("s") }),
                (0, Delta::RedactedThinking { block: 1, data: Str::plain("d") }),
                (0, finish(FinishReason::Stop)),
            ],
            &[
                r#"{"index":0,"delta":{"role":"assistant","reasoning_content":"t","reasoning_details":[{"type":"reasoning.text","text":"t","index":0}]},"finish_reason":null}"#,
                r#"{"index":0,"delta":{"reasoning_details":[{"type":"reasoning.text","signature":"s","index":0}]},"finish_reason":null}"#,
                r#"{"index":0,"delta":{"reasoning_details":[{"type":"reasoning.encrypted","data":"d","index":1}]},"finish_reason":null}"#,
                r#"{"index":0,"delta":{},"finish_reason":"stop","native_finish_reason":"native"}"#,
                "data: [DONE]",
            ],
        );
    }
}
