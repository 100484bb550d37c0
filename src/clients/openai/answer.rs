//! Writing a complete answer.

use crate::chat::{Answer, Arguments, Choice, Finish, FinishReason, Part, Usage};
use crate::clients::Envelope;
use crate::json::{Quoted, Str, Write, Writer};

/// Appends the `chat.completion` object for `answer` to `out`.
pub fn answer(answer: &Answer<'_>, envelope: &Envelope<'_>, out: &mut String) {
    Writer::new(out).object(|w| {
        w.field("id", &answer.id);
        w.field("object", "chat.completion");
        w.field("created", &envelope.created);
        w.field("model", envelope.model);
        w.name("choices").array(|w| {
            for (index, choice) in (0_u32..).zip(&answer.choices) {
                write_choice(index, choice, w);
            }
        });
        if let Some(usage) = &answer.usage {
            write_usage(usage, w.name("usage"));
        }
        w.field_some("service_tier", &answer.service_tier.as_ref());
    });
}

/// OpenAI's word for why an answer ended. Clients run tools only at `tool_calls`, and look for calls only there; but an
/// answer that was cut short was cut in the midst of its last call, so `length` has to stay visible.
pub(super) fn finish_reason(finish: &Finish<'_>, called: bool) -> &'static str {
    match finish.reason {
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Stop | FinishReason::ToolCalls if called => "tool_calls",
        FinishReason::Stop | FinishReason::ToolCalls => "stop",
    }
}

/// Writes the object `usage`.
pub(super) fn write_usage(usage: &Usage, w: &mut Writer<'_>) {
    let written = usage.cache_write.saturating_add(usage.cache_write_1h);
    w.object(|w| {
        w.field("prompt_tokens", &usage.input);
        w.field("completion_tokens", &usage.output);
        w.field("total_tokens", &usage.input.saturating_add(usage.output));
        w.name("prompt_tokens_details").object(|w| {
            w.field("cached_tokens", &usage.cached);
            w.field("audio_tokens", &usage.input_audio);
            w.field_some("cache_creation_tokens", &(written > 0).then_some(written));
        });
        w.name("completion_tokens_details").object(|w| {
            w.field("reasoning_tokens", &usage.reasoning);
            w.field("audio_tokens", &usage.output_audio);
        });
    });
}

fn write_choice(index: u32, choice: &Choice<'_>, w: &mut Writer<'_>) {
    let parts = choice.parts.as_slice();
    let called = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let text = Joined { parts, text: |part| if let Part::Text(text) = part { Some(&text.text) } else { None } };
    let refusal = Joined { parts, text: |part| if let Part::Refusal(text) = part { Some(text) } else { None } };
    let thought = Joined { parts, text: |part| if let Part::Thinking { text, .. } = part { Some(text) } else { None } };
    let refusal = (!refusal.is_empty()).then_some(refusal);
    // An answer that is only thought has an empty text, not none.
    let no_text = text.is_empty() && (called || refusal.is_some());
    w.object(|w| {
        w.field("index", &index);
        w.name("message").object(|w| {
            w.field("role", "assistant");
            w.field("content", &(!no_text).then_some(text));
            w.field("refusal", &refusal);
            w.field_some("reasoning_content", &(!thought.is_empty()).then_some(thought));
            write_thoughts(parts, w);
            if called {
                write_calls(parts, w);
            }
        });
        w.field("logprobs", &None::<bool>);
        w.field("finish_reason", finish_reason(&choice.finish, called));
        w.field("native_finish_reason", &choice.finish.native);
    });
}

fn write_thoughts(parts: &[Part<'_>], w: &mut Writer<'_>) {
    let is_thought = |part: &&Part<'_>| matches!(part, Part::Thinking { .. } | Part::RedactedThinking(_));
    if !parts.iter().any(|part| is_thought(&part)) {
        return;
    }
    w.name("reasoning_details").array(|w| {
        for (index, part) in (0_u32..).zip(parts.iter().filter(is_thought)) {
            w.object(|w| {
                match part {
                    Part::Thinking { text, signature } => {
                        w.field("type", "reasoning.text");
                        w.field("text", text);
                        w.field_some("signature", &signature.as_ref());
                    }
                    Part::RedactedThinking(data) => {
                        w.field("type", "reasoning.encrypted");
                        w.field("data", data);
                    }
                    _ => {}
                }
                w.field("index", &index);
            });
        }
    });
}

fn write_calls(parts: &[Part<'_>], w: &mut Writer<'_>) {
    w.name("tool_calls").array(|w| {
        for part in parts {
            let Part::ToolCall(call) = part else { continue };
            w.object(|w| {
                w.field("id", &call.id);
                w.field("type", "function");
                w.name("function").object(|w| {
                    w.field("name", &call.name);
                    match &call.arguments {
                        Arguments::Object(object) => w.field("arguments", &Quoted(*object)),
                        Arguments::Text(text) if text.is_blank() => w.field("arguments", "{}"),
                        Arguments::Text(text) => w.field("arguments", text),
                    }
                });
            });
        }
    });
}

/// The texts of some parts, one after the other.
struct Joined<'p, 'a> {
    parts: &'p [Part<'a>],
    text: for<'t> fn(&'t Part<'a>) -> Option<&'t Str<'a>>,
}

impl Joined<'_, '_> {
    fn is_empty(&self) -> bool {
        self.parts.iter().filter_map(self.text).all(Str::is_empty)
    }
}

impl Write for Joined<'_, '_> {
    fn write(&self, out: &mut String) {
        out.push('"');
        for text in self.parts.iter().filter_map(self.text) {
            out.push_str(text.escaped());
        }
        out.push('"');
    }
}
