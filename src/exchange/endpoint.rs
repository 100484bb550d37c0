//! Which requests are the gateway's. All others are none of its business.

use crate::dialect::Operation;
use crate::error::{Cause, Error};

/// A path at which the gateway answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name in logs.
    pub name: &'static str,
    /// The path, without a query.
    pub path: &'static str,
    /// Whether what is below the path is the gateway's too.
    pub below: bool,
    method: &'static str,
    asks: Asks,
}

/// What a request asks of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// To have a model answer.
    Model(Operation),
    /// Which models there are; below the path, whether there is that one.
    Models,
    /// What the client has used.
    Usage,
}

/// Every endpoint.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        name: "chat_completions",
        path: "/v1/chat/completions",
        below: false,
        method: "POST",
        asks: Asks::Model(Operation::Chat),
    },
    Endpoint {
        name: "completions",
        path: "/v1/completions",
        below: false,
        method: "POST",
        asks: Asks::Model(Operation::Completions),
    },
    Endpoint {
        name: "embeddings",
        path: "/v1/embeddings",
        below: false,
        method: "POST",
        asks: Asks::Model(Operation::Embeddings),
    },
    Endpoint {
        name: "moderations",
        path: "/v1/moderations",
        below: false,
        method: "POST",
        asks: Asks::Model(Operation::Moderations),
    },
    Endpoint { name: "usage", path: "/v1/usage", below: false, method: "GET", asks: Asks::Usage },
    Endpoint { name: "models", path: "/v1/models", below: true, method: "GET", asks: Asks::Models },
];

impl Endpoint {
    /// What is asked at `path`, and what stands below the endpoint's own path; `None` if it is not the gateway's.
    ///
    /// # Errors
    /// It is the gateway's, but not with that method.
    pub(super) fn find<'p>(method: &str, path: &'p str) -> Result<Option<(Asks, &'p str)>, Error> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let Some((endpoint, below)) = ENDPOINTS.iter().find_map(|endpoint| Some((endpoint, endpoint.rest(path)?)))
        else {
            return Ok(None);
        };
        if method != endpoint.method {
            let message = format!("Not allowed to {method} on {path} (expected {}).", endpoint.method);
            return Err(Error::new(Cause::MethodNotAllowed, message));
        }
        Ok(Some((endpoint.asks, below)))
    }

    /// What models are asked for there; `None` where the gateway answers by itself.
    pub fn operation(&self) -> Option<Operation> {
        match self.asks {
            Asks::Model(operation) => Some(operation),
            Asks::Models | Asks::Usage => None,
        }
    }

    /// What `path` has below this endpoint's, if it is this endpoint's at all.
    fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.path)?;
        match rest.strip_prefix('/') {
            None if rest.is_empty() => Some(rest),
            Some(below) if self.below => Some(below),
            _ => None,
        }
    }
}

/// `text` with its escapes undone (RFC 3986, section 2.1); what is none stays. Names of models have slashes and colons.
pub(super) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|digits| core::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Asks, Endpoint, Operation, percent_decode};
    use crate::error::Cause;

    #[test]
    fn escapes_are_undone() {
        for (text, plain) in [("a%2Fb%3a7b", "a/b:7b"), ("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%C3%A9", "é")] {
            assert_eq!(percent_decode(text), plain);
        }
    }

    #[test]
    fn only_what_is_the_gateways_is_taken() {
        let find = |method, path| Endpoint::find(method, path).map_err(|error| error.cause);
        assert_eq!(find("POST", "/v1/chat/completions?x=1"), Ok(Some((Asks::Model(Operation::Chat), ""))));
        assert_eq!(find("POST", "/v1/embeddings"), Ok(Some((Asks::Model(Operation::Embeddings), ""))));
        assert_eq!(find("GET", "/v1/models"), Ok(Some((Asks::Models, ""))));
        assert_eq!(find("GET", "/v1/models/a/b"), Ok(Some((Asks::Models, "a/b"))));
        assert_eq!(find("GET", "/v1/chat/completions"), Err(Cause::MethodNotAllowed));
        for path in ["/", "/v1", "/v1/", "/v1/modelsx", "/v1/chat", "/v1/chat/completions/x", "/upload/v1/models", ""] {
            assert_eq!(find("POST", path), Ok(None), "{path}");
        }
    }
}
