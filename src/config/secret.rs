//! Where a secret is. Its value never stands in configuration.

use serde::{Deserialize, Serialize};

/// Where a secret is: `${NAME}`, `gcp`, or `{ file: PATH }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SecretRef {
    /// `${NAME}`: the environment variable of the Envoy process that holds it. `gcp`: Envoy asks Google's metadata server for
    /// an access token.
    Word(String),
    /// A file that Envoy reads, and reads again when another is moved into its place.
    File(SecretFile),
}

/// A file with nothing else in it than a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretFile {
    /// Its absolute path.
    pub file: String,
}

impl SecretRef {
    /// The variable's name, or `None` if this is not `${NAME}` with a name of letters, digits and `_`.
    pub fn variable(&self) -> Option<&str> {
        let Self::Word(word) = self else { return None };
        let name = word.strip_prefix("${")?.strip_suffix('}')?;
        let valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (valid && !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit())).then_some(name)
    }

    /// The file's path.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::File(SecretFile { file }) => Some(file),
            Self::Word(_) => None,
        }
    }

    /// Whether it is an access token of Google's that Envoy gets.
    pub fn is_gcp(&self) -> bool {
        matches!(self, Self::Word(word) if word == "gcp")
    }
}

/// By hand: one schema with two types is what the command can hold a document against.
#[cfg(not(target_family = "wasm"))]
impl schemars::JsonSchema for SecretRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "title": "Secret",
            "description": "Where a secret is: `${NAME}` of an environment variable of Envoy; `{ file: PATH }`, which is read again when another is moved into its place; `gcp`, for access tokens of Google's metadata server. Its value never stands in configuration.",
            "type": ["string", "object"],
            "properties": { "file": { "description": "The absolute path of a file with nothing else in it.", "type": "string" } },
            "required": ["file"],
            "additionalProperties": false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{SecretFile, SecretRef};

    #[test]
    fn a_secret_is_in_one_place() {
        for (json, variable, file, gcp) in [
            (r#""${A_1}""#, Some("A_1"), None, false),
            (r#""${1A}""#, None, None, false),
            (r#""sk-1""#, None, None, false),
            (r#""gcp""#, None, None, true),
            (r#"{"file":"/run/a"}"#, None, Some("/run/a"), false),
        ] {
            let secret: SecretRef = serde_json::from_str(json).unwrap();
            assert_eq!((secret.variable(), secret.file(), secret.is_gcp()), (variable, file, gcp), "{json}");
            assert_eq!(serde_json::to_string(&secret).unwrap(), json);
        }
        assert_eq!(SecretRef::File(SecretFile { file: "a".into() }).file(), Some("a"));
        assert!(serde_json::from_str::<SecretRef>(r#"{"path":"/run/a"}"#).is_err());
    }
}
