//! Which requests and answers are logged as a whole. Checked.

use serde::{Deserialize, Serialize};

use super::checked::Check;
use super::keys::{Key, glob};
use super::log::{LogFile, Sink};
use super::models::Found;
use super::units::Bytes;
use crate::redact::{Pattern, Redact};

/// A log of requests and answers as a whole, for compliance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PayloadsFile {
    /// Where it goes; as `log`, but that there is no default.
    pub log: LogFile,
    /// Models whose requests are logged, `*` standing for anything. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Keys whose requests are logged, by their names, `*` standing for anything. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
    /// So many of a hundred of them only. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(not(target_family = "wasm"), schemars(with = "Option<f64>"))]
    pub sample: Option<serde_json::Number>,
    /// What is taken out before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<RedactFile>,
    /// The longest that is logged of a request, and of an answer. Default `64KiB`, at most `1MiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<Bytes>,
}

/// What is taken out: either a member or a pattern.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RedactFile {
    /// Members with this name, wherever they stand; with dots, the one at this path, `*` standing for any name and lists being
    /// looked through: `messages.content`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// What this regular expression finds in any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What stands there instead. Default `[redacted]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
}

/// Which requests and answers are logged as a whole.
#[derive(Debug, Clone)]
pub struct Payloads {
    /// Where to.
    pub log: Vec<Sink>,
    /// So many of a million.
    pub parts: u32,
    /// What is taken out before.
    pub redact: Redact,
    /// The longest that is logged of a request, and of an answer, in bytes.
    pub max_bytes: usize,
    models: Option<Vec<String>>,
    keys: Option<Vec<String>>,
}

const DEFAULT_BYTES: Bytes = Bytes(64 << 10);
const MAX_BYTES: Bytes = Bytes(1 << 20);
/// The most rules: each costs time with every request that is logged.
const MAX_RULES: usize = 64;

impl Payloads {
    /// Whether requests are logged that ask for this model, by this name, with this key.
    pub fn are_of(&self, asked: &str, found: Found<'_>, key: Option<&Key>) -> bool {
        let any = |patterns: &Option<Vec<String>>, names: &[&str]| {
            let is_one = |pattern: &String| names.iter().any(|name| glob(pattern, name));
            patterns.as_ref().is_none_or(|patterns| patterns.iter().any(is_one))
        };
        let key: Vec<&str> = key.map(|key| key.name.as_str()).into_iter().collect();
        any(&self.models, &[asked, found.name]) && any(&self.keys, &key)
    }
}

/// Whether there can be a name that both patterns describe. Between their first and last `*` there is room for anything, so where both have one
/// only what stands before and behind has to agree.
fn can_meet(one: &str, other: &str) -> bool {
    let ends = |pattern: &str| Some((pattern.split_once('*')?.0.to_owned(), pattern.rsplit_once('*')?.1.to_owned()));
    match (ends(one), ends(other)) {
        (Some((begin, end)), Some((other_begin, other_end))) => {
            (begin.starts_with(&other_begin) || other_begin.starts_with(&begin))
                && (end.ends_with(&other_end) || other_end.ends_with(&end))
        }
        _ => glob(one, other) || glob(other, one),
    }
}

impl Check<'_> {
    pub(super) fn payloads(&mut self) -> Option<Payloads> {
        let file = self.file.payloads.as_ref()?;
        let max_bytes = file.max_bytes.unwrap_or(DEFAULT_BYTES);
        if max_bytes > MAX_BYTES || max_bytes == Bytes(0) {
            self.mistake("payloads.max_bytes", format!("expected between `1B` and `{MAX_BYTES}`"));
        }
        let models = self.file.models.iter().flat_map(|(name, model)| model.aliases.iter().chain([name]));
        let models: Vec<&String> = models.collect();
        for (index, model) in file.models.iter().flatten().enumerate() {
            if !models.iter().any(|name| can_meet(model, name)) {
                self.mistake(format!("payloads.models[{index}]"), format!("there is no model `{model}`"));
            }
        }
        let known: Vec<&str> = self.file.keys.iter().flatten().map(|key| key.name.as_str()).collect();
        for (index, key) in file.keys.iter().flatten().enumerate() {
            // Tokens and certificates bring names that nobody has written down.
            if self.file.auth.is_default() && !known.iter().any(|name| glob(key, name)) {
                self.mistake(format!("payloads.keys[{index}]"), format!("there is no key `{key}`"));
            }
        }
        if file.redact.len() > MAX_RULES {
            self.mistake("payloads.redact", format!("expected at most {MAX_RULES}"));
        }
        let mut redact = Redact::default();
        for (index, rule) in file.redact.iter().enumerate() {
            self.redact(&format!("payloads.redact[{index}]"), rule, &mut redact);
        }
        Some(Payloads {
            log: self.sinks("payloads.log", Some(&file.log)),
            parts: self.parts("payloads.sample", file.sample.as_ref()),
            redact,
            max_bytes: usize::try_from(max_bytes.0).unwrap_or(usize::MAX),
            models: file.models.clone(),
            keys: file.keys.clone(),
        })
    }

    fn redact(&mut self, path: &str, rule: &RedactFile, redact: &mut Redact) {
        let with = rule.with.as_deref();
        match (&rule.member, &rule.pattern) {
            (Some(member), None) if member.split('.').all(|name| !name.is_empty()) => redact.member(member, with),
            (None, Some(pattern)) => match Pattern::new(pattern, with) {
                Ok(pattern) => redact.pattern(pattern),
                Err(reason) => self.mistake(format!("{path}.pattern"), reason),
            },
            _ => self.mistake(path, "expected either `member: NAME` or `pattern: REGULAR EXPRESSION`"),
        }
    }
}
