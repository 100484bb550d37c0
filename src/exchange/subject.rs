//! What rules can ask of a request. The body is walked only when one does, and only once for what costs a whole walk.

use core::cell::OnceCell;
use std::borrow::Cow;

use super::step::Host;
use super::sticky::sticky;
use crate::config::{Found, Model, Subject};
use crate::dialect::Operation;
use crate::json::{Document, Kind, Value};
use crate::route::{Fact, Facts};

/// A request.
pub(super) struct Request<'r> {
    pub host: &'r dyn Host,
    pub operation: Operation,
    pub document: &'r Document<'r>,
    /// The model by the name that the client asked for.
    pub asked: &'r str,
    pub found: Found<'r>,
    pub stream: bool,
    images: OnceCell<bool>,
    tokens: OnceCell<u64>,
}

/// The most elements of a list that are looked at.
const MAX_SEVERAL: usize = 64;

impl<'r> Request<'r> {
    pub fn new(
        host: &'r dyn Host,
        operation: Operation,
        document: &'r Document<'r>,
        asked: &'r str,
        found: Found<'r>,
        stream: bool,
    ) -> Self {
        Self { host, operation, document, asked, found, stream, images: OnceCell::new(), tokens: OnceCell::new() }
    }

    fn header(&self, name: &str) -> Fact<'_> {
        self.host.header(name).map_or(Fact::Absent, |value| Fact::Text(Cow::Owned(value)))
    }
}

impl Facts for Request<'_> {
    fn fact(&self, subject: &Subject) -> Fact<'_> {
        let root = self.document.root();
        match subject {
            Subject::Header(name) => self.header(name),
            Subject::Path => match self.header(":path") {
                Fact::Text(path) => {
                    Fact::Text(Cow::Owned(path.split(['?', '#']).next().unwrap_or_default().to_owned()))
                }
                none => none,
            },
            // An alias is as good as the name.
            Subject::Model if self.asked == self.found.name => text(self.asked),
            Subject::Model => Fact::Several(vec![text(self.asked), text(self.found.name)]),
            Subject::Parameter(names) => {
                let value = names.iter().try_fold(root, |value, name| value.get(name));
                value.map_or(Fact::Absent, fact)
            }
            Subject::PromptTokens => {
                let tokens = self.tokens.get_or_init(|| prompt_tokens(self.operation, self.document));
                Fact::Number(*tokens as f64)
            }
            Subject::Stream => Fact::Bool(self.stream),
            Subject::Tools => {
                let some = |name| root.get(name).is_some_and(|tools| tools.elements().next().is_some());
                Fact::Bool(some("tools") || some("functions"))
            }
            Subject::Images => Fact::Bool(*self.images.get_or_init(|| has_images(root))),
        }
    }

    fn sticky(&self, model: &Model) -> Option<u64> {
        sticky(self.host, self.document, model)
    }
}

fn text(text: &str) -> Fact<'_> {
    Fact::Text(Cow::Borrowed(text))
}

/// `null` stands for nothing, as in OpenAI's dialect.
fn fact(value: Value<'_>) -> Fact<'_> {
    match value.kind() {
        Kind::Null => Fact::Absent,
        Kind::Bool => Fact::Bool(value.as_bool() == Some(true)),
        Kind::Number => value.as_f64().map_or(Fact::Other, Fact::Number),
        Kind::String => {
            let text = value.as_str().map(|text| text.decode().into_owned());
            Fact::Text(Cow::Owned(text.unwrap_or_default()))
        }
        Kind::Array => Fact::Several(value.elements().take(MAX_SEVERAL).map(element).collect()),
        Kind::Object => Fact::Other,
    }
}

/// The same of a list's element, but for lists in lists.
fn element(value: Value<'_>) -> Fact<'_> {
    if value.kind() == Kind::Array { Fact::Other } else { fact(value) }
}

fn has_images(root: Value<'_>) -> bool {
    let messages = root.get("messages").into_iter().flat_map(Value::elements);
    let mut parts = messages.filter_map(|message| message.get("content")).flat_map(Value::elements);
    parts.any(|part| part.get("type").and_then(Value::as_str).is_some_and(|kind| kind == *"image_url"))
}

/// An estimate of the prompt's tokens: four bytes of what is asked about are one.
fn prompt_tokens(operation: Operation, document: &Document<'_>) -> u64 {
    let subject = document.root().get(operation.subject());
    subject.map_or(0, |subject| subject.raw().len() as u64 / 4)
}
