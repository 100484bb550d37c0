//! Traces. Checked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::checked::Check;
use super::log::Collector;

/// Traces of requests, by OpenTelemetry.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TracingFile {
    /// The collector: `http://HOST:4318` (to which `/v1/traces` is added), or `grpc://HOST:4317`; `https://` and `grpcs://` with
    /// TLS.
    pub otlp: String,
    /// Headers for it: values, or `${NAME}` of environment variables of Envoy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// So many of a hundred requests only. What comes with a `traceparent` is as that says. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_family = "wasm"), schemars(with = "Option<f64>"))]
    pub sample: Option<serde_json::Number>,
    /// By what name traces know the gateway. Default `model-gateway`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
}

/// Traces of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracing {
    /// Where they go.
    pub collector: Collector,
    /// So many of a million requests.
    pub parts: u32,
    /// By what name they know the gateway.
    pub service_name: String,
}

impl Check<'_> {
    pub(super) fn tracing(&mut self) -> Option<Tracing> {
        let file = self.file.tracing.as_ref()?;
        let parts = self.parts("tracing.sample", file.sample.as_ref());
        let service_name = file.service_name.clone().unwrap_or_else(|| "model-gateway".to_owned());
        if service_name.is_empty() {
            self.mistake("tracing.service_name", "expected a name");
        }
        let collector = self.collector("tracing", "otlp", &file.otlp, &file.headers)?;
        Some(Tracing { collector, parts, service_name })
    }
}
