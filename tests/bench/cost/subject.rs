//! What is compared: Envoys on one worker, each on its own, all with the same upstream.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::client::{Ask, KEY};
use crate::bodies::{self, Dialect};
use crate::support::{Folder, Process, envoy, free_address};

/// One Envoy.
pub struct Subject {
    pub name: String,
    pub address: Arc<str>,
    /// The Envoy's, which may be a child of the process that was started.
    pub pid: u32,
    /// From the start to the first answer.
    pub start: Duration,
    /// Whether it is a gateway, or knows nothing of what passes.
    translates: bool,
    _process: Process,
    _folder: Folder,
}

/// What a gateway has switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Features {
    /// Keys, limits and prices, and metrics, which are on by default.
    Limits,
    /// All that observes requests too: the access log, to a file, labels, and the live page.
    Observed,
    /// Keys and limits as well, prices too as one of the limits is in USD, but nothing that observes.
    Unobserved,
    /// Neither keys nor limits.
    None,
}

impl Subject {
    /// Envoy alone, or with a filter that does nothing in front of its router and in its cluster.
    pub fn plain(name: &str, upstream: &str, filter: Option<&Path>) -> Self {
        let address = free_address();
        let folder = Folder::new();
        let file = folder.0.join("envoy.json");
        std::fs::write(&file, plain(&address, upstream, filter).to_string()).unwrap();
        let mut command = pinned(envoy(&file).get_program());
        command.args(["--use-dynamic-base-id", "--concurrency", "1", "-l", "warn", "-c"]).arg(&file);
        Self::start(name, command, address, folder, false)
    }

    /// The gateway of this command, which knows its module.
    pub fn gateway(name: &str, command: &Path, upstream: &str, features: Features) -> Self {
        let (address, admin) = (free_address(), free_address());
        let folder = Folder::new();
        let file = folder.0.join("gateway.yaml");
        let mut text = gateway(&address, &admin, upstream);
        if features != Features::None {
            text += &limits();
        }
        text += &match features {
            Features::Observed => format!("log: \"{}\"\npage: {{}}\n{LABELS}", folder.0.join("log").display()),
            Features::Unobserved => "log: \"off\"\nmetrics: false\n".to_owned(),
            Features::Limits | Features::None => "log: \"off\"\n".to_owned(),
        };
        std::fs::write(&file, text).unwrap();
        let mut started = pinned(command);
        // Where there is no other module than its own.
        started.current_dir(&folder.0).arg("--envoy").arg(envoy(&file).get_program());
        started.arg("run").arg(&file).env("BENCH_KEY", "sk-bench");
        Self::start(name, started, address, folder, true)
    }

    fn start(name: &str, command: Command, address: String, folder: Folder, translates: bool) -> Self {
        let since = Instant::now();
        let mut process = Process::spawn(command);
        let url = format!("http://{address}/v1/models");
        process.wait_for(name, |_| match ureq::get(&url).call() {
            Ok(_) | Err(ureq::Error::StatusCode(_)) => Some(()),
            Err(_) => None,
        });
        let start = since.elapsed();
        let pid = envoy_of(process.id());
        Self {
            name: name.to_owned(),
            address: address.into(),
            pid,
            start,
            translates,
            _process: process,
            _folder: folder,
        }
    }

    /// A request that ends up at a provider of this dialect.
    pub fn ask(&self, dialect: Dialect, bytes: usize, stream: bool) -> Ask {
        let (model, path) = match dialect {
            Dialect::OpenAi => ("gpt-4o", "/openai/v1/chat/completions"),
            Dialect::Anthropic => ("claude", "/anthropic/v1/messages"),
        };
        let path = if self.translates { "/v1/chat/completions" } else { path };
        Ask { path, body: Arc::from(bodies::chat(model, bytes, stream)) }
    }

    /// A request whose first target fails.
    pub fn failing(&self, bytes: usize) -> Ask {
        let path = if self.translates { "/v1/chat/completions" } else { "/anthropic/v1/messages" };
        Ask { path, body: Arc::from(bodies::chat("failing", bytes, false)) }
    }

    /// What its workers have used of the processor so far, by the kernel's own count.
    pub fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid)).unwrap();
        let workers = tasks
            .map(|task| task.unwrap().path())
            .filter(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("wrk:")));
        let times = workers.map(|task| {
            let times = std::fs::read_to_string(task.join("schedstat")).unwrap();
            times.split(' ').next().unwrap().parse::<u64>().unwrap()
        });
        Duration::from_nanos(times.sum())
    }

    /// What it holds of memory, in KB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// On the first processor alone; the benchmark has the others.
fn pinned(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

/// The process itself, or the one that it has started.
fn envoy_of(pid: u32) -> u32 {
    let is_envoy = std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "envoy");
    if is_envoy {
        return pid;
    }
    let children = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flat_map(|task| {
        let children = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap();
        children.split_whitespace().map(|child| child.parse().unwrap()).collect::<Vec<u32>>()
    });
    children.map(envoy_of).next().expect("an Envoy")
}

fn gateway(address: &str, admin: &str, upstream: &str) -> String {
    format!(
        r#"
listen: {address}
admin: {admin}
workers: 1
cooldown: 0s
forward_headers: [x-bench]
providers:
  openai: {{ kind: openai, api_key: "${{BENCH_KEY}}", base_url: "http://{upstream}/openai/v1" }}
  anthropic: {{ kind: anthropic, api_key: "${{BENCH_KEY}}", base_url: "http://{upstream}/anthropic" }}
models:
  gpt-4o: {{ targets: [{{ provider: openai, model: gpt-4o-2024-08-06 }}] }}
  claude: {{ targets: [{{ provider: anthropic, model: claude-sonnet-4-5 }}] }}
  failing: {{ targets: [{{ provider: openai, model: gpt-4o-2024-08-06 }}], fallbacks: [claude] }}
"#
    )
}

fn limits() -> String {
    let hash = |key: &str| Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (hash, operators) = (hash(KEY), hash("operator"));
    format!(
        r#"
keys:
  - {{ name: bench, sha256: "{hash}", team: t, limits: [{{ requests: 1000000000, per: minute }}, {{ tokens: 1000000000000, per: day }}] }}
  - {{ name: operator, sha256: "{operators}", role: admin }}
limits: [{{ usd: 1000000, per: month, by: [team] }}]
"#
    )
}

/// One comes in a header with every request (`Client`).
const LABELS: &str = "labels: { headers: [feature], metadata: [tenant], user: true }\n";

fn plain(address: &str, upstream: &str, filter: Option<&Path>) -> Value {
    let at = |address: &str| {
        let (host, port) = address.rsplit_once(':').unwrap();
        json!({"socket_address": {"address": host, "port_value": port.parse::<u16>().unwrap()}})
    };
    let named = |name: &str| {
        json!({"name": name, "typed_config":
            {"@type": format!("type.googleapis.com/envoy.extensions.filters.http.{name}")}})
    };
    let wasm = filter.map(|module| {
        json!({"name": "empty", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {"name": "empty", "root_id": "empty", "vm_config": {"vm_id": "empty", "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": module}}}},
        }})
    });
    let filters = |last: Value| json!(wasm.clone().into_iter().chain([last]).collect::<Vec<_>>());
    json!({
        "static_resources": {
            "listeners": [{"name": "plain", "address": at(address), "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "plain",
                    "http_filters": filters(named("router.v3.Router")),
                    "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                        {"match": {"path": "/v1/models"}, "direct_response": {"status": 200}},
                        {"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}},
                    ]}]},
                },
            }]}]}],
            "clusters": [{"name": "upstream", "connect_timeout": "5s",
                "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(upstream)}}]}]},
                "circuit_breakers": {"thresholds": [{"max_connections": 10000, "max_pending_requests": 10000, "max_requests": 10000}]},
                "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http_protocol_options": {}},
                    "http_filters": filters(named("upstream_codec.v3.UpstreamCodec")),
                }},
            }],
        },
    })
}

/// The filter that does nothing, as `make bench` builds it.
pub fn empty_filter() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/wasm32-wasip1/release/examples/empty.wasm")
}
