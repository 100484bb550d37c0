//! Everything that a provider may do, and what is to follow from it.

use super::envoy::{Answer, End};
use super::wire::{Kind, bare, events, json, reset};

/// One thing that a provider of this kind may do when it is asked for a stream, or for an answer in one piece.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub kind: Kind,
    pub stream: bool,
}

/// What follows.
#[derive(Debug, Clone, Copy)]
pub enum Then {
    /// Nothing: it is a good answer.
    Good,
    /// The next target is tried. The client gets this if there is none.
    Next(Told),
    /// The same, but the client's answer is Envoy's own.
    Reset,
    /// The client gets it, whatever other targets there are.
    Final(Told),
    /// The client has got the first text, and gets this at its end.
    Broken(Told),
    /// The client has got the first text, and a reset at its end.
    Cut,
}

#[derive(Debug, Clone, Copy)]
pub struct Told {
    pub status: u16,
    pub kind: &'static str,
    pub code: Option<&'static str>,
    /// `gateway.error`
    pub cause: &'static str,
    pub retry_after: Option<&'static str>,
}

pub struct Fault {
    pub name: &'static str,
    /// Only where a stream is asked for, or where none is.
    pub only: Option<bool>,
    pub answer: fn(Asked) -> Answer,
    pub then: Then,
}

const fn told(cause: &'static str, status: u16, kind: &'static str, code: Option<&'static str>) -> Told {
    Told { status, kind, code, cause, retry_after: None }
}

const fn row(name: &'static str, only: Option<bool>, answer: fn(Asked) -> Answer, then: Then) -> Fault {
    Fault { name, only, answer, then }
}

/// What providers say in their errors; it must reach the client.
pub const SAID: &str = "no: \"é\"\n";

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";
const ANY: Option<bool> = None;
const STREAM: Option<bool> = Some(true);
const WHOLE: Option<bool> = Some(false);

const LIMITED: Told = told("rate_limited", 429, "rate_limit_error", Some("rate_limit_exceeded"));
const OVERLOADED: Told = told("overloaded", 503, SERVER, Some("server_is_overloaded"));
const FAILED: Told = told("server_error", 500, SERVER, None);
const BAD: Told = told("bad_answer", 502, SERVER, Some("upstream_bad_answer"));
const KEY: Told = told("authentication", 502, SERVER, Some("upstream_authentication_failed"));
const ABSENT: Told = told("target_not_found", 404, INVALID, Some("model_not_found"));
const CONTEXT: Told = told("context_window", 400, INVALID, Some("context_length_exceeded"));
const POLICY: Told = told("content_policy", 400, INVALID, Some("content_policy_violation"));
const QUOTA: Told = told("quota_exhausted", 429, "insufficient_quota", Some("insufficient_quota"));
const REFUSED: Told = told("bad_request", 400, INVALID, None);
const SLOW: Told = told("timeout", 504, SERVER, Some("upstream_timeout"));

const fn after(told: Told, retry_after: &'static str) -> Told {
    Told { retry_after: Some(retry_after), ..told }
}

impl Asked {
    /// An error with `status`; Anthropic's type is `theirs`.
    fn error(self, status: u16, kind: &str, theirs: &str) -> Answer {
        self.error_saying(status, kind, theirs, SAID)
    }

    fn error_saying(self, status: u16, kind: &str, theirs: &str, message: &str) -> Answer {
        let kind = if self.kind == Kind::OpenAi { kind } else { theirs };
        json(status, &self.kind.error(kind, message, "null"))
    }

    /// An answer of good status with this body, of the media type that was asked for.
    fn body(self, body: &str) -> Answer {
        if self.stream { events(body) } else { json(200, body) }
    }

    /// A stream that goes as far as its first text, and then on like this.
    fn text_and(self, rest: &str) -> Answer {
        let parts = self.kind.parts();
        events(&[parts.begin, parts.text].concat()).then(rest)
    }

    fn failed_event(self) -> String {
        let kind = if self.kind == Kind::OpenAi { SERVER } else { "api_error" };
        self.kind.error_event(kind, SAID)
    }
}

/// One of a kind, the kind's own row.
const fn by(kind: Kind, openai: &'static str, anthropic: &'static str) -> &'static str {
    match kind {
        Kind::OpenAi => openai,
        Kind::Anthropic => anthropic,
    }
}

pub const FAULTS: &[Fault] = &[
    row("good", ANY, |to| to.kind.good(to.stream), Then::Good),
    row("good, empty piece last", ANY, |to| to.kind.good(to.stream).ending(End::Empty), Then::Good),
    row("good, trailers", ANY, |to| to.kind.good(to.stream).ending(End::Trailers), Then::Good),
    row("good, created", ANY, |to| to.kind.good(to.stream).with(":status", "201"), Then::Good),
    row("good, nothing said of its type", WHOLE, |to| to.kind.good(false).with("content-type", ""), Then::Good),
    row(
        "429",
        ANY,
        |to| to.error(429, "rate_limit_error", "rate_limit_error").with("retry-after", "7"),
        Then::Next(after(LIMITED, "7")),
    ),
    row(
        "429 in milliseconds",
        ANY,
        |to| to.error(429, "rate_limit_error", "rate_limit_error").with("retry-after-ms", "1200"),
        Then::Next(after(LIMITED, "2")),
    ),
    row("429, headers only", ANY, |_| bare(429).with("retry-after", "7"), Then::Next(after(LIMITED, "7"))),
    row("500", ANY, |to| to.error(500, SERVER, "api_error"), Then::Next(FAILED)),
    row("500, trailers", ANY, |to| to.error(500, SERVER, "api_error").ending(End::Trailers), Then::Next(FAILED)),
    row("500, headers only", ANY, |_| bare(500), Then::Next(FAILED)),
    row("500, cut", ANY, |to| to.error(500, SERVER, "api_error").ending(End::Reset), Then::Reset),
    row(
        "502 in HTML",
        ANY,
        |_| json(502, "<html>").with("content-type", "text/html"),
        Then::Next(Told { status: 502, ..FAILED }),
    ),
    row("503", ANY, |to| to.error(503, SERVER, "overloaded_error"), Then::Next(OVERLOADED)),
    row("504", ANY, |to| to.error(504, SERVER, "timeout_error"), Then::Next(SLOW)),
    row("529", ANY, |to| to.error(529, SERVER, "overloaded_error"), Then::Next(OVERLOADED)),
    row("302", ANY, |_| bare(302).with("location", "/login"), Then::Next(FAILED)),
    row("401", ANY, |to| to.error(401, INVALID, "authentication_error"), Then::Next(KEY)),
    row("401, headers only", ANY, |_| bare(401).with("www-authenticate", "Bearer"), Then::Next(KEY)),
    row("403", ANY, |to| to.error(403, INVALID, "permission_error"), Then::Next(KEY)),
    row("404", ANY, |to| to.error(404, INVALID, "not_found_error"), Then::Next(ABSENT)),
    row("402", ANY, |to| to.error(402, "insufficient_quota", "billing_error"), Then::Next(QUOTA)),
    row("400", ANY, |to| to.error(400, INVALID, INVALID), Then::Final(REFUSED)),
    row("400, headers only", ANY, |_| bare(400), Then::Final(REFUSED)),
    row("422", ANY, |to| to.error(422, INVALID, INVALID), Then::Final(Told { status: 422, ..REFUSED })),
    row(
        "context window",
        ANY,
        |to| to.error_saying(400, INVALID, INVALID, "prompt is too long: 3 tokens > 2 maximum"),
        Then::Final(CONTEXT),
    ),
    row(
        "content policy",
        ANY,
        |to| {
            let said = by(to.kind, "refused: content_filter", "Output blocked by content filtering policy");
            to.error_saying(400, INVALID, INVALID, said)
        },
        Then::Final(POLICY),
    ),
    row("reset", ANY, |_| reset(), Then::Reset),
    row("reset after the headers", ANY, |to| to.body("").ending(End::Reset), Then::Reset),
    row("reset before content", STREAM, |to| events(to.kind.parts().begin).ending(End::Reset), Then::Reset),
    row("reset in the midst", WHOLE, |to| to.kind.good(false).ending(End::Reset), Then::Reset),
    row("empty", ANY, |to| to.body(""), Then::Next(BAD)),
    row("headers only", ANY, |_| bare(200), Then::Next(BAD)),
    row("headers only, of a stream", ANY, |_| bare(200).with("content-type", "text/event-stream"), Then::Next(BAD)),
    row("no content", ANY, |_| bare(204), Then::Next(BAD)),
    row("garbage", ANY, |to| to.body("<html>oops</html>"), Then::Next(BAD)),
    row("garbage in an event", STREAM, |to| to.body("data: <html>\n\n"), Then::Next(BAD)),
    row(
        "not UTF-8",
        ANY,
        |to| Answer { body: Some(vec![b"data: {\"a\":\"\xff\"}\n\n".to_vec()]), ..to.body("") },
        Then::Next(BAD),
    ),
    row(
        "compressed, though not asked to",
        ANY,
        |to| {
            let body = Some(vec![b"\x1f\x8b\x08\0\0\0".to_vec()]);
            Answer { body, ..to.body("").with("content-encoding", "gzip") }.with("content-length", "6")
        },
        Then::Next(BAD),
    ),
    row("half an object", WHOLE, |_| json(200, r#"{"choices":[{"mess"#), Then::Next(BAD)),
    row("an empty object", ANY, |_| json(200, "{}"), Then::Next(BAD)),
    row("an error with 200", ANY, |to| to.error(200, SERVER, "api_error"), Then::Next(FAILED)),
    row("JSON for a stream", STREAM, |to| to.kind.good(false), Then::Next(BAD)),
    row("a stream for JSON", WHOLE, |to| to.kind.good(true), Then::Next(BAD)),
    row("an error first", STREAM, |to| events(&to.failed_event()), Then::Next(FAILED)),
    row(
        "an error before content",
        STREAM,
        |to| events(&[to.kind.parts().begin, &to.failed_event()].concat()),
        Then::Next(FAILED),
    ),
    row("an end before content", STREAM, |to| events(to.kind.parts().begin), Then::Next(BAD)),
    row("only the end", STREAM, |to| events(to.kind.parts().done), Then::Next(BAD)),
    row(
        "the end before content",
        STREAM,
        |to| events(&[to.kind.parts().begin, to.kind.parts().done].concat()),
        Then::Next(BAD),
    ),
    row("only comments", STREAM, |_| events(": wait\n\n: wait\n\n"), Then::Next(BAD)),
    row("comments first", STREAM, |to| events(&[": wait\n\n:\n\n", &stream_of(to.kind)].concat()), Then::Good),
    row("an error after content", STREAM, |to| to.text_and(&to.failed_event()), Then::Broken(FAILED)),
    row(
        "an error after content, and more",
        STREAM,
        |to| to.text_and(&[&to.failed_event(), to.kind.parts().more, to.kind.parts().done].concat()),
        Then::Broken(FAILED),
    ),
    row("garbage after content", STREAM, |to| to.text_and("data: <html>\n\n"), Then::Broken(BAD)),
    row("an end too early", STREAM, |to| to.text_and(""), Then::Broken(BAD)),
    row("an end too early, in an event", STREAM, |to| to.text_and("data: {\"ty"), Then::Broken(BAD)),
    row("an end too early, and trailers", STREAM, |to| to.text_and("").ending(End::Trailers), Then::Cut),
    row("500 and trailers only", ANY, |_| Answer { body: None, ..bare(500) }.ending(End::Trailers), Then::Next(FAILED)),
    row("a reset after content", STREAM, |to| to.text_and("").ending(End::Reset), Then::Cut),
    row("more after the end", STREAM, |to| events(&[&stream_of(to.kind), to.kind.parts().text].concat()), Then::Good),
];

fn stream_of(kind: Kind) -> String {
    let body = kind.good(true).body.unwrap_or_default().concat();
    String::from_utf8(body).unwrap()
}
