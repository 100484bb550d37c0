//! Who may call: keys by the hash of what clients send, and what each of them may do. Checked.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::checked::Check;
use super::limits::LimitFile;
use crate::calendar;

/// A key that clients call with.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// A name for logs, limits and reports.
    pub name: String,
    /// SHA-256 of the key, in hex: `model-gateway key new` makes both, `model-gateway key hash` this one of a key that you have.
    pub sha256: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Whatever else is to be told apart: `{ app: search, stage: prod }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Models that it may ask for, `*` standing for anything: `[gpt-4o, "claude*"]`. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Endpoints that it may use, by their paths: `[/v1/chat/completions, "/v1/models*"]`. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<String>>,
    /// Providers that its requests may go to. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub providers: Option<Vec<String>>,
    /// From when on it is refused: `2027-01-31`, or a time of RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Refuses it at once.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub disabled: bool,
    /// Most tokens that a request may have generated; also what a request gets that does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Most alternative answers to one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// How much may be used with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitFile>,
    /// Whether it may see what others use: `admin`. Default `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

/// What a key may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// What is its own.
    #[default]
    User,
    /// Everything.
    Admin,
}

/// SHA-256 of a key.
pub type Hash = [u8; 32];

/// Who may call.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// `None`: everyone, without a key.
    by_hash: Option<BTreeMap<Hash, Rc<Key>>>,
    /// How many wrong keys a minute are heard out from one address; 0: any number.
    pub failures: u32,
}

/// Who calls, and what they may do.
#[derive(Debug, Clone, Default)]
pub struct Key {
    /// For logs, limits and reports.
    pub name: String,
    /// Whose it is.
    pub team: Option<String>,
    /// Whatever else is to be told apart.
    pub labels: BTreeMap<String, String>,
    /// From when on it is refused, in milliseconds since 1970.
    pub expires: Option<u64>,
    /// Refused at once.
    pub disabled: bool,
    /// Most tokens that a request may have generated.
    pub max_tokens: Option<u64>,
    /// Most alternative answers to one request.
    pub n: Option<u64>,
    /// What it may see.
    pub role: Role,
    models: Option<Vec<String>>,
    endpoints: Option<Vec<String>>,
    providers: Option<Vec<String>>,
}

/// Wrong keys a minute from one address, unless configuration has it otherwise: enough for a badly configured client to be
/// told what is wrong, few enough to make guessing pointless.
const FAILURES: u32 = 60;

impl Keys {
    /// Whether everyone may call.
    pub fn is_open(&self) -> bool {
        self.by_hash.is_none()
    }

    /// The key with that hash. What is compared are hashes: how long it takes tells nothing of any key.
    pub fn find(&self, hash: &Hash) -> Option<&Rc<Key>> {
        self.by_hash.as_ref()?.get(hash)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Rc<Key>> {
        self.by_hash.iter().flat_map(BTreeMap::values)
    }
}

impl Key {
    /// Whether it may ask for the model with this name.
    pub fn may_ask(&self, model: &str) -> bool {
        allows(self.models.as_deref(), model)
    }

    /// Whether it may use the endpoint with this path.
    pub fn may_use(&self, path: &str) -> bool {
        allows(self.endpoints.as_deref(), path)
    }

    /// Whether its requests may go to the provider with this name.
    pub fn may_reach(&self, provider: &str) -> bool {
        allows(self.providers.as_deref(), provider)
    }
}

fn allows(patterns: Option<&[String]>, name: &str) -> bool {
    patterns.is_none_or(|patterns| patterns.iter().any(|pattern| glob(pattern, name)))
}

/// Whether `name` is what `pattern` describes, each `*` in it standing for anything.
pub fn glob(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return left.len() >= piece.len() && left.ends_with(piece);
        }
        // The first place is as good as any: what follows can only gain.
        let Some((_, after)) = left.split_once(piece) else { return false };
        left = after;
    }
    true
}

impl Check<'_> {
    pub(super) fn keys(&mut self) -> Keys {
        let file = self.file;
        let failures = file.auth_failures.unwrap_or(FAILURES);
        let Some(given) = &file.keys else { return Keys { by_hash: None, failures } };
        let mut by_hash = BTreeMap::new();
        let mut names: Vec<&str> = Vec::new();
        for (index, key) in given.iter().enumerate() {
            let path = format!("keys[{index}]");
            if key.name.is_empty() {
                self.mistake(format!("{path}.name"), "expected a name for logs and limits");
            } else if names.contains(&key.name.as_str()) {
                self.mistake(format!("{path}.name"), format!("there is already a key `{}`", key.name));
            }
            names.push(&key.name);
            let checked = Rc::new(self.key(&path, key));
            match hash_of_hex(&key.sha256) {
                None => self.mistake(
                    format!("{path}.sha256"),
                    "expected 64 hex digits, the SHA-256 of a key: `model-gateway key new` makes one; a key itself must not stand here",
                ),
                Some(hash) => {
                    if by_hash.insert(hash, checked).is_some() {
                        self.mistake(format!("{path}.sha256"), "another key has the same hash: it is the same key");
                    }
                }
            }
        }
        Keys { by_hash: Some(by_hash), failures }
    }

    fn key(&mut self, path: &str, file: &KeyFile) -> Key {
        let expires = file.expires.as_deref().map(|text| (text, calendar::parse(text)));
        if let Some((_, None)) = expires {
            self.mistake(
                format!("{path}.expires"),
                "expected a date such as `2027-01-31`, or a time such as `2027-01-31T12:00:00Z`",
            );
        }
        for (name, value) in [("max_tokens", file.max_tokens), ("n", file.n)] {
            if value == Some(0) {
                self.mistake(format!("{path}.{name}"), "expected at least 1");
            }
        }
        for (index, provider) in file.providers.iter().flatten().enumerate() {
            if !self.file.providers.keys().any(|name| glob(provider, name)) {
                self.mistake(format!("{path}.providers[{index}]"), format!("there is no provider `{provider}`"));
            }
        }
        Key {
            name: file.name.clone(),
            team: file.team.clone(),
            labels: file.labels.clone(),
            expires: expires.and_then(|(_, time)| time),
            disabled: file.disabled,
            max_tokens: file.max_tokens,
            n: file.n,
            role: file.role.unwrap_or_default(),
            models: file.models.clone(),
            endpoints: file.endpoints.clone(),
            providers: file.providers.clone(),
        }
    }
}

fn hash_of_hex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 2 * hash.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::{glob, hash_of_hex};

    #[test]
    fn patterns_describe_names() {
        for (pattern, yes, no) in [
            ("gpt-4o", &["gpt-4o"][..], &["gpt-4o-mini", "", "GPT-4O"][..]),
            ("claude*", &["claude", "claude-3"], &["xclaude"]),
            ("*mini", &["mini", "gpt-mini"], &["mini-x"]),
            ("a*b*c", &["abc", "axbyc", "abbcc"], &["acb", "ab"]),
            ("*", &["", "x"], &[]),
            ("a*a", &["aa", "aba"], &["a"]),
        ] {
            yes.iter().for_each(|name| assert!(glob(pattern, name), "{pattern} {name}"));
            no.iter().for_each(|name| assert!(!glob(pattern, name), "{pattern} {name}"));
        }
    }

    #[test]
    fn hashes_are_read() {
        assert_eq!(hash_of_hex(&"fF".repeat(32)), Some([255; 32]));
        for text in ["", "ff", &"f".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(hash_of_hex(text), None);
        }
    }
}
