//! The page on which operators see what goes through the gateway. Checked.

use serde::{Deserialize, Serialize};

use super::auth::AuthFile;
use super::checked::Check;
use super::roles::ADMIN;

/// The page on which operators see what goes through the gateway.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PageFile {
    /// Its path on the gateway's own address. Default `/gateway`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Where the page is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its path, which does not end with a slash. What is below it is the page's too.
    pub path: String,
}

const DEFAULT_PATH: &str = "/gateway";

impl Check<'_> {
    pub(super) fn page(&mut self) -> Option<Page> {
        let page = self.file.page.as_ref()?;
        let path = page.path.as_deref().unwrap_or(DEFAULT_PATH);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_path = path.strip_prefix('/').is_some_and(|path| {
            let mut parts = path.split('/');
            parts.all(|part| !part.is_empty() && part.bytes().all(allowed) && !part.starts_with('.'))
        });
        if !is_path {
            let message = format!("expected a path such as `{DEFAULT_PATH}`, of letters, digits, `-`, `_` and `.`");
            self.mistake("page.path", message);
        } else if path == "/v1" || path.starts_with("/v1/") {
            self.mistake("page.path", "what begins with `/v1` is for clients; leave it out, or choose another");
        }
        // Who may see it has to have a key to show.
        let is_admin = |role: &str| role == ADMIN || self.file.roles.get(role).is_some_and(|role| role.admin);
        let holders = self.file.keys.iter().flatten().filter(|key| !key.disabled);
        let by_auth = self.file.auth != AuthFile::default();
        if !by_auth && !holders.filter_map(|key| key.role.as_deref()).any(is_admin) {
            self.mistake(
                "page",
                "shows its data to keys with `role: admin`, and there is none: `model-gateway key new NAME` makes a key for `keys`",
            );
        }
        Some(Page { path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::config::Config;

    /// The page's path; else the path of each mistake.
    fn page(page: Value, role: &str) -> Result<String, Vec<String>> {
        let file = json!({
            "providers": {"a": {"kind": "openai"}}, "models": {"m": {"targets": [{"provider": "a"}]}},
            "keys": [{"name": "k", "sha256": "ab".repeat(32), "role": role}], "page": page,
        });
        let config = Config::check(&serde_json::from_value(file).unwrap());
        let page = config.map(|config| config.page.map_or(String::new(), |page| page.path));
        page.map_err(|mistakes| mistakes.into_iter().map(|mistake| mistake.path).collect())
    }

    #[test]
    fn it_has_a_path_of_its_own() {
        let good = |path: &str| Ok(path.to_owned());
        assert_eq!((page(json!({}), "admin"), page(Value::Null, "user")), (good("/gateway"), good("")));
        for path in ["/ops", "/ops/gateway-2_x.html", "/v10"] {
            assert_eq!(page(json!({"path": path}), "admin"), good(path));
        }
        for path in ["", "/", "ops", "/ops/", "//ops", "/a b", "/a?b", "/a#b", "/../a", "/%61", "/v1", "/v1/models"] {
            assert_eq!(page(json!({"path": path}), "admin"), Err(vec!["page.path".to_owned()]), "{path}");
        }
    }

    #[test]
    fn somebody_has_to_be_able_to_see_it() {
        assert_eq!(page(json!({}), "user"), Err(vec!["page".to_owned()]));
    }
}
