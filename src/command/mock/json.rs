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
