//! What all workers have in common, in tests.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::shared::{Shared, Version};

/// Records in memory.
#[derive(Clone, Default)]
pub struct Board {
    records: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
}

impl Shared for Board {
    fn get(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        let (record, version) = self.records.borrow().get(key).cloned().unzip();
        (record, Version(version.unwrap_or(u32::MAX)))
    }

    fn set(&self, key: &str, record: &[u8], Version(version): Version) -> bool {
        let mut records = self.records.borrow_mut();
        let current = records.get(key).map_or(u32::MAX, |(_, version)| *version);
        let good = version == current;
        if good {
            records.insert(key.to_owned(), (record.to_vec(), current.wrapping_add(2)));
        }
        good
    }
}

impl Board {
    /// How many records there are.
    pub fn count(&self) -> usize {
        self.records.borrow().len()
    }
}
