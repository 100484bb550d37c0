//! Every way in which a provider can fail, and whether what a client got of it is what it should get.

use serde_json::Value;

use super::Answer;

/// What the mock answers to `good day`.
pub const TEXT: &str = "Mock answer to: good day";

/// What becomes of a request whose only target fails in some way.
#[derive(Clone, Copy)]
pub enum Ends {
    /// With this status and code, whether it is streamed or not.
    Error(u16, Option<&'static str>),
    /// Not streamed it fails, so that another target takes over; streamed, the client has seen some: an error event.
    EventOnceStreamed,
    /// The same, but the connection breaks.
    BreakOnceStreamed,
}

use Ends::{BreakOnceStreamed, Error, EventOnceStreamed};

/// Directive of the mock; whether another target takes over; how it ends if there is none.
pub const FAILURES: &[(&str, bool, Ends)] = &[
    ("status=500", true, Error(500, None)),
    ("status=502", true, Error(502, None)),
    ("status=503", true, Error(503, Some("server_is_overloaded"))),
    ("status=529", true, Error(503, Some("server_is_overloaded"))),
    ("status=429&retry-after=7", true, Error(429, Some("rate_limit_exceeded"))),
    ("status=401", true, Error(502, Some("upstream_authentication_failed"))),
    ("status=403", true, Error(502, Some("upstream_authentication_failed"))),
    ("status=404", true, Error(404, Some("model_not_found"))),
    ("reset", true, Error(503, Some("upstream_unavailable"))),
    ("close", true, Error(503, Some("upstream_unavailable"))),
    ("hang", true, Error(504, Some("upstream_timeout"))),
    ("headers-then-wait=30000", true, Error(504, Some("upstream_timeout"))),
    ("empty", true, Error(502, Some("upstream_bad_answer"))),
    ("garbage", true, Error(502, Some("upstream_bad_answer"))),
    ("error-event=0&status=500", true, Error(500, None)),
    ("status=400", false, Error(400, None)),
    ("error=context", false, Error(400, Some("context_length_exceeded"))),
    ("end=5&chunk-delay=20", true, EventOnceStreamed),
    ("error-event=5&chunk-delay=20", true, EventOnceStreamed),
    ("cut=5&chunk-delay=20", true, BreakOnceStreamed),
];

/// It is the whole answer, of this provider's, after so many attempts.
pub fn answered(answer: &Answer, provider: &str, attempts: &str) -> Result<(), String> {
    let from = (answer.header("x-gateway-provider"), answer.header("x-gateway-attempts"));
    if answer.status != 200 || answer.broken || from != (Some(provider), Some(attempts)) || answer.text() != TEXT {
        return Err(format!("{answer:?}"));
    }
    Ok(())
}

/// It ends as it should.
pub fn failed(answer: &Answer, ends: Ends, stream: bool) -> Result<(), String> {
    let good = match ends {
        Error(status, code) => {
            let error = &answer.json()["error"];
            let shape = error["message"].is_string() && error["type"].is_string();
            let code = code.is_none_or(|code| error["code"] == code);
            let retry = answer.header("x-should-retry") == Some("false") || !(status == 429 || status >= 500);
            let after = status != 429 || answer.header("retry-after") == Some("7");
            answer.status == status && shape && code && retry && after && !answer.broken
        }
        EventOnceStreamed if stream => {
            let events = answer.events();
            let last: Value = events.last().and_then(|event| serde_json::from_str(event).ok()).unwrap_or_default();
            !answer.broken
                && last["error"]["message"].is_string()
                && !answer.body.contains("[DONE]")
                && events.len() > 1
        }
        BreakOnceStreamed if stream => answer.broken && !answer.body.contains("[DONE]"),
        EventOnceStreamed | BreakOnceStreamed => answer.status >= 500 && answer.json()["error"]["message"].is_string(),
    };
    if good { Ok(()) } else { Err(format!("{answer:?}")) }
}
