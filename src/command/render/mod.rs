//! Envoy's configuration, from the operator's.
//!
//! [`Render`] says what it depends on; the rest are plain functions from it to JSON values, one file for each part of
//! Envoy, written as YAML at the very end.

mod access_log;
mod auth;
mod cluster;
mod files;
mod listener;
mod local_reply;
mod payloads;
mod routes;
pub mod secrets;
mod shared;
mod sinks;
mod stats;
mod tracing;
mod wasm;
mod yaml;

pub use self::files::Files;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use model_gateway::config::{Config, Duration, File};
use serde_json::{Value, json};

/// All that Envoy's configuration depends on.
pub struct Render<'a> {
    /// The operator's document.
    pub file: &'a File,
    /// What it means.
    pub config: &'a Config,
    /// Where Envoy finds the module.
    pub module: &'a Path,
    /// Where Envoy finds the certificate authorities to trust.
    pub authorities: &'a Path,
    /// Google's metadata server, `HOST` or `HOST:PORT`.
    pub metadata: &'a str,
    /// The folder below which Envoy has files of its own; `None` where all is in one file.
    pub secrets: Option<&'a Path>,
}

/// Files that Envoy follows, relative to the folder they are rendered to.
///
/// One folder for each: Envoy reads every file of a folder that it watches again whenever one is moved into it.
pub const LISTENERS: &str = "listeners/lds.yaml";
/// See [`LISTENERS`].
pub const CLUSTERS: &str = "clusters/cds.yaml";
/// The bootstrap that names them.
pub const BOOTSTRAP: &str = "envoy.yaml";

/// Where the authorities are on this machine, first come first served; the first of all is Debian's.
const AUTHORITIES: &[&str] =
    &["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The certificate authorities of this machine: `SSL_CERT_FILE`, else the system's.
pub fn authorities() -> std::path::PathBuf {
    if let Some(given) = std::env::var_os("SSL_CERT_FILE") {
        return given.into();
    }
    let known = || AUTHORITIES.iter().map(Path::new);
    known().find(|path| path.exists()).or(known().next()).unwrap_or(Path::new("")).to_owned()
}

impl Render<'_> {
    /// One file with everything.
    pub fn static_bootstrap(&self) -> String {
        let mut resources = json!({ "listeners": self.listeners(), "clusters": self.clusters() });
        let secrets: Vec<Value> =
            secrets::files(self).into_iter().map(secrets::secret).chain(auth::own_secrets(self)).collect();
        if let (Value::Object(members), false) = (&mut resources, secrets.is_empty()) {
            members.insert("secrets".to_owned(), secrets.into());
        }
        yaml::write(&json!({
            "admin": self.admin(),
            "stats_config": stats::stats(),
            "overload_manager": overload(),
            "memory_allocator_manager": release(),
            "static_resources": resources,
        }))
    }

    /// A bootstrap that names the files at [`LISTENERS`] and [`CLUSTERS`] below `folder`.
    pub fn bootstrap(&self, folder: &Path) -> String {
        let source = |file: &str| {
            let path = folder.join(file);
            json!({
                "path_config_source": {
                    "path": path,
                    "watched_directory": { "path": path.parent() },
                },
                "resource_api_version": "V3",
            })
        };
        yaml::write(&json!({
            // Envoy wants a name before it follows anything.
            "node": { "id": "model-gateway", "cluster": "model-gateway" },
            "admin": self.admin(),
            "stats_config": stats::stats(),
            "overload_manager": overload(),
            "memory_allocator_manager": release(),
            "dynamic_resources": { "cds_config": source(CLUSTERS), "lds_config": source(LISTENERS) },
        }))
    }

    /// The listener, for Envoy's configuration.
    pub fn listeners(&self) -> Vec<Value> {
        vec![listener::listener(self)]
    }

    /// Every provider's clusters, in the order of their names, where tokens and issuers' keys come from, who counts what is shared, and where
    /// logs and traces go.
    pub fn clusters(&self) -> Vec<Value> {
        let providers = || self.config.providers.values();
        let nowhere = providers().any(cluster::has_names).then(cluster::no_servers);
        let clusters = providers().flat_map(|provider| cluster::clusters(self, provider));
        let metadata = secrets::wants_gcp(self).then(|| secrets::metadata(self));
        let others =
            metadata.into_iter().chain(auth::clusters(self)).chain(shared::cluster(self)).chain(sinks::clusters(self));
        nowhere.into_iter().chain(clusters).chain(others).collect()
    }

    fn admin(&self) -> Value {
        json!({ "address": address(self.config.admin) })
    }

    /// The longest that a request may take, whichever model it asks for.
    pub fn longest(&self) -> Duration {
        let own = self.config.ways().map(|model| model.whole_timeout);
        own.max().unwrap_or(Duration::from_millis(900_000))
    }

    /// Every environment variable that holds a credential, sorted.
    fn variables(&self) -> Vec<&str> {
        let keys = self.config.providers.values().flat_map(|provider| &provider.keys);
        keys.map(|key| key.variable.as_str()).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// Compiling the module takes some 40 MB that nobody needs any more; Envoy keeps them unless it is told to give them back.
/// <https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/config/bootstrap/v3/bootstrap.proto#config-bootstrap-v3-memoryallocatormanager>
fn release() -> Value {
    json!({ "bytes_to_release": 2 << 20, "memory_release_interval": "1s" })
}

/// Resources as a file that Envoy follows. `version` is what Envoy then says it runs on.
pub fn resources(kind: &str, version: &str, mut resources: Vec<Value>) -> String {
    for resource in &mut resources {
        if let Value::Object(members) = resource {
            members.shift_insert(0, "@type".to_owned(), kind.into());
        }
    }
    yaml::write(&json!({ "version_info": version, "resources": resources }))
}

/// The type of what is in [`LISTENERS`].
pub const LISTENER_TYPE: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
/// The type of what is in [`CLUSTERS`].
pub const CLUSTER_TYPE: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";

/// What bounds Envoy as a whole.
fn overload() -> Value {
    let limit = json!({ "max_active_downstream_connections": 50_000 });
    let kind = "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig";
    json!({ "resource_monitors": [extension("envoy.resource_monitors.global_downstream_max_connections", kind, limit)] })
}

fn address(address: SocketAddr) -> Value {
    host_and_port(&address.ip().to_string(), address.port())
}

fn host_and_port(host: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": host, "port_value": port } })
}

/// An extension of Envoy: its name, its type after `envoy.extensions.`, its configuration.
fn extension(name: &str, kind: &str, configuration: Value) -> Value {
    json!({ "name": name, "typed_config": typed(&format!("envoy.extensions.{kind}"), configuration) })
}

/// `configuration` with its protobuf type before its members.
fn typed(kind: &str, configuration: Value) -> Value {
    let mut members = serde_json::Map::new();
    members.insert("@type".to_owned(), format!("type.googleapis.com/{kind}").into());
    if let Value::Object(given) = configuration {
        members.extend(given);
    }
    Value::Object(members)
}
