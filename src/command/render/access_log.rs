//! One line of JSON for each request.

use model_gateway::names;
use serde_json::{Map, Value};

use super::{Render, payloads, sinks};

/// The access logs of the listener, that of payloads among them.
pub fn access_log(render: &Render<'_>) -> Vec<Value> {
    let line = line(render);
    let sinks = render.config.log.iter().map(|sink| sinks::logger(sink, "model-gateway", &line, None));
    sinks.chain(payloads::payload_log(render)).collect()
}

/// What says which request it was.
pub const WHICH: &[(&str, &str)] = &[
    ("time", "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%PATH(NQ:PATH)%"),
    ("status", "%RESPONSE_CODE%"),
];

/// The labels of a request as one member, if there can be any.
pub fn labels(render: &Render<'_>) -> Option<(String, Value)> {
    let names = render.config.label_names();
    let labels = sinks::states(names.iter().map(|name| (*name, names::label(name))));
    (!labels.is_empty()).then(|| ("labels".to_owned(), Value::Object(labels)))
}

fn line(render: &Render<'_>) -> Value {
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
        (name.to_owned(), Value::from(sinks::state(property)))
    });
    Value::Object(fixed.chain(state).chain(labels(render)).collect::<Map<_, _>>())
}
