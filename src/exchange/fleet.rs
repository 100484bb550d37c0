//! Limits that several Envoys share: what Envoy's `ratelimit` filter, which stands after the gateway position, is told for the
//! rate limit service, and what it answers.
//!
//! <https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/rate_limit_filter>

use super::step::{Host, Step};
use crate::chance::Random;
use crate::config::Amount;
use crate::error::{Cause, Error};
use crate::limits::{Amounts, Asked, Refused, Room};
use crate::names;

/// A request's accounts at the service.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    asked: Vec<Asked>,
}

/// Why the service, or nobody in its place, lets a request through.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A limit is spent.
    Spent(Refused),
    /// It did not answer, and configuration says that this is to be a refusal.
    Away(Error),
}

/// What Envoy notes as the reason of a local reply.
const DETAILS: &str = "response\0code_details";
/// Headers of the service's answer, which Envoy puts on the client's:
/// <https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/extensions/filters/http/ratelimit/v3/rate_limit.proto>
const LIMIT: &str = "x-ratelimit-limit";
const REMAINING: &str = "x-ratelimit-remaining";
const RESET: &str = "x-ratelimit-reset";

impl Fleet {
    pub fn new(asked: Vec<Asked>) -> Self {
        Self { asked }
    }

    /// Whose accounts the service is to be asked about.
    pub fn ask(&self, step: &mut Step) {
        for asked in &self.asked {
            if let Some([account, _]) = names::SHARED.get(asked.shared.slot) {
                step.property(*account, asked.account.as_str());
            }
        }
    }

    /// What it is to be told at the end. Nothing is told too: Envoy warns of a report that is due and has no number.
    pub fn report(&self, used: &Amounts, host: &dyn Host, step: &mut Step) {
        if self.asked.is_empty() {
            return;
        }
        let mut chance = Random::new(host.seed());
        for asked in &self.asked {
            if let (Some([_, name]), Some(hits)) = (names::SHARED.get(asked.shared.slot), asked.hits(used, &mut chance))
            {
                step.property(*name, hits.to_string());
            }
        }
    }

    /// Whether the answer that comes is a refusal for the sake of a shared limit.
    pub fn refusal(&self, host: &dyn Host) -> Option<Refusal> {
        if self.asked.is_empty() || !host.header(":status").is_some_and(|status| status == "429" || status == "503") {
            return None;
        }
        match host.property(DETAILS)?.as_slice() {
            b"request_rate_limited" => Some(Refusal::Spent(self.spent(host))),
            b"rate_limiter_error" => {
                let message = "The service that counts this gateway's limits does not answer. Try again.";
                let error = Error::new(Cause::ServerError, message);
                let code = Some("limits_unavailable".to_owned());
                Some(Refusal::Away(Error { status: Some(503), code, retry_after: Some(1000), ..error }))
            }
            _ => None,
        }
    }

    fn spent(&self, host: &dyn Host) -> Refused {
        let told = Told::read(host);
        // A service need not say which limit it was.
        let asked = told.as_ref().and_then(|told| self.find(told)).or(self.asked.first());
        Refused {
            limit: asked.map(|asked| asked.limit.name.clone()).unwrap_or_default(),
            amount: asked.map_or(Amount::Requests, |asked| asked.limit.amount),
            wait: told.map_or(1000, |told| told.reset),
            hopeless: false,
            downgrade_to: None,
            turn: None,
        }
    }

    /// What is left at the service, where clients are told of it; its own headers are not for them.
    pub fn room(&self, host: &dyn Host, step: &mut Step) -> Option<Room> {
        if self.asked.is_empty() {
            return None;
        }
        let told = Told::read(host)?;
        [LIMIT, REMAINING, RESET].into_iter().for_each(|name| step.remove(name));
        let Asked { limit, shared, .. } = self.find(&told)?;
        let left = told.left.saturating_mul(shared.unit).min(limit.most);
        Some(Room { amount: limit.amount, most: limit.most, left, reset: told.reset })
    }

    /// The limit that the service speaks of: it knows numbers, not names.
    fn find(&self, told: &Told) -> Option<&Asked> {
        self.asked.iter().find(|asked| asked.limit.hits() == told.most)
    }
}

/// What the service says of the limit of which least is left.
struct Told {
    /// Hits that there may be.
    most: u64,
    /// Hits that are left.
    left: u64,
    /// In how many milliseconds all are there again.
    reset: u64,
}

impl Told {
    fn read(host: &dyn Host) -> Option<Self> {
        // `10, 10;w=60, 100;w=3600`: the first is meant, then come all.
        let most = host.header(LIMIT)?.split(',').next()?.trim().parse().ok()?;
        let left = host.header(REMAINING)?.parse().ok()?;
        let seconds: u64 = host.header(RESET)?.parse().ok()?;
        Some(Self { most, left, reset: seconds.saturating_mul(1000) })
    }
}
