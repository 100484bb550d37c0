//! Streams whose requests wait for their turn. Only a tick can come back to them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::Action;

use super::host::{self, Call, Half, Seen, check};
use crate::config::Config;
use crate::exchange::{Flow, Machine};

thread_local! {
    /// By the stream's context.
    static WAITING: RefCell<BTreeMap<u32, Waiting>> = const { RefCell::new(BTreeMap::new()) };
}

type Waiting = Rc<RefCell<dyn Machine>>;

/// How often to look, if any limit lets requests wait.
pub(super) fn period(config: &Config) -> Option<Duration> {
    config.limits.iter().any(|limit| limit.wait.is_some()).then_some(Duration::from_millis(20))
}

/// The request of this stream waits.
pub(super) fn waits(stream: u32, machine: Waiting) {
    WAITING.with_borrow_mut(|waiting| waiting.insert(stream, machine));
}

/// It is gone.
pub(super) fn over(stream: u32) {
    WAITING.with_borrow_mut(|waiting| waiting.remove(&stream));
}

/// Sends on those whose turn it is, and refuses those who have waited long enough. From a tick only.
pub(super) fn look() {
    // Whoever goes may make room for the next one.
    while !WAITING.with_borrow(BTreeMap::is_empty) {
        let all: Vec<(u32, Waiting)> =
            WAITING.with_borrow(|waiting| waiting.iter().map(|(stream, machine)| (*stream, machine.clone())).collect());
        if !all.into_iter().fold(false, |any, (stream, machine)| try_again(stream, &machine) || any) {
            return;
        }
    }
}

/// Whether it waits no more.
fn try_again(stream: u32, machine: &Waiting) -> bool {
    if hostcalls::set_effective_context(stream).is_err() {
        over(stream);
        return true;
    }
    let held = || host::held(Half::Request).unwrap_or_default();
    let headers = Seen::default();
    let call = Call::new(Half::Request, stream, &headers);
    let step = machine.borrow_mut().request_waits(&call, &|| host::body(Half::Request, 0, usize::MAX));
    if step.flow == Flow::Wait {
        return false;
    }
    over(stream);
    let size = if step.body.is_some() { held() } else { 0 };
    if host::apply(Half::Request, step, size) == Action::Continue {
        check("resume", hostcalls::resume_http_request());
    }
    true
}
