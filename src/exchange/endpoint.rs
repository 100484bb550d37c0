//! Which requests are the gateway's.

use crate::error::{Cause, Error};

/// What a request asks of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// `POST /v1/chat/completions`
    ChatCompletions,
    /// `GET /v1/models`
    Models,
    /// `GET /v1/models/NAME`
    Model(String),
}

impl Endpoint {
    /// The endpoint at `path`; `None` if it is none of the gateway's business.
    ///
    /// # Errors
    /// It is the gateway's, but not with that method.
    pub fn of(method: &str, path: &str) -> Result<Option<Self>, Error> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let (endpoint, expected) = match path.strip_prefix("/v1/") {
            Some("chat/completions") => (Self::ChatCompletions, "POST"),
            Some("models") => (Self::Models, "GET"),
            Some(rest) => match rest.strip_prefix("models/").filter(|name| !name.is_empty()) {
                // A slash in a name comes as it is or percent-encoded; other escapes are in no model's name.
                Some(name) => (Self::Model(name.replace("%2F", "/").replace("%2f", "/")), "GET"),
                None => return Ok(None),
            },
            None => return Ok(None),
        };
        if method != expected {
            let message = format!("Not allowed to {method} on {path} (expected {expected}).");
            return Err(Error::new(Cause::MethodNotAllowed, message));
        }
        Ok(Some(endpoint))
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;
    use crate::error::Cause;

    #[test]
    fn only_what_is_the_gateways_is_taken() {
        let of = |method, path| Endpoint::of(method, path).map_err(|error| error.cause);
        assert_eq!(of("POST", "/v1/chat/completions?x=1"), Ok(Some(Endpoint::ChatCompletions)));
        assert_eq!(of("GET", "/v1/models"), Ok(Some(Endpoint::Models)));
        assert_eq!(of("GET", "/v1/models/a/b"), Ok(Some(Endpoint::Model("a/b".to_owned()))));
        assert_eq!(of("GET", "/v1/models/a%2Fb"), Ok(Some(Endpoint::Model("a/b".to_owned()))));
        assert_eq!(of("GET", "/v1/chat/completions"), Err(Cause::MethodNotAllowed));
        for path in ["/", "/v1", "/v1/", "/v1/models/", "/v1/chat", "/v1/chat/completions/x", "/upload/v1/models", ""] {
            assert_eq!(of("POST", path), Ok(None), "{path}");
        }
    }
}
