//! What tokens cost: a table of public prices, the operator's own in their place, and the sum over a usage.
//!
//! Money is counted in 10⁻¹² USD, in integers. What is not known is [`Cost::Unknown`] and never 0; a price of 0 in the table
//! is one. The table is derived from LiteLLM's by `model-gateway prices` (see `table/SOURCE`, `table/LICENSE.litellm`) and
//! looked up where it stands: nothing is built at start.
//!
//! Not priced, as a usage does not tell them: tokens of images apart from others, searches and other tools, requests.

mod cost;
pub mod names;
mod overrides;
mod rates;
pub mod table;
mod usd;

pub use self::cost::{Cost, Missing, Tariff};
pub use self::overrides::{Override, Percent, UnknownPrice};
pub use self::rates::{Price, ServiceTier};
pub use self::usd::{PerMillion, pico_usd, read_pico_usd};

/// The table's prices of a provider's model: `kind` is the kind's name, `region` where it runs (Bedrock), `model` the
/// provider's own name for it as [`names`] reads it. `None`: nobody knows.
///
/// On Azure `model` is what the answer calls itself rather than the deployment, whose name can be anything.
pub fn lookup(kind: &str, region: Option<&str>, model: &str) -> Option<Price> {
    let row = names::first(kind, region, model, &mut table::find)?;
    Price::parse(row.prices()?)
}

#[cfg(test)]
mod tests;
