//! What rules can ask of a request. The body is walked only when one does, and only once for what costs a whole walk.

use core::cell::OnceCell;
use std::borrow::Cow;

use super::labels::Labels;
use super::step::Host;
use super::sticky::sticky;
use crate::config::{Model, Subject};
use crate::json::{Document, Kind, Value};
use crate::route::{Fact, Facts, Question};
use crate::tokens::{self, Estimate, Rules};

/// A request.
pub(super) struct Request<'r> {
    host: &'r dyn Host,
    document: &'r Document<'r>,
    question: &'r Question<'r>,
    labels: &'r Labels,
    estimate: OnceCell<Estimate>,
}

/// The most elements of a list that are looked at.
const MAX_SEVERAL: usize = 64;

impl<'r> Request<'r> {
    pub fn new(host: &'r dyn Host, document: &'r Document<'r>, question: &'r Question<'r>, labels: &'r Labels) -> Self {
        Self { host, document, question, labels, estimate: OnceCell::new() }
    }

    /// Models count tokens each in their own way: the one that was asked for, here, whoever will answer.
    fn estimated(&self) -> &Estimate {
        self.estimate.get_or_init(|| tokens::estimate(self.question.operation, self.document, self.rules()))
    }

    fn rules(&self) -> Rules {
        let asked = self.question.asked;
        match asked.model.targets.first() {
            Some(target) if target.model.contains('*') => Rules::of(&target.model(asked.star)),
            first => first.map_or_else(|| Rules::of(""), |target| target.rules),
        }
    }

    /// About how many tokens the prompt has, at a bounded price.
    pub fn rough_tokens(&self) -> u64 {
        tokens::rough(self.question.operation, self.document, self.rules())
    }

    fn header(&self, name: &str) -> Fact<'_> {
        self.host.header(name).map_or(Fact::Absent, |value| Fact::Text(Cow::Owned(value)))
    }
}

impl Facts for Request<'_> {
    fn fact(&self, subject: &Subject) -> Fact<'_> {
        let root = self.document.root();
        let Question { name, asked, key, stream, .. } = self.question;
        match subject {
            Subject::Header(name) => self.header(name),
            Subject::Path => match self.header(":path") {
                Fact::Text(path) => {
                    Fact::Text(Cow::Owned(path.split(['?', '#']).next().unwrap_or_default().to_owned()))
                }
                none => none,
            },
            // An alias is as good as the name.
            Subject::Model if asked.name == *name => text(name),
            Subject::Model => Fact::Several(vec![text(name), text(asked.name)]),
            Subject::Parameter(names) => {
                let value = names.iter().try_fold(root, |value, name| value.get(name));
                value.map_or(Fact::Absent, fact)
            }
            Subject::Key => key.map_or(Fact::Absent, |key| text(&key.name)),
            Subject::Team => key.and_then(|key| key.team.as_deref()).map_or(Fact::Absent, text),
            Subject::Label(name) => self.labels.get(name).map_or(Fact::Absent, text),
            Subject::PromptTokens => Fact::Number(self.estimated().input as f64),
            Subject::Stream => Fact::Bool(*stream),
            Subject::Tools => {
                let some = |name| root.get(name).is_some_and(|tools| tools.elements().next().is_some());
                Fact::Bool(some("tools") || some("functions"))
            }
            Subject::Images => Fact::Bool(self.estimated().needs.vision),
        }
    }

    fn bytes(&self) -> u64 {
        self.document.text().len() as u64
    }

    fn estimate(&self) -> Estimate {
        *self.estimated()
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
