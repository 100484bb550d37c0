//! A provider's credentials at an attempt: which it goes out with, and what its answer shows of that.
//!
//! Values are never printed; logs have names.

use super::step::Host;
use super::verdict;
use crate::config::{ApiKey, Mistake, Provider};
use crate::error::{Cause, Fault};
use crate::route::{Draw, Hop, Keys, Plan, blames_key};

/// A provider's credentials, with their values.
#[derive(Debug)]
pub(super) struct Credentials {
    provider: String,
    keys: Vec<ApiKey>,
    /// Header and value of each.
    headers: Vec<(&'static str, Secret)>,
}

/// A header value that is never printed.
struct Secret(String);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Credentials {
    /// Looks them up in the `environment`.
    ///
    /// # Errors
    /// One is not there, or is none.
    pub fn new(provider: &Provider, environment: impl Fn(&str) -> Option<String>) -> Result<Self, Mistake> {
        let mut headers = Vec::with_capacity(provider.keys.len());
        for ApiKey { variable, place, .. } in &provider.keys {
            let mistake = |message| Mistake { path: format!("providers.{}.{place}", provider.name), message };
            let value = environment(variable)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| mistake(format!("the environment variable {variable} is not set for Envoy")))?;
            if !value.trim().bytes().all(|byte| byte.is_ascii_graphic()) {
                let message = format!("the value of {variable} is not a key: it has spaces or control characters");
                return Err(mistake(message));
            }
            let (header, value) = provider.kind.credential(value.trim());
            headers.push((header, Secret(value)));
        }
        Ok(Self { provider: provider.name.clone(), keys: provider.keys.clone(), headers })
    }

    /// Which of them an attempt at `hop` goes out with, by number.
    pub fn choose(&self, host: &dyn Host, plan: &Plan, hop: &Hop) -> u8 {
        let keys = self.keys();
        if !keys.are_several() {
            return 0;
        }
        let draw = Draw { spent: &hop.spent, probe: hop.probe, sticky: plan.sticky, seed: host.seed() };
        keys.choose(&draw, host.now(), &hop.breaker, host).unwrap_or_default()
    }

    /// The header that shows it to the provider.
    pub fn header(&self, number: u8) -> Option<(&'static str, &str)> {
        self.headers.get(usize::from(number)).map(|(name, Secret(value))| (*name, value.as_str()))
    }

    /// The provider has taken it.
    pub fn accepted(&self, host: &dyn Host, hop: &Hop, number: u8) {
        let keys = self.keys();
        if keys.are_several() && keys.accepted(number, host.now(), &hop.breaker, host) {
            log::info!("model-gateway: the key {} of {} is well again", keys.name(number), self.provider);
        }
    }

    /// The attempt failed, or was refused: the credential and the target are judged. Whether it was for the credential, and
    /// the provider has another.
    pub fn judge(&self, host: &dyn Host, hop: &Hop, number: u8, cause: Cause, retry_after: Option<u64>) -> bool {
        let (keys, now) = (self.keys(), host.now());
        if !keys.are_several() || !blames_key(cause) {
            if cause.fault() == Fault::Client {
                self.accepted(host, hop, number);
            }
            verdict::failed(host, hop, cause, retry_after);
            return false;
        }
        // The target is as well as the best of its keys.
        verdict::unknown(host, hop);
        if keys.refused(number, now, cause, retry_after, &hop.breaker, host) {
            let (name, provider, cause_name) = (keys.name(number), &self.provider, cause.name());
            let left = format!("model-gateway: the key {name} of {provider} is left alone for now: {cause_name}");
            match cause.fault() {
                Fault::Operator => log::error!("{left}; this is for its operator to mend"),
                _ => log::warn!("{left}"),
            }
        }
        let mut spent = hop.spent.clone();
        spent.push(number);
        keys.has_another(&spent, now, host)
    }

    /// The provider says that nothing is left for `wait` milliseconds, though it has not refused yet: of the credential, or
    /// of the target where there is but one.
    pub fn spent(&self, host: &dyn Host, hop: &Hop, number: u8, wait: u64) {
        let (keys, now) = (self.keys(), host.now());
        if hop.breaker.cooldown == 0 {
            return;
        }
        let until = now.saturating_add(wait);
        if !keys.are_several() {
            verdict::spent(host, hop, until);
        } else if keys.leave_until(number, now, until, host) {
            let (name, provider) = (keys.name(number), &self.provider);
            log::info!("model-gateway: the key {name} of {provider} is left alone for {wait} ms: its limit is reached");
        }
    }

    fn keys(&self) -> Keys<'_> {
        Keys { provider: &self.provider, all: &self.keys }
    }
}
