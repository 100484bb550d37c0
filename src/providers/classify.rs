//! What an error of a provider means, as far as providers agree. Each kind looks at its own codes first.

use crate::error::{Cause, Error};
use crate::json::{Kind, Value};

/// An error with `status`, whose message, type, code and param are looked for where most providers have them:
/// `{"error": {"message", "type", "code", "param"}}`, `{"error": "..."}`, `{"message"}`, `{"detail"}`.
pub(super) fn error(status: u16, body: Option<Value<'_>>) -> Error {
    let inner = body.and_then(|body| body.get("error")).filter(|error| error.kind() == Kind::Object).or(body);
    let text = |name: &str| inner.and_then(|inner| inner.get(name)).and_then(text_of);
    let message = text("message")
        .or_else(|| text("error"))
        .or_else(|| text("detail"))
        .unwrap_or_else(|| format!("the provider answered with status {status}"));
    let code = text("code").or_else(|| text("type"));
    let cause = cause(status, &message, code.as_deref().unwrap_or_default());
    Error {
        status: Some(status),
        code: text("code"),
        kind: text("type"),
        param: text("param"),
        ..Error::new(cause, message)
    }
}

/// What `status`, `message` and `code` together mean.
pub(super) fn cause(status: u16, message: &str, code: &str) -> Cause {
    let said = message.to_ascii_lowercase();
    match status {
        401 => Cause::Authentication,
        402 => Cause::QuotaExhausted,
        429 if code == "insufficient_quota" => Cause::QuotaExhausted,
        _ if is_context_window(&said, code) => Cause::ContextWindow,
        400 | 403 | 422 if is_content_policy(&said, code) => Cause::ContentPolicy,
        403 => Cause::Authentication,
        404 => Cause::TargetNotFound,
        408 => Cause::Timeout,
        413 => Cause::TooLarge,
        429 => Cause::RateLimited,
        503 | 529 => Cause::Overloaded,
        504 | 524 => Cause::Timeout,
        400..500 => Cause::BadRequest,
        _ => Cause::ServerError,
    }
}

/// Whatever the status: providers answer 400, 413 or 422. `said` is in lower case.
fn is_context_window(said: &str, code: &str) -> bool {
    const SAID: &[&str] = &[
        "context_length_exceeded",
        "maximum context length",
        "longer than the model's context length",
        "exceed context limit",
        "input tokens exceed the configured limit",
        "`inputs` tokens + `max_new_tokens` must be",
        "exceeds the available context size",
        "exceeds the maximum number of tokens allowed",
        "prompt is too long",
        "input is too long for requested model",
        "too many tokens",
    ];
    let number_of_tokens = said.contains("maximum input length is") && said.contains("tokens");
    let cerebras = said.contains("current length is") && said.contains("while limit is");
    code == "context_length_exceeded" || number_of_tokens || cerebras || SAID.iter().any(|words| said.contains(words))
}

fn is_content_policy(said: &str, code: &str) -> bool {
    const SAID: &[&str] = &[
        "content_policy_violation",
        "responsibleaipolicyviolation",
        "content management policy",
        "rejected as a result of our safety system",
        "content_filter",
    ];
    matches!(code, "content_policy_violation" | "content_filter") || SAID.iter().any(|words| said.contains(words))
}

/// Strings as they are, numbers as written (OpenRouter's codes are numbers), other things as JSON.
fn text_of(value: Value<'_>) -> Option<String> {
    match value.kind() {
        Kind::Null => None,
        Kind::String => value.as_str().map(|text| text.decode().into_owned()),
        _ => Some(value.raw().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::error;
    use crate::error::Cause;
    use crate::json::Document;

    fn check(status: u16, body: &str, cause: Cause, message: &str) {
        let document = Document::parse(body.as_bytes()).ok();
        let error = error(status, document.as_ref().map(Document::root));
        assert_eq!((error.cause, error.message.as_str()), (cause, message), "{status} {body}");
    }

    #[test]
    fn errors_are_recognised_in_every_shape() {
        let openai = r#"{"error":{"message":"m","type":"invalid_request_error","param":null,"code":null}}"#;
        check(400, openai, Cause::BadRequest, "m");
        check(401, r#"{"error":{"message":"bad key"}}"#, Cause::Authentication, "bad key");
        check(404, r#"{"error":"model 'x' not found"}"#, Cause::TargetNotFound, "model 'x' not found");
        check(422, r#"{"detail":[{"msg":"m"}]}"#, Cause::BadRequest, r#"[{"msg":"m"}]"#);
        check(429, r#"{"message":"slow down"}"#, Cause::RateLimited, "slow down");
        check(429, r#"{"error":{"message":"m","code":"insufficient_quota"}}"#, Cause::QuotaExhausted, "m");
        check(500, "oops", Cause::ServerError, "the provider answered with status 500");
        check(529, "{}", Cause::Overloaded, "the provider answered with status 529");
        for status in [400, 413, 422] {
            let body = r#"{"error":{"message":"This model's maximum context length is 5 tokens"}}"#;
            check(status, body, Cause::ContextWindow, "This model's maximum context length is 5 tokens");
        }
        check(400, r#"{"error":{"message":"m","code":"content_filter"}}"#, Cause::ContentPolicy, "m");
    }
}
