//! What streams become, however they are cut.

use super::Decoder;
use crate::chat::Delta;
use crate::error::{Cause, Error};
use crate::providers::StreamDecoder;

/// A stream of a line for each of `messages`, and of `end`.
fn stream(messages: &[&str], end: &str) -> String {
    let lines = messages.iter().enumerate().map(|(second, message)| {
        format!("{{\"created_at\":\"2026-01-02T03:04:0{second}Z\",\"message\":{message},\"done\":false}}\n")
    });
    lines.collect::<String>() + end + "\n"
}

const END: &str = r#"{"created_at":"2026-01-02T03:04:09Z","message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":5,"eval_count":7}"#;

fn decode<'c>(chunks: impl Iterator<Item = &'c [u8]>) -> (Vec<String>, Result<(), Error>) {
    let mut seen = Vec::new();
    let mut decoder = Decoder::default();
    let mut sink = |choice: u32, delta: Delta<'_>| {
        assert_eq!(choice, 0);
        seen.push(show(&delta));
    };
    let result = chunks.into_iter().try_for_each(|chunk| decoder.push(chunk, &mut sink));
    let result = result.and_then(|()| decoder.end(&mut sink));
    (seen, result)
}

fn show(delta: &Delta<'_>) -> String {
    match delta {
        Delta::Start(id) => format!("start {}", id.decode()),
        Delta::Text(text) => format!("text {}", text.decode()),
        Delta::Thinking { block, text } => format!("thinking {block} {}", text.decode()),
        Delta::ToolCall { call, id, name, .. } => format!("call {call} {} {}", id.decode(), name.decode()),
        Delta::ToolArguments { call, json } => format!("arguments {call} {}", json.decode()),
        Delta::Finish(finish) => format!("finish {:?} {}", finish.reason, finish.native.decode()),
        Delta::Usage(usage) => format!("usage {} {}", usage.input, usage.output),
        other => format!("{other:?}"),
    }
}

/// Whole, byte by byte, and cut in two at every place.
fn replay(stream: &str) -> (Vec<String>, Result<(), Error>) {
    let bytes = stream.as_bytes();
    let whole = decode([bytes].into_iter());
    assert_eq!(decode(bytes.chunks(1)), whole);
    for at in 0..bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(decode([first, second].into_iter()), whole, "cut at {at}");
    }
    whole
}

fn check(stream: &str, expected: &[&str]) {
    let (seen, result) = replay(stream);
    assert_eq!(seen, expected);
    assert_eq!(result, Ok(()));
    assert_eq!(replay(&stream.replace('\n', "\r\n")).0, expected);
    assert_eq!(replay(stream.trim_end()).0, expected);
    assert_eq!(replay(&format!("{stream}{{\"error\":\"late\"}}\nand more")), (seen, Ok(())));
    for at in 0..stream.trim_end().len() {
        assert!(decode([&stream.as_bytes()[..at]].into_iter()).1.is_err(), "ending at {at}");
    }
}

fn fails(stream: &str, expected: &[&str], cause: Cause, message: &str) {
    let (seen, result) = replay(stream);
    let error = result.unwrap_err();
    assert_eq!(seen, expected);
    assert_eq!(error.cause, cause);
    assert!(error.message.starts_with(message), "{}", error.message);
}

#[test]
fn texts_and_thoughts_come_in_pieces() {
    check(
        &stream(
            &[
                r#"{"role":"assistant","content":"","thinking":"t"}"#,
                r#"{"content":"","thinking":"u"}"#,
                r#"{"content":"a\n"}"#,
                r#"{"content":"","thinking":"v"}"#,
                r#"{"content":"é🦀"}"#,
            ],
            END,
        ),
        &[
            "start chatcmpl-20260102T030400Z",
            "thinking 0 t",
            "thinking 0 u",
            "text a\n",
            "thinking 1 v",
            "text é🦀",
            "finish Stop stop",
            "usage 5 7",
        ],
    );
    let cut = END.replace("\"stop\"", "\"length\"").replace("\"prompt_eval_count\":5,", "");
    let expected = ["start chatcmpl-20260102T030400Z", "text a", "finish Length length", "usage 0 7"];
    check(&stream(&[r#"{"content":"a"}"#], &cut), &expected);
}

#[test]
fn calls_come_whole_and_get_ids_that_do_not_repeat() {
    check(
        &stream(
            &[
                r#"{"content":"a","tool_calls":[{"function":{"name":"f","arguments":{"q": "\u00e9\""}}},{"function":{"name":"g"}}]}"#,
                r#"{"tool_calls":[{"id":"call_x1","function":{"index":0,"name":"h","arguments":{}}},{"function":{}}]}"#,
            ],
            END,
        ),
        &[
            "start chatcmpl-20260102T030400Z",
            "text a",
            "call 0 call_20260102T030400Z_0 f",
            "arguments 0 {\"q\": \"\\u00e9\\\"\"}",
            "call 1 call_20260102T030400Z_1 g",
            "arguments 1 {}",
            "call 2 call_x1 h",
            "arguments 2 {}",
            "finish ToolCalls stop",
            "usage 5 7",
        ],
    );
}

#[test]
fn what_breaks_off_is_an_error() {
    let seen = ["start chatcmpl-20260102T030400Z", "text a"];
    let text = [r#"{"content":"a"}"#];
    let runner = r#"{"error":"an error was encountered while running the model"}"#;
    fails(&stream(&text, runner), &seen, Cause::ServerError, "an error was encountered");
    fails(&stream(&text, ""), &seen, Cause::BadAnswer, "the provider's stream ended before");
    fails(&stream(&text, "<html>"), &seen, Cause::BadAnswer, "the provider's stream is not JSON");
    fails(&stream(&text, "1"), &seen, Cause::BadAnswer, "a line of the provider's stream is not an object");
    fails("", &[], Cause::BadAnswer, "the provider's stream ended before");
    let loaded = END.replace("\"stop\"", "\"load\"");
    fails(
        &stream(&[], &loaded),
        &["start chatcmpl-20260102T030409Z"],
        Cause::BadAnswer,
        "the provider has said nothing",
    );
}
