//! Which targets a request goes to, in which order. Decisions are functions of configuration, request, shared state, time
//! and seed.
//!
//! [`plan`] decides before the first attempt, [`Plan`] what follows each failure, [`Health`] when a target is left alone, [`Keys`] which of
//! its provider's credentials it is asked with.

mod health;
mod keys;
mod order;
mod plan;
mod random;
mod shared;
mod strategy;

pub use self::health::{Health, Standing};
pub use self::keys::{Draw, Keys, blames_key};
pub(crate) use self::order::key;
pub use self::order::{Ask, Candidate, candidates, plan};
pub use self::plan::{Hop, Pending, Plan};
pub use self::shared::{Record, Shared, Version, read, update};
pub(crate) use self::strategy::hash;
