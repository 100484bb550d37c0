//! Who may call: keys by the hash of what clients send, and what each of them may do. Checked.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::auth::{Certificates, Issuer};
use super::checked::Check;
use super::limits::LimitFile;
use super::roles::{Rights, Role};
use crate::calendar;

/// A key that clients call with, or, without `sha256`, someone whom tokens or certificates name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// A name for logs, limits and reports.
    pub name: String,
    /// SHA-256 of the key, in hex: `model-gateway key new` makes both, `model-gateway key hash` this one of a key that you have.
    /// Without it this is what the holder of a token or certificate of this name may do: see `auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
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
    /// What it may do besides, and no more than: one of `roles`, `admin`, which sees what others use, or `user`. Default `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// SHA-256 of a key.
pub type Hash = [u8; 32];

/// Who may call.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// `None`: everyone, without a key, unless there are issuers or certificates.
    by_hash: Option<BTreeMap<Hash, Rc<Key>>>,
    /// Those whom tokens and certificates name.
    by_name: BTreeMap<String, Rc<Key>>,
    /// Whose tokens are good.
    pub issuers: Vec<Issuer>,
    /// Which certificates of clients are good.
    pub certificates: Vec<Certificates>,
    /// By their names.
    pub roles: BTreeMap<String, Rc<Role>>,
    /// How many wrong keys a minute are heard out from one address; 0: any number.
    pub failures: u32,
}

/// Who calls, and what they may do.
#[derive(Debug, Clone, Default)]
pub struct Key {
    /// For logs, limits and reports.
    pub name: String,
    /// Whether a token or a certificate has brought the name, and configuration has none such: it may be any, and is never
    /// taken for that of a key.
    pub foreign: bool,
    /// Whose it is.
    pub team: Option<String>,
    /// Whatever else is to be told apart.
    pub labels: BTreeMap<String, String>,
    /// From when on it is refused, in milliseconds since 1970.
    pub expires: Option<u64>,
    /// Refused at once.
    pub disabled: bool,
    /// What it may do itself; its role has to allow it, too.
    pub rights: Rights,
    /// Its role.
    pub role: Rc<Role>,
}

/// Wrong keys a minute from one address, unless configuration has it otherwise: enough for a badly configured client to be
/// told what is wrong, few enough to make guessing pointless.
const FAILURES: u32 = 60;

impl Keys {
    /// Whether everyone may call.
    pub fn is_open(&self) -> bool {
        self.by_hash.is_none() && self.issuers.is_empty() && self.certificates.is_empty()
    }

    /// The key with that hash. What is compared are hashes: how long it takes tells nothing of any key.
    pub fn find(&self, hash: &Hash) -> Option<&Rc<Key>> {
        self.by_hash.as_ref()?.get(hash)
    }

    /// What configuration has for whom a token or a certificate names so.
    pub fn named(&self, name: &str) -> Option<&Rc<Key>> {
        self.by_name.get(name)
    }

    /// All that configuration has.
    pub fn iter(&self) -> impl Iterator<Item = &Rc<Key>> {
        self.by_hash.iter().flat_map(BTreeMap::values).chain(self.by_name.values())
    }
}

impl Key {
    /// Whether it may ask for the model with this name.
    pub fn may_ask(&self, model: &str) -> bool {
        self.allow().iter().all(|rights| allows(rights.models.as_deref(), model))
    }

    /// Whether it may use the endpoint with this path.
    pub fn may_use(&self, path: &str) -> bool {
        self.allow().iter().all(|rights| allows(rights.endpoints.as_deref(), path))
    }

    /// Whether its requests may go to the provider with this name.
    pub fn may_reach(&self, provider: &str) -> bool {
        self.allow().iter().all(|rights| allows(rights.providers.as_deref(), provider))
    }

    /// Most tokens that a request may have generated.
    pub fn max_tokens(&self) -> Option<u64> {
        self.allow().iter().filter_map(|rights| rights.max_tokens).min()
    }

    /// Most alternative answers to one request.
    pub fn n(&self) -> Option<u64> {
        self.allow().iter().filter_map(|rights| rights.n).min()
    }

    fn allow(&self) -> [&Rights; 2] {
        [&self.rights, &self.role.rights]
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
        let roles = self.roles();
        let (issuers, certificates) = self.auth(&roles);
        let by_hash = file.keys.as_ref().map(|_| BTreeMap::new());
        let failures = file.auth_failures.unwrap_or(FAILURES);
        let mut keys = Keys { by_hash, by_name: BTreeMap::new(), issuers, certificates, roles, failures };
        let mut names: Vec<&str> = Vec::new();
        for (index, key) in file.keys.iter().flatten().enumerate() {
            let path = format!("keys[{index}]");
            if key.name.is_empty() {
                self.mistake(format!("{path}.name"), "expected a name for logs and limits");
            } else if names.contains(&key.name.as_str()) {
                self.mistake(format!("{path}.name"), format!("there is already a key `{}`", key.name));
            }
            names.push(&key.name);
            let checked = Rc::new(self.key(&path, key, &keys.roles));
            match key.sha256.as_deref().map(hash_of_hex) {
                None if keys.issuers.is_empty() && keys.certificates.is_empty() => self.mistake(
                    format!("{path}.sha256"),
                    "missing. Without it a key is for whom tokens or certificates name so, and there is no `auth` that says which",
                ),
                None => drop(keys.by_name.insert(key.name.clone(), checked)),
                Some(None) => self.mistake(
                    format!("{path}.sha256"),
                    "expected 64 hex digits, the SHA-256 of a key: `model-gateway key new` makes one; a key itself must not stand here",
                ),
                Some(Some(hash)) => {
                    if keys.by_hash.get_or_insert_default().insert(hash, checked).is_some() {
                        self.mistake(format!("{path}.sha256"), "another key has the same hash: it is the same key");
                    }
                }
            }
        }
        keys
    }

    fn key(&mut self, path: &str, file: &KeyFile, roles: &BTreeMap<String, Rc<Role>>) -> Key {
        let expires = file.expires.as_deref().map(|text| (text, calendar::parse(text)));
        if let Some((_, None)) = expires {
            self.mistake(
                format!("{path}.expires"),
                "expected a date such as `2027-01-31`, or a time such as `2027-01-31T12:00:00Z`",
            );
        }
        let rights = Rights {
            models: file.models.clone(),
            endpoints: file.endpoints.clone(),
            providers: file.providers.clone(),
            max_tokens: file.max_tokens,
            n: file.n,
        };
        self.rights(path, &rights);
        Key {
            name: file.name.clone(),
            foreign: false,
            team: file.team.clone(),
            labels: file.labels.clone(),
            expires: expires.and_then(|(_, time)| time),
            disabled: file.disabled,
            rights,
            role: self.role(path, file.role.as_deref(), roles).unwrap_or_default(),
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
