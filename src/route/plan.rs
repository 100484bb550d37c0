//! What the gateway position decides and every attempt needs: it travels from the one to the others in filter state, and
//! each attempt leaves there what became of it.

use serde::{Deserialize, Serialize};

use crate::config::{Breaker, Strategy};
use crate::dialect::{Edits, Operation};
use crate::error::{Cause, Error};

/// A request's way through the providers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// By what the request is known on its worker.
    pub id: u64,
    /// The model by the name that the client asked for.
    pub model: String,
    /// What the model is asked for.
    pub operation: Operation,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the client wants the usage at the end of a stream.
    pub include_usage: bool,
    /// After how many milliseconds Envoy gives an attempt up.
    pub patience: u64,
    /// Every target that may be tried, none twice.
    pub hops: Vec<Hop>,
    /// Those of them, by number, that are still to be tried, in order.
    pub line: Vec<u8>,
    /// What takes the line's place if the prompt does not fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context_window: Vec<u8>,
    /// What takes the line's place if the provider will not answer the prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content_policy: Vec<u8>,
    /// How many attempts may follow a failure of this cause; where it is not named, as many as there are targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retries: Vec<(Cause, u32)>,
    /// Most attempts.
    pub attempts: u32,
    /// How many have begun.
    #[serde(default)]
    pub made: u32,
    /// The attempt of which nothing was heard yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// The attempts that others followed: the number of the target, and why it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<(u8, Cause)>,
}

/// One target of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Name of the provider, and of its cluster.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// Its place in configuration, by which its health is known: provider and model, as configuration has it.
    pub target: String,
    /// Refuse rather than drop.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub strict: bool,
    /// What is changed in its requests, if anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edits: Option<Box<Edits>>,
    /// When it is left alone.
    #[serde(default, skip_serializing_if = "Breaker::is_default")]
    pub breaker: Breaker,
    /// Whether its pace or its requests in flight count.
    #[serde(default, skip_serializing_if = "Strategy::is_default")]
    pub strategy: Strategy,
}

/// An attempt that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Number of its target.
    pub hop: u8,
    /// When it began, in milliseconds since 1970.
    pub began: u64,
}

impl Plan {
    /// Reads a plan as [`Self::encode`] wrote it; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// For filter state.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// For a header: in letters of ASCII only.
    pub fn to_header(&self) -> String {
        let mut header = String::new();
        for character in serde_json::to_string(self).unwrap_or_default().chars() {
            let mut units = [0; 2];
            // What is not ASCII stands within strings.
            match character {
                ' '..='~' => header.push(character),
                _ => character
                    .encode_utf16(&mut units)
                    .iter()
                    .for_each(|unit| header.push_str(&format!("\\u{unit:04x}"))),
            }
        }
        header
    }

    /// The same with its first attempt only.
    pub fn only_first(mut self) -> Self {
        self.attempts = 1;
        self
    }

    /// How many attempts there can be at most.
    pub fn most_attempts(&self) -> u32 {
        self.attempts.min(u32::try_from(self.hops.len()).unwrap_or(u32::MAX))
    }

    /// The provider of the next attempt; `None` when all targets were tried, or no more are to be.
    pub fn next_provider(&self) -> Option<&str> {
        let next = self.line.first().filter(|_| self.made < self.attempts)?;
        self.hops.get(usize::from(*next)).map(|hop| hop.provider.as_str())
    }

    /// What became of the attempt before, if it left no word: Envoy has given it up, and sent the next one.
    pub fn given_up(&self, now: u64) -> Option<(&Hop, Cause)> {
        let pending = self.pending?;
        // Envoy's timer is as exact as its clock's resolution.
        const EARLY: u64 = 2;
        let timed_out = now.saturating_sub(pending.began).saturating_add(EARLY) >= self.patience;
        let cause = if timed_out { Cause::Timeout } else { Cause::Connection };
        Some((self.hops.get(usize::from(pending.hop))?, cause))
    }

    /// The next attempt begins.
    ///
    /// # Errors
    /// There is to be none: the failure that Envoy tries again by itself is not to be followed by another attempt, or there
    /// is no target left.
    pub fn begin(&mut self, now: u64) -> Result<Hop, Error> {
        if let Some((_, cause)) = self.given_up(now) {
            self.failed.extend(self.pending.map(|pending| (pending.hop, cause)));
            let told = match cause {
                Cause::Timeout => "The provider did not answer in time.",
                _ => "The provider could not be reached, or closed the connection.",
            };
            if !self.goes_on(cause) {
                return Err(Error::new(cause, told));
            }
        }
        let next = if self.line.is_empty() { None } else { Some(self.line.remove(0)) };
        for detour in [&mut self.context_window, &mut self.content_policy] {
            detour.retain(|hop| Some(*hop) != next);
        }
        let hop = next.and_then(|next| self.hops.get(usize::from(next))).cloned();
        self.made += 1;
        self.pending = next.map(|hop| Pending { hop, began: now });
        hop.ok_or_else(|| Error::new(Cause::Connection, "The provider could not be reached, or closed the connection."))
    }

    /// The attempt under way has failed, or was refused, for this reason. Whether another is to follow.
    pub fn fail(&mut self, cause: Cause) -> bool {
        self.failed.extend(self.pending.take().map(|pending| (pending.hop, cause)));
        let detour = match cause {
            Cause::ContextWindow => Some(core::mem::take(&mut self.context_window)),
            Cause::ContentPolicy => Some(core::mem::take(&mut self.content_policy)),
            _ => None,
        };
        if let Some(detour) = detour {
            self.line = detour;
            return self.next_provider().is_some();
        }
        cause.falls_back() && self.goes_on(cause)
    }

    /// Uses up one of the retries that may follow this cause, if there is one and a target too.
    fn goes_on(&mut self, cause: Cause) -> bool {
        if self.next_provider().is_none() {
            return false;
        }
        match self.retries.iter_mut().find(|(other, _)| *other == cause) {
            Some((_, 0)) => false,
            Some((_, left)) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }
}
