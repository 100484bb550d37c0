//! An answer's body, sent step by step.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::dialect::Event;
use super::directives::Directives;
use super::model::Usage;
use super::record::Exchange;

/// What is done next.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Bytes in which so many events end; by the last the client knows this usage.
    Send(Bytes, u64, Option<Usage>),
    /// What was sent leaves before anything else is.
    Flush,
    Wait(Duration),
    /// The connection ends, with the body unfinished.
    Abort,
}

/// A body that follows its steps and tells the record.
pub struct Playback {
    steps: VecDeque<Step>,
    length: Option<u64>,
    waiting: Option<Pin<Box<Sleep>>>,
    exchange: Option<Exchange>,
}

/// A body was given up on purpose.
#[derive(Debug)]
pub struct Aborted;

impl Playback {
    /// `length` is what the body's length is said to be; without one it is sent in chunks.
    pub fn new(steps: VecDeque<Step>, length: Option<u64>, exchange: Option<Exchange>) -> Self {
        if steps.is_empty()
            && let Some(exchange) = &exchange
        {
            exchange.finished();
        }
        Self { steps, length, waiting: None, exchange }
    }

    /// A document that nobody records.
    pub fn of(document: impl Into<Bytes>) -> Self {
        let document = document.into();
        let length = document.len() as u64;
        Self::new([Step::Send(document, 0, None)].into(), Some(length), None)
    }
}

/// The steps that send a stream as the directives want it.
pub fn stream(mut events: Vec<Event>, error: Option<Event>, keepalive: &'static str, d: &Directives) -> VecDeque<Step> {
    let whole = d.end.or(d.cut).or(d.error_event).unwrap_or(usize::MAX);
    events.truncate(whole);
    events.extend(error);
    let mut sends = Vec::new();
    let keepalives = if keepalive.is_empty() { 0 } else { d.keepalive };
    sends.extend((0..keepalives).map(|_| Step::Send(Bytes::from_static(keepalive.as_bytes()), 0, None)));
    if d.split.is_some() || d.coalesce {
        sends.extend(pieces(events, d.split.unwrap_or(usize::MAX)));
    } else {
        sends.extend(events.into_iter().map(|event| Step::Send(event.bytes, 1, event.usage)));
    }
    paced(sends, d)
}

/// The steps that send a document as the directives want it, and the length it is said to have.
pub fn document(mut event: Event, d: &Directives) -> (VecDeque<Step>, u64) {
    if let Some(end) = d.end.filter(|end| *end < event.bytes.len()) {
        event.bytes.truncate(end);
        event.usage = None;
    }
    let length = event.bytes.len() as u64;
    if let Some(cut) = d.cut.filter(|cut| *cut < event.bytes.len()) {
        event.bytes.truncate(cut);
        event.usage = None;
    }
    let sends = if event.bytes.is_empty() { Vec::new() } else { pieces(vec![event], d.split.unwrap_or(usize::MAX)) };
    (paced(sends, d), length)
}

/// All events' bytes in pieces of `size`.
fn pieces(events: Vec<Event>, size: usize) -> Vec<Step> {
    let mut all = Vec::new();
    let ends: Vec<(usize, Option<Usage>)> = events
        .into_iter()
        .map(|event| {
            all.extend_from_slice(&event.bytes);
            (all.len(), event.usage)
        })
        .collect();
    let mut ends = ends.into_iter().peekable();
    let mut rest = Bytes::from(all);
    let mut sent = 0;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let piece = rest.split_to(size.min(rest.len()));
        sent += piece.len();
        let (mut count, mut usage) = (0, None);
        while let Some((_, told)) = ends.next_if(|(end, _)| *end <= sent) {
            count += 1;
            usage = told.or(usage);
        }
        steps.push(Step::Send(piece, count, usage));
    }
    steps
}

fn paced(sends: Vec<Step>, d: &Directives) -> VecDeque<Step> {
    let mut steps = VecDeque::with_capacity(sends.len() * 2 + 2);
    if !d.headers_then_wait.is_zero() {
        steps.push_back(Step::Wait(d.headers_then_wait));
    }
    for (n, send) in sends.into_iter().enumerate() {
        if n > 0 {
            steps.push_back(if d.chunk_delay.is_zero() { Step::Flush } else { Step::Wait(d.chunk_delay) });
        }
        steps.push_back(send);
    }
    if d.cut.is_some() {
        // Else the connection could end with what was sent still in its buffer.
        steps.extend([Step::Flush, Step::Abort]);
    }
    steps
}

impl Body for Playback {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let this = &mut *self;
        if let Some(waiting) = &mut this.waiting {
            std::task::ready!(waiting.as_mut().poll(cx));
            this.waiting = None;
        }
        match this.steps.pop_front() {
            Some(Step::Send(bytes, events, usage)) => {
                if let Some(exchange) = &this.exchange {
                    exchange.sent(events, usage);
                    if this.steps.is_empty() {
                        exchange.finished();
                    }
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Some(Step::Flush) => {
                // hyper flushes whenever the body has nothing for it.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Wait(time)) => {
                let waiting = this.waiting.insert(Box::pin(sleep(time)));
                std::task::ready!(waiting.as_mut().poll(cx));
                this.waiting = None;
                self.poll_frame(cx)
            }
            Some(Step::Abort) => {
                if let Some(exchange) = &this.exchange {
                    exchange.broken("cut");
                    exchange.finished();
                }
                Poll::Ready(Some(Err(Aborted)))
            }
            None => {
                if let Some(exchange) = &this.exchange {
                    exchange.finished();
                }
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the mock was told to break this connection")
    }
}

impl std::error::Error for Aborted {}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<Event> {
        let usage = Usage { output: 9, ..Usage::default() };
        let event = |text: &'static str, usage| Event { bytes: Bytes::from_static(text.as_bytes()), usage };
        vec![event("one", None), event("three", Some(usage)), event("end", None)]
    }

    #[track_caller]
    fn check(directives: &str, expected: &str) {
        let mut read = Directives::default();
        read.merge(directives).unwrap();
        let told: Vec<String> = stream(events(), None, "ping", &read)
            .into_iter()
            .map(|step| match step {
                Step::Send(bytes, events, usage) => {
                    format!("{}:{events}{}", str::from_utf8(&bytes).unwrap(), if usage.is_some() { "u" } else { "" })
                }
                Step::Flush => "/".into(),
                Step::Wait(time) => format!("{}ms", time.as_millis()),
                Step::Abort => "abort".into(),
            })
            .collect();
        assert_eq!(told.join(" "), expected, "{directives}");
    }

    #[test]
    fn streams_are_paced_and_broken() {
        check("", "one:1 / three:1u / end:1");
        check("coalesce", "onethreeend:3u");
        check("split=4", "onet:1 / hree:1u / end:1");
        check("split=20", "onethreeend:3u");
        check("chunk-delay=5&headers-then-wait=9", "9ms one:1 5ms three:1u 5ms end:1");
        check("keepalive=2&coalesce", "ping:0 / ping:0 / onethreeend:3u");
        check("end=1", "one:1");
        check("cut=2", "one:1 / three:1u / abort");
        check("cut=0", "/ abort");
        check("end=0", "");
    }

    #[test]
    fn documents_are_cut_in_bytes() {
        let told = |directives: &str| {
            let mut read = Directives::default();
            read.merge(directives).unwrap();
            document(events().remove(1), &read)
        };
        let usage = Some(Usage { output: 9, ..Usage::default() });
        assert_eq!(told(""), ([Step::Send(Bytes::from("three"), 1, usage)].into(), 5));
        assert_eq!(told("end=2"), ([Step::Send(Bytes::from("th"), 1, None)].into(), 2));
        assert_eq!(told("cut=2"), ([Step::Send(Bytes::from("th"), 1, None), Step::Flush, Step::Abort].into(), 5));
        assert_eq!(told("end=0"), (VecDeque::new(), 0));
    }
}
