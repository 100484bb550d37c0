//! Which targets a request goes to, in which order. Decisions are functions of configuration, request, shared state, time
//! and seed.
//!
//! [`decide`] finds the rule that a request follows and makes its plan before the first attempt, [`Plan`] decides what
//! follows each failure, [`Health`] when a target is left alone, [`Keys`] which of its provider's credentials it is asked
//! with. [`Explanation`] tells why.

#[cfg(test)]
pub mod board;
mod decide;
mod explain;
mod health;
mod keys;
mod order;
mod plan;
mod rules;
mod shared;
mod strategy;

pub use self::decide::{Choice, Decision, Question, choose, decide};
pub use self::explain::{Brief, Explanation, Line};
pub use self::health::{Health, Standing};
pub use self::keys::{Draw, Keys, blames_key};
pub use self::order::{Ask, Candidate, LeftOut, Trace, Unfit, candidates, key, plan, trace};
pub use self::plan::{Hop, Pending, Plan};
pub use self::rules::{Fact, Facts, Judgement};
pub use self::shared::{Record, Shared, TRIES, Version, glance, read, update};
