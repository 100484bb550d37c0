//! Position gateway, call by call.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::host::{self, Half};
use crate::exchange::{Gateway, Head, Want};

pub(super) struct Stream {
    machine: Gateway,
    /// Differs from stream to stream, for what is left to chance.
    context: u32,
}

impl Stream {
    pub fn new(machine: Gateway, context: u32) -> Self {
        Self { machine, context }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        let header = |name| host::header(Half::Request, name);
        let (method, path) = (header(":method"), header(":path"));
        let (content_type, content_length) = (header("content-type"), header("content-length"));
        let head = Head {
            method: method.as_deref().unwrap_or_default(),
            path: path.as_deref().unwrap_or_default(),
            content_type: content_type.as_deref(),
            content_length: content_length.as_deref(),
        };
        let step = self.machine.request_headers(&head, end, host::now() / 1_000_000_000);
        host::apply(Half::Request, step, 0)
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        let step = match self.machine.wants_request() {
            Want::Nothing => return Action::Continue,
            Want::Whole | Want::Pieces if !end => self.machine.request_grows(size as u64),
            Want::Whole | Want::Pieces => {
                let body = host::buffer(Half::Request.body(), 0, size);
                let seed = host::now() ^ (u64::from(self.context) << 32);
                self.machine.request_body(&body, seed)
            }
        };
        host::apply(Half::Request, step, size)
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let status = host::header(Half::Response, ":status").and_then(|status| status.parse().ok());
        host::apply(Half::Response, self.machine.response_headers(status.unwrap_or_default()), 0)
    }
}
