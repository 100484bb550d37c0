//! What the logs say of how the same could be had for less.

use std::collections::{BTreeMap, HashMap};

use model_gateway::chat::{ServiceTier, Usage};

use super::line::Request;
use super::money::{Money, grouped};
use super::prices::Prices;
use super::sums::{Known, Sums};

/// A model to be held against another.
pub struct Instead {
    /// The one that was used: as clients ask for it, as its provider calls it, or `PROVIDER/MODEL`.
    pub of: String,
    /// The other one's provider; `None`: that of each request.
    pub provider: Option<String>,
    /// The other one.
    pub model: String,
}

impl Instead {
    fn is_about(&self, request: &Request<'_>) -> bool {
        let (provider, target) = (&request.line.provider.0, &request.line.target_model.0);
        let is_target = || self.of.strip_prefix(&**provider).and_then(|rest| rest.strip_prefix('/')) == Some(&**target);
        self.of == request.line.model.0 || self.of == *target || is_target()
    }

    /// As it was written.
    fn name(&self) -> String {
        self.provider.as_ref().map_or(self.model.clone(), |provider| format!("{provider}/{}", self.model))
    }
}

/// A piece of advice.
#[derive(Debug, PartialEq)]
pub struct Advice {
    /// What it is about: `instead`, `short_prompts`, `failing_over`, `caching`.
    pub kind: &'static str,
    /// The model, or target.
    pub subject: String,
    /// What it would have saved, in all that was read, if that can be said.
    pub saves: Option<Money>,
    /// In a sentence.
    pub text: String,
}

/// What advice goes by.
#[derive(Default)]
pub struct Gathered {
    /// By provider and its name for the model.
    targets: HashMap<(String, String), Target>,
    /// By the names that clients ask for.
    models: HashMap<String, Model>,
    instead: Compared,
}

#[derive(Default)]
struct Target {
    /// Requests with short prompts whose cost is known.
    short: u64,
    short_cost: Money,
    short_usage: Usage,
    /// Requests with prompts that could be cached.
    long: u64,
    long_input: u64,
    long_cached: u64,
}

#[derive(Default)]
struct Model {
    requests: u64,
    retried: u64,
    /// By provider and cause.
    failures: BTreeMap<(String, String), u64>,
}

#[derive(Default)]
struct Compared {
    requests: u64,
    cost: Money,
    other: Money,
    /// Requests of which one of the two is not known.
    unknown: u64,
}

/// Prompts of so many tokens are short.
const SHORT: u64 = 500;
/// Prompts of fewer tokens are cached by few providers: <https://platform.openai.com/docs/guides/prompt-caching>
const CACHEABLE: u64 = 1024;
/// Caching is unused when fewer tokens than so many of a hundred come from caches.
const UNUSED: u64 = 10;
/// What is said of fewer requests says nothing.
const FEWEST: u64 = 10;
/// Pieces of advice of one sort.
const MOST: usize = 10;

impl Gathered {
    /// A request that comes to `sums`.
    pub fn add(&mut self, request: &Request<'_>, sums: &Sums, instead: Option<&Instead>, known: &mut Known<'_>) {
        let line = &request.line;
        if !line.model.0.is_empty() {
            let model = self.models.entry(line.model.0.to_string()).or_default();
            model.requests += 1;
            model.retried += sums.retried;
            for (provider, cause) in line.tried().filter(|(_, outcome)| *outcome != "ok") {
                *model.failures.entry((provider.to_owned(), cause.to_owned())).or_default() += 1;
            }
        }
        if line.target_model.0.is_empty() || sums.usage.input == 0 {
            return;
        }
        if request.says() {
            let name = (line.provider.0.to_string(), line.target_model.0.to_string());
            self.targets.entry(name).or_default().add(request, sums);
        }
        if let Some(instead) = instead.filter(|instead| instead.is_about(request)) {
            let provider = instead.provider.as_deref().unwrap_or(&line.provider.0);
            let priced = known.find(provider, &instead.model);
            let usage = Usage { tier: ServiceTier::Standard, ..sums.usage };
            let other = priced.and_then(|priced| priced.cost(&usage, request.time));
            match other.filter(|_| request.cost.is_some() && sums.unpriced == 0) {
                Some(other) => {
                    self.instead.requests += 1;
                    self.instead.cost += sums.cost;
                    self.instead.other += other;
                }
                None => self.instead.unknown += 1,
            }
        }
    }

    /// Adds what another thread has gathered.
    pub fn merge(&mut self, other: Self) {
        for (name, target) in other.targets {
            self.targets.entry(name).or_default().merge(&target);
        }
        for (name, model) in other.models {
            let own = self.models.entry(name).or_default();
            own.requests += model.requests;
            own.retried += model.retried;
            for (failure, count) in model.failures {
                *own.failures.entry(failure).or_default() += count;
            }
        }
        self.instead.requests += other.instead.requests;
        self.instead.cost += other.instead.cost;
        self.instead.other += other.instead.other;
        self.instead.unknown += other.instead.unknown;
    }

    /// What there is to say, by the prices of `time`.
    pub fn advise(&self, instead: Option<&Instead>, prices: &Prices, time: u64) -> Vec<Advice> {
        let mut advice: Vec<Advice> = instead.map(|instead| self.instead.advise(instead)).into_iter().collect();
        advice.extend(first(self.targets.keys().filter_map(|target| self.short_prompts(target, prices, time))));
        advice.extend(first(self.models.iter().filter_map(|(name, model)| model.failing_over(name))));
        advice.extend(first(self.targets.iter().filter_map(|(name, target)| target.caching(name, prices, time))));
        advice
    }

    /// Short prompts on a model of more than twice what another one takes that is in use too.
    fn short_prompts(&self, (provider, model): &(String, String), prices: &Prices, time: u64) -> Option<Advice> {
        let target = self.targets.get(&(provider.clone(), model.clone())).filter(|target| target.short >= FEWEST)?;
        let others = self.targets.keys().filter_map(|(provider, model)| {
            let cost = prices.find(provider, model)?.cost_of_small(&target.short_usage, time)?;
            Some((cost, format!("{provider}/{model}")))
        });
        let (cost, other) = others.min()?;
        if cost + cost > target.short_cost {
            return None;
        }
        let saves = target.short_cost - cost;
        let text = format!(
            "{} requests to {provider}/{model} had prompts of at most {SHORT} tokens and cost {} USD. On {other}, which is in use too, as many tokens would have cost {}: {} less.",
            grouped(target.short.into()),
            target.short_cost.rounded(),
            cost.rounded(),
            saves.rounded()
        );
        Some(Advice { kind: "short_prompts", subject: format!("{provider}/{model}"), saves: Some(saves), text })
    }
}

impl Target {
    fn add(&mut self, request: &Request<'_>, sums: &Sums) {
        if sums.usage.input <= SHORT && request.cost.is_some() && sums.unpriced == 0 {
            self.short += 1;
            self.short_cost += sums.cost;
            self.short_usage.add(&sums.usage);
        }
        if sums.usage.input >= CACHEABLE {
            self.long += 1;
            self.long_input += sums.usage.input;
            self.long_cached += sums.usage.cached;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.short += other.short;
        self.short_cost += other.short_cost;
        self.short_usage.add(&other.short_usage);
        self.long += other.long;
        self.long_input += other.long_input;
        self.long_cached += other.long_cached;
    }

    /// Long prompts, few of them from a cache, where that would cost less.
    fn caching(&self, (provider, model): &(String, String), prices: &Prices, time: u64) -> Option<Advice> {
        if self.long < FEWEST || self.long_cached * 100 >= self.long_input * UNUSED {
            return None;
        }
        let priced = prices.find(provider, model)?;
        let tenth = self.long_input / 10;
        let full = priced.cost_of_small(&Usage { input: tenth, ..Usage::default() }, time)?;
        let cached = priced.cost_of_small(&Usage { input: tenth, cached: tenth, ..Usage::default() }, time)?;
        if cached >= full {
            return None;
        }
        let saves = full - cached;
        let text = format!(
            "{} requests to {provider}/{model} had prompts of {CACHEABLE} tokens or more, and {:.1}% of their {} tokens came from its cache. Each tenth of them that did would have cost {} USD less. Let prompts begin alike; for Claude, mark where with cache_control.",
            grouped(self.long.into()),
            self.long_cached as f64 * 100.0 / self.long_input as f64,
            grouped(self.long_input.into()),
            saves.rounded(),
        );
        Some(Advice { kind: "caching", subject: format!("{provider}/{model}"), saves: Some(saves), text })
    }
}

impl Model {
    /// Most requests needed another attempt.
    fn failing_over(&self, name: &str) -> Option<Advice> {
        if self.requests < FEWEST || self.retried * 2 <= self.requests {
            return None;
        }
        let mut failures: Vec<_> = self.failures.iter().collect();
        failures.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let failures = failures
            .iter()
            .take(3)
            .map(|((provider, cause), count)| format!("{provider} with {cause} ({})", grouped((**count).into())));
        let failures: Vec<_> = failures.collect();
        let by = if failures.is_empty() { String::new() } else { format!(" Failed: {}.", failures.join(", ")) };
        let text = format!(
            "{:.1}% of {} requests for {name} needed more than one attempt.{by} Another target first would answer sooner.",
            self.retried as f64 * 100.0 / self.requests as f64,
            grouped(self.requests.into()),
        );
        Some(Advice { kind: "failing_over", subject: name.to_owned(), saves: None, text })
    }
}

impl Compared {
    fn advise(&self, instead: &Instead) -> Advice {
        let (of, other) = (&instead.of, instead.name());
        let saves = self.cost - self.other;
        let difference = match saves < Money::default() {
            true => format!("{} more", (self.other - self.cost).rounded()),
            false => format!("{} less", saves.rounded()),
        };
        let mut text = format!(
            "{} requests for {of} cost {} USD; as many tokens on {other} would have cost {}: {difference}.",
            grouped(self.requests.into()),
            self.cost.rounded(),
            self.other.rounded()
        );
        if self.unknown > 0 {
            text.push_str(&format!(
                " Left out: {}, of which one or the other is not known; for a model at another provider write PROVIDER/MODEL.",
                grouped(self.unknown.into())
            ));
        }
        Advice { kind: "instead", subject: of.clone(), saves: Some(saves), text }
    }
}

/// Those that save most.
fn first(advice: impl Iterator<Item = Advice>) -> Vec<Advice> {
    let mut advice: Vec<_> = advice.collect();
    advice.sort_by(|one, another| another.saves.cmp(&one.saves).then_with(|| one.subject.cmp(&another.subject)));
    advice.truncate(MOST);
    advice
}
