//! The host's calls as the streams need them. Header values are bytes: the SDK's own string calls panic on others.

use std::time::UNIX_EPOCH;

use log::warn;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, MapType};

use crate::exchange::{Flow, Reply, Step};

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

    pub fn body(self) -> BufferType {
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

/// A header's value, if it is there.
pub(super) fn header(half: Half, name: &str) -> Option<String> {
    let value = hostcalls::get_map_value_bytes(half.headers(), name).ok().flatten()?;
    Some(String::from_utf8_lossy(&value).into_owned())
}

/// The value of a property, if it has one.
pub(super) fn property(name: &str) -> Option<Vec<u8>> {
    hostcalls::get_property(vec![name]).ok().flatten().filter(|value| !value.is_empty())
}

/// A stretch of a buffer.
pub(super) fn buffer(kind: BufferType, start: usize, size: usize) -> Vec<u8> {
    if size == 0 {
        return Vec::new();
    }
    hostcalls::get_buffer(kind, start, size).ok().flatten().unwrap_or_default()
}

/// Nanoseconds since 1970.
pub(super) fn now() -> u64 {
    let now = hostcalls::get_current_time().ok();
    let since = now.and_then(|now| now.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or_default()
}

/// A call that the host refuses is a fault of this program or of Envoy's configuration: it is said, and nothing traps.
fn check<T>(what: &str, result: Result<T, proxy_wasm::types::Status>) {
    if let Err(status) = result {
        warn!("model-gateway: Envoy refused {what}: {status:?}");
    }
}
