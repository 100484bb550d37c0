//! Writing a complete answer.

use super::{citations, logprobs, produced};
use crate::answered::Finishes;
use crate::chat::{Answer, Arguments, Choice, Finish, FinishReason, Part, Usage};
use crate::clients::Envelope;
use crate::dialect::signed_id;
use crate::json::{Quoted, Str, Write, Writer};
use crate::price::pico_usd;

/// Appends the `chat.completion` object for `answer` to `out`.
pub fn answer(answer: &Answer<'_>, envelope: &Envelope<'_>, out: &mut String) {
    Writer::new(out).object(|w| {
        match answer.id.is_empty() {
            true => w.field("id", envelope.id),
            false => w.field("id", &answer.id),
        }
        w.field("object", "chat.completion");
        w.field("created", &envelope.created);
        w.field("model", envelope.model);
        w.name("choices").array(|w| {
            for (index, choice) in (0_u32..).zip(&answer.choices) {
                write_choice(index, choice, answer, envelope, w);
            }
        });
        if let Some(usage) = &answer.usage {
            write_usage(usage, None, w.name("usage"));
        }
        w.field_some("service_tier", &answer.service_tier.as_ref());
    });
}

/// Why the choices of `answer` ended, as the client is told.
pub fn finishes(answer: &Answer<'_>) -> Finishes {
    answer.choices.iter().map(|choice| finish_reason(&choice.finish, called(&choice.parts))).collect()
}

/// Whether there is a tool call among them.
fn called(parts: &[Part<'_>]) -> bool {
    parts.iter().any(|part| matches!(part, Part::ToolCall(_)))
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
pub(super) fn write_usage(usage: &Usage, cost: Option<u64>, w: &mut Writer<'_>) {
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
        if let Some(cost) = cost {
            w.field("cost", &Usd(cost));
        }
    });
}

/// A number of USD.
struct Usd(u64);

impl Write for Usd {
    fn write(&self, out: &mut String) {
        out.push_str(pico_usd(self.0).as_str());
    }
}

fn write_choice(index: u32, choice: &Choice<'_>, answer: &Answer<'_>, envelope: &Envelope<'_>, w: &mut Writer<'_>) {
    let parts = choice.parts.as_slice();
    let called = called(parts);
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
            write_thoughts(parts, envelope.thoughts, w);
            citations::write(
                parts.iter().filter_map(|part| if let Part::Citation(citation) = part { Some(citation) } else { None }),
                w,
            );
            let mut images = parts
                .iter()
                .filter_map(|part| if let Part::Image { media, .. } = part { Some(media) } else { None })
                .peekable();
            if images.peek().is_some() {
                produced::images(images, 0, w);
            }
            // There is room for one.
            if let Some(Part::Audio(sound)) = parts.iter().find(|part| matches!(part, Part::Audio(_))) {
                let id = if answer.id.is_empty() { Str::plain(envelope.id) } else { answer.id.borrow() };
                produced::audio(sound, &id, envelope.created, w);
            }
            if called {
                write_calls(parts, w);
            }
        });
        logprobs::write(&choice.logprobs, w);
        w.field("finish_reason", finish_reason(&choice.finish, called));
        w.field("native_finish_reason", &choice.finish.native);
    });
}

fn write_thoughts(parts: &[Part<'_>], thoughts: &str, w: &mut Writer<'_>) {
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
                w.field_some("format", &(!thoughts.is_empty()).then_some(thoughts));
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
                signed_id::write(w, &call.id, call.signature.as_ref());
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

#[cfg(test)]
mod tests {
    use super::answer;
    use crate::chat::{Answer, Arguments, Choice, Finish, FinishReason, Part, ToolCall, Usage};
    use crate::clients::Envelope;
    use crate::json::{Document, Str};

    fn text(text: &str) -> Part<'_> {
        Part::Text(Str::plain(text).into())
    }

    fn call<'a>(id: &'a str, arguments: Arguments<'a>) -> Part<'a> {
        Part::ToolCall(ToolCall { id: Str::plain(id), name: Str::plain("f"), arguments, signature: None })
    }

    fn check(parts: Vec<Part<'_>>, reason: FinishReason, message: &str, finish: &str) {
        let finish = format!(r#""logprobs":null,"finish_reason":"{finish}","native_finish_reason":"end_turn""#);
        let finish_word = Finish { reason, native: Str::plain("end_turn") };
        let choice = Choice { parts, logprobs: Vec::new(), finish: finish_word };
        let said = Answer { id: Str::plain("a1"), choices: vec![choice], ..Answer::default() };
        let mut out = String::from("x");
        answer(&said, &Envelope { id: "", model: "m\"", created: 7, include_usage: false, thoughts: "" }, &mut out);
        let head = r#"x{"id":"a1","object":"chat.completion","created":7,"model":"m\"","choices":[{"index":0"#;
        assert_eq!(out, format!(r#"{head},"message":{{"role":"assistant",{message}}},{finish}}}]}}"#));
    }

    #[test]
    fn an_answer_without_an_id_gets_one() {
        let envelope = Envelope { id: "chatcmpl-r1", model: "m", created: 7, include_usage: false, thoughts: "" };
        let mut out = String::new();
        answer(&Answer::default(), &envelope, &mut out);
        assert!(out.starts_with(r#"{"id":"chatcmpl-r1","object""#), "{out}");
        let mut encoder = crate::clients::openai::StreamEncoder::new(&envelope);
        let mut out = String::new();
        encoder.push(0, crate::chat::Delta::Start(Str::EMPTY), &mut out);
        encoder.push(0, crate::chat::Delta::Text(Str::plain("a")), &mut out);
        assert!(out.starts_with(r#"data: {"id":"chatcmpl-r1","object""#), "{out}");
    }

    #[test]
    fn answers_are_written() {
        use FinishReason::{ContentFilter, Length, Stop, ToolCalls};
        check(vec![text("a\n"), text("b")], Stop, r#""content":"a\nb","refusal":null"#, "stop");
        check(vec![text("a")], ToolCalls, r#""content":"a","refusal":null"#, "stop");
        check(vec![], Length, r#""content":"","refusal":null"#, "length");
        let refusal = Part::Refusal(Str::plain("no"));
        check(vec![refusal], ContentFilter, r#""content":null,"refusal":"no""#, "content_filter");

        let document = Document::parse(br#"{ "a" : "b c" }"#).unwrap();
        let calls = || {
            let object = Arguments::Object(document.root());
            vec![
                call("1", object),
                call("2", Arguments::Text(Str::EMPTY)),
                call("3", Arguments::Text(Str::plain("{ }"))),
            ]
        };
        let written = |id: u32, arguments: &str| {
            format!(r#"{{"id":"{id}","type":"function","function":{{"name":"f","arguments":"{arguments}"}}}}"#)
        };
        let written = [written(1, r#"{\"a\":\"b c\"}"#), written(2, "{}"), written(3, "{ }")].join(",");
        let message = format!(r#""content":null,"refusal":null,"tool_calls":[{written}]"#);
        check(calls(), Stop, &message, "tool_calls");
        check(calls(), ToolCalls, &message, "tool_calls");
        check(calls(), Length, &message, "length");

        let thoughts = vec![
            Part::Thinking { text: Str::plain("t"), signature: Some(Str::plain("s/+=")) },
            Part::RedactedThinking(Str::plain("d")),
            Part::Thinking { text: Str::plain("u"), signature: None },
            text("a"),
        ];
        let details = r#"[{"type":"reasoning.text","text":"t","signature":"s/+=","index":0},{"type":"reasoning.encrypted","data":"d","index":1},{"type":"reasoning.text","text":"u","index":2}]"#;
        let message = format!(r#""content":"a","refusal":null,"reasoning_content":"tu","reasoning_details":{details}"#);
        check(thoughts, Stop, &message, "stop");
    }

    #[test]
    fn usage_is_told_in_openais_terms() {
        let usage = Usage {
            input: 100,
            cached: 50,
            cache_write: 20,
            cache_write_1h: 10,
            input_audio: 1,
            output: 30,
            reasoning: 25,
            output_audio: 2,
            ..Usage::default()
        };
        let tier = Some(Str::plain("standard"));
        let said = Answer { usage: Some(usage), service_tier: tier, ..Answer::default() };
        let mut out = String::new();
        answer(&said, &Envelope { id: "", model: "m", created: 7, include_usage: false, thoughts: "" }, &mut out);
        let expected = r#""usage":{"prompt_tokens":100,"completion_tokens":30,"total_tokens":130,"prompt_tokens_details":{"cached_tokens":50,"audio_tokens":1,"cache_creation_tokens":30},"completion_tokens_details":{"reasoning_tokens":25,"audio_tokens":2}},"service_tier":"standard"}"#;
        assert_eq!(out.split_once("[],").unwrap().1, expected);
    }
}
