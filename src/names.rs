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

/// Begins the name of [`credential`].
pub const CREDENTIAL_PREFIX: &str = "x-gateway-credential-";
/// The request header in which Envoy tells the module the credential of `provider`, out of a file. It never leaves Envoy. Each provider
/// has its own, so that none is ever taken for another's.
pub fn credential(provider: &str) -> String {
    format!("{CREDENTIAL_PREFIX}{}", provider.to_ascii_lowercase())
}

/// The root id of the filter before the router.
pub const GATEWAY_ROOT: &str = "gateway";
/// Stands before a provider's name in the root id of the filter in its cluster.
pub const PROVIDER_ROOT_PREFIX: &str = "provider:";

/// Properties for the access log, each set once known, and logged under its name without the prefix `gateway.`.
pub mod log {
    /// The model that the client asked for.
    pub const MODEL: &str = "gateway.model";
    /// The name of the client's key.
    pub const KEY: &str = "gateway.key";
    /// Whose it is.
    pub const TEAM: &str = "gateway.team";
    /// The rule that the request followed.
    pub const RULE: &str = "gateway.rule";
    /// The provider that got a copy of it.
    pub const MIRROR: &str = "gateway.mirror";
    /// The provider that answered, or failed last.
    pub const PROVIDER: &str = "gateway.provider";
    /// The provider's name for the model.
    pub const TARGET_MODEL: &str = "gateway.target_model";
    /// How many attempts were made.
    pub const ATTEMPTS: &str = "gateway.attempts";
    /// Tokens of the prompt.
    pub const INPUT_TOKENS: &str = "gateway.input_tokens";
    /// Tokens generated.
    pub const OUTPUT_TOKENS: &str = "gateway.output_tokens";
    /// What the request cost, in USD; absent if that is not known.
    pub const COST: &str = "gateway.cost_usd";
    /// `true` where a provider had not told all of what was used.
    pub const ESTIMATED: &str = "gateway.estimated";
    /// Why the request, or its last attempt, failed: [`crate::error::Cause::name`].
    pub const ERROR: &str = "gateway.error";

    /// All of them.
    pub const ALL: &[&str] = &[
        MODEL,
        KEY,
        TEAM,
        RULE,
        MIRROR,
        PROVIDER,
        TARGET_MODEL,
        ATTEMPTS,
        INPUT_TOKENS,
        OUTPUT_TOKENS,
        COST,
        ESTIMATED,
        ERROR,
    ];
}
