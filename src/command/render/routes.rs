//! Where requests go: the gateway's own to the cluster that the module names, all others nowhere.

use model_gateway::config::Page;
use model_gateway::error::Cause;
use model_gateway::exchange::{ENDPOINTS, Endpoint};
use model_gateway::names;
use serde_json::{Value, json};

use super::local_reply::error_body;
use super::{Render, extension, secrets};

/// The route table.
pub fn routes(render: &Render<'_>) -> Value {
    let mut routes: Vec<Value> = ENDPOINTS.iter().map(|endpoint| route(render, endpoint)).collect();
    routes.extend(render.config.page.as_ref().map(page));
    routes.push(nowhere());
    let unwanted: Vec<String> = UNWANTED.iter().map(|&name| name.to_owned()).chain(secrets::headers(render)).collect();
    json!({
        "cluster_specifier_plugins": [{ "extension": next_cluster(render) }],
        "virtual_hosts": [{ "name": "gateway", "domains": ["*"], "routes": routes }],
        // Who asks is no provider's business, and what software answers no client's.
        "request_headers_to_remove": unwanted,
        "response_headers_to_remove": ["server"],
    })
}

/// The cluster that the module names, for every attempt anew.
fn next_cluster(render: &Render<'_>) -> Value {
    let clusters = render.config.providers.keys().map(|name| (name.clone(), cluster(name)));
    extension(
        NEXT_CLUSTER,
        "router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier",
        json!({ "cluster_matcher": {
            "matcher_tree": {
                "input": extension(
                    "next",
                    "matching.common_inputs.network.v3.FilterStateInput",
                    json!({ "key": format!("{}{}", names::STATE_PREFIX, names::NEXT) }),
                ),
                "exact_match_map": { "map": clusters.collect::<serde_json::Map<_, _>>() },
            },
            // A name that the map lacks would otherwise leave a retry with the cluster that failed.
            "on_no_match": cluster(names::NO_CLUSTER),
        }}),
    )
}

fn route(render: &Render<'_>, endpoint: &Endpoint) -> Value {
    let longest = render.longest().to_proto();
    let path = if endpoint.below { "path_separated_prefix" } else { "path" };
    let mut route = json!({
        "name": endpoint.name,
        "match": { path: endpoint.path },
        // Whatever a filter holds is bound by it, answers too. Past the module's own limit for requests, so that the
        // module is the one to refuse.
        "request_body_buffer_limit": render.config.body_limit.max(render.config.answer_limit()) + SLACK,
        "route": {
            "cluster_specifier_plugin": NEXT_CLUSTER,
            // The module asks for less, by `x-envoy-upstream-rq-timeout-ms` and `x-envoy-upstream-rq-per-try-timeout-ms`.
            "timeout": longest,
            "idle_timeout": longest,
            "retry_policy": {
                "retry_on": "reset,connect-failure,refused-stream,retriable-headers",
                "retriable_headers": [{ "name": names::RETRY_HEADER, "present_match": true }],
                // The module asks for less, by `x-envoy-max-retries`.
                "num_retries": 15,
                "refresh_cluster_on_retry": true,
                "retry_back_off": { "base_interval": "0.001s", "max_interval": "0.010s" },
            },
        },
    });
    // A copy goes where the module says, or nowhere. It has the route's timeout, and the name of the host that it goes to.
    let mirror = json!([{ "cluster_header": names::MIRROR_TO, "disable_shadow_host_suffix_append": true }]);
    if let Some(Value::Object(action)) = route.get_mut("route").filter(|_| render.config.mirrors().next().is_some()) {
        action.insert("request_mirror_policies".to_owned(), mirror);
    }
    route
}

fn cluster(name: &str) -> Value {
    json!({ "action": extension(
        "cluster",
        "router.cluster_specifiers.matcher.v3.ClusterAction",
        json!({ "cluster": name }),
    )})
}

/// The module answers itself, whatever is asked there.
fn page(page: &Page) -> Value {
    json!({
        "name": "page",
        "match": { "path_separated_prefix": page.path },
        "direct_response": { "status": Cause::UnknownEndpoint.told().status },
    })
}

fn nowhere() -> Value {
    let told = Cause::UnknownEndpoint.told();
    let message = "Unknown request URL. Please check the URL for typos, or see the gateway's documentation.";
    json!({
        "name": "none",
        "match": { "prefix": "/" },
        "direct_response": {
            "status": told.status,
            "body": { "inline_string": error_body(message, told.kind, told.code).to_string() },
        },
        "response_headers_to_add": [{
            "header": { "key": "content-type", "value": "application/json" },
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }],
    })
}

const NEXT_CLUSTER: &str = "next_cluster";
/// A chunk that arrives before the module can refuse it.
const SLACK: u64 = 1 << 20;
/// Of a request, besides where credentials come in.
const UNWANTED: &[&str] =
    &["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "x-envoy-external-address"];
