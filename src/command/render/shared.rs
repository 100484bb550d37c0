//! Limits that several Envoys share: Envoy's own filter asks and tells the rate limit service.
//!
//! The module before it says, in properties, which of the limits a request is about, and in the end what it used. So the filter
//! has two entries for a limit: one that is asked before the request goes out, and, but for requests, which are counted then,
//! one that reports at the end. Both name the limit's amount and window, so that the service needs no configuration for them.
//! <https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/rate_limit_filter>

use std::collections::BTreeMap;

use model_gateway::config::{Amount, Limit, OnFailure, RateLimitService, Shared};
use model_gateway::names;
use serde_json::{Value, json};

use super::{Render, cluster, extension};

/// The cluster of the service: no provider's name has a space.
const SERVICE: &str = "rate limit service";
/// The namespace in dynamic metadata where the filter finds how much a limit is.
const QUOTAS: &str = "model_gateway.quotas";

/// The service, if there are limits to ask it about.
pub fn service<'a>(render: &Render<'a>) -> Option<&'a RateLimitService> {
    let any = render.config.limits.iter().any(|limit| limit.shared.is_some());
    render.config.rate_limit_service.as_ref().filter(|_| any)
}

/// The first of the limits in each slot, which says what all of them say.
fn slots<'a>(render: &Render<'a>) -> BTreeMap<usize, (&'a Limit, Shared)> {
    let mut slots = BTreeMap::new();
    for limit in &render.config.limits {
        if let Some(shared) = limit.shared {
            slots.entry(shared.slot).or_insert((limit.as_ref(), shared));
        }
    }
    slots
}

/// What stands between the module and the router.
pub fn filters(render: &Render<'_>) -> Vec<Value> {
    let Some(service) = service(render) else { return Vec::new() };
    let slots = slots(render);
    let quotas = slots.iter().map(|(slot, (limit, shared))| {
        let unit = shared.per.name().to_ascii_uppercase();
        (format!("slot{slot}"), json!({ "requests_per_unit": limit.hits(), "unit": unit }))
    });
    let quotas = json!({ "metadata_namespace": QUOTAS, "value": quotas.collect::<serde_json::Map<_, _>>() });
    let rates: Vec<Value> = slots.iter().flat_map(|(slot, (limit, shared))| rates(*slot, limit, shared)).collect();
    let settings = json!({
        "domain": service.domain,
        "rate_limits": rates,
        "timeout": service.timeout.to_proto(),
        "failure_mode_deny": service.on_failure == OnFailure::Refuse,
        "status_on_error": { "code": "ServiceUnavailable" },
        // The module tells clients what they say, in OpenAI's words.
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        "disable_x_envoy_ratelimited_header": true,
        "rate_limit_service": {
            "transport_api_version": "V3",
            // Else it would be the cluster's name, which is no host's: some servers refuse the request then.
            "grpc_service": { "envoy_grpc": { "cluster_name": SERVICE, "authority": service.server.authority() } },
        },
    });
    vec![
        extension("quotas", "filters.http.set_metadata.v3.Config", json!({ "metadata": [quotas] })),
        extension("envoy.filters.http.ratelimit", "filters.http.ratelimit.v3.RateLimit", settings),
    ]
}

/// What is asked and told about the limits in one slot.
fn rates(slot: usize, limit: &Limit, shared: &Shared) -> Vec<Value> {
    let Some([account, hits]) = names::SHARED.get(slot) else { return Vec::new() };
    let state = |property: &str| format!("{}{property}", names::STATE_PREFIX);
    let rate = |hits: Value, at_end: bool| {
        let descriptor = json!({
            "descriptor_key": key(limit, shared),
            // Where there is no such property, the limit is not about the request, and nothing is asked.
            "text": format!("filter_state['{}']", state(account)),
        });
        let metadata = json!({ "key": QUOTAS, "path": [{ "key": format!("slot{slot}") }] });
        json!({
            "actions": [{ "extension": extension("account", "rate_limit_descriptors.expr.v3.Descriptor", descriptor) }],
            "limit": { "dynamic_metadata": { "metadata_key": metadata } },
            "hits_addend": hits,
            "apply_on_stream_done": at_end,
        })
    };
    if limit.amount == Amount::Requests {
        return vec![rate(json!({ "number": 1 }), false)];
    }
    let told = json!({ "format": format!("%FILTER_STATE({}:PLAIN)%", state(hits)) });
    vec![rate(json!({ "number": 0 }), false), rate(told, true)]
}

/// What is counted, over what time: accounts of other units are others.
fn key(limit: &Limit, shared: &Shared) -> String {
    let amount = match limit.amount {
        Amount::Requests => "requests",
        Amount::Tokens => "tokens",
        Amount::Input => "input_tokens",
        Amount::Output => "output_tokens",
        Amount::Usd => "usd",
        Amount::Concurrent => "concurrent",
    };
    // A hit is a power of ten of them; USD are kept in 10⁻¹².
    let hit = i64::from(shared.unit.max(1).ilog10()) - if limit.amount == Amount::Usd { 12 } else { 0 };
    let hit = if hit == 0 { String::new() } else { format!("_e{hit}") };
    format!("{amount}{hit}_per_{}", shared.per.name())
}

/// Where the service is.
pub fn cluster(render: &Render<'_>) -> Option<Value> {
    let service = service(render)?;
    let protocol = json!({ "explicit_http_config": { "http2_protocol_options": {
        // A service that went away without a word is not waited for by every request anew.
        "connection_keepalive": { "interval": "10s", "timeout": "2s" },
    }}});
    Some(cluster::plain(render, SERVICE, &service.server, service.timeout, protocol))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model_gateway::config::{Config, File};
    use serde_json::{Value, json};

    use super::super::Render;

    /// The filters and the cluster of a gateway with these limits.
    fn rendered(limits: Value) -> (Vec<Value>, Option<Value>) {
        let file: File = serde_json::from_value(json!({
            "providers": {"a": {"kind": "openai"}},
            "models": {"m": {"targets": [{"provider": "a"}]}},
            "limits": limits,
            "rate_limit_service": {"url": "https://rates.example:8081", "on_failure": "refuse"},
        }))
        .unwrap();
        let config = Config::check(&file).unwrap();
        let (module, authorities) = (Path::new("module.wasm"), Path::new("authorities.pem"));
        let render = Render { file: &file, config: &config, module, authorities, metadata: "", secrets: None };
        (super::filters(&render), super::cluster(&render))
    }

    #[test]
    fn what_is_not_shared_asks_nobody() {
        assert_eq!(rendered(json!([{"requests": 1, "per": "day"}])), (vec![], None));
    }

    #[test]
    fn requests_are_counted_before_and_all_else_after() {
        let (filters, cluster) = rendered(json!([
            {"requests": 7, "per": "minute", "shared": true}, {"usd": 20, "per": "month", "by": ["team"], "shared": true}
        ]));
        let [quotas, limiter] = &filters[..] else { panic!("{filters:?}") };
        assert_eq!(
            quotas["typed_config"]["metadata"][0]["value"],
            json!({
                "slot0": {"requests_per_unit": 7, "unit": "MINUTE"},
                "slot1": {"requests_per_unit": 20_000_000, "unit": "MONTH"},
            })
        );
        let limiter = &limiter["typed_config"];
        assert_eq!(limiter["failure_mode_deny"], true);
        let rates = limiter["rate_limits"].as_array().unwrap().iter().map(|rate| {
            let descriptor = &rate["actions"][0]["extension"]["typed_config"];
            let slot = &rate["limit"]["dynamic_metadata"]["metadata_key"]["path"][0]["key"];
            json!([
                descriptor["descriptor_key"],
                descriptor["text"],
                slot,
                rate["hits_addend"],
                rate["apply_on_stream_done"]
            ])
        });
        let (requests, money) = ("filter_state['wasm.gateway.shared.0']", "filter_state['wasm.gateway.shared.1']");
        let usd = "usd_e-6_per_month";
        assert_eq!(
            rates.collect::<Vec<_>>(),
            [
                json!(["requests_per_minute", requests, "slot0", {"number": 1}, false]),
                json!([usd, money, "slot1", {"number": 0}, false]),
                json!([usd, money, "slot1", {"format": "%FILTER_STATE(wasm.gateway.hits.1:PLAIN)%"}, true]),
            ]
        );
        // The name of a cluster has a space, and is no host.
        assert_eq!(limiter["rate_limit_service"]["grpc_service"]["envoy_grpc"]["authority"], "rates.example:8081");
        let cluster = cluster.unwrap();
        assert_eq!(cluster["transport_socket"]["name"], "envoy.transport_sockets.tls");
        assert_eq!(cluster["name"], limiter["rate_limit_service"]["grpc_service"]["envoy_grpc"]["cluster_name"]);
    }
}
