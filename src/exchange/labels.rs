//! What a request is told apart by: what its client says, as far as configuration wants to know, and what its key says.

use super::step::{Host, Step};
use crate::config::{Config, Key, USER};
use crate::json::{Document, Kind, Value};
use crate::names;

/// The labels of a request, by their names.
#[derive(Debug, Clone, Default)]
pub(super) struct Labels(Vec<(String, String)>);

/// The longest value, in characters.
const MAX_VALUE: usize = 128;

impl Labels {
    /// A key's own come first: what a client says counts where its key says nothing.
    pub fn of(config: &Config, key: Option<&Key>, host: &dyn Host, document: &Document<'_>) -> Self {
        let mut labels = Self::default();
        for (name, value) in key.into_iter().flat_map(|key| &key.labels) {
            labels.add(name, value);
        }
        for (name, header) in &config.labels.headers {
            if let Some(value) = host.header(header) {
                labels.add(name, &value);
            }
        }
        let root = document.root();
        for name in &config.labels.metadata {
            if let Some(value) = root.path(&["metadata", name]) {
                labels.add(name, &text(value));
            }
        }
        if let Some(user) = root.get(USER).filter(|_| config.labels.user) {
            labels.add(USER, &text(user));
        }
        labels
    }

    /// The value of the label with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// All of them.
    pub fn all(&self) -> &[(String, String)] {
        &self.0
    }

    /// Sets them as properties.
    pub fn tell(&self, step: &mut Step) {
        for (name, value) in &self.0 {
            step.property(names::label(name), value.as_bytes());
        }
    }

    /// Adds one, unless there is one of that name.
    pub fn add(&mut self, name: &str, value: &str) {
        let value = value.trim();
        if !value.is_empty() && self.get(name).is_none() {
            self.0.push((name.to_owned(), harmless(value)));
        }
    }
}

/// The beginning of `value`, without what could end a line.
fn harmless(value: &str) -> String {
    if value.len() <= MAX_VALUE && value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return value.to_owned();
    }
    value.chars().take(MAX_VALUE).map(|character| if character.is_control() { '?' } else { character }).collect()
}

/// Of a value without parts.
fn text(value: Value<'_>) -> String {
    match value.kind() {
        Kind::String => value.as_str().map(|text| text.decode().into_owned()).unwrap_or_default(),
        Kind::Number | Kind::Bool => value.raw().to_owned(),
        Kind::Null | Kind::Array | Kind::Object => String::new(),
    }
}
