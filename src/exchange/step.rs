//! What a machine and its host say to each other.

use std::borrow::Cow;

use crate::headers::{Headers, Names};
use crate::metrics::Update;
use crate::names;
use crate::route::Shared;

/// What to do now, in this order: properties, headers, body, flow.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Properties to set.
    pub properties: Vec<(Cow<'static, str>, Vec<u8>)>,
    /// Headers to remove, of the request or the response, whichever is being handled; before others are set.
    pub drop: Names,
    /// Headers to set, or to remove where there is no value.
    pub headers: Vec<(&'static str, Option<String>)>,
    /// What to put in place of the body that the host holds.
    pub body: Option<String>,
    /// Of how many of its first bytes; `None`: of all of it.
    pub replaces: Option<usize>,
    /// Whether what the client has of the answer must not look complete: where there is no place for `body`, the stream
    /// is to be reset.
    pub broken: bool,
    /// Whether Envoy is to choose the route again, as properties that it depends on have changed.
    pub reroute: bool,
    /// What changes in metrics.
    pub metrics: Vec<Update>,
    /// What operators should know.
    pub notices: Vec<Notice>,
    /// How to go on.
    pub flow: Flow,
}

/// Something for the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Notice {
    /// That something is well again.
    Info(String),
    /// That something fails, and may mend itself.
    Warning(String),
    /// That something fails until the operator mends it.
    Error(String),
}

/// How to go on.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// Pass on what the host holds.
    #[default]
    Continue,
    /// Keep it, and come back with more.
    Hold,
    /// Keep it, and come back with [`Machine::request_waits`] every now and then.
    Wait,
    /// Answer the client.
    Reply(Reply),
}

/// An answer that the gateway gives itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers besides `content-type: application/json`, or with another type in its place.
    pub headers: Vec<(&'static str, String)>,
    /// JSON, unless the headers say otherwise.
    pub body: String,
}

/// What a machine wants of a body that is coming in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Nothing: pass it on.
    Nothing,
    /// All of it at once, when it is complete.
    Whole,
    /// When it is complete, so many of its first `bytes` if it is `of` so many in all, or else all of it.
    Start {
        /// What is wanted.
        bytes: usize,
        /// What there should be.
        of: usize,
    },
    /// Each piece as it comes.
    Pieces,
    /// To see each piece go by: see [`Machine::response_passes`].
    Sight,
    /// The same of the end alone.
    End,
}

impl Want {
    /// How much of a complete body of so many bytes is wanted.
    pub fn of(self, size: usize) -> usize {
        match self {
            Self::Start { bytes, of } if of == size => bytes,
            _ => size,
        }
    }
}

/// One HTTP stream as a machine: a method for each thing that happens. What a machine does not care for passes.
pub trait Machine {
    /// The request's headers are there; `end` if no body follows.
    fn request_headers(&mut self, _host: &dyn Host, _end: bool) -> Step {
        Step::go()
    }

    /// What is wanted of the request's body.
    fn wants_request(&self) -> Want {
        Want::Nothing
    }

    /// So many bytes of a body that is wanted whole are there, and more to come.
    fn request_grows(&mut self, _bytes: u64) -> Step {
        Step::hold()
    }

    /// What [`Self::wants_request`] asked for.
    fn request_body(&mut self, _host: &dyn Host, _body: &[u8]) -> Step {
        Step::go()
    }

    /// The request still waits; `body` reads it.
    fn request_waits(&mut self, _host: &dyn Host, _body: &dyn Fn() -> Vec<u8>) -> Step {
        Step::go()
    }

    /// The answer's headers are there; `end` if no body follows.
    fn response_headers(&mut self, _host: &dyn Host, _end: bool) -> Step {
        Step::go()
    }

    /// What is wanted of the answer's body.
    fn wants_response(&self) -> Want {
        Want::Nothing
    }

    /// So many bytes of an answer that is wanted whole are there, and more to come.
    fn response_grows(&mut self, _host: &dyn Host, _bytes: u64) -> Step {
        Step::hold()
    }

    /// What [`Self::wants_response`] asked for; `end` if it was the last.
    fn response_body(&mut self, _host: &dyn Host, _bytes: &[u8], _end: bool) -> Step {
        Step::go()
    }

    /// What [`Self::wants_response`] asked to see goes on as it is, `end` if it was the last; of a step only the properties count.
    fn response_passes(&mut self, _host: &dyn Host, _bytes: &[u8], _end: bool) -> Step {
        Step::go()
    }

    /// The stream is over, however it ended; of a step only properties, metrics and notices count now.
    fn done(&mut self, _host: &dyn Host) -> Step {
        Step::go()
    }

    /// The machine is given up: what there is still to count. Nothing can be looked at any more.
    fn closed(&mut self) -> Vec<Update> {
        Vec::new()
    }
}

/// How a stream ended, where it did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It did.
    Complete,
    /// The client left.
    ClientLeft,
    /// The provider, or the way to it, took too long.
    TimedOut,
    /// The provider, or the way to it, failed.
    Failed,
}

/// What a machine can look at. Each look costs a call.
pub trait Host: Shared {
    /// The time, in milliseconds since 1970.
    fn now(&self) -> u64;

    /// Decides what is left to chance.
    fn seed(&self) -> u64;

    /// A header of the request or the response, whichever is being handled and has not been passed on yet. Bytes that
    /// are not UTF-8 are replaced.
    fn header(&self, name: &str) -> Option<String>;

    /// All of them.
    fn headers(&self) -> Headers;

    /// A property that a machine set, on this stream or, for an attempt, on its request; or one of Envoy's own, the parts of
    /// its path joined by NULs.
    fn property(&self, name: &str) -> Option<Vec<u8>>;

    /// The address that the request comes from, without a port.
    fn client(&self) -> Option<String>;

    /// How the stream ended, once it has.
    fn ending(&self) -> Ending;
}

/// The longest value that a header is given.
const MAX_VALUE: usize = 2048;

/// Whether all is between a space and a tilde.
fn is_plain(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else { return text.iter().all(|byte| matches!(byte, b' '..=b'~')) };
    text.as_chunks().0.iter().chain([last]).all(|bytes| {
        // The highest bit of each byte: of what is too large, of what is too large or a delete, of what is not too small.
        let bytes = u64::from_le_bytes(*bytes);
        let (large, delete, not_small) = (bytes, bytes.wrapping_add(EACH), bytes.wrapping_add(EACH * 0x60));
        (large | delete | !not_small) & (EACH * 0x80) == 0
    })
}

/// Few lists stay short, and to let one grow takes longer than to make it.
fn room<T>(list: &mut Vec<T>) -> &mut Vec<T> {
    if list.capacity() == 0 {
        list.reserve(16);
    }
    list
}

/// Eight bytes of 1.
const EACH: u64 = 0x0101_0101_0101_0101;

impl Step {
    /// Pass everything on as it is.
    pub fn go() -> Self {
        Self::default()
    }

    /// Wait for more.
    pub fn hold() -> Self {
        Flow::Hold.into()
    }

    /// The same for a response that has no body and so no place in Envoy to put one: what would have stood there is a
    /// reply of the gateway's own. A reply is final: where Envoy is to try again, the body is left out.
    pub fn without_body(mut self) -> Self {
        let Some(body) = self.body.take().filter(|body| !body.is_empty()) else {
            return self;
        };
        if self.headers.iter().any(|(name, _)| *name == names::RETRY_HEADER) {
            self.set("content-length", "0");
            return self;
        }
        let mut reply = Reply { status: 502, headers: Vec::new(), body };
        for (name, value) in self.headers.drain(..) {
            match (name, value) {
                (":status", Some(status)) => reply.status = status.parse().unwrap_or(reply.status),
                ("content-type" | "content-length", _) | (_, None) => {}
                (name, Some(value)) => reply.headers.push((name, value)),
            }
        }
        self.flow = Flow::Reply(reply);
        self
    }

    /// Sets a header. Values can come from a request's body or from configuration: what could end a header's line, or is
    /// no text that every hop takes, is replaced.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        let mut value: String = value.into();
        if !is_plain(value.as_bytes()) {
            value = value.chars().map(|it| if matches!(it, ' '..='~') { it } else { '?' }).collect();
        }
        value.truncate(MAX_VALUE);
        room(&mut self.headers).push((name, Some(value)));
    }

    /// Removes a header.
    pub fn remove(&mut self, name: &'static str) {
        room(&mut self.headers).push((name, None));
    }

    /// Tells operators.
    pub fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// Sets a property.
    pub fn property(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Vec<u8>>) {
        room(&mut self.properties).push((name.into(), value.into()));
    }
}

impl Reply {
    /// Whether it is what its headers would say if they said anything.
    pub fn is_json(&self) -> bool {
        !self.headers.iter().any(|(name, _)| *name == "content-type")
    }
}

impl From<Flow> for Step {
    fn from(flow: Flow) -> Self {
        Self { flow, ..Self::default() }
    }
}

impl From<Reply> for Step {
    fn from(reply: Reply) -> Self {
        Flow::Reply(reply).into()
    }
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn what_a_value_may_have_is_found_wherever_it_is() {
        for length in 0..40 {
            assert!(is_plain(&vec![b'~'; length]) && is_plain(&vec![b' '; length]));
            for at in 0..length {
                for byte in 0..=255 {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    assert_eq!(is_plain(&text), (b' '..=b'~').contains(&byte), "{byte} at {at} of {length}");
                    // What is carried from one byte to the next does not make it another.
                    text.fill(byte);
                    text[at] = b'a';
                    assert_eq!(
                        is_plain(&text),
                        length == 1 || (b' '..=b'~').contains(&byte),
                        "around {at} of {length}"
                    );
                }
            }
        }
    }
}
