//! What streams become, however they are cut.

use super::Decoder;
use crate::chat::Delta;
use crate::error::{Cause, Error};
use crate::providers::StreamDecoder;

/// A stream of one event for each of `events`, after a start.
fn stream(events: &[&str]) -> String {
    let start = r#"{"id":"c-1","type":"message-start","delta":{"message":{"role":"assistant","content":[]}}}"#;
    let events = [start].into_iter().chain(events.iter().copied()).map(|event| format!("event: x\ndata: {event}\n\n"));
    events.collect()
}

/// `stream` with an end of that reason.
fn ended(events: &[&str], reason: &str) -> String {
    let end = format!(
        r#"{{"type":"message-end","delta":{{"finish_reason":"{reason}","usage":{{"billed_units":{{"input_tokens":1,"output_tokens":2}},"tokens":{{"input_tokens":10,"output_tokens":7}},"cached_tokens":4}}}}}}"#
    );
    stream(&[events, &[&end]].concat()) + "data: [DONE]\n\n"
}

const END: &str = "usage 10 4 7";

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
        Delta::Usage(usage) => format!("usage {} {} {}", usage.input, usage.cached, usage.output),
        Delta::KeepAlive => "alive".to_owned(),
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
    let bare = stream.trim_end().trim_end_matches("data: [DONE]").trim_end();
    assert_eq!(replay(bare), (seen, Ok(())));
    for at in 0..bare.len() {
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

const TEXT: &str = r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"a\n"}}}}"#;

#[test]
fn texts_and_thoughts_come_in_pieces() {
    let events = [
        r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"thinking","thinking":""}}}}"#,
        r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"thinking":"t"}}}}"#,
        r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"thinking":"u"}}}}"#,
        r#"{"type":"content-end","index":0}"#,
        r#"{"type":"content-start","index":1,"delta":{"message":{"content":{"type":"text","text":"é🦀"}}}}"#,
        TEXT,
        r#"{"type":"citation-start","index":0,"delta":{"message":{"citations":{"start":0,"end":1,"text":"a"}}}}"#,
        r#"{"type":"citation-end","index":0}"#,
        r#"{"type":"content-delta","index":2,"delta":{"message":{"content":{"thinking":"v"}}}}"#,
        r#"{"type":"brand-new"}"#,
    ];
    let seen = ["start c-1", "thinking 0 t", "thinking 0 u", "text é🦀", "text a\n", "thinking 1 v"];
    for (native, finish) in [
        ("COMPLETE", "finish Stop COMPLETE"),
        ("STOP_SEQUENCE", "finish Stop STOP_SEQUENCE"),
        ("MAX_TOKENS", "finish Length MAX_TOKENS"),
        ("ERROR_TOXIC", "finish ContentFilter ERROR_TOXIC"),
    ] {
        check(&ended(&events, native), &[&seen[..], &[finish, END]].concat());
    }
}

#[test]
fn calls_are_numbered_from_0_and_have_arguments() {
    let events = [
        r#"{"type":"tool-plan-delta","delta":{"message":{"tool_plan":"I"}}}"#,
        r#"{"type":"tool-plan-delta","delta":{"message":{"tool_plan":" will"}}}"#,
        r#"{"type":"tool-call-start","index":3,"delta":{"message":{"tool_calls":{"id":"f_1","type":"function","function":{"name":"f","arguments":""}}}}}"#,
        r#"{"type":"tool-call-delta","index":3,"delta":{"message":{"tool_calls":{"function":{"arguments":"{\"a\":"}}}}}"#,
        r#"{"type":"tool-call-delta","index":3,"delta":{"message":{"tool_calls":{"function":{"arguments":"1}"}}}}}"#,
        r#"{"type":"tool-call-end","index":3}"#,
        r#"{"type":"tool-call-start","index":4,"delta":{"message":{"tool_calls":{"id":"g_1","type":"function","function":{"name":"g","arguments":""}}}}}"#,
        r#"{"type":"tool-call-end","index":4}"#,
    ];
    let seen = [
        "start c-1",
        "thinking 0 I",
        "thinking 0  will",
        "call 0 f_1 f",
        "arguments 0 {\"a\":",
        "arguments 0 1}",
        "call 1 g_1 g",
        "arguments 1 {}",
        "finish ToolCalls TOOL_CALL",
        END,
    ];
    check(&ended(&events, "TOOL_CALL"), &seen);
}

#[test]
fn what_breaks_off_is_an_error() {
    let seen = ["start c-1", "text a\n"];
    let error = r#"{"type":"message-end","delta":{"finish_reason":"ERROR","usage":{},"error":"invalid tool generation","error_type":"X"}}"#;
    fails(&stream(&[TEXT, error, "[DONE]"]), &seen, Cause::ServerError, "invalid tool generation");
    fails(&ended(&[TEXT], "TIMEOUT"), &seen, Cause::Timeout, "the provider broke off with the reason TIMEOUT");
    fails(&stream(&[TEXT, "[DONE]"]), &seen, Cause::BadAnswer, "the provider's stream is done without");
    fails(&stream(&[TEXT]), &seen, Cause::BadAnswer, "the provider's stream ended before");
    fails(&stream(&[TEXT, "<html>"]), &seen, Cause::BadAnswer, "the provider's stream is not JSON");
    fails(&stream(&[TEXT, "{}"]), &seen, Cause::BadAnswer, "an event of the provider's stream has no type");
    let late = r#"{"id":"i","message":"too many tokens: size limit exceeded"}"#;
    fails(&stream(&[TEXT, late]), &seen, Cause::ContextWindow, "too many tokens");
    fails("", &[], Cause::BadAnswer, "the provider's stream ended before");
}

#[test]
fn comments_are_signs_of_life() {
    let stream = format!(": ping\n\n{}", ended(&[TEXT], "COMPLETE"));
    assert_eq!(replay(&stream).0, ["alive", "start c-1", "text a\n", "finish Stop COMPLETE", END]);
}
