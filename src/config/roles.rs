//! What whoever calls may do: models, endpoints, providers and bounds that several have in common, by a name. Checked.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::checked::Check;
use super::keys::glob;
use super::limits::LimitFile;
use super::suggest::unknown;

/// What those who have a role may do.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RoleFile {
    /// Models that they may ask for, `*` standing for anything. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Endpoints that they may use, by their paths. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<String>>,
    /// Providers that their requests may go to. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub providers: Option<Vec<String>>,
    /// Most tokens that a request may have generated; also what a request gets that does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Most alternative answers to one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// How much all of them together may use, or, with `by: [key]`, each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitFile>,
    /// Whether they may ask how the targets of a request were chosen. Default false.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub debug: bool,
    /// Whether they may see what others use, and ask how targets were chosen. Default false.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub admin: bool,
}

/// What those who have it may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Role {
    /// Its name in configuration.
    pub name: String,
    /// Whether it is there whatever configuration says.
    pub built_in: bool,
    /// Which models, endpoints and providers, and how much of an answer.
    pub rights: Rights,
    /// Whether they may ask how targets were chosen.
    pub debug: bool,
    /// Whether they may see what others use.
    pub admin: bool,
}

/// What a key or a role is good for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rights {
    /// Patterns of models; `None`: all.
    pub models: Option<Vec<String>>,
    /// The same of paths.
    pub endpoints: Option<Vec<String>>,
    /// The same of providers.
    pub providers: Option<Vec<String>>,
    /// Most tokens that a request may have generated.
    pub max_tokens: Option<u64>,
    /// Most alternative answers to one request.
    pub n: Option<u64>,
}

/// Those that need no configuration: a role for everyone, and one that sees everything.
const USER: &str = "user";
pub(super) const ADMIN: &str = "admin";

impl Check<'_> {
    /// Every role by its name, the two that are always there among them.
    pub(super) fn roles(&mut self) -> BTreeMap<String, Rc<Role>> {
        let built_in =
            |name: &str, admin| Role { name: name.to_owned(), built_in: true, admin, debug: admin, ..Role::default() };
        let mut roles = BTreeMap::new();
        for (name, admin) in [(USER, false), (ADMIN, true)] {
            roles.insert(name.to_owned(), Rc::new(built_in(name, admin)));
        }
        for (name, file) in &self.file.roles {
            let path = format!("roles.{name}");
            if [USER, ADMIN].contains(&name.as_str()) {
                self.mistake(&path, "is always there; give yours another name");
                continue;
            }
            let rights = Rights {
                models: file.models.clone(),
                endpoints: file.endpoints.clone(),
                providers: file.providers.clone(),
                max_tokens: file.max_tokens,
                n: file.n,
            };
            self.rights(&path, &rights);
            let (name, debug) = (name.clone(), file.debug || file.admin);
            roles.insert(name.clone(), Rc::new(Role { name, built_in: false, rights, debug, admin: file.admin }));
        }
        roles
    }

    /// The role that `path` names; the one for everyone where it names none.
    pub(super) fn role(
        &mut self,
        path: &str,
        name: Option<&str>,
        roles: &BTreeMap<String, Rc<Role>>,
    ) -> Option<Rc<Role>> {
        let name = name.unwrap_or(USER);
        if !roles.contains_key(name) {
            self.mistake(format!("{path}.role"), unknown("role", name, roles.keys().map(String::as_str)));
        }
        roles.get(name).cloned()
    }

    /// Checks what a key or a role is good for.
    pub(super) fn rights(&mut self, path: &str, rights: &Rights) {
        for (name, value) in [("max_tokens", rights.max_tokens), ("n", rights.n)] {
            if value == Some(0) {
                self.mistake(format!("{path}.{name}"), "expected at least 1");
            }
        }
        for (index, provider) in rights.providers.iter().flatten().enumerate() {
            if !self.file.providers.keys().any(|name| glob(provider, name)) {
                self.mistake(format!("{path}.providers[{index}]"), format!("there is no provider `{provider}`"));
            }
        }
    }
}
