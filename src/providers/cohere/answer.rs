//! Complete answers, and what streams have in common with them.
//!
//! What the model writes before it calls tools, `tool_plan`, is a thought: "A chain-of-thought style reflection and plan that
//! the model generates when working with Tools." As text, clients would show it as the answer.

use super::super::pieces::length;
use super::{citations, failure};
use crate::chat::{Answer, Arguments, Choice, Finish, FinishReason, Part, ToolCall, Usage};
use crate::error::Error;
use crate::json::{Document, Kind, Str, Value};

/// Reads a complete answer.
pub(super) fn read<'a>(body: Value<'a>) -> Result<Answer<'a>, Error> {
    let native = text(body, "finish_reason");
    if let Some(error) = native.as_ref().and_then(|native| failure::of_finish(&native.decode(), body)) {
        return Err(error);
    }
    if let Some(error) = failure::inside(body) {
        return Err(error);
    }
    let message = body.get("message").filter(|message| message.kind() == Kind::Object);
    let message = message.ok_or_else(|| Error::bad_answer("the provider's answer has no message"))?;
    let native = native.ok_or_else(|| Error::bad_answer("the provider's answer has no finish_reason"))?;
    let mut parts = Vec::new();
    let thought = |text| Part::Thinking { text, signature: None };
    parts.extend(text(message, "tool_plan").map(thought));
    // The characters before each block.
    let (mut starts, mut said) = (Vec::new(), 0);
    for block in message.get("content").into_iter().flat_map(Value::elements) {
        starts.push(said);
        parts.extend(text(block, "thinking").map(thought));
        if let Some(text) = text(block, "text") {
            said += length(&text);
            parts.push(Part::Text(text.into()));
        }
    }
    parts.extend(
        message
            .get("content")
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .map(|text| Part::Text(text.into())),
    );
    for citation in message.get("citations").into_iter().flat_map(Value::elements) {
        let block = citation.get("content_index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
        let before = block.and_then(|block| starts.get(block)).copied().unwrap_or(0);
        parts.extend(citations::read(citation, before).map(Part::Citation));
    }
    let calls = message.get("tool_calls").into_iter().flat_map(Value::elements);
    // What ran out of tokens is cut in the midst of its last call, and the client is told so.
    let is_whole = !matches!(&*native.decode(), "MAX_TOKENS" | "ERROR_LIMIT");
    for call in calls.filter_map(call) {
        if is_whole && is_malformed(&call.arguments) {
            return Err(Error::bad_answer("the model has called a tool with arguments that are not JSON"));
        }
        parts.push(Part::ToolCall(call));
    }
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    Ok(Answer {
        id: text(body, "id").unwrap_or_default(),
        choices: vec![Choice { parts, logprobs: citations::logprobs(body), finish: finish(native, calls) }],
        usage: body.get("usage").and_then(usage),
        service_tier: None,
    })
}

fn call(call: Value<'_>) -> Option<ToolCall<'_>> {
    let function = call.get("function")?;
    let arguments = match function.get("arguments").filter(|arguments| arguments.kind() == Kind::Object) {
        Some(arguments) => Arguments::Object(arguments),
        None => Arguments::Text(text(function, "arguments").unwrap_or(Str::plain("{}"))),
    };
    Some(ToolCall { id: text(call, "id")?, name: text(function, "name")?, arguments, signature: None })
}

fn is_malformed(arguments: &Arguments<'_>) -> bool {
    match arguments {
        Arguments::Object(_) => false,
        Arguments::Text(text) => !text.is_blank() && Document::parse(text.decode().as_bytes()).is_err(),
    }
}

/// The text of member `name`, if there is any.
pub(super) fn text<'a>(object: Value<'a>, name: &str) -> Option<Str<'a>> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Why it ended, if it is not an error: <https://docs.cohere.com/reference/chat#response.body.finish_reason>. Older models
/// also end with `ERROR_LIMIT`, where the context is full, and with `ERROR_TOXIC`. `calls`: whether tools were called.
pub(super) fn finish(native: Str<'_>, calls: bool) -> Finish<'_> {
    let reason = match &*native.decode() {
        "MAX_TOKENS" | "ERROR_LIMIT" => FinishReason::Length,
        "ERROR_TOXIC" => FinishReason::ContentFilter,
        _ if calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    };
    Finish { reason, native }
}

/// What it took: `tokens`, which the model read and wrote, as limits, context windows and other providers' counts have it.
/// `billed_units` leaves out what Cohere itself puts into the prompt, and stands in where there are no `tokens`.
pub(super) fn usage(usage: Value<'_>) -> Option<Usage> {
    let count = |path: &[&str]| usage.path(path).and_then(Value::as_u64);
    let of = |name: &str| count(&["tokens", name]).or_else(|| count(&["billed_units", name]));
    let (input, output) = (of("input_tokens"), of("output_tokens"));
    input.or(output)?;
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    Some(Usage {
        input,
        cached: count(&["cached_tokens"]).unwrap_or(0).min(input),
        output,
        reasoning: count(&["tokens", "reasoning_tokens"]).unwrap_or(0).min(output),
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::chat::{Arguments, FinishReason, Part, Usage};
    use crate::error::{Cause, Error};
    use crate::json::Document;

    fn check(message: &str, native: &str, expected: &[&str], reason: FinishReason) {
        let body = format!(r#"{{"id":"i","message":{message},"finish_reason":"{native}"}}"#);
        let document = Document::parse(body.as_bytes()).unwrap();
        let answer = read(document.root()).unwrap();
        let [choice] = &answer.choices[..] else { panic!("{answer:?}") };
        let parts: Vec<String> = choice.parts.iter().map(show).collect();
        assert_eq!(parts, expected);
        assert!(answer.id == "i");
        assert_eq!((choice.finish.reason, &*choice.finish.native.decode()), (reason, native));
    }

    fn show(part: &Part<'_>) -> String {
        match part {
            Part::Text(text) => format!("text {}", text.text.decode()),
            Part::Thinking { text, signature: None } => format!("thinking {}", text.decode()),
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
    fn everything_is_read() {
        use FinishReason::{ContentFilter, Length, Stop, ToolCalls};
        check(
            r#"{"content":[{"type":"thinking","thinking":"t"},{"type":"text","text":"a\nb"},{"type":"text","text":""}]}"#,
            "COMPLETE",
            &["thinking t", "text a\nb"],
            Stop,
        );
        check(
            r#"{"tool_plan":"p","tool_calls":[{"id":"i","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},
                {"id":"j","function":{"name":"g"}},{"id":"k","function":{"name":"h","arguments":{"b": 2}}}]}"#,
            "TOOL_CALL",
            &["thinking p", "call i f {\"a\":1}", "call j g {}", "call k h {\"b\": 2}"],
            ToolCalls,
        );
        let cut = r#"{"tool_calls":[{"id":"i","function":{"name":"f","arguments":"{\"a\":"}}]}"#;
        check(cut, "MAX_TOKENS", &["call i f {\"a\":"], Length);
        check(r#"{"content":[]}"#, "STOP_SEQUENCE", &[], Stop);
        check(r#"{"content":[{"type":"new"}]}"#, "MAX_TOKENS", &[], Length);
        check("{}", "ERROR_LIMIT", &[], Length);
        check("{}", "ERROR_TOXIC", &[], ContentFilter);
        check("{}", "A_NEW_REASON", &[], Stop);
    }

    #[test]
    fn the_cache_is_inside_the_input() {
        let tokens = Usage { input: 510, cached: 144, output: 99, reasoning: 29, ..Usage::default() };
        let billed = Usage { input: 67, output: 66, ..Usage::default() };
        for (usage, expected) in [
            (
                r#"{"billed_units":{"input_tokens":67,"output_tokens":66},"tokens":{"input_tokens":510.0,"output_tokens":99,
                    "reasoning_tokens":29},"cached_tokens":144}"#,
                Some(tokens),
            ),
            (r#"{"billed_units":{"input_tokens":67,"output_tokens":66}}"#, Some(billed)),
            ("{}", None),
        ] {
            let body = format!(r#"{{"message":{{}},"finish_reason":"COMPLETE","usage":{usage}}}"#);
            let document = Document::parse(body.as_bytes()).unwrap();
            assert_eq!(read(document.root()).unwrap().usage, expected);
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for (body, cause) in [
            ("{}", Cause::BadAnswer),
            ("[]", Cause::BadAnswer),
            ("1", Cause::BadAnswer),
            (r#"{"message":{}}"#, Cause::BadAnswer),
            (r#"{"message":{},"finish_reason":"ERROR"}"#, Cause::ServerError),
            (r#"{"message":{},"finish_reason":"TIMEOUT"}"#, Cause::Timeout),
            (r#"{"id":"i","message":"no capacity"}"#, Cause::ServerError),
            (
                r#"{"message":{"tool_calls":[{"id":"i","function":{"name":"f","arguments":"{\"a\":"}}]},"finish_reason":"TOOL_CALL"}"#,
                Cause::BadAnswer,
            ),
        ] {
            assert_eq!(fails(body).cause, cause, "{body}");
        }
    }
}
