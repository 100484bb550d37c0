//! What clients may ask for: models by name, by alias, by pattern, and where they lead. Checked, and found.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::checked::Check;
use super::file::{BreakerFile, ModelFile, TargetFile};
use super::policy::{Breaker, StickyBy, Strategy};
use super::rules::Mirror;
use super::suggest::unknown;
use super::units::Duration;
use crate::dialect::Edits;
use crate::error::{Cause, Fault};
use crate::facts::{self, Facts};
use crate::price::{self, Price};
use crate::tokens::Rules;

/// What clients may ask for.
#[derive(Debug, Clone, Default)]
pub struct Models {
    /// By the name that configuration has for them.
    by_name: BTreeMap<String, Model>,
    /// The name for an alias.
    aliases: BTreeMap<String, String>,
    /// Names with a `*`: those first that say most.
    patterns: Vec<String>,
}

/// A model that was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Configuration's name for it.
    pub name: &'a str,
    /// Where it leads.
    pub model: &'a Model,
    /// What the `*` in its name stands for; empty if it has none.
    pub star: &'a str,
}

/// Where a model leads.
#[derive(Debug, Clone)]
pub struct Model {
    /// At least one, and one at least with a weight.
    pub targets: Vec<Target>,
    /// Which of them gets the first attempt.
    pub strategy: Strategy,
    /// What the strategy `sticky` goes by.
    pub sticky_by: StickyBy,
    /// Names of other models, all known, without a cycle.
    pub fallbacks: Vec<String>,
    /// The same, for prompts that do not fit.
    pub context_window_fallbacks: Vec<String>,
    /// The same, for prompts that a provider will not answer.
    pub content_policy_fallbacks: Vec<String>,
    /// How many times a request may go on to another target after a failure of this cause.
    pub retries: Vec<(Cause, u32)>,
    /// Most attempts, at least one.
    pub attempts: u32,
    /// To the first content of a stream.
    pub first_token_timeout: Duration,
    /// To the end of an answer that is not streamed.
    pub answer_timeout: Duration,
    /// Over all attempts.
    pub whole_timeout: Duration,
    /// Where copies of its requests go.
    pub mirror: Option<Mirror>,
}

/// One model of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name of the provider, which exists.
    pub provider: String,
    /// The provider's name for the model; a `*` in it is what the `*` in the model's name stands for.
    pub model: String,
    /// Its place in configuration, by which its health is known: provider and model.
    pub id: String,
    /// Relative share of first attempts.
    pub weight: u32,
    /// The lowest is tried first.
    pub order: u32,
    /// Refuse rather than drop.
    pub strict: bool,
    /// What is changed in its requests, if anything is.
    pub edits: Option<Box<Edits>>,
    /// When it is left alone.
    pub breaker: Breaker,
    /// What it can do, as far as that is known.
    pub facts: Facts,
    /// What it costs, if that is known.
    pub price: Option<Rc<Price>>,
    /// How it counts tokens, as far as its name tells.
    pub rules: Rules,
}

/// `attempts` unless given: enough for any sane list of targets, few enough to bound a request's cost.
pub(super) const MAX_ATTEMPTS: u32 = 16;
/// The longest name that a `*` may stand for, in bytes.
const MAX_STAR: usize = 128;
const DEFAULT_FIRST_TOKEN: Duration = Duration::from_millis(120_000);
const DEFAULT_ANSWER: Duration = Duration::from_millis(300_000);
const DEFAULT_WHOLE: Duration = Duration::from_millis(900_000);

impl Models {
    /// The model that clients ask for by this name: one of that name, or alias, or the pattern that says most of it.
    pub fn find<'a>(&'a self, asked: &'a str) -> Option<Found<'a>> {
        let name = self.aliases.get(asked).map_or(asked, String::as_str);
        if let Some((name, model)) = self.by_name.get_key_value(name) {
            // The pattern itself is nobody's name.
            return (!name.contains('*')).then_some(Found { name, model, star: "" });
        }
        let (name, star) = self.patterns.iter().find_map(|pattern| Some((pattern, star(pattern, asked)?)))?;
        Some(Found { name, model: self.by_name.get(name)?, star })
    }

    /// The model with that name in configuration.
    pub fn get(&self, name: &str) -> Option<&Model> {
        self.by_name.get(name)
    }

    /// The same, as clients find it.
    pub fn get_found<'a>(&'a self, name: &str) -> Option<Found<'a>> {
        let (name, model) = self.by_name.get_key_value(name)?;
        Some(Found { name, model, star: "" })
    }

    /// All of them, by their names in configuration.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Model)> {
        self.by_name.iter().map(|(name, model)| (name.as_str(), model))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The names that clients can be told, in order: patterns stand for too many.
    pub fn names(&self) -> Vec<&str> {
        let names = self.by_name.keys().filter(|name| !name.contains('*'));
        let mut names: Vec<&str> = names.chain(self.aliases.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}

/// What the `*` in `pattern` stands for in `name`. Clients make these names up, and they become part of paths and headers.
fn star<'a>(pattern: &str, name: &'a str) -> Option<&'a str> {
    let (before, after) = pattern.split_once('*')?;
    let star = name.strip_prefix(before)?.strip_suffix(after)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'@');
    let harmless = star.bytes().all(allowed) && !star.contains("..") && !star.contains("//") && !star.starts_with('/');
    (harmless && !star.is_empty() && star.len() <= MAX_STAR).then_some(star)
}

impl Models {
    /// Whether it matters to some target of `model`, or of its fallbacks, what a request of so many bytes needs: one is known
    /// to lack something, is chosen by its price, or may take too little. No text has more tokens than bytes.
    pub fn is_picky(&self, model: &Model, bytes: u64) -> bool {
        let lacks = |target: &Target| {
            let Facts { vision, tools, json_schema, audio, pdf, context, .. } = target.facts;
            [vision, tools, json_schema, audio, pdf].contains(&Some(false)) || context.is_some_and(|most| bytes > most)
        };
        model.strategy == Strategy::Cheapest
            || model.targets.iter().any(lacks)
            || model.fallbacks.iter().filter_map(|name| self.get(name)).any(|model| self.is_picky(model, bytes))
    }
}

impl Target {
    /// By what its health is known: provider and model, as configuration has them.
    pub fn id(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }

    /// The provider's name for the model where the `*` of the model's name stands for `star`.
    pub fn model(&self, star: &str) -> Cow<'_, str> {
        if star.is_empty() { Cow::Borrowed(&self.model) } else { Cow::Owned(self.model.replacen('*', star, 1)) }
    }
}

impl Check<'_> {
    pub(super) fn models(&mut self) -> Models {
        let file = self.file;
        self.fallbacks("fallbacks", "", &file.fallbacks);
        self.breaker();
        let mut models = Models::default();
        for (name, model) in &file.models {
            let path = format!("models.{name}");
            if name.matches('*').count() > 1 {
                self.mistake(&path, "a name has one `*` at most");
            }
            let checked = self.model(&path, name, model);
            models.by_name.insert(name.clone(), checked);
            for (index, alias) in model.aliases.iter().enumerate() {
                let path = format!("{path}.aliases[{index}]");
                if alias.contains('*') || name.contains('*') {
                    self.mistake(path, "an alias stands for one model, without `*`");
                } else if file.models.contains_key(alias)
                    || models.aliases.insert(alias.clone(), name.clone()).is_some()
                {
                    self.mistake(path, format!("there is already a model `{alias}`"));
                }
            }
            if let Some(cycle) = self.cycle(name) {
                self.mistake(format!("{path}.fallbacks"), format!("the fallbacks go round in a circle: {cycle}"));
            }
        }
        models.patterns = file.models.keys().filter(|name| name.contains('*')).cloned().collect();
        models.patterns.sort_by_key(|pattern| core::cmp::Reverse(pattern.len()));
        models
    }

    pub(super) fn model(&mut self, path: &str, name: &str, file: &ModelFile) -> Model {
        if file.targets.is_empty() {
            self.mistake(
                format!("{path}.targets"),
                "no target; write at least one, for example `{ provider: openai, model: gpt-4o }`",
            );
        } else if file.targets.iter().all(|target| target.weight == Some(0)) {
            self.mistake(format!("{path}.targets"), "every target has weight 0; one at least needs a weight");
        }
        let breaker = self.breaker_for(file.cooldown.or(self.file.cooldown));
        let targets = file.targets.iter().enumerate();
        let targets: Vec<Target> = targets
            .map(|(index, target)| self.target(&format!("{path}.targets[{index}]"), name, target, breaker))
            .collect();
        for (key, list) in [
            ("fallbacks", file.fallbacks.as_deref().unwrap_or_default()),
            ("context_window_fallbacks", &file.context_window_fallbacks),
            ("content_policy_fallbacks", &file.content_policy_fallbacks),
        ] {
            self.fallbacks(&format!("{path}.{key}"), name, list);
        }
        for key in ["connect", "idle"] {
            let given = if key == "connect" { file.timeouts.connect } else { file.timeouts.idle };
            if given.is_some() {
                self.mistake(
                    format!("{path}.timeouts.{key}"),
                    "can only be set for all models, in the top-level `timeouts`",
                );
            }
        }
        self.attempts(format!("{path}.attempts"), file.attempts);
        let (own, common) = (file.timeouts, self.file.timeouts);
        let at = |key: &str| format!("{path}.timeouts.{key}");
        Model {
            targets,
            strategy: file.strategy.unwrap_or_default(),
            sticky_by: self.sticky_by(path, file),
            fallbacks: self.fallbacks_of(name, file),
            context_window_fallbacks: file.context_window_fallbacks.clone(),
            content_policy_fallbacks: file.content_policy_fallbacks.clone(),
            retries: self.retries(path, file),
            attempts: file.attempts.or(self.file.attempts).unwrap_or(MAX_ATTEMPTS),
            first_token_timeout: self.timeout(
                at("first_token"),
                [own.first_token, common.first_token],
                DEFAULT_FIRST_TOKEN,
            ),
            answer_timeout: self.timeout(at("answer"), [own.answer, common.answer], DEFAULT_ANSWER),
            whole_timeout: self.timeout(at("whole"), [own.whole, common.whole], DEFAULT_WHOLE),
            mirror: self.mirror(&format!("{path}.mirror"), name, file.mirror.as_ref()),
        }
    }

    /// Its own, or everyone's.
    fn fallbacks_of(&self, name: &str, file: &ModelFile) -> Vec<String> {
        match &file.fallbacks {
            Some(own) => own.clone(),
            // Those that everyone falls back to do not fall back to each other in turn: their own order is the list's.
            None if self.file.fallbacks.iter().any(|common| common == name) => Vec::new(),
            None => self.file.fallbacks.clone(),
        }
    }

    fn fallbacks(&mut self, path: &str, of: &str, names: &[String]) {
        for (index, name) in names.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if !self.file.models.contains_key(name) {
                let message = unknown("model", name, self.file.models.keys().map(String::as_str));
                self.mistake(path, message);
            } else if name.contains('*') {
                self.mistake(path, format!("`{name}` is a pattern: name one model"));
            } else if name == of && !path.contains(".fallbacks") {
                self.mistake(path, "the model itself has failed by then");
            }
        }
    }

    fn retries(&mut self, path: &str, file: &ModelFile) -> Vec<(Cause, u32)> {
        let mut retries = Vec::new();
        for (name, times) in &file.retries {
            match Cause::of_name(name).filter(|cause| cause.fault() != Fault::Client) {
                Some(cause) => retries.push((cause, *times)),
                None => {
                    let causes = Cause::all().filter(|cause| cause.fault() != Fault::Client).map(Cause::name);
                    self.mistake(format!("{path}.retries.{name}"), unknown("cause", name, causes));
                }
            }
        }
        retries
    }

    fn sticky_by(&mut self, path: &str, file: &ModelFile) -> StickyBy {
        let path = format!("{path}.sticky_by");
        let Some(by) = &file.sticky_by else { return StickyBy::default() };
        if file.strategy != Some(Strategy::Sticky) {
            self.mistake(&path, "only the strategy `sticky` goes by it: write `strategy: sticky` too");
        }
        match (by.as_str(), by.strip_prefix("header:")) {
            ("user", _) => StickyBy::User,
            ("prompt", _) => StickyBy::Prompt,
            (_, Some(header)) if !header.is_empty() => StickyBy::Header(header.to_ascii_lowercase()),
            _ => {
                self.mistake(path, "expected `user`, `prompt`, or `header:NAME`");
                StickyBy::default()
            }
        }
    }

    fn breaker(&mut self) {
        let BreakerFile { failures, percent, window } = self.file.breaker;
        if failures == Some(0) {
            self.mistake("breaker.failures", "expected at least 1");
        }
        if percent.is_some_and(|percent| percent > 100) {
            self.mistake("breaker.percent", "expected between 0 and 100");
        }
        self.timeout("breaker.window", [window], Duration::from_millis(1));
    }

    fn breaker_for(&self, cooldown: Option<Duration>) -> Breaker {
        let (given, default) = (self.file.breaker, Breaker::default());
        Breaker {
            cooldown: cooldown.map_or(default.cooldown, Duration::as_millis),
            failures: given.failures.unwrap_or(default.failures),
            percent: given.percent.unwrap_or(default.percent),
            window: given.window.map_or(default.window, Duration::as_millis),
        }
    }

    pub(super) fn target(&mut self, path: &str, model: &str, file: &TargetFile, breaker: Breaker) -> Target {
        // Without any provider that alone is the mistake.
        if !self.file.providers.is_empty() && !self.file.providers.contains_key(&file.provider) {
            let message = unknown("provider", &file.provider, self.file.providers.keys().map(String::as_str));
            self.mistake(format!("{path}.provider"), message);
        }
        // It becomes part of a path or a header.
        if file
            .model
            .as_ref()
            .is_some_and(|model| model.is_empty() || !model.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            self.mistake(
                format!("{path}.model"),
                "a provider's name for a model has no spaces, and letters of ASCII only",
            );
        }
        let breaker = match file.cooldown {
            None => breaker,
            given => self.breaker_for(given),
        };
        let provider = self.file.providers.get(&file.provider);
        let known = provider.map(|provider| provider.kind.as_str());
        let name = file.model.as_deref().unwrap_or(model);
        let price = provider.and_then(|it| price::lookup(&it.kind, it.region.as_deref(), name));
        Target {
            provider: file.provider.clone(),
            model: name.to_owned(),
            id: format!("{}/{name}", file.provider),
            weight: file.weight.unwrap_or(1),
            order: file.order.unwrap_or(0),
            strict: file.strict.unwrap_or(false),
            edits: self.edits(path, file),
            breaker,
            facts: file.can.apply(known.map_or_else(Facts::default, |kind| facts::lookup(kind, name))),
            price: file.price.unwrap_or_default().apply(price).map(Rc::new),
            rules: Rules::of(name),
        }
    }

    /// Every parameter is spoken of once, and none that the gateway itself decides on.
    fn edits(&mut self, path: &str, file: &TargetFile) -> Option<Box<Edits>> {
        let keys = |key: &'static str, names: Vec<&String>| -> Vec<(String, String)> {
            names.into_iter().map(|name| (format!("{path}.{key}.{name}"), name.clone())).collect()
        };
        let dropped = file.drop.iter().enumerate().map(|(index, name)| (format!("{path}.drop[{index}]"), name.clone()));
        let renamed = file.rename.iter().map(|(old, new)| (format!("{path}.rename.{old}"), new.clone()));
        let mut told: Vec<(String, String)> = dropped.collect();
        told.extend(keys("rename", file.rename.keys().collect()));
        // The gateway asks for the usage of streams itself, unless the provider is not to be asked.
        let unasked = told.len();
        told.extend(keys("default", file.default.keys().collect()));
        told.extend(keys("set", file.set.keys().collect()));
        for (index, (path, name)) in told.iter().enumerate() {
            if told.iter().take(index).any(|(_, other)| other == name) {
                self.mistake(path, format!("`{name}` is spoken of twice"));
            } else {
                self.parameter(path, name, index >= unasked);
            }
        }
        let mut names: Vec<String> = Vec::new();
        for (path, name) in renamed {
            self.parameter(&path, &name, true);
            if names.contains(&name) {
                self.mistake(path, format!("another parameter is already renamed to `{name}`"));
            }
            names.push(name);
        }
        let edits = Edits {
            rename: file.rename.clone(),
            drop: file.drop.clone(),
            default: file.default.clone(),
            set: file.set.clone(),
        };
        (edits != Edits::default()).then(|| Box::new(edits))
    }

    fn parameter(&mut self, path: &str, name: &str, is_said: bool) {
        if name.is_empty() {
            self.mistake(path, "expected a parameter's name, for example `top_k`");
        } else if matches!(name, "model" | "messages" | "stream") || name == "stream_options" && is_said {
            self.mistake(path, format!("the gateway itself decides on `{name}`"));
        }
    }

    /// The way from `start` along fallbacks back to `start`, if there is one.
    fn cycle(&self, start: &str) -> Option<String> {
        let mut ways = vec![vec![start.to_owned()]];
        let mut seen = Vec::new();
        while let Some(way) = ways.pop() {
            let model = way.last().and_then(|last| Some((last, self.file.models.get(last)?)));
            for next in model.map(|(name, model)| self.fallbacks_of(name, model)).unwrap_or_default() {
                let further = [&way[..], core::slice::from_ref(&next)].concat();
                if next == start {
                    return Some(further.join(" → "));
                }
                if !seen.contains(&next) {
                    seen.push(next);
                    ways.push(further);
                }
            }
        }
        None
    }
}
