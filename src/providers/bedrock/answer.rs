//! Complete answers, and what streams have in common with them.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax>

use super::super::pieces::length;
use super::citations;
use crate::chat::{Answer, Arguments, Choice, Finish, FinishReason, Media, Part, ServiceTier, ToolCall, Usage};
use crate::error::Error;
use crate::json::{Kind, Str, Value};

/// Reads a complete answer.
pub(super) fn read<'a>(body: Value<'a>) -> Result<Answer<'a>, Error> {
    let content = body.path(&["output", "message", "content"]).filter(|content| content.kind() == Kind::Array);
    let content = content.ok_or_else(|| Error::bad_answer("the provider's answer has no content"))?;
    let native =
        text(body, "stopReason").ok_or_else(|| Error::bad_answer("the provider's answer has no stopReason"))?;
    let (mut parts, mut said) = (Vec::new(), (0, 0));
    content.elements().for_each(|block| read_block(block, &mut said, &mut parts));
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    Ok(Answer {
        id: Str::EMPTY,
        choices: vec![Choice { parts, logprobs: Vec::new(), finish: finish(native, calls)? }],
        usage: usage(body),
        service_tier: tier(body),
    })
}

/// Each block has one member, whose name says what it is. Tools that Bedrock ran itself and their results are none of the
/// client's, and there may be new kinds at any time. `said`: the characters of the last block of text.
fn read_block<'a>(block: Value<'a>, said: &mut (u64, u64), parts: &mut Vec<Part<'a>>) {
    // Text that stands on sources, or only the sources, of the text before.
    let cited = |name| block.path(&["citationsContent", name]).into_iter().flat_map(Value::elements);
    let cited_texts = cited("content").filter_map(|part| text(part, "text"));
    let texts: Vec<Str<'a>> =
        text(block, "text").into_iter().chain(cited_texts).filter(|text| !text.is_empty()).collect();
    if !texts.is_empty() {
        *said = (said.1, said.1 + texts.iter().map(length).sum::<u64>());
    }
    parts.extend(texts.into_iter().map(|text| Part::Text(text.into())));
    parts.extend(cited("citations").filter_map(|citation| citations::read(citation, *said)).map(Part::Citation));
    if let Some(image) = block.get("image") {
        let format = text(image, "format").unwrap_or(Str::plain("png"));
        let data = image.path(&["source", "bytes"]).and_then(Value::as_str);
        parts.extend(data.map(|data| Part::image(picture(&format, data))));
    }
    if let Some(thought) = block.get("reasoningContent") {
        if let Some(said) = thought.get("reasoningText") {
            let signature = text(said, "signature").filter(|signature| !signature.is_empty());
            parts.push(Part::Thinking { text: text(said, "text").unwrap_or_default(), signature });
        }
        parts.extend(text(thought, "redactedContent").map(Part::RedactedThinking));
    }
    if let Some(call) = block.get("toolUse").filter(|call| !is_servers(*call)) {
        let (Some(id), Some(name)) = (text(call, "toolUseId"), text(call, "name")) else { return };
        let input = call.get("input");
        let arguments = match input.filter(|input| input.kind() == Kind::Object) {
            Some(input) => Arguments::Object(input),
            // Any JSON may stand there.
            None => Arguments::Text(input.and_then(Value::as_str).unwrap_or(Str::plain("{}"))),
        };
        parts.push(Part::ToolCall(ToolCall { id, name, arguments, signature: None }));
    }
}

/// An image that the model made.
pub(super) fn picture<'a>(format: &Str<'_>, data: Str<'a>) -> Media<'a> {
    Media::Base64 { media_type: Str::plain(&format!("image/{}", format.decode())).into_owned(), data }
}

/// Whether Bedrock runs the tool itself.
pub(super) fn is_servers(call: Value<'_>) -> bool {
    text(call, "type").is_some_and(|kind| kind == "server_tool_use")
}

/// The text of member `name`.
pub(super) fn text<'a>(object: Value<'a>, name: &str) -> Option<Str<'a>> {
    object.get(name).and_then(Value::as_str)
}

/// How it was scheduled and charged: `serviceTier: {"type"}`.
pub(super) fn tier<'a>(holder: Value<'a>) -> Option<Str<'a>> {
    text(holder.get("serviceTier")?, "type")
}

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_MessageStopEvent.html>. `calls`: whether tools were
/// called.
///
/// # Errors
/// What the model said cannot be used.
pub(super) fn finish(native: Str<'_>, calls: bool) -> Result<Finish<'_>, Error> {
    let reason = match &*native.decode() {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "guardrail_intervened" | "content_filtered" => FinishReason::ContentFilter,
        malformed @ ("malformed_model_output" | "malformed_tool_use") => {
            return Err(Error::bad_answer(format!("the provider gave up on the model's answer: {malformed}")));
        }
        _ if calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    };
    Ok(Finish { reason, native })
}

/// What it took. `inputTokens` are those that were neither read from the cache nor written to it: recordings have
/// `totalTokens` as the sum of all four. The tier stands beside it.
pub(super) fn usage(holder: Value<'_>) -> Option<Usage> {
    let usage = holder.get("usage")?;
    let count = |name: &str| usage.get(name).and_then(Value::as_u64);
    let (uncached, output) = (count("inputTokens")?, count("outputTokens").unwrap_or(0));
    // Some models' counts come under older names, too.
    let cache = |name: &str, older: &str| count(name).or_else(|| count(older)).unwrap_or(0);
    let read = cache("cacheReadInputTokens", "cacheReadInputTokenCount");
    let written = cache("cacheWriteInputTokens", "cacheWriteInputTokenCount");
    let details = usage.get("cacheDetails").into_iter().flat_map(Value::elements);
    let hour = details.filter(|detail| text(*detail, "ttl").is_some_and(|ttl| ttl == "1h"));
    let hour: u64 = hour.filter_map(|detail| detail.get("inputTokens")?.as_u64()).fold(0, u64::saturating_add);
    let hour = hour.min(written);
    Some(Usage {
        input: uncached.saturating_add(read).saturating_add(written),
        cached: read,
        cache_write: written - hour,
        cache_write_1h: hour,
        output,
        tier: tier(holder).map(|tier| ServiceTier::named(&tier.decode())).unwrap_or_default(),
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::chat::{Arguments, FinishReason, Part, ServiceTier, Usage};
    use crate::error::Cause;
    use crate::json::Document;

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

    #[test]
    fn every_block_of_the_clients_is_read() {
        use FinishReason::{ContentFilter, Length, Stop, ToolCalls};
        for (content, stop_reason, expected, reason) in [
            (r#"[{"text":"a\nb"},{"text":""},{"text":"c"}]"#, "end_turn", vec!["text a\nb", "text c"], Stop),
            (
                r#"[{"reasoningContent":{"reasoningText":{"text":"t","signature":"s=="}}},
                    {"reasoningContent":{"redactedContent":"ZA=="}},{"reasoningContent":{"reasoningText":{"text":"u"}}}]"#,
                "stop_sequence",
                vec!["thinking t Some(\"s==\")", "redacted ZA==", "thinking u None"],
                Stop,
            ),
            (
                r#"[{"toolUse":{"toolUseId":"i","name":"f","input":{"a": 1},"type":"tool_use"}},
                    {"toolUse":{"toolUseId":"j","name":"g"}}]"#,
                "tool_use",
                vec!["call i f {\"a\": 1}", "call j g {}"],
                ToolCalls,
            ),
            (
                r#"[{"toolUse":{"toolUseId":"s","name":"nova_grounding","input":{},"type":"server_tool_use"}},
                    {"toolResult":{"toolUseId":"s","content":[{"text":"[HIDDEN]"}]}},
                    {"citationsContent":{"content":[{"text":"x"}],"citations":[]}},{"citationsContent":{}},{"new":{}}]"#,
                "end_turn",
                vec!["text x"],
                Stop,
            ),
            ("[]", "guardrail_intervened", vec![], ContentFilter),
            ("[]", "content_filtered", vec![], ContentFilter),
            ("[]", "max_tokens", vec![], Length),
            ("[]", "model_context_window_exceeded", vec![], Length),
            ("[]", "a_new_reason", vec![], Stop),
        ] {
            let body = format!(
                r#"{{"output":{{"message":{{"role":"assistant","content":{content}}}}},"stopReason":"{stop_reason}"}}"#
            );
            let document = Document::parse(body.as_bytes()).unwrap();
            let answer = read(document.root()).unwrap();
            let [choice] = &answer.choices[..] else { panic!("{answer:?}") };
            assert_eq!(choice.parts.iter().map(show).collect::<Vec<_>>(), expected);
            assert_eq!((choice.finish.reason, &*choice.finish.native.decode()), (reason, stop_reason));
        }
    }

    #[test]
    fn the_cache_is_inside_the_input_once() {
        let body = br#"{"output":{"message":{"content":[]}},"stopReason":"end_turn","serviceTier":{"type":"flex"},
            "usage":{"inputTokens":4,"outputTokens":50,"totalTokens":284,"cacheReadInputTokens":200,
            "cacheWriteInputTokens":30,"cacheDetails":[{"ttl":"1h","inputTokens":10},{"ttl":"5m","inputTokens":20}]}}"#;
        let document = Document::parse(body).unwrap();
        let answer = read(document.root()).unwrap();
        let expected = Usage { input: 234, cached: 200, cache_write: 20, cache_write_1h: 10, ..Usage::default() };
        assert_eq!(answer.usage, Some(Usage { output: 50, tier: ServiceTier::Flex, ..expected }));
        assert!(answer.service_tier.unwrap() == "flex");
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for body in [
            "{}",
            "[]",
            r#"{"message":"m"}"#,
            r#"{"output":{"message":{"content":null}},"stopReason":"end_turn"}"#,
            r#"{"output":{"message":{"content":[]}}}"#,
            r#"{"output":{"message":{"content":[]}},"stopReason":"malformed_tool_use"}"#,
            r#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#,
        ] {
            let document = Document::parse(body.as_bytes()).unwrap();
            assert_eq!(read(document.root()).unwrap_err().cause, Cause::BadAnswer, "{body}");
        }
    }
}
