//! The log of requests and answers as a whole: one line for each that the module chose.

use model_gateway::names;
use serde_json::{Value, json};

use super::sinks::{self, Log};
use super::{Render, access_log, extension};

/// The loggers, if there are any.
pub fn payload_log(render: &Render<'_>) -> Vec<Value> {
    let Some(payloads) = &render.config.payloads else { return Vec::new() };
    let mut line = sinks::states([
        ("model", names::log::MODEL.to_owned()),
        ("key", names::log::KEY.to_owned()),
        ("team", names::log::TEAM.to_owned()),
        ("provider", names::log::PROVIDER.to_owned()),
        ("target_model", names::log::TARGET_MODEL.to_owned()),
        ("error", names::log::ERROR.to_owned()),
        ("request", names::PAYLOAD_REQUEST.to_owned()),
        ("answer", names::PAYLOAD_ANSWER.to_owned()),
    ]);
    for (name, format) in access_log::WHICH {
        line.insert((*name).to_owned(), (*format).into());
    }
    line.extend(access_log::labels(render));
    let filter = json!({ "extension_filter": extension(
        "envoy.access_loggers.extension_filters.cel",
        "access_loggers.filters.cel.v3.ExpressionFilter",
        json!({ "expression": format!("'{}{}' in filter_state", names::STATE_PREFIX, names::PAYLOAD_REQUEST) }),
    )});
    let line = Value::Object(line);
    let log = Log { name: "model-gateway.payloads", line: &line, text: None, filter: Some(&filter) };
    payloads.log.iter().filter_map(|sink| sinks::logger(sink, &log)).collect()
}
