//! Streams as Bedrock sends them, and what they say.

use super::super::super::StreamDecoder;
use super::super::super::structured::NAME;
use super::Decoder;
use crate::chat::{Delta, Source};
use crate::error::{Cause, Error};
use crate::frame::eventstream::write;

/// Each line is `event NAME JSON` or `exception NAME JSON`.
fn frames(lines: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        let (kind, rest) = line.split_once(' ').unwrap();
        let (name, payload) = rest.split_once(' ').unwrap();
        let header = if kind == "event" { ":event-type" } else { ":exception-type" };
        let headers = [(header, name), (":content-type", "application/json"), (":message-type", kind)];
        write(&headers, payload.as_bytes(), &mut bytes);
    }
    bytes
}

fn decode<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> (Vec<String>, Result<(), Error>) {
    let mut seen: Vec<String> = Vec::new();
    let mut decoder = Decoder::default();
    let mut sink = |choice: u32, delta: Delta<'_>| {
        assert_eq!(choice, 0);
        seen.push(match delta {
            Delta::Start(id) => format!("start {}", id.decode()),
            Delta::Text(text) => format!("text {}", text.decode()),
            Delta::Thinking { block, text } => format!("thinking {block} {}", text.decode()),
            Delta::Signature { block, signature } => format!("signature {block} {}", signature.decode()),
            Delta::RedactedThinking { block, data } => format!("redacted {block} {}", data.decode()),
            Delta::ToolCall { call, id, name, .. } => format!("call {call} {} {}", id.decode(), name.decode()),
            Delta::ToolArguments { call, json } => format!("arguments {call} {}", json.decode()),
            Delta::Finish(finish) => format!("finish {:?} {}", finish.reason, finish.native.decode()),
            Delta::Usage(usage) => format!("usage {} {}", usage.input, usage.output),
            Delta::Citation(citation) => match &citation.source {
                Source::Url(url) => format!("citation {} {:?}", url.decode(), citation.range),
                Source::Document { index, place, .. } => format!("citation {index:?} {place:?} {:?}", citation.range),
            },
            Delta::KeepAlive => "keep-alive".to_owned(),
            Delta::Image(image) => format!("{image:?}"),
            other => panic!("{other:?}"),
        });
    };
    let result = chunks.into_iter().try_for_each(|chunk| decoder.push(chunk, &mut sink));
    let result = result.and_then(|()| decoder.end(&mut sink));
    (seen, result)
}

const START: &str = r#"event messageStart {"p":"abc","role":"assistant"}"#;
const END: &str = r#"event messageStop {"p":"a","stopReason":"tool_use"}"#;
const METADATA: &str =
    r#"event metadata {"metrics":{"latencyMs":1},"usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5}}"#;

/// Whole, byte by byte, and cut in two at every place.
fn check(lines: &[&str], expected: &[&str]) {
    let bytes = frames(lines);
    let whole = decode([bytes.as_slice()]);
    assert_eq!(
        (whole.0.as_slice(), &whole.1),
        (&expected.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()[..], &Ok(()))
    );
    assert_eq!(decode(bytes.chunks(1)), whole);
    let complete = bytes.len() - if lines.last() == Some(&METADATA) { frames(&[METADATA]).len() } else { 0 };
    for at in 0..bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(decode([first, second]), whole, "cut at {at}");
        // Only between the end and what it took is a stream complete that is not there as a whole.
        assert_eq!(decode([first]).1.is_ok(), at == complete, "ending at {at}");
    }
}

#[test]
fn text_thoughts_and_calls_come_as_deltas() {
    check(
        &[
            START,
            r#"event contentBlockDelta {"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"hm"}},"p":"a"}"#,
            r#"event contentBlockDelta {"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"…"}}}"#,
            r#"event contentBlockDelta {"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"s="}}}"#,
            r#"event contentBlockStop {"contentBlockIndex":0,"p":"abc"}"#,
            r#"event contentBlockDelta {"contentBlockIndex":1,"delta":{"reasoningContent":{"redactedContent":"ZA=="}}}"#,
            r#"event contentBlockStop {"contentBlockIndex":1}"#,
            r#"event contentBlockDelta {"contentBlockIndex":2,"delta":{"text":"a\n"}}"#,
            r#"event contentBlockDelta {"contentBlockIndex":2,"delta":{"text":""}}"#,
            r#"event contentBlockDelta {"contentBlockIndex":2,"delta":{"text":"é"}}"#,
            r#"event contentBlockStop {"contentBlockIndex":2}"#,
            r#"event contentBlockStart {"contentBlockIndex":3,"start":{"toolUse":{"name":"f","toolUseId":"t1"}}}"#,
            r#"event contentBlockDelta {"contentBlockIndex":3,"delta":{"toolUse":{"input":"{\"a\""}}}"#,
            r#"event contentBlockDelta {"contentBlockIndex":3,"delta":{"toolUse":{"input":":1}"}}}"#,
            r#"event contentBlockStop {"contentBlockIndex":3}"#,
            r#"event contentBlockStart {"contentBlockIndex":4,"start":{"toolUse":{"name":"g","toolUseId":"t2"}}}"#,
            r#"event contentBlockDelta {"contentBlockIndex":4,"delta":{"toolUse":{"input":""}}}"#,
            r#"event contentBlockStop {"contentBlockIndex":4}"#,
            END,
            METADATA,
        ],
        &[
            "start ",
            "thinking 0 hm",
            "thinking 0 …",
            "signature 0 s=",
            "redacted 1 ZA==",
            "text a\n",
            "text é",
            "call 0 t1 f",
            "arguments 0 {\"a\"",
            "arguments 0 :1}",
            "call 1 t2 g",
            "arguments 1 {}",
            "finish ToolCalls tool_use",
            "usage 3 2",
        ],
    );
}

#[test]
fn what_bedrock_ran_itself_is_not_shown() {
    check(
        &[
            START,
            r#"event contentBlockStart {"contentBlockIndex":0,"start":{"toolUse":{"name":"nova_grounding","toolUseId":"s","type":"server_tool_use"}}}"#,
            r#"event contentBlockDelta {"contentBlockIndex":0,"delta":{"toolUse":{"input":"{}"}}}"#,
            r#"event contentBlockStop {"contentBlockIndex":0}"#,
            r#"event contentBlockStart {"contentBlockIndex":1,"start":{"toolResult":{"toolUseId":"s"}}}"#,
            r#"event contentBlockDelta {"contentBlockIndex":1,"delta":{"toolResult":[{"text":"[HIDDEN]"}]}}"#,
            r#"event contentBlockStop {"contentBlockIndex":1}"#,
            r#"event contentBlockDelta {"contentBlockIndex":2,"delta":{"text":"a"}}"#,
            r#"event contentBlockDelta {"contentBlockIndex":3,"delta":{"citation":{"location":{}}}}"#,
            r#"event contentBlockDelta {"contentBlockIndex":3,"delta":{"citation":{"location":{"web":{"url":"https://a"}}}}}"#,
            r#"event contentBlockDelta {"contentBlockIndex":4,"delta":{"text":"é"}}"#,
            r#"event contentBlockDelta {"contentBlockIndex":4,"delta":{"citation":{"title":"t","location":{"documentPage":{"documentIndex":2,"start":3,"end":4}}}}}"#,
            r#"event contentBlockDelta {"contentBlockIndex":4,"delta":{"text":"b"}}"#,
            r#"event contentBlockStop {"contentBlockIndex":4}"#,
            r#"event contentBlockStart {"contentBlockIndex":5,"start":{"image":{"format":"jpeg"}}}"#,
            r#"event contentBlockDelta {"contentBlockIndex":5,"delta":{"image":{"source":{"bytes":"/9j/"}}}}"#,
            r#"event contentBlockStop {"contentBlockIndex":5}"#,
            r#"event somethingNew {}"#,
            r#"event messageStop {"stopReason":"end_turn"}"#,
        ],
        &[
            "start ",
            "text a",
            "citation https://a Some((0, 1))",
            "text é",
            "text b",
            "citation Some(2) Some(Place { unit: Page, start: 3, end: 4 }) Some((1, 3))",
            r#"Base64 { media_type: Str { escaped: "image/jpeg" }, data: Str { escaped: "/9j/" } }"#,
            "keep-alive",
            "finish Stop end_turn",
        ],
    );
}

#[test]
fn a_call_that_stands_for_a_schema_is_text() {
    check(
        &[
            START,
            &format!(
                r#"event contentBlockStart {{"contentBlockIndex":0,"start":{{"toolUse":{{"name":"{NAME}","toolUseId":"t"}}}}}}"#
            ),
            r#"event contentBlockDelta {"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"a\""}}}"#,
            r#"event contentBlockDelta {"contentBlockIndex":0,"delta":{"toolUse":{"input":":1}"}}}"#,
            r#"event contentBlockStop {"contentBlockIndex":0}"#,
            END,
            METADATA,
        ],
        &["start ", "text {\"a\"", "text :1}", "finish Stop tool_use", "usage 3 2"],
    );
}

#[test]
fn exceptions_end_the_stream_with_their_cause() {
    let said = r#"event contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"a"}}"#;
    for (line, cause, message) in [
        (r#"exception throttlingException {"message":"slow down"}"#, Cause::RateLimited, "slow down"),
        (r#"exception modelStreamErrorException {"message":"m","originalStatusCode":500}"#, Cause::ServerError, "m"),
        (r#"event serviceUnavailableException {"message":"m"}"#, Cause::Overloaded, "m"),
        (
            r#"exception validationException {"message":"Input is too long."}"#,
            Cause::ContextWindow,
            "Input is too long.",
        ),
    ] {
        for lines in [&[line][..], &[START, said, line]] {
            let error = decode([frames(lines).as_slice()]).1.unwrap_err();
            assert_eq!((error.cause, error.message.as_str()), (cause, message), "{line}");
        }
    }
    let mut bytes = Vec::new();
    let headers = [
        (":message-type", "error"),
        (":error-code", "InternalFailure"),
        (":error-message", "An internal server error"),
    ];
    write(&headers, b"", &mut bytes);
    let error = decode([bytes.as_slice()]).1.unwrap_err();
    assert_eq!((error.cause, error.message.as_str()), (Cause::ServerError, "An internal server error"));
}

#[test]
fn what_is_no_stream_is_an_error() {
    let delta = r#"event contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"a"}}"#;
    for lines in [
        &[][..],
        &[START],
        &[START, delta],
        &[delta],
        &[START, START],
        &[START, METADATA],
        &[START, "event messageStop {}"],
        &[START, r#"event messageStop {"stopReason":"malformed_tool_use"}"#],
        &[START, END, delta],
        &[START, "event contentBlockDelta {"],
    ] {
        assert_eq!(decode([frames(lines).as_slice()]).1.unwrap_err().cause, Cause::BadAnswer, "{lines:?}");
    }
    let mut damaged = frames(&[START, delta, END, METADATA]);
    assert_eq!(decode([damaged.as_slice()]).1, Ok(()));
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    assert_eq!(decode([damaged.as_slice()]).1.unwrap_err().cause, Cause::BadAnswer);
    assert!(decode([&b"data: {}\n\n, and more"[..]]).1.is_err());
    // What follows the end is not looked at.
    let rest = [frames(&[START, delta, END, METADATA]), b"anything".to_vec()].concat();
    assert_eq!(decode(rest.chunks(1)).1, Ok(()));
}
