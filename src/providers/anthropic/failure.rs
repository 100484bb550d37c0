//! What Anthropic's errors mean: `{"type": "error", "error": {"type", "message"}}`.
//!
//! <https://platform.claude.com/docs/en/api/errors>

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
    find(body).map(|error| read(200, error))
}

/// The error object, which is known by its `type`.
fn find(body: Value<'_>) -> Option<Value<'_>> {
    body.get("error").filter(|error| error.kind() == Kind::Object && error.get("type").is_some())
}

fn read(status: u16, error: Value<'_>) -> Error {
    let text = |name| error.get(name).and_then(Value::as_str).map(|text| text.decode().into_owned());
    let kind = text("type").unwrap_or_default();
    let message = text("message").unwrap_or_else(|| format!("the provider failed: {kind}"));
    Error::new(cause(status, &kind, &message), message)
}

fn cause(status: u16, kind: &str, message: &str) -> Cause {
    match kind {
        "invalid_request_error" => refusal(status, message),
        "authentication_error" | "permission_error" => Cause::Authentication,
        "billing_error" => Cause::QuotaExhausted,
        "not_found_error" => Cause::TargetNotFound,
        // More than 32 MB: another provider, or a larger model, may take it.
        "request_too_large" => Cause::ContextWindow,
        "rate_limit_error" => Cause::RateLimited,
        "overloaded_error" => Cause::Overloaded,
        "timeout_error" => Cause::Timeout,
        // With 503 it says less than the status.
        "api_error" if status != 503 => Cause::ServerError,
        _ => classify::cause(status, message, kind),
    }
}

/// `invalid_request_error` is said of more than invalid requests.
fn refusal(status: u16, message: &str) -> Cause {
    let said = message.to_ascii_lowercase();
    // Both with status 400: https://github.com/anthropics/claude-code/issues/4684,
    // https://github.com/anthropics/claude-code/issues/2127
    if said.contains("credit balance is too low") || said.contains("api usage limits") {
        return Cause::QuotaExhausted;
    }
    // In the middle of streams too: https://github.com/anthropics/claude-code/issues/58367
    if said.contains("content filtering policy") {
        return Cause::ContentPolicy;
    }
    classify::cause(if status == 200 { 400 } else { status }, message, "")
}

#[cfg(test)]
mod tests {
    use super::of_status;
    use crate::error::Cause;
    use crate::json::Document;

    fn check(status: u16, kind: &str, message: &str, expected: Cause) {
        let body = format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#);
        let document = Document::parse(body.as_bytes()).unwrap();
        let error = of_status(status, Some(document.root()));
        assert_eq!((error.cause, error.message.as_str(), error.status), (expected, message, Some(status)), "{body}");
        assert_eq!((error.kind, error.code), (None, None));
    }

    #[test]
    fn errors_are_known_by_their_type() {
        check(400, "invalid_request_error", "messages: Field required", Cause::BadRequest);
        check(400, "invalid_request_error", "prompt is too long: 3 tokens > 2 maximum", Cause::ContextWindow);
        check(400, "invalid_request_error", "Your credit balance is too low to access it", Cause::QuotaExhausted);
        check(400, "invalid_request_error", "You have reached your specified API usage limits.", Cause::QuotaExhausted);
        check(400, "invalid_request_error", "Output blocked by content filtering policy", Cause::ContentPolicy);
        check(401, "authentication_error", "invalid x-api-key", Cause::Authentication);
        check(402, "billing_error", "m", Cause::QuotaExhausted);
        check(403, "permission_error", "m", Cause::Authentication);
        check(404, "not_found_error", "model: x", Cause::TargetNotFound);
        check(413, "request_too_large", "m", Cause::ContextWindow);
        check(429, "rate_limit_error", "m", Cause::RateLimited);
        check(500, "api_error", "m", Cause::ServerError);
        check(503, "api_error", "m", Cause::Overloaded);
        check(504, "timeout_error", "m", Cause::Timeout);
        check(529, "overloaded_error", "m", Cause::Overloaded);
        check(503, "brand_new_error", "m", Cause::Overloaded);
    }

    #[test]
    fn what_a_proxy_answers_is_known_by_its_status() {
        let document = Document::parse(br#"{"error":{"code":429,"message":"m"}}"#).unwrap();
        let error = of_status(429, Some(document.root()));
        assert_eq!((error.cause, error.message.as_str(), error.code), (Cause::RateLimited, "m", None));
        assert_eq!(of_status(502, None).cause, Cause::ServerError);
    }
}
