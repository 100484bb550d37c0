//! Requests of one worker that are over, counted some at a time: in metrics, and on the page.
//!
//! What is run once for each request is cold each time (ARCHITECTURE, "Speed"). So they are counted together: as soon as no other
//! request is under way, when there are many, and every now and then.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use super::metrics::updates;
use super::record::Record;
use super::traffic;
use crate::config::Config;
use crate::metrics::Update;
use crate::route::Shared;

/// Those that are not counted yet.
#[derive(Debug, Default)]
pub struct Tally {
    under_way: Cell<usize>,
    over: RefCell<Vec<(Rc<Config>, Record)>>,
}

/// That a request is under way, until this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay(Rc<Tally>);

/// How many are kept, at some 1.5 KB each. To count them takes a worker about as long as one request.
const MOST: usize = 32;

impl Tally {
    /// A request has come.
    pub(super) fn begin(self: &Rc<Self>) -> UnderWay {
        self.under_way.set(self.under_way.get() + 1);
        UnderWay(self.clone())
    }

    /// Counts those that are over, in the page's records where there is one; what changes in metrics is for the caller.
    pub fn count(&self, shared: &dyn Shared) -> Vec<Update> {
        let over = self.over.take();
        let shown = over.iter().filter(|(config, _)| config.page.is_some()).map(|(_, record)| record);
        traffic::add(&shown.collect::<Vec<_>>(), shared);
        over.iter().filter(|(config, _)| config.metrics).flat_map(|(_, record)| updates(record)).collect()
    }
}

impl UnderWay {
    /// It is over. What changes in metrics now, by this one and others before it.
    pub(super) fn over(&self, config: &Rc<Config>, record: Record, shared: &dyn Shared) -> Vec<Update> {
        let Self(tally) = self;
        if !config.metrics && config.page.is_none() {
            return Vec::new();
        }
        let mut over = tally.over.borrow_mut();
        if over.capacity() == 0 {
            over.reserve(MOST);
        }
        over.push((config.clone(), record));
        let is_last = tally.under_way.get() <= 1;
        if !is_last && over.len() < MOST {
            return Vec::new();
        }
        drop(over);
        tally.count(shared)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use serde_json::json;

    use super::{MOST, Tally};
    use crate::config::Config;
    use crate::dialect::Operation;
    use crate::exchange::{Asked, Record};
    use crate::live;
    use crate::route::board::Board;

    const NOW: u64 = 1_700_000_000_000;

    fn config(metrics: bool, page: bool) -> Rc<Config> {
        let mut file = json!({
            "providers": {"a": {"kind": "openai"}},
            "models": {"m": {"targets": [{"provider": "a", "model": "x"}]}},
            "keys": [{"name": "k", "role": "admin", "sha256": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"}],
            "metrics": metrics,
        });
        if page {
            file["page"] = json!({});
        }
        Rc::new(Config::check(&serde_json::from_value(file).unwrap()).unwrap())
    }

    fn record(config: &Config, ended: u64) -> Record {
        let asked = Asked { began: NOW, operation: Some(Operation::Chat), found: Some("m".into()), ..Asked::default() };
        Record::new(config, asked, Vec::new(), None, ended)
    }

    fn shown(shared: &Board) -> Vec<u64> {
        live::hour(shared, NOW + live::MINUTE)
            .iter()
            .map(|minute| minute.totals.requests())
            .filter(|count| *count > 0)
            .collect()
    }

    #[test]
    fn requests_are_counted_when_no_other_is_under_way() {
        let (config, shared, tally) = (config(true, true), Board::default(), Rc::<Tally>::default());
        let (first, second) = (tally.begin(), tally.begin());
        assert_eq!(first.over(&config, record(&config, NOW), &shared), []);
        assert!(shown(&shared).is_empty());
        drop(first);
        // The second is the last.
        let updates = second.over(&config, record(&config, NOW + live::MINUTE), &shared);
        let requests = updates.iter().filter(|update| update.metric.name == "model_gateway_requests_total");
        assert_eq!(requests.count(), 2);
        assert_eq!(shown(&shared), [1, 1]);
        drop(second);
        // Nothing is counted twice.
        assert_eq!(tally.count(&shared), []);
        assert_eq!(shown(&shared), [1, 1]);
    }

    #[test]
    fn they_are_counted_when_there_are_many_and_when_somebody_asks_for_it() {
        let (config, shared, tally) = (config(true, true), Board::default(), Rc::<Tally>::default());
        let (one, _other) = (tally.begin(), tally.begin());
        for number in 1..=MOST {
            let updates = one.over(&config, record(&config, NOW), &shared);
            assert_eq!(updates.is_empty(), number < MOST);
        }
        assert_eq!(shown(&shared), [MOST as u64]);
        assert_eq!(one.over(&config, record(&config, NOW), &shared), []);
        assert!(!tally.count(&shared).is_empty());
        assert_eq!(shown(&shared), [MOST as u64 + 1]);
    }

    #[test]
    fn each_is_counted_as_its_own_configuration_has_it() {
        let (shared, tally) = (Board::default(), Rc::<Tally>::default());
        let (one, _other) = (tally.begin(), tally.begin());
        for (metrics, page) in [(true, false), (false, true), (false, false)] {
            let config = config(metrics, page);
            one.over(&config, record(&config, NOW), &shared);
        }
        assert_eq!(tally.over.borrow().len(), 2);
        let updates = tally.count(&shared);
        assert_eq!(updates.iter().filter(|update| update.metric.name == "model_gateway_requests_total").count(), 1);
        assert_eq!(shown(&shared), [1]);
    }
}
