//! A provider's servers, and how to talk to them.

use std::net::IpAddr;

use model_gateway::config::{BaseUrl, Duration, Provider};
use model_gateway::names;
use model_gateway::providers::Signing;
use serde_json::{Value, json};

use super::{Render, extension, host_and_port, secrets, tracing, typed, wasm};

/// The clusters of `provider`: the one that has its name, and before it what that stands for, if it does.
///
/// Envoy answers by itself, and tries no other target, where a cluster has no servers, as while their names do not resolve. So
/// a provider with names is a cluster that goes on to [`no_servers`], where a connection fails, and that is tried again
/// elsewhere. Connections, TLS and protocol are those of the servers' own cluster; filters those of the one that is asked.
/// <https://www.envoyproxy.io/docs/envoy/v1.40.0/intro/arch_overview/upstream/aggregate_cluster>
pub fn clusters(render: &Render<'_>, provider: &Provider) -> Vec<Value> {
    let mut clusters = own(render, provider);
    for cluster in clusters.iter_mut().filter_map(Value::as_object_mut).filter(|_| render.config.tracing.is_some()) {
        cluster.insert("metadata".to_owned(), tracing::metadata(provider));
    }
    clusters
}

fn own(render: &Render<'_>, provider: &Provider) -> Vec<Value> {
    let filters = Some(filters(render, provider));
    if !has_names(provider) {
        return vec![servers(render, provider, &provider.name, filters)];
    }
    let own = format!("{} servers", provider.name);
    let either = json!({ "clusters": [own, names::NO_SERVERS] });
    // It has no connections of its own, so that this says nothing; but there has to be something.
    let protocol = json!({ "explicit_http_config": { "http_protocol_options": {} } });
    let asked = json!({
        "name": provider.name,
        "cluster_type": extension("envoy.clusters.aggregate", "clusters.aggregate.v3.ClusterConfig", either),
        "lb_policy": "CLUSTER_PROVIDED",
        "circuit_breakers": breakers(),
        "typed_extension_protocol_options": options(protocol, filters),
    });
    vec![servers(render, provider, &own, None), asked]
}

/// Whether Envoy has to resolve where the servers of `provider` are.
pub fn has_names(provider: &Provider) -> bool {
    provider.servers.iter().any(|server| ip(server).is_none())
}

/// A server that is never there, for all providers.
pub fn no_servers() -> Value {
    // What no socket is bound to refuses every connection.
    let nowhere = json!({ "pipe": { "path": "/dev/null" } });
    json!({
        "name": names::NO_SERVERS,
        "type": "STATIC",
        "circuit_breakers": breakers(),
        "load_assignment": {
            "cluster_name": names::NO_SERVERS,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": nowhere } }] }],
        },
    })
}

/// A cluster of one server that is no provider, by this name.
pub fn server(render: &Render<'_>, name: &str, url: &BaseUrl) -> Value {
    let servers = core::slice::from_ref(url);
    let (how, discovery) = discovery(servers);
    let mut cluster = json!({
        "name": name,
        how: discovery,
        "connect_timeout": "5s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint(url)] }] },
        "typed_extension_protocol_options": options(protocol(servers), None),
    });
    if let (Value::Object(members), true) = (&mut cluster, url.tls) {
        members.insert("transport_socket".to_owned(), tls(render, servers));
    }
    cluster
}

/// A cluster of the servers of `provider`, by this name.
fn servers(render: &Render<'_>, provider: &Provider, name: &str, filters: Option<Vec<Value>>) -> Value {
    let options = options(protocol(&provider.servers), filters);
    of_servers(render, name, &provider.servers, provider.connect_timeout, options)
}

/// A cluster of something that is no provider, and is spoken to by `protocol`.
pub fn plain(render: &Render<'_>, name: &str, server: &BaseUrl, timeout: Duration, protocol: Value) -> Value {
    of_servers(render, name, std::slice::from_ref(server), timeout, options(protocol, None))
}

fn of_servers(render: &Render<'_>, name: &str, servers: &[BaseUrl], timeout: Duration, options: Value) -> Value {
    let (how, discovery) = discovery(servers);
    let mut cluster = json!({
        "name": name,
        how: discovery,
        "connect_timeout": timeout.to_proto(),
        "circuit_breakers": breakers(),
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": servers.iter().map(endpoint).collect::<Vec<_>>() }],
        },
        "upstream_connection_options": { "tcp_keepalive": { "keepalive_time": 60, "keepalive_interval": 10 } },
        "typed_extension_protocol_options": options,
    });
    let socket = servers.iter().any(|server| server.tls).then(|| tls(render, servers));
    if let (Value::Object(members), Some(socket)) = (&mut cluster, socket) {
        members.insert("transport_socket".to_owned(), socket);
    }
    cluster
}

/// Envoy's defaults, 3 retries at a time among them, would make requests fail that others could answer.
fn breakers() -> Value {
    json!({ "thresholds": [{
        "max_connections": UNLIMITED, "max_pending_requests": UNLIMITED,
        "max_requests": UNLIMITED, "max_retries": UNLIMITED,
    }]})
}

/// The options of a cluster that speaks `protocol`.
pub fn options(mut protocol: Value, filters: Option<Vec<Value>>) -> Value {
    if let (Value::Object(members), Some(filters)) = (&mut protocol, filters) {
        members.insert("http_filters".to_owned(), filters.into());
    }
    let kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    json!({ kind: typed(kind, protocol) })
}

/// How Envoy finds the servers: the member that says so.
pub fn discovery(servers: &[BaseUrl]) -> (&'static str, Value) {
    if servers.iter().all(|server| ip(server).is_some()) {
        return ("type", "STATIC".into());
    }
    let settings = json!({
        "dns_lookup_family": "V4_PREFERRED",
        "respect_dns_ttl": true,
        // One name: Envoy connects to whatever it stands for by then, and keeps the connections that it has.
        "all_addresses_in_single_endpoint": servers.len() == 1,
    });
    ("cluster_type", extension("envoy.clusters.dns", "clusters.dns.v3.DnsCluster", settings))
}

fn endpoint(server: &BaseUrl) -> Value {
    json!({ "endpoint": { "address": host_and_port(&server.host, server.port) } })
}

/// How to talk to the servers.
fn protocol(servers: &[BaseUrl]) -> Value {
    let tls = servers.iter().any(|server| server.tls);
    // An idle connection that the server closes just as a request goes out costs an attempt. Servers on plain HTTP are
    // commonly run bare, and theirs close after 5 s.
    let idle = if tls { "50s" } else { "4s" };
    let (choice, versions) = if tls {
        ("auto_config", json!({ "http_protocol_options": {}, "http2_protocol_options": {} }))
    } else {
        ("explicit_http_config", json!({ "http_protocol_options": {} }))
    };
    json!({ choice: versions, "common_http_protocol_options": { "idle_timeout": idle } })
}

/// What a request passes on its way out, the last of them Envoy's own.
fn filters(render: &Render<'_>, provider: &Provider) -> Vec<Value> {
    let codec =
        extension("envoy.filters.http.upstream_codec", "filters.http.upstream_codec.v3.UpstreamCodec", json!({}));
    let module = wasm::provider(render, &provider.name);
    let signing = match provider.kind.signing() {
        Signing::Aws(service) if provider.api_key.is_none() && provider.keys.is_empty() => {
            Some(aws_signing(service, provider))
        }
        _ => None,
    };
    secrets::injector(render, provider).into_iter().chain([module]).chain(signing).chain([codec]).collect()
}

/// Signs what the module made of a request, on every attempt anew. Credentials are Envoy's to find: from its environment,
/// a profile, a web identity, the container or the instance, in that order.
fn aws_signing(service: &str, provider: &Provider) -> Value {
    let exact = UNSIGNED.iter().map(|name| json!({ "exact": name }));
    let prefixes = UNSIGNED_PREFIXES.iter().map(|prefix| json!({ "prefix": prefix }));
    extension(
        "envoy.filters.http.aws_request_signing",
        "filters.http.aws_request_signing.v3.AwsRequestSigning",
        json!({
            "service_name": service,
            "region": provider.settings.region,
            // The body is there already, and a signature of it is what keeps it as it is.
            "use_unsigned_payload": false,
            "match_excluded_headers": exact.chain(prefixes).collect::<Vec<_>>(),
        }),
    )
}

/// TLS on the way to `servers`, whose certificates have to be for them.
pub fn tls(render: &Render<'_>, servers: &[BaseUrl]) -> Value {
    let authorities = json!({ "filename": render.authorities });
    let addresses: Vec<IpAddr> = servers.iter().filter_map(ip).collect();
    let context = if addresses.len() == servers.len() {
        // No name to ask for: the certificate must be for the address.
        let named = addresses.iter().map(|ip| json!({ "san_type": "IP_ADDRESS", "matcher": { "exact": ip } }));
        let named: Value = named.collect();
        json!({ "common_tls_context": {
            "validation_context": { "trusted_ca": authorities, "match_typed_subject_alt_names": named },
        }})
    } else {
        json!({
            "auto_host_sni": true,
            "auto_sni_san_validation": true,
            "common_tls_context": { "validation_context": { "trusted_ca": authorities } },
        })
    };
    extension("envoy.transport_sockets.tls", "transport_sockets.tls.v3.UpstreamTlsContext", context)
}

fn ip(server: &BaseUrl) -> Option<IpAddr> {
    server.host.parse().ok()
}

const UNLIMITED: u32 = 1_000_000;

/// Headers that are not signed: Envoy, or a proxy on the way, may still change them.
const UNSIGNED: &[&str] = &["accept", "baggage", "traceparent", "tracestate", "user-agent", "x-request-id"];
const UNSIGNED_PREFIXES: &[&str] = &["x-b3-", "x-envoy-", "x-forwarded-", "x-gateway-"];
