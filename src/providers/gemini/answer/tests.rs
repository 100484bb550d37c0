//! What answers become.

use super::{call_id, read};
use crate::chat::{Arguments, FinishReason, Part, Usage};
use crate::error::Cause;
use crate::json::{Document, Str};

fn check(candidates: &str, expected: &[(&[&str], FinishReason)]) {
    let body = format!(r#"{{"candidates":{candidates},"responseId":"r"}}"#);
    let document = Document::parse(body.as_bytes()).unwrap();
    let answer = read(document.root()).unwrap();
    assert!(answer.id == "r");
    let seen: Vec<(Vec<String>, FinishReason)> =
        answer.choices.iter().map(|choice| (choice.parts.iter().map(show).collect(), choice.finish.reason)).collect();
    let expected: Vec<(Vec<String>, FinishReason)> =
        expected.iter().map(|(parts, reason)| (parts.iter().map(|part| part.to_string()).collect(), *reason)).collect();
    assert_eq!(seen, expected);
}

fn show(part: &Part<'_>) -> String {
    let signed =
        |signature: &Option<Str<'_>>| signature.as_ref().map_or_else(String::new, |text| format!(" {}", text.decode()));
    match part {
        Part::Text(text) => format!("text {}", text.text.decode()),
        Part::Thinking { text, signature } => format!("thinking {}{}", text.decode(), signed(signature)),
        Part::ToolCall(call) => {
            let arguments = match &call.arguments {
                Arguments::Object(value) => value.raw().to_owned(),
                Arguments::Text(text) => text.decode().into_owned(),
            };
            format!("call {} {} {arguments}{}", call.id.decode(), call.name.decode(), signed(&call.signature))
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn every_part_of_the_clients_is_read() {
    use FinishReason::{ContentFilter, Length, Stop, ToolCalls};
    check(
        r#"[{"content":{"parts":[{"text":"t","thought":true},{"text":"a\nb","thoughtSignature":"s"},{"text":"","thoughtSignature":"u"},{"text":""}]},"finishReason":"STOP"}]"#,
        &[(&["thinking t", "text a\nb", "thinking  s", "thinking  u"], Stop)],
    );
    check(
        r#"[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a": 1},"id":"i"},"thoughtSignature":"s"},{"functionCall":{"name":"g"}}]},"finishReason":"STOP"}]"#,
        &[(&["call i f {\"a\": 1} s", "call call_r_1 g {}"], ToolCalls)],
    );
    check(
        r#"[{"content":{"parts":[{"functionCall":{"name":"f"}}]},"finishReason":"STOP","index":1},{"content":{"role":"model"},"finishReason":2,"index":0},{"finishReason":"SPII","index":2}]"#,
        &[(&[], Length), (&["call call_r_1-0 f {}"], ToolCalls), (&[], ContentFilter)],
    );
    check(
        r#"[{"content":{"parts":[{"executableCode":{},"thoughtSignature":"s"},{"toolResponse":{}},{"thoughtSignature":"t"}]},"finishReason":"IMAGE_SAFETY"}]"#,
        &[(&["thinking  t"], ContentFilter)],
    );
}

#[test]
fn usage_is_in_openais_counting() {
    let body = br#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":80,
        "toolUsePromptTokenCount":7,"candidatesTokenCount":20,"thoughtsTokenCount":5,"serviceTier":"standard",
        "promptTokensDetails":[{"modality":"AUDIO","tokenCount":30},{"modality":"TEXT","tokenCount":70}],
        "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":3}]}}"#;
    let document = Document::parse(body).unwrap();
    let answer = read(document.root()).unwrap();
    let expected = Usage {
        input: 107,
        cached: 80,
        input_audio: 30,
        output: 25,
        reasoning: 5,
        output_audio: 3,
        ..Usage::default()
    };
    assert_eq!(answer.usage, Some(expected));
    assert!(answer.service_tier.unwrap() == "standard");
}

#[test]
fn what_is_no_answer_is_an_error() {
    for (body, cause) in [
        ("{}", Cause::BadAnswer),
        ("[]", Cause::BadAnswer),
        (r#"{"candidates":[]}"#, Cause::BadAnswer),
        (r#"{"candidates":[{"content":{"parts":[]}}]}"#, Cause::BadAnswer),
        (r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}"#, Cause::BadAnswer),
        (r#"{"candidates":[{"finishReason":5}]}"#, Cause::BadAnswer),
        (r#"{"candidates":[{"finishReason":"PUP_LIMITED_DISABLED"}]}"#, Cause::BadAnswer),
        (r#"{"promptFeedback":{"blockReason":"OTHER"}}"#, Cause::ContentPolicy),
        (r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#, Cause::Overloaded),
        (r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#, Cause::RateLimited),
    ] {
        let document = Document::parse(body.as_bytes()).unwrap();
        assert_eq!(read(document.root()).unwrap_err().cause, cause, "{body}");
    }
}

#[test]
fn ids_are_short_plain_and_different() {
    let name = Str::plain("f");
    let id = |answer, choice, call| call_id(&Str::plain(answer), choice, call, &name, None).decode().into_owned();
    assert_eq!(id("a/b+c", 0, 2), "call_abc_2");
    let long = "x".repeat(99);
    assert!(id(&long, 127, 4_000_000).len() <= 40);
    assert_ne!(id("", 0, 0), call_id(&Str::EMPTY, 0, 0, &Str::plain("g"), None).decode());
}
