//! Position provider: in the provider's cluster, once per attempt.

mod request;
mod response;

use std::rc::Rc;

pub use self::request::Upstream;
use super::gateway::refuse;
use super::ledger::{Known, Ledger, Tried};
use super::metrics;
use super::relay::Relay;
use super::step::{Host, Machine, Step, Want};
use crate::dialect::Operation;
use crate::embedding::Encoding;
use crate::error::{Cause, Error};
use crate::headers::Names;
use crate::metrics::{Common, Update};
use crate::names;
use crate::price::{self, Cost};
use crate::route::{Hop, Plan};

/// One attempt at a request: what goes to the provider, and what comes back.
pub struct Attempt {
    upstream: Rc<Upstream>,
    ledger: Rc<Ledger>,
    phase: Phase,
    /// What is known of an attempt that is a copy's: those are in no ledger.
    copy: Option<(Operation, Box<Tried>)>,
}

/// Where the attempt is. [`request`] moves it as far as `Sent`, [`response`] from there on.
enum Phase {
    /// Not by a plan of the gateway: everything passes.
    Pass,
    /// The body is awaited.
    Request(Course),
    /// The request went out.
    Sent(Course),
    /// A stream has begun, and nothing of it was shown to the client yet: it can still be exchanged for another.
    Peek(Course, Box<Relay>, String),
    /// The client sees the stream.
    Stream(Course, Box<Relay>),
    /// An answer that the client gets whole, or an error, is awaited; this is its status.
    Collect(Course, u16),
    /// Everything was said; what the provider may still send is dropped.
    Over,
}

/// What an attempt knows of its request.
struct Course {
    plan: Rc<Plan>,
    hop: Hop,
    /// Which of the provider's credentials it goes out with.
    key: u8,
    /// When the attempt began, in milliseconds since 1970.
    began: u64,
    /// When the first content of its answer was there.
    first: u64,
    /// Tokens of its answer, as far as they are known.
    tokens: u64,
    /// By what the answer is known if the provider gives it no id.
    id: String,
    /// What is known of the body, until it went out.
    body: Known,
    /// Parameters that the provider has no word for.
    dropped: Vec<String>,
    /// When the answer began, in seconds since 1970.
    created: u64,
    /// Whose thoughts are in the answer: [`crate::providers::Translator::thoughts`].
    thoughts: &'static str,
    /// What the client does not get of the provider's headers, until they are passed on.
    drop: Names,
    /// What the provider calls its error in a header of its own.
    error_name: Option<String>,
    /// How many embeddings were asked for; `None` if that was not counted, as the request went on as it was.
    vectors: Option<usize>,
    /// How the client wants embeddings written.
    encoding: Encoding,
    /// How many tokens the provider says in a header that embeddings took.
    embedded: Option<u64>,
    /// Why the request went out without the credential that it should have had. The provider is left to refuse it: the next
    /// target is tried only after an answer of a provider's, and not after one of the gateway's own.
    unpaid: Option<&'static str>,
    /// How long the provider asked to be left alone, in milliseconds.
    retry_after: Option<u64>,
}

impl Attempt {
    /// A machine for one attempt at `upstream`.
    pub fn new(upstream: Rc<Upstream>, ledger: Rc<Ledger>) -> Self {
        Self { upstream, ledger, phase: Phase::Pass, copy: None }
    }

    /// Writes down what is known of the attempt.
    fn note(&mut self, course: &Course, note: impl FnOnce(&mut Tried)) {
        match &mut self.copy {
            Some((_, copy)) => note(copy),
            None => self.ledger.note(course.plan.id, note),
        }
    }
}

impl Machine for Attempt {
    fn request_headers(&mut self, host: &dyn Host, _end: bool) -> Step {
        let written = host.property(names::PLAN);
        if let Some(plan) = written.as_deref().and_then(Plan::number).and_then(|id| self.ledger.take_plan(id)) {
            return self.begin(host, plan);
        }
        // A copy shares nothing with its request but what went on of it.
        let copys = || self.upstream.is_mirrored().then(|| host.header(names::MIRROR))?.map(String::into_bytes);
        match written.or_else(copys) {
            Some(written) => match Plan::decode(&written) {
                Some(plan) => self.begin_elsewhere(host, plan),
                None => refuse(&Error::new(Cause::ServerError, "The gateway lost its plan for the request.")),
            },
            None => Step::go(),
        }
    }

    fn wants_request(&self) -> Want {
        match &self.phase {
            Phase::Request(Course { body, .. }) => match &body.spans {
                _ if body.wanted().is_some() => Want::Start { bytes: 0, of: body.size },
                Some(spans) => Want::Start { bytes: spans.end(), of: spans.size },
                None => Want::Whole,
            },
            _ => Want::Nothing,
        }
    }

    fn request_body(&mut self, host: &dyn Host, body: &[u8]) -> Step {
        self.send(host, body)
    }

    fn response_headers(&mut self, host: &dyn Host, end: bool) -> Step {
        self.answer_begins(host, end)
    }

    fn wants_response(&self) -> Want {
        match self.phase {
            Phase::Pass | Phase::Request(_) | Phase::Sent(_) => Want::Nothing,
            Phase::Collect(..) => Want::Whole,
            Phase::Peek(..) | Phase::Stream(..) | Phase::Over => Want::Pieces,
        }
    }

    fn response_grows(&mut self, host: &dyn Host, bytes: u64) -> Step {
        self.answer_grows(host, bytes)
    }

    fn response_body(&mut self, host: &dyn Host, bytes: &[u8], end: bool) -> Step {
        self.answer_goes_on(host, bytes, end)
    }

    /// Nobody is charged for a copy; what it costs is counted apart.
    fn closed(&mut self) -> Vec<Update> {
        let Some((operation, copy)) = self.copy.take() else { return Vec::new() };
        let (kind, settings) = (self.upstream.kind().name(), self.upstream.settings());
        let Some(usage) = copy.usage else { return Vec::new() };
        let price = price::lookup(kind, settings.region.as_deref(), &copy.model);
        let cost = Cost::of(price.as_ref(), &usage, usage.tier.charged(kind), copy.began / 1000).known();
        let (response_model, provider) = (copy.model, copy.provider);
        let common = Common { response_model, provider, operation: operation.name(), ..Common::default() };
        metrics::of_copy(common, &usage, cost)
    }
}
