//! Errors, as OpenAI writes them: <https://platform.openai.com/docs/guides/error-codes>

use crate::error::Error;
use crate::json::Writer;

/// The body of an answer that is an error.
pub fn error_body(error: &Error) -> String {
    let mut out = String::new();
    write(error, &mut out);
    out
}

/// The event that tells of an error in the middle of a stream. Official clients raise on any data with a member
/// `error`; nothing follows it, `[DONE]` least of all.
pub fn error_event(error: &Error, out: &mut String) {
    out.push_str("data: ");
    write(error, out);
    out.push_str("\n\n");
}

fn write(error: &Error, out: &mut String) {
    Writer::new(out).object(|w| {
        w.name("error").object(|w| {
            w.field("message", &error.message);
            w.field("type", error.client_kind());
            w.field("param", &error.param.as_deref());
            w.field("code", &error.client_code());
        });
    });
}

#[cfg(test)]
mod tests {
    use super::{error_body, error_event};
    use crate::error::{Cause, Error};

    fn check(error: Error, expected: &str) {
        assert_eq!(error_body(&error), format!(r#"{{"error":{expected}}}"#));
        let mut event = String::new();
        error_event(&error, &mut event);
        assert_eq!(event, format!("data: {{\"error\":{expected}}}\n\n"));
    }

    #[test]
    fn errors_are_told_in_openais_terms() {
        let bad = Error::bad_request("no \"x\"\n", "messages[0]");
        check(bad, r#"{"message":"no \"x\"\n","type":"invalid_request_error","param":"messages[0]","code":null}"#);
        let theirs = |cause, kind: &str, code: &str| Error {
            kind: Some(kind.to_owned()),
            code: Some(code.to_owned()),
            ..Error::new(cause, "m")
        };
        let limited = theirs(Cause::RateLimited, "tokens", "rate_limit_exceeded");
        check(limited, r#"{"message":"m","type":"tokens","param":null,"code":"rate_limit_exceeded"}"#);
        let numbered = theirs(Cause::Overloaded, "server_error", "503");
        check(numbered, r#"{"message":"m","type":"server_error","param":null,"code":"server_is_overloaded"}"#);
        let long = theirs(Cause::ContextWindow, "invalid_request_error", "too_long");
        check(long, r#"{"message":"m","type":"invalid_request_error","param":null,"code":"context_length_exceeded"}"#);
        let key = theirs(Cause::Authentication, "invalid_request_error", "invalid_api_key");
        check(key, r#"{"message":"m","type":"server_error","param":null,"code":"upstream_authentication_failed"}"#);
    }
}
