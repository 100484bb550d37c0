//! What Google's errors mean: `{"error": {"code", "message", "status", "details": [{"@type"}]}}`, or an array of one.
//!
//! <https://ai.google.dev/gemini-api/docs/troubleshooting>, <https://google.aip.dev/193>

use super::super::classify;
use crate::error::{Cause, Error};
use crate::json::{Kind, Value};

/// The answer with an error `status`.
pub(super) fn of_status(status: u16, body: Option<Value<'_>>) -> Error {
    match body.and_then(find) {
        Some(error) => Error { status: Some(status), ..read(status, error) },
        // A proxy's on the way. Its type and code are not OpenAI's either.
        None => Error { kind: None, code: None, ..classify::error(status, body) },
    }
}

/// The error that a body with status 200, or an event of a stream, is in truth.
pub(super) fn inside(body: Value<'_>) -> Option<Error> {
    find(body).map(|error| {
        let code = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        read(code.filter(|code| (400..600).contains(code)).unwrap_or(500), error)
    })
}

/// The prompt was refused, so that there is no candidate.
/// <https://ai.google.dev/api/generate-content#PromptFeedback>
pub(super) fn blocked(body: Value<'_>) -> Option<Error> {
    let feedback = body.get("promptFeedback")?;
    let reason = feedback.get("blockReason").filter(|reason| !reason.is_null())?;
    let said = feedback.get("blockReasonMessage").and_then(Value::as_str).filter(|said| !said.is_blank());
    let message = said.map_or_else(
        || format!("the provider blocked the prompt: {}", reason.raw().trim_matches('"')),
        |said| said.decode().into_owned(),
    );
    Some(Error::new(Cause::ContentPolicy, message))
}

fn find(body: Value<'_>) -> Option<Value<'_>> {
    let body = body.elements().next().unwrap_or(body);
    body.get("error").filter(|error| error.kind() == Kind::Object)
}

fn read(status: u16, error: Value<'_>) -> Error {
    let text = |name| error.get(name).and_then(Value::as_str).map(|text| text.decode().into_owned());
    let name = text("status").unwrap_or_default();
    let message = text("message").unwrap_or_else(|| format!("the provider failed: {name}"));
    let details = || error.get("details").into_iter().flat_map(Value::elements);
    let reason = details().find_map(|detail| detail.get("reason").and_then(Value::as_str));
    let reason = reason.map(|reason| reason.decode().into_owned()).unwrap_or_default();
    let delay = details().find_map(|detail| detail.get("retryDelay").and_then(Value::as_str));
    let retry_after = delay.and_then(|delay| milliseconds(&delay.decode()));
    Error { retry_after, ..Error::new(cause(status, &name, &reason, &message), message) }
}

fn cause(status: u16, name: &str, reason: &str, message: &str) -> Cause {
    let said = message.to_ascii_lowercase();
    match (name, reason) {
        // With status 400: https://github.com/googleapis/python-genai/issues/627
        (_, "API_KEY_INVALID" | "API_KEY_EXPIRED" | "API_KEY_SERVICE_BLOCKED") => Cause::Authentication,
        ("UNAUTHENTICATED" | "PERMISSION_DENIED", _) => Cause::Authentication,
        // "User location is not supported for the API use", "the free tier is not available in your country"
        ("FAILED_PRECONDITION", _) if said.contains("location") || said.contains("billing") => Cause::Authentication,
        // "Your prepayment credits are depleted". Every other quota fills up again.
        ("RESOURCE_EXHAUSTED", _) if said.contains("credits are depleted") => Cause::QuotaExhausted,
        ("RESOURCE_EXHAUSTED", _) => Cause::RateLimited,
        ("NOT_FOUND", _) => Cause::TargetNotFound,
        ("UNAVAILABLE", _) => Cause::Overloaded,
        ("DEADLINE_EXCEEDED", _) => Cause::Timeout,
        ("INTERNAL" | "UNKNOWN" | "DATA_LOSS" | "ABORTED" | "CANCELLED", _) => Cause::ServerError,
        _ => classify::cause(status, message, ""),
    }
}

/// `google.protobuf.Duration`: seconds with up to nine decimals and an `s`. Rounded up.
fn milliseconds(duration: &str) -> Option<u64> {
    let seconds: f64 = duration.strip_suffix('s')?.parse().ok()?;
    (0.0..1e12).contains(&seconds).then_some((seconds * 1000.0).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::{blocked, inside, milliseconds, of_status};
    use crate::error::Cause;
    use crate::json::Document;

    fn check(status: u16, name: &str, message: &str, expected: Cause) {
        let body = format!(r#"{{"error":{{"code":{status},"message":"{message}","status":"{name}"}}}}"#);
        for body in [format!("[{body}]"), body] {
            let document = Document::parse(body.as_bytes()).unwrap();
            let error = of_status(status, Some(document.root()));
            assert_eq!(
                (error.cause, error.message.as_str(), error.status),
                (expected, message, Some(status)),
                "{body}"
            );
            assert_eq!((error.kind, error.code), (None, None));
            assert_eq!(inside(document.root()).unwrap().cause, expected, "{body}");
        }
    }

    #[test]
    fn errors_are_known_by_their_status() {
        check(400, "INVALID_ARGUMENT", "JSON mode is not enabled", Cause::BadRequest);
        check(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", Cause::Authentication);
        let too_long = "The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).";
        check(400, "INVALID_ARGUMENT", too_long, Cause::ContextWindow);
        check(400, "FAILED_PRECONDITION", "User location is not supported for the API use.", Cause::Authentication);
        check(401, "UNAUTHENTICATED", "m", Cause::Authentication);
        check(403, "PERMISSION_DENIED", "m", Cause::Authentication);
        check(404, "NOT_FOUND", "m", Cause::TargetNotFound);
        check(429, "RESOURCE_EXHAUSTED", "m", Cause::RateLimited);
        check(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", Cause::QuotaExhausted);
        check(500, "INTERNAL", "m", Cause::ServerError);
        check(503, "UNAVAILABLE", "The model is overloaded.", Cause::Overloaded);
        check(504, "DEADLINE_EXCEEDED", "m", Cause::Timeout);
        check(503, "BRAND_NEW", "m", Cause::Overloaded);
    }

    #[test]
    fn details_say_more() {
        let body = br#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#;
        let document = Document::parse(body).unwrap();
        assert_eq!(of_status(400, Some(document.root())).cause, Cause::Authentication);
        let body = br#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"x"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"48s"}]}}"#;
        let document = Document::parse(body).unwrap();
        assert_eq!(of_status(429, Some(document.root())).retry_after, Some(48_000));
        for (duration, expected) in [("0.0305s", Some(31)), ("3", None), ("-1s", None), ("NaNs", None), ("s", None)] {
            assert_eq!(milliseconds(duration), expected, "{duration}");
        }
    }

    #[test]
    fn what_is_not_googles_is_known_by_its_status() {
        let document = Document::parse(br#"{"detail":"m","code":"c"}"#).unwrap();
        let error = of_status(429, Some(document.root()));
        assert_eq!((error.cause, error.message.as_str(), error.code), (Cause::RateLimited, "m", None));
        assert_eq!(of_status(502, None).cause, Cause::ServerError);
    }

    #[test]
    fn a_blocked_prompt_is_the_clients() {
        for (body, message) in [
            (r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#, "the provider blocked the prompt: SAFETY"),
            (r#"{"promptFeedback":{"blockReason":"MODEL_ARMOR","blockReasonMessage":"m"}}"#, "m"),
        ] {
            let document = Document::parse(body.as_bytes()).unwrap();
            let error = blocked(document.root()).unwrap();
            assert_eq!((error.cause, error.message.as_str()), (Cause::ContentPolicy, message));
        }
        let document = Document::parse(br#"{"promptFeedback":{"safetyRatings":[]}}"#).unwrap();
        assert!(blocked(document.root()).is_none());
    }
}
