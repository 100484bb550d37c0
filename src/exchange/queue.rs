//! Requests that wait for room at a limit, on one worker: who comes first is served first, and there are only so many.

use core::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use hashbrown::HashMap;

/// All that wait.
#[derive(Debug, Default)]
pub struct Queue {
    last: Cell<u64>,
    count: Cell<usize>,
    /// By the account that they wait for, the first in front.
    lines: RefCell<HashMap<String, VecDeque<u64>>>,
}

/// A place in a line, which is free again once this is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    queue: Rc<Queue>,
    account: String,
    number: u64,
}

/// Each holds a request, body and all.
const MOST: usize = 256;

impl Queue {
    /// A place behind all others that wait for this account; `None`: there are too many.
    pub(super) fn join(self: &Rc<Self>, account: &str) -> Option<Ticket> {
        if self.count.get() >= MOST {
            return None;
        }
        self.count.set(self.count.get() + 1);
        let number = self.last.get().wrapping_add(1);
        self.last.set(number);
        self.lines.borrow_mut().entry(account.to_owned()).or_default().push_back(number);
        Some(Ticket { queue: self.clone(), account: account.to_owned(), number })
    }

    /// Whether somebody waits for it.
    pub(super) fn is_awaited(&self, account: &str) -> bool {
        self.lines.borrow().contains_key(account)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.count.get()
    }

    /// Whether nobody does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Ticket {
    pub fn is_first(&self) -> bool {
        self.queue.lines.borrow().get(&self.account).and_then(VecDeque::front) == Some(&self.number)
    }

    pub fn is_for(&self, account: &str) -> bool {
        self.account == account
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut lines = self.queue.lines.borrow_mut();
        self.queue.count.set(self.queue.count.get().saturating_sub(1));
        if let Some(line) = lines.get_mut(&self.account) {
            line.retain(|number| *number != self.number);
            if line.is_empty() {
                lines.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::{MOST, Queue};

    #[test]
    fn who_comes_first_is_served_first_and_who_leaves_leaves_no_gap() {
        let queue = Rc::<Queue>::default();
        let [a, b, c] = ["x"; 3].map(|account| queue.join(account).unwrap());
        let other = queue.join("y").unwrap();
        assert!(a.is_first() && !b.is_first() && other.is_first() && queue.is_awaited("x"));
        drop(b);
        drop(a);
        assert!(c.is_first() && queue.len() == 2);
        drop((c, other));
        assert!(!queue.is_awaited("x") && queue.is_empty());
    }

    #[test]
    fn there_are_only_so_many() {
        let queue = Rc::<Queue>::default();
        let all: Vec<_> = (0..MOST).filter_map(|number| queue.join(&number.to_string())).collect();
        assert_eq!((all.len(), queue.join("x").is_some()), (MOST, false));
        drop(all);
        assert!(queue.join("x").is_some());
    }
}
