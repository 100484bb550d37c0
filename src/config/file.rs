//! The operator's document. Its doc comments are the descriptions in the JSON Schema that `model-gateway schema` prints.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::api_keys::ApiKeyFile;
use super::auth::AuthFile;
use super::certificate::TlsFile;
use super::keys::KeyFile;
use super::labels::LabelsFile;
use super::limits::LimitFile;
use super::log::LogFile;
use super::page::PageFile;
use super::payloads::PayloadsFile;
use super::policy::Strategy;
use super::roles::RoleFile;
use super::secret::SecretRef;
use super::shared::RateLimitServiceFile;
use super::tracing::TracingFile;
use super::units::{Bytes, Duration};
use super::when::WhenFile;
use crate::facts::Facts;
use crate::price::{Override, UnknownPrice};

/// Configuration of a model gateway.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema), schemars(title = "Model Gateway"))]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Address that clients connect to. Default `0.0.0.0:8080`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// TLS for clients. None: plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFile>,
    /// Address of Envoy's admin interface. Default `127.0.0.1:9901`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
    /// Worker threads of Envoy. Default: one per core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// Where the access log goes. Default `stdout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogFile>,
    /// Labels that clients may give their requests, for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelsFile>,
    /// Traces of requests. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<TracingFile>,
    /// A log of requests and answers as a whole. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payloads: Option<PayloadsFile>,
    /// Whether the module counts requests, tokens and costs in Envoy's statistics. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<bool>,
    /// Largest request body. Default `32MiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_limit: Option<Bytes>,
    /// Most attempts for one request, the first included. Default: as many as its model has targets, and keys of theirs, at most 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Headers of clients that go on to providers besides the usual ones (`accept`, `user-agent`, `x-request-id`, tracing).
    /// A `*` at the end stands for all that begin so: `x-tenant-*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forward_headers: Vec<String>,
    /// How long to wait for what.
    #[serde(default, skip_serializing_if = "Timeouts::is_default")]
    pub timeouts: Timeouts,
    /// How long a target is left alone that fails too often, at least; longer where its provider asks for that. Default
    /// `30s`; `0s`: it never is. Also per model and per target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<Duration>,
    /// What "too often" is.
    #[serde(default, skip_serializing_if = "BreakerFile::is_default")]
    pub breaker: BreakerFile,
    /// Models that are tried when all targets of a model failed that names no `fallbacks` itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<String>,
    /// Where requests can go, by name; each becomes one Envoy cluster.
    #[serde(default)]
    pub providers: BTreeMap<String, ProviderFile>,
    /// Who may call, besides those of `auth`. None: everyone who reaches the gateway, unless there is `auth`. `[]`: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<KeyFile>>,
    /// A file with a list of `keys`, besides those here; it is followed too. Read by the command, not by the module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_file: Option<String>,
    /// Who else may call than who has a key: holders of tokens and of certificates.
    #[serde(default, skip_serializing_if = "AuthFile::is_default")]
    pub auth: AuthFile,
    /// What keys, and holders of tokens and certificates, may do, by names that they refer to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, RoleFile>,
    /// How many requests with a wrong key are answered with 401 in a minute, from one address; the next ones get 429 whatever
    /// their key. Default 60; 0: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_failures: Option<u32>,
    /// How much may be used, by all together or, with `by`, by each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitFile>,
    /// The service that all Envoys ask about limits which are `shared`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit_service: Option<RateLimitServiceFile>,
    /// What clients may ask for, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, ModelFile>,
    /// What becomes of requests whose price is not known: `unknown`, they are served, and told apart in log and metrics; `refuse`;
    /// or `{ use: { input: 5, output: 15 } }`, what to count for them. Default `unknown`.
    #[serde(default, skip_serializing_if = "UnknownPrice::is_default")]
    pub unknown_price: UnknownPrice,
    /// Which requests go elsewhere than their model says: the first rule that a request matches is followed, and no other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleFile>,
    /// Whether answers to requests with the header `x-gateway-debug: 1` say in `x-gateway-route` how their targets were
    /// chosen. Default false: only those with a key whose role is `admin`.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub debug: bool,
    /// A page that shows keys with the role `admin` what goes through the gateway. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PageFile>,
}

/// A provider: an LLM service, or servers that speak like one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProviderFile {
    /// What it speaks; one of the kinds listed in README.
    #[cfg_attr(not(target_family = "wasm"), schemars(extend("enum" = kinds())))]
    pub kind: String,
    /// Where the credential is: `${NAME}` of an environment variable of Envoy, `{ file: PATH }`, or for Vertex `gcp`. None:
    /// requests carry none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<SecretRef>,
    /// Several credentials in place of `api_key`, each with limits of its own at the provider: requests are shared out among
    /// those that it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_keys: Vec<ApiKeyFile>,
    /// Where it is, for example `https://api.openai.com/v1`. Default: where the kind is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Azure: the version of its interface, a date such as `2024-10-21`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Vertex: the Google Cloud project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Bedrock and Vertex: where the service runs, such as `eu-west-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Several servers of the same kind that share the load, in place of `base_url`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub base_urls: Vec<String>,
    /// In place of the top-level `timeouts.connect`; the others are a model's.
    #[serde(default, skip_serializing_if = "Timeouts::is_default")]
    pub timeouts: Timeouts,
    /// How much may be used of it; past them requests go to other targets of their model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitFile>,
}

/// A model that clients may ask for. A `*` in its name stands for anything.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Who answers it. The first attempt goes to one of them by weight, further ones to the others.
    pub targets: Vec<TargetFile>,
    /// Other names for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Which target gets the first attempt. Default `weighted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// What the strategy `sticky` keeps together: `user` (the member of the request, or `prompt` where it has none), `prompt`
    /// (its beginning, so that providers find it in their caches), or `header:NAME`. Default `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky_by: Option<String>,
    /// Models that are tried, in this order, when all targets failed. `[]`: none. Default: the top-level `fallbacks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<Vec<String>>,
    /// Models that are tried when a prompt does not fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context_window_fallbacks: Vec<String>,
    /// Models that are tried when a provider will not answer a prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content_policy_fallbacks: Vec<String>,
    /// How many times a request may go on to another target after a failure of this cause: `{ timeout: 1, authentication: 0 }`.
    /// Default: as long as there are targets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retries: BTreeMap<String, u32>,
    /// In place of the top-level `cooldown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<Duration>,
    /// In place of the top-level `timeouts`, member by member.
    #[serde(default, skip_serializing_if = "Timeouts::is_default")]
    pub timeouts: Timeouts,
    /// In place of the top-level `attempts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// How much may be used of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitFile>,
    /// Where copies of its requests go; what comes back for them is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<MirrorFile>,
}

/// What is done with requests of a certain sort.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// Its name in the log and in `explain`. Default: its place, such as `rules[0]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which requests it is about. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<WhenFile>,
    /// The model that answers them. The client is told of the one that it asked for.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Who answers them, in place of a model. A `*` in a target's `model` stands for the name that was asked for, or for what
    /// the `*` in it stands for; so does a `model` that is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetFile>,
    /// Models that are tried when all of `targets` failed. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<String>,
    /// So many of a hundred of them only; the others go on to the next rule. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_family = "wasm"), schemars(with = "Option<f64>"))]
    pub share: Option<serde_json::Number>,
    /// Whose requests are all within the share, or none: `user` (the member of the request), `key` or `header:NAME`;
    /// those that have none are drawn. Default: each request is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky_by: Option<String>,
    /// A header by which a client chooses: `on` is within the share, `off` is not. Providers never see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_header: Option<String>,
    /// Where copies of them go, in place of the model's `mirror`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<MirrorFile>,
}

/// A target that gets copies of requests.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MirrorFile {
    /// Name of the provider.
    pub provider: String,
    /// The provider's name for the model. Default: the name that the client asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// So many of a hundred requests only. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_family = "wasm"), schemars(with = "Option<f64>"))]
    pub share: Option<serde_json::Number>,
    /// As with targets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
    /// As with targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// As with targets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub default: BTreeMap<String, serde_json::Value>,
    /// As with targets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, serde_json::Value>,
}

/// One model of one provider.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TargetFile {
    /// Name of the provider.
    pub provider: String,
    /// The provider's name for the model. Default: the name that the client asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Share of the first attempts, relative to the other targets'. Default 1; 0 = only when others failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Targets with a higher number are tried when all with a lower one failed or are left alone. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u32>,
    /// In place of the model's `cooldown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<Duration>,
    /// What it can do, where that is not known or known otherwise: `{ context: 32000, vision: false }`.
    #[serde(default, skip_serializing_if = "Abilities::is_default")]
    pub can: Abilities,
    /// What it costs, in USD per million tokens, where that is not known or other than the public price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Override>,
    /// Refuse a request with 400 where a parameter would be dropped for this target. Default false: drop and name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Parameters that go on under another name: the client's name and the provider's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
    /// Parameters that do not go on; the client is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Values for parameters that the client does not give.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub default: BTreeMap<String, serde_json::Value>,
    /// Values for parameters, whatever the client gives.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, serde_json::Value>,
}

/// What a model can do. What is left out is as the built-in table has it, if it does; what nobody knows is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Abilities {
    /// The most tokens of a prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// Whether it takes images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vision: Option<bool>,
    /// Whether it calls tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// Whether it can be held to a JSON Schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<bool>,
    /// Whether it takes sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<bool>,
    /// Whether it takes PDFs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pdf: Option<bool>,
}

impl Abilities {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What is known of the model, with this in its place.
    pub(super) fn apply(&self, facts: Facts) -> Facts {
        Facts {
            context: self.context.or(facts.context),
            vision: self.vision.or(facts.vision),
            tools: self.tools.or(facts.tools),
            json_schema: self.json_schema.or(facts.json_schema),
            audio: self.audio.or(facts.audio),
            pdf: self.pdf.or(facts.pdf),
            ..facts
        }
    }
}

/// Timeouts. Each has a default.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// Connecting to a provider, TLS included. Default `5s`. Only at the top level and per provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<Duration>,
    /// From sending a request to the first content of a streamed answer; then the next target is tried. Default `2m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token: Option<Duration>,
    /// From sending a request to the end of an answer that is not streamed; then the next target is tried. Default `5m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Duration>,
    /// Silence in the middle of a stream, after which it is ended. Default `5m`. Only at the top level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
    /// All attempts together, to the end of the answer. Default `15m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Duration>,
}

impl Timeouts {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// When a target fails too often. Each has a default.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BreakerFile {
    /// So many failures within the window. Default 3. A refused credential, an unknown model or a provider that says when
    /// to come back needs only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
    /// And so many of a hundred requests. Default 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
    /// The window. Default `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
}

impl BreakerFile {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(not(target_family = "wasm"))]
fn kinds() -> Vec<&'static str> {
    crate::providers::KINDS.iter().map(|kind| kind.name()).collect()
}

/// Which of the module's places in Envoy a filter stands at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Position {
    /// Before the router: one context per client request.
    Gateway,
    /// In a provider's cluster: one context per attempt.
    Provider,
    /// Both in one filter before the router, for those who can add only that.
    Single,
}

/// The plugin configuration of one filter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// Where this filter stands.
    pub position: Position,
    /// At position `provider`: whose cluster it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// At position `provider`: whether copies of requests come here, which bring their plan in a header.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub mirrored: bool,
    /// The operator's document; at position `provider` its own provider is enough.
    pub config: File,
}
