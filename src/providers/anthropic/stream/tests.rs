//! Streams as Anthropic sends them, and what they say.

use super::Decoder;
use crate::chat::{Delta, Source};
use crate::error::{Cause, Error};
use crate::providers::StreamDecoder;

const START: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":10,"cache_creation_input_tokens":4,"cache_read_input_tokens":3,"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":1},"output_tokens":1}}}

"#;

/// A stream of one event for each of `events`.
fn stream(events: &[&str]) -> String {
    let events = events.iter().map(|event| format!("data: {event}   \n\n"));
    START.to_owned() + &events.collect::<String>()
}

/// `stream` with an end of that reason.
fn ended(events: &[&str], reason: &str) -> String {
    let delta =
        format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}"}},"usage":{{"output_tokens":7}}}}"#);
    stream(&[events, &[&delta, r#"{"type":"message_stop"}"#]].concat())
}

const END: &str = "usage 17 3 3 1 7 0";

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
        Delta::Signature { block, signature } => format!("signature {block} {}", signature.decode()),
        Delta::RedactedThinking { block, data } => format!("redacted {block} {}", data.decode()),
        Delta::ToolCall { call, id, name, .. } => format!("call {call} {} {}", id.decode(), name.decode()),
        Delta::ToolArguments { call, json } => format!("arguments {call} {}", json.decode()),
        Delta::Refusal(text) => format!("refusal {}", text.decode()),
        Delta::Finish(finish) => format!("finish {:?} {}", finish.reason, finish.native.decode()),
        Delta::Usage(usage) => format!(
            "usage {} {} {} {} {} {}",
            usage.input, usage.cached, usage.cache_write, usage.cache_write_1h, usage.output, usage.reasoning
        ),
        Delta::Citation(citation) => match &citation.source {
            Source::Url(url) => format!("citation {} {:?}", url.decode(), citation.range),
            Source::Document { index, place, .. } => format!("citation {index:?} {place:?} {:?}", citation.range),
        },
        Delta::KeepAlive => "alive".to_owned(),
        other => panic!("{other:?}"),
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
    let trailing = format!("{stream}data: {{\"type\":\"error\"\n\n: and more");
    assert_eq!(replay(&trailing), (seen, Ok(())));
}

fn fails(stream: &str, expected: &[&str], cause: Cause, message: &str) {
    let (seen, result) = replay(stream);
    let error = result.unwrap_err();
    assert_eq!(
        (seen, error.cause, error.message.as_str()),
        (expected.iter().map(<_>::to_string).collect(), cause, message)
    );
}

#[test]
fn texts() {
    let events = [
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type": "ping"}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a\n\u00e9"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"cited_text":"x"}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"text":"🦀","type":"text_delta"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"an_event_of_tomorrow"}"#,
    ];
    check(&ended(&events, "end_turn"), &["start msg_1", "alive", "text a\né", "text 🦀", "finish Stop end_turn", END]);
    check(&ended(&[], "max_tokens"), &["start msg_1", "finish Length max_tokens", END]);
}

#[test]
fn citations_are_of_the_whole_block() {
    check(
        &ended(
            &[
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"é "}}"#,
                r#"{"type":"content_block_stop","index":0}"#,
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"","citations":[]}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"https://a","title":"A","cited_text":"x","encrypted_index":"e"}}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"b\u0063"}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"type":"page_location","document_index":1,"document_title":null,"start_page_number":2,"end_page_number":3}}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"d"}}"#,
                r#"{"type":"content_block_stop","index":1}"#,
            ],
            "end_turn",
        ),
        &[
            "start msg_1",
            "text é ",
            "text bc",
            "text d",
            "citation https://a Some((2, 5))",
            "citation Some(1) Some(Place { unit: Page, start: 2, end: 3 }) Some((2, 5))",
            "finish Stop end_turn",
            "usage 17 3 3 1 7 0",
        ],
    );
}

#[test]
fn a_call_that_stands_for_a_schema_is_text() {
    check(
        &ended(
            &[
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"gateway_structured_answer","input":{}}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":":1}"}}"#,
                r#"{"type":"content_block_stop","index":0}"#,
            ],
            "tool_use",
        ),
        &["start msg_1", "text {\"a\"", "text :1}", "finish Stop tool_use", "usage 17 3 3 1 7 0"],
    );
}

#[test]
fn thoughts() {
    let events = [
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"a+/b"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"=="}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"x\/y"}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"thinking","thinking":"t","signature":"s"}}"#,
        r#"{"type":"content_block_stop","index":2}"#,
        r#"{"type":"content_block_start","index":3,"content_block":{"type":"thinking","thinking":""}}"#,
        r#"{"type":"content_block_stop","index":3}"#,
    ];
    let expected = [
        "start msg_1",
        "thinking 0 hm",
        "signature 0 a+/b==",
        "redacted 1 x/y",
        "thinking 2 t",
        "signature 2 s",
        "finish ContentFilter refusal",
        END,
    ];
    check(&ended(&events, "refusal"), &expected);
}

#[test]
fn calls_of_tools() {
    let events = [
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"query\":1}"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"web_search_tool_result","tool_use_id":"s","content":[]}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"i","name":"f","input":{}}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\": \"\\"}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"n\"}"}}"#,
        r#"{"type":"content_block_stop","index":2}"#,
        r#"{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"j","name":"g","input":{}}}"#,
        r#"{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_stop","index":3}"#,
        r#"{"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"k","name":"h","input":{"whole":true}}}"#,
        r#"{"type":"content_block_stop","index":4}"#,
        r#"{"type":"content_block_start","index":5,"content_block":{"type":"tool_use","id":"l","name":"h"}}"#,
    ];
    let expected = [
        "start msg_1",
        "call 0 i f",
        "arguments 0 {\"a\": \"\\",
        "arguments 0 n\"}",
        "call 1 j g",
        "arguments 1 {}",
        "call 2 k h",
        "arguments 2 {\"whole\":true}",
        "call 3 l h",
        "arguments 3 {}",
        "finish ToolCalls tool_use",
        END,
    ];
    check(&ended(&events, "tool_use"), &expected);
}

#[test]
fn usage_is_the_latest_not_the_sum() {
    let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":100,"cache_creation_input_tokens":null,"cache_read_input_tokens":30,"output_tokens":9,"output_tokens_details":{"thinking_tokens":5}}}"#;
    let late = r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":11}}"#;
    let stream = stream(&[delta, late, r#"{"type":"message_stop"}"#]);
    check(&stream, &["start msg_1", "finish Stop end_turn", "usage 134 30 3 1 11 5"]);
}

#[test]
fn comments_keep_it_alive_and_the_last_blank_line_may_be_missing() {
    let stream = format!(": hello\n\n{}", ended(&[], "end_turn"));
    let (seen, result) = replay(stream.trim_end());
    assert_eq!(
        (seen, result),
        (["alive", "start msg_1", "finish Stop end_turn", END].iter().map(<_>::to_string).collect(), Ok(()))
    );
}

#[test]
fn errors_inside() {
    let error = r#"{"type":"error","error":{"details":null,"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#;
    let text = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}}"#;
    fails(&stream(&[text, error]), &["start msg_1", "text a"], Cause::Overloaded, "Overloaded");
    fails(&format!("event: error\ndata: {error}\n\n"), &[], Cause::Overloaded, "Overloaded");
    fails(&format!("data: {error}"), &[], Cause::Overloaded, "Overloaded");
    let error = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}}"#;
    fails(&stream(&[error]), &["start msg_1"], Cause::ContentPolicy, "Output blocked by content filtering policy");
    fails(&stream(&[r#"{"type":"error"}"#]), &["start msg_1"], Cause::BadAnswer, "the provider's stream failed");
}

#[test]
fn nonsense() {
    let early = "the provider's stream ended before the answer was complete";
    let garbage = "the provider's stream is not JSON: expected a value at byte 0";
    fails("", &[], Cause::BadAnswer, early);
    fails(START, &["start msg_1"], Cause::BadAnswer, early);
    fails(": nothing else\n\n", &["alive"], Cause::BadAnswer, early);
    fails(&stream(&["<html>"]), &["start msg_1"], Cause::BadAnswer, garbage);
    fails("data: [DONE]\n\n", &[], Cause::BadAnswer, "the provider's stream is not JSON: expected a value at byte 1");
    fails("data: {}\n\n", &[], Cause::BadAnswer, "an event of the provider's stream has no type");
    let stop = r#"{"type":"message_stop"}"#;
    fails(&stream(&[stop]), &["start msg_1"], Cause::BadAnswer, "the provider's stream ended without a stop_reason");
    fails(&format!("data: {stop}\n\n"), &[], Cause::BadAnswer, "the provider's stream is out of order");
    fails(&(START.to_owned() + START), &["start msg_1"], Cause::BadAnswer, "the provider's stream is out of order");
}
