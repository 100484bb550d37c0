//! One line of JSON for each request.

use model_gateway::config::Log;
use model_gateway::names;
use serde_json::{Map, Value, json};

use super::{Render, extension};

/// The access logs of the listener: one, or none.
pub fn access_log(render: &Render<'_>) -> Vec<Value> {
    let format = json!({ "json_format": line(), "omit_empty_values": true });
    match &render.config.log {
        Log::Off => vec![],
        Log::Stdout => {
            vec![extension("stdout", "access_loggers.stream.v3.StdoutAccessLog", json!({ "log_format": format }))]
        }
        Log::Path(path) => vec![extension(
            "file",
            "access_loggers.file.v3.FileAccessLog",
            json!({ "path": path, "log_format": format }),
        )],
    }
}

fn line() -> Value {
    const MEMBERS: &[(&str, &str)] = &[
        ("time", "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%"),
        ("request_id", "%REQ(X-REQUEST-ID)%"),
        ("method", "%REQ(:METHOD)%"),
        ("path", "%PATH(NQ:PATH)%"),
        ("endpoint", "%ROUTE_NAME%"),
        ("status", "%RESPONSE_CODE%"),
        ("flags", "%RESPONSE_FLAGS%"),
        ("details", "%RESPONSE_CODE_DETAILS%"),
        ("duration_ms", "%DURATION%"),
        ("first_byte_ms", "%RESPONSE_DURATION%"),
        ("bytes_received", "%BYTES_RECEIVED%"),
        ("bytes_sent", "%BYTES_SENT%"),
        ("cluster", "%UPSTREAM_CLUSTER%"),
        ("upstream_attempts", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"),
        ("client", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
    ];
    let fixed = MEMBERS.iter().map(|(name, format)| ((*name).to_owned(), Value::from(*format)));
    let state = names::log::ALL.iter().map(|property| {
        let name = property.rsplit('.').next().unwrap_or(property);
        (name.to_owned(), Value::from(format!("%FILTER_STATE({}{property}:PLAIN)%", names::STATE_PREFIX)))
    });
    Value::Object(fixed.chain(state).collect::<Map<_, _>>())
}
