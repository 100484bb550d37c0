//! Which headers pass between a client and a provider. Everything else ends at the gateway: credentials and cookies, what
//! would choose another account at the provider, what only the two neighbours of a hop have to say to each other, and what
//! only the gateway has to say.

use super::step::Headers;
use crate::names;

/// Of a request, besides what the operator names. `:method` and the like are how Envoy has the request line.
const TO_PROVIDER: &[&str] = &[
    ":authority",
    ":method",
    ":path",
    ":scheme",
    "accept",
    "baggage",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-request-id",
];

/// Of an answer. The ids are what a provider's support asks for.
const TO_CLIENT: &[&str] = &[
    ":status",
    "content-type",
    "date",
    "openai-processing-ms",
    "request-id",
    "x-request-id",
    "x-envoy-upstream-service-time",
];

/// What of `headers` a provider does not get. `named` are the operator's that it does; one that ends in `*` stands for all that
/// begin so. What is the gateway's own never passes: a copy's plan among it.
pub(super) fn not_to_provider(headers: Headers, named: &[String]) -> Vec<String> {
    let is_named = |name: &str| {
        named.iter().any(|rule| match rule.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == rule,
        })
    };
    // What only the gateway and Envoy have to say to each other, however wide the operator's rule is.
    let is_ours = |name: &str| name.starts_with("x-gateway-") || name.starts_with(names::CREDENTIAL_PREFIX);
    others(headers, |name| TO_PROVIDER.contains(&name) || is_named(name) && !is_ours(name))
}

/// What of `headers` a client does not get.
pub(super) fn not_to_client(headers: Headers) -> Vec<String> {
    others(headers, |name| TO_CLIENT.contains(&name))
}

fn others(headers: Headers, passes: impl Fn(&str) -> bool) -> Vec<String> {
    headers.into_iter().map(|(name, _)| name).filter(|name| !passes(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::{not_to_client, not_to_provider};

    fn headers(names: &[&str]) -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), String::new())).collect()
    }

    #[test]
    fn only_what_is_known_to_be_harmless_passes() {
        let request = headers(&[
            ":path",
            "authorization",
            "x-api-key",
            "cookie",
            "openai-organization",
            "proxy-authorization",
            "x-gateway-mirror",
            "x-gateway-target",
            "x-request-id",
            "x-tenant",
            "x-tenant-id",
            "x-mock",
            "x-mock-openai",
            "x-gateway-credential-openai",
        ]);
        let named = ["x-tenant".to_owned(), "x-mock*".to_owned(), "x-gateway-cred*".to_owned()];
        assert_eq!(
            not_to_provider(request, &named),
            [
                "authorization",
                "x-api-key",
                "cookie",
                "openai-organization",
                "proxy-authorization",
                "x-gateway-mirror",
                "x-gateway-target",
                "x-tenant-id",
                "x-gateway-credential-openai",
            ]
        );
        let all = headers(&["x-gateway-mirror", "x-gateway-debug", "x-g", "authorization"]);
        let own = ["x-gateway-mirror", "x-gateway-debug", "authorization"];
        assert_eq!(not_to_provider(all, &["x-g*".to_owned()]), own);
        let answer = headers(&[
            ":status",
            "content-type",
            "content-length",
            "set-cookie",
            "x-gateway-retry",
            "x-ratelimit-limit-requests",
        ]);
        let own = ["content-length", "set-cookie", "x-gateway-retry", "x-ratelimit-limit-requests"];
        assert_eq!(not_to_client(answer), own);
    }
}
