//! Who else may call than who has a key: holders of tokens that an issuer signs, and of certificates. Checked.
//!
//! Envoy verifies both; what is here says which, and what their holders are called.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::base_url::BaseUrl;
use super::certificate::{MtlsFile, Pattern, Place};
use super::checked::Check;
use super::roles::Role;
use super::units::Duration;
use crate::names;

/// Who else may call than who has a key.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuthFile {
    /// Whose tokens are good: JSON Web Tokens in `Authorization: Bearer`, as OpenID Connect has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jwt: Vec<JwtFile>,
    /// Which of the certificates that `tls.client_ca` has signed are good; the first that one matches says who its holder is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mtls: Vec<MtlsFile>,
}

impl AuthFile {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// An issuer of tokens.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct JwtFile {
    /// What its tokens have as `iss`.
    pub issuer: String,
    /// One of these has to be in a token's `aud`: tokens for other services are not for this one.
    pub audiences: Vec<String>,
    /// Where its keys are, as a JSON Web Key Set: a URL, or the absolute path of a file.
    pub jwks: String,
    /// How long keys from a URL are good before they are fetched again. Default `5m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Duration>,
    /// What a token says of its holder.
    #[serde(default, skip_serializing_if = "ClaimsFile::is_default")]
    pub claims: ClaimsFile,
    /// The role of those to whom no claim gives one. Default `user`, or, with `claims.role`, none: they are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// Which claims of a token say what. Dots lead into objects and lists: `realm_access.roles`, `groups.0`; a claim whose name
/// is a URL is taken as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClaimsFile {
    /// The name for logs, limits and reports. Default `sub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Labels: `{ app: azp }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Models that may be asked for: a list, or a text with spaces between them. A token without it may ask for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<String>,
    /// One of `roles`: a text, or a list (groups, say), of which the first counts that is the name of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

impl ClaimsFile {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Whose tokens are good.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// `iss`
    pub issuer: String,
    /// One of them has to be in `aud`.
    pub audiences: Vec<String>,
    /// Where its keys are.
    pub jwks: Jwks,
    /// How long keys from a URL are good.
    pub refresh: Duration,
    /// What the tokens say.
    pub claims: Claims,
    /// The role of those to whom no claim gives one.
    pub role: Option<Rc<Role>>,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Jwks {
    /// There.
    Url(BaseUrl),
    /// In the file with this path.
    File(String),
}

/// Which properties of Envoy's say what of a token that it has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// There is one of this issuer's.
    pub issuer: String,
    /// What its holder is called.
    pub name: String,
    /// The team.
    pub team: Option<String>,
    /// By the names of labels.
    pub labels: BTreeMap<String, String>,
    /// Patterns of models.
    pub models: Option<String>,
    /// The name of a role, or several names.
    pub role: Option<String>,
}

/// Which certificates are good, and who their holders are.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// What of a certificate is looked at.
    pub place: Place,
    /// What has to stand there.
    pub pattern: Pattern,
    /// What its holder may do.
    pub role: Rc<Role>,
}

const DEFAULT_REFRESH: Duration = Duration::from_millis(300_000);

impl Check<'_> {
    pub(super) fn auth(&mut self, roles: &BTreeMap<String, Rc<Role>>) -> (Vec<Issuer>, Vec<Certificates>) {
        let file = self.file;
        self.tls();
        let issuers = (0..).zip(&file.auth.jwt);
        let issuers = issuers.filter_map(|(index, jwt)| self.issuer(index, jwt, roles)).collect();
        let certificates = (0..).zip(&file.auth.mtls);
        let certificates = certificates.filter_map(|(index, mtls)| self.certificates(index, mtls, roles)).collect();
        (issuers, certificates)
    }

    fn issuer(&mut self, index: usize, file: &JwtFile, roles: &BTreeMap<String, Rc<Role>>) -> Option<Issuer> {
        let path = format!("auth.jwt[{index}]");
        if file.issuer.is_empty() {
            self.mistake(format!("{path}.issuer"), "expected what tokens have as `iss`");
        }
        if file.audiences.is_empty() || file.audiences.iter().any(String::is_empty) {
            let message = "expected what tokens for this gateway have as `aud`: without it, tokens that were made for other services would be good here";
            self.mistake(format!("{path}.audiences"), message);
        }
        let jwks = self.jwks(&format!("{path}.jwks"), &file.jwks);
        let refresh = self.timeout(format!("{path}.refresh"), [file.refresh], DEFAULT_REFRESH);
        let ClaimsFile { name, team, labels, models, role } = &file.claims;
        let claim = |claim: &String| property(index, claim);
        let claims = Claims {
            issuer: property(index, "iss"),
            name: property(index, name.as_deref().unwrap_or("sub")),
            team: team.as_ref().map(claim),
            labels: labels.iter().map(|(label, name)| (label.clone(), claim(name))).collect(),
            models: models.as_ref().map(claim),
            role: role.as_ref().map(claim),
        };
        let given = [name, team, models, role].into_iter().flatten().chain(labels.values());
        if given.into_iter().any(|claim| segments(claim).any(str::is_empty)) {
            self.mistake(
                format!("{path}.claims"),
                "expected names of claims such as `sub`, `groups.0` or `realm_access.roles`",
            );
        }
        for label in labels.keys() {
            self.label(format!("{path}.claims.labels.{label}"), label);
        }
        let role = match (&file.role, &claims.role) {
            (None, Some(_)) => None,
            (role, _) => Some(self.role(&path, role.as_deref(), roles)?),
        };
        Some(Issuer {
            issuer: file.issuer.clone(),
            audiences: file.audiences.clone(),
            jwks: jwks?,
            refresh,
            claims,
            role,
        })
    }

    fn jwks(&mut self, path: &str, jwks: &str) -> Option<Jwks> {
        if jwks.starts_with('/') && !jwks.ends_with('/') {
            return Some(Jwks::File(jwks.to_owned()));
        }
        let url = jwks.parse::<BaseUrl>();
        if url.is_err() {
            self.mistake(
                path,
                "expected a URL such as `https://login.example.com/keys`, or the absolute path of a file",
            );
        }
        url.ok().map(Jwks::Url)
    }
}

/// The property that is this claim of a token of the issuer with that number.
fn property(issuer: usize, claim: &str) -> String {
    let mut property = names::token(issuer);
    for segment in segments(claim) {
        property.push('\0');
        property.push_str(segment);
    }
    property
}

/// Issuers that are to name their own claims take URLs for it, which have dots.
fn segments(claim: &str) -> impl Iterator<Item = &str> {
    let whole = claim.starts_with("https://") || claim.starts_with("http://");
    let (one, several) = if whole { (Some(claim), None) } else { (None, Some(claim.split('.'))) };
    one.into_iter().chain(several.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::segments;
    use crate::config::Config;

    #[test]
    fn mistakes_are_told_with_a_remedy() {
        let jwt = |more: Value| {
            let mut jwt = json!({"issuer": "i", "audiences": ["a"], "jwks": "https://a.example/keys"});
            jwt.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"auth": {"jwt": [jwt]}})
        };
        let tls = |tls: Value, mtls: Value| json!({"tls": tls, "auth": {"mtls": mtls}});
        let limit = |limit: Value| json!({"limits": [limit]});
        let pems = json!({"cert": "/c", "key": "/k", "client_ca": "/a"});
        for (document, path, says) in [
            (jwt(json!({"issuer": ""})), "auth.jwt[0].issuer", "`iss`"),
            (jwt(json!({"audiences": []})), "auth.jwt[0].audiences", "other services"),
            (jwt(json!({"jwks": "keys.json"})), "auth.jwt[0].jwks", "absolute path"),
            (jwt(json!({"claims": {"team": "a..b"}})), "auth.jwt[0].claims", "groups.0"),
            (jwt(json!({"claims": {"labels": {"a b": "c"}}})), "auth.jwt[0].claims.labels.a b", "letters, digits"),
            (jwt(json!({"role": "bos"})), "auth.jwt[0].role", "`boss`"),
            (tls(Value::Null, json!([{"dns": "{name}"}])), "auth.mtls", "client_ca"),
            (tls(json!({"cert": "/c", "key": "/k"}), json!([{"dns": "{name}"}])), "tls.client_ca", "vouches"),
            (tls(json!({"cert": "c", "key": "/k"}), json!([])), "tls.cert", "absolute path"),
            (tls(pems.clone(), json!([{"dns": "{name}", "uri": "{name}"}])), "auth.mtls[0]", "one of"),
            (tls(pems.clone(), json!([{"dns": "{name}.{label:a:b}"}])), "auth.mtls[0].dns", "letters, digits"),
            (tls(pems.clone(), json!([{"dns": "{team}"}])), "auth.mtls[0].dns", "{name}"),
            (json!({"keys": [{"name": "x"}]}), "keys[0].sha256", "`auth`"),
            (json!({"roles": {"admin": {}}}), "roles.admin", "another name"),
            (json!({"roles": {"boss": {"n": 0}}}), "roles.boss.n", "at least 1"),
            (limit(json!({"requests": 1, "per": "day", "wait": "6m"})), "limits[0].wait", "`5m`"),
            (limit(json!({"requests": 1, "per": "day", "wait": "1s", "soft": true})), "limits[0].wait", "one of"),
            (
                limit(json!({"requests": 1, "per": "day", "by": ["provider"], "downgrade_to": "m"})),
                "limits[0].downgrade_to",
                "other targets",
            ),
            (
                limit(json!({"requests": 1, "per": "day", "time_zone": "Berlin"})),
                "limits[0].time_zone",
                "Europe/Berlin",
            ),
            (
                limit(json!({"requests": 1, "per": "day", "time_zone": "UTC0", "utc_offset": "+01:00"})),
                "limits[0].time_zone",
                "either",
            ),
        ] {
            let mut file = json!({
                "providers": {"a": {"kind": "openai"}},
                "models": {"m": {"targets": [{"provider": "a"}]}},
                "roles": {"boss": {}},
            });
            let members = document.as_object().unwrap().clone().into_iter().filter(|(_, value)| !value.is_null());
            file.as_object_mut().unwrap().extend(members);
            let mistakes = Config::check(&serde_json::from_value(file).unwrap()).unwrap_err();
            let told: Vec<_> =
                mistakes.iter().map(|mistake| (mistake.path.as_str(), mistake.message.as_str())).collect();
            assert!(matches!(told[..], [(at, message)] if at == path && message.contains(says)), "{path}: {told:?}");
        }
    }

    #[test]
    fn dots_lead_into_claims_but_for_urls() {
        assert_eq!(segments("sub").collect::<Vec<_>>(), ["sub"]);
        assert_eq!(segments("groups.0").collect::<Vec<_>>(), ["groups", "0"]);
        assert_eq!(segments("https://acme.com/groups").collect::<Vec<_>>(), ["https://acme.com/groups"]);
    }
}
