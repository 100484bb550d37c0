//! Where logs and traces go: loggers, and the clusters of servers that take them.
//!
//! Envoy writes to each from a buffer of its own, and drops what a server does not take in time: no request waits for one.

use std::collections::BTreeMap;

use model_gateway::config::{Collector, Header, Sink};
use serde_json::{Map, Value, json};

use super::{Render, cluster, extension, host_and_port};

/// How long a server has to take what it is sent.
const TIMEOUT: &str = "5s";

/// A log: its name, and what it says.
pub struct Log<'l> {
    /// What those that are servers know it by.
    pub name: &'static str,
    /// An object of format strings, which may have objects in it.
    pub line: &'l Value,
    /// One format string for all of it, where lines of text are to be made another way.
    pub text: Option<&'static str>,
    /// Of which requests; `None`: of all.
    pub filter: Option<&'l Value>,
}

/// What writes `log` to `sink`, unless the operator's own does.
pub fn logger(sink: &Sink, log: &Log<'_>) -> Option<Value> {
    let Log { name, line, text, filter } = log;
    let (form, of) = match text {
        Some(text) => ("text_format_source", json!({ "inline_string": text })),
        None => ("json_format", (*line).clone()),
    };
    let format = json!({ form: of, "omit_empty_values": true });
    let mut logger = match sink {
        Sink::Properties => return None,
        Sink::Stdout => {
            extension("stdout", "access_loggers.stream.v3.StdoutAccessLog", json!({ "log_format": format }))
        }
        Sink::File(path) => {
            extension("file", "access_loggers.file.v3.FileAccessLog", json!({ "path": path, "log_format": format }))
        }
        Sink::Otlp(collector) => {
            let (member, service) = service(collector, "/v1/logs");
            extension(
                "otlp",
                "access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
                json!({
                    "log_name": name,
                    member: service,
                    "disable_builtin_labels": true,
                    "resource_attributes": { "values": [
                        { "key": "service.name", "value": { "string_value": "model-gateway" } },
                    ]},
                    "body": { "string_value": "%REQ(:METHOD)% %PATH(NQ:PATH)% %RESPONSE_CODE%" },
                    // Unlike `attributes`, these are left out where there is nothing.
                    "custom_tags": tags(line),
                }),
            )
        }
        Sink::Grpc(collector) => extension(
            "grpc",
            "access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
            json!({ "common_config": {
                "log_name": name,
                "grpc_service": service(collector, "").1,
                "transport_api_version": "V3",
                "custom_tags": tags(line),
            }}),
        ),
    };
    if let (Value::Object(members), Some(filter)) = (&mut logger, filter) {
        members.insert("filter".to_owned(), (*filter).clone());
    }
    Some(logger)
}

/// The server at `collector` for OTLP's `path`: the member of Envoy's configuration that names it, and its value.
pub fn service(collector: &Collector, path: &str) -> (&'static str, Value) {
    let headers: Vec<Value> = collector.headers.iter().map(|(name, value)| header(name, value)).collect();
    if collector.grpc {
        let server = json!({ "cluster_name": name(collector), "authority": collector.url.authority() });
        return ("grpc_service", json!({ "envoy_grpc": server, "timeout": TIMEOUT, "initial_metadata": headers }));
    }
    let scheme = if collector.url.tls { "https" } else { "http" };
    let headers: Vec<Value> = headers.into_iter().map(|header| json!({ "header": header })).collect();
    let uri = format!("{scheme}://{}{}{path}", collector.url.authority(), collector.url.path);
    let uri = json!({ "uri": uri, "cluster": name(collector), "timeout": TIMEOUT });
    ("http_service", json!({ "http_uri": uri, "request_headers_to_add": headers }))
}

fn header(name: &str, value: &Header) -> Value {
    let value = match value {
        Header::Value(value) => value.clone(),
        Header::Variable(variable) => format!("%ENVIRONMENT({variable})%"),
    };
    json!({ "key": name, "value": value })
}

/// The members of `line` as tags, those of an object in it after its name: `labels.app`.
fn tags(line: &Value) -> Vec<Value> {
    let tag = |name: &str, value: &Value| json!({ "tag": name, "value": value });
    let members = line.as_object().into_iter().flatten();
    let tags = members.flat_map(|(name, value)| match value {
        Value::Object(inner) => inner.iter().map(|(inner, value)| tag(&format!("{name}.{inner}"), value)).collect(),
        value => vec![tag(name, value)],
    });
    tags.collect()
}

/// The clusters of all servers that logs and traces go to.
pub fn clusters(render: &Render<'_>) -> Vec<Value> {
    let config = render.config;
    let logs = config.log.iter().chain(config.payloads.iter().flat_map(|payloads| &payloads.log));
    let logs = logs.filter_map(|sink| match sink {
        Sink::Otlp(collector) | Sink::Grpc(collector) => Some(collector),
        Sink::Stdout | Sink::File(_) | Sink::Properties => None,
    });
    let traces = config.tracing.iter().map(|tracing| &tracing.collector);
    let all: BTreeMap<String, &Collector> = logs.chain(traces).map(|collector| (name(collector), collector)).collect();
    all.into_iter().map(|(name, collector)| server(render, &name, collector)).collect()
}

/// No provider has this name.
fn name(collector: &Collector) -> String {
    let scheme = match (collector.grpc, collector.url.tls) {
        (true, true) => "grpcs",
        (true, false) => "grpc",
        (false, true) => "https",
        (false, false) => "http",
    };
    format!("collector {scheme} {}:{}", collector.url.host, collector.url.port)
}

fn server(render: &Render<'_>, name: &str, collector: &Collector) -> Value {
    let servers = core::slice::from_ref(&collector.url);
    let (how, discovery) = cluster::discovery(servers);
    let versions = if collector.grpc { "http2_protocol_options" } else { "http_protocol_options" };
    let protocol = json!({ "explicit_http_config": { versions: {} } });
    let mut server = json!({
        "name": name,
        how: discovery,
        "connect_timeout": TIMEOUT,
        // What waits for a server that does not answer is bounded, and the rest dropped.
        "circuit_breakers": { "thresholds": [{ "max_connections": 16, "max_pending_requests": 64, "max_requests": 64 }] },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [
                { "endpoint": { "address": host_and_port(&collector.url.host, collector.url.port) } },
            ]}],
        },
        "typed_extension_protocol_options": cluster::options(protocol, None),
    });
    if let (Value::Object(members), true) = (&mut server, collector.url.tls) {
        members.insert("transport_socket".to_owned(), cluster::tls(render, servers));
    }
    server
}

/// An object of format strings that takes these properties out of filter state.
pub fn states<'p>(properties: impl IntoIterator<Item = (&'p str, String)>) -> Map<String, Value> {
    properties.into_iter().map(|(name, property)| (name.to_owned(), state(&property).into())).collect()
}

/// The format string for a property that the module sets.
pub fn state(property: &str) -> String {
    format!("%FILTER_STATE({}{property}:PLAIN)%", model_gateway::names::STATE_PREFIX)
}
