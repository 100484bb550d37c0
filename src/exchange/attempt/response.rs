//! The way back: what the provider's answer means, and what the client gets of it.

use std::borrow::Cow;
use std::rc::Rc;

use super::super::headers::not_to_client;
use super::super::rate_limit;
use super::super::relay::{Relay, break_off, classify};
use super::super::retry_after::retry_after;
use super::super::step::{Host, Step};
use super::super::verdict;
use super::{Attempt, Course, Phase};
use crate::answered::Answered;
use crate::chat::Usage;
use crate::clients::{Envelope, openai};
use crate::dialect::Operation;
use crate::error::{Cause, Error};
use crate::json::Document;
use crate::names;
use crate::providers::{Failure, Kind, Speech};
use crate::splice;

impl Attempt {
    /// The answer's headers are there.
    pub(super) fn answer_begins(&mut self, host: &dyn Host, end: bool) -> Step {
        let Phase::Sent(mut course) = core::mem::replace(&mut self.phase, Phase::Pass) else {
            return Step::go();
        };
        course.created = host.now() / 1000;
        let speech = self.upstream.kind().speech_to(&course.hop.model);
        course.thoughts = match speech {
            Speech::OpenAi => "",
            Speech::Native(translator) => translator.thoughts(),
        };
        // All of them at once: each look of its own costs a call.
        let headers = host.headers();
        let header = |name: &str| headers.first(name);
        let status = header(":status").and_then(|status| status.parse().ok()).unwrap_or_default();
        let media_type = header("content-type").unwrap_or_default().to_ascii_lowercase();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let spent = rate_limit::spent(&headers, host.now());
        let mut step = Step::hold();
        match spent {
            // It is refused already, and this is for how long if nothing else says so.
            _ if status == 429 => course.retry_after = spent,
            Some(wait) => self.upstream.credentials().spent(host, &course.hop, course.key, wait, &mut step),
            None => {}
        }
        if course.vectors.is_some() {
            course.embedded = header("x-amzn-bedrock-input-token-count").and_then(|count| count.parse().ok());
        }
        if !(200..300).contains(&status) {
            course.retry_after = retry_after(header, host.now()).or(course.retry_after);
            course.error_name = header("x-amzn-errortype").map(Cow::into_owned);
        }
        course.drop = not_to_client(headers);
        if !(200..300).contains(&status) {
            self.phase = Phase::Collect(course, status);
        } else if course.plan.stream && is_stream(speech, media_type) {
            let wants_cost = course.plan.include_usage;
            let tariff = wants_cost.then(|| self.ledger.tariff(course.plan.id, host.now())).flatten();
            let relay = Box::new(Relay::new(self.upstream.kind(), speech, &course.envelope(), tariff));
            self.phase = Phase::Peek(course, relay, String::new());
        } else {
            self.phase = Phase::Collect(course, status);
        }
        if end {
            let Step { notices, metrics, .. } = step;
            step = self.answer_goes_on(host, b"", true).without_body();
            step.notices.splice(..0, notices);
            step.metrics.extend(metrics);
        }
        step
    }

    /// So many bytes of an answer that is wanted whole are there, and more to come.
    pub(super) fn answer_grows(&mut self, host: &dyn Host, bytes: u64) -> Step {
        if bytes <= self.upstream.answer_limit() {
            return Step::hold();
        }
        match core::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Collect(course, _) => {
                self.fail(host, course, Error::bad_answer("the provider's answer is too large"))
            }
            _ => Step::go(),
        }
    }

    /// The next bytes of a stream, or an answer that was wanted whole; `end` if there are no more.
    pub(super) fn answer_goes_on(&mut self, host: &dyn Host, bytes: &[u8], end: bool) -> Step {
        match core::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Peek(course, relay, held) => self.peek(host, course, relay, held, bytes, end),
            Phase::Stream(course, relay) => self.stream(host, course, relay, bytes, end),
            Phase::Collect(course, status) => self.complete(host, course, status, bytes),
            Phase::Over => Step { body: Some(String::new()), ..Step::go() },
            passing @ (Phase::Pass | Phase::Request(_) | Phase::Sent(_)) => {
                self.phase = passing;
                Step::go()
            }
        }
    }

    /// Holds a stream back until there is content: until then another target can still take over.
    fn peek(
        &mut self,
        host: &dyn Host,
        mut course: Course,
        mut relay: Box<Relay>,
        mut held: String,
        bytes: &[u8],
        end: bool,
    ) -> Step {
        let result = relay.push(bytes, &mut held).and_then(|()| if end { relay.end(&mut held) } else { Ok(()) });
        // Some tell the prompt's tokens first, and charge for them whatever follows.
        let partial = relay.partial();
        if partial.is_some() {
            self.note(&course, |tried| tried.partial = partial);
        }
        match result {
            // Content that came in one piece with the error was seen by nobody.
            Err(error) => self.fail(host, course, error),
            Ok(()) if relay.has_content() => {
                let mut step = course.answered(self.upstream.name());
                step.set("content-type", "text/event-stream");
                step.body = Some(held);
                course.first = host.now();
                self.ledger.forget_body(course.plan.id);
                if !end {
                    step.property(names::OUTCOME, names::SEEN);
                }
                self.go_on(host, course, relay, step, end)
            }
            Ok(()) if end => self.fail(host, course, Error::bad_answer("the provider's stream has no content")),
            Ok(()) if held.len() > MAX_PEEK => {
                self.fail(host, course, Error::bad_answer("the provider's stream does not come to its content"))
            }
            Ok(()) => {
                self.phase = Phase::Peek(course, relay, held);
                Step::hold()
            }
        }
    }

    /// The client sees the stream: what fails now fails before its eyes.
    fn stream(&mut self, host: &dyn Host, course: Course, mut relay: Box<Relay>, bytes: &[u8], end: bool) -> Step {
        let mut out = String::with_capacity(bytes.len() + bytes.len() / 2);
        let result = relay.push(bytes, &mut out).and_then(|()| if end { relay.end(&mut out) } else { Ok(()) });
        let mut step = Step::go();
        if let Err(error) = &result {
            break_off(error, &mut out);
            step.broken = true;
            step.property(names::OUTCOME, names::OVER);
            let credentials = self.upstream.credentials();
            credentials.judge((host, &self.ledger), &course.hop, course.key, error.cause, None, &mut step);
            step.body = Some(out);
            self.note_answer(&course, &mut relay, end);
            self.note(&course, |tried| tried.end(host.now(), Err(error.cause)));
            return step;
        }
        step.body = Some(out);
        self.go_on(host, course, relay, step, end)
    }

    fn go_on(&mut self, host: &dyn Host, mut course: Course, mut relay: Box<Relay>, mut step: Step, end: bool) -> Step {
        // As soon as it is known: a client may leave at `[DONE]`, before the provider ends.
        let usage = self.note_answer(&course, &mut relay, end);
        course.tokens = usage.map_or(course.tokens, |usage| usage.output);
        if end {
            self.succeeded(host, &course, &mut step);
        } else {
            self.phase = Phase::Stream(course, relay);
        }
        step
    }

    /// Writes down what is known of the answer by now; `end`: no more of it comes.
    fn note_answer(&mut self, course: &Course, relay: &mut Relay, end: bool) -> Option<Usage> {
        let (usage, partial) = (relay.new_usage(), relay.partial());
        let (said, complete) = (relay.said(), relay.is_complete());
        // They come with the last pieces.
        let finishes = (end || complete || usage.is_some()).then(|| relay.finishes());
        self.note(course, |tried| {
            tried.usage = usage.or(tried.usage);
            tried.partial = partial;
            tried.finishes = finishes.unwrap_or(tried.finishes);
            tried.first.get_or_insert(course.first);
            (tried.said, tried.complete) = (said, complete);
        });
        usage
    }

    /// An answer, or an error, that is there as a whole.
    fn complete(&mut self, host: &dyn Host, mut course: Course, status: u16, body: &[u8]) -> Step {
        let kind = self.upstream.kind();
        if !(200..300).contains(&status) {
            let document = Document::parse(body).ok();
            let (body, name) = (document.as_ref().map(Document::root), course.error_name.as_deref());
            let error = match course.unpaid {
                Some(why) if matches!(status, 401 | 403) => Error::new(Cause::Authentication, why),
                _ => kind.error(&Failure { status, body, name }),
            };
            return self.fail(host, course, error);
        }
        let mut out = String::with_capacity(body.len() + 256);
        match self.translate(&course, body, &mut out) {
            Ok(Answered { usage, finishes }) => {
                let mut step = course.answered(self.upstream.name());
                step.set("content-type", "application/json");
                step.set("content-length", out.len().to_string());
                step.body = Some(out);
                self.note(&course, |tried| (tried.usage, tried.finishes) = (usage, finishes));
                (course.first, course.tokens) = (host.now(), 0);
                self.succeeded(host, &course, &mut step);
                step
            }
            Err(error) => self.fail(host, course, error),
        }
    }

    fn translate(&self, course: &Course, body: &[u8], out: &mut String) -> Result<Answered, Error> {
        let kind = self.upstream.kind();
        if course.plan.stream {
            // Some providers answer a request for a stream with an error, as JSON in a 200.
            let document = Document::parse(body).ok();
            let error = document.as_ref().map(Document::root).filter(|root| root.get("error").is_some());
            return Err(error.map_or_else(
                || Error::bad_answer("the provider did not answer with a stream"),
                |error| classify(kind, error),
            ));
        }
        if course.plan.operation == Operation::Embeddings {
            return embeddings(kind, course, body, out).map(without_end);
        }
        match kind.speech_to(&course.hop.model) {
            Speech::OpenAi if !course.plan.operation.streams() => {
                let result = course.plan.operation.result();
                splice::list(body, result, &course.plan.model, |error| classify(kind, error), out).map(without_end)
            }
            Speech::OpenAi => splice::answer(body, &course.plan.model, |error| classify(kind, error), out),
            Speech::Native(translator) => {
                let document = Document::parse(body)
                    .map_err(|invalid| Error::bad_answer(format!("the provider's answer is not JSON: {invalid}")))?;
                let answer = translator.answer(&document)?;
                openai::answer(&answer, &course.envelope(), out);
                Ok(Answered { usage: answer.usage, finishes: openai::finishes(&answer) })
            }
        }
    }

    /// Ends the attempt: Envoy is to try the next target, or the client gets the error. It gets it too where Envoy has no
    /// retry left to give, as when the cluster's circuit breaker is open.
    fn fail(&mut self, host: &dyn Host, mut course: Course, mut error: Error) -> Step {
        error.retry_after = error.retry_after.or(course.retry_after);
        self.phase = Phase::Over;
        let body = openai::error_body(&error);
        let mut step = Step::go();
        step.drop = core::mem::take(&mut course.drop);
        self.note(&course, |tried| tried.end(host.now(), Err(error.cause)));
        course.describe(self.upstream.name(), &mut step);
        step.set(":status", error.client_status().to_string());
        step.set("content-type", "application/json");
        step.set("content-length", body.len().to_string());
        if let Some(milliseconds) = error.retry_after {
            step.set("retry-after", milliseconds.div_ceil(1000).to_string());
        }
        let retry_after = error.retry_after;
        let another = match course.unpaid {
            // The gateway's own lack, which ends when the credential is there: the target has shown nothing of itself.
            Some(_) if error.cause == Cause::Authentication => {
                verdict::unknown(host, &course.hop);
                false
            }
            _ => {
                let credentials = self.upstream.credentials();
                credentials.judge((host, &self.ledger), &course.hop, course.key, error.cause, retry_after, &mut step)
            }
        };
        if let Some(wait) = retry_after.filter(|_| error.cause.falls_back()) {
            Rc::make_mut(&mut course.plan).waits(host.now().saturating_add(wait));
        }
        let plan = Rc::make_mut(&mut course.plan);
        let goes_on = (another && plan.again(error.cause, course.key)) || plan.fail(error.cause);
        self.ledger.keep(&course.plan);
        if goes_on {
            step.set(names::RETRY_HEADER, error.cause.name());
            // Another than Envoy would go to by itself, perhaps.
            step.property(names::NEXT, course.plan.next_provider().unwrap_or_default());
            step.property(names::PLAN, course.plan.encode());
        } else {
            step.property(names::OUTCOME, names::OVER);
        }
        step.body = Some(body);
        step
    }

    /// The answer came to its end.
    fn succeeded(&mut self, host: &dyn Host, course: &Course, step: &mut Step) {
        let now = host.now();
        self.note(course, |tried| tried.end(now, Ok(())));
        let took = (course.first.saturating_sub(course.began), now.saturating_sub(course.first), course.tokens);
        verdict::succeeded(host, &self.ledger, &course.hop, took, step);
        self.upstream.credentials().accepted(host, &course.hop, course.key, step);
        step.property(names::OUTCOME, names::OVER);
    }
}

impl Course {
    fn envelope(&self) -> Envelope<'_> {
        Envelope {
            id: &self.id,
            model: &self.plan.model,
            created: self.created,
            include_usage: self.plan.include_usage,
            thoughts: self.thoughts,
        }
    }

    /// The answer is good: says where it came from.
    fn answered(&mut self, provider: &str) -> Step {
        let mut step = Step { drop: core::mem::take(&mut self.drop), ..Step::go() };
        self.describe(provider, &mut step);
        step
    }

    fn describe(&self, provider: &str, step: &mut Step) {
        step.set("x-gateway-provider", provider);
        step.set("x-gateway-model", self.hop.model.as_str());
        step.set("x-gateway-attempts", self.plan.made.to_string());
        if !self.dropped.is_empty() {
            step.set("x-gateway-dropped", self.dropped.join(", "));
        }
    }
}

/// Of what is no text there is no reason to end.
fn without_end(usage: Option<Usage>) -> Answered {
    Answered { usage, ..Answered::default() }
}

fn embeddings(kind: &dyn Kind, course: &Course, body: &[u8], out: &mut String) -> Result<Option<Usage>, Error> {
    let model = &course.plan.model;
    let Some(embedder) = kind.embedder() else {
        return splice::embeddings(body, course.encoding, model, |error| classify(kind, error), out);
    };
    let document = Document::parse(body)
        .map_err(|invalid| Error::bad_answer(format!("the provider's answer is not JSON: {invalid}")))?;
    let mut answer = embedder.answer(&document)?;
    if course.vectors.is_some_and(|asked| asked != answer.vectors.len()) {
        return Err(Error::bad_answer("the provider's answer has not as many embeddings as were asked for"));
    }
    let counted = course.embedded.map(|input| Usage { input, ..Usage::default() });
    answer.usage = answer.usage.or(counted);
    openai::embeddings(&answer, course.encoding, model, out);
    Ok(answer.usage)
}

fn is_stream(speech: Speech, media_type: &str) -> bool {
    match speech {
        Speech::OpenAi => media_type == "text/event-stream",
        Speech::Native(translator) => translator.is_stream(media_type),
    }
}

/// The most that may come before the first content of a stream.
const MAX_PEEK: usize = 1 << 20;
