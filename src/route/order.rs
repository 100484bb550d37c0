//! The order in which targets are tried, as it stands when a request comes.

use std::borrow::Cow;

use super::health::{Health, Standing};
use super::keys::Keys;
use super::plan::{Hop, Plan};
use super::shared::{Shared, read, update};
use super::strategy::arrange;
use crate::chance::Random;
use crate::config::{Config, Found, Key, Model, Provider, Strategy, Target};
use crate::dialect::Operation;
use crate::price::{self, UnknownPrice};
use crate::tokens::Estimate;

/// What planning has to know of a request.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The model that the client asked for.
    pub model: Found<'a>,
    /// What the model is asked for.
    pub operation: Operation,
    /// Who asks, if that matters.
    pub key: Option<&'a Key>,
    /// What can be told of the request's size and needs; `None`: nothing that would rule a target out.
    pub estimate: Option<Estimate>,
    /// What the strategy `sticky` keeps together, as a number.
    pub sticky: Option<u64>,
    /// The time, in milliseconds since 1970.
    pub now: u64,
    /// Decides what is left to chance.
    pub seed: u64,
}

/// A target that may be tried, and what is known of it.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// Where configuration has it.
    pub target: &'a Target,
    /// The model that it belongs to.
    pub of: &'a Model,
    /// That model's name in configuration.
    pub of_name: &'a str,
    /// The provider's name for the model.
    pub model: Cow<'a, str>,
    /// By what its health is known.
    pub id: &'a str,
    /// How it has done of late.
    pub health: Health,
    /// Its provider's credentials.
    pub keys: Keys<'a>,
    /// The one of them that would have to show whether it is well again, where none is known to be.
    pub due: Option<u8>,
    /// Whether to send requests to it.
    pub standing: Standing,
}

/// What a plan was made of, for those who want to know why.
#[derive(Debug, Clone, Default)]
pub struct Trace<'a> {
    /// In the order in which they are tried, those for which there are no attempts left too.
    pub line: Vec<Candidate<'a>>,
    /// What takes the line's place if the prompt does not fit.
    pub context_window: Vec<Candidate<'a>>,
    /// What takes the line's place if the provider will not answer the prompt.
    pub content_policy: Vec<Candidate<'a>>,
    /// What is in none of them.
    pub left_out: Vec<LeftOut<'a>>,
}

/// A target that cannot be tried.
#[derive(Debug, Clone, Copy)]
pub struct LeftOut<'a> {
    /// Where configuration has it.
    pub target: &'a Target,
    /// The name in configuration of the model that it belongs to.
    pub of_name: &'a str,
    /// Why not.
    pub why: Unfit,
}

/// By which factor an estimate of tokens can be too high: see [`crate::tokens`].
const ERROR: u64 = 2;
/// The most targets that a plan can have.
const MOST: usize = 64;

/// Why a target is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unfit {
    /// Its provider does not offer the operation.
    Operation,
    /// The client's key may not reach its provider.
    Key,
    /// Nobody knows what it costs, and such targets are not to be asked.
    Price,
    /// The model is known to lack this.
    Lacks(&'static str),
}

/// The way of a request.
///
/// # Errors
/// No target can answer it: what the one lacks that comes closest.
pub fn plan(config: &Config, ask: &Ask<'_>, shared: &dyn Shared) -> Result<Plan, Unfit> {
    trace(config, ask, shared).0
}

/// The same, and what it was made of.
pub fn trace<'a>(config: &'a Config, ask: &Ask<'a>, shared: &dyn Shared) -> (Result<Plan, Unfit>, Trace<'a>) {
    let model = ask.model.model;
    let mut left_out = Vec::new();
    let mut line = candidates(config, ask, &[ask.model], shared, &mut left_out);
    settle(&mut line, ask.now, shared);
    if line.is_empty() {
        let why = left_out.iter().map(|left| left.why).max().unwrap_or(Unfit::Operation);
        return (Err(why), Trace { left_out, ..Trace::default() });
    }
    let mut hops: Vec<Hop> = line.iter().take(model.attempts as usize).map(Candidate::hop).collect();
    // At most [`MOST`], none twice.
    let numbers = (0_u8..).take(hops.len()).collect();
    let mut number = |candidate: &Candidate<'_>| {
        let same = |other: &Hop| *other.provider == candidate.target.provider && *other.model == *candidate.model;
        let known = hops.iter().position(same);
        u8::try_from(known.unwrap_or_else(|| {
            hops.push(candidate.hop());
            hops.len() - 1
        }))
        .ok()
    };
    let mut detour = |names: &'a [String]| -> (Vec<u8>, Vec<Candidate<'a>>) {
        if names.is_empty() {
            return Default::default();
        }
        let models: Vec<Found<'a>> = names.iter().filter_map(|name| config.models.find(name)).collect();
        let mut candidates = candidates(config, ask, &models, shared, &mut left_out);
        candidates.sort_by_key(|candidate| rank(candidate.standing));
        candidates.iter_mut().for_each(|candidate| candidate.due = None);
        (candidates.iter().filter_map(&mut number).collect(), candidates)
    };
    let (context_window, context_window_line) = detour(&model.context_window_fallbacks);
    let (content_policy, content_policy_line) = detour(&model.content_policy_fallbacks);
    let plan = Plan {
        id: 0,
        model: String::new(),
        operation: ask.operation,
        stream: false,
        include_usage: false,
        patience: 0,
        hops,
        line: numbers,
        context_window,
        content_policy,
        retries: model.retries.clone(),
        attempts: model.attempts,
        made: 0,
        pending: None,
        sticky: ask.sticky,
        soonest: None,
        failed: Vec::new(),
    };
    let (context_window, content_policy) = (context_window_line, content_policy_line);
    (Ok(plan), Trace { line, context_window, content_policy, left_out })
}

/// Why this target of `provider` is not asked; `None` if it is.
fn unfit(provider: &Provider, ask: &Ask<'_>, target: &Target) -> Option<Unfit> {
    if !provider.kind.offers(ask.operation, &target.model) {
        return Some(Unfit::Operation);
    }
    if !ask.key.is_none_or(|key| key.may_reach(&target.provider)) {
        return Some(Unfit::Key);
    }
    let estimate = ask.estimate?;
    // An estimate can be off by as much as that: what may fit is for the provider to judge.
    target.facts.lacks(estimate.needs, estimate.input / ERROR).map(Unfit::Lacks)
}

/// Whether anybody knows what the `model` of a target costs.
fn is_priced(provider: &Provider, target: &Target, model: &str) -> bool {
    let region = provider.settings.region.as_deref();
    target.price.is_some() || price::lookup(provider.kind.name(), region, model).is_some()
}

/// The targets of `models`, each followed by those of its fallbacks, and of theirs, as strategies arrange them; none twice.
/// Those that cannot answer go to `left_out`.
pub fn candidates<'a>(
    config: &'a Config,
    ask: &Ask<'a>,
    models: &[Found<'a>],
    shared: &dyn Shared,
    left_out: &mut Vec<LeftOut<'a>>,
) -> Vec<Candidate<'a>> {
    let mut random = Random::new(ask.seed);
    let mut found: Vec<Candidate<'a>> = Vec::new();
    let mut key = HEALTH.to_owned();
    // Depth first, as they are written: a fallback's own fallbacks come before the next fallback.
    let mut waiting: Vec<Found<'a>> = models.iter().rev().copied().collect();
    let mut seen: Vec<&str> = models.iter().map(|model| model.name).collect();
    while let Some(next) = waiting.pop() {
        let mut own: Vec<Candidate<'a>> = Vec::with_capacity(next.model.targets.len());
        for target in &next.model.targets {
            let provider = config.providers.get(&target.provider);
            let fit = provider.ok_or(Unfit::Operation);
            let fit = fit.and_then(|provider| unfit(provider, ask, target).map_or(Ok(provider), Err));
            let refused = |provider: &&Provider| {
                config.unknown_price == UnknownPrice::Refuse && !is_priced(provider, target, &target.model(next.star))
            };
            let fit = fit.and_then(|provider| if refused(&provider) { Err(Unfit::Price) } else { Ok(provider) });
            let provider = match fit {
                Ok(provider) => provider,
                Err(why) => {
                    left_out.push(LeftOut { target, of_name: next.name, why });
                    continue;
                }
            };
            let (of, of_name, model) = (next.model, next.name, target.model(next.star));
            let twice = |other: &Candidate<'_>| other.model == model && other.target.provider == target.provider;
            if !found.iter().chain(&own).any(twice) {
                let id = target.id.as_str();
                key.truncate(HEALTH.len());
                key.push_str(id);
                // Who is busy, or fast, changes with every request.
                let health: Health = match next.model.strategy {
                    Strategy::LeastBusy | Strategy::Latency => read(shared, &key),
                    Strategy::Weighted | Strategy::Cheapest | Strategy::Sticky => Health::seen(shared, &key, ask.now),
                };
                let keys = Keys { provider: &provider.name, all: &provider.keys };
                let (keyed, due) = keys.standing(ask.now, shared);
                let standing = worse(health.standing(ask.now), keyed);
                own.push(Candidate { target, of, of_name, model, id, health, keys, due, standing });
            }
        }
        arrange(&mut own, next.model, ask, &mut random);
        found.append(&mut own);
        if found.len() >= MOST {
            break;
        }
        for name in next.model.fallbacks.iter().rev() {
            if !seen.contains(&name.as_str()) {
                seen.push(name);
                waiting.extend(config.models.find(name));
            }
        }
    }
    found.truncate(MOST);
    found
}

/// Where the health of the target with that id is kept.
pub fn key(id: &str) -> String {
    format!("{HEALTH}{id}")
}

/// Stands before what is about health among the records that workers share.
const HEALTH: &str = "health ";

/// Puts those that are to be left alone last, those first that will be well first. One that may be well again gets the
/// request if it is its turn and no other request is out to see; if it is not its turn, those that are known to be well go before.
fn settle(line: &mut Vec<Candidate<'_>>, now: u64, shared: &dyn Shared) {
    let open = |candidate: &Candidate<'_>| !matches!(candidate.standing, Standing::Cooled(_));
    while let Some(first) = line.iter().position(open) {
        let Some(candidate) = line.get_mut(first) else { break };
        let breaker = candidate.target.breaker;
        if candidate.standing == Standing::Well || candidate.claim(now, shared) {
            let first = line.remove(first);
            line.iter_mut().for_each(|other| other.due = None);
            line.sort_by_key(|candidate| rank(candidate.standing));
            line.insert(0, first);
            return;
        }
        candidate.standing = Standing::Cooled(now.saturating_add(breaker.cooldown));
    }
    line.iter_mut().for_each(|candidate| candidate.due = None);
    line.sort_by_key(|candidate| rank(candidate.standing));
}

fn worse(one: Standing, other: Standing) -> Standing {
    if rank(one) < rank(other) { other } else { one }
}

/// The lowest first.
pub(super) fn rank(standing: Standing) -> u64 {
    match standing {
        Standing::Well => 0,
        Standing::Due => 1,
        Standing::Cooled(until) => until.max(2),
    }
}

impl Candidate<'_> {
    /// Takes it upon this request to show whether it is well again, as a target, by its credential, or both.
    fn claim(&self, now: u64, shared: &dyn Shared) -> bool {
        let breaker = &self.target.breaker;
        let itself = || update(shared, &key(self.id), |health: &mut Health| health.claim(now, breaker)).is_some();
        (self.health.standing(now) == Standing::Well || itself())
            && self.due.is_none_or(|due| self.keys.claim(due, now, breaker, shared))
    }

    fn hop(&self) -> Hop {
        Hop {
            provider: self.target.provider.clone(),
            model: self.model.clone().into_owned(),
            target: self.target.id.clone(),
            strict: self.target.strict,
            edits: self.target.edits.clone(),
            breaker: self.target.breaker,
            strategy: self.of.strategy,
            keys: u8::try_from(self.keys.all.len()).unwrap_or(u8::MAX),
            probe: self.due,
            spent: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
