//! Position provider, call by call.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::host::{self, Half};
use crate::exchange::{AnswerHead, Attempt, Want};
use crate::names;

pub(super) struct Stream {
    machine: Attempt,
    /// How much of the answer that Envoy holds the machine has seen already.
    seen: usize,
}

impl Stream {
    pub fn new(machine: Attempt) -> Self {
        Self { machine, seen: 0 }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let plan = host::property(names::PLAN);
        host::apply(Half::Request, self.machine.request_headers(plan.as_deref()), 0)
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        match self.machine.wants_request() {
            Want::Nothing => Action::Continue,
            Want::Whole | Want::Pieces if !end => Action::Pause,
            Want::Whole | Want::Pieces => {
                let body = host::buffer(Half::Request.body(), 0, size);
                host::apply(Half::Request, self.machine.request_body(&body), size)
            }
        }
    }

    fn on_http_response_headers(&mut self, _: usize, end: bool) -> Action {
        let header = |name| host::header(Half::Response, name);
        let (content_type, retry_after) = (header("content-type"), header("retry-after"));
        let retry_after_ms = header("retry-after-ms");
        let head = AnswerHead {
            status: header(":status").and_then(|status| status.parse().ok()).unwrap_or_default(),
            content_type: content_type.as_deref(),
            retry_after: retry_after.as_deref(),
            retry_after_ms: retry_after_ms.as_deref(),
        };
        let step = self.machine.response_headers(&head, end, host::now() / 1_000_000_000);
        host::apply(Half::Response, step, 0)
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        let step = match self.machine.wants_response() {
            Want::Nothing => return Action::Continue,
            Want::Whole if !end => self.machine.response_grows(size as u64),
            Want::Whole | Want::Pieces => {
                let bytes = host::buffer(Half::Response.body(), self.seen, size.saturating_sub(self.seen));
                self.machine.response_body(&bytes, end)
            }
        };
        let pieces = self.machine.wants_response() == Want::Pieces;
        let action = host::apply(Half::Response, step, size);
        self.seen = if action == Action::Pause && pieces { size } else { 0 };
        action
    }
}
