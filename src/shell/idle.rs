//! Streams that clients see, and when their providers were heard last: one that falls silent ends, visibly broken.
//!
//! Envoy has no timer for it. `per_try_idle_timeout` runs while the first content is still awaited, of which it hears nothing
//! as the module holds it, and never fires where `per_try_timeout` is shorter (both measured on 1.40). A reset from a tick
//! is not retried, which is right for a stream that a client has seen.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use proxy_wasm::hostcalls;

use super::host::{check, now};
use crate::names;

thread_local! {
    /// By the stream's context, in milliseconds since 1970. Positions share a VM, and so this.
    static HEARD: RefCell<BTreeMap<u32, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// How often to look for silence that may last so long, in milliseconds.
pub(super) fn period(idle: u64) -> Duration {
    Duration::from_millis((idle / 10).clamp(10, 1000))
}

/// The provider has sent something, and may send more.
pub(super) fn heard(stream: u32) {
    HEARD.with_borrow_mut(|heard| heard.insert(stream, now()));
}

/// Nothing more is awaited.
pub(super) fn over(stream: u32) {
    HEARD.with_borrow_mut(|heard| heard.remove(&stream));
}

/// Ends streams that were silent for so long, in milliseconds. From a tick only: each is gone when its reset returns.
pub(super) fn end_silent(idle: u64) {
    let Some(latest) = now().checked_sub(idle) else { return };
    let silent: Vec<u32> =
        HEARD.with_borrow(|heard| heard.iter().filter(|(_, at)| **at <= latest).map(|(stream, _)| *stream).collect());
    for stream in silent {
        over(stream);
        // One that has just ended by itself is not there any more.
        if hostcalls::set_effective_context(stream).is_ok() {
            let outcome = hostcalls::set_property(vec![names::OUTCOME], Some(names::SILENT.as_bytes()));
            check(names::OUTCOME, outcome);
            check("reset", hostcalls::reset_http_response());
        }
    }
}
