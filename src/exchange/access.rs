//! Who calls, and whether they may. Everything that reaches a provider passes here first.

use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::identity;
use super::step::Host;
use crate::chance::hash;
use crate::config::{Config, Key, Keys};
use crate::error::{Cause, Error};
use crate::route::{Record, glance, read, update};

/// Where clients put a key: as OpenAI's SDKs do, Anthropic's, Azure's and Google's, in the order in which they are looked at.
const HEADERS: &[&str] = &["authorization", "x-api-key", "api-key", "x-goog-api-key"];
/// Of a token that Envoy has found no good: it does not say why.
const BAD_TOKEN: &str =
    "Your token is not good here: it has expired, or is not for this gateway, or its issuer has not signed it.";

/// Who calls; `None` where everyone may. A token that Envoy has verified speaks first, then a key, then a certificate: SDKs send
/// some key in any case.
///
/// # Errors
/// The client has no key, or a wrong one, or one that is not good any more, and nothing in its place.
pub(super) fn identify(config: &Config, host: &dyn Host) -> Result<Option<Rc<Key>>, Error> {
    let keys = &config.keys;
    if keys.is_open() {
        return Ok(None);
    }
    let key = match identity::token(keys, host) {
        Some(key) => key?,
        None => of_key(keys, host)?,
    };
    check(&key, host.now())?;
    Ok(Some(key))
}

fn of_key(keys: &Keys, host: &dyn Host) -> Result<Rc<Key>, Error> {
    let sent = credential(host);
    // Envoy leaves those in place that it has not found good.
    let bad_token = !keys.issuers.is_empty() && sent.as_deref().is_ok_and(is_token);
    let counts = keys.failures > 0;
    let wait = if counts { Failures::spent(host, keys.failures) } else { None };
    let found = sent.and_then(|key| {
        let hash = Sha256::digest(key.as_bytes()).into();
        let told = if bad_token { BAD_TOKEN } else { "Incorrect API key provided." };
        keys.find(&hash).filter(|_| wait.is_none()).cloned().ok_or_else(|| unauthorized(told))
    });
    let found = found.or_else(|error| {
        let certificate = if bad_token { None } else { identity::certificate(keys, host) };
        certificate.ok_or(error)
    });
    if let (Err(_), Some(wait)) = (&found, wait) {
        let message = "Too many requests with a wrong key from your address.";
        return Err(Error { retry_after: Some(wait), ..Error::new(Cause::TooManyFailures, message) });
    }
    if found.is_err() && counts {
        Failures::count(host);
    }
    found
}

/// Whether it has the form of a JSON Web Token (RFC 7519, section 3).
fn is_token(credential: &str) -> bool {
    credential.starts_with("ey") && credential.bytes().filter(|byte| *byte == b'.').count() == 2
}

fn check(key: &Key, now: u64) -> Result<(), Error> {
    if key.disabled {
        return Err(unauthorized("This API key is disabled."));
    }
    if key.expires.is_some_and(|expires| now >= expires) {
        return Err(unauthorized("This API key has expired."));
    }
    Ok(())
}

/// The first of the places that has something has to have the key.
fn credential(host: &dyn Host) -> Result<String, Error> {
    let found = HEADERS.iter().find_map(|name| Some((*name, host.header(name)?)));
    let (name, value) = found
        .filter(|(_, value)| !value.trim().is_empty())
        .ok_or_else(|| unauthorized("You didn't provide an API key: send it as `Authorization: Bearer KEY`."))?;
    let value = value.trim();
    if name != "authorization" {
        return Ok(value.to_owned());
    }
    match value.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Ok(key.trim().to_owned()),
        _ => Err(unauthorized("The header `Authorization` has to be `Bearer KEY`.")),
    }
}

fn unauthorized(message: &str) -> Error {
    Error::new(Cause::Unauthorized, message)
}

/// What this key may not do, on the way to a model.
pub(super) fn permit(key: Option<&Key>, model: &str) -> Result<(), Error> {
    match key {
        Some(key) if !key.may_ask(model) => {
            let model: String = model.chars().take(256).collect();
            let message = format!("Your API key may not ask for the model '{model}'.");
            Err(Error { param: Some("model".to_owned()), ..Error::new(Cause::Forbidden, message) })
        }
        _ => Ok(()),
    }
}

/// Whether it may use the endpoint at all.
pub(super) fn admit(key: Option<&Key>, path: &str) -> Result<(), Error> {
    match key {
        Some(key) if !key.may_use(path) => {
            Err(Error::new(Cause::Forbidden, format!("Your API key may not use {path}.")))
        }
        _ => Ok(()),
    }
}

/// Wrong keys from one address. Addresses share a fixed number of records, so that those who make them up fill nothing; one more
/// has the last minute in which there were any, so that others need not be looked for.
struct Failures;

const ANY: &str = "failures";

/// One minute's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    minute: u64,
    count: u64,
}

const RECORDS: u64 = 4096;
const MINUTE: u64 = 60_000;

impl Failures {
    fn record(host: &dyn Host) -> String {
        let address = host.client().unwrap_or_default();
        format!("failures {}", hash(0, address.as_bytes()) % RECORDS)
    }

    /// How long to wait if there were too many, in milliseconds.
    fn spent(host: &dyn Host, most: u32) -> Option<u64> {
        let now = host.now();
        if glance::<Count>(host, ANY).minute != now / MINUTE {
            return None;
        }
        let Count { minute, count } = read(host, &Self::record(host));
        (minute == now / MINUTE && count >= u64::from(most)).then(|| MINUTE - now % MINUTE)
    }

    fn count(host: &dyn Host) {
        let minute = host.now() / MINUTE;
        let count = |count: &mut Count| {
            let before = if count.minute == minute { count.count } else { 0 };
            *count = Count { minute, count: before + 1 };
            Some(())
        };
        update(host, &Self::record(host), count);
        update(host, ANY, |any: &mut Count| if any.minute == minute { None } else { count(any) });
    }
}

impl Record for Count {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (minute, count) = bytes.split_at_checked(8)?;
        Some(Self {
            minute: u64::from_le_bytes(minute.try_into().ok()?),
            count: u64::from_le_bytes(count.try_into().ok()?),
        })
    }

    fn encode(&self) -> Vec<u8> {
        [self.minute.to_le_bytes(), self.count.to_le_bytes()].concat()
    }
}
