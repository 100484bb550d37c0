//! What is logged of a request and its answer as a whole, as the client sent and saw them.

mod stream;

use std::rc::Rc;

use self::stream::Assembly;
use super::step::Step;
use crate::chance::hash;
use crate::config::{Config, Found, Key, Payloads};
use crate::names;

/// An answer that is being listened to.
#[derive(Debug)]
pub(super) struct Payload {
    config: Rc<Config>,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    /// The body, and how long it is.
    Whole(Vec<u8>, usize),
    Stream(Box<Assembly>),
}

/// The largest answer that is kept until it is complete, as only then it is known what is to be taken out of it, in bytes.
const MAX_ANSWER: usize = 4 << 20;

impl Payload {
    /// Whether the request is one of those that are logged: then its body is set as a property, and its answer awaited.
    pub fn begin(
        config: &Rc<Config>,
        (asked, found): (&str, Found<'_>),
        key: Option<&Key>,
        (body, streams): (&[u8], bool),
        seed: u64,
        step: &mut Step,
    ) -> Option<Self> {
        let payloads = config.payloads.as_ref()?;
        let drawn = || hash(seed, b"payload") % 1_000_000 < u64::from(payloads.parts);
        if !payloads.are_of(asked, found, key) || !drawn() {
            return None;
        }
        step.property(names::PAYLOAD_REQUEST, payloads.redact.apply(body, payloads.max_bytes));
        let stream = || Answer::Stream(Box::new(Assembly::new(payloads.max_bytes)));
        let answer = if streams { stream() } else { Answer::Whole(Vec::new(), 0) };
        Some(Self { config: config.clone(), answer })
    }

    /// These bytes of the answer go to the client.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.answer {
            Answer::Whole(body, size) => {
                *size += bytes.len();
                if *size <= MAX_ANSWER {
                    body.extend_from_slice(bytes);
                } else {
                    *body = Vec::new();
                }
            }
            // Errors are no streams.
            Answer::Stream(assembly) if assembly.is_empty() && bytes.trim_ascii_start().starts_with(b"{") => {
                self.answer = Answer::Whole(bytes.to_vec(), bytes.len());
            }
            Answer::Stream(assembly) => assembly.push(bytes),
        }
    }

    /// There is no more of it.
    pub fn end(self, step: &mut Step) {
        let Some(Payloads { redact, max_bytes, .. }) = &self.config.payloads else { return };
        let text = match self.answer {
            Answer::Whole(_, 0) => return,
            Answer::Whole(body, size) if body.is_empty() => format!("[{size} bytes, more than is kept]"),
            Answer::Whole(body, _) => redact.apply(&body, *max_bytes),
            Answer::Stream(assembly) if assembly.is_empty() => return,
            Answer::Stream(assembly) => redact.apply(assembly.finish().as_bytes(), *max_bytes),
        };
        step.property(names::PAYLOAD_ANSWER, text);
    }
}
