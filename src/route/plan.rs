//! What the gateway position decides and every attempt needs. Each attempt leaves there what became of it.

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
    /// Every target that may be tried, none twice but with another credential.
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
    /// What the strategy `sticky` keeps together, as a number: credentials too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<u64>,
    /// When the first of the targets that have failed is to be asked again, in milliseconds since 1970, as far as they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soonest: Option<u64>,
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
    /// How many credentials its provider has.
    #[serde(default)]
    pub keys: u8,
    /// The one of them that is to show whether it is well again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<u8>,
    /// Those of them that have failed this request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spent: Vec<u8>,
}

/// An attempt that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Number of its target.
    pub hop: u8,
    /// When it began, in milliseconds since 1970.
    pub began: u64,
}

impl Hop {
    /// Whether it is a copy's: those are no target of configuration, and what becomes of them is nobody's fault.
    pub fn is_copys(&self) -> bool {
        self.target.is_empty()
    }
}

impl Plan {
    /// Reads a plan as [`Self::encode`] or [`Self::to_header`] wrote it; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let start = bytes.iter().position(|byte| *byte == b'{')?;
        serde_json::from_slice(bytes.get(start..)?).ok()
    }

    /// For filter state: its number, for who needs no more of it, and all of it as JSON.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = format!("{} ", self.id).into_bytes();
        // It has nothing that cannot be written.
        let _ = serde_json::to_writer(&mut bytes, self);
        bytes
    }

    /// The number of the plan that [`Self::encode`] wrote.
    pub fn number(bytes: &[u8]) -> Option<u64> {
        let digits = bytes.split(|byte| *byte == b' ').next()?;
        core::str::from_utf8(digits).ok()?.parse().ok()
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
        let each = self.hops.iter().map(|hop| u32::from(hop.keys.max(1)));
        self.attempts.min(each.fold(0, u32::saturating_add))
    }

    /// The provider of the next attempt; `None` when all targets were tried, or no more are to be.
    pub fn next_provider(&self) -> Option<&str> {
        let next = self.line.first().filter(|_| self.made < self.attempts)?;
        self.hops.get(usize::from(*next)).map(|hop| hop.provider.as_str())
    }

    /// What became of the attempt before, if it left no word: Envoy has given it up, and sent the next one.
    pub fn given_up(&self, now: u64) -> Option<(&Hop, Cause)> {
        let pending = self.pending?;
        // Envoy's timers run from when its loop last woke up, so they are early by what that took: some ms, on a busy machine.
        let early = (self.patience / 20).clamp(2, 100);
        let timed_out = now.saturating_sub(pending.began).saturating_add(early) >= self.patience;
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

    /// The attempt under way was refused for this credential, and its provider has another. Whether the same target is to
    /// be asked again, with that.
    pub fn again(&mut self, cause: Cause, key: u8) -> bool {
        let Some(Pending { hop: number, .. }) = self.pending else { return false };
        if let Some(hop) = self.hops.get_mut(usize::from(number)) {
            hop.spent.push(key);
            hop.probe = None;
        }
        self.line.insert(0, number);
        let again = self.goes_on(cause);
        if again {
            self.failed.extend(self.pending.take().map(|pending| (pending.hop, cause)));
        } else {
            self.line.remove(0);
        }
        again
    }

    /// The target that has failed is to be asked again at that time, and not before.
    pub fn waits(&mut self, until: u64) {
        self.soonest = Some(self.soonest.map_or(until, |soonest| soonest.min(until)));
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

#[cfg(test)]
mod tests {
    use super::{Hop, Plan};
    use crate::config::{Breaker, Strategy};
    use crate::dialect::Operation;
    use crate::error::Cause;

    /// A target for each number, of a provider with so many credentials.
    fn plan(keys: &[u8], attempts: u32) -> Plan {
        let hop = |(number, keys): (usize, &u8)| Hop {
            provider: number.to_string(),
            model: "m".to_owned(),
            target: format!("{number}/m"),
            strict: false,
            edits: None,
            breaker: Breaker::default(),
            strategy: Strategy::default(),
            keys: *keys,
            probe: None,
            spent: Vec::new(),
        };
        Plan {
            id: 0,
            model: "m".to_owned(),
            operation: Operation::Chat,
            stream: false,
            include_usage: false,
            patience: 1000,
            hops: keys.iter().enumerate().map(hop).collect(),
            line: (0..=u8::MAX).zip(keys).map(|(number, _)| number).collect(),
            context_window: vec![1],
            content_policy: Vec::new(),
            retries: Vec::new(),
            attempts,
            made: 0,
            pending: None,
            sticky: None,
            soonest: None,
            failed: Vec::new(),
        }
    }

    #[test]
    fn the_same_target_comes_again_only_with_another_key() {
        let mut plan = plan(&[3, 1], 16);
        assert_eq!(plan.most_attempts(), 4);
        assert_eq!(plan.begin(0).unwrap().provider, "0");
        assert!(plan.again(Cause::RateLimited, 2));
        assert_eq!(plan.next_provider(), Some("0"));
        // It travels as it is.
        let mut plan = Plan::decode(&plan.encode()).unwrap();
        let hop = plan.begin(0).unwrap();
        assert_eq!((hop.provider.as_str(), hop.spent.as_slice(), plan.made), ("0", &[2][..], 2));
        assert!(plan.fail(Cause::ServerError));
        assert_eq!(plan.begin(0).unwrap().provider, "1");
        // A failure after which nothing came is not one of a key.
        plan.pending = None;
        assert!(!plan.again(Cause::RateLimited, 0) && plan.line.is_empty());
    }

    #[test]
    fn another_key_is_an_attempt_and_a_retry_like_any_other() {
        let mut few = plan(&[3, 1], 2);
        assert_eq!(few.most_attempts(), 2);
        few.begin(0).unwrap();
        assert!(few.again(Cause::Authentication, 0));
        few.begin(0).unwrap();
        assert!(!few.again(Cause::Authentication, 1) && !few.fail(Cause::Authentication));
        let mut one = Plan { retries: vec![(Cause::RateLimited, 1)], ..plan(&[3, 1], 16) };
        one.begin(0).unwrap();
        assert!(one.again(Cause::RateLimited, 0));
        one.begin(0).unwrap();
        assert!(!one.again(Cause::RateLimited, 1));
        assert_eq!(one.line, [1]);
    }

    #[test]
    fn the_soonest_is_kept() {
        let mut plan = plan(&[1], 1);
        [9, 7, 8].into_iter().for_each(|until| plan.waits(until));
        assert_eq!(plan.soonest, Some(7));
    }
}
