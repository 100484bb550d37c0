//! Rules: which requests go elsewhere than their model says, and where copies of requests go. Checked here; which rule a
//! request follows is decided in [`crate::route`].

use super::checked::Check;
use super::file::{MirrorFile, ModelFile, RuleFile, TargetFile};
use super::models::{Model, Target};
use super::suggest::unknown;
use super::when::{Operators, Scalar, TestFile, WhenFile};

/// What is done with requests of a certain sort.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name, which no other rule has.
    pub name: String,
    /// Which requests it is about.
    pub when: Condition,
    /// Which part of them.
    pub share: Option<Share>,
    /// Who answers them.
    pub way: Way,
    /// Where copies of them go.
    pub mirror: Option<Mirror>,
}

/// A part of many requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// So many of a million.
    pub parts: u32,
    /// Whose requests are in it together.
    pub sticky_by: Option<ShareBy>,
    /// The header by which a client says `on` or `off`, in lower case.
    pub override_header: Option<String>,
}

/// Whose requests are in a share together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareBy {
    /// Those of a user: the request's member.
    User,
    /// Those with the same key.
    Key,
    /// Those with the same header of this name, in lower case.
    Header(String),
}

/// Who answers the requests of a rule.
#[derive(Debug, Clone)]
pub enum Way {
    /// The model that was asked for.
    Asked,
    /// The model with this name in configuration.
    Use(String),
    /// These targets, as a model that has no name.
    Targets(Box<Model>),
}

/// A target that gets copies of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Where they go.
    pub target: Target,
    /// So many of a million requests.
    pub parts: u32,
}

/// Which requests are meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Those for which all of these hold.
    All(Vec<Condition>),
    /// Those for which one of these holds.
    Any(Vec<Condition>),
    /// Those for which this does not hold.
    Not(Box<Condition>),
    /// Those of which this is so.
    Is(Subject, Test),
}

/// What of a request a condition is about. A condition of a new sort is a member of [`WhenFile`], a line in
/// `Check::condition`, one here, and one in `exchange::subject`, where requests are asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A header, in lower case.
    Header(String),
    /// The name of the client's key.
    Key,
    /// Whose it is.
    Team,
    /// One of its labels.
    Label(String),
    /// The path without its query.
    Path,
    /// The names of the model that was asked for.
    Model,
    /// A member of the body, and of that, and so on.
    Parameter(Vec<String>),
    /// How many tokens the prompt has, by an estimate.
    PromptTokens,
    /// Whether the answer is to be streamed.
    Stream,
    /// Whether there are tools.
    Tools,
    /// Whether there are images.
    Images,
}

/// What it is held against.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// All of these.
    All(Vec<Test>),
    /// Anything but this.
    Not(Box<Test>),
    /// One of these.
    OneOf(Vec<Scalar>),
    /// A number, and on which side of it.
    Number(Side, f64),
    /// A text that begins so.
    Prefix(String),
    /// A text that ends so.
    Suffix(String),
    /// A text that has this in it.
    Contains(String),
    /// A text like this, in which `*` stands for anything.
    Like(String),
    /// Whether it is there.
    Present(bool),
}

/// On which side of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Above it.
    Above,
    /// Above it, or on it.
    From,
    /// Below it.
    Below,
    /// Below it, or on it.
    To,
}

/// All of them, in millionths.
const WHOLE: u32 = 1_000_000;
/// How deep conditions may be nested.
const MAX_DEPTH: usize = 8;

impl Check<'_> {
    pub(super) fn rules(&mut self) -> Vec<Rule> {
        let file = self.file;
        let mut rules: Vec<Rule> = Vec::new();
        let mut all = None;
        for (index, rule) in file.rules.iter().enumerate() {
            let path = format!("rules[{index}]");
            if let Some(all) = all.take() {
                self.mistake(&path, format!("no request comes so far: all of them match rules[{all}]"));
            }
            if rule.when.as_ref().is_none_or(|when| *when == WhenFile::default()) && rule.share.is_none() {
                all = Some(index);
            }
            let rule = self.rule(&path, rule);
            if rules.iter().any(|other| other.name == rule.name) {
                self.mistake(format!("{path}.name"), format!("there is already a rule `{}`", rule.name));
            }
            rules.push(rule);
        }
        rules
    }

    fn rule(&mut self, path: &str, file: &RuleFile) -> Rule {
        let name = file.name.clone().unwrap_or_else(|| path.to_owned());
        if name.is_empty() || name.len() > 64 || !name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            self.mistake(format!("{path}.name"), "expected up to 64 letters, digits and signs of ASCII");
        }
        let when = file.when.as_ref().map(|when| self.condition(&format!("{path}.when"), when, 1));
        let way = self.way(path, file);
        Rule {
            name,
            when: when.unwrap_or(Condition::All(Vec::new())),
            share: self.share(path, file),
            way,
            mirror: self.mirror(&format!("{path}.mirror"), "*", file.mirror.as_ref()),
        }
    }

    fn way(&mut self, path: &str, file: &RuleFile) -> Way {
        if file.targets.is_empty() && !file.fallbacks.is_empty() {
            self.mistake(format!("{path}.fallbacks"), "follow `targets`; a model that is used has its own");
        }
        match &file.model {
            Some(_) if !file.targets.is_empty() => {
                self.mistake(format!("{path}.targets"), "give `use` or `targets`, not both");
                Way::Asked
            }
            Some(model) => {
                if !self.file.models.contains_key(model) {
                    let message = unknown("model", model, self.file.models.keys().map(String::as_str));
                    self.mistake(format!("{path}.use"), message);
                } else if model.contains('*') {
                    self.mistake(format!("{path}.use"), format!("`{model}` is a pattern: name one model"));
                }
                Way::Use(model.clone())
            }
            None if !file.targets.is_empty() => {
                let own = ModelFile {
                    targets: file.targets.clone(),
                    fallbacks: Some(file.fallbacks.clone()),
                    ..ModelFile::default()
                };
                Way::Targets(Box::new(self.model(path, "*", &own)))
            }
            None => {
                if file.mirror.is_none() {
                    self.mistake(path, "says nothing to do; write `use`, `targets` or `mirror`");
                }
                Way::Asked
            }
        }
    }

    fn share(&mut self, path: &str, file: &RuleFile) -> Option<Share> {
        let Some(share) = &file.share else {
            for (key, given) in [("sticky_by", &file.sticky_by), ("override_header", &file.override_header)] {
                if given.is_some() {
                    self.mistake(format!("{path}.{key}"), "is about a share: write `share` too");
                }
            }
            return None;
        };
        let by_header = |name: &str| ShareBy::Header(name.to_ascii_lowercase());
        let sticky_by = file.sticky_by.as_deref().and_then(|by| match by.strip_prefix("header:") {
            _ if by == "user" => Some(ShareBy::User),
            _ if by == "key" => Some(ShareBy::Key),
            Some(name) if is_header(name) => Some(by_header(name)),
            _ => {
                self.mistake(format!("{path}.sticky_by"), "expected `user`, `key` or `header:NAME`");
                None
            }
        });
        let override_header = file.override_header.as_deref().map(str::to_ascii_lowercase);
        if override_header.as_deref().is_some_and(|name| !is_header(name) || RESERVED.contains(&name)) {
            self.mistake(format!("{path}.override_header"), "expected a header of its own, such as `x-canary`");
        }
        Some(Share { parts: self.parts(&format!("{path}.share"), Some(share)), sticky_by, override_header })
    }

    /// A share as a part of a million; all, if there is none.
    pub(super) fn parts(&mut self, path: &str, share: Option<&serde_json::Number>) -> u32 {
        let Some(share) = share else { return WHOLE };
        let percent = share.as_f64().filter(|percent| (0.0..=100.0).contains(percent));
        if percent.is_none() {
            self.mistake(path, "expected between 0 and 100: so many of a hundred requests");
        }
        (percent.unwrap_or_default() * f64::from(WHOLE / 100)).round() as u32
    }

    pub(super) fn mirror(&mut self, path: &str, model: &str, file: Option<&MirrorFile>) -> Option<Mirror> {
        let file = file?;
        let target = TargetFile {
            provider: file.provider.clone(),
            model: file.model.clone(),
            rename: file.rename.clone(),
            drop: file.drop.clone(),
            default: file.default.clone(),
            set: file.set.clone(),
            ..TargetFile::default()
        };
        let parts = self.parts(&format!("{path}.share"), file.share.as_ref());
        Some(Mirror { target: self.target(path, model, &target, Default::default()), parts })
    }

    fn condition(&mut self, path: &str, file: &WhenFile, depth: usize) -> Condition {
        if depth > MAX_DEPTH {
            self.mistake(path, format!("conditions are nested {MAX_DEPTH} deep at most"));
            return Condition::All(Vec::new());
        }
        let mut all = Vec::new();
        for (name, test) in &file.header {
            let path = format!("{path}.header.{name}");
            if !is_header(name) {
                self.mistake(&path, "expected a header's name, such as `x-tenant`");
            }
            all.push(self.is(path, Subject::Header(name.to_ascii_lowercase()), test));
        }
        for (name, test) in &file.parameter {
            let path = format!("{path}.parameter.{name}");
            let names: Vec<String> = name.split('.').map(str::to_owned).collect();
            if names.iter().any(String::is_empty) {
                self.mistake(&path, "expected a parameter's name, such as `temperature` or `metadata.tenant`");
            }
            all.push(self.is(path, Subject::Parameter(names), test));
        }
        for (name, test) in &file.label {
            all.push(self.is(format!("{path}.label.{name}"), Subject::Label(name.clone()), test));
        }
        for (key, subject, test) in [
            ("key", Subject::Key, &file.key),
            ("team", Subject::Team, &file.team),
            ("path", Subject::Path, &file.path),
            ("model", Subject::Model, &file.model),
            ("prompt_tokens", Subject::PromptTokens, &file.prompt_tokens),
        ] {
            all.extend(test.as_ref().map(|test| self.is(format!("{path}.{key}"), subject, test)));
        }
        for (subject, wanted) in
            [(Subject::Stream, file.stream), (Subject::Tools, file.tools), (Subject::Images, file.images)]
        {
            all.extend(wanted.map(|wanted| Condition::Is(subject, Test::OneOf(vec![Scalar::Bool(wanted)]))));
        }
        let mut several = |key: &str, list: &[WhenFile]| -> Vec<Condition> {
            let each = list.iter().enumerate();
            each.map(|(index, when)| self.condition(&format!("{path}.{key}[{index}]"), when, depth + 1)).collect()
        };
        all.extend(several("all", &file.all));
        let any = several("any", &file.any);
        if !any.is_empty() {
            all.push(Condition::Any(any));
        }
        if let Some(not) = &file.not {
            all.push(Condition::Not(Box::new(self.condition(&format!("{path}.not"), not, depth + 1))));
        }
        Condition::All(all)
    }

    fn is(&mut self, path: String, subject: Subject, test: &TestFile) -> Condition {
        let test = self.test(&path, &subject, test, 1);
        Condition::Is(subject, test)
    }

    fn test(&mut self, path: &str, subject: &Subject, file: &TestFile, depth: usize) -> Test {
        let is_number = *subject == Subject::PromptTokens;
        let operators = match file {
            TestFile::Equals(Scalar::Text(name))
                if matches!(subject, Subject::Key | Subject::Model | Subject::Path) =>
            {
                return Test::Like(name.clone());
            }
            TestFile::Equals(value) => {
                if is_number && !matches!(value, Scalar::Number(_)) {
                    self.mistake(path, "expected a number, or `gt`, `gte`, `lt` or `lte` with one");
                }
                return Test::OneOf(vec![value.clone()]);
            }
            TestFile::Operators(operators) => operators,
        };
        if *operators == Operators::default() {
            self.mistake(path, "no operator; write a value, or for example `{ in: [a, b] }`");
        }
        let mut all = Vec::new();
        if let Some(values) = &operators.one_of {
            if values.is_empty() {
                self.mistake(format!("{path}.in"), "nothing equals one of none; write at least one value");
            }
            all.push(Test::OneOf(values.clone()));
        }
        match &operators.not {
            Some(_) if depth >= MAX_DEPTH => {
                self.mistake(format!("{path}.not"), format!("`not` is nested {MAX_DEPTH} deep at most"));
            }
            Some(not) => {
                let path = format!("{path}.not");
                all.push(Test::Not(Box::new(self.test(&path, subject, not, depth + 1))));
            }
            None => {}
        }
        for (side, number) in [
            (Side::Above, &operators.gt),
            (Side::From, &operators.gte),
            (Side::Below, &operators.lt),
            (Side::To, &operators.lte),
        ] {
            all.extend(number.as_ref().and_then(serde_json::Number::as_f64).map(|number| Test::Number(side, number)));
        }
        for (key, test) in [
            ("prefix", operators.prefix.clone().map(Test::Prefix)),
            ("suffix", operators.suffix.clone().map(Test::Suffix)),
            ("contains", operators.contains.clone().map(Test::Contains)),
            ("matches", operators.matches.clone().map(Test::Like)),
        ] {
            let Some(test) = test else { continue };
            if is_number {
                self.mistake(format!("{path}.{key}"), "is about texts, and this is a number");
            }
            all.push(test);
        }
        all.extend(operators.present.map(Test::Present));
        Test::All(all)
    }
}

/// Headers that mean something else already.
const RESERVED: &[&str] =
    &["authorization", "content-length", "content-type", "cookie", "host", "transfer-encoding", "x-api-key"];

fn is_header(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
