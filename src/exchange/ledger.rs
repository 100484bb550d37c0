//! What the attempts of a request have used, where the gateway position finds it when the request is over.
//!
//! Both positions run in one VM on each worker, and this is in its memory: an attempt writes down what it sees as it goes,
//! so that a client that leaves in the middle of an answer leaves no gap. Where the positions are not in one VM (for a moment,
//! when configuration has changed) the gateway finds nothing, and settles by its estimate.

use core::cell::{Cell, RefCell};

use hashbrown::HashMap;

use crate::chat::Usage;
use crate::route::Hop;
use crate::splice::Spans;

/// Requests under way.
#[derive(Debug, Default)]
pub struct Ledger {
    last: Cell<u64>,
    open: RefCell<HashMap<u64, Entry>>,
}

/// What is known of one request.
#[derive(Debug, Default)]
struct Entry {
    /// Of each attempt.
    charges: Vec<Charge>,
    spans: Option<Spans>,
}

/// What one attempt has used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// [`Hop::target`]
    pub target: String,
    /// [`Hop::provider`]
    pub provider: String,
    /// [`Hop::model`]
    pub model: String,
    /// What the provider says that it took.
    pub usage: Option<Usage>,
    /// About how many tokens of an answer were seen.
    pub said: u64,
}

impl Ledger {
    /// A request begins; the number is by what its attempts find it. What the gateway position has found out about its body
    /// is there for them.
    pub(super) fn open(&self, spans: Option<Spans>) -> u64 {
        self.last.set(self.last.get().wrapping_add(1));
        self.open.borrow_mut().insert(self.last.get(), Entry { charges: Vec::new(), spans });
        self.last.get()
    }

    /// Where its body is to be changed, if that is known.
    pub(super) fn spans(&self, request: u64) -> Option<Spans> {
        self.open.borrow().get(&request)?.spans.clone()
    }

    /// An attempt begins.
    pub(super) fn begin(&self, request: u64, hop: &Hop) {
        if let Some(Entry { charges, .. }) = self.open.borrow_mut().get_mut(&request) {
            let (target, provider, model) = (hop.target.clone(), hop.provider.clone(), hop.model.clone());
            charges.push(Charge { target, provider, model, usage: None, said: 0 });
        }
    }

    /// The attempt that began last has used so much, in all.
    pub(super) fn tell(&self, request: u64, usage: Option<Usage>, said: u64) {
        let mut open = self.open.borrow_mut();
        if let Some(charge) = open.get_mut(&request).and_then(|entry| entry.charges.last_mut()) {
            charge.usage = usage.or(charge.usage);
            charge.said = said;
        }
    }

    /// What is there by now.
    pub(super) fn read(&self, request: u64) -> Vec<Charge> {
        self.open.borrow().get(&request).map(|entry| entry.charges.clone()).unwrap_or_default()
    }

    /// The request is over.
    pub(super) fn close(&self, request: u64) -> Vec<Charge> {
        self.open.borrow_mut().remove(&request).unwrap_or_default().charges
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
