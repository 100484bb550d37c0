//! What Bedrock's errors mean: a name in `x-amzn-errortype`, and `{"message"}`.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html>

use super::super::{Failure, classify};
use crate::error::{Cause, Error};
use crate::json::{Kind, Value};

/// The answer with an error status.
pub(super) fn of_status(failure: &Failure<'_>) -> Error {
    let body = failure.body.filter(|body| body.kind() == Kind::Object);
    let in_body = body.and_then(|body| words(body, &["__type", "code"]));
    let name = failure.name.map(str::to_owned).or(in_body).unwrap_or_default();
    match body.and_then(message) {
        Some(message) => error(failure.status, &name, message),
        // A proxy's on the way. Its type and code are not OpenAI's.
        None => {
            let other = classify::error(failure.status, failure.body);
            let cause = named(bare(&name), &other.message).unwrap_or(other.cause);
            Error { cause, kind: None, code: None, ..other }
        }
    }
}

/// An exception in a stream; `payload` is JSON if it is anything.
pub(super) fn in_stream(name: &str, payload: Option<Value<'_>>) -> Error {
    let message = payload.and_then(message);
    error(200, name, message.unwrap_or_else(|| format!("the provider's stream failed: {name}")))
}

fn error(status: u16, name: &str, message: String) -> Error {
    let asked = if status == 200 { 500 } else { status };
    let cause = named(bare(name), &message).or_else(|| refusal(&message));
    let cause = cause.unwrap_or_else(|| classify::cause(asked, &message, ""));
    Error { status: Some(status), ..Error::new(cause, message) }
}

/// `ThrottlingException` of `com.amazon.coral#ThrottlingException:http://internal.amazon.com/`.
fn bare(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default().trim()
}

/// The cause that the name stands for. In streams names begin with a small letter.
fn named(name: &str, message: &str) -> Option<Cause> {
    let is = |names: &[&str]| names.iter().any(|other| other.eq_ignore_ascii_case(name));
    Some(match () {
        () if is(&["ThrottlingException", "TooManyRequestsException", "ServiceQuotaExceededException"]) => {
            Cause::RateLimited
        }
        () if is(&["ValidationException"]) => refusal(message).unwrap_or_else(|| classify::cause(400, message, "")),
        () if is(AUTHENTICATION) => Cause::Authentication,
        () if is(&["ResourceNotFoundException", "UnknownOperationException"]) => Cause::TargetNotFound,
        () if is(&["ModelTimeoutException"]) => Cause::Timeout,
        () if is(&["ServiceUnavailableException", "ModelNotReadyException"]) => Cause::Overloaded,
        () if is(&[
            "ModelErrorException",
            "ModelStreamErrorException",
            "InternalServerException",
            "InternalFailure",
        ]) =>
        {
            Cause::ServerError
        }
        () => return None,
    })
}

const AUTHENTICATION: &[&str] = &[
    "AccessDeniedException",
    "UnrecognizedClientException",
    "ExpiredTokenException",
    "ExpiredToken",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationTokenException",
    "MissingAuthenticationToken",
    "InvalidClientTokenId",
    "NotAuthorized",
    "OptInRequired",
    "RequestExpired",
];

/// `ValidationException` is said of more than invalid requests.
fn refusal(message: &str) -> Option<Cause> {
    const MODEL: &[&str] =
        &["provided model identifier is invalid", "on-demand throughput isn", "reached the end of its life"];
    const ACCOUNT: &[&str] = &["operation not allowed", "invalid api key", "api key is valid"];
    const LENGTH: &[&str] =
        &["input is too long", "too many input tokens", "input tokens exceeded", "prompt is too long"];
    let said = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| said.contains(words));
    match () {
        () if says(MODEL) => Some(Cause::TargetNotFound),
        () if says(ACCOUNT) => Some(Cause::Authentication),
        () if says(LENGTH) => Some(Cause::ContextWindow),
        () if said.contains("content filtering policy") => Some(Cause::ContentPolicy),
        () => None,
    }
}

fn message(body: Value<'_>) -> Option<String> {
    words(body, &["message", "Message", "originalMessage"]).filter(|message| !message.trim().is_empty())
}

fn words(body: Value<'_>, names: &[&str]) -> Option<String> {
    let text = names.iter().find_map(|name| body.get(name).and_then(Value::as_str))?;
    Some(text.decode().into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::super::Failure;
    use super::{in_stream, of_status};
    use crate::error::Cause;
    use crate::json::Document;

    #[test]
    fn errors_are_known_by_their_name() {
        let long = "ResourceNotFoundException:http://internal.amazon.com/coral/com.amazon.bedrock/";
        let token = "com.amazon.coral.service#UnrecognizedClientException";
        for (status, name, message, cause) in [
            (429, "ThrottlingException", "Too many tokens, please wait before trying again.", Cause::RateLimited),
            (400, "ServiceQuotaExceededException", "m", Cause::RateLimited),
            (400, "ValidationException", "Malformed input request", Cause::BadRequest),
            (400, "ValidationException", "Input is too long for requested model.", Cause::ContextWindow),
            (400, "ValidationException", "The provided model identifier is invalid.", Cause::TargetNotFound),
            (400, "", "The provided model identifier is invalid.", Cause::TargetNotFound),
            (
                400,
                "ValidationException",
                "Invocation of model ID x with on-demand throughput isn\u{2019}t supported.",
                Cause::TargetNotFound,
            ),
            (400, "ValidationException", "Operation not allowed", Cause::Authentication),
            (400, "", "This model doesn't support the video content block", Cause::BadRequest),
            (403, "AccessDeniedException", "m", Cause::Authentication),
            (403, token, "The security token included in the request is invalid.", Cause::Authentication),
            (400, "ExpiredTokenException", "m", Cause::Authentication),
            (404, long, "m", Cause::TargetNotFound),
            (408, "ModelTimeoutException", "m", Cause::Timeout),
            (424, "ModelErrorException", "m", Cause::ServerError),
            (429, "ModelNotReadyException", "m", Cause::Overloaded),
            (500, "InternalServerException", "m", Cause::ServerError),
            (503, "ServiceUnavailableException", "m", Cause::Overloaded),
            (429, "BrandNewException", "m", Cause::RateLimited),
            (500, "", "m", Cause::ServerError),
        ] {
            for key in ["message", "Message"] {
                let body = serde_json::json!({key: message}).to_string();
                let document = Document::parse(body.as_bytes()).unwrap();
                let error = of_status(&Failure { status, body: Some(document.root()), name: Some(name) });
                assert_eq!((error.cause, error.message.as_str()), (cause, message), "{name} {message}");
                assert_eq!((error.status, error.kind, error.code), (Some(status), None, None));
            }
        }
    }

    #[test]
    fn a_name_is_enough_and_so_is_a_status() {
        let of = |status, body: &str, name| {
            let document = Document::parse(body.as_bytes()).ok();
            of_status(&Failure { status, body: document.as_ref().map(Document::root), name }).cause
        };
        assert_eq!(of(400, "", Some("ThrottlingException")), Cause::RateLimited);
        assert_eq!(of(400, "{}", Some("ExpiredTokenException")), Cause::Authentication);
        assert_eq!(of(400, r#"{"__type":"a#AccessDeniedException","Message":"m"}"#, None), Cause::Authentication);
        assert_eq!(of(502, "<html>", None), Cause::ServerError);
        assert_eq!(of(403, "", None), Cause::Authentication);
    }

    #[test]
    fn exceptions_of_streams_are_the_same() {
        let payload = Document::parse(br#"{"message":"Too many requests","p":"abc"}"#).unwrap();
        for (name, cause) in [
            ("throttlingException", Cause::RateLimited),
            ("modelStreamErrorException", Cause::ServerError),
            ("serviceUnavailableException", Cause::Overloaded),
            ("internalServerException", Cause::ServerError),
            ("validationException", Cause::BadRequest),
            ("somethingNew", Cause::ServerError),
        ] {
            let error = in_stream(name, Some(payload.root()));
            assert_eq!((error.cause, error.message.as_str()), (cause, "Too many requests"), "{name}");
        }
        assert_eq!(in_stream("throttlingException", None).message, "the provider's stream failed: throttlingException");
    }
}
