//! What a usage costs.

use std::rc::Rc;

use super::rates::{Part, Price, ServiceTier};
use crate::chat::Usage;

/// What a request costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// So many 10⁻¹² USD.
    Known(u64),
    /// It is not known, for want of this. Not 0.
    Unknown(Missing),
}

/// What a cost cannot be known without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The model has no price at all.
    Model,
    /// What input costs, and there was some.
    Input,
    /// What output costs, and there was some.
    Output,
    /// What the tier that it was served at costs, at this size of prompt.
    ServiceTier,
    /// It is more than 2⁶⁴ 10⁻¹² USD, eighteen million dollars: whoever counted the tokens is mistaken.
    Amount,
}

impl Missing {
    /// Its name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Input => "input",
            Self::Output => "output",
            Self::ServiceTier => "service_tier",
            Self::Amount => "amount",
        }
    }
}

impl Cost {
    /// What `usage` costs at that price, as it was served and at that time (`now`, in seconds since 1970).
    pub fn of(price: Option<&Price>, usage: &Usage, tier: ServiceTier, now: u64) -> Self {
        let cost = price.ok_or(Missing::Model).and_then(|price| sum(price, usage, tier, now));
        cost.map_or_else(Self::Unknown, Self::Known)
    }

    /// The amount in 10⁻¹² USD, if it is known.
    pub fn known(self) -> Option<u64> {
        match self {
            Self::Known(amount) => Some(amount),
            Self::Unknown(_) => None,
        }
    }
}

/// What one attempt's tokens cost.
#[derive(Debug, Clone)]
pub struct Tariff {
    /// The price, if there is one.
    pub price: Option<Rc<Price>>,
    /// The provider's kind.
    pub kind: &'static str,
    /// When, in seconds since 1970.
    pub now: u64,
    /// What the request has cost before, in 10⁻¹² USD.
    pub before: u64,
}

impl Tariff {
    /// What the request has cost with `usage`, in 10⁻¹² USD, if that is known.
    pub fn cost(&self, usage: &Usage) -> Option<u64> {
        let own = Cost::of(self.price.as_deref(), usage, usage.tier.charged(self.kind), self.now).known()?;
        self.before.checked_add(own)
    }
}

fn sum(price: &Price, usage: &Usage, tier: ServiceTier, now: u64) -> Result<u64, Missing> {
    let rates = price.applicable(usage.input, tier, now).ok_or(Missing::ServiceTier)?;
    let mut total: u128 = 0;
    let mut add = |part: Part, tokens: u64, missing: Missing| {
        if tokens == 0 {
            return Ok(());
        }
        let rate = rates.rate(part).ok_or(missing)?;
        let cost = u128::from(tokens).checked_mul(u128::from(rate));
        total = cost.and_then(|cost| total.checked_add(cost)).ok_or(Missing::Amount)?;
        Ok(())
    };
    for (part, tokens) in parts(usage.input, &INPUT, usage) {
        add(part, tokens, Missing::Input)?;
    }
    for (part, tokens) in parts(usage.output, &OUTPUT, usage) {
        add(part, tokens, Missing::Output)?;
    }
    let kept = u128::from(MILLION.saturating_sub(price.discount));
    let million = u128::from(MILLION);
    let total = match price.discount {
        0 => Some(total),
        // To the nearest.
        _ => total.checked_mul(kept).and_then(|sum| sum.checked_add(million / 2)).map(|sum| sum / million),
    };
    total.and_then(|total| total.try_into().ok()).ok_or(Missing::Amount)
}

/// A part of a usage, and where it is counted.
type Counted = (Part, fn(&Usage) -> u64);

/// Each is inside the whole, and not inside another; the rest is the first.
const INPUT: [Counted; 5] = [
    (Part::Input, |_| u64::MAX),
    (Part::InputAudio, |usage| usage.input_audio),
    (Part::CacheWrite1h, |usage| usage.cache_write_1h),
    (Part::CacheWrite, |usage| usage.cache_write),
    (Part::Cached, |usage| usage.cached),
];
const OUTPUT: [Counted; 3] = [
    (Part::Output, |_| u64::MAX),
    (Part::OutputAudio, |usage| usage.output_audio),
    (Part::Reasoning, |usage| usage.reasoning),
];

/// The parts of `whole`, from the last. What a provider counts in them past the whole is not counted: its own total is
/// what it charges.
fn parts<'u>(whole: u64, of: &'static [Counted], usage: &'u Usage) -> impl Iterator<Item = (Part, u64)> + 'u {
    let mut rest = whole;
    of.iter().rev().map(move |(part, count)| {
        let tokens = count(usage).min(rest);
        rest -= tokens;
        (*part, tokens)
    })
}

const MILLION: u32 = 1_000_000;
