//! What Cohere's errors mean: `{"id", "message"}`, and in the end of a stream `{"finish_reason", "error"}`.
//!
//! <https://docs.cohere.com/reference/errors>

use super::super::classify;
use crate::error::{Cause, Error};
use crate::json::{Kind, Value};

/// The answer with an error `status`.
pub(super) fn of_status(status: u16, body: Option<Value<'_>>) -> Error {
    let error = classify::error(status, body);
    let said = error.message.to_ascii_lowercase();
    let cause = match status {
        // "max tokens must be less than or equal to 4096, the maximum output for this model": the prompt is not too long.
        400 | 422 if said.contains("maximum output for this model") => Cause::BadRequest,
        // "You are using a Trial key, which is limited to 1000 API calls / month": no use in waiting.
        429 if said.contains("/ month") => Cause::QuotaExhausted,
        // `InvalidTokenError` of the official SDKs: a token on a deny list. Other providers mean other things by 498.
        498 => Cause::ContentPolicy,
        // "request cancelled", though nobody did.
        499 => Cause::ServerError,
        _ => error.cause,
    };
    Error { cause, ..error }
}

/// The error that a body with status 200, or an event of a stream, is in truth: one with a text for a message.
pub(super) fn inside(body: Value<'_>) -> Option<Error> {
    let is_error = |name: &str| body.get(name).is_some_and(|word| word.kind() == Kind::String);
    (is_error("message") || is_error("error")).then(|| classify::error(200, Some(body)))
}

/// The error that an end is, whose `native` reason is not that the model was done.
pub(super) fn of_finish(native: &str, end: Value<'_>) -> Option<Error> {
    let said = |name| end.get(name).and_then(Value::as_str).map(|text| text.decode().into_owned());
    let message = said("error").or_else(|| said("message"));
    let message = message.unwrap_or_else(|| format!("the provider broke off with the reason {native}"));
    let cause = match native {
        "ERROR" => classify::cause(200, &message, &said("error_type").unwrap_or_default()),
        "TIMEOUT" => Cause::Timeout,
        _ => return None,
    };
    Some(Error { status: Some(200), ..Error::new(cause, message) })
}

#[cfg(test)]
mod tests {
    use super::{inside, of_finish, of_status};
    use crate::error::Cause;
    use crate::json::Document;

    #[test]
    fn errors_are_known_by_status_and_words() {
        for (status, message, cause) in [
            (400, "invalid request: message must be at least 1 token long", Cause::BadRequest),
            (400, "too many tokens: size limit exceeded by 11326 tokens.", Cause::ContextWindow),
            (
                400,
                "too many tokens: max tokens must be less than or equal to 4096, the maximum output for this model - received 8192.",
                Cause::BadRequest,
            ),
            (401, "invalid api token", Cause::Authentication),
            (402, "Please add or update your payment method", Cause::QuotaExhausted),
            (403, "forbidden", Cause::Authentication),
            (404, "model 'x' not found, make sure the correct model ID was used", Cause::TargetNotFound),
            (422, "invalid type", Cause::BadRequest),
            (429, "You are using a Trial key, which is limited to 40 API calls / minute", Cause::RateLimited),
            (429, "You are using a Trial key, which is limited to 1000 API calls / month", Cause::QuotaExhausted),
            (498, "invalid token", Cause::ContentPolicy),
            (499, "request cancelled", Cause::ServerError),
            (500, "internal server error", Cause::ServerError),
            (503, "service unavailable", Cause::Overloaded),
            (504, "timeout", Cause::Timeout),
        ] {
            let body = format!(r#"{{"id":"i","message":"{message}"}}"#);
            let document = Document::parse(body.as_bytes()).unwrap();
            let error = of_status(status, Some(document.root()));
            assert_eq!((error.cause, error.message.as_str(), error.status), (cause, message, Some(status)));
        }
        assert_eq!(of_status(502, None).cause, Cause::ServerError);
    }

    #[test]
    fn ends_may_be_errors() {
        for (native, end, expected) in [
            ("ERROR", r#"{"error":"m","error_type":"X"}"#, Some((Cause::ServerError, "m"))),
            ("ERROR", "{}", Some((Cause::ServerError, "the provider broke off with the reason ERROR"))),
            ("TIMEOUT", r#"{"error":"m"}"#, Some((Cause::Timeout, "m"))),
            ("COMPLETE", r#"{"error":null}"#, None),
        ] {
            let document = Document::parse(end.as_bytes()).unwrap();
            let error = of_finish(native, document.root());
            assert_eq!(error.as_ref().map(|error| (error.cause, error.message.as_str())), expected);
        }
        let answer = Document::parse(br#"{"message":{"role":"assistant"}}"#).unwrap();
        assert_eq!(inside(answer.root()), None);
    }
}
