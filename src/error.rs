//! What can go wrong with a request, whose fault it is, and what a client is told.
//!
//! Mistakes in the operator's configuration are not here: see [`crate::config::Mistake`].

use serde::{Deserialize, Serialize};

/// Why a request, or one attempt at it, failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What happened.
    pub cause: Cause,
    /// The status that the provider answered with, if it did.
    pub status: Option<u16>,
    /// For a person; the provider's own words where it had any.
    pub message: String,
    /// The provider's own `code`, if it sent one; else the cause's code is told.
    pub code: Option<String>,
    /// The provider's own `type`, if it sent one in OpenAI's terms; else the cause's type is told.
    pub kind: Option<String>,
    /// The parameter that is wrong, as a path: `messages[0].content`.
    pub param: Option<String>,
    /// How long the provider asked to be left alone, in milliseconds.
    pub retry_after: Option<u64>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The request is malformed or asks for something impossible.
    BadRequest,
    /// There is no such endpoint.
    UnknownEndpoint,
    /// The endpoint does not know the method.
    MethodNotAllowed,
    /// There is no such model in the configuration.
    UnknownModel,
    /// The request is larger than allowed.
    TooLarge,
    /// The body is not JSON by its own account.
    UnsupportedMediaType,
    /// The client's key is missing, wrong, or not good any more.
    Unauthorized,
    /// The client's key is good, but not for this.
    Forbidden,
    /// Too many wrong keys came from the client's address.
    TooManyFailures,
    /// The client has used up a limit that it has with the gateway.
    Limited,
    /// The client has spent a budget that it has with the gateway.
    BudgetSpent,
    /// The prompt does not fit the model.
    ContextWindow,
    /// The provider will not answer this prompt.
    ContentPolicy,
    /// The provider has had enough of us for now.
    RateLimited,
    /// The provider's account has no credit left.
    QuotaExhausted,
    /// The provider has more work than it can do.
    Overloaded,
    /// The provider failed.
    ServerError,
    /// The provider did not answer in time.
    Timeout,
    /// The provider cannot be reached, or broke the connection.
    Connection,
    /// The provider's answer makes no sense: empty, cut short, not what its interface promises.
    BadAnswer,
    /// The provider does not accept the gateway's credential.
    Authentication,
    /// The provider does not have the model or path that the configuration names.
    TargetNotFound,
}

/// Who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Who sent the request.
    Client,
    /// Who should have answered it.
    Provider,
    /// Who configured the gateway.
    Operator,
}

/// What a client is told of a [`Cause`], in OpenAI's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// HTTP status, unless the provider's own says more.
    pub status: u16,
    /// `error.type`
    pub kind: &'static str,
    /// `error.code`
    pub code: Option<&'static str>,
}

impl Cause {
    /// Who can mend it.
    pub fn fault(self) -> Fault {
        match self {
            Self::BadRequest
            | Self::UnknownEndpoint
            | Self::MethodNotAllowed
            | Self::UnknownModel
            | Self::TooLarge
            | Self::UnsupportedMediaType
            | Self::Unauthorized
            | Self::Forbidden
            | Self::TooManyFailures
            | Self::Limited
            | Self::BudgetSpent
            | Self::ContextWindow
            | Self::ContentPolicy => Fault::Client,
            Self::RateLimited
            | Self::Overloaded
            | Self::ServerError
            | Self::Timeout
            | Self::Connection
            | Self::BadAnswer => Fault::Provider,
            Self::QuotaExhausted | Self::Authentication | Self::TargetNotFound => Fault::Operator,
        }
    }

    /// Whether another target may do better: the client's own mistakes stay mistakes everywhere.
    pub fn falls_back(self) -> bool {
        self.fault() != Fault::Client
    }

    /// A short name for headers, logs and metrics.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(cause, _)| *cause == self).map_or("", |(_, name)| name)
    }

    /// The cause with that [`Self::name`].
    pub fn of_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, other)| *other == name).map(|(cause, _)| *cause)
    }

    /// Every cause.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(cause, _)| *cause)
    }

    /// The one map from what happened to what a client is told.
    ///
    /// Types and codes: <https://platform.openai.com/docs/guides/error-codes>. A provider's refusal of the gateway's own
    /// credential is not the client's 401, which would send it looking for a fault in its own key.
    pub fn told(self) -> Told {
        let (status, kind, code) = match self {
            Self::BadRequest => (400, "invalid_request_error", None),
            Self::UnknownEndpoint => (404, "invalid_request_error", Some("unknown_url")),
            Self::MethodNotAllowed => (405, "invalid_request_error", Some("method_not_supported")),
            Self::UnknownModel | Self::TargetNotFound => (404, "invalid_request_error", Some("model_not_found")),
            Self::TooLarge => (413, "invalid_request_error", Some("request_too_large")),
            Self::UnsupportedMediaType => (415, "invalid_request_error", Some("unsupported_media_type")),
            Self::Unauthorized => (401, "invalid_request_error", Some("invalid_api_key")),
            Self::Forbidden => (403, "invalid_request_error", Some("permission_denied")),
            Self::TooManyFailures => (429, "rate_limit_error", Some("too_many_wrong_keys")),
            Self::Limited => (429, "rate_limit_error", Some("rate_limit_exceeded")),
            Self::BudgetSpent => (429, "insufficient_quota", Some("insufficient_quota")),
            Self::ContextWindow => (400, "invalid_request_error", Some("context_length_exceeded")),
            Self::ContentPolicy => (400, "invalid_request_error", Some("content_policy_violation")),
            Self::RateLimited => (429, "rate_limit_error", Some("rate_limit_exceeded")),
            Self::QuotaExhausted => (429, "insufficient_quota", Some("insufficient_quota")),
            Self::Overloaded => (503, "server_error", Some("server_is_overloaded")),
            Self::ServerError => (500, "server_error", None),
            Self::Timeout => (504, "server_error", Some("upstream_timeout")),
            Self::Connection => (503, "server_error", Some("upstream_unavailable")),
            Self::BadAnswer => (502, "server_error", Some("upstream_bad_answer")),
            Self::Authentication => (502, "server_error", Some("upstream_authentication_failed")),
        };
        Told { status, kind, code }
    }
}

impl Error {
    /// An error of which nothing more is known.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, status: None, message: message.into(), code: None, kind: None, param: None, retry_after: None }
    }

    /// A mistake in the request, at `param`.
    pub fn bad_request(message: impl Into<String>, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::new(Cause::BadRequest, message) }
    }

    /// An answer that makes no sense.
    pub fn bad_answer(message: impl Into<String>) -> Self {
        Self::new(Cause::BadAnswer, message)
    }

    /// `error.type` that the client gets. What a provider says to the gateway about the gateway's own account is not
    /// about the client's.
    pub fn client_kind(&self) -> &str {
        let own = self.kind.as_deref().filter(|_| self.cause.fault() != Fault::Operator);
        own.unwrap_or(self.cause.told().kind)
    }

    /// `error.code` that the client gets, by the same rule. Clients compact a conversation on the code of a context window
    /// that is too small, for which not every provider has it; OpenRouter has numbers for codes.
    pub fn client_code(&self) -> Option<&str> {
        let own = self.cause.fault() != Fault::Operator && self.cause != Cause::ContextWindow;
        let code = self.code.as_deref().filter(|code| own && !code.bytes().all(|byte| byte.is_ascii_digit()));
        code.or(self.cause.told().code)
    }

    /// The status that the client gets: the provider's own where it says more than the cause does.
    pub fn client_status(&self) -> u16 {
        match (self.cause, self.status) {
            (Cause::BadRequest, Some(status @ (400 | 409 | 422))) => status,
            (Cause::ServerError, Some(status @ 500..=599)) => status,
            _ => self.cause.told().status,
        }
    }
}

/// Every cause, by the name that is told.
const NAMES: &[(Cause, &str)] = &[
    (Cause::BadRequest, "bad_request"),
    (Cause::UnknownEndpoint, "unknown_endpoint"),
    (Cause::MethodNotAllowed, "method_not_allowed"),
    (Cause::UnknownModel, "unknown_model"),
    (Cause::TooLarge, "too_large"),
    (Cause::UnsupportedMediaType, "unsupported_media_type"),
    (Cause::Unauthorized, "unauthorized"),
    (Cause::Forbidden, "forbidden"),
    (Cause::TooManyFailures, "too_many_failures"),
    (Cause::Limited, "limited"),
    (Cause::BudgetSpent, "budget_spent"),
    (Cause::ContextWindow, "context_window"),
    (Cause::ContentPolicy, "content_policy"),
    (Cause::RateLimited, "rate_limited"),
    (Cause::QuotaExhausted, "quota_exhausted"),
    (Cause::Overloaded, "overloaded"),
    (Cause::ServerError, "server_error"),
    (Cause::Timeout, "timeout"),
    (Cause::Connection, "connection"),
    (Cause::BadAnswer, "bad_answer"),
    (Cause::Authentication, "authentication"),
    (Cause::TargetNotFound, "target_not_found"),
];

#[cfg(test)]
mod tests {
    use super::{Cause, Error, Fault};

    #[test]
    fn the_operators_mistakes_are_not_told_as_the_clients() {
        let error = Error { status: Some(401), ..Error::new(Cause::Authentication, "bad key") };
        let error = Error { code: Some("invalid_api_key".to_owned()), ..error };
        assert_eq!((error.client_status(), error.client_code()), (502, Some("upstream_authentication_failed")));
        assert_eq!(error.cause.fault(), Fault::Operator);
        assert!(error.cause.falls_back());
    }

    #[test]
    fn the_clients_mistakes_do_not_fall_back() {
        assert!(!Cause::BadRequest.falls_back());
        assert_eq!(Error { status: Some(422), ..Error::bad_request("no", "n") }.client_status(), 422);
    }
}
