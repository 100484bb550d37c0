//! The module, as a filter.

use model_gateway::config::{File, LogFile, Module, Position, Sink};
use model_gateway::names;
use serde_json::{Value, json};

use super::{Render, extension};

/// The filter before the router.
pub fn gateway(render: &Render<'_>) -> Value {
    // What only Envoy needs to know would make the module start anew whenever it changes.
    let log = log(render);
    let config = File { listen: None, admin: None, workers: None, log, keys_file: None, ..render.file.clone() };
    filter(
        render,
        names::GATEWAY_ROOT.to_owned(),
        &Module { position: Position::Gateway, provider: None, mirrored: false, config },
    )
}

/// All that the module has to know of where logs go: whether as text, which is the default, and whether otherwise.
fn log(render: &Render<'_>) -> Option<LogFile> {
    let word = |word: &str| LogFile::Word(word.to_owned());
    let (is_text, is_other) = (|sink: &Sink| sink.is_text(), |sink: &Sink| !sink.is_text());
    match (render.config.log.iter().any(is_text), render.config.log.iter().any(is_other)) {
        (true, false) => None,
        (true, true) => Some(LogFile::Several(vec![word("stdout"), word("properties")])),
        (false, true) => Some(word("properties")),
        (false, false) => Some(word("off")),
    }
}

/// The filter in the cluster of the provider with that name.
pub fn provider(render: &Render<'_>, name: &str) -> Value {
    let only = render.file.providers.iter().filter(|(other, _)| *other == name);
    let config = File {
        body_limit: render.file.body_limit,
        metrics: render.file.metrics,
        forward_headers: render.file.forward_headers.clone(),
        tracing: render.file.tracing.clone(),
        providers: only.map(|(name, provider)| (name.clone(), provider.clone())).collect(),
        ..File::default()
    };
    let mirrored = render.config.mirrors().any(|mirror| mirror.target.provider == name);
    let module = Module { position: Position::Provider, provider: Some(name.to_owned()), mirrored, config };
    let root = format!("{}{name}", names::PROVIDER_ROOT_PREFIX);
    filter(render, root, &module)
}

fn filter(render: &Render<'_>, root: String, module: &Module) -> Value {
    let variables = render.variables();
    // Filters with the same id share one VM on each worker, and the VM keeps the variables that it began with.
    let vm_id = ["model-gateway", &variables.join(" ")].join(" ");
    let configuration = serde_json::to_string_pretty(module).unwrap_or_default();
    extension(
        "model_gateway",
        "filters.http.wasm.v3.Wasm",
        json!({ "config": {
            "name": root,
            "root_id": root,
            "vm_config": {
                "vm_id": vm_id.trim_end(),
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": render.module } },
                "environment_variables": { "host_env_keys": variables },
            },
            "configuration": { "@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration },
            "failure_policy": "FAIL_RELOAD",
            // Without it, a request that is paused at its headers never goes on.
            "allow_on_headers_stop_iteration": true,
        }}),
    )
}
