//! The records that workers share, in memory: in Envoy each look at one is a call of the host, which is not counted here.

use std::cell::RefCell;

use hashbrown::HashMap;
use model_gateway::config::Config;
use model_gateway::route::{Shared, Version};
use serde_json::Value;

#[derive(Default)]
pub struct Board(RefCell<HashMap<String, (Vec<u8>, u32)>>);

impl Shared for Board {
    fn get(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        let (record, version) = self.0.borrow().get(key).cloned().unzip();
        (record, Version(version.unwrap_or(u32::MAX)))
    }

    fn set(&self, key: &str, record: &[u8], Version(version): Version) -> bool {
        self.0.borrow_mut().insert(key.to_owned(), (record.to_vec(), version.wrapping_add(1)));
        true
    }
}

/// The operator's document, checked.
pub fn config(file: Value) -> Config {
    Config::check(&serde_json::from_value(file).unwrap()).unwrap()
}
