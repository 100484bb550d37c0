//! Envoy's own replies, in OpenAI's error shape.

use serde_json::{Value, json};

/// An error as OpenAI tells it.
pub fn error_body(message: &str, kind: &str, code: Option<&str>) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}

/// What is made of Envoy's own replies.
pub fn local_reply() -> Value {
    json!({})
}
