//! Complete answers, and what streams have in common with them.

use super::super::pieces::length;
use super::super::structured;
use super::{citations, failure};
use crate::chat::{Answer, Arguments, Choice, Finish, FinishReason, Part, ServiceTier, ToolCall, Usage};
use crate::error::Error;
use crate::json::{Kind, Str, Value};

/// Reads a complete answer.
pub(super) fn read<'a>(body: Value<'a>) -> Result<Answer<'a>, Error> {
    if let Some(error) = failure::inside(body) {
        return Err(error);
    }
    let content = body.get("content").filter(|content| content.kind() == Kind::Array);
    let content = content.ok_or_else(|| Error::bad_answer("the provider's answer has no content"))?;
    let native =
        text(body, "stop_reason").ok_or_else(|| Error::bad_answer("the provider's answer has no stop_reason"))?;
    let (mut parts, mut said) = (Vec::new(), 0);
    for block in content.elements() {
        let Some(part) = part(block) else { continue };
        let start = said;
        if let Part::Text(text) = &part {
            said += length(&text.text);
        }
        parts.push(part);
        let citations = block.get("citations").into_iter().flat_map(Value::elements);
        parts.extend(citations.filter_map(|citation| citations::read(citation, (start, said))).map(Part::Citation));
    }
    parts.extend(refusal(body).map(Part::Refusal));
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let mut tokens = Tokens::default();
    let usage = body.get("usage");
    if let Some(usage) = usage {
        tokens.take(usage);
    }
    let mut answer = Answer {
        id: text(body, "id").unwrap_or_default(),
        choices: vec![Choice { parts, logprobs: Vec::new(), finish: finish(native, calls) }],
        usage: tokens.usage(),
        service_tier: usage.and_then(|usage| text(usage, "service_tier")),
    };
    structured::undo(&mut answer);
    Ok(answer)
}

/// Tools that Anthropic ran itself (`server_tool_use`, `mcp_tool_use` and their results) are none of the client's, and
/// kinds of blocks may be added at any time: <https://platform.claude.com/docs/en/api/versioning>.
fn part(block: Value<'_>) -> Option<Part<'_>> {
    let kind = text(block, "type")?;
    Some(match &*kind.decode() {
        "text" => Part::Text(text(block, "text")?.into()),
        "thinking" => Part::Thinking {
            text: text(block, "thinking").unwrap_or_default(),
            signature: text(block, "signature").filter(|signature| !signature.is_empty()),
        },
        "redacted_thinking" => Part::RedactedThinking(text(block, "data")?),
        "tool_use" => Part::ToolCall(ToolCall {
            id: text(block, "id")?,
            name: text(block, "name")?,
            arguments: match block.get("input").filter(|input| input.kind() == Kind::Object) {
                Some(input) => Arguments::Object(input),
                None => Arguments::Text(Str::plain("{}")),
            },
            signature: None,
        }),
        _ => return None,
    })
}

/// The text of member `name`.
pub(super) fn text<'a>(object: Value<'a>, name: &str) -> Option<Str<'a>> {
    object.get(name).and_then(Value::as_str)
}

/// Why the model was stopped, of the answer or the `delta` that has its `stop_reason`.
/// <https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons#refusal>
pub(super) fn refusal(holder: Value<'_>) -> Option<Str<'_>> {
    let details =
        holder.get("stop_details").filter(|details| text(*details, "type").is_some_and(|kind| kind == "refusal"))?;
    text(details, "explanation").filter(|said| !said.is_blank())
}

/// <https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons>. `calls`: whether tools were called.
pub(super) fn finish(native: Str<'_>, calls: bool) -> Finish<'_> {
    let reason = match &*native.decode() {
        "max_tokens" | "model_context_window_exceeded" | "pause_turn" => FinishReason::Length,
        "refusal" => FinishReason::ContentFilter,
        _ if calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    };
    Finish { reason, native }
}

/// Anthropic's counts. In a stream they come several times, each time in whole, and not each time all of them.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    uncached: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
    written_1h: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
    tier: ServiceTier,
}

impl Tokens {
    /// Takes the latest word of each.
    pub(super) fn take(&mut self, usage: Value<'_>) {
        let update =
            |count: &mut Option<u64>, path: &[&str]| *count = usage.path(path).and_then(Value::as_u64).or(*count);
        update(&mut self.uncached, &["input_tokens"]);
        update(&mut self.read, &["cache_read_input_tokens"]);
        update(&mut self.written, &["cache_creation_input_tokens"]);
        update(&mut self.written_1h, &["cache_creation", "ephemeral_1h_input_tokens"]);
        update(&mut self.output, &["output_tokens"]);
        update(&mut self.thinking, &["output_tokens_details", "thinking_tokens"]);
        if let Some(tier) = text(usage, "service_tier") {
            self.tier = ServiceTier::named(&tier.decode());
        }
    }

    /// What it took. `input_tokens` are those after the last cache breakpoint only:
    /// <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>.
    pub(super) fn usage(&self) -> Option<Usage> {
        let (uncached, output) = (self.uncached.or(self.output.map(|_| 0))?, self.output.unwrap_or(0));
        let (read, written) = (self.read.unwrap_or(0), self.written.unwrap_or(0));
        let written_1h = self.written_1h.unwrap_or(0).min(written);
        Some(Usage {
            input: uncached.saturating_add(read).saturating_add(written),
            cached: read,
            cache_write: written - written_1h,
            cache_write_1h: written_1h,
            output,
            reasoning: self.thinking.unwrap_or(0).min(output),
            tier: self.tier,
            ..Usage::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::chat::{Arguments, FinishReason, Part, Usage};
    use crate::error::{Cause, Error};
    use crate::json::Document;

    fn check(content: &str, stop_reason: &str, expected: &[&str], reason: FinishReason) {
        let body = format!(r#"{{"id":"msg_1","type":"message","content":{content},"stop_reason":"{stop_reason}"}}"#);
        let document = Document::parse(body.as_bytes()).unwrap();
        let answer = read(document.root()).unwrap();
        let [choice] = &answer.choices[..] else { panic!("{answer:?}") };
        let parts: Vec<String> = choice.parts.iter().map(show).collect();
        assert_eq!(parts, expected);
        assert!(answer.id == "msg_1");
        assert_eq!((choice.finish.reason, &*choice.finish.native.decode()), (reason, stop_reason));
    }

    fn show(part: &Part<'_>) -> String {
        match part {
            Part::Text(text) => format!("text {}", text.text.decode()),
            Part::Thinking { text, signature } => {
                format!("thinking {} {:?}", text.decode(), signature.as_ref().map(|text| text.decode().into_owned()))
            }
            Part::RedactedThinking(data) => format!("redacted {}", data.decode()),
            Part::ToolCall(call) => {
                let arguments = match &call.arguments {
                    Arguments::Object(value) => value.raw().to_owned(),
                    Arguments::Text(text) => text.decode().into_owned(),
                };
                format!("call {} {} {arguments}", call.id.decode(), call.name.decode())
            }
            other => format!("{other:?}"),
        }
    }

    fn fails(body: &str) -> Error {
        read(Document::parse(body.as_bytes()).unwrap().root()).unwrap_err()
    }

    #[test]
    fn every_block_of_the_clients_is_read() {
        use FinishReason::{ContentFilter, Length, Stop, ToolCalls};
        check(
            r#"[{"type":"text","text":"a\nb"},{"text":"c","type":"text"}]"#,
            "end_turn",
            &["text a\nb", "text c"],
            Stop,
        );
        check(
            r#"[{"type":"thinking","thinking":"t","signature":"s=="},{"type":"redacted_thinking","data":"d"},
                {"type":"thinking","thinking":"","signature":""}]"#,
            "stop_sequence",
            &["thinking t Some(\"s==\")", "redacted d", "thinking  None"],
            Stop,
        );
        check(
            r#"[{"type":"tool_use","id":"i","name":"f","input":{"a": 1}},{"type":"tool_use","id":"j","name":"g"}]"#,
            "tool_use",
            &["call i f {\"a\": 1}", "call j g {}"],
            ToolCalls,
        );
        check(
            r#"[{"type":"server_tool_use","id":"s","name":"web_search","input":{}},
                {"type":"web_search_tool_result","tool_use_id":"s","content":[]},{"type":"new"}]"#,
            "pause_turn",
            &[],
            Length,
        );
        check("[]", "refusal", &[], ContentFilter);
        check("[]", "model_context_window_exceeded", &[], Length);
        check("[]", "a_new_reason", &[], Stop);
    }

    #[test]
    fn the_cache_is_inside_the_input_once() {
        let body = br#"{"content":[],"stop_reason":"end_turn","usage":{"input_tokens":4,"cache_creation_input_tokens":30,
            "cache_read_input_tokens":200,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10},
            "output_tokens":50,"output_tokens_details":{"thinking_tokens":7},"service_tier":"standard"}}"#;
        let document = Document::parse(body).unwrap();
        let answer = read(document.root()).unwrap();
        let expected = Usage {
            input: 234,
            cached: 200,
            cache_write: 20,
            cache_write_1h: 10,
            output: 50,
            reasoning: 7,
            ..Usage::default()
        };
        assert_eq!(answer.usage, Some(expected));
        assert!(answer.service_tier.unwrap() == "standard");
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let overloaded = fails(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#);
        assert_eq!((overloaded.cause, overloaded.message.as_str()), (Cause::Overloaded, "Overloaded"));
        for body in
            ["{}", "[]", "1", r#"{"content":null,"stop_reason":"end_turn"}"#, r#"{"content":[],"stop_reason":null}"#]
        {
            assert_eq!(fails(body).cause, Cause::BadAnswer, "{body}");
        }
    }
}
