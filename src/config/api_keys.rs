//! A provider's credentials: one or several, each known by a name that is no secret.

use serde::{Deserialize, Serialize};

use super::checked::Check;
use super::file::ProviderFile;
use super::secret::SecretRef;

/// One of several credentials, as the operator writes it: `${NAME}` of an environment variable, or more about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected `${NAME}` of an environment variable, or `{ key: ${NAME}, weight: 3, name: eu-1 }`"
)]
pub enum ApiKeyFile {
    /// Nothing but where it is.
    Key(SecretRef),
    /// With more about it.
    More(ApiKeyMore),
}

/// More about one of several credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyMore {
    /// Where it is.
    pub key: SecretRef,
    /// Share of the requests, relative to the other credentials'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// What logs call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// By hand: one schema with two types is what the command can hold a document against.
#[cfg(not(target_family = "wasm"))]
impl schemars::JsonSchema for ApiKeyFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ApiKeyFile".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "title": "ApiKey",
            "description": "One of several credentials: `${NAME}` of an environment variable of the Envoy process, or that as `key` with more about it.",
            "type": ["string", "object"],
            "properties": {
                "key": { "description": "`${NAME}` of an environment variable of the Envoy process.", "type": "string" },
                "weight": {
                    "description": "Share of the requests, relative to the other credentials'. Default 1; 0 = only when the others are left alone.",
                    "type": "integer", "format": "uint32", "minimum": 0,
                },
                "name": { "description": "What logs call it. Default: the variable's name.", "type": "string" },
            },
            "required": ["key"],
            "additionalProperties": false,
        })
    }
}

/// One of a provider's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// By what it is known, in logs too.
    pub name: String,
    /// The environment variable that holds it.
    pub variable: String,
    /// Relative share of the requests.
    pub weight: u32,
    /// Where configuration has it: `api_key` or `api_keys[0]`.
    pub place: String,
}

/// The most that a provider can have: all of them are looked at for every request.
const MOST: usize = 32;

impl Check<'_> {
    /// Those of `api_key` or `api_keys`, of which every mistake is told.
    pub(super) fn api_keys(&mut self, path: &str, file: &ProviderFile) -> Vec<ApiKey> {
        if file.api_keys.is_empty() {
            let variable = file.api_key.as_ref().and_then(SecretRef::variable);
            let key = |name: &str| ApiKey {
                name: name.to_owned(),
                variable: name.to_owned(),
                weight: 1,
                place: "api_key".to_owned(),
            };
            return variable.map(key).into_iter().collect();
        }
        if file.api_key.is_some() {
            self.mistake(format!("{path}.api_keys"), "give `api_key` or `api_keys`, not both");
        }
        if file.api_keys.len() > MOST {
            self.mistake(format!("{path}.api_keys"), format!("expected {MOST} at most"));
        }
        let mut keys: Vec<ApiKey> = Vec::new();
        for (index, given) in file.api_keys.iter().enumerate() {
            let place = format!("api_keys[{index}]");
            let (key, at, weight, name) = match given {
                ApiKeyFile::Key(key) => (key, place.clone(), None, None),
                ApiKeyFile::More(ApiKeyMore { key, weight, name }) => {
                    (key, format!("{place}.key"), *weight, name.as_deref())
                }
            };
            let Some(variable) = key.variable() else {
                self.mistake(
                    format!("{path}.{at}"),
                    "expected `${NAME}` of an environment variable; a key itself must not stand here, and only `api_key` can come from elsewhere",
                );
                continue;
            };
            let name = name.unwrap_or(variable);
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
                self.mistake(
                    format!("{path}.{place}.name"),
                    "expected letters, digits, `-`, `_` and `.`, as it is written to logs",
                );
            }
            if keys.iter().any(|other| other.name == name || other.variable == variable) {
                self.mistake(
                    format!("{path}.{place}"),
                    format!("there is already a key `{name}`, or one of {variable}"),
                );
            }
            keys.push(ApiKey {
                name: name.to_owned(),
                variable: variable.to_owned(),
                weight: weight.unwrap_or(1),
                place,
            });
        }
        if keys.iter().all(|key| key.weight == 0) && !keys.is_empty() {
            self.mistake(format!("{path}.api_keys"), "every key has weight 0; one at least needs a weight");
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::ApiKey;
    use crate::config::Config;

    fn keys(provider: serde_json::Value) -> Result<Vec<ApiKey>, Vec<(String, String)>> {
        let file = serde_json::json!({"providers": {"p": provider}});
        let checked = Config::check(&serde_json::from_value(file).unwrap());
        checked
            .map(|config| config.providers["p"].keys.clone())
            .map_err(|mistakes| mistakes.into_iter().map(|mistake| (mistake.path, mistake.message)).collect())
    }

    #[test]
    fn one_or_several_by_name() {
        let one = keys(serde_json::json!({"kind": "openai", "api_key": "${A}"})).unwrap();
        assert_eq!((one.len(), one[0].name.as_str(), one[0].place.as_str()), (1, "A", "api_key"));
        let several = serde_json::json!(["${A}", {"key": "${B}", "weight": 3, "name": "eu-1"}]);
        let several = keys(serde_json::json!({"kind": "openai", "api_keys": several})).unwrap();
        let told: Vec<_> = several.iter().map(|key| (&key.name[..], &key.variable[..], key.weight)).collect();
        assert_eq!(told, [("A", "A", 1), ("eu-1", "B", 3)]);
        assert_eq!(several[1].place, "api_keys[1]");
        assert_eq!(keys(serde_json::json!({"kind": "openai"})), Ok(Vec::new()));
    }

    #[test]
    fn mistakes_are_told_without_secrets() {
        let bad = serde_json::json!({"kind": "openai", "api_key": "${Z}", "api_keys": [
            "sk-secret", "${A}", {"key": "${A}"}, {"key": "${B}", "name": "A"}, {"key": "${C}", "name": "a b", "weight": 0}
        ]});
        let told = keys(bad).unwrap_err();
        let paths: Vec<&str> = told.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "providers.p.api_keys",
                "providers.p.api_keys[0]",
                "providers.p.api_keys[2]",
                "providers.p.api_keys[3]",
                "providers.p.api_keys[4].name"
            ]
        );
        assert!(told.iter().all(|(_, message)| !message.contains("sk-secret")), "{told:?}");
        let elsewhere = serde_json::json!(["gcp", {"file": "/run/key"}, {"key": {"file": "/run/key"}}]);
        let told = keys(serde_json::json!({"kind": "vertex", "project": "p", "region": "eu", "api_keys": elsewhere}));
        let told = told.unwrap_err();
        let paths: Vec<&str> = told.iter().map(|(path, _)| path.as_str()).collect();
        let places = ["providers.p.api_keys[0]", "providers.p.api_keys[1]", "providers.p.api_keys[2].key"];
        assert_eq!(paths, places);
        assert!(
            told.iter().all(|(_, message)| message.ends_with("only `api_key` can come from elsewhere")),
            "{told:?}"
        );
        let many: Vec<String> = (0..33).map(|number| format!("${{K{number}}}")).collect();
        assert!(keys(serde_json::json!({"kind": "openai", "api_keys": many})).is_err());
        let none = serde_json::json!([{"key": "${A}", "weight": 0}]);
        assert!(keys(serde_json::json!({"kind": "openai", "api_keys": none})).is_err());
    }
}
