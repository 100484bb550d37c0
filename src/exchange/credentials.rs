//! A provider's credentials at an attempt: where they are, which it goes out with, and what its answer shows of that.
//!
//! Values are never printed; logs have names.

use super::ledger::Ledger;
use super::metrics::cooldown;
use super::step::{Host, Notice, Step};
use super::verdict;
use crate::config::{ApiKey, Mistake, Provider, SecretRef};
use crate::error::{Cause, Fault};
use crate::names;
use crate::providers::Kind;
use crate::route::{Draw, Hop, Keys, Plan, blames_key};

/// A provider's credentials.
#[derive(Debug)]
pub(super) struct Credentials {
    provider: String,
    kind: &'static dyn Kind,
    /// Those that are known by a name; none unless `place` is [`Place::Here`].
    keys: Vec<ApiKey>,
    place: Place,
}

/// Where they are when a request goes out.
#[derive(Debug)]
enum Place {
    /// Here: header and value of each; or there are none.
    Here(Vec<(&'static str, Secret)>),
    /// In a request header of this name, where Envoy has put what is in a file.
    Header(String),
    /// In the property [`names::GCP_TOKEN`].
    Gcp,
}

/// A header value that is never printed.
struct Secret(String);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Credentials {
    /// Looks up those that are in the `environment`.
    ///
    /// # Errors
    /// One is not there, or is none.
    pub fn new(provider: &Provider, environment: impl Fn(&str) -> Option<String>) -> Result<Self, Mistake> {
        let key = provider.api_key.as_ref();
        let place = if key.is_some_and(|key| key.file().is_some()) {
            Place::Header(names::credential(&provider.name))
        } else if key.is_some_and(SecretRef::is_gcp) {
            Place::Gcp
        } else {
            let mut headers = Vec::with_capacity(provider.keys.len());
            for ApiKey { variable, place, .. } in &provider.keys {
                let mistake = |message| Mistake { path: format!("providers.{}.{place}", provider.name), message };
                let value = environment(variable)
                    .filter(|value| !value.is_empty())
                    .ok_or_else(|| mistake(format!("the environment variable {variable} is not set for Envoy")))?;
                if !is_key(value.trim()) {
                    let message = format!("the value of {variable} is not a key: it has spaces or control characters");
                    return Err(mistake(message));
                }
                let (header, value) = provider.kind.credential(value.trim());
                headers.push((header, Secret(value)));
            }
            Place::Here(headers)
        };
        Ok(Self { provider: provider.name.clone(), kind: provider.kind, keys: provider.keys.clone(), place })
    }

    /// Which of them an attempt at `hop` goes out with, by number.
    pub fn choose(&self, host: &dyn Host, plan: &Plan, hop: &Hop) -> u8 {
        let keys = self.keys();
        if !keys.are_several() {
            return 0;
        }
        let (sticky, seed, copy) = (plan.sticky, host.seed(), is_copy(hop));
        let draw = Draw { spent: &hop.spent, probe: hop.probe, sticky, seed, copy };
        keys.choose(&draw, host.now(), &hop.breaker, host).unwrap_or_default()
    }

    /// The header that shows it to the provider, if requests carry one.
    ///
    /// # Errors
    /// They should, and Envoy has found none; what to tell the client.
    pub fn header(&self, host: &dyn Host, number: u8) -> Result<Option<(&'static str, String)>, &'static str> {
        let (key, why) = match &self.place {
            Place::Here(headers) => {
                let header = headers.get(usize::from(number));
                return Ok(header.map(|(name, Secret(value))| (*name, value.clone())));
            }
            Place::Header(name) => (host.header(name), NO_FILE),
            Place::Gcp => (host.property(names::GCP_TOKEN).and_then(|token| String::from_utf8(token).ok()), NO_TOKEN),
        };
        // A file commonly ends with a newline.
        let key = key.as_deref().map(str::trim).filter(|key| !key.is_empty() && is_key(key));
        key.map(|key| Some(self.kind.credential(key))).ok_or(why)
    }

    /// The provider has taken it.
    pub fn accepted(&self, host: &dyn Host, hop: &Hop, number: u8, step: &mut Step) {
        let keys = self.keys();
        if keys.are_several() && !is_copy(hop) && keys.accepted(number, host.now(), &hop.breaker, host) {
            step.notice(Notice::Info(format!("the key {} of {} is well again", keys.name(number), self.provider)));
        }
    }

    /// The attempt failed, or was refused: the credential and the target are judged. Whether it was for the credential, and
    /// the provider has another.
    pub fn judge(
        &self,
        (host, ledger): (&dyn Host, &Ledger),
        hop: &Hop,
        number: u8,
        cause: Cause,
        retry_after: Option<u64>,
        step: &mut Step,
    ) -> bool {
        let (keys, now) = (self.keys(), host.now());
        if is_copy(hop) || !keys.are_several() || !blames_key(cause) {
            if cause.fault() == Fault::Client {
                self.accepted(host, hop, number, step);
            }
            verdict::failed(host, ledger, hop, cause, retry_after, step);
            return false;
        }
        // The target is as well as the best of its keys.
        verdict::unknown(host, hop);
        if keys.refused(number, now, cause, retry_after, &hop.breaker, host) {
            let what = format!("the key {} of {}", keys.name(number), self.provider);
            step.notice(verdict::left_alone(&what, cause));
            step.metrics.push(cooldown(&self.provider, format!("key {}", keys.name(number)), cause));
        }
        let mut spent = hop.spent.clone();
        spent.push(number);
        keys.has_another(&spent, now, host)
    }

    /// The provider says that nothing is left for `wait` milliseconds, though it has not refused yet: of the credential, or
    /// of the target where there is but one.
    pub fn spent(&self, host: &dyn Host, hop: &Hop, number: u8, wait: u64, step: &mut Step) {
        let (keys, now) = (self.keys(), host.now());
        if hop.breaker.cooldown == 0 || is_copy(hop) {
            return;
        }
        let until = now.saturating_add(wait);
        if !keys.are_several() {
            verdict::spent(host, hop, until, step);
        } else if keys.leave_until(number, now, until, host) {
            let (name, provider) = (keys.name(number), &self.provider);
            let told = format!("the key {name} of {provider} is left alone for {wait} ms: its limit is reached");
            step.notice(Notice::Info(told));
            step.metrics.push(cooldown(provider, format!("key {name}"), Cause::RateLimited));
        }
    }

    fn keys(&self) -> Keys<'_> {
        Keys { provider: &self.provider, all: &self.keys }
    }
}

const NO_FILE: &str = "The gateway has no credential for the provider: its file is empty, or not there.";
const NO_TOKEN: &str = "The gateway has no credential for the provider: Google's metadata server gave no token.";

/// Whether `key` can be part of a header.
fn is_key(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What becomes of a copy is nobody's fault, a credential's neither.
fn is_copy(hop: &Hop) -> bool {
    hop.target.is_empty()
}
