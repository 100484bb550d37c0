//! What streams become, however they are cut.

use super::Decoder;
use crate::chat::Delta;
use crate::error::{Cause, Error};
use crate::providers::StreamDecoder;

fn decode<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> (Vec<String>, Result<(), Error>) {
    let mut seen = Vec::new();
    let mut decoder = Decoder::default();
    let mut sink = |choice: u32, delta: Delta<'_>| seen.push(format!("{choice} {}", show(&delta)));
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
        Delta::ToolCall { call, id, name, signature } => {
            let signature = signature.as_ref().map_or_else(String::new, |signature| format!(" {}", signature.decode()));
            format!("call {call} {} {}{signature}", id.decode(), name.decode())
        }
        Delta::ToolArguments { call, json } => format!("arguments {call} {}", json.decode()),
        Delta::Finish(finish) => format!("finish {:?} {}", finish.reason, finish.native.decode()),
        Delta::Usage(usage) => format!("usage {} {} {}", usage.input, usage.output, usage.reasoning),
        other => format!("{other:?}"),
    }
}

/// Whole, byte by byte, and cut in two at every place; as events with either end of line, and as an array.
fn replay(events: &[&str]) -> (Vec<String>, Result<(), Error>) {
    let forms = [
        events.iter().map(|event| format!("data: {event}\r\n\r\n")).collect::<String>(),
        events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>(),
        format!(" [{}\n]", events.join("\n,\r\n")),
    ];
    let seen = forms.map(|form| {
        let bytes = form.as_bytes();
        let whole = decode([bytes]);
        assert_eq!(decode(bytes.chunks(1)), whole);
        for at in 0..bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(decode([first, second]), whole, "cut at {at}");
        }
        whole
    });
    let [first, second, third] = seen;
    assert_eq!((&first, &first), (&second, &third));
    first
}

fn check(events: &[&str], expected: &[&str]) {
    let (seen, result) = replay(events);
    assert_eq!((seen.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), result), (expected, Ok(())));
}

fn fails(events: &[&str], cause: Cause, seen: usize) {
    let (deltas, result) = replay(events);
    assert_eq!((result.unwrap_err().cause, deltas.len()), (cause, seen), "{events:?} {deltas:?}");
}

#[test]
fn texts_thoughts_and_signatures() {
    check(
        &[
            r#"{"candidates":[{"content":{"parts":[{"text":"h","thought":true}]},"index":0}],"responseId":"r"}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"m","thought":true}]}}],"usageMetadata":{"promptTokenCount":1,"thoughtsTokenCount":2}}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"é"},{"text":"n","thought":true,"thoughtSignature":"s"}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"t"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4,"thoughtsTokenCount":5}}"#,
        ],
        &[
            "0 start r",
            "0 thinking 0 h",
            "0 thinking 0 m",
            "0 text é",
            "0 thinking 1 n",
            "0 signature 1 s",
            "0 signature 2 t",
            "0 finish Stop STOP",
            "0 usage 3 9 5",
        ],
    );
}

#[test]
fn calls() {
    check(
        &[
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a": "b\n"},"id":"i"},"thoughtSignature":"s"},{"functionCall":{"name":"g"}}]}}],"responseId":"r-1"}"#,
            r#"{"candidates":[{"finishReason":"STOP"}]}"#,
            r#"{"usageMetadata":{"trafficType":"ON_DEMAND"}}"#,
        ],
        &[
            "0 start r-1",
            "0 call 0 i f s",
            "0 arguments 0 {\"a\": \"b\\n\"}",
            "0 call 1 call_r-1_1 g",
            "0 finish ToolCalls STOP",
        ],
    );
}

#[test]
fn tools_that_google_ran_are_not_the_clients() {
    check(
        &[
            r#"{"candidates":[{"content":{"parts":[{"toolCall":{"id":"x"},"thoughtSignature":"s"},{"executableCode":{}}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"MAX_TOKENS"}]}"#,
        ],
        &["0 start ", "0 text a", "0 finish Length MAX_TOKENS"],
    );
}

#[test]
fn failures() {
    let said = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"responseId":"r"}"#;
    fails(&[said], Cause::BadAnswer, 2);
    fails(&[], Cause::BadAnswer, 0);
    fails(&[said, r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}"#], Cause::RateLimited, 2);
    fails(&[r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#], Cause::ContentPolicy, 0);
    fails(&[said, r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}"#], Cause::BadAnswer, 2);
    fails(&[r#"{"candidates":[{"index":4000000000}]}"#], Cause::BadAnswer, 1);
    for nonsense in ["data: {\n\n", "[1]", "<html>", "[{\"candidates\":[{\"finishReason\":\"STOP\"}]},{"] {
        assert_eq!(decode([nonsense.as_bytes()]).1.unwrap_err().cause, Cause::BadAnswer, "{nonsense}");
    }
}

#[test]
fn comments_and_the_end_of_others_pass() {
    let stream = ": ping\n\ndata: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\ndata: [DONE]\n\n";
    let (seen, result) = decode([stream.as_bytes()]);
    assert_eq!((seen, result), (["0 KeepAlive", "0 start ", "0 finish Stop STOP"].map(str::to_owned).to_vec(), Ok(())));
}
