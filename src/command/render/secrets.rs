//! Credentials that Envoy finds at run time: in files, and at Google's metadata server.
//!
//! A file's content reaches the module as a request header, [`names::credential`], which the module takes out again: it alone
//! knows how the provider wants it, and a file commonly ends with a newline. Envoy reads the file again when something is moved into its
//! folder, if it knows the secret from a file of its own ([`Render::secrets`]), and else only when it starts.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use model_gateway::config::Provider;
use model_gateway::names;
use serde_json::{Value, json};

use super::{Render, extension, host_and_port, yaml};

/// The cluster of Google's metadata server: no provider's name has a space.
pub const METADATA: &str = "gcp metadata";

/// The file that `provider` has its credential in.
pub fn file(provider: &Provider) -> Option<&str> {
    provider.api_key.as_ref()?.file()
}

/// Every file with a credential, sorted.
pub fn files<'a>(render: &Render<'a>) -> Vec<&'a str> {
    let mut files: Vec<&str> = render.config.providers.values().filter_map(file).collect();
    files.sort_unstable();
    files.dedup();
    files
}

/// Envoy's own file for the secret in `file`, below the folder that it follows. Its name is of the path, so that it never changes.
pub fn path(file: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    file.hash(&mut hasher);
    Path::new("secrets").join(format!("{:016x}.yaml", hasher.finish()))
}

/// What stands in [`path`].
pub fn resource(file: &str) -> String {
    as_file(secret(file))
}

/// A secret, in a file of its own.
pub fn as_file(mut secret: Value) -> String {
    let kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
    if let Value::Object(members) = &mut secret {
        members.shift_insert(0, "@type".to_owned(), kind.into());
    }
    yaml::write(&json!({ "resources": [secret] }))
}

/// The secret in `file`, which has its path as its name.
pub fn secret(file: &str) -> Value {
    let folder = Path::new(file).parent();
    json!({
        "name": file,
        "generic_secret": { "secret": { "filename": file, "watched_directory": { "path": folder } } },
    })
}

/// The filter before the module that tells it the credential of `provider`.
pub fn injector(render: &Render<'_>, provider: &Provider) -> Option<Value> {
    let file = file(provider)?;
    let mut credential = json!({ "name": file });
    if let (Value::Object(members), Some(folder)) = (&mut credential, render.secrets) {
        let source = json!({ "path_config_source": { "path": folder.join(path(file)) }, "resource_api_version": "V3" });
        members.insert("sds_config".to_owned(), source);
    }
    let generic = json!({ "credential": credential, "header": names::credential(&provider.name) });
    Some(extension(
        "envoy.filters.http.credential_injector",
        "filters.http.credential_injector.v3.CredentialInjector",
        json!({
            "overwrite": true,
            // Without a credential the provider refuses, and the next target is tried. Envoy's refusal would be the last word.
            "allow_request_without_credential": true,
            "credential": extension(
                "envoy.http.injected_credentials.generic",
                "http.injected_credentials.generic.v3.Generic",
                generic,
            ),
        }),
    ))
}

/// Headers that only Envoy itself may give a request.
pub fn headers(render: &Render<'_>) -> Vec<String> {
    let with_file = render.config.providers.values().filter(|provider| file(provider).is_some());
    with_file.map(|provider| names::credential(&provider.name)).collect()
}

/// Whether any provider wants Google's tokens.
pub fn wants_gcp(render: &Render<'_>) -> bool {
    !with_gcp(render).is_empty()
}

/// The providers that want Google's tokens.
fn with_gcp<'a>(render: &Render<'a>) -> Vec<&'a str> {
    let wants = |provider: &&Provider| provider.api_key.as_ref().is_some_and(model_gateway::config::SecretRef::is_gcp);
    render.config.providers.values().filter(wants).map(|provider| provider.name.as_str()).collect()
}

/// The filter that gets an access token and keeps it until it expires, for requests whose plan, which the module before it
/// makes, has a provider that wants one: no other should wait for it. It does not work in a provider's cluster.
pub fn gcp_tokens(render: &Render<'_>) -> Value {
    let input = || {
        let key = format!("{}{}", names::STATE_PREFIX, names::PLAN);
        extension("plan", "matching.common_inputs.network.v3.FilterStateInput", json!({ "key": key }))
    };
    // The plan is JSON, and the names of providers need no escapes.
    let named = with_gcp(render).into_iter().map(|name| {
        json!({ "single_predicate": { "input": input(), "value_match": { "contains": format!("\"{name}\"") } } })
    });
    let mut named: Vec<Value> = named.collect();
    let any =
        if named.len() > 1 { json!({ "or_matcher": { "predicate": named } }) } else { named.pop().unwrap_or_default() };
    let skip = extension("skip", "filters.common.matcher.action.v3.SkipFilter", json!({}));
    extension(
        "envoy.filters.http.gcp_authn",
        "common.matching.v3.ExtensionWithMatcher",
        json!({
            "extension_config": filter(),
            "xds_matcher": { "matcher_list": { "matchers": [
                { "predicate": { "not_matcher": any }, "on_match": { "action": skip } },
            ]}},
        }),
    )
}

fn filter() -> Value {
    extension(
        "envoy.filters.http.gcp_authn",
        "filters.http.gcp_authn.v3.GcpAuthnFilterConfig",
        json!({
            "cluster": METADATA,
            "timeout": "2s",
            "cache_config": { "cache_size": 10 },
            "retry_policy": { "retry_back_off": { "base_interval": "0.100s", "max_interval": "1s" }, "num_retries": 2 },
            "token_metadata_key": names::GCP_TOKEN_KEY,
            "audience": { "access_token": { "scopes": ["https://www.googleapis.com/auth/cloud-platform"] } },
        }),
    )
}

/// The cluster [`METADATA`].
pub fn metadata(render: &Render<'_>) -> Value {
    let (host, port) = render.metadata.rsplit_once(':').unwrap_or((render.metadata, ""));
    let (host, port) = port.parse().map_or((render.metadata, 80), |port| (host, port));
    let (how, discovery) = match host.parse::<std::net::IpAddr>() {
        Ok(_) => ("type", "STATIC".into()),
        Err(_) => ("cluster_type", extension("envoy.clusters.dns", "clusters.dns.v3.DnsCluster", json!({}))),
    };
    json!({
        "name": METADATA,
        how: discovery,
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": METADATA,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": host_and_port(host, port) } }] }],
        },
    })
}

/// Where Google's metadata server is: `GCE_METADATA_HOST`, as for Google's own libraries, or everywhere the same.
pub fn metadata_host() -> String {
    let given = std::env::var("GCE_METADATA_HOST").ok().filter(|host| !host.is_empty());
    given.unwrap_or_else(|| "metadata.google.internal".to_owned())
}
