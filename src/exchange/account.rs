//! What a request may use and what it used: reserved before it goes out, settled when it is over.

use std::rc::Rc;

use super::fleet::{self, Fleet};
use super::labels::Labels;
use super::record::{self, Used};
use super::step::{Host, Step};
use crate::chat::Usage;
use crate::config::{Amount, Config, Found, Key, Limit};
use crate::error::{Cause, Error};
use crate::json::{Document, Value};
use crate::limits::{self, Amounts, At, Attempted, Refused, Reservation, Who};
use crate::price::{Cost, ServiceTier};
use crate::route::{Hop, Plan, Record, read, update};
use crate::tokens::Estimate;

/// The accounts of one request.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    reservation: Reservation,
    /// With limits of targets, for the first attempt.
    of_target: Option<Reservation>,
    user: Option<String>,
    labels: Labels,
    estimate: Amounts,
    /// Configuration's name for the model.
    model: String,
    learns: bool,
    fleet: Fleet,
}

/// Whether the size of a request matters to some limit.
pub(super) fn counts_tokens(limits: &[Rc<Limit>]) -> bool {
    limits.iter().any(|limit| !matches!(limit.amount, Amount::Requests | Amount::Concurrent))
}

impl Accounts {
    /// Reserves what the request may use, but where it goes. `past`: it is past a limit that moved it to this model, and which it still counts at.
    ///
    /// # Errors
    /// A limit is spent.
    pub fn reserve(
        config: &Config,
        (found, past): (Found<'_>, bool),
        key: Option<&Key>,
        (document, labels): (&Document<'_>, &Labels),
        estimate: Option<Estimate>,
        is_behind: &dyn Fn(&str) -> bool,
        host: &dyn Host,
    ) -> Result<Self, Refused> {
        let learns = estimate.is_some_and(|estimate| estimate.most_output.is_none());
        let estimate = estimate.map_or_else(Amounts::default, |estimate| {
            let output = estimate.most_output.unwrap_or_else(|| usual(host, found.name));
            let usage = Usage { input: estimate.input, output, ..Usage::default() };
            Amounts { input: usage.input, output, usd: dearest(found, &usage, host.now()) }
        });
        let user = document.root().get("user").and_then(Value::as_str).map(|user| user.decode().into_owned());
        let who = Who { key, user: user.as_deref(), labels: labels.all(), model: found.name, at: None };
        let reservation = limits::reserve(&config.groups, who, estimate, past, is_behind, host.now(), host)?;
        let fleet = Fleet::new(limits::asked(&config.groups, who));
        let (labels, model) = (labels.clone(), found.name.to_owned());
        Ok(Self { reservation, of_target: None, user, labels, estimate, model, learns, fleet })
    }

    /// Reserves it at the first of the plan's targets that has room, and leaves those out of the plan that have none.
    ///
    /// # Errors
    /// None has: the first one's limit.
    pub fn reserve_target(
        &mut self,
        config: &Config,
        key: Option<&Key>,
        plan: &mut Plan,
        is_behind: &dyn Fn(&str) -> bool,
        host: &dyn Host,
    ) -> Result<(), Refused> {
        if !config.groups.iter().any(|group| group.scope.is_of_targets()) {
            return Ok(());
        }
        let (now, estimate) = (host.now(), self.estimate);
        let Plan { hops, line, context_window, content_policy, .. } = plan;
        let hop = |number: &u8| hops.get(usize::from(*number));
        let mut refused = None;
        while let Some(first) = line.first().and_then(hop) {
            let who = self.at(key, first);
            match limits::reserve(&config.groups, who, estimate, false, is_behind, now, host) {
                Ok(reservation) => {
                    self.of_target = Some(reservation);
                    break;
                }
                Err(error) => {
                    refused.get_or_insert(error);
                    line.remove(0);
                }
            }
        }
        if self.of_target.is_none() {
            return refused.map_or(Ok(()), Err);
        }
        let has_room = |number: &u8| {
            hop(number).is_some_and(|hop| limits::has_room(&config.groups, self.at(key, hop), estimate, now, host))
        };
        let first = line.first().copied();
        line.retain(|number| Some(*number) == first || has_room(number));
        context_window.retain(has_room);
        content_policy.retain(has_room);
        Ok(())
    }

    /// Who asks, where this target is asked.
    fn at<'a>(&'a self, key: Option<&'a Key>, hop: &'a Hop) -> Who<'a> {
        let at = At { provider: &hop.provider, target: &hop.target };
        Who { key, user: self.user.as_deref(), labels: self.labels.all(), model: &self.model, at: Some(at) }
    }

    /// Undoes all of it: the request is refused.
    pub fn give_up(self, host: &dyn Host) {
        for reservation in [Some(self.reservation), self.of_target].into_iter().flatten() {
            reservation.take_back(host.now(), host);
        }
    }

    /// What a rate limit service is to be asked.
    pub fn ask(&self, step: &mut Step) {
        self.fleet.ask(step);
    }

    /// The error, and the limit if it is one, if the answer that comes is the refusal of a rate limit service. Then nothing was used.
    pub fn refused(&mut self, host: &dyn Host, step: &mut Step) -> Option<(Error, Option<String>)> {
        let refusal = self.fleet.refusal(host)?;
        self.fleet.report(&Amounts::default(), host, step);
        core::mem::take(self).give_up(host);
        Some(match refusal {
            fleet::Refusal::Spent(refused) => (self::refusal(&refused), Some(refused.limit)),
            fleet::Refusal::Away(error) => (error, None),
        })
    }

    /// What a rate limit service is to be told of the request that is over.
    pub fn report(&self, used: &Used, host: &dyn Host, step: &mut Step) {
        self.fleet.report(&amounts(used), host, step);
    }

    /// The request is over: counts what it used in place of what was reserved for it, and at targets what each attempt did.
    pub fn settle(mut self, config: &Config, request: &record::Record, host: &dyn Host) {
        let used = amounts(&request.used);
        if let Some(reservation) = self.of_target.take() {
            let attempts: Vec<Attempted<'_>> = request.attempts.iter().map(attempted).collect();
            let key = request.asked.key.as_deref();
            let who = Who { key, user: self.user.as_deref(), labels: self.labels.all(), model: &self.model, at: None };
            reservation.settle_attempts(&config.groups, who, &attempts, host.now(), host);
        }
        if self.learns && used.output > 0 && !request.used.estimated {
            learn(host, &self.model, used.output);
        }
        self.reservation.settle(used, host.now(), host);
    }

    /// Soft limits that were passed, by their names.
    pub fn passed(&self) -> &[String] {
        &self.reservation.passed
    }

    /// What the client is told of its limits.
    pub fn describe(&mut self, host: &dyn Host, step: &mut Step) {
        if let Some(room) = self.fleet.room(host, step) {
            self.reservation.tell(room);
        }
        for room in &self.reservation.room {
            let names = match room.amount {
                Amount::Requests => {
                    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"]
                }
                Amount::Tokens => {
                    ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]
                }
                Amount::Input | Amount::Output | Amount::Usd | Amount::Concurrent => continue,
            };
            let values = [room.most.to_string(), room.left.to_string(), duration(room.reset)];
            for (name, value) in names.into_iter().zip(values) {
                step.set(name, value);
            }
        }
        if !self.reservation.passed.is_empty() {
            step.set("x-gateway-limit", self.reservation.passed.join(", "));
        }
    }
}

/// What an attempt used where it went.
fn attempted(attempt: &record::Attempted) -> Attempted<'_> {
    let Usage { input, output, .. } = attempt.usage.unwrap_or_default();
    let at = At { provider: &attempt.tried.provider, target: &attempt.tried.target };
    Attempted { at, used: Amounts { input, output, usd: attempt.cost.unwrap_or(0) } }
}

/// What limits count of it.
fn amounts(used: &Used) -> Amounts {
    Amounts { input: used.usage.input, output: used.usage.output, usd: used.cost }
}

/// What the dearest of a model's targets takes, as far as prices are known: any of them may get the request.
fn dearest(found: Found<'_>, usage: &Usage, now: u64) -> u64 {
    let costs =
        found.model.targets.iter().map(|target| {
            Cost::of(target.price.as_deref(), usage, ServiceTier::Standard, now / 1000).known().unwrap_or(0)
        });
    costs.max().unwrap_or(0)
}

/// The error of a limit that is spent.
pub(super) fn refusal(refused: &Refused) -> Error {
    let cause = if refused.amount == Amount::Usd { Cause::BudgetSpent } else { Cause::Limited };
    if refused.hopeless {
        let message = format!("This request alone is more than the limit of {}.", refused.limit);
        return Error::new(cause, message);
    }
    let message = format!("You have reached the limit of {}. Try again in {}.", refused.limit, duration(refused.wait));
    Error { retry_after: Some(refused.wait), ..Error::new(cause, message) }
}

/// As OpenAI writes them: `6m0s`, `1s`, `20ms`.
fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds.div_ceil(1000);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        _ if milliseconds < 1000 => format!("{milliseconds}ms"),
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// Tokens of a model's answers of late, where clients set no bound.
#[derive(Debug, Clone, Copy, Default)]
struct Usual(u64);

/// Until there was an answer.
const FIRST_GUESS: u64 = 500;

fn usual(host: &dyn Host, model: &str) -> u64 {
    let Usual(tokens) = read(host, &format!("usual {model}"));
    if tokens == 0 { FIRST_GUESS } else { tokens }
}

fn learn(host: &dyn Host, model: &str, output: u64) {
    update(host, &format!("usual {model}"), |usual: &mut Usual| {
        let before = if usual.0 == 0 { output } else { usual.0 };
        usual.0 = (before - before / 16 + output / 16).max(1);
        Some(())
    });
}

impl Record for Usual {
    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self(u64::from_le_bytes(bytes.try_into().ok()?)))
    }

    fn encode(&self) -> Vec<u8> {
        self.0.to_le_bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_written_as_openai_does() {
        let written = [(20, "20ms"), (1000, "1s"), (1001, "2s"), (360_000, "6m0s"), (86_399_500, "24h0m0s")];
        for (milliseconds, expected) in written {
            assert_eq!(duration(milliseconds), expected);
        }
    }
}
