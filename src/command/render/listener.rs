//! Where clients connect to.

use serde_json::{Value, json};

use super::{Render, access_log, address, auth, extension, local_reply, routes, secrets, shared, tracing, wasm};

/// The listener.
pub fn listener(render: &Render<'_>) -> Value {
    let filter = extension(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        connection_manager(render),
    );
    let mut chain = json!({ "filters": [filter] });
    if let (Value::Object(members), Some(socket)) = (&mut chain, auth::transport_socket(render)) {
        members.shift_insert(0, "transport_socket".to_owned(), socket);
    }
    json!({ "name": "gateway", "address": address(render.config.listen), "filter_chains": [chain] })
}

fn connection_manager(render: &Render<'_>) -> Value {
    let longest = render.longest().to_proto();
    let mut manager = json!({
        "stat_prefix": "gateway",
        "codec_type": "AUTO",
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 1 << 18,
            "initial_connection_window_size": 1 << 20,
        },
        // A client's id is kept, and is on the answer and in the log.
        "generate_request_id": true,
        "preserve_external_request_id": true,
        "always_set_request_id_in_response": true,
        // A client's `x-envoy-*` would command Envoy; its address is nothing that providers should learn.
        "use_remote_address": true,
        "skip_xff_append": true,
        "server_header_transformation": "PASS_THROUGH",
        "normalize_path": true,
        "merge_slashes": true,
        // The names of models have slashes in them.
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "common_http_protocol_options": { "headers_with_underscores_action": "DROP_HEADER" },
        "request_headers_timeout": "10s",
        // A stream that breaks ends so much later for an HTTP/1.1 client: Envoy waits for it to close first.
        "delayed_close_timeout": "0.100s",
        // No request outlasts the longest that a model may take: neither a slow upload nor a slow answer is cut before.
        "request_timeout": longest,
        "stream_idle_timeout": longest,
        "access_log": access_log::access_log(render),
        "local_reply_config": local_reply::local_reply(),
        "route_config": routes::routes(render),
        "http_filters": filters(render),
    });
    if let (Value::Object(members), Some(tracing)) = (&mut manager, tracing::tracing(render)) {
        members.insert("tracing".to_owned(), tracing);
    }
    manager
}

/// Google's tokens come after the module, which refuses some requests that need none; clients' before it, which reads them.
fn filters(render: &Render<'_>) -> Vec<Value> {
    let router = extension(
        "envoy.filters.http.router",
        "filters.http.router.v3.Router",
        json!({ "suppress_envoy_headers": true }),
    );
    let tokens = secrets::wants_gcp(render).then(|| secrets::gcp_tokens(render));
    // What is refused needs no token either.
    let shared = shared::filters(render);
    let clients = auth::tokens(render).into_iter();
    clients.chain([wasm::gateway(render)]).chain(shared).chain(tokens).chain([router]).collect()
}
