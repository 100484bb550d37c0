//! What there is to say of each request: a line of JSON, or the same as tags.

use model_gateway::config::Page;
use model_gateway::names;
use serde_json::{Map, Value, json};

use super::sinks::{self, Log};
use super::{Render, payloads};

/// The access logs of the listener, that of payloads among them.
pub fn access_log(render: &Render<'_>) -> Vec<Value> {
    let (line, filter) = (line(render), render.config.page.as_ref().map(without_polls));
    let log = Log { name: "model-gateway", line: &line, text: Some(TEXT), filter: filter.as_ref() };
    let sinks = render.config.log.iter().filter_map(|sink| sinks::logger(sink, &log));
    sinks.chain(payloads::payload_log(render)).collect()
}

/// A line of text. All that others than Envoy can choose is written by the module ([`names::log::LINE`]), as Envoy does not
/// escape it here. The operators are those that always have a value, in letters and digits; where they stand between quotes they can also be empty. Without
/// the module's part, as of what is no request, there is Envoy's reason, which is made of its own words then.
const TEXT: &str = concat!(
    r#"{"time":"%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%","endpoint":"%ROUTE_NAME%","status":%RESPONSE_CODE%,"flags":"%RESPONSE_FLAGS%","#,
    r#""duration_ms":%DURATION%,"first_byte_ms":"#,
    // There is no `null` among the operators, but a time can be written in any form.
    r#"%COALESCE({"operators":["RESPONSE_DURATION",{"command":"START_TIME","param":"null"}]})%,"#,
    r#""bytes_received":%BYTES_RECEIVED%,"bytes_sent":%BYTES_SENT%,"cluster":"%UPSTREAM_CLUSTER%","#,
    r#""upstream_attempts":%UPSTREAM_REQUEST_ATTEMPT_COUNT%,"client":"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%","#,
    r#""details":"%COALESCE({"operators":[{"command":"FILTER_STATE","param":"wasm.gateway.line:PLAIN"},"RESPONSE_CODE_DETAILS"]})%"}"#,
    "\n",
);

/// All but what the live page asks for every few seconds. What is refused there is logged.
fn without_polls(page: &Page) -> Value {
    let polls = json!({ "name": ":path", "string_match": { "prefix": format!("{}/{}", page.path, names::PAGE_DATA) }, "invert_match": true });
    let refused = json!({ "op": "GE", "value": { "default_value": 400, "runtime_key": "gateway.access_log.refused" } });
    json!({ "or_filter": { "filters": [
        { "header_filter": { "header": polls } },
        { "status_code_filter": { "comparison": refused } },
    ]}})
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
