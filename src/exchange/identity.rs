//! Who a token or a certificate says that its holder is. Envoy has verified both: here they are only read.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::step::Host;
use crate::config::{Claims, Holder, Issuer, Key, Keys, Place, Rights, Role};
use crate::error::{Cause, Error};
use crate::names;

/// The most names in a list of a token.
const MAX_LIST: usize = 64;
/// The longest text of a token or a certificate that is taken for a name, in bytes.
const MAX_NAME: usize = 256;

/// Whom the request's token names; `None`: it has none that Envoy has verified.
///
/// # Errors
/// The token does not say all that it has to.
pub(super) fn token(keys: &Keys, host: &dyn Host) -> Option<Result<Rc<Key>, Error>> {
    let issuer = keys.issuers.iter().find(|issuer| host.property(&issuer.claims.issuer).is_some())?;
    Some(of_token(keys, issuer, host))
}

fn of_token(keys: &Keys, issuer: &Issuer, host: &dyn Host) -> Result<Rc<Key>, Error> {
    let Claims { name, team, labels, models, role, .. } = &issuer.claims;
    let claim = |property: &str| name_of(host.property(property)?);
    let name = claim(name).ok_or_else(|| {
        Error::new(Cause::Unauthorized, "Your token does not say who you are in a way that this gateway takes.")
    })?;
    if let Some(key) = keys.named(&name) {
        return Ok(key.clone());
    }
    let role = role.as_deref().and_then(|role| given_role(keys, &list(host, role))).or(issuer.role.as_ref());
    let role = role.ok_or_else(|| Error::new(Cause::Forbidden, "Your token gives you no role at this gateway."))?;
    let labels = labels.iter().filter_map(|(label, property)| Some((label.clone(), claim(property)?)));
    let holder = Holder { name, team: team.as_deref().and_then(claim), labels: labels.collect() };
    let models = models.as_deref().map(|models| list(host, models));
    Ok(foreign(holder, models, role))
}

/// Whom the client's certificate names; `None`: it has none, or none that is good here.
pub(super) fn certificate(keys: &Keys, host: &dyn Host) -> Option<Rc<Key>> {
    let mut known: BTreeMap<&str, Option<String>> = BTreeMap::new();
    keys.certificates.iter().find_map(|certificates| {
        let property = match certificates.place {
            Place::Uri => names::CERTIFICATE_URI,
            Place::Dns => names::CERTIFICATE_DNS,
            Place::Subject => names::CERTIFICATE_SUBJECT,
        };
        let text = known.entry(property).or_insert_with(|| name_of(host.property(property)?)).as_deref()?;
        let holder = certificates.pattern.holder(text)?;
        Some(keys.named(&holder.name).cloned().unwrap_or_else(|| foreign(holder, None, &certificates.role)))
    })
}

/// The first of these that configuration has. The roles that are always there are given by configuration alone: what is an
/// admin elsewhere is none here.
fn given_role<'k>(keys: &'k Keys, given: &[String]) -> Option<&'k Rc<Role>> {
    given.iter().find_map(|name| keys.roles.get(name).filter(|role| !role.built_in))
}

fn foreign(holder: Holder, models: Option<Vec<String>>, role: &Rc<Role>) -> Rc<Key> {
    let Holder { name, team, labels } = holder;
    let rights = Rights { models, ..Rights::default() };
    Rc::new(Key { name, foreign: true, team, labels, rights, role: role.clone(), ..Key::default() })
}

/// The texts of a list, or of a text with spaces between them.
fn list(host: &dyn Host, property: &str) -> Vec<String> {
    let element = |index| host.property(&format!("{property}\0{index}"));
    let elements: Vec<String> = (0..MAX_LIST).map_while(element).filter_map(name_of).collect();
    if !elements.is_empty() {
        return elements;
    }
    let text = host.property(property).and_then(name_of).unwrap_or_default();
    text.split(' ').filter(|name| !name.is_empty()).take(MAX_LIST).map(str::to_owned).collect()
}

/// Of what is no text Envoy tells bytes of its own.
fn name_of(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let fit = !text.is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control);
    fit.then_some(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::{certificate, token};
    use crate::config::{Config, Key};
    use crate::error::Cause;
    use crate::exchange::{Ending, Host};
    use crate::headers::Headers;
    use crate::names;
    use crate::route::board::Board;
    use crate::route::{Shared, Version};

    /// What Envoy tells of a request.
    #[derive(Default)]
    struct Told(BTreeMap<String, Vec<u8>>, Board);

    impl Told {
        /// A token's claims as Envoy tells them: leaves by their paths, all else by bytes of its own.
        fn claims(claims: &Value) -> Self {
            let mut told = Self::default();
            told.add(names::token(0), claims);
            told
        }

        fn add(&mut self, path: String, value: &Value) {
            let mut each: Vec<(String, &Value)> = Vec::new();
            match value {
                Value::Object(members) => each.extend(members.iter().map(|(name, value)| (name.clone(), value))),
                Value::Array(items) => {
                    each.extend(items.iter().zip(0..).map(|(item, index)| (format!("{index}"), item)))
                }
                _ => {}
            }
            let text = value.as_str().map_or(vec![0, 255], |text| text.as_bytes().to_vec());
            each.into_iter().for_each(|(name, value)| self.add(format!("{path}\0{name}"), value));
            self.0.insert(path, text);
        }
    }

    impl Shared for Told {
        fn get(&self, key: &str) -> (Option<Vec<u8>>, Version) {
            self.1.get(key)
        }

        fn set(&self, key: &str, record: &[u8], version: Version) -> bool {
            self.1.set(key, record, version)
        }
    }

    impl Host for Told {
        fn now(&self) -> u64 {
            0
        }

        fn seed(&self) -> u64 {
            0
        }

        fn header(&self, _: &str) -> Option<String> {
            None
        }

        fn headers(&self) -> Headers {
            Headers::default()
        }

        fn property(&self, name: &str) -> Option<Vec<u8>> {
            self.0.get(name).cloned()
        }

        fn client(&self) -> Option<String> {
            None
        }

        fn ending(&self) -> Ending {
            Ending::Complete
        }
    }

    fn config() -> Config {
        let file = json!({
            "providers": {"a": {"kind": "openai"}},
            "models": {"m": {"targets": [{"provider": "a"}]}},
            "tls": {"cert": "/c", "key": "/k", "client_ca": "/a"},
            "auth": {
                "jwt": [{
                    "issuer": "i", "audiences": ["a"], "jwks": "/jwks",
                    "claims": {"team": "org.0", "labels": {"app": "https://x.y/app"}, "models": "scope", "role": "groups"},
                }],
                "mtls": [{"uri": "spiffe://a/{name}", "role": "staff"}, {"dns": "{name}.a"}],
            },
            "roles": {"staff": {"models": ["m*"]}, "boss": {"admin": true}},
            "keys": [{"name": "known", "team": "k"}, {"name": "key", "team": "k", "sha256": "0".repeat(64)}],
        });
        Config::check(&serde_json::from_value(file).unwrap()).unwrap()
    }

    #[test]
    fn claims_make_a_key() {
        let config = config();
        let of = |claims: Value| token(&config.keys, &Told::claims(&claims)).unwrap();
        let good = json!({"iss": "i", "sub": "s", "org": ["t"], "https://x.y/app": "z", "scope": "m n", "groups": ["a", "staff", "boss"]});
        let Key { name, team, labels, role, foreign, .. } = of(good.clone()).unwrap().as_ref().clone();
        assert_eq!(
            (name.as_str(), team.as_deref(), labels["app"].as_str(), role.name.as_str(), foreign),
            ("s", Some("t"), "z", "staff", true)
        );
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            of(claims)
        };
        let may = |scope: Value, model: &str| with("scope", scope).unwrap().may_ask(model);
        assert!(may(json!(["m1"]), "m1") && may(json!("a m1"), "m1") && !may(json!([]), "m1"));
        assert!(!may(json!("n"), "n"), "its role does not let it");
        for groups in [json!([]), json!("admin"), json!(["user"]), Value::Null, json!(1)] {
            assert_eq!(with("groups", groups).unwrap_err().cause, Cause::Forbidden);
        }
        for sub in [json!(""), json!(1), Value::Null, json!("a\nb"), json!("x".repeat(257)), json!(["a"])] {
            assert_eq!(with("sub", sub).unwrap_err().cause, Cause::Unauthorized);
        }
        let known = with("sub", json!("known")).unwrap();
        assert_eq!((known.foreign, known.team.as_deref()), (false, Some("k")));
        let key = with("sub", json!("key")).unwrap();
        assert_eq!((key.foreign, key.team.as_deref()), (true, Some("t")));
        assert!(token(&config.keys, &Told::default()).is_none());
    }

    #[test]
    fn certificates_make_a_key() {
        let config = config();
        let of = |property: &str, text: &str| {
            let told = Told([(property.to_owned(), text.as_bytes().to_vec())].into(), Board::default());
            certificate(&config.keys, &told).map(|key| (key.name.clone(), key.role.name.clone(), key.foreign))
        };
        let key = |name: &str, role: &str, foreign| Some((name.to_owned(), role.to_owned(), foreign));
        assert_eq!(of(names::CERTIFICATE_URI, "spiffe://a/b"), key("b", "staff", true));
        assert_eq!(of(names::CERTIFICATE_URI, "spiffe://a/known"), key("known", "user", false));
        assert_eq!(of(names::CERTIFICATE_DNS, "b.a"), key("b", "user", true));
        assert_eq!(of(names::CERTIFICATE_DNS, "b\n.a"), None);
        assert_eq!(of(names::CERTIFICATE_SUBJECT, "CN=b"), None);
    }
}
