//! Which of a model's targets gets the first attempt, which the second, and so on.

use core::cmp::Ordering;

use super::order::{Ask, Candidate};

use crate::chance::{Random, hash};
use crate::chat::Usage;
use crate::config::{Model, Strategy};
use crate::price::{Cost, ServiceTier};

/// Of a hundred requests of the strategy `latency`, so many go by weight: else a target that was slow once would never be
/// measured again while others are fast.
const EXPLORE: u64 = 5;

/// Arranges the targets of one model. Lower orders come first; within one, the model's strategy decides, and what has
/// weight 0 comes last.
pub(super) fn arrange(targets: &mut [Candidate<'_>], model: &Model, ask: &Ask<'_>, random: &mut Random) {
    by_weight(targets, random);
    match model.strategy {
        Strategy::Weighted => {}
        Strategy::Cheapest => targets.sort_by_cached_key(|it| cost(it, ask)),
        Strategy::Latency if random.below(100) < EXPLORE => {}
        Strategy::Latency => targets.sort_by_key(|it| bucket(it.health.slowness(ask.now))),
        Strategy::LeastBusy => targets.sort_by(|one, other| busier(one, other, ask.now)),
        Strategy::Sticky => {
            if let Some(sticky) = ask.sticky {
                // Of numbers that are not negative, the lower one has the lower bits.
                targets.sort_by_cached_key(|it| draw(it, sticky).to_bits());
            }
        }
    }
    targets.sort_by_key(|it| (it.target.order, it.target.weight == 0));
}

/// Draws without putting back, so that every place in the order goes by weight.
fn by_weight(targets: &mut [Candidate<'_>], random: &mut Random) {
    let mut rest = targets;
    while rest.len() > 1 {
        let total: u64 = rest.iter().map(|it| u64::from(it.target.weight)).sum();
        let mut point = random.below(total);
        let drawn = rest.iter().position(|it| {
            let weight = u64::from(it.target.weight);
            let hit = point < weight;
            point = point.saturating_sub(weight);
            hit
        });
        // The others stay as they are written.
        if let Some(passed) = drawn.and_then(|drawn| rest.get_mut(..=drawn)) {
            passed.rotate_right(1);
        }
        rest = rest.split_first_mut().map_or(&mut [], |(_, others)| others);
    }
}

/// What the request would cost, in 10⁻¹² USD, by what can be told before it is answered. What nobody knows comes last.
pub(super) fn cost(it: &Candidate<'_>, ask: &Ask<'_>) -> u64 {
    let estimate = ask.estimate.unwrap_or_default();
    let input = if estimate.input == 0 { USUAL_INPUT } else { estimate.input };
    let output = estimate.most_output.unwrap_or(USUAL_OUTPUT);
    let usage = Usage { input, output, ..Usage::default() };
    let cost = Cost::of(it.target.price.as_deref(), &usage, ServiceTier::Standard, ask.now / 1000);
    cost.known().unwrap_or(u64::MAX)
}

/// Tokens of a request of which nothing is known.
const USUAL_INPUT: u64 = 1000;
const USUAL_OUTPUT: u64 = 300;

/// Numbers within some ten percent of each other are the same, so that weights decide between equals.
fn bucket(slowness: u64) -> u32 {
    let Some(exponent) = slowness.checked_ilog2() else { return 0 };
    let eighths = (slowness << (63 - exponent) >> 60) & 7;
    exponent * 8 + eighths as u32 + 1
}

/// Requests in flight for each unit of weight.
fn busier(one: &Candidate<'_>, other: &Candidate<'_>, now: u64) -> Ordering {
    let load = |it: &Candidate<'_>| u64::from(it.health.in_flight(now));
    let weight = |it: &Candidate<'_>| u64::from(it.target.weight.max(1));
    (load(one) * weight(other)).cmp(&(load(other) * weight(one)))
}

/// The lowest wins.
pub(super) fn draw(it: &Candidate<'_>, sticky: u64) -> f64 {
    rendezvous(sticky, it.id.as_bytes(), it.target.weight)
}

/// Weighted rendezvous: the lowest wins, one that is added takes only what it wins itself.
/// Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005.
pub(super) fn rendezvous(point: u64, id: &[u8], weight: u32) -> f64 {
    let hash = hash(point, id);
    // From 0 (not included) to 1.
    let uniform = ((hash >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
    uniform.ln().abs() / f64::from(weight.max(1))
}
