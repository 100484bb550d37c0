//! Records of all workers as this one saw them a moment ago: to read one is among the dearest calls of the host, and of what hardly
//! ever changes a worker need not know at once that it has.

use std::cell::RefCell;

use hashbrown::HashMap;

thread_local! {
    static SEEN: RefCell<HashMap<String, Seen>> = RefCell::default();
}

struct Seen {
    /// In milliseconds since 1970.
    at: u64,
    record: Option<Vec<u8>>,
}

/// How long a record is as good as new, in milliseconds.
const MOMENT: u64 = 100;
/// The most records that are kept. Configuration names them, and can change for ever.
const MAX_RECORDS: usize = 4096;

/// The record with that key, by `read` if it was not seen of late.
pub(super) fn get(key: &str, now: u64, read: impl FnOnce() -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    SEEN.with_borrow_mut(|all| {
        if let Some(seen) = all.get_mut(key) {
            if now.abs_diff(seen.at) >= MOMENT {
                *seen = Seen { at: now, record: read() };
            }
            return seen.record.clone();
        }
        if all.len() >= MAX_RECORDS {
            all.clear();
        }
        let record = read();
        all.insert(key.to_owned(), Seen { at: now, record: record.clone() });
        record
    })
}

/// It is about to change.
pub(super) fn forget(key: &str) {
    SEEN.with_borrow_mut(|all| all.remove(key));
}
