//! Limits that many Envoys share, by a rate limit service that all of them ask. Checked.
//!
//! Envoy asks and reports (its `ratelimit` filter), and it has one entry of configuration for each different quota, a *slot*:
//! the limits of a thousand keys that say the same are one slot, as no request is about two of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::base_url::BaseUrl;
use super::checked::Check;
use super::limits::{Amount, Limit, LimitFile};
use super::scope::Of;
use super::units::Duration;
use crate::limits::window::{Per, Window};
use crate::names;
use crate::time_zone::TimeZone;

/// The service that all Envoys ask about limits which are `shared`. It speaks Envoy's rate limit protocol, version 3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RateLimitServiceFile {
    /// Where it is, for example `http://10.0.0.9:8081`: gRPC, with `https` over TLS.
    pub url: String,
    /// What becomes of requests while it does not answer. Default `allow`.
    #[serde(default, skip_serializing_if = "OnFailure::is_default")]
    pub on_failure: OnFailure,
    /// How long to wait for it. Default `100ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// By what it tells accounts of this gateway from those of others. Default `model-gateway`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// What becomes of requests while the service does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// They go on: each Envoy holds to the limits by itself.
    #[default]
    Allow,
    /// They are refused with 503.
    Refuse,
}

impl OnFailure {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A rate limit service of which every rule holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitService {
    /// Where it is.
    pub server: BaseUrl,
    /// What becomes of requests while it does not answer.
    pub on_failure: OnFailure,
    /// How long to wait for it.
    pub timeout: Duration,
    /// By what it tells accounts of this gateway from those of others.
    pub domain: String,
}

/// How a limit is known to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    /// Its place in Envoy's configuration.
    pub slot: usize,
    /// Its window.
    pub per: Per,
    /// How much of the amount is one hit: the service counts hits, to 2³².
    pub unit: u64,
}

const DEFAULT_TIMEOUT: Duration = Duration::from_millis(100);
const DEFAULT_DOMAIN: &str = "model-gateway";
/// 10⁻⁶ USD, in 10⁻¹²: less than any request costs that is worth a limit, and with it 4,294 USD are counted to the last hit.
const MICRO: u64 = 1_000_000;

impl Limit {
    /// How many hits of the service the limit is; 0 if it is not shared.
    pub fn hits(&self) -> u64 {
        self.shared.map_or(0, |shared| self.most / shared.unit.max(1))
    }
}

/// Slots that are taken.
#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    /// Where the limit stands that has this account.
    accounts: BTreeMap<String, String>,
}

struct Slot {
    quota: (Amount, Per, u64),
    of: Vec<Of>,
}

impl Slots {
    /// The place of a limit with this quota, the first in which no other can be about the same request.
    fn find(&mut self, quota: (Amount, Per, u64), of: &Of) -> Option<usize> {
        let apart = |slot: &Slot| match of {
            Of::All => false,
            Of::Key(_) => slot.of.iter().all(|other| matches!(other, Of::Key(_)) && other != of),
            Of::Role(_) => slot.of.iter().all(|other| matches!(other, Of::Role(_)) && other != of),
            Of::Provider(_) => false,
            Of::Model(_) => slot.of.iter().all(|other| matches!(other, Of::Model(_)) && other != of),
        };
        let found = self.slots.iter().position(|slot| slot.quota == quota && apart(slot));
        let place = found.unwrap_or(self.slots.len());
        match self.slots.get_mut(place) {
            Some(slot) => slot.of.push(of.clone()),
            None => self.slots.push(Slot { quota, of: vec![of.clone()] }),
        }
        (place < names::SHARED.len()).then_some(place)
    }
}

impl Check<'_> {
    /// The service, if there is one.
    pub(super) fn rate_limit_service(&mut self) -> Option<RateLimitService> {
        let file = self.file.rate_limit_service.as_ref()?;
        let path = "rate_limit_service";
        let domain = file.domain.as_deref().unwrap_or(DEFAULT_DOMAIN);
        if domain.is_empty() {
            self.mistake(format!("{path}.domain"), format!("expected a name; without it, `{DEFAULT_DOMAIN}`"));
        }
        let timeout = self.timeout(format!("{path}.timeout"), [file.timeout], DEFAULT_TIMEOUT);
        let server = match file.url.parse::<BaseUrl>() {
            Ok(server) if server.path.is_empty() => server,
            _ => {
                self.mistake(
                    format!("{path}.url"),
                    "expected a URL without a path, for example `http://10.0.0.9:8081`",
                );
                return None;
            }
        };
        Some(RateLimitService { server, on_failure: file.on_failure, timeout, domain: domain.to_owned() })
    }

    /// How the service knows `limit`, if it is to.
    pub(super) fn shared(&mut self, path: &str, file: &LimitFile, limit: &Limit, slots: &mut Slots) -> Option<Shared> {
        if !file.shared {
            return None;
        }
        if self.file.rate_limit_service.is_none() {
            self.mistake(
                format!("{path}.shared"),
                "there is no service to share it by: write `rate_limit_service: { url: http://HOST:PORT }` at the top",
            );
        }
        let Window::Calendar { per, zone: TimeZone::UTC } = limit.window else {
            let message =
                "the service counts `per: second`, `minute`, `hour`, `day` or `month`, in UTC; leave it out for others";
            self.mistake(format!("{path}.shared"), message);
            return None;
        };
        if limit.scope.is_of_targets() {
            let message = "the service is asked before it is known where a request goes: leave it out for limits of providers and targets";
            self.mistake(format!("{path}.shared"), message);
        }
        if limit.soft || limit.wait.is_some() || limit.downgrade_to.is_some() {
            let message = "the service only refuses: leave it out, or `soft`, `wait` and `downgrade_to`";
            self.mistake(format!("{path}.shared"), message);
        }
        let mut unit = if limit.amount == Amount::Usd { MICRO } else { 1 };
        while limit.most / unit > u64::from(u32::MAX) {
            unit = unit.saturating_mul(10);
        }
        if unit > 1 && limit.amount == Amount::Requests {
            self.mistake(format!("{path}.requests"), format!("expected at most {} where it is shared", u32::MAX));
        }
        let account = format!("{:?} {per:?} {:?} {:?}", limit.amount, limit.scope.by, limit.scope.of);
        if let Some(other) = slots.accounts.insert(account, path.to_owned()) {
            self.mistake(path, format!("`{other}` shares the same already: one of them is enough"));
        }
        let slot = slots.find((limit.amount, per, limit.most), &limit.scope.of);
        if slot.is_none() {
            let most = names::SHARED.len();
            let message = format!(
                "more than {most} different limits are shared: give keys and models the same ones, or use `by`"
            );
            self.mistake(format!("{path}.shared"), message);
        }
        Some(Shared { slot: slot?, per, unit })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::config::{Config, OnFailure};

    fn check(limits: Value, keys: Value, service: Value) -> Result<Config, Vec<(String, String)>> {
        let file = json!({
            "providers": {"a": {"kind": "openai"}},
            "models": {"m": {"targets": [{"provider": "a"}]}},
            "limits": limits, "keys": keys, "rate_limit_service": service,
        });
        let checked = Config::check(&serde_json::from_value(file).unwrap());
        checked.map_err(|mistakes| mistakes.into_iter().map(|mistake| (mistake.path, mistake.message)).collect())
    }

    fn key(number: u32, limits: &Value) -> Value {
        json!({"name": format!("k{number}"), "sha256": format!("{number:064x}"), "limits": limits})
    }

    #[test]
    fn limits_that_no_request_has_together_are_one_slot() {
        let own = json!([
            {"tokens": 1000, "per": "day", "shared": true}, {"tokens": 1000, "per": "day", "by": ["user"], "shared": true}
        ]);
        let keys: Vec<Value> = (0..100).map(|number| key(number, &own)).collect();
        let config = check(
            json!([
                {"tokens": 1000, "per": "day", "shared": true}, {"requests": 9, "per": "day"},
                {"tokens": 1000, "per": "day", "by": ["team"], "shared": true},
            ]),
            keys.into(),
            json!({"url": "http://rates:8081"}),
        )
        .unwrap();
        let slots: Vec<Option<usize>> = config.limits.iter().map(|limit| limit.shared.map(|it| it.slot)).collect();
        assert_eq!(slots[..7], [Some(0), None, Some(1), Some(2), Some(3), Some(2), Some(3)]);
        assert!(slots[7..].iter().all(|slot| slot.is_some_and(|slot| slot == 2 || slot == 3)));
        let service = config.rate_limit_service.unwrap();
        assert_eq!((service.server.host.as_str(), service.server.port), ("rates", 8081));
        assert_eq!((service.on_failure, service.timeout.as_millis()), (OnFailure::Allow, 100));
        assert_eq!(service.domain, "model-gateway");
    }

    #[test]
    fn what_is_counted_fits_the_services_numbers() {
        for (limit, unit, hits) in [
            (json!({"usd": 20, "per": "month", "shared": true}), 1_000_000, 20_000_000),
            (json!({"usd": 4294, "per": "month", "shared": true}), 1_000_000, 4_294_000_000_u64),
            (json!({"usd": 4295, "per": "month", "shared": true}), 10_000_000, 429_500_000),
            (json!({"usd": 10_000_000, "per": "day", "shared": true}), 10_000_000_000, 1_000_000_000),
            (json!({"tokens": 4_294_967_295_u64, "per": "day", "shared": true}), 1, 4_294_967_295),
            (json!({"output_tokens": 4_294_967_296_u64, "per": "day", "shared": true}), 10, 429_496_729),
        ] {
            let config = check(json!([limit]), Value::Null, json!({"url": "http://rates"})).unwrap();
            assert_eq!((config.limits[0].shared.unwrap().unit, config.limits[0].hits()), (unit, hits), "{limit}");
        }
    }

    #[test]
    fn what_the_service_cannot_do_is_named() {
        let limits = json!([
            {"requests": 5, "rolling": "5h", "shared": true},
            {"concurrent": 5, "shared": true},
            {"requests": 5, "per": "day", "utc_offset": "+02:00", "shared": true},
            {"requests": 5, "per": "day", "soft": true, "shared": true},
            {"requests": 5_000_000_000_u64, "per": "hour", "shared": true},
            {"requests": 6, "per": "hour", "shared": true},
        ]);
        let service = json!({"url": "https://rates/path", "timeout": "0s", "domain": ""});
        let mistakes = check(limits, Value::Null, service).unwrap_err();
        let expected = [
            ("limits[0].shared", "per: second"),
            ("limits[1].shared", "per: second"),
            ("limits[2].shared", "in UTC"),
            ("limits[3].shared", "only refuses"),
            ("limits[4].requests", "4294967295"),
            ("limits[5]", "`limits[4]` shares the same already"),
            ("rate_limit_service.domain", "expected a name"),
            ("rate_limit_service.timeout", "more than 0"),
            ("rate_limit_service.url", "without a path"),
        ];
        assert_eq!(mistakes.len(), expected.len(), "{mistakes:?}");
        for ((path, message), (expected_path, part)) in mistakes.iter().zip(expected) {
            assert!(path == expected_path && message.contains(part), "{path}: {message}");
        }
        let many: Vec<Value> = (1..=17)
            .map(|most| json!({"requests": most, "per": "day", "shared": true, "by": [format!("label:{most}")]}))
            .collect();
        let mistakes = check(many.into(), Value::Null, Value::Null).unwrap_err();
        assert_eq!(mistakes.len(), 18, "{mistakes:?}");
        assert!(mistakes[0].1.contains("rate_limit_service: { url:"), "{mistakes:?}");
        assert!(mistakes[17].0 == "limits[16].shared" && mistakes[17].1.contains("more than 16"), "{mistakes:?}");
    }
}
