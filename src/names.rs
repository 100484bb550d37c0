//! Names that the module and Envoy's configuration agree on.

/// Property that holds the cluster of the next attempt; Envoy's matcher reads it as filter state `wasm.gateway.next`.
pub const NEXT: &str = "gateway.next";
/// Property that holds the [`crate::route::Plan`] of a request.
pub const PLAN: &str = "gateway.plan";
/// Header by which the provider position asks Envoy for the next attempt.
pub const RETRY: &str = "x-gateway-retry";

/// Properties for the access log, each set once known.
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
}
