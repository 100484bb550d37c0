//! Traces: one span for a request, with one below it for each attempt.
//!
//! <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>

use model_gateway::config::{Provider, Tracing};
use model_gateway::names;
use serde_json::{Value, json};

use super::{Render, extension, sinks, typed};

/// Where a provider's cluster says what OpenTelemetry calls it.
const METADATA: &str = "model-gateway";

/// The connection manager's `tracing`, if there is to be any.
pub fn tracing(render: &Render<'_>) -> Option<Value> {
    let Tracing { collector, service_name, parts } = render.config.tracing.as_ref()?;
    let (member, service) = sinks::service(collector, "/v1/traces");
    // Who comes with a trace has decided; Envoy's own `random_sampling` would be asked before that.
    let share = extension(
        "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based",
        "tracers.opentelemetry.samplers.v3.TraceIdRatioBasedSamplerConfig",
        json!({ "sampling_percentage": { "numerator": parts, "denominator": "MILLION" } }),
    );
    let sampler = extension(
        "envoy.tracers.opentelemetry.samplers.parent_based",
        "tracers.opentelemetry.samplers.v3.ParentBasedSamplerConfig",
        json!({ "wrapped_sampler": share }),
    );
    let configuration = json!({ member: service, "service_name": service_name, "sampler": sampler });
    Some(json!({
        // A client's `x-client-trace-id` is no reason.
        "client_sampling": { "value": 0 },
        "spawn_upstream_span": true,
        "operation": format!("{} {}", sinks::state(names::log::OPERATION), sinks::state(names::log::MODEL)),
        "upstream_operation": format!("attempt {}", sinks::state(names::log::PROVIDER)),
        "custom_tags": tags(render),
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": typed("envoy.config.trace.v3.OpenTelemetryConfig", configuration),
        },
    }))
}

/// What there is nothing to say of is left out by Envoy.
fn tags(render: &Render<'_>) -> Vec<Value> {
    let text = |tag: &str, property: &str| json!({ "tag": tag, "value": sinks::state(property) });
    let number = |tag, property| json!({ "tag": tag, "value": sinks::state(property), "value_type": "INT" });
    let mut tags = vec![
        text("gen_ai.operation.name", names::log::OPERATION),
        json!({ "tag": "gen_ai.provider.name", "metadata": {
            "kind": { "cluster": {} },
            "metadata_key": { "key": METADATA, "path": [{ "key": "provider" }] },
        }}),
        text("gen_ai.request.model", names::log::MODEL),
        text("gen_ai.response.model", names::log::TARGET_MODEL),
        // A list by OpenTelemetry; Envoy's tags have one value each.
        text("gen_ai.response.finish_reasons", names::log::FINISH_REASON),
        number("gen_ai.usage.input_tokens", names::log::INPUT_TOKENS),
        number("gen_ai.usage.output_tokens", names::log::OUTPUT_TOKENS),
        number("gen_ai.usage.cache_read.input_tokens", names::log::CACHED_TOKENS),
        text("error.type", names::log::ERROR),
        text("gateway.cost_usd", names::log::COST),
        text("gateway.outcome", names::log::OUTCOME),
        text("gateway.provider", names::log::PROVIDER),
        text("gateway.key", names::log::KEY),
        text("gateway.team", names::log::TEAM),
        text("gateway.rule", names::log::RULE),
    ];
    let labels = render.config.label_names().into_iter();
    tags.extend(labels.map(|name| text(&format!("gateway.label.{name}"), &names::label(name))));
    tags
}

/// What the clusters of `provider` say for spans.
pub fn metadata(provider: &Provider) -> Value {
    json!({ "filter_metadata": { METADATA: { "provider": known_as(provider.kind.name()) } } })
}

/// What OpenTelemetry calls a provider of this kind:
/// <https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/#gen-ai-provider-name>
fn known_as(kind: &str) -> &str {
    match kind {
        "azure-openai" => "azure.ai.openai",
        "bedrock" => "aws.bedrock",
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "vertex" => "gcp.vertex_ai",
        "xai" => "x_ai",
        other => other,
    }
}
