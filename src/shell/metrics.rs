//! Metrics in Envoy, each known by a number that it gave.

use std::cell::RefCell;

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

use super::host::check;
use crate::metrics::{Kind, Registry, Update};

thread_local! {
    /// One for all filters of the VM.
    static REGISTRY: RefCell<Registry> = RefCell::default();
}

/// Turns metrics off, or on again.
pub(super) fn set_off(off: bool) {
    REGISTRY.with_borrow_mut(|registry| registry.set_off(off));
}

/// Changes them.
pub(super) fn change(updates: &[Update]) {
    if updates.is_empty() {
        return;
    }
    REGISTRY.with_borrow_mut(|registry| {
        for update in updates {
            let (kind, amount) = (update.metric.kind, update.amount);
            let Some(id) = registry.find(update, |name| define(kind, name)) else { return };
            let result = match kind {
                Kind::Counter => hostcalls::increment_metric(id, i64::try_from(amount).unwrap_or(i64::MAX)),
                Kind::Histogram(_) => hostcalls::record_metric(id, amount),
            };
            check(update.metric.name, result);
        }
    });
}

fn define(kind: Kind, name: &str) -> u32 {
    let kind = match kind {
        Kind::Counter => MetricType::Counter,
        Kind::Histogram(_) => MetricType::Histogram,
    };
    let id = hostcalls::define_metric(kind, name);
    check(name, id);
    id.unwrap_or_default()
}
