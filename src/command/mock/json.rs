//! Looking into JSON and adding to it, where a wrong shape is no reason to panic.

use serde_json::Value;

/// Objects by their keys.
pub trait At {
    /// What is under a key; `null` if there is nothing.
    fn at(&self, key: &str) -> &Value;

    /// Puts a value under a key, if this is an object.
    fn put(&mut self, key: &str, value: impl Into<Value>);
}

impl At for Value {
    fn at(&self, key: &str) -> &Value {
        self.get(key).unwrap_or(&Value::Null)
    }

    fn put(&mut self, key: &str, value: impl Into<Value>) {
        if let Value::Object(object) = self {
            object.insert(key.to_owned(), value.into());
        }
    }
}

/// The first member of an object that is not among `known`.
pub fn unknown<'v>(object: &'v Value, known: &[&str]) -> Option<&'v str> {
    object.as_object()?.keys().map(String::as_str).find(|name| !known.contains(name))
}

/// Whether this is base64, without white space and with its padding.
pub fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    text.len().is_multiple_of(4) && text.len() - digits.len() < 3 && digits.bytes().all(is_digit)
}
