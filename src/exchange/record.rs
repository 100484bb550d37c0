//! All that is known of a request when it is over: made once, and told to the access log ([`super::log`]), to Envoy's metrics
//! ([`super::metrics`]) and to limits, which so cannot differ.

use std::rc::Rc;

use super::ledger::Tried;
use crate::chat::Usage;
use crate::config::{Config, Key};
use crate::dialect::Operation;
use crate::error::Cause;
use crate::price::{self, Tariff, UnknownPrice};

/// What the gateway position itself knows of a request.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// When its headers were there, in milliseconds since 1970.
    pub began: u64,
    /// What it asks a model for; `None`: it was refused before that mattered.
    pub operation: Option<Operation>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// The model by the name that the client asked for.
    pub model: String,
    /// Configuration's name for it, if there is such a model.
    pub found: Option<String>,
    /// Whether that is a pattern, so that clients make the name up.
    pub made_up: bool,
    /// Who asks, if that matters.
    pub key: Option<Rc<Key>>,
    /// The rule that it follows.
    pub rule: Option<String>,
    /// The provider that gets a copy of it.
    pub mirror: Option<String>,
    /// Soft limits that it passed, by their names.
    pub passed: Vec<String>,
    /// Why the gateway itself refused it.
    pub refused: Option<Refusal>,
    /// How many images are in its prompt, where a log tells.
    pub images: u64,
    /// Tokens of its prompt by an estimate, as far as one was made.
    pub prompt: u64,
}

/// Why the gateway refused a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was wrong with it.
    pub cause: Cause,
    /// The limit that is spent, by its name, if it is one.
    pub limit: Option<String>,
}

/// A request that is over.
#[derive(Debug, Clone)]
pub struct Record {
    /// What was asked.
    pub asked: Asked,
    /// Each attempt, in order.
    pub attempts: Vec<Attempted>,
    /// What all of them used.
    pub used: Used,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, unless it is well.
    pub cause: Option<Cause>,
    /// When it was over, in milliseconds since 1970.
    pub ended: u64,
}

/// An attempt that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// What was written down of it.
    pub tried: Tried,
    /// What it used; `None` where nobody has told of anything.
    pub usage: Option<Usage>,
    /// Whether that is not by the provider's own word.
    pub estimated: bool,
    /// What that costs, in 10⁻¹² USD; `None` if it is not known.
    pub cost: Option<u64>,
    /// What became of it; `None`: the client left before its end.
    pub result: Option<Result<(), Cause>>,
    /// When it was over, in milliseconds since 1970.
    pub ended: u64,
}

/// What some attempts used, together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Tokens, and the service tier of the last that was told.
    pub usage: Usage,
    /// What is known of their cost, in 10⁻¹² USD.
    pub cost: u64,
    /// Whether some of it was not told by a provider.
    pub estimated: bool,
    /// Whether the price of some of it is not known.
    pub unpriced: bool,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was answered, to the end.
    Ok,
    /// The client got an error in place of an answer, from a provider or about one.
    Error,
    /// The client saw some of an answer, and not its end, by no doing of its own.
    Broken,
    /// The client did not wait for the end.
    ClientLeft,
    /// The gateway refused it: no provider was asked.
    Refused,
}

impl Outcome {
    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Broken => "broken",
            Self::ClientLeft => "client_left",
            Self::Refused => "refused",
        }
    }
}

impl Record {
    /// The record of a request that is over now. `cut` is how its last attempt was cut off, if it left no word of its end;
    /// `None`: by the client.
    pub fn new(config: &Config, asked: Asked, tried: Vec<Tried>, cut: Option<Cause>, now: u64) -> Self {
        let mut attempts = attempts(config, tried, asked.prompt, now);
        if let Some(attempt) = attempts.last_mut().filter(|attempt| attempt.tried.ended.is_none()) {
            // Who leaves at the last event of an answer has all of it.
            attempt.result = if attempt.tried.complete { Some(Ok(())) } else { cut.map(Err) };
        }
        let used = Used::of(&attempts);
        let (outcome, cause) = match (&asked.refused, attempts.last()) {
            (Some(refusal), None) => (Outcome::Refused, Some(refusal.cause)),
            (Some(refusal), Some(_)) => (Outcome::Error, Some(refusal.cause)),
            (None, Some(attempt)) => match attempt.result {
                Some(Ok(())) => (Outcome::Ok, None),
                Some(Err(cause)) if attempt.tried.first.is_some() => (Outcome::Broken, Some(cause)),
                Some(Err(cause)) => (Outcome::Error, Some(cause)),
                None => (Outcome::ClientLeft, None),
            },
            // It never got as far as an attempt that this program heard of.
            (None, None) => (cut.map_or(Outcome::ClientLeft, |_| Outcome::Error), cut),
        };
        Self { asked, attempts, used, outcome, cause, ended: now }
    }

    /// From the request to the first of the answer, in milliseconds, where there was one.
    pub fn first(&self) -> Option<u64> {
        let first = self.attempts.last()?.tried.first?;
        Some(first.saturating_sub(self.asked.began))
    }

    /// From the request to the end, in milliseconds.
    pub fn duration(&self) -> u64 {
        self.ended.saturating_sub(self.asked.began)
    }
}

impl Attempted {
    /// How long it took, in milliseconds.
    pub fn duration(&self) -> u64 {
        self.ended.saturating_sub(self.tried.began)
    }

    /// What became of it, in a word: `ok`, `client_left` or the [`Cause::name`].
    pub fn word(&self) -> &'static str {
        match self.result {
            Some(Ok(())) => "ok",
            Some(Err(cause)) => cause.name(),
            None => Outcome::ClientLeft.name(),
        }
    }
}

impl Used {
    /// What all of `attempts` used.
    pub fn of(attempts: &[Attempted]) -> Self {
        let mut used = Self::default();
        for (attempt, usage) in attempts.iter().filter_map(|attempt| Some((attempt, attempt.usage?))) {
            used.usage.add(&usage);
            used.estimated |= attempt.estimated;
            match attempt.cost {
                Some(cost) => used.cost = used.cost.saturating_add(cost),
                None => used.unpriced = true,
            }
        }
        used
    }
}

/// What `tried` used and cost. Of an attempt that was cut off before its provider had told, that is estimated, `prompt` being
/// the tokens of the prompt; one that failed before it said anything has used what
/// its provider had told by then, if it had.
pub(super) fn attempts(config: &Config, tried: Vec<Tried>, prompt: u64, now: u64) -> Vec<Attempted> {
    let each = tried.into_iter().map(|tried| {
        let (usage, estimated) = match tried.usage {
            Some(usage) => (Some(usage), false),
            None if tried.said > 0 => {
                let told = tried.partial.unwrap_or(Usage { input: prompt, ..Usage::default() });
                (Some(Usage { output: told.output.max(tried.said), ..told }), true)
            }
            None => (tried.partial, false),
        };
        let cost = usage.and_then(|usage| tariff(config, &tried, now).cost(&usage));
        let (ended, result) = tried.ended.map_or((now, None), |(at, result)| (at, Some(result)));
        Attempted { tried, usage, estimated, cost, result, ended }
    });
    each.collect()
}

/// What tokens of an attempt cost.
pub(super) fn tariff(config: &Config, tried: &Tried, now: u64) -> Tariff {
    let provider = config.providers.get(&tried.provider);
    let kind = provider.map_or("", |provider| provider.kind.name());
    let own = config.prices.get(&tried.target).cloned();
    let price = own.or_else(|| {
        // A name under a pattern, or one that the table does not have.
        let found = price::lookup(kind, provider?.settings.region.as_deref(), &tried.model);
        let found = found.or_else(|| match config.unknown_price {
            UnknownPrice::Use(own) => own.apply(None),
            UnknownPrice::Unknown | UnknownPrice::Refuse => None,
        });
        found.map(Rc::new)
    });
    Tariff { price, kind, now: now / 1000, before: 0 }
}
