//! The host's calls as the streams need them. Header values are bytes: the SDK's own string calls panic on others.

use core::fmt::Debug;
use std::cell::{Cell, OnceCell, RefCell};
use std::time::{Duration, UNIX_EPOCH};

use log::{error, info, warn};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, MapType};

use super::{abi, glances, metrics};
use crate::exchange::{Ending, Flow, Host, Notice, Reply, Step};
use crate::headers::{Headers, Names};
use crate::route::{Shared, Version};

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
    tell(step.notices);
    metrics::change(&step.metrics);
    for (name, value) in step.properties {
        check(&name, abi::set_property(&name, &value));
    }
    if let Flow::Reply(reply) = step.flow {
        return answer(reply);
    }
    set_headers(half, &step.drop, step.headers);
    if let Some(body) = step.body {
        check("body", hostcalls::set_buffer(half.body(), 0, step.replaces.unwrap_or(held), body.as_bytes()));
    }
    if step.reroute {
        check("clear_route_cache", hostcalls::call_foreign_function("clear_route_cache", None));
    }
    if step.flow == Flow::Continue { Action::Continue } else { Action::Pause }
}

/// The same at the end of all: what is said, counted, and there for the access log.
pub(super) fn finish(step: Step) {
    for (name, value) in step.properties {
        check(&name, abi::set_property(&name, &value));
    }
    metrics::change(&step.metrics);
    tell(step.notices);
}

/// Writes to Envoy's log.
fn tell(notices: Vec<Notice>) {
    for notice in notices {
        match notice {
            Notice::Info(text) => info!("model-gateway: {text}"),
            Notice::Warning(text) => warn!("model-gateway: {text}"),
            Notice::Error(text) => error!("model-gateway: {text}"),
        }
    }
}

/// The same at the end of an answer of which Envoy holds no body.
pub(super) fn apply_without_body(mut step: Step) -> Action {
    if !step.headers.is_empty() {
        // They have not gone on: there never was a body.
        return apply(Half::Response, step.without_body(), 0);
    }
    step.body = None;
    let broken = step.broken;
    let action = apply(Half::Response, step, 0);
    if broken {
        check("reset", hostcalls::reset_http_response());
    }
    action
}

/// One call for each: all of them together cost less than to set all headers anew.
fn set_headers(half: Half, drop: &Names, changes: Vec<(&'static str, Option<String>)>) {
    for name in drop.iter() {
        check("to remove a header", abi::remove_header(half.headers(), name));
    }
    for (name, value) in changes {
        let value = value.as_ref().map(String::as_bytes);
        check(name, hostcalls::set_map_value_bytes(half.headers(), name, value));
    }
}

fn answer(reply: Reply) -> Action {
    let mut headers = if reply.is_json() { vec![("content-type", "application/json")] } else { Vec::new() };
    headers.extend(reply.headers.iter().map(|(name, value)| (*name, value.as_str())));
    let sent = hostcalls::send_http_response(u32::from(reply.status), headers, Some(reply.body.as_bytes()));
    check("reply", sent);
    Action::Pause
}

/// Headers as they were read last. Nobody else changes them while they are held.
#[derive(Default)]
pub(super) struct Seen {
    headers: RefCell<Option<Headers>>,
    /// How many were looked at one by one.
    looks: Cell<u8>,
}

/// To read all headers costs as much as to look at so many of them. Of requests more than that are looked at, always.
const FEW: u8 = 2;

/// Envoy, while it calls about one half of a stream.
pub(super) struct Call<'s> {
    half: Half,
    stream: u32,
    seen: &'s Seen,
    /// Since 1970. A call takes no time that matters.
    now: OnceCell<Duration>,
}

impl<'s> Call<'s> {
    /// `stream` differs from stream to stream.
    pub fn new(half: Half, stream: u32, seen: &'s Seen) -> Self {
        Self { half, stream, seen, now: OnceCell::new() }
    }

    fn since_1970(&self) -> Duration {
        *self.now.get_or_init(since_1970)
    }
}

impl Host for Call<'_> {
    fn now(&self) -> u64 {
        milliseconds(self.since_1970())
    }

    fn seed(&self) -> u64 {
        let now = self.since_1970();
        (u64::from(self.stream) << 32) ^ (now.as_secs() << 30) ^ u64::from(now.subsec_nanos())
    }

    fn header(&self, name: &str) -> Option<String> {
        let Seen { headers, looks } = self.seen;
        let is_answers = matches!(self.half, Half::Response);
        if is_answers && headers.borrow().is_none() && looks.replace(looks.get().saturating_add(1)) < FEW {
            return hostcalls::get_map_value_bytes(self.half.headers(), name).ok().flatten().map(text);
        }
        let mut headers = headers.borrow_mut();
        headers.get_or_insert_with(|| all(self.half)).get(name)
    }

    fn headers(&self) -> Headers {
        self.seen.headers.take().unwrap_or_else(|| all(self.half))
    }

    fn property(&self, name: &str) -> Option<Vec<u8>> {
        abi::property(name).ok().filter(|value| !value.is_empty())
    }

    fn client(&self) -> Option<String> {
        let address = self.property("source\0address").map(text)?;
        Some(address.rsplit_once(':').map_or(address.as_str(), |(address, _)| address).to_owned())
    }

    fn ending(&self) -> Ending {
        match self.property("response\0flags").and_then(|flags| flags.try_into().ok()).map_or(0, u64::from_le_bytes) {
            0 => Ending::Complete,
            flags if flags & CLIENT_LEFT != 0 => Ending::ClientLeft,
            flags if flags & TIMED_OUT != 0 => Ending::TimedOut,
            _ => Ending::Failed,
        }
    }
}

impl Shared for Call<'_> {
    fn get(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        // What is not there has no version: with one that no record has, only the first to make it succeeds.
        let (record, version) = hostcalls::get_shared_data(key).unwrap_or_default();
        (record, Version(version.unwrap_or(u32::MAX)))
    }

    fn glance(&self, key: &str) -> Option<Vec<u8>> {
        glances::get(key, self.now(), || self.get(key).0)
    }

    fn set(&self, key: &str, record: &[u8], Version(version): Version) -> bool {
        glances::forget(key);
        hostcalls::set_shared_data(key, Some(record), Some(version)).is_ok()
    }
}

/// Bits of the property `response.flags`:
/// <https://github.com/envoyproxy/envoy/blob/v1.40.0/envoy/stream_info/stream_info.h>
const CLIENT_LEFT: u64 = 1 << 14 | 1 << 18 | 1 << 28;
const TIMED_OUT: u64 = 1 << 2 | 1 << 16 | 1 << 19 | 1 << 22;

/// All headers.
fn all(half: Half) -> Headers {
    let map = abi::header_map(half.headers()).unwrap_or_default();
    Headers::read(map).unwrap_or_else(|| {
        error!("model-gateway: Envoy's headers are fewer than it says");
        Headers::default()
    })
}

/// In milliseconds since 1970.
pub(super) fn now() -> u64 {
    milliseconds(since_1970())
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn since_1970() -> Duration {
    let now = hostcalls::get_current_time().ok();
    now.and_then(|now| now.duration_since(UNIX_EPOCH).ok()).unwrap_or_default()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
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

/// How much of the body Envoy holds, in bytes, where it does not say so; `None` if there is no place for a body now.
pub(super) fn held(half: Half) -> Option<usize> {
    hostcalls::get_buffer(half.body(), 0, usize::MAX).ok().flatten().map(|held| held.len())
}

/// A call that the host refuses is a fault of this program or of Envoy's configuration, and is said. (For most refusals
/// the SDK traps before it comes to this: the machines see to it that headers and bodies are only changed while held.)
pub(super) fn check<T>(what: &str, result: Result<T, impl Debug>) {
    if let Err(status) = result {
        warn!("model-gateway: Envoy refused {what}: {status:?}");
    }
}
