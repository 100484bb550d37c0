//! Labels: what requests are told apart by in logs, beside their key. Checked.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::checked::{Check, Config};

/// Which labels clients may give their requests. A key's own label of the same name wins.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LabelsFile {
    /// Labels that come in a header: `feature` in `x-gateway-label-feature`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// Labels that come as members of the request's `metadata`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<String>,
    /// Whether the request's member `user` is a label, too. Default false.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub user: bool,
}

/// Which labels clients may give their requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    /// Those that come in a header: the label's name, and the header's.
    pub headers: Vec<(String, String)>,
    /// Those that come as members of `metadata`.
    pub metadata: Vec<String>,
    /// Whether `user` is one, too.
    pub user: bool,
}

/// The label that the request's member of this name is.
pub const USER: &str = "user";
/// What the headers begin with that clients give labels in.
const HEADER_PREFIX: &str = "x-gateway-label-";
/// The most names of labels. Each is a property of a request, and a field in every line of the log.
const MAX_LABELS: usize = 32;
/// The longest name, in bytes.
const MAX_NAME: usize = 64;

impl Labels {
    /// Their names, some of them twice.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let headers = self.headers.iter().map(|(name, _)| name.as_str());
        headers.chain(self.metadata.iter().map(String::as_str)).chain(self.user.then_some(USER))
    }
}

impl Config {
    /// The names of all labels that a request can have, from its client, its key, a token or a certificate.
    pub fn label_names(&self) -> BTreeSet<&str> {
        let keys = self.keys.iter().flat_map(|key| key.labels.keys());
        let issuers = self.keys.issuers.iter().flat_map(|issuer| issuer.claims.labels.keys());
        let certificates = self.keys.certificates.iter().flat_map(|certificates| certificates.pattern.labels());
        self.labels.names().chain(keys.chain(issuers).chain(certificates).map(String::as_str)).collect()
    }
}

impl Check<'_> {
    pub(super) fn labels(&mut self) -> Labels {
        let file = self.file;
        let given = file.labels.clone().unwrap_or_default();
        for (index, name) in given.headers.iter().enumerate() {
            self.label(format!("labels.headers[{index}]"), name);
        }
        for (index, name) in given.metadata.iter().enumerate() {
            self.label(format!("labels.metadata[{index}]"), name);
        }
        for (index, key) in file.keys.iter().flatten().enumerate() {
            for name in key.labels.keys() {
                self.label(format!("keys[{index}].labels.{name}"), name);
            }
        }
        // Envoy drops headers with `_` in their names.
        let header = |name: &String| format!("{HEADER_PREFIX}{}", name.to_ascii_lowercase().replace('_', "-"));
        let headers = given.headers.iter().map(|name| (name.clone(), header(name)));
        let labels = Labels { headers: headers.collect(), metadata: given.metadata.clone(), user: given.user };
        let keys = file.keys.iter().flatten().flat_map(|key| key.labels.keys());
        let names: BTreeSet<&str> = labels.names().chain(keys.map(String::as_str)).collect();
        if names.len() > MAX_LABELS {
            let path = if file.labels.is_some() { "labels" } else { "keys" };
            let message =
                format!("{} names of labels, of clients and keys together; at most {MAX_LABELS}", names.len());
            self.mistake(path, message);
        }
        labels
    }

    /// Names become parts of properties, headers and fields.
    pub(super) fn label(&mut self, path: String, name: &str) {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(allowed) {
            let message = format!("a label's name may have letters, digits, `-` and `_` only, and at most {MAX_NAME}");
            self.mistake(path, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Config;

    #[test]
    fn the_log_knows_every_label_that_there_can_be() {
        let file = json!({
            "providers": {"a": {"kind": "openai"}},
            "models": {"m": {"targets": [{"provider": "a"}]}},
            "labels": {"headers": ["feature", "app"], "metadata": ["task"], "user": true},
            "keys": [{"name": "k", "sha256": "0".repeat(64), "labels": {"app": "x", "stage": "prod"}}],
            "auth": {
                "jwt": [{"issuer": "i", "audiences": ["a"], "jwks": "https://a.example/keys", "claims": {"labels": {"group": "g"}}}],
                "mtls": [{"uri": "spiffe://acme.org/{label:zone}/{name}"}, {"subject": "CN={name},OU={label:unit}"}],
            },
            "tls": {"cert": "/c", "key": "/k", "client_ca": "/a"},
        });
        let config = Config::check(&serde_json::from_value(file).unwrap()).unwrap();
        let names: Vec<&str> = config.label_names().into_iter().collect();
        assert_eq!(names, ["app", "feature", "group", "stage", "task", "unit", "user", "zone"]);
    }
}
