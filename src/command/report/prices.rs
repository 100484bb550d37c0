//! What tokens of a log's targets cost: by the operator's file, if there is one, else by the built-in table.

use std::collections::BTreeMap;
use std::path::Path;

use model_gateway::chat::Usage;
use model_gateway::price::{self, Cost, Price};
use model_gateway::providers::{self, KINDS};

use super::money::Money;
use crate::load;

/// Prices by a provider's name in the log.
#[derive(Default)]
pub struct Prices {
    /// Its kind, and its region.
    providers: BTreeMap<String, (&'static str, Option<String>)>,
    /// The operator's own, by `PROVIDER/MODEL`.
    own: BTreeMap<String, Price>,
}

/// A target's price.
#[derive(Clone)]
pub struct Priced {
    kind: &'static str,
    price: Price,
}

impl Prices {
    /// Those of the operator's file.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(file: Option<&Path>) -> Result<Self, String> {
        let Some(file) = file else { return Ok(Self::default()) };
        let config = load::load(file).map_err(|mistakes| mistakes.to_string())?.config;
        let provider =
            |provider: &model_gateway::config::Provider| (provider.kind.name(), provider.settings.region.clone());
        Ok(Self {
            providers: config.providers.iter().map(|(name, of)| (name.clone(), provider(of))).collect(),
            own: config.prices.iter().map(|(target, price)| (target.clone(), Price::clone(price))).collect(),
        })
    }

    /// What a provider's model costs. A provider that the file does not have is of the kind that it is named after, or of none.
    pub fn find(&self, provider: &str, model: &str) -> Option<Priced> {
        let (kind, region) = self.kind(provider)?;
        let own = self.own.get(&format!("{provider}/{model}")).cloned();
        let price = own.or_else(|| price::lookup(kind, region, model))?;
        Some(Priced { kind, price })
    }

    /// `PROVIDER/MODEL` in two, if that is a provider.
    pub fn split<'n>(&self, name: &'n str) -> Option<(&'n str, &'n str)> {
        name.split_once('/').filter(|(provider, _)| self.kind(provider).is_some())
    }

    /// Where a model of that name has a price.
    pub fn places(&self, model: &str) -> Vec<String> {
        let kinds = KINDS.iter().map(|kind| kind.name()).filter(|kind| !self.providers.contains_key(*kind));
        let names = self.providers.keys().map(String::as_str).chain(kinds);
        names.filter(|name| self.find(name, model).is_some()).map(|name| format!("{name}/{model}")).collect()
    }

    fn kind(&self, provider: &str) -> Option<(&'static str, Option<&str>)> {
        match self.providers.get(provider) {
            Some((kind, region)) => Some((kind, region.as_deref())),
            None => providers::find(provider).map(|kind| (kind.name(), None)),
        }
    }
}

impl Priced {
    /// What the usage costs, if that is known, at a time in milliseconds since 1970.
    pub fn cost(&self, usage: &Usage, time: u64) -> Option<Money> {
        let tier = usage.tier.charged(self.kind);
        Cost::of(Some(&self.price), usage, tier, time / 1000).known().map(Money::from)
    }

    /// What so many tokens of small requests cost together, at the usual tier: prices that rise with a prompt's size are not for them.
    pub fn cost_of_small(&self, usage: &Usage, time: u64) -> Option<Money> {
        let one = |part: Usage| Usage { input: 1, ..part };
        let one_out = |part: Usage| Usage { output: 1, ..part };
        let none = Usage::default;
        let caching = [usage.cached, usage.cache_write, usage.cache_write_1h];
        let plain = caching.into_iter().fold(usage.input, u64::saturating_sub);
        let parts = [
            (one(none()), plain),
            (one(Usage { cached: 1, ..none() }), usage.cached),
            (one(Usage { cache_write: 1, ..none() }), usage.cache_write),
            (one(Usage { cache_write_1h: 1, ..none() }), usage.cache_write_1h),
            (one_out(none()), usage.output.saturating_sub(usage.reasoning)),
            (one_out(Usage { reasoning: 1, ..none() }), usage.reasoning),
        ];
        let costs = parts.iter().filter(|(_, tokens)| *tokens > 0);
        costs.map(|(one, tokens)| Some(Money::for_tokens(self.cost(one, time)?, *tokens))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Prices;
    use model_gateway::chat::Usage;

    #[test]
    fn sums_of_small_requests_cost_what_each_would() {
        let prices = Prices::default();
        let one = Usage { input: 900, cached: 300, cache_write: 100, output: 50, reasoning: 20, ..Usage::default() };
        let many = Usage {
            input: 900_000,
            cached: 300_000,
            cache_write: 100_000,
            output: 50_000,
            reasoning: 20_000,
            ..Usage::default()
        };
        // The second has another price for long prompts.
        for (provider, model) in
            [("openai", "gpt-4o"), ("gemini", "gemini-2.5-pro"), ("anthropic", "claude-sonnet-4-5")]
        {
            let priced = prices.find(provider, model).unwrap();
            let each = priced.cost(&one, 0).unwrap();
            let sum = std::iter::repeat_n(each, 1000).sum();
            assert_eq!(priced.cost_of_small(&many, 0), Some(sum), "{model}");
        }
    }

    #[test]
    fn providers_without_a_file_are_of_the_kind_that_they_are_named_after() {
        let prices = Prices::default();
        assert!(prices.find("openai", "gpt-4o").is_some() && prices.find("openai-eu", "gpt-4o").is_none());
        assert_eq!(prices.split("openai/gpt-4o"), Some(("openai", "gpt-4o")));
        assert_eq!(prices.split("meta/llama"), None);
        assert!(prices.places("gpt-4o").contains(&"openai/gpt-4o".to_owned()));
        assert!(prices.places("gpt-nothing").is_empty());
    }
}
