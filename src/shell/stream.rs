//! One HTTP stream, call by call: whatever stands at this position is asked, and its answer done.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::host::{self, Call, Half, Seen};
use super::{idle, metrics, queue};
use crate::exchange::{Flow, Machine, Step, Want};

pub(super) struct Stream<M> {
    /// A tick finds it too, while its request waits.
    machine: Rc<RefCell<M>>,
    /// Differs from stream to stream, for what is left to chance.
    id: u32,
    /// Headers that were read.
    headers: Seen,
    /// How much of the answer that Envoy holds the machine has seen already, in bytes.
    seen: usize,
}

impl<M: Machine> Stream<M> {
    pub fn new(machine: M, id: u32) -> Self {
        Self { machine: Rc::new(RefCell::new(machine)), id, headers: Seen::default(), seen: 0 }
    }
}

impl<M: Machine> Context for Stream<M> {
    fn on_done(&mut self) -> bool {
        idle::over(self.id);
        metrics::change(&self.machine.borrow_mut().closed());
        queue::over(self.id);
        true
    }
}

impl<M: Machine + 'static> Stream<M> {
    fn host(&self, half: Half) -> Call<'_> {
        Call::new(half, self.id, &self.headers)
    }

    /// More of the request's body is there, `size` bytes in all; `end` if it is the last.
    fn request(&mut self, size: usize, end: bool) -> Action {
        let mut machine = self.machine.borrow_mut();
        let step = match machine.wants_request() {
            Want::Nothing => return Action::Continue,
            Want::Sight | Want::End => return Action::Continue,
            _ if !end => machine.request_grows(size as u64),
            wanted => {
                let body = host::body(Half::Request, 0, wanted.of(size));
                machine.request_body(&self.host(Half::Request), &body)
            }
        };
        drop(machine);
        if step.flow == Flow::Wait {
            queue::waits(self.id, self.machine.clone());
        }
        self.apply(step, size)
    }

    fn apply(&mut self, step: Step, held: usize) -> Action {
        let changes = !step.drop.is_empty() || !step.headers.is_empty();
        let action = host::apply(Half::Request, step, held);
        if changes || action == Action::Continue {
            self.headers = Seen::default();
        }
        action
    }

    /// The same for the answer's.
    fn response(&mut self, size: usize, end: bool) -> Action {
        let mut machine = self.machine.borrow_mut();
        let wanted = machine.wants_response();
        let step = match wanted {
            Want::Nothing => return Action::Continue,
            Want::End if !end => return Action::Continue,
            Want::Sight | Want::End => {
                let bytes = if wanted == Want::Sight { host::body(Half::Response, 0, size) } else { Vec::new() };
                host::finish(machine.response_passes(&self.host(Half::Response), &bytes, end));
                return Action::Continue;
            }
            Want::Whole if !end => machine.response_grows(&self.host(Half::Response), size as u64),
            Want::Whole | Want::Start { .. } | Want::Pieces => {
                let bytes = host::body(Half::Response, self.seen, size.saturating_sub(self.seen));
                machine.response_body(&self.host(Half::Response), &bytes, end)
            }
        };
        let action = host::apply(Half::Response, step, size);
        match (wanted, action) {
            (Want::Pieces, Action::Continue) if !end => idle::heard(self.id),
            _ => idle::over(self.id),
        }
        self.seen = if action == Action::Pause && wanted == Want::Pieces { size } else { 0 };
        action
    }
}

impl<M: Machine + 'static> HttpContext for Stream<M> {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        let step = self.machine.borrow_mut().request_headers(&self.host(Half::Request), end);
        self.apply(step, 0)
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.request(size, end)
    }

    /// Trailers come in place of an end of the body.
    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.request(host::held(Half::Request).unwrap_or_default(), true)
    }

    fn on_http_response_headers(&mut self, _: usize, end: bool) -> Action {
        self.headers = Seen::default();
        let step = self.machine.borrow_mut().response_headers(&self.host(Half::Response), end);
        host::apply(Half::Response, step, 0)
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        self.response(size, end)
    }

    /// At the end of all, where the access log is written: the one call in which properties can still be read.
    fn on_log(&mut self) {
        let host = self.host(Half::Response);
        host::finish(self.machine.borrow_mut().done(&host));
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        match host::held(Half::Response) {
            Some(size) => self.response(size, true),
            None if self.machine.borrow().wants_response() == Want::Nothing => Action::Continue,
            None if matches!(self.machine.borrow().wants_response(), Want::Sight | Want::End) => self.response(0, true),
            // Of a stream that went on piece by piece nothing is held, and nothing can be added to it.
            None => {
                let step = self.machine.borrow_mut().response_body(&self.host(Half::Response), b"", true);
                host::apply_without_body(step)
            }
        }
    }
}
