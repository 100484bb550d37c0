//! Which statistics there are on a worker: their names, the numbers that Envoy has given them, and the bound on both.

use hashbrown::{HashSet, HashTable};

use super::{Label, Metric, Update};
use crate::words::{hash, same};

/// The statistics of a worker.
#[derive(Debug, Default)]
pub struct Registry {
    series: HashTable<Series>,
    /// Names that clients made up and a provider has answered to.
    names: HashSet<Box<str>>,
    /// The key that is looked for, in memory that stays.
    key: Vec<u8>,
    off: bool,
}

#[derive(Debug)]
struct Series {
    metric: &'static Metric,
    /// The values of its labels, each with [`END`] behind it.
    key: Box<[u8]>,
    id: u32,
}

/// The most statistics for each worker; then labels that can have many values become [`OTHER`].
const MAX_SERIES: usize = 10_000;
/// The most names of models for each worker that clients have made up under patterns.
const MAX_NAMES: usize = 200;
/// The longest value of a label, in bytes.
const MAX_VALUE: usize = 128;
/// What stands for values that are too many.
pub(crate) const OTHER: &str = "other";
/// No byte of a text.
const END: u8 = 0xff;
/// The most labels of a metric.
const MAX_LABELS: usize = 8;

impl Registry {
    /// Turns metrics off, or on again.
    pub fn set_off(&mut self, off: bool) {
        self.off = off;
    }

    /// The number of the statistic that `update` is about. One that is new gets it from `define`, by its name. `None`: metrics
    /// are off.
    pub fn find(&mut self, update: &Update, define: impl FnOnce(&str) -> u32) -> Option<u32> {
        if self.off {
            return None;
        }
        let mut values = [""; MAX_LABELS];
        let labels = update.metric.labels;
        for (value, label) in values.iter_mut().zip(labels) {
            *value = update.value(*label);
        }
        if update.common.made_up {
            self.bound_names(labels, &mut values);
        }
        let values = values.get_mut(..labels.len())?;
        if let Some(id) = self.known(update.metric, values) {
            return Some(id);
        }
        if self.series.len() >= MAX_SERIES {
            let free = values.iter_mut().zip(labels).filter(|(value, label)| !value.is_empty() && label.is_free());
            free.for_each(|(value, _)| *value = OTHER);
            if let Some(id) = self.known(update.metric, values) {
                return Some(id);
            }
        }
        let id = define(&stat_name(update.metric, values));
        let series = Series { metric: update.metric, key: Box::from(&*self.key), id };
        self.series.insert_unique(series.hash(), series, Series::hash);
        Some(id)
    }

    /// Names that clients make up become labels so long as there are few.
    fn bound_names(&mut self, labels: &[Label], values: &mut [&str]) {
        for (value, label) in values.iter_mut().zip(labels) {
            if !matches!(label, Label::RequestModel | Label::ResponseModel) || self.names.contains(*value) {
                continue;
            }
            if self.names.len() < MAX_NAMES {
                self.names.insert(Box::from(*value));
            } else {
                *value = OTHER;
            }
        }
    }

    /// The number of the series with these values; their key stays in `self.key`.
    fn known(&mut self, metric: &'static Metric, values: &[&str]) -> Option<u32> {
        self.key.clear();
        for value in values {
            self.key.extend_from_slice(value.as_bytes());
            self.key.push(END);
        }
        let key = &*self.key;
        let found = self
            .series
            .find(hash_of(metric, key), |series| core::ptr::eq(series.metric, metric) && same(&series.key, key));
        found.map(|series| series.id)
    }
}

impl Series {
    fn hash(&self) -> u64 {
        hash_of(self.metric, &self.key)
    }
}

fn hash_of(metric: &'static Metric, key: &[u8]) -> u64 {
    hash(core::ptr::from_ref(metric).addr() as u64, key)
}

impl Label {
    /// Whether it can have many values, and what it can be is not up to this program.
    fn is_free(self) -> bool {
        !matches!(self, Self::Operation | Self::Outcome | Self::TokenType | Self::Cause | Self::Estimated)
    }
}

/// `NAME;label=value;label=value`, which is how Graphite writes it. Envoy takes it apart by [`tag_pattern`].
fn stat_name(metric: &Metric, values: &[&str]) -> String {
    let mut name = String::from(metric.name);
    for (label, value) in metric.labels.iter().zip(values).filter(|(_, value)| !value.is_empty()) {
        name.push(';');
        name.push_str(label.name());
        name.push('=');
        let mut left = MAX_VALUE;
        for character in value.chars() {
            let Some(rest) = left.checked_sub(character.len_utf8()) else { break };
            left = rest;
            name.push(if character == ';' || character.is_control() { '_' } else { character });
        }
    }
    name
}

/// The regular expression by which Envoy finds `label` in a statistic's name: the first group is taken out of it, the second is
/// the value. <https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/metrics/v3/stats.proto#config-metrics-v3-tagspecifier>
pub fn tag_pattern(label: Label) -> String {
    format!("^wasmcustom\\..*?(;{}=([^;]*))", label.name())
}
