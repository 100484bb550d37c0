//! Envoy's own replies, in OpenAI's error shape.
//!
//! The module's replies, and those that a route has ready, have that shape already and pass as they are. They are told
//! apart by what Envoy notes as the reason of a reply: nothing for the module's.

use model_gateway::error::Cause;
use serde_json::{Value, json};

use super::extension;

/// An error as OpenAI tells it.
pub fn error_body(message: &str, kind: &str, code: Option<&str>) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}

/// What is made of Envoy's own replies.
pub fn local_reply() -> Value {
    let mut mappers = vec![json!({ "filter": { "extension_filter": extension(
        "envoy.access_loggers.extension_filters.cel",
        "access_loggers.filters.cel.v3.ExpressionFilter",
        json!({ "expression": "response.code_details in ['', 'direct_response']" }),
    )}})];
    let told = |cause: Cause| (cause.told().kind, cause.told().code);
    let replies = [
        (400, "The request is not valid HTTP", told(Cause::BadRequest)),
        (408, "The request did not arrive in time", ("invalid_request_error", Some("request_timeout"))),
        (413, "The request is larger than this gateway allows", told(Cause::TooLarge)),
        (431, "The request's headers are too large", ("invalid_request_error", Some("request_headers_too_large"))),
        (502, "A provider's answer is not valid HTTP, or broke off", told(Cause::BadAnswer)),
        (503, "The gateway got no answer from a provider", ("server_error", Some("upstream_unavailable"))),
        (504, "No provider answered in time", told(Cause::Timeout)),
    ];
    mappers.extend(replies.map(|(status, message, told)| mapper("EQ", status, message, told)));
    mappers.push(mapper("LE", 499, "The request was refused", told(Cause::BadRequest)));
    mappers.push(mapper("GE", 0, "The gateway failed", told(Cause::ServerError)));
    json!({ "mappers": mappers })
}

fn mapper(comparison: &str, status: u16, message: &str, (kind, code): (&str, Option<&str>)) -> Value {
    let message = format!("{message} (%RESPONSE_CODE_DETAILS%)");
    json!({
        "filter": { "status_code_filter": { "comparison": {
            "op": comparison,
            "value": { "default_value": status, "runtime_key": format!("gateway.local_reply.{comparison}.{status}") },
        }}},
        "body_format_override": { "json_format": error_body(&message, kind, code) },
    })
}
