//! What an error of a provider means, as far as providers agree. Each kind looks at its own codes first.

use crate::error::{Cause, Error};
use crate::json::{Document, Kind, Value};

/// An error with `status`, whose message, type, code and param are looked for where most providers have them:
/// `{"error": {"message", "type", "code", "param"}}`, `{"error": "..."}`, `{"message"}`, `{"detail"}`,
/// `{"errors": [{"message"}]}`, or an array of one of these. `status` is 200 for an error that came inside of one.
pub(super) fn error(status: u16, body: Option<Value<'_>>) -> Error {
    let inner = body.map(innermost);
    let text = |name: &str| inner.and_then(|inner| inner.get(name)).and_then(text_of);
    let message = inner.and_then(words).unwrap_or_else(|| match status {
        200..300 => "the provider broke off with an error".to_owned(),
        _ => format!("the provider answered with status {status}"),
    });
    let (code, kind) = (text("code"), text("type"));
    let names = [code.as_deref().unwrap_or_default(), kind.as_deref().unwrap_or_default()];
    let meant = match status {
        200..300 => inner.and_then(|inner| status_inside(inner, names)).unwrap_or(status),
        _ => status,
    };
    let cause = said_by(meant, &message, &names);
    Error { status: Some(status), param: text("param"), code, kind, ..Error::new(cause, message) }
}

/// What `status`, `message` and `code` together mean.
pub(super) fn cause(status: u16, message: &str, code: &str) -> Cause {
    said_by(status, message, &[code])
}

/// What `status`, `message`, and `names`, the error's code and type, together mean.
fn said_by(status: u16, message: &str, names: &[&str]) -> Cause {
    let said = message.to_ascii_lowercase();
    let named = |known: &[&str]| names.iter().any(|name| known.contains(name));
    match status {
        401 => Cause::Authentication,
        402 => Cause::QuotaExhausted,
        _ if named(&["insufficient_quota"]) => Cause::QuotaExhausted,
        // Bedrock: "Too many tokens, please wait before trying again."
        429 if !named(CONTEXT_WINDOW) => Cause::RateLimited,
        // Groq's word for a request that is larger than what a minute allows.
        413 if named(&["rate_limit_exceeded"]) => Cause::RateLimited,
        _ if named(CONTEXT_WINDOW) || is_context_window(&said) => Cause::ContextWindow,
        200..300 | 400 | 403 | 422 if named(CONTENT_POLICY) || says_any(&said, SAID_OF_CONTENT) => Cause::ContentPolicy,
        400..500 if named(UNKNOWN_MODEL) || says_any(&said, SAID_OF_MODELS) => Cause::TargetNotFound,
        // xAI and Gemini answer a bad key with 400.
        400 if named(&["invalid_api_key"]) || says_any(&said, SAID_OF_KEYS) => Cause::Authentication,
        403 => Cause::Authentication,
        404 | 410 => Cause::TargetNotFound,
        408 => Cause::Timeout,
        413 => Cause::TooLarge,
        // 498: Groq has no capacity for the flexible tier.
        498 | 503 | 529 => Cause::Overloaded,
        504 | 524 => Cause::Timeout,
        400..500 => Cause::BadRequest,
        _ => Cause::ServerError,
    }
}

const CONTEXT_WINDOW: &[&str] =
    &["context_length_exceeded", "exceed_context_size_error", "model_max_prompt_tokens_exceeded"];
const CONTENT_POLICY: &[&str] =
    &["content_policy_violation", "content_filter", "data_inspection_failed", "invalid_prompt", "1301"];
const UNKNOWN_MODEL: &[&str] =
    &["model_not_found", "model_not_available", "model_decommissioned", "invalid_model", "DeploymentNotFound"];

const SAID_OF_CONTENT: &[&str] = &[
    "content_policy_violation",
    "responsibleaipolicyviolation",
    "content management policy",
    "rejected as a result of our safety system",
    "content_filter",
    // xAI, OpenRouter, OpenAI's reasoning models, DeepSeek, Moonshot
    "content violates usage guidelines",
    "input was flagged",
    "violating our usage policy",
    "content exists risk",
    "considered high risk",
];
const SAID_OF_MODELS: &[&str] = &["is not a valid model id"];
const SAID_OF_KEYS: &[&str] = &["incorrect api key provided", "api key not valid"];

/// Whatever the status: providers answer 400, 413 or 422. `said` is in lower case.
fn is_context_window(said: &str) -> bool {
    const SAID: &[&str] = &[
        "context_length_exceeded",
        "maximum context length",
        "longer than the model's context length",
        "longer than the maximum model length",
        "greater than the context length",
        "exceed context limit",
        "exceeds the context window",
        "context window exceeds limit",
        "input tokens exceed the configured limit",
        "`inputs` tokens + `max_new_tokens` must be",
        "exceeds the available context size",
        "exceeds the maximum number of tokens allowed",
        "exceeded model token limit",
        "maximum prompt length is",
        "prompt exceeds max length",
        "prompt is too long",
        "prompt token count of",
        "input is too long for requested model",
        "range of input length should be",
        "reduce the length of the messages",
        "too many tokens",
    ];
    let number_of_tokens = said.contains("maximum input length is") && said.contains("tokens");
    let cerebras = said.contains("current length is") && said.contains("while limit is");
    number_of_tokens || cerebras || says_any(said, SAID)
}

fn says_any(said: &str, words: &[&str]) -> bool {
    words.iter().any(|words| said.contains(words))
}

/// The object that says what happened.
fn innermost(body: Value<'_>) -> Value<'_> {
    // Gemini's compatible interface answers with a list of one.
    let body = body.elements().next().unwrap_or(body);
    let error = body.get("error").filter(|error| error.kind() == Kind::Object);
    // Cloudflare: {"success": false, "errors": [{"code", "message"}]}
    let first = || body.get("errors")?.elements().next().filter(|error| error.kind() == Kind::Object);
    error.or_else(first).unwrap_or(body)
}

/// The provider's own words.
fn words(error: Value<'_>) -> Option<String> {
    let said = ["message", "error", "detail", "msg"].iter().find_map(|name| error.get(name).and_then(text_of));
    // OpenRouter: {"message": "Provider returned error", "metadata": {"raw": "...", "provider_name"}}
    let raw = error.path(&["metadata", "raw"]).and_then(Value::as_str).filter(|raw| !raw.is_blank());
    let Some(raw) = raw.as_ref().map(|raw| raw.decode()) else { return said };
    let document = Document::parse(raw.as_bytes()).ok();
    let inside = document.as_ref().map(|document| innermost(document.root())).filter(|inside| !has_raw(*inside));
    let inside = inside.and_then(words).unwrap_or_else(|| raw.trim().to_owned());
    Some(said.map_or(inside.clone(), |said| format!("{said}: {inside}")))
}

/// Another one inside is not followed: there could be any number of them.
fn has_raw(error: Value<'_>) -> bool {
    error.path(&["metadata", "raw"]).is_some()
}

/// The status that an error inside a 200 would have had. Faults of the request are left out: it was accepted.
fn status_inside(error: Value<'_>, names: [&str; 2]) -> Option<u16> {
    let number = |name: &&str| error.get(name).and_then(text_of)?.parse().ok();
    let told = |status: &u16| matches!(status, 401..=404 | 408 | 429 | 500..=599);
    ["status_code", "code", "status", "http_status"].iter().filter_map(number).find(told).or_else(|| {
        names.iter().find_map(|name| match *name {
            "rate_limit_exceeded" | "rate_limit_error" | "too_many_requests" => Some(429),
            "overloaded" | "overloaded_error" | "server_is_overloaded" => Some(503),
            "authentication_error" | "invalid_api_key" => Some(401),
            "timeout" | "timeout_error" => Some(504),
            _ => None,
        })
    })
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
        check(400, r#"[{"error":{"code":400,"message":"m"}}]"#, Cause::BadRequest, "m");
        check(400, r#"{"success":false,"errors":[{"code":5007,"message":"m"}]}"#, Cause::BadRequest, "m");
    }

    #[test]
    fn what_is_said_counts_for_more_than_the_status() {
        for (status, code, message, cause) in [
            (429, "ThrottlingException", "Too many tokens, please wait before trying again.", Cause::RateLimited),
            (413, "rate_limit_exceeded", "Request too large for model", Cause::RateLimited),
            (
                400,
                "",
                "This model's maximum prompt length is 5 but the request contains 6 tokens.",
                Cause::ContextWindow,
            ),
            (400, "context_length_exceeded", "m", Cause::ContextWindow),
            (403, "", "Content violates usage guidelines.", Cause::ContentPolicy),
            (400, "model_decommissioned", "m", Cause::TargetNotFound),
            (400, "", "acme/x is not a valid model ID", Cause::TargetNotFound),
            (400, "", "Incorrect API key provided: xx", Cause::Authentication),
            (498, "", "m", Cause::Overloaded),
        ] {
            let body = format!(r#"{{"error":{{"message":"{message}","code":"{code}"}}}}"#);
            check(status, &body, cause, message);
        }
        let quota = r#"{"error":{"message":"m","type":"insufficient_quota","code":"429"}}"#;
        check(429, quota, Cause::QuotaExhausted, "m");
    }

    #[test]
    fn an_error_inside_a_200_says_its_status_itself() {
        for (error, cause) in [
            (r#"{"message":"m","code":429}"#, Cause::RateLimited),
            (r#"{"message":"m","code":"502"}"#, Cause::ServerError),
            (r#"{"message":"m","code":503}"#, Cause::Overloaded),
            (r#"{"message":"m","code":"tool_use_failed","status_code":400}"#, Cause::ServerError),
            (r#"{"message":"m","type":"rate_limit_error"}"#, Cause::RateLimited),
            (r#"{"message":"m","type":"overloaded_error","code":null}"#, Cause::Overloaded),
            (r#"{"message":"m","code":"content_filter"}"#, Cause::ContentPolicy),
            (r#"{"message":"m"}"#, Cause::ServerError),
        ] {
            check(200, &format!(r#"{{"error":{error}}}"#), cause, "m");
        }
        check(200, r#"{"finish_reason":"error"}"#, Cause::ServerError, "the provider broke off with an error");
    }

    #[test]
    fn openrouter_hands_on_what_it_was_told() {
        let body = |raw: &str| {
            format!(r#"{{"error":{{"message":"Provider returned error","code":403,"metadata":{{"raw":{raw}}}}}}}"#)
        };
        for (raw, cause, said) in [
            (
                r#""{\"code\":\"x\",\"error\":\"Content violates usage guidelines.\"}""#,
                Cause::ContentPolicy,
                ": Content violates usage guidelines.",
            ),
            (r#""{\"error\":{\"message\":\"prompt is too long\"}}""#, Cause::ContextWindow, ": prompt is too long"),
            (r#"" plain ""#, Cause::Authentication, ": plain"),
            (r#""{\"metadata\":{\"raw\":\"a\"}}""#, Cause::Authentication, r#": {"metadata":{"raw":"a"}}"#),
            (r#""""#, Cause::Authentication, ""),
            ("null", Cause::Authentication, ""),
        ] {
            check(403, &body(raw), cause, &format!("Provider returned error{said}"));
        }
    }
}
