//! Which headers pass between a client and a provider. Everything else ends at the gateway: credentials and cookies, what
//! would choose another account at the provider, what only the two neighbours of a hop have to say to each other, and what
//! only the gateway has to say.

use crate::headers::{Headers, Lengths, Names};
use crate::names;
use crate::words::same;

/// Names that pass.
struct Passing {
    names: &'static [&'static str],
    lengths: Lengths,
}

impl Passing {
    const fn new(names: &'static [&'static str]) -> Self {
        Self { names, lengths: Lengths::of(names) }
    }

    fn has(&self, name: &[u8]) -> bool {
        self.lengths.have(name) && self.names.iter().any(|it| same(it.as_bytes(), name))
    }
}

/// Of a request, besides what the operator names. `:method` and the like are how Envoy has the request line.
const TO_PROVIDER: Passing = Passing::new(&[
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
]);

/// Of an answer. The ids are what a provider's support asks for.
const TO_CLIENT: Passing = Passing::new(&[
    ":status",
    "content-type",
    "date",
    "openai-processing-ms",
    "request-id",
    "x-request-id",
    "x-envoy-upstream-service-time",
]);

/// What of `headers` a provider does not get. `named` are the operator's that it does; one that ends in `*` stands for all that
/// begin so. What is the gateway's own never passes: a copy's plan among it.
///
/// `set` is what is set afterwards. A header that is there once is replaced by that, and needs no call to go first; what has the value
/// already is taken out of `set`.
pub(super) fn not_to_provider(
    headers: Headers,
    named: &[String],
    set: &mut Vec<(&'static str, Option<String>)>,
) -> Names {
    let is_named = |name: &[u8]| {
        named.iter().any(|rule| match rule.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix.as_bytes()),
            None => same(name, rule.as_bytes()),
        })
    };
    // What only the gateway and Envoy have to say to each other, however wide the operator's rule is.
    let is_ours =
        |name: &[u8]| name.starts_with(b"x-gateway-") || name.starts_with(names::CREDENTIAL_PREFIX.as_bytes());
    // Of each that is set, how often it is there, and whether it is the same.
    let mut there: Vec<(u8, bool)> = vec![(0, false); set.len()];
    let mut dropped = headers.into_names(|name, value| {
        let mut all = set.iter().zip(&mut there);
        match all.find(|((it, new), _)| new.is_some() && same(it.as_bytes(), name)) {
            Some(((_, new), (count, is_same))) => {
                *count = count.saturating_add(1);
                *is_same = new.as_ref().is_some_and(|new| same(new.as_bytes(), value));
                false
            }
            None => !(TO_PROVIDER.has(name) || is_named(name) && !is_ours(name)),
        }
    });
    let mut there = there.into_iter();
    set.retain(|(name, _)| match there.next() {
        Some((1, is_same)) => !is_same,
        Some((2.., _)) => {
            dropped.push(name.as_bytes());
            true
        }
        _ => true,
    });
    dropped
}

/// What of `headers` a client does not get.
pub(super) fn not_to_client(headers: Headers) -> Names {
    headers.into_names(|name, _| !TO_CLIENT.has(name))
}

#[cfg(test)]
mod tests {
    use super::{not_to_client, not_to_provider};
    use crate::headers::{Headers, Names};

    fn headers(names: &[&str]) -> Headers {
        names.iter().map(|name| (name, "")).collect()
    }

    fn names(names: &[&str]) -> Names {
        names.iter().collect()
    }

    #[test]
    fn what_is_replaced_is_not_removed_first_unless_it_is_there_more_than_once() {
        let request = [
            (":path", "/v1/chat/completions"),
            ("content-type", "application/json"),
            ("content-length", "7"),
            ("x-api-key", "of the client"),
            ("x-api-key", "another"),
            ("authorization", "Bearer a"),
            ("accept-encoding", "gzip"),
        ];
        let set = |name, value: &str| (name, Some(value.to_owned()));
        let mut changes = vec![
            set(":path", "/v1/chat/completions"),
            set("content-type", "application/json"),
            set("content-length", "9"),
            set("x-api-key", "another"),
            set("x-new", "1"),
            ("authorization", None),
        ];
        let dropped = not_to_provider(request.into_iter().collect(), &[], &mut changes);
        assert_eq!(dropped, names(&["authorization", "accept-encoding", "x-api-key"]));
        assert_eq!(
            changes,
            [set("content-length", "9"), set("x-api-key", "another"), set("x-new", "1"), ("authorization", None),]
        );
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
            not_to_provider(request, &named, &mut Vec::new()),
            names(&[
                "authorization",
                "x-api-key",
                "cookie",
                "openai-organization",
                "proxy-authorization",
                "x-gateway-mirror",
                "x-gateway-target",
                "x-tenant-id",
                "x-gateway-credential-openai",
            ])
        );
        let all = headers(&["x-gateway-mirror", "x-gateway-debug", "x-g", "authorization"]);
        let own = ["x-gateway-mirror", "x-gateway-debug", "authorization"];
        assert_eq!(not_to_provider(all, &["x-g*".to_owned()], &mut Vec::new()), names(&own));
        let answer = headers(&[
            ":status",
            "content-type",
            "content-length",
            "set-cookie",
            "x-gateway-retry",
            "x-ratelimit-limit-requests",
        ]);
        let own = ["content-length", "set-cookie", "x-gateway-retry", "x-ratelimit-limit-requests"];
        assert_eq!(not_to_client(answer), names(&own));
    }
}
