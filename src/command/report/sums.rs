//! What requests come to.

use std::collections::HashMap;
use std::ops::AddAssign;

use model_gateway::chat::Usage;

use super::line::Request;
use super::money::Money;
use super::prices::{Priced, Prices};

/// What some requests come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many.
    pub requests: u64,
    /// Of these, refused, failed or broken off by a provider.
    pub errors: u64,
    /// Of these, that needed more than one attempt.
    pub retried: u64,
    /// Of these, whose usage is partly estimated.
    pub estimated: u64,
    /// Of these, that used something of which the price was not known.
    pub unpriced: u64,
    /// Of these, with tokens from a cache, of which it is not known what they would have cost.
    pub unsaved: u64,
    /// Tokens.
    pub usage: Usage,
    /// What they cost, as the log has it.
    pub cost: Money,
    /// Of that, requests whose usage is partly estimated.
    pub cost_estimated: Money,
    /// What tokens from caches would have cost at the full rate, less what they did.
    pub saved: Money,
    /// What tokens written to caches cost, less what they would have at the full rate.
    pub written: Money,
}

/// Prices that were looked up before.
pub struct Known<'p> {
    prices: &'p Prices,
    found: HashMap<String, Option<Priced>>,
    name: String,
}

impl<'p> Known<'p> {
    /// None yet.
    pub fn of(prices: &'p Prices) -> Self {
        Self { prices, found: HashMap::new(), name: String::new() }
    }

    /// What a provider's model costs.
    pub fn find(&mut self, provider: &str, model: &str) -> Option<&Priced> {
        self.name.clear();
        self.name.extend([provider, " ", model]);
        if !self.found.contains_key(&self.name) {
            self.found.insert(self.name.clone(), self.prices.find(provider, model));
        }
        self.found.get(&self.name)?.as_ref()
    }
}

impl Sums {
    /// What one request comes to.
    pub fn of(request: &Request<'_>, known: &mut Known<'_>) -> Self {
        let usage = request.usage;
        let has_used = usage.input > 0 || usage.output > 0;
        let cost = request.cost.map_or_else(Money::default, Money::from);
        let is_estimated = request.line.is_estimated();
        let mut sums = Self {
            requests: 1,
            errors: matches!(request.outcome, "error" | "broken" | "refused").into(),
            retried: (request.attempts > 1).into(),
            estimated: is_estimated.into(),
            unpriced: (request.line.is_unpriced() || (has_used && request.cost.is_none())).into(),
            usage,
            cost,
            cost_estimated: if is_estimated { cost } else { Money::default() },
            ..Self::default()
        };
        if usage.cached > 0 || usage.cache_write > 0 || usage.cache_write_1h > 0 {
            match sums.caching(request, known) {
                Some((saved, written)) => (sums.saved, sums.written) = (saved, written),
                None => sums.unsaved = 1,
            }
        }
        sums
    }

    /// What reading and writing caches made of the cost: saved, and spent.
    fn caching(&self, request: &Request<'_>, known: &mut Known<'_>) -> Option<(Money, Money)> {
        let priced = known.find(&request.line.provider.0, &request.line.target_model.0)?;
        let cost = |usage: &Usage| priced.cost(usage, request.time);
        let not_written = Usage { cache_write: 0, cache_write_1h: 0, ..self.usage };
        let neither = cost(&Usage { cached: 0, ..not_written })?;
        let (read, written) = (cost(&not_written)?, cost(&Usage { cached: 0, ..self.usage })?);
        Some((neither - read, written - neither))
    }
}

impl AddAssign<&Self> for Sums {
    fn add_assign(&mut self, other: &Self) {
        let counts = [
            (&mut self.requests, other.requests),
            (&mut self.errors, other.errors),
            (&mut self.retried, other.retried),
            (&mut self.estimated, other.estimated),
            (&mut self.unpriced, other.unpriced),
            (&mut self.unsaved, other.unsaved),
        ];
        for (count, more) in counts {
            *count = count.saturating_add(more);
        }
        self.usage.add(&other.usage);
        self.cost += other.cost;
        self.cost_estimated += other.cost_estimated;
        self.saved += other.saved;
        self.written += other.written;
    }
}
