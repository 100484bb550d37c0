//! How a request finds its target, in words of configuration that the plan takes along.

use serde::{Deserialize, Serialize};

/// Which target of a model gets the first attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(not(target_family = "wasm"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By weight, at random.
    #[default]
    Weighted,
    /// The one that was fastest of late.
    Latency,
    /// The one with the fewest requests in flight, by its weight.
    LeastBusy,
    /// The one that costs least.
    Cheapest,
    /// The same for the same user, prompt or header.
    Sticky,
}

impl Strategy {
    /// Whether it is what there is without a word.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What the strategy `sticky` keeps together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StickyBy {
    /// The request's `user`, or the prompt where it has none.
    #[default]
    User,
    /// The beginning of the prompt.
    Prompt,
    /// The header with this name, in lower case.
    Header(String),
}

/// When a target is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// How long it is left alone, in milliseconds; longer where the provider asks for that. 0: it never is.
    pub cooldown: u64,
    /// After how many failures within the window.
    pub failures: u32,
    /// And only if so many of a hundred requests failed.
    pub percent: u32,
    /// The window, in milliseconds.
    pub window: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { cooldown: 30_000, failures: 3, percent: 50, window: 30_000 }
    }
}

impl Breaker {
    /// Whether it is what there is without a word.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
