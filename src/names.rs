//! Names on which the module and the configuration rendered for Envoy must agree.

/// The property that the module sets to the cluster of the next attempt, as one element: `set_property(vec![NEXT], ...)`.
pub const NEXT: &str = "gateway.next";
/// The property that carries the plan from the gateway position to the provider positions.
pub const PLAN: &str = "gateway.plan";
/// What Envoy puts before a property's name in filter state.
pub const STATE_PREFIX: &str = "wasm.";

/// The response header by which the provider position asks Envoy for another attempt.
pub const RETRY_HEADER: &str = "x-gateway-retry";
/// The cluster of a request for which the module named none. No cluster has this name (a provider's cannot have a space).
pub const NO_CLUSTER: &str = "no target";

/// The root id of the filter before the router.
pub const GATEWAY_ROOT: &str = "gateway";
/// Stands before a provider's name in the root id of the filter in its cluster.
pub const PROVIDER_ROOT_PREFIX: &str = "provider:";

/// Properties for the access log, each logged under its name without the prefix `gateway.`. Not set: not logged.
pub const LOGGED: &[&str] = &[
    "gateway.model",
    "gateway.provider",
    "gateway.target_model",
    "gateway.attempts",
    "gateway.input_tokens",
    "gateway.output_tokens",
    "gateway.error",
];

/// A path that is the gateway's. All others are none of its business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name in the access log.
    pub name: &'static str,
    /// Its path.
    pub path: &'static str,
    /// Whether what is below the path is the gateway's too.
    pub below: bool,
}

/// Chat completions.
pub const CHAT_COMPLETIONS: Endpoint =
    Endpoint { name: "chat_completions", path: "/v1/chat/completions", below: false };
/// The models there are, and each by its name.
pub const MODELS: Endpoint = Endpoint { name: "models", path: "/v1/models", below: true };

/// Every path that is the gateway's.
pub static ENDPOINTS: &[Endpoint] = &[CHAT_COMPLETIONS, MODELS];

impl Endpoint {
    /// The endpoint of `path`, which has no query.
    pub fn find(path: &str) -> Option<Self> {
        ENDPOINTS.iter().copied().find(|endpoint| endpoint.holds(path))
    }

    fn holds(self, path: &str) -> bool {
        match path.strip_prefix(self.path) {
            Some("") => true,
            Some(rest) => self.below && rest.starts_with('/'),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CHAT_COMPLETIONS, Endpoint, MODELS};

    #[test]
    fn an_endpoint_is_found_by_its_path() {
        for (path, endpoint) in [
            ("/v1/chat/completions", Some(CHAT_COMPLETIONS)),
            ("/v1/chat/completions/", None),
            ("/v1/models", Some(MODELS)),
            ("/v1/models/a/b", Some(MODELS)),
            ("/v1/modelsx", None),
            ("/", None),
        ] {
            assert_eq!(Endpoint::find(path), endpoint, "{path}");
        }
    }
}
