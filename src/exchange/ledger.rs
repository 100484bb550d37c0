//! What the two positions know of a request together: its plan, what was found out about its body, and what its attempts
//! have seen.
//!
//! Both positions run in one VM on each worker, and this is in its memory: an attempt writes down what it sees as it goes,
//! so that a client that leaves in the middle of an answer leaves no gap. Where the positions are not in one VM (for a moment,
//! when the module has changed) an attempt reads the plan that travels in filter state, and the gateway finds nothing, and
//! settles by its estimate.

use core::cell::{Cell, RefCell};

use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;

use super::record::{Used, attempts, tariff};
use crate::answered::Finishes;
use crate::chat::Usage;
use crate::config::Config;
use crate::error::Cause;
use crate::json::Outline;
use crate::price::Tariff;
use crate::route::{Hop, Plan};
use crate::splice::Spans;

/// Requests under way.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The number of the request that began last; 0: none did.
    last: Cell<u64>,
    open: RefCell<HashMap<u64, Open>>,
    /// Of each target, answers of which the other workers were not told yet.
    good: RefCell<HashMap<String, Good>>,
}

/// Answers that were good.
#[derive(Debug, Clone, Copy, Default)]
struct Good {
    untold: u32,
    /// When the others were told last, in milliseconds since 1970.
    told: u64,
}

/// How often other workers are told that a target is well, in milliseconds.
const TELL: u64 = 1000;
/// The most targets that are kept, as configuration can change for ever.
const MAX_TARGETS: usize = 4096;

/// A request under way.
#[derive(Debug)]
struct Open {
    config: Rc<Config>,
    plan: Option<Rc<Plan>>,
    tried: Vec<Tried>,
    body: Known,
}

/// What the gateway position has found out about a request's body.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Where it is to be changed for a provider that speaks as the client does.
    pub spans: Option<Spans>,
    /// Where its values are.
    pub outline: Option<Arc<Outline>>,
    beginning: Option<Rc<[u8]>>,
    /// How long it is, in bytes.
    pub size: usize,
}

/// The most of a body that is kept, in bytes.
const MAX_KEPT: usize = 4096;

impl Known {
    /// A little body is kept as it is, and of others as much as `spans` are about if that is little: to read it again would be a
    /// call of the host.
    pub fn new(body: &[u8], spans: Option<Spans>, outline: Option<Arc<Outline>>) -> Self {
        let wanted = if body.len() > MAX_KEPT { spans.as_ref().map(Spans::end) } else { Some(body.len()) };
        let beginning = wanted.filter(|wanted| *wanted <= MAX_KEPT).and_then(|wanted| body.get(..wanted)).map(Rc::from);
        Self { spans, outline, beginning, size: body.len() }
    }

    /// As much of the body as is wanted to change it by `spans`, or all of it.
    pub fn wanted(&self) -> Option<&[u8]> {
        self.beginning.as_deref()?.get(..self.spans.as_ref().map_or(self.size, Spans::end))
    }
}

/// What is known of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tried {
    /// [`Hop::target`]; empty: what configuration has no name for, as with a copy.
    pub target: String,
    /// [`Hop::provider`]
    pub provider: String,
    /// [`Hop::model`]
    pub model: String,
    /// When it began, in milliseconds since 1970.
    pub began: u64,
    /// When the client got the first of its answer.
    pub first: Option<u64>,
    /// When it ended, and how; `None`: it was cut off, or nothing was heard of it.
    pub ended: Option<(u64, Result<(), Cause>)>,
    /// Whether all of the answer has come, though the provider may not have closed yet.
    pub complete: bool,
    /// What the provider says that it took.
    pub usage: Option<Usage>,
    /// Why the answer's choices ended.
    pub finishes: Finishes,
    /// What it had told of its usage before the answer's end.
    pub partial: Option<Usage>,
    /// About how many tokens of an answer were seen.
    pub said: u64,
    /// Parameters that the provider has no word for.
    pub dropped: Vec<String>,
}

impl Tried {
    pub(super) fn new(hop: &Hop, began: u64) -> Self {
        let (target, provider, model) = (hop.target.clone(), hop.provider.clone(), hop.model.clone());
        Self { target, provider, model, began, ..Self::default() }
    }

    /// It is over. What is known of that already stays.
    pub(super) fn end(&mut self, now: u64, result: Result<(), Cause>) {
        self.ended.get_or_insert((now, result));
    }
}

impl Ledger {
    /// A request begins; the number is by what its attempts find it. What the gateway position has found out about its body
    /// is there for them. The first number is by chance: another VM's are others.
    pub(super) fn open(&self, config: Rc<Config>, seed: u64, body: Known) -> u64 {
        let last = match self.last.get() {
            0 => seed,
            last => last.wrapping_add(1),
        };
        self.last.set(last.max(1));
        self.open.borrow_mut().insert(self.last.get(), Open { config, plan: None, tried: Vec::new(), body });
        self.last.get()
    }

    /// How the request is to go on. `false`: it is none of this VM's.
    pub(super) fn keep(&self, plan: &Rc<Plan>) -> bool {
        let mut open = self.open.borrow_mut();
        open.get_mut(&plan.id).map(|open| open.plan = Some(plan.clone())).is_some()
    }

    /// How it is to go on, if that is known here.
    pub(super) fn plan(&self, request: u64) -> Option<Rc<Plan>> {
        self.open.borrow().get(&request)?.plan.clone()
    }

    /// The same for who changes it, and keeps it again.
    pub(super) fn take_plan(&self, request: u64) -> Option<Rc<Plan>> {
        self.open.borrow_mut().get_mut(&request)?.plan.take()
    }

    /// What is known of its body.
    pub(super) fn body(&self, request: u64) -> Known {
        self.open.borrow().get(&request).map(|open| open.body.clone()).unwrap_or_default()
    }

    /// A client has the first of its answer: nobody will read the request again.
    pub(super) fn forget_body(&self, request: u64) {
        if let Some(open) = self.open.borrow_mut().get_mut(&request) {
            open.body = Known::default();
        }
    }

    /// An attempt begins.
    pub(super) fn begin(&self, request: u64, tried: Tried) {
        if let Some(open) = self.open.borrow_mut().get_mut(&request) {
            open.tried.push(tried);
        }
    }

    /// Something is known of the attempt that began last.
    pub(super) fn note(&self, request: u64, note: impl FnOnce(&mut Tried)) {
        if let Some(tried) = self.open.borrow_mut().get_mut(&request).and_then(|open| open.tried.last_mut()) {
            note(tried);
        }
    }

    /// What tokens of the attempt that began last cost; `None`: an attempt before it cost nobody knows what.
    pub(super) fn tariff(&self, request: u64, now: u64) -> Option<Tariff> {
        let open = self.open.borrow();
        let Open { config, tried, .. } = open.get(&request)?;
        let (last, before) = tried.split_last()?;
        let before =
            if before.is_empty() { Used::default() } else { Used::of(&attempts(config, before.to_vec(), 0, now)) };
        (!before.unpriced).then(|| Tariff { before: before.cost, ..tariff(config, last, now) })
    }

    /// Whether the attempt that began last has come to a good end.
    pub(super) fn is_answered(&self, request: u64) -> bool {
        let open = self.open.borrow();
        let last = open.get(&request).and_then(|open| open.tried.last());
        last.is_some_and(|last| matches!(last.ended, Some((_, Ok(())))))
    }

    /// What is there by now.
    pub(super) fn read(&self, request: u64) -> Vec<Tried> {
        self.open.borrow().get(&request).map(|open| open.tried.clone()).unwrap_or_default()
    }

    /// The request is over.
    pub(super) fn close(&self, request: u64) -> Vec<Tried> {
        self.open.borrow_mut().remove(&request).map(|open| open.tried).unwrap_or_default()
    }

    /// An answer of `target` was good. `true`: the other workers are to be told of that by now.
    pub(super) fn is_good(&self, target: &str, now: u64) -> bool {
        let mut all = self.good.borrow_mut();
        let Some(good) = all.get_mut(target) else {
            if all.len() >= MAX_TARGETS {
                all.clear();
            }
            all.insert(target.to_owned(), Good { untold: 1, told: now });
            return true;
        };
        good.untold = good.untold.saturating_add(1);
        let due = now.abs_diff(good.told) >= TELL;
        if due {
            good.told = now;
        }
        due
    }

    /// How many they are to be told of.
    pub(super) fn take_good(&self, target: &str) -> u32 {
        self.good.borrow_mut().get_mut(target).map_or(0, |good| core::mem::take(&mut good.untold))
    }

    /// How many requests are under way.
    pub fn len(&self) -> usize {
        self.open.borrow().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, Ledger, MAX_KEPT};
    use crate::dialect::Operation;
    use crate::json::Document;
    use crate::splice::Facts;

    #[test]
    fn good_answers_are_told_at_once_and_then_once_a_second() {
        let ledger = Ledger::default();
        assert!(ledger.is_good("a/m", 5000) && ledger.take_good("a/m") == 1);
        assert!(!ledger.is_good("a/m", 5001) && !ledger.is_good("a/m", 5999));
        assert!(ledger.is_good("b/m", 5999));
        assert!(ledger.is_good("a/m", 6000) && ledger.take_good("a/m") == 3);
        assert_eq!((ledger.take_good("a/m"), ledger.take_good("nobody/m")), (0, 0));
        // A clock that was set back stops nothing.
        assert!(ledger.is_good("a/m", 1000));
    }

    #[test]
    fn of_a_body_no_more_is_kept_than_is_little() {
        let body = |padding: usize| {
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(padding))
        };
        let known = |text: &str, with_spans: bool| {
            let document = Document::parse(text.as_bytes()).unwrap();
            let facts = Facts::of(Operation::Chat, &document).unwrap();
            Known::new(text.as_bytes(), facts.spans(&document).filter(|_| with_spans), None)
        };
        let (little, large) = (body(1), body(MAX_KEPT));
        assert_eq!(known(&little, false).wanted(), Some(little.as_bytes()));
        assert_eq!(known(&little, true).wanted(), Some(&br#"{"model":"m""#[..]));
        assert_eq!(known(&large, true).wanted(), Some(&br#"{"model":"m""#[..]));
        assert_eq!(known(&large, false).wanted(), None);
        // One that is kept for its beginning is not there for who wants all of it.
        let known = Known { spans: None, ..known(&large, true) };
        assert_eq!((known.wanted(), known.size), (None, large.len()));
    }
}
