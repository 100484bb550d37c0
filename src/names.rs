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

/// Properties for the access log, each set once known, and logged under its name without the prefix `gateway.`.
pub mod log {
    /// The model that the client asked for.
    pub const MODEL: &str = "gateway.model";
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
    /// Why the request, or its last attempt, failed: [`crate::error::Cause::name`].
    pub const ERROR: &str = "gateway.error";

    /// All of them.
    pub const ALL: &[&str] = &[MODEL, PROVIDER, TARGET_MODEL, ATTEMPTS, INPUT_TOKENS, OUTPUT_TOKENS, ERROR];
}
