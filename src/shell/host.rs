//! The host's calls as the streams need them. Header values are bytes: the SDK's own string calls panic on others.

use std::time::UNIX_EPOCH;

use log::warn;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, MapType};

use crate::exchange::{Flow, Moment, Reply, Step, View};

/// Which half of a stream a step is about.
#[derive(Clone, Copy)]
pub(super) enum Half {
    Request,
    Response,
}

impl Half {
    fn headers(self) -> MapType {
        match self {
            Self::Request => MapType::HttpRequestHeaders,
            Self::Response => MapType::HttpResponseHeaders,
        }
    }

    fn body(self) -> BufferType {
        match self {
            Self::Request => BufferType::HttpRequestBody,
            Self::Response => BufferType::HttpResponseBody,
        }
    }
}

/// Does what `step` says. `held` is how much of the body Envoy holds, in bytes.
pub(super) fn apply(half: Half, step: Step, held: usize) -> Action {
    for (name, value) in step.properties {
        check(name, hostcalls::set_property(vec![name], Some(&value)));
    }
    if let Flow::Reply(reply) = step.flow {
        return answer(reply);
    }
    for (name, value) in step.headers {
        let value = value.as_ref().map(String::as_bytes);
        check(name, hostcalls::set_map_value_bytes(half.headers(), name, value));
    }
    if let Some(body) = step.body {
        check("body", hostcalls::set_buffer(half.body(), 0, held, body.as_bytes()));
    }
    if step.reroute {
        check("clear_route_cache", hostcalls::call_foreign_function("clear_route_cache", None));
    }
    if step.flow == Flow::Hold { Action::Pause } else { Action::Continue }
}

fn answer(reply: Reply) -> Action {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(reply.headers.iter().map(|(name, value)| (*name, value.as_str())));
    let sent = hostcalls::send_http_response(u32::from(reply.status), headers, Some(reply.body.as_bytes()));
    check("reply", sent);
    Action::Pause
}

impl View for Half {
    fn header(&self, name: &str) -> Option<String> {
        let value = hostcalls::get_map_value_bytes(self.headers(), name).ok().flatten()?;
        Some(String::from_utf8(value).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    fn property(&self, name: &str) -> Option<Vec<u8>> {
        hostcalls::get_property(vec![name]).ok().flatten().filter(|value| !value.is_empty())
    }
}

/// A stretch of the body that Envoy holds.
pub(super) fn body(half: Half, start: usize, size: usize) -> Vec<u8> {
    buffer(half.body(), start, size)
}

/// A stretch of a buffer.
pub(super) fn buffer(kind: BufferType, start: usize, size: usize) -> Vec<u8> {
    if size == 0 {
        return Vec::new();
    }
    hostcalls::get_buffer(kind, start, size).ok().flatten().unwrap_or_default()
}

/// The time, and chance that differs for every stream `id`.
pub(super) fn moment(id: u32) -> Moment {
    let now = hostcalls::get_current_time().ok();
    let since = now.and_then(|now| now.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    Moment {
        now: since.as_secs(),
        seed: (u64::from(id) << 32) ^ (since.as_secs() << 30) ^ u64::from(since.subsec_nanos()),
    }
}

/// A call that the host refuses is a fault of this program or of Envoy's configuration: it is said, and nothing traps.
fn check<T>(what: &str, result: Result<T, proxy_wasm::types::Status>) {
    if let Err(status) = result {
        warn!("model-gateway: Envoy refused {what}: {status:?}");
    }
}
