//! Names on which the module and the configuration rendered for Envoy must agree.

/// The property that the module sets to the cluster of the next attempt, as one element: `set_property(vec![NEXT], ...)`.
pub const NEXT: &str = "gateway.next";
/// The property that carries the plan from the gateway position to the provider positions.
pub const PLAN: &str = "gateway.plan";
/// The property in which an attempt leaves word: [`SEEN`] once the client sees its answer, [`SILENT`], [`OVER`] when it came to its end.
pub const OUTCOME: &str = "gateway.outcome";
/// In [`OUTCOME`]: the client sees the answer, and there is more to come.
pub const SEEN: &str = "seen";
/// In [`OUTCOME`]: the client saw the answer, and then the provider fell silent.
pub const SILENT: &str = "silent";
/// In [`OUTCOME`]: the attempt is over, and its target was told well or failed.
pub const OVER: &str = "over";
/// The property that is the request's body, where it is logged as a whole.
pub const PAYLOAD_REQUEST: &str = "gateway.payload_request";
/// The same of the answer's.
pub const PAYLOAD_ANSWER: &str = "gateway.payload_answer";
/// The property that is the label with this name.
pub fn label(name: &str) -> String {
    format!("gateway.label.{name}")
}
/// What Envoy puts before a property's name in filter state.
pub const STATE_PREFIX: &str = "wasm.";

/// The response header by which the provider position asks Envoy for another attempt.
pub const RETRY_HEADER: &str = "x-gateway-retry";
/// The request header that names the cluster which gets a copy of the request.
pub const MIRROR_TO: &str = "x-gateway-mirror-to";
/// The request header that carries the copy's plan, for it has no properties of the request's.
pub const MIRROR: &str = "x-gateway-mirror";
/// The request header by which a client asks how its targets were chosen, and the answer's header that says it.
pub const DEBUG: &str = "x-gateway-debug";
/// See [`DEBUG`].
pub const ROUTE: &str = "x-gateway-route";
/// The cluster of a request for which the module named none. No cluster has this name (a provider's cannot have a space).
pub const NO_CLUSTER: &str = "no target";
/// The cluster that stands in for servers whose names do not resolve. No provider has this name either.
pub const NO_SERVERS: &str = "no servers";

/// The key in the dynamic metadata of Envoy's `gcp_authn` under which it puts an access token.
pub const GCP_TOKEN_KEY: &str = "token";
/// The property that is that token, its path joined as the host has it.
pub const GCP_TOKEN: &str = "metadata\0filter_metadata\0envoy.filters.http.gcp_authn\0token";

/// The property that has the claims of a token that Envoy has verified, of the issuer with that number, its path joined as
/// the host has it. The number is the key in the metadata of Envoy's `jwt_authn`, which clients cannot write.
pub fn token(issuer: usize) -> String {
    format!("metadata\0filter_metadata\0envoy.filters.http.jwt_authn\0{issuer}")
}
/// The properties that are of a client's certificate: the first URI and DNS name among its alternative names, its subject.
pub const CERTIFICATE_URI: &str = "connection\0uri_san_peer_certificate";
/// See [`CERTIFICATE_URI`].
pub const CERTIFICATE_DNS: &str = "connection\0dns_san_peer_certificate";
/// See [`CERTIFICATE_URI`].
pub const CERTIFICATE_SUBJECT: &str = "connection\0subject_peer_certificate";

/// Begins the name of [`credential`].
pub const CREDENTIAL_PREFIX: &str = "x-gateway-credential-";
/// The request header in which Envoy tells the module the credential of `provider`, out of a file. It never leaves Envoy. Each provider
/// has its own, so that none is ever taken for another's.
pub fn credential(provider: &str) -> String {
    format!("{CREDENTIAL_PREFIX}{}", provider.to_ascii_lowercase())
}

/// For each slot of shared limits the two properties by which Envoy's `ratelimit` filter learns whose account at the service a
/// request is about, and how many hits it was when it is over. Without the first it does not ask, without the second not report.
pub const SHARED: &[[&str; 2]] = &[
    ["gateway.shared.0", "gateway.hits.0"],
    ["gateway.shared.1", "gateway.hits.1"],
    ["gateway.shared.2", "gateway.hits.2"],
    ["gateway.shared.3", "gateway.hits.3"],
    ["gateway.shared.4", "gateway.hits.4"],
    ["gateway.shared.5", "gateway.hits.5"],
    ["gateway.shared.6", "gateway.hits.6"],
    ["gateway.shared.7", "gateway.hits.7"],
    ["gateway.shared.8", "gateway.hits.8"],
    ["gateway.shared.9", "gateway.hits.9"],
    ["gateway.shared.10", "gateway.hits.10"],
    ["gateway.shared.11", "gateway.hits.11"],
    ["gateway.shared.12", "gateway.hits.12"],
    ["gateway.shared.13", "gateway.hits.13"],
    ["gateway.shared.14", "gateway.hits.14"],
    ["gateway.shared.15", "gateway.hits.15"],
];

/// What the live page asks for, again and again, by its name below the page's path.
pub const PAGE_DATA: &str = "status.json";

/// The root id of the filter before the router.
pub const GATEWAY_ROOT: &str = "gateway";
/// Stands before a provider's name in the root id of the filter in its cluster.
pub const PROVIDER_ROOT_PREFIX: &str = "provider:";

/// Properties for access logs, set when a request is over, and logged under their names without the prefix `gateway.`.
/// README says what each is.
pub mod log {
    /// The property that is all of them at once, for lines of text. A line is JSON, and `"details":"` stands before this: it ends that value, goes on
    /// with the other members, and leaves the last one's value open. So what stands there without it is Envoy's own word for `details`.
    pub const LINE: &str = "gateway.line";

    macro_rules! fields {
        ($($(#[$doc:meta])* $name:ident = $field:literal;)*) => {
            $($(#[$doc])* pub const $name: &str = concat!("gateway.", $field);)*

            /// All of them.
            pub const ALL: &[&str] = &[$($name),*];
        };
    }

    /// Those that spans have.
    pub const SPAN: &[&str] = &[
        OPERATION,
        MODEL,
        TARGET_MODEL,
        FINISH_REASON,
        INPUT_TOKENS,
        OUTPUT_TOKENS,
        CACHED_TOKENS,
        ERROR,
        COST,
        OUTCOME,
        PROVIDER,
        KEY,
        TEAM,
        RULE,
    ];
    /// Those that the log of payloads has.
    pub const PAYLOAD: &[&str] = &[MODEL, KEY, TEAM, PROVIDER, TARGET_MODEL, ERROR];

    /// What the property `name` is called in a log.
    pub fn member(name: &str) -> &str {
        name.strip_prefix("gateway.").unwrap_or(name)
    }

    fields! {
        /// What a model was asked for: [`crate::dialect::Operation::name`].
        OPERATION = "operation";
        /// `true` where a stream was asked for.
        STREAM = "stream";
        /// What became of the request: [`crate::exchange::Outcome::name`].
        OUTCOME = "outcome";
        /// The model that the client asked for.
        MODEL = "model";
        /// How many images are in the prompt.
        IMAGES = "images";
        /// The name of the client's key.
        KEY = "key";
        /// Whose it is.
        TEAM = "team";
        /// The rule that the request followed.
        RULE = "rule";
        /// The provider that got a copy of it.
        MIRROR = "mirror";
        /// The provider that answered, or failed last.
        PROVIDER = "provider";
        /// The provider's name for the model.
        TARGET_MODEL = "target_model";
        /// Why the answer ended, in OpenAI's words: [`crate::answered::Finishes::names`].
        FINISH_REASON = "finish_reason";
        /// How many attempts were made.
        ATTEMPTS = "attempts";
        /// Each of them: provider, what became of it, how long it took.
        ATTEMPT_LOG = "attempt_log";
        /// Tokens of the prompt, of all attempts.
        INPUT_TOKENS = "input_tokens";
        /// Of these, read from a provider's cache.
        CACHED_TOKENS = "cached_tokens";
        /// Of these, written to it.
        CACHE_WRITE_TOKENS = "cache_write_tokens";
        /// Of these, for an hour.
        CACHE_WRITE_1H_TOKENS = "cache_write_1h_tokens";
        /// Tokens generated.
        OUTPUT_TOKENS = "output_tokens";
        /// Of these, thinking.
        REASONING_TOKENS = "reasoning_tokens";
        /// Of the prompt's, sound.
        AUDIO_INPUT_TOKENS = "audio_input_tokens";
        /// Of those generated, sound.
        AUDIO_OUTPUT_TOKENS = "audio_output_tokens";
        /// What is known of what the request cost, in USD.
        COST = "cost_usd";
        /// `true` where a provider had not told all of what was used.
        ESTIMATED = "estimated";
        /// `true` where the price of some of it is not known.
        UNPRICED = "unpriced";
        /// How the provider says that it was served, unless as usual.
        SERVICE_TIER = "service_tier";
        /// From the request to the first content of a streamed answer, in milliseconds.
        FIRST_TOKEN = "first_token_ms";
        /// Parameters that the provider has no word for.
        DROPPED = "dropped";
        /// The limit that refused the request, or soft ones that it passed.
        LIMIT = "limit";
        /// Why the request, or its last attempt, failed: [`crate::error::Cause::name`].
        ERROR = "error";
    }
}
