//! Which targets a request goes to, in which order. Decisions are functions of configuration, request and seed.

mod plan;
mod random;

pub use self::plan::{Hop, Plan};
use self::random::Random;
use crate::config::{Config, Model, Target};

/// The targets of `model` in the order in which they are to be tried: its own by weight, then those of its fallbacks,
/// and of theirs. None twice. `None` if there is no such model.
pub fn order(config: &Config, model: &str, seed: u64) -> Option<Vec<Hop>> {
    let asked = config.models.get(model)?;
    let mut random = Random::new(seed);
    let mut hops: Vec<Hop> = Vec::new();
    // Depth first, as they are written: a fallback's own fallbacks come before the next fallback.
    let mut waiting: Vec<&Model> = vec![asked];
    let mut seen: Vec<&str> = vec![model];
    while let Some(next) = waiting.pop() {
        for target in by_weight(&next.targets, &mut random) {
            let hop = Hop {
                provider: target.provider.clone(),
                model: target.model.clone(),
                strict: target.strict,
                edits: target.edits.clone(),
            };
            if !hops.contains(&hop) {
                hops.push(hop);
            }
        }
        if hops.len() >= asked.attempts as usize {
            break;
        }
        for name in next.fallbacks.iter().rev().filter(|name| !seen.contains(&name.as_str())).collect::<Vec<_>>() {
            seen.push(name);
            waiting.extend(config.models.get(name));
        }
    }
    hops.truncate(asked.attempts as usize);
    Some(hops)
}

/// Draws without putting back, so that every place in the order goes by weight. Weight 0 comes last.
fn by_weight<'t>(targets: &'t [Target], random: &mut Random) -> Vec<&'t Target> {
    let mut left: Vec<&Target> = targets.iter().collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let total: u64 = left.iter().map(|target| u64::from(target.weight)).sum();
        let mut point = random.below(total);
        let drawn = left.iter().position(|target| {
            let hit = point < u64::from(target.weight);
            point = point.saturating_sub(u64::from(target.weight));
            hit
        });
        order.push(left.remove(drawn.unwrap_or(0)));
    }
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::order;
    use crate::config::Config;

    fn config(models: serde_json::Value) -> Config {
        let provider = serde_json::json!({"kind": "openai"});
        let providers = serde_json::json!({"a": provider, "b": provider, "c": provider, "d": provider});
        Config::check(&serde_json::from_value(serde_json::json!({"providers": providers, "models": models})).unwrap())
            .unwrap()
    }

    fn providers(config: &Config, model: &str, seed: u64) -> String {
        order(config, model, seed).unwrap().into_iter().map(|hop| hop.provider).collect()
    }

    #[test]
    fn fallbacks_come_in_order_and_none_twice() {
        let config = config(serde_json::json!({
            "m": {"targets": [{"provider": "a", "model": "x"}], "fallbacks": ["n", "p"]},
            "n": {"targets": [{"provider": "b", "model": "x"}, {"provider": "a", "model": "x", "weight": 0}], "fallbacks": ["o"]},
            "o": {"targets": [{"provider": "c"}]},
            "p": {"targets": [{"provider": "d"}]},
            "few": {"targets": [{"provider": "a"}], "fallbacks": ["m"], "attempts": 2},
        }));
        assert_eq!(providers(&config, "m", 7), "abcd");
        assert_eq!(order(&config, "few", 1).unwrap().len(), 2);
        assert_eq!(order(&config, "absent", 1), None);
    }

    #[test]
    fn first_places_converge_to_the_weights() {
        let config = config(serde_json::json!({"m": {"targets": [
            {"provider": "a", "weight": 9}, {"provider": "b", "weight": 1}, {"provider": "c", "weight": 0}
        ]}}));
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        const RUNS: u32 = 20_000;
        for seed in 0..RUNS {
            *counts.entry(providers(&config, "m", u64::from(seed))).or_default() += 1;
        }
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["abc", "bac"]);
        // Five standard deviations of a binomial with p = 0.1.
        let deviation = f64::from(RUNS * 9 / 100).sqrt() * 5.0;
        assert!((f64::from(counts["bac"]) - f64::from(RUNS / 10)).abs() < deviation, "{counts:?}");
    }
}
