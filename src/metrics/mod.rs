//! Metrics in Envoy's own statistics: which there are, how their labels get into the names of statistics, and how many there
//! may be. What a request has to do with them is in [`crate::exchange`].
//!
//! Names and attributes are OpenTelemetry's where it has some, as Prometheus shows them:
//! <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>. What it has as histograms of tokens are counters here,
//! since sums of Envoy's histograms are approximate, and these have to agree with log and limits to the token.

mod registry;

use std::borrow::Cow;
use std::rc::Rc;

pub(crate) use self::registry::OTHER;
pub use self::registry::{Registry, tag_pattern};

/// A metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// As Prometheus shows it.
    pub name: &'static str,
    /// How it counts.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [Label],
    /// What it is, for README.
    pub help: &'static str,
}

/// How a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It adds up.
    Counter,
    /// It has a distribution; these are the buckets that Envoy shows of it.
    Histogram(&'static [u32]),
}

/// What metrics are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// What a model was asked for.
    Operation,
    /// The model that was asked for.
    RequestModel,
    /// The provider's name for the model.
    ResponseModel,
    /// The provider, by its name in configuration.
    Provider,
    /// The name of the client's key.
    Key,
    /// Whose it is.
    Team,
    /// What became of the request.
    Outcome,
    /// Which tokens.
    TokenType,
    /// Why something failed, or was refused.
    Cause,
    /// Whether it is estimated: `true`, or the label is not there.
    Estimated,
    /// A limit's name.
    Limit,
    /// A parameter of requests.
    Parameter,
    /// A target, or one of a provider's keys.
    Target,
}

/// Every label, and what Prometheus calls it.
pub const LABELS: &[(Label, &str)] = &[
    (Label::Operation, "gen_ai_operation_name"),
    (Label::RequestModel, "gen_ai_request_model"),
    (Label::ResponseModel, "gen_ai_response_model"),
    (Label::Provider, "gen_ai_provider_name"),
    (Label::Key, "key"),
    (Label::Team, "team"),
    (Label::Outcome, "outcome"),
    (Label::TokenType, "gen_ai_token_type"),
    (Label::Cause, "cause"),
    (Label::Estimated, "estimated"),
    (Label::Limit, "limit"),
    (Label::Parameter, "parameter"),
    (Label::Target, "target"),
];

impl Label {
    /// What Prometheus calls it.
    pub fn name(self) -> &'static str {
        LABELS.iter().find(|(label, _)| *label == self).map_or("", |(_, name)| name)
    }
}

/// What several updates have in common. What says nothing is empty, and then the label is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Common {
    /// [`Label::Operation`]
    pub operation: &'static str,
    /// [`Label::RequestModel`]
    pub request_model: String,
    /// [`Label::ResponseModel`]
    pub response_model: String,
    /// Whether clients can make up these two.
    pub made_up: bool,
    /// [`Label::Provider`]
    pub provider: String,
    /// [`Label::Key`]
    pub key: String,
    /// [`Label::Team`]
    pub team: String,
    /// [`Label::Outcome`]
    pub outcome: &'static str,
    /// [`Label::Cause`]
    pub cause: &'static str,
    /// [`Label::Estimated`]
    pub estimated: bool,
}

/// A change of one metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Which.
    pub metric: &'static Metric,
    /// Most of its labels.
    pub common: Rc<Common>,
    /// The one that is its own: a type of tokens, a limit, a parameter, a target.
    pub own: Cow<'static, str>,
    /// By how much, or what was measured.
    pub amount: u64,
}

impl Update {
    /// What stands for `label`.
    pub fn value(&self, label: Label) -> &str {
        let common = &*self.common;
        match label {
            Label::Operation => common.operation,
            Label::RequestModel => &common.request_model,
            Label::ResponseModel => &common.response_model,
            Label::Provider => &common.provider,
            Label::Key => &common.key,
            Label::Team => &common.team,
            Label::Outcome => common.outcome,
            Label::Cause => common.cause,
            Label::Estimated => {
                if common.estimated {
                    "true"
                } else {
                    ""
                }
            }
            Label::TokenType | Label::Limit | Label::Parameter | Label::Target => &self.own,
        }
    }
}

macro_rules! metrics {
    ($($name:ident = $kind:expr, $text:literal [$($label:ident)*] $help:literal;)*) => {
        $(#[doc = $help] pub static $name: Metric =
            Metric { name: $text, kind: $kind, labels: &[$(Label::$label),*], help: $help };)*

        /// All of them.
        pub static METRICS: &[&Metric] = &[$(&$name),*];
    };
}

metrics! {
    REQUESTS = Kind::Counter, "model_gateway_requests_total"
        [RequestModel ResponseModel Provider Key Team Operation Outcome]
        "Requests that are over; provider and response model are those of the last attempt.";
    TOKENS = Kind::Counter, "gen_ai_client_token_usage_total"
        [RequestModel ResponseModel Provider Key Team Operation Estimated TokenType]
        "Tokens, of type `input` and `output`, of all attempts.";
    TOKEN_DETAILS = Kind::Counter, "model_gateway_token_details_total"
        [RequestModel ResponseModel Provider Key Team Operation TokenType]
        "Tokens that are among those: `cached`, `cache_write`, `cache_write_1h`, `input_audio` among `input`, `reasoning`, `output_audio` among `output`.";
    COST = Kind::Counter, "model_gateway_cost_pico_usd_total"
        [RequestModel ResponseModel Provider Key Team Operation Estimated]
        "What they cost, in 10⁻¹² USD, as far as prices are known.";
    ESTIMATED = Kind::Counter, "model_gateway_estimated_requests_total"
        [RequestModel ResponseModel Provider Key Team Operation]
        "Attempts whose tokens are estimated, since no provider told them.";
    UNPRICED = Kind::Counter, "model_gateway_unpriced_requests_total"
        [RequestModel ResponseModel Provider Key Team Operation]
        "Attempts whose price is not known: they are in no cost.";
    ATTEMPTS = Kind::Counter, "model_gateway_attempts_total"
        [ResponseModel Provider Operation Cause]
        "Attempts, by what became of them: `ok`, `client_left`, or why they failed.";
    FALLBACKS = Kind::Counter, "model_gateway_fallbacks_total"
        [RequestModel ResponseModel Provider Operation Cause]
        "Attempts that another followed, by why they failed; provider and response model are those that failed.";
    COOLDOWNS = Kind::Counter, "model_gateway_cooldowns_total"
        [Provider Target Cause]
        "How often a target, or a key of a provider, came to be left alone.";
    REFUSALS = Kind::Counter, "model_gateway_refusals_total"
        [RequestModel Key Team Operation Cause Limit]
        "Requests that the gateway refused itself: at a limit, by that, or for another cause.";
    DROPPED = Kind::Counter, "model_gateway_dropped_parameters_total"
        [ResponseModel Provider Parameter]
        "Parameters that a provider had no word for.";
    MIRROR_TOKENS = Kind::Counter, "model_gateway_mirror_tokens_total"
        [ResponseModel Provider Operation TokenType]
        "Tokens of copies of requests, which are in none of the above.";
    MIRROR_COST = Kind::Counter, "model_gateway_mirror_cost_pico_usd_total"
        [ResponseModel Provider Operation]
        "What these cost, in 10⁻¹² USD, as far as prices are known.";
    DURATION = Kind::Histogram(MILLISECONDS), "gen_ai_server_request_duration_milliseconds"
        [RequestModel ResponseModel Provider Operation Outcome]
        "From the request to the end of its answer.";
    FIRST_TOKEN = Kind::Histogram(MILLISECONDS), "gen_ai_server_time_to_first_token_milliseconds"
        [RequestModel ResponseModel Provider Operation]
        "From the request to the first content of a streamed answer, all attempts included.";
    PER_TOKEN = Kind::Histogram(MICROSECONDS), "gen_ai_server_time_per_output_token_microseconds"
        [RequestModel ResponseModel Provider Operation]
        "Of streamed answers, from one token to the next, after the first.";
}

/// OpenTelemetry's advice for durations, in milliseconds.
const MILLISECONDS: &[u32] =
    &[10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 40_960, 81_920, 163_840];
/// The same for tokens one by one, in microseconds.
const MICROSECONDS: &[u32] = &[
    1000, 2500, 5000, 10_000, 15_000, 20_000, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 300_000, 400_000,
    500_000, 750_000, 1_000_000, 2_500_000,
];
