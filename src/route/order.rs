//! The order in which targets are tried, as it stands when a request comes.

use super::health::{Health, Standing};
use super::keys::Keys;
use super::plan::{Hop, Plan};
use super::random::Random;
use super::shared::{Shared, read, update};
use super::strategy::arrange;
use crate::config::{Config, Found, Model, Target};
use crate::dialect::Operation;

/// What planning has to know of a request.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The model that the client asked for.
    pub model: Found<'a>,
    /// What the model is asked for.
    pub operation: Operation,
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
    pub model: String,
    /// By what its health is known.
    pub id: String,
    /// How it has done of late.
    pub health: Health,
    /// Its provider's credentials.
    pub keys: Keys<'a>,
    /// The one of them that would have to show whether it is well again, where none is known to be.
    pub due: Option<u8>,
    /// Whether to send requests to it.
    pub standing: Standing,
}

/// The most targets that a plan can have.
const MOST: usize = 64;

/// The way of a request; `None` if no target offers what it asks for.
pub fn plan(config: &Config, ask: &Ask<'_>, shared: &dyn Shared) -> Option<Plan> {
    let model = ask.model.model;
    let mut line = candidates(config, ask, &[ask.model], shared);
    settle(&mut line, ask.now, shared);
    if line.is_empty() {
        return None;
    }
    let mut hops: Vec<Hop> = Vec::new();
    let mut number = |candidate: &Candidate<'_>| {
        let hop = candidate.hop();
        let known = hops.iter().position(|other| other.provider == hop.provider && other.model == hop.model);
        u8::try_from(known.unwrap_or_else(|| {
            hops.push(hop);
            hops.len() - 1
        }))
        .ok()
    };
    let line = line.iter().take(model.attempts as usize).filter_map(&mut number).collect();
    let mut detour = |names: &[String]| -> Vec<u8> {
        if names.is_empty() {
            return Vec::new();
        }
        let models: Vec<Found<'_>> = names.iter().filter_map(|name| config.models.find(name)).collect();
        let mut candidates = candidates(config, ask, &models, shared);
        candidates.sort_by_key(|candidate| rank(candidate.standing));
        candidates.iter_mut().for_each(|candidate| candidate.due = None);
        candidates.iter().filter_map(&mut number).collect()
    };
    let context_window = detour(&model.context_window_fallbacks);
    let content_policy = detour(&model.content_policy_fallbacks);
    Some(Plan {
        model: String::new(),
        operation: ask.operation,
        stream: false,
        include_usage: false,
        patience: 0,
        hops,
        line,
        context_window,
        content_policy,
        retries: model.retries.clone(),
        attempts: model.attempts,
        made: 0,
        pending: None,
        sticky: ask.sticky,
        soonest: None,
    })
}

/// The targets of `models`, each followed by those of its fallbacks, and of theirs, as strategies arrange them; none twice.
pub fn candidates<'a>(
    config: &'a Config,
    ask: &Ask<'a>,
    models: &[Found<'a>],
    shared: &dyn Shared,
) -> Vec<Candidate<'a>> {
    let mut random = Random::new(ask.seed);
    let mut found: Vec<Candidate<'a>> = Vec::new();
    // Depth first, as they are written: a fallback's own fallbacks come before the next fallback.
    let mut waiting: Vec<Found<'a>> = models.iter().rev().copied().collect();
    let mut seen: Vec<&str> = models.iter().map(|model| model.name).collect();
    while let Some(next) = waiting.pop() {
        let mut own: Vec<Candidate<'a>> = Vec::with_capacity(next.model.targets.len());
        for target in &next.model.targets {
            let provider = config.providers.get(&target.provider).filter(|it| it.kind.offers(ask.operation));
            let model = target.model(next.star);
            let twice = |other: &Candidate<'_>| other.target.provider == target.provider && other.model == model;
            if let Some(provider) = provider.filter(|_| !found.iter().chain(&own).any(twice)) {
                let id = format!("{}/{}", target.provider, target.model);
                let health: Health = read(shared, &key(&id));
                let keys = Keys { provider: &provider.name, all: &provider.keys };
                let (keyed, due) = keys.standing(ask.now, shared);
                let standing = worse(health.standing(ask.now), keyed);
                own.push(Candidate {
                    target,
                    of: next.model,
                    of_name: next.name,
                    model,
                    id,
                    health,
                    keys,
                    due,
                    standing,
                });
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
pub(crate) fn key(id: &str) -> String {
    format!("health {id}")
}

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
        let itself = || update(shared, &key(&self.id), |health: &mut Health| health.claim(now, breaker)).is_some();
        (self.health.standing(now) == Standing::Well || itself())
            && self.due.is_none_or(|due| self.keys.claim(due, now, breaker, shared))
    }

    fn hop(&self) -> Hop {
        Hop {
            provider: self.target.provider.clone(),
            model: self.model.clone(),
            target: self.id.clone(),
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
pub(super) mod tests;
