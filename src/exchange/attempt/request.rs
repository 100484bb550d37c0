//! The way out: the client's request in the provider's words, with its path and credential.

use std::rc::Rc;

use super::super::credentials::Credentials;
use super::super::gateway::refuse;
use super::super::headers::not_to_provider;
use super::super::ledger::{Known, Tried};
use super::super::step::{Host, Step};
use super::super::verdict;
use super::{Attempt, Course, Phase};
use crate::clients::openai;
use crate::config::{Config, Mistake, Provider};
use crate::dialect::{Edits, Operation};
use crate::embedding::Encoding;
use crate::error::{Cause, Error};
use crate::headers::Names;
use crate::json::Document;
use crate::names;
use crate::providers::{Kind, Settings, Speech, Target};
use crate::route::{Hop, Plan};
use crate::splice::{self, Facts};

/// A provider as an attempt needs it: its secrets are at hand.
#[derive(Debug)]
pub struct Upstream {
    name: String,
    kind: &'static dyn Kind,
    authority: String,
    base_path: String,
    credentials: Credentials,
    /// Headers of the client that pass besides the usual ones.
    forward_headers: Vec<String>,
    answer_limit: u64,
    settings: Settings,
    /// Whether copies of requests come here.
    mirrored: bool,
    /// Whether each attempt has a span.
    traced: bool,
}

impl Upstream {
    /// Looks up the provider's secrets in the `environment`.
    ///
    /// # Errors
    /// One is not there.
    pub fn new(
        config: &Config,
        provider: &Provider,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Mistake> {
        Ok(Self {
            name: provider.name.clone(),
            kind: provider.kind,
            authority: provider.servers.first().map(|server| server.authority()).unwrap_or_default(),
            base_path: provider.servers.first().map(|server| server.path.clone()).unwrap_or_default(),
            credentials: Credentials::new(provider, environment)?,
            forward_headers: config.forward_headers.clone(),
            answer_limit: config.answer_limit(),
            settings: provider.settings.clone(),
            mirrored: false,
            traced: config.tracing.is_some(),
        })
    }

    /// The same, where copies of requests come: they bring their plan in a header, which else is nothing to go by.
    pub fn mirrored(self, mirrored: bool) -> Self {
        Self { mirrored, ..self }
    }

    pub(super) fn is_mirrored(&self) -> bool {
        self.mirrored
    }

    pub(super) fn kind(&self) -> &'static dyn Kind {
        self.kind
    }

    /// The largest answer that can be held whole, in bytes.
    pub(super) fn answer_limit(&self) -> u64 {
        self.answer_limit
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether a chat for `model` goes on as it is, but for the model's name.
    fn speaks_openai(&self, model: &str) -> bool {
        matches!(self.kind.speech_to(model), Speech::OpenAi) && self.kind.differences().are_none()
    }
}

impl Attempt {
    /// The same by a plan that another VM has made, and attempts before this one have left there as it was when they began: those
    /// of other providers are over.
    pub(super) fn begin_elsewhere(&mut self, host: &dyn Host, mut plan: Plan) -> Step {
        let is_another = |plan: &Plan| plan.next_provider().is_some_and(|provider| provider != self.upstream.name);
        while is_another(&plan) && plan.begin(host.now()).is_ok() {}
        self.begin(host, Rc::new(plan))
    }

    /// The attempt begins, by the plan that the gateway position made.
    pub(in crate::exchange) fn begin(&mut self, host: &dyn Host, mut plan: Rc<Plan>) -> Step {
        let now = host.now();
        let mut step = Step::hold();
        if let Some((hop, cause)) = plan.given_up(now) {
            verdict::failed(host, &self.ledger, hop, cause, None, &mut step);
            self.ledger.note(plan.id, |before| before.end(now, Err(cause)));
        }
        let begun = Rc::make_mut(&mut plan).begin(now).and_then(|hop| match hop.provider == self.upstream.name {
            true => Ok(hop),
            false => Err(Error::new(Cause::ServerError, "The gateway lost its way to the provider.")),
        });
        if !self.ledger.keep(&plan) {
            step.property(names::PLAN, plan.encode());
        }
        let hop = match begun {
            Ok(hop) => hop,
            Err(error) => {
                let Step { notices, metrics, properties, .. } = step;
                let mut step = Step { notices, metrics, properties, ..refuse(&error) };
                step.property(names::OUTCOME, names::OVER);
                return step;
            }
        };
        let tried = Tried::new(&hop, now);
        match hop.is_copys() {
            true => self.copy = Some((plan.operation, Box::new(tried))),
            false => self.ledger.begin(plan.id, tried),
        }
        verdict::begins(host, &hop);
        let key = self.upstream.credentials.choose(host, &plan, &hop);
        let mut body = self.ledger.body(plan.id);
        body.spans = body.spans.filter(|_| hop.edits.is_none() && self.upstream.speaks_openai(&hop.model));
        let course = Course { body, ..Course::new(plan, hop, key, now) };
        // Now, not when this attempt has failed: then this filter may not be asked any more.
        if let Some(provider) = course.plan.next_provider() {
            step.property(names::NEXT, provider);
        }
        if self.upstream.traced {
            // The attempt's span has it, and ends before the gateway position hears of anything.
            step.property(names::log::PROVIDER, self.upstream.name());
            step.property(names::log::TARGET_MODEL, course.hop.model.as_bytes());
        }
        self.phase = Phase::Request(course);
        step
    }

    /// The whole body is there, as the client sent it, and here is what was wanted of it.
    pub(super) fn send(&mut self, host: &dyn Host, body: &[u8]) -> Step {
        let Phase::Request(mut course) = core::mem::replace(&mut self.phase, Phase::Over) else {
            return Step::go();
        };
        let known = core::mem::take(&mut course.body);
        let body = if body.is_empty() { known.wanted().unwrap_or(body) } else { body };
        match self.say(host, body, &known, &mut course) {
            Ok(mut step) => {
                // All of them afresh: what an attempt before this one set, its credential among it, is still there.
                let headers = host.headers();
                course.id = ["chatcmpl-", &headers.first("x-request-id").unwrap_or_default()].concat();
                step.drop = not_to_provider(headers, &self.upstream.forward_headers, &mut step.headers);
                if !course.dropped.is_empty() {
                    self.note(&course, |tried| tried.dropped.clone_from(&course.dropped));
                }
                self.phase = Phase::Sent(course);
                step
            }
            Err(error) => {
                verdict::unknown(host, &course.hop);
                self.note(&course, |tried| tried.end(host.now(), Err(error.cause)));
                let mut step = refuse(&error);
                step.property(names::OUTCOME, names::OVER);
                step
            }
        }
    }

    fn say(&self, host: &dyn Host, body: &[u8], known: &Known, course: &mut Course) -> Result<Step, Error> {
        let (kind, operation) = (self.upstream.kind, course.plan.operation);
        let target = Target {
            operation,
            stream: course.plan.stream,
            settings: &self.upstream.settings,
            ..Target::new(&course.hop.model)
        };
        if let Some(spans) = known.spans.as_ref().filter(|spans| body.len() == spans.end() && body.len() < spans.size) {
            let beginning = spans.request(body, target.model).ok_or_else(|| {
                Error::new(Cause::ServerError, "The request is not the one that the gateway has read.")
            })?;
            let length = spans.size - body.len() + beginning.len();
            let (step, unpaid) = self.address(host, &kind.path(&target), length, &target, course.key);
            course.unpaid = unpaid;
            return Ok(Step { body: Some(beginning), replaces: Some(body.len()), ..step });
        }
        // The gateway position has checked it: it does parse.
        let parse = |body| Document::parse(body).map_err(|invalid| Error::new(Cause::BadRequest, format!("{invalid}")));
        let read = |body| {
            let again = known.outline.clone().and_then(|outline| Document::again(body, outline));
            again.map_or_else(|| parse(body), Ok)
        };
        let mut edited = String::new();
        // They are about chats.
        let edits = course.hop.edits.as_deref().filter(|_| operation == Operation::Chat);
        let unwanted = match edits {
            Some(edits) => splice::edit(&read(body)?, edits, &mut edited),
            None => Vec::new(),
        };
        let document = if edits.is_some() { parse(edited.as_bytes())? } else { read(body)? };
        let mut out = String::new();
        let embedder = kind.embedder().filter(|_| operation == Operation::Embeddings);
        if operation == Operation::Embeddings {
            course.encoding = openai::embeddings_encoding(&document);
        }
        let writer = kind.writer().filter(|_| operation == Operation::Chat);
        let (path, dropped) = match (embedder, writer, kind.speech_to(target.model)) {
            (Some(embedder), ..) => {
                let request = openai::embeddings_request(&document)?;
                course.vectors = Some(request.inputs.len());
                (embedder.path(&request, &target), embedder.request(&request, &target, &mut out)?)
            }
            (None, Some(writer), _) => {
                (kind.path(&target), writer.request(&openai::request(&document)?, &target, &mut out)?)
            }
            (None, None, Speech::OpenAi) => {
                let mut facts = Facts::of(operation, &document)?;
                // The operator knows that this provider must not be asked.
                facts.include_usage |= unasked(course.hop.edits.as_deref());
                let differences = kind.differences();
                (kind.path(&target), splice::request(&document, &facts, target.model, differences, &mut out))
            }
            (None, None, Speech::Native(translator)) => {
                (kind.path(&target), translator.request(&openai::request(&document)?, &target, &mut out)?)
            }
        };
        if let Some(dropped) = dropped.first().filter(|_| course.hop.strict) {
            let message = format!("Unsupported parameter: '{dropped}' is not supported with this model.");
            let code = Some("unsupported_parameter".to_owned());
            return Err(Error { code, ..Error::bad_request(message, dropped) });
        }
        // What the operator has taken out is no reason to refuse.
        course.dropped = [dropped, unwanted].concat();
        let (step, unpaid) = self.address(host, &path, out.len(), &target, course.key);
        course.unpaid = unpaid;
        Ok(Step { body: Some(out), ..step })
    }

    /// Where a body of this length goes, and with which credential; why there is none, where there should be.
    fn address(
        &self,
        host: &dyn Host,
        path: &str,
        length: usize,
        target: &Target<'_>,
        key: u8,
    ) -> (Step, Option<&'static str>) {
        let mut step = Step::go();
        step.set(":path", format!("{}{path}", self.upstream.base_path));
        step.set(":authority", self.upstream.authority.as_str());
        step.set("content-type", "application/json");
        step.set("content-length", length.to_string());
        for (name, value) in self.upstream.kind.headers(target) {
            step.set(name, value);
        }
        match self.upstream.credentials.header(host, key) {
            // Checked to be of letters already, and of any length: not by way of `set`, which cuts.
            Ok(credential) => {
                step.headers.extend(credential.map(|(name, value)| (name, Some(value))));
                (step, None)
            }
            Err(why) => (step, Some(why)),
        }
    }
}

/// Whether the usage of a stream is not to be asked for.
fn unasked(edits: Option<&Edits>) -> bool {
    edits.is_some_and(|edits| edits.drop.iter().any(|name| name == "stream_options"))
}

impl Course {
    fn new(plan: Rc<Plan>, hop: Hop, key: u8, began: u64) -> Self {
        Self {
            plan,
            hop,
            key,
            began,
            first: 0,
            tokens: 0,
            id: String::new(),
            dropped: Vec::new(),
            created: 0,
            thoughts: "",
            drop: Names::default(),
            retry_after: None,
            error_name: None,
            vectors: None,
            body: Known::default(),
            encoding: Encoding::Float,
            embedded: None,
            unpaid: None,
        }
    }
}
