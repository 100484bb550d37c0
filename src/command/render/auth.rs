//! Who calls, as far as Envoy finds it out: TLS for clients, and the verification of tokens.

use std::path::Path;

use model_gateway::config::{Config, Issuer, Jwks, TlsFile};
use serde_json::{Value, json};

use super::{Render, cluster, extension, secrets};

/// The names, as secrets, of the gateway's certificate and of who vouches for those of clients: others are paths.
const SERVER: &str = "tls-server";
const CLIENTS: &str = "tls-clients";

/// The listener's side of TLS, if it is to have one.
pub fn transport_socket(render: &Render<'_>) -> Option<Value> {
    let tls = render.file.tls.as_ref()?;
    let secret = |name: &str| match render.secrets {
        Some(folder) => json!({
            "name": name,
            "sds_config": { "path_config_source": { "path": folder.join(file(name)) }, "resource_api_version": "V3" },
        }),
        None => json!({ "name": name }),
    };
    let mut common = json!({
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [secret(SERVER)],
    });
    if let (Value::Object(members), Some(_)) = (&mut common, &tls.client_ca) {
        members.insert("validation_context_sds_secret_config".to_owned(), secret(CLIENTS));
    }
    let context = json!({ "common_tls_context": common, "require_client_certificate": tls.require });
    Some(extension("envoy.transport_sockets.tls", "transport_sockets.tls.v3.DownstreamTlsContext", context))
}

/// What is secret of it, for Envoy's own list.
pub fn own_secrets(render: &Render<'_>) -> Vec<Value> {
    let Some(TlsFile { cert, key, client_ca, .. }) = &render.file.tls else { return Vec::new() };
    let at = |path: &str| json!({ "filename": path });
    let folder = |path: &str| json!({ "path": Path::new(path).parent() });
    // One folder is watched, and both files are read again when something is moved into it.
    let certificate = json!({
        "certificate_chain": at(cert), "private_key": at(key), "watched_directory": folder(cert),
    });
    let server = json!({ "name": SERVER, "tls_certificate": certificate });
    let clients = client_ca.as_ref().map(|path| {
        json!({ "name": CLIENTS, "validation_context": { "trusted_ca": at(path), "watched_directory": folder(path) } })
    });
    [server].into_iter().chain(clients).collect()
}

/// The file of the secret with that name, below the folder that Envoy follows: it takes no two from one.
fn file(name: &str) -> String {
    format!("secrets/{name}.yaml")
}

/// What is secret of it, each with its file.
pub fn resources(render: &Render<'_>) -> Vec<(String, String)> {
    let each = |secret: Value| {
        let name = secret.get("name").and_then(Value::as_str).unwrap_or_default();
        (file(name), secrets::as_file(secret))
    };
    own_secrets(render).into_iter().map(each).collect()
}

/// The filter that verifies tokens, before the module, which reads what they say: a good one is taken out of the request.
/// What is none, or not good, is left for the module to refuse: it may be a key.
/// <https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/jwt_authn_filter>
pub fn tokens(render: &Render<'_>) -> Option<Value> {
    let issuers = &render.config.keys.issuers;
    if issuers.is_empty() {
        return None;
    }
    let names = || (0..issuers.len()).map(|index| index.to_string());
    let providers: serde_json::Map<_, _> =
        names().zip(issuers.iter().zip(0..).map(|(issuer, index)| provider(render, issuer, index))).collect();
    let mut either: Vec<Value> = names().map(|name| json!({ "provider_name": name })).collect();
    either.push(json!({ "allow_missing_or_failed": {} }));
    Some(extension(
        "envoy.filters.http.jwt_authn",
        "filters.http.jwt_authn.v3.JwtAuthentication",
        json!({
            "providers": providers,
            "rules": [{ "match": { "prefix": "/" }, "requires": { "requires_any": { "requirements": either } } }],
        }),
    ))
}

fn provider(render: &Render<'_>, issuer: &Issuer, index: usize) -> Value {
    let mut provider = json!({
        "issuer": issuer.issuer,
        "audiences": issuer.audiences,
        "require_expiration": true,
        // No other place: tokens in queries end up in logs.
        "from_headers": [{ "name": "Authorization", "value_prefix": "Bearer " }],
        "payload_in_metadata": index.to_string(),
    });
    let (name, keys) = match &issuer.jwks {
        Jwks::File(path) => {
            // Envoy does not follow this file: whoever follows it has it read here. What is in it is public.
            let found = render.secrets.and_then(|_| std::fs::read_to_string(path).ok());
            ("local_jwks", found.map_or_else(|| json!({ "filename": path }), |keys| json!({ "inline_string": keys })))
        }
        Jwks::Url(url) => {
            let scheme = if url.tls { "https" } else { "http" };
            let uri = format!("{scheme}://{}{}", url.authority(), url.path);
            let retry =
                json!({ "retry_back_off": { "base_interval": "0.100s", "max_interval": "1s" }, "num_retries": 2 });
            let keys = json!({
                "http_uri": { "uri": uri, "cluster": cluster_of(index), "timeout": "5s" },
                "cache_duration": issuer.refresh.to_proto(),
                // Before a request needs them; no listener waits for it.
                "async_fetch": { "fast_listener": true },
                "retry_policy": retry,
            });
            ("remote_jwks", keys)
        }
    };
    if let Value::Object(members) = &mut provider {
        members.insert(name.to_owned(), keys);
    }
    provider
}

/// The cluster of the server that has an issuer's keys: no provider's name has a space.
fn cluster_of(issuer: usize) -> String {
    format!("jwks {issuer}")
}

/// The clusters of all of them.
pub fn clusters(render: &Render<'_>) -> Vec<Value> {
    let Config { keys, .. } = render.config;
    let urls = keys.issuers.iter().enumerate().filter_map(|(index, issuer)| match &issuer.jwks {
        Jwks::Url(url) => Some((index, url)),
        Jwks::File(_) => None,
    });
    urls.map(|(index, url)| cluster::server(render, &cluster_of(index), url)).collect()
}
