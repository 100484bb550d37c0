//! A complete answer: the model's name is put back, the usage read.

use super::mend::{is_broken, mend_choice};
use super::patch::Patches;
use super::request::literal;
use super::stream::is_error;
use super::usage::usage_of;
use crate::answered::Answered;
use crate::chat::Usage;
use crate::dialect::vector::{Base64, is_vector};
use crate::embedding::Encoding;
use crate::error::Error;
use crate::json::{Document, Kind, Value, Write};

/// Appends the provider's answer `body` to `out` as the client is to get it: from `model`.
///
/// # Errors
/// It is none: nonsense, or an error that the provider put into a 200, which `classify` was shown.
pub fn answer(
    body: &[u8],
    model: &str,
    classify: impl FnOnce(Value<'_>) -> Error,
    out: &mut String,
) -> Result<Answered, Error> {
    let document = Document::parse(body)
        .map_err(|invalid| Error::bad_answer(format!("the provider's answer is not JSON: {invalid}")))?;
    let root = document.root();
    if is_error(root) {
        return Err(classify(root));
    }
    let choices = || root.get("choices").into_iter().flat_map(Value::elements);
    if choices().next().is_none() {
        return Err(Error::bad_answer("the provider's answer has no choices"));
    }
    if let Some(broken) = choices().find(|choice| is_broken(*choice)) {
        return Err(classify(broken));
    }
    let mut patches = Patches::default();
    if let Some(name) = root.get("model").filter(|name| name.kind() == Kind::String) {
        patches.replace(name.start()..name.end(), literal(model));
    }
    let id = root.get("id").and_then(Value::as_str).unwrap_or_default();
    let finishes = choices().filter_map(|choice| mend_choice(choice, id.escaped(), &mut patches)).collect();
    patches.apply(document.text(), out);
    Ok(Answered { usage: usage_of(root), finishes })
}

/// The same for an answer that is a list of something else than choices, in the member `result`.
///
/// # Errors
/// As [`answer`].
pub fn list(
    body: &[u8],
    result: &str,
    model: &str,
    classify: impl FnOnce(Value<'_>) -> Error,
    out: &mut String,
) -> Result<Option<Usage>, Error> {
    mended_list(body, result, model, classify, |_, _| (), out)
}

/// The same for embeddings, wanted in this `encoding`. Not every server has heard of base64, and official clients that asked
/// for it take what comes for it: numbers become base64 then. Base64 that comes for numbers stays, since what is in it differs
/// by vendor.
///
/// # Errors
/// As [`answer`].
pub fn embeddings(
    body: &[u8],
    encoding: Encoding,
    model: &str,
    classify: impl FnOnce(Value<'_>) -> Error,
    out: &mut String,
) -> Result<Option<Usage>, Error> {
    let mend = |item: Value<'_>, patches: &mut Patches| {
        let vector = item.get("embedding").filter(|vector| encoding == Encoding::Base64 && is_vector(*vector));
        if let Some(vector) = vector {
            let mut text = String::new();
            Base64(vector).write(&mut text);
            patches.replace(vector.start()..vector.end(), text);
        }
    };
    mended_list(body, "data", model, classify, mend, out)
}

fn mended_list(
    body: &[u8],
    result: &str,
    model: &str,
    classify: impl FnOnce(Value<'_>) -> Error,
    mend: impl Fn(Value<'_>, &mut Patches),
    out: &mut String,
) -> Result<Option<Usage>, Error> {
    let document = Document::parse(body)
        .map_err(|invalid| Error::bad_answer(format!("the provider's answer is not JSON: {invalid}")))?;
    let root = document.root();
    if is_error(root) {
        return Err(classify(root));
    }
    let items = || root.get(result).into_iter().flat_map(Value::elements);
    if items().next().is_none() {
        return Err(Error::bad_answer(format!("the provider's answer has no {result}")));
    }
    let mut patches = Patches::default();
    if let Some(name) = root.get("model").filter(|name| name.kind() == Kind::String) {
        patches.replace(name.start()..name.end(), literal(model));
    }
    items().for_each(|item| mend(item, &mut patches));
    patches.apply(document.text(), out);
    Ok(usage_of(root))
}

#[cfg(test)]
mod tests {
    use super::answer;
    use crate::chat::Usage;
    use crate::embedding::Encoding;
    use crate::error::{Cause, Error};

    fn check(body: &str, expected: Result<(&str, Option<Usage>), Cause>) {
        let mut out = String::new();
        let result = answer(body.as_bytes(), "asked", |_| Error::new(Cause::Overloaded, "said so"), &mut out);
        let result = result.map(|answered| (out.as_str(), answered.usage)).map_err(|error| error.cause);
        assert_eq!(result, expected, "{body}");
    }

    #[test]
    fn the_models_name_is_put_back_and_the_rest_stays() {
        check(
            r#" {"model":"m-1", "choices":[{"x":1.50}],"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}}"#,
            Ok((
                r#" {"model":"asked", "choices":[{"x":1.50}],"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}}"#,
                Some(Usage { input: 3, cached: 1, output: 2, ..Usage::default() }),
            )),
        );
        check(r#"{"choices":[{}],"usage":null}"#, Ok((r#"{"choices":[{}],"usage":null}"#, None)));
    }

    #[test]
    fn what_clients_stumble_over_is_mended() {
        let choice = |message: &str, finish: &str| {
            format!(r#"{{"id":"c-9","choices":[{{"message":{{{message}}},"finish_reason":{finish}}}]}}"#)
        };
        let native = |told: &str, said: &str| format!(r#""{told}","native_finish_reason":"{said}""#);
        for (message, finish, mended, told) in [
            (
                r#""tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":""}}]"#,
                r#""stop""#,
                r#""tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]"#,
                native("tool_calls", "stop"),
            ),
            (
                r#""tool_calls":[{"function":{"name":"f","arguments":{"a": 1}}},{"id":null,"function":{"name":"g"}}]"#,
                r#""""#,
                r#""tool_calls":[{"id":"call_9c_0","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"type":"function","id":"call_9c_1","function":{"arguments":"{}","name":"g"}}]"#,
                r#""tool_calls""#.to_owned(),
            ),
            (
                r#""tool_calls":[{"id":"a","type":"custom","custom":{"input":""}}]"#,
                r#""tool_calls""#,
                r#""tool_calls":[{"id":"a","type":"custom","custom":{"input":""}}]"#,
                r#""tool_calls""#.to_owned(),
            ),
            (r#""content":"a","tool_calls":[]"#, r#""eos""#, r#""content":"a","tool_calls":[]"#, native("stop", "eos")),
            (r#""content":"a""#, "null", r#""content":"a""#, r#""stop""#.to_owned()),
            (
                r#""content":[{"type":"thinking","thinking":[{"type":"text","text":"\u0074"},{"type":"text","text":"u"}]},{"type":"text","text":"a\n"},{"type":"text","text":"b"}]"#,
                r#""stop""#,
                r#""content":"a\nb","reasoning_content":"\u0074u","reasoning_details":[{"type":"reasoning.text","text":"\u0074u","format":"mistral-v1","index":0}]"#,
                r#""stop""#.to_owned(),
            ),
            (
                r#""content":[{"type":"reference","reference_ids":[1]}]"#,
                r#""stop""#,
                r#""content":null,"content_parts":[{"type":"reference","reference_ids":[1]}]"#,
                r#""stop""#.to_owned(),
            ),
        ] {
            check(&choice(message, finish), Ok((&choice(mended, &told), None)));
        }
    }

    #[test]
    fn lists_pass_as_they_are() {
        let mut out = String::new();
        let body = r#"{"object":"list","data":[{"embedding":[0.10,-2e-3]}],"model":"m-1","usage":{"prompt_tokens":3,"total_tokens":3}}"#;
        let classify = |_: crate::json::Value<'_>| Error::new(Cause::Overloaded, "");
        let usage = super::list(body.as_bytes(), "data", "asked", classify, &mut out).unwrap();
        assert_eq!(out, body.replace("m-1", "asked"));
        assert_eq!(usage, Some(Usage { input: 3, ..Usage::default() }));
        for (body, cause) in [
            (r#"{"data":[]}"#, Cause::BadAnswer),
            ("{}", Cause::BadAnswer),
            ("[", Cause::BadAnswer),
            (r#"{"error":{"message":"x"}}"#, Cause::Overloaded),
        ] {
            let error = super::list(body.as_bytes(), "data", "asked", classify, &mut String::new()).unwrap_err();
            assert_eq!(error.cause, cause, "{body}");
        }
    }

    #[test]
    fn numbers_become_base64_where_that_was_asked_for() {
        let body = |vector: &str| {
            format!(
                r#"{{"data":[{{"embedding":{vector},"index":0}},{{"embedding":"AACAPw=="}}],"model":"m-1","x":[1.50]}}"#
            )
        };
        for (encoding, sent, got) in [
            (Encoding::Base64, "[1, -2.5]", r#""AACAPwAAIMA=""#),
            (Encoding::Base64, "[]", "[]"),
            (Encoding::Base64, "[null]", "[null]"),
            (Encoding::Float, "[1, -2.5]", "[1, -2.5]"),
        ] {
            let mut out = String::new();
            let classify = |_: crate::json::Value<'_>| Error::new(Cause::Overloaded, "");
            super::embeddings(body(sent).as_bytes(), encoding, "asked", classify, &mut out).unwrap();
            assert_eq!(out, body(got).replace("m-1", "asked"));
        }
    }

    #[test]
    fn what_is_no_answer_is_a_failure() {
        check("", Err(Cause::BadAnswer));
        check("<html>", Err(Cause::BadAnswer));
        check("{}", Err(Cause::BadAnswer));
        check(r#"{"choices":[]}"#, Err(Cause::BadAnswer));
        check(r#"{"error":{"message":"x"}}"#, Err(Cause::Overloaded));
        check(r#"{"object":"error","message":"x"}"#, Err(Cause::Overloaded));
        check(r#"{"choices":[{"error":{"code":502},"message":{}}]}"#, Err(Cause::Overloaded));
        check(r#"{"choices":[{"message":{"content":""},"finish_reason":"error"}]}"#, Err(Cause::Overloaded));
    }
}
