//! Complete answers, and what streams have in common with them: each line of a stream is an answer of the same shape.
//!
//! <https://docs.ollama.com/api/chat>

use super::super::classify;
use crate::chat::{Answer, Arguments, Choice, Finish, FinishReason, Logprob, Part, ToolCall, Usage};
use crate::error::{Cause, Error};
use crate::json::{Kind, Str, Value};

/// Reads a complete answer.
pub(super) fn read<'a>(body: Value<'a>) -> Result<Answer<'a>, Error> {
    if let Some(error) = inside(body) {
        return Err(error);
    }
    let message = body.get("message").filter(|message| message.kind() == Kind::Object);
    let message = message.ok_or_else(|| Error::bad_answer("the provider's answer has no message"))?;
    if !is_done(body) {
        return Err(Error::bad_answer("the provider's answer is not done"));
    }
    let stamp = stamp(body);
    let mut parts = Vec::new();
    parts.extend(text(message, "thinking").map(|text| Part::Thinking { text, signature: None }));
    parts.extend(text(message, "content").map(|text| Part::Text(text.into())));
    let calls = calls(message).enumerate().filter_map(|(index, call)| {
        let (id, name) = named(call, &stamp, index)?;
        Some(Part::ToolCall(ToolCall { id, name, arguments: arguments(call), signature: None }))
    });
    parts.extend(calls);
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let finish = finish(body, calls, !parts.is_empty())?;
    let choice = Choice { parts, logprobs: logprobs(body), finish };
    Ok(Answer { id: id(&stamp), choices: vec![choice], usage: usage(body), service_tier: None })
}

/// How probable the tokens were, in OpenAI's words: <https://docs.ollama.com/api/chat#response-logprobs>
pub(super) fn logprobs(body: Value<'_>) -> Vec<Logprob<'_>> {
    fn read(token: Value<'_>) -> Option<Logprob<'_>> {
        let bytes = token.get("bytes").filter(|bytes| bytes.kind() == Kind::Array);
        Some(Logprob {
            token: token.get("token").and_then(Value::as_str)?,
            logprob: token.get("logprob").and_then(Value::as_number)?,
            bytes: bytes.map(Value::raw),
            top: Vec::new(),
        })
    }
    let tokens = body.get("logprobs").into_iter().flat_map(Value::elements);
    let tokens = tokens.filter_map(|token| {
        let top = token.get("top_logprobs").into_iter().flat_map(Value::elements).filter_map(read);
        Some(Logprob { top: top.collect(), ..read(token)? })
    });
    tokens.collect()
}

/// What an answer with an error `status` means: `{"error": "..."}`.
pub(super) fn failure(status: u16, body: Option<Value<'_>>) -> Error {
    let error = classify::error(status, body);
    // Its own words, which nobody else has.
    if error.message.contains("exceeds the context length") {
        return Error { cause: Cause::ContextWindow, ..error };
    }
    error
}

/// The error that an answer with status 200, or a line of a stream, is in truth.
pub(super) fn inside(body: Value<'_>) -> Option<Error> {
    body.get("error").filter(|error| !error.is_null()).map(|_| failure(200, Some(body)))
}

pub(super) fn is_done(body: Value<'_>) -> bool {
    body.get("done").and_then(Value::as_bool) == Some(true)
}

/// The text of member `name`, if there is any.
pub(super) fn text<'a>(object: Value<'a>, name: &str) -> Option<Str<'a>> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The calls of tools in a message.
pub(super) fn calls(message: Value<'_>) -> impl Iterator<Item = Value<'_>> {
    message.get("tool_calls").into_iter().flat_map(Value::elements)
}

/// Letters and digits of `created_at`, which is all that tells one answer from another.
pub(super) fn stamp(body: Value<'_>) -> String {
    let created = text(body, "created_at").unwrap_or_default();
    created.decode().chars().filter(char::is_ascii_alphanumeric).take(28).collect()
}

/// An id for the answer.
pub(super) fn id(stamp: &str) -> Str<'static> {
    Str::plain(&format!("chatcmpl-{stamp}")).into_owned()
}

/// Id and name of call number `index`. Older servers give no ids, and clients need them: made of the time and the
/// number of the call, they are the same whenever they are read, and others in the next turn.
pub(super) fn named<'a>(call: Value<'a>, stamp: &str, index: usize) -> Option<(Str<'a>, Str<'a>)> {
    let is_plain =
        |id: &Str<'_>| id.escaped().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let name = text(call.get("function")?, "name")?;
    let id = text(call, "id").filter(is_plain);
    Some((id.unwrap_or_else(|| Str::plain(&format!("call_{stamp}_{index}")).into_owned()), name))
}

/// What a tool is called with: an object, or nothing for `{}`.
pub(super) fn arguments(call: Value<'_>) -> Arguments<'_> {
    match call.path(&["function", "arguments"]) {
        Some(arguments) if arguments.kind() == Kind::Object => Arguments::Object(arguments),
        arguments => Arguments::Text(arguments.and_then(Value::as_str).unwrap_or(Str::plain("{}"))),
    }
}

/// Why it ended. `calls`: whether tools were called; `said`: whether there was anything at all.
///
/// # Errors
/// It was no answer: the server has only loaded the model, or thrown it out.
pub(super) fn finish<'a>(body: Value<'a>, calls: bool, said: bool) -> Result<Finish<'a>, Error> {
    // Older servers give no reason.
    let native = text(body, "done_reason").unwrap_or(Str::plain("stop"));
    let reason = match &*native.decode() {
        "load" | "unload" if !said => return Err(Error::bad_answer("the provider has said nothing")),
        "length" => FinishReason::Length,
        _ if calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    };
    Ok(Finish { reason, native })
}

/// What it took. A count is absent where it is 0, as that of a prompt that was all in the cache.
pub(super) fn usage(body: Value<'_>) -> Option<Usage> {
    let count = |name| body.get(name).and_then(Value::as_u64);
    let (input, output) = (count("prompt_eval_count"), count("eval_count"));
    input.or(output)?;
    Some(Usage { input: input.unwrap_or(0), output: output.unwrap_or(0), ..Usage::default() })
}

#[cfg(test)]
mod tests {
    use super::{failure, read};
    use crate::chat::{Arguments, FinishReason, Part, Usage};
    use crate::error::{Cause, Error};
    use crate::json::Document;

    fn check(message: &str, rest: &str, expected: &[&str], reason: FinishReason, usage: Option<(u64, u64)>) {
        let body = format!(r#"{{"created_at":"2026-08-07T06:08:09.33Z","message":{message},"done":true{rest}}}"#);
        let document = Document::parse(body.as_bytes()).unwrap();
        let answer = read(document.root()).unwrap();
        let [choice] = &answer.choices[..] else { panic!("{answer:?}") };
        let parts: Vec<String> = choice.parts.iter().map(show).collect();
        assert_eq!(parts, expected);
        assert!(answer.id == "chatcmpl-20260807T06080933Z");
        assert_eq!(choice.finish.reason, reason);
        assert_eq!(answer.usage, usage.map(|(input, output)| Usage { input, output, ..Usage::default() }));
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
        use FinishReason::{Length, Stop, ToolCalls};
        check(
            r#"{"role":"assistant","content":"a\nb","thinking":"t"}"#,
            r#","done_reason":"stop","prompt_eval_count":3,"eval_count":4"#,
            &["thinking t", "text a\nb"],
            Stop,
            Some((3, 4)),
        );
        check(r#"{"content":"a"}"#, r#","done_reason":"length","eval_count":4"#, &["text a"], Length, Some((0, 4)));
        check(r#"{"content":"a"}"#, r#","done_reason":"load","prompt_eval_count":4"#, &["text a"], Stop, Some((4, 0)));
        check(
            r#"{"content":"","tool_calls":[{"function":{"name":"f","arguments":{"a": 1}}},{"function":{"name":"g"}},
                {"id":"call_x","function":{"index":2,"name":"h","arguments":"{}"}},{"id":"a b","function":{"name":"i"}}]}"#,
            "",
            &[
                "call call_20260807T06080933Z_0 f {\"a\": 1}",
                "call call_20260807T06080933Z_1 g {}",
                "call call_x h {}",
                "call call_20260807T06080933Z_3 i {}",
            ],
            ToolCalls,
            None,
        );
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for body in [
            "{}",
            "[]",
            "1",
            r#"{"message":{"content":"a"},"done":false}"#,
            r#"{"message":{"content":""},"done":true,"done_reason":"load"}"#,
            r#"{"message":null,"done":true}"#,
        ] {
            assert_eq!(fails(body).cause, Cause::BadAnswer, "{body}");
        }
        let error = fails(r#"{"error":"model runner has unexpectedly stopped"}"#);
        assert_eq!(
            (error.cause, error.message.as_str()),
            (Cause::ServerError, "model runner has unexpectedly stopped")
        );
    }

    #[test]
    fn errors_are_known_by_status_and_words() {
        for (status, message, cause) in [
            (400, "llama3.2 does not support thinking", Cause::BadRequest),
            (400, "the input length exceeds the context length", Cause::ContextWindow),
            (401, "unauthorized", Cause::Authentication),
            (404, "model 'x' not found", Cause::TargetNotFound),
            (429, "you've reached your hourly usage limit", Cause::RateLimited),
            (500, "model requires more system memory (8 GiB) than is available (2 GiB)", Cause::ServerError),
            (503, "server busy, please try again.  maximum pending requests exceeded", Cause::Overloaded),
        ] {
            let body = format!(r#"{{"error":"{message}"}}"#);
            let document = Document::parse(body.as_bytes()).unwrap();
            let error = failure(status, Some(document.root()));
            assert_eq!((error.cause, error.message.as_str()), (cause, message));
        }
    }
}
