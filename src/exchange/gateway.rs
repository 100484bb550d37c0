//! Position gateway: before the router, once per client request.

use std::rc::Rc;

use super::endpoint::{Asks, Endpoint, percent_decode};
use super::step::{Ending, Flow, Host, Machine, Reply, Step, Want};
use super::sticky::sticky;
use super::verdict;
use crate::clients::openai;
use crate::config::{Config, Found};
use crate::dialect::Operation;
use crate::error::{Cause, Error};
use crate::json::Document;
use crate::names;
use crate::route::{self, Ask, Plan};
use crate::splice::Facts;

/// One client request on its way to a provider, and the answer's way back.
#[derive(Debug)]
pub struct Gateway {
    config: Rc<Config>,
    phase: Phase,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Not the gateway's, or not any more: everything passes.
    Pass,
    /// The body is awaited, for this.
    Body(Operation),
    /// The request went out by a plan.
    Sent,
}

impl Machine for Gateway {
    fn request_headers(&mut self, host: &dyn Host, end: bool) -> Step {
        self.begin(host, end).unwrap_or_else(|error| refuse(&error))
    }

    fn wants_request(&self) -> Want {
        if matches!(self.phase, Phase::Body(_)) { Want::Whole } else { Want::Nothing }
    }

    fn request_grows(&mut self, bytes: u64) -> Step {
        if bytes <= self.config.body_limit {
            return Step::hold();
        }
        self.phase = Phase::Pass;
        refuse(&self.too_large(bytes))
    }

    fn request_body(&mut self, host: &dyn Host, body: &[u8]) -> Step {
        let Phase::Body(operation) = core::mem::replace(&mut self.phase, Phase::Pass) else {
            return Step::go();
        };
        self.plan(host, operation, body).unwrap_or_else(|error| refuse(&error))
    }

    fn response_headers(&mut self, host: &dyn Host, _end: bool) -> Step {
        let mut step = Step::go();
        let good = || host.header(":status").is_some_and(|status| status.starts_with('2'));
        if self.phase != Phase::Sent || good() {
            return step;
        }
        // An attempt asked for the next target, and Envoy did not go there: its own limits, or a route without retries.
        if let Some(cause) = host.header(names::RETRY_HEADER).as_deref().and_then(Cause::of_name) {
            if host.header("content-length").as_deref() == Some("0") {
                return refuse(&Error::new(cause, "The provider failed, and no other was asked."));
            }
            step.remove(names::RETRY_HEADER);
        }
        // All targets are spent: official SDKs would start all over again.
        step.set("x-should-retry", "false");
        if let Some(seconds) = soonest(host) {
            step.set("retry-after", seconds.to_string());
        }
        step
    }

    fn done(&mut self, host: &dyn Host) {
        if self.phase != Phase::Sent {
            return;
        }
        let outcome = host.property(names::OUTCOME).unwrap_or_default();
        if outcome == names::OVER.as_bytes() {
            return;
        }
        // The last attempt left no word: it was cut off. An attempt after which Envoy went on was judged by the next.
        let plan = host.property(names::PLAN).as_deref().and_then(Plan::decode);
        let Some((hop, _)) = plan.as_ref().and_then(|plan| plan.given_up(host.now())) else { return };
        match host.ending() {
            _ if outcome == names::SILENT.as_bytes() => verdict::failed(host, hop, Cause::Timeout, None),
            Ending::ClientLeft => verdict::unknown(host, hop),
            Ending::TimedOut => verdict::failed(host, hop, Cause::Timeout, None),
            Ending::Complete | Ending::Failed => verdict::failed(host, hop, Cause::Connection, None),
        }
    }
}

impl Gateway {
    /// A machine for one request.
    pub fn new(config: Rc<Config>) -> Self {
        Self { config, phase: Phase::Pass }
    }

    fn begin(&mut self, host: &dyn Host, end: bool) -> Result<Step, Error> {
        let header = |name| host.header(name).unwrap_or_default();
        let path = header(":path");
        match Endpoint::find(&header(":method"), &path)? {
            None => Ok(Step::go()),
            Some((Asks::Models, "")) => {
                let names = self.config.models.names();
                Ok(answer(openai::models(names.into_iter(), host.now() / 1000)))
            }
            Some((Asks::Models, name)) => {
                let name = percent_decode(name);
                self.model(&name)?;
                Ok(answer(openai::model(&name, host.now() / 1000)))
            }
            Some((Asks::Model(operation), _)) => {
                self.check_head(host, end)?;
                self.phase = Phase::Body(operation);
                Ok(Step::hold())
            }
        }
    }

    fn check_head(&self, host: &dyn Host, end: bool) -> Result<(), Error> {
        let content_type = host.header("content-type").unwrap_or_else(|| "application/json".to_owned());
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let json =
            media_type.eq_ignore_ascii_case("application/json") || media_type.to_ascii_lowercase().ends_with("+json");
        if !json {
            let message = format!("Unsupported content type '{media_type}'; this endpoint expects 'application/json'.");
            return Err(Error::new(Cause::UnsupportedMediaType, message));
        }
        let length = host.header("content-length").and_then(|length| length.parse::<u64>().ok());
        if let Some(length) = length.filter(|length| *length > self.config.body_limit) {
            return Err(self.too_large(length));
        }
        if end {
            return Err(Error::new(Cause::BadRequest, "The request has no body; this endpoint expects a JSON object."));
        }
        Ok(())
    }

    fn plan(&mut self, host: &dyn Host, operation: Operation, body: &[u8]) -> Result<Step, Error> {
        if body.len() as u64 > self.config.body_limit {
            return Err(self.too_large(body.len() as u64));
        }
        let document = Document::parse(body).map_err(|invalid| {
            let message = format!("We could not parse the JSON body of your request: {invalid}.");
            Error::new(Cause::BadRequest, message)
        })?;
        let facts = Facts::of(operation, &document)?;
        let name = facts.model.decode();
        let found = self.model(&name)?;
        let model = found.model;
        let sticky = sticky(host, &document, model);
        let ask = Ask { model: found, operation, sticky, now: host.now(), seed: host.seed() };
        let Some(plan) = route::plan(&self.config, &ask, host) else {
            let message = format!("The model '{name}' has no target that can be asked for {}.", operation.path());
            return Err(Error::bad_request(message, "model"));
        };
        let timeout = if facts.stream { model.first_token_timeout } else { model.answer_timeout };
        let mut step = Step { reroute: true, ..Step::go() };
        // Envoy's own knobs for one request:
        // <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#http-headers-consumed>
        step.set("x-envoy-max-retries", plan.most_attempts().saturating_sub(1).to_string());
        step.set("x-envoy-upstream-rq-per-try-timeout-ms", timeout.as_millis().to_string());
        step.set("x-envoy-upstream-rq-timeout-ms", model.whole_timeout.as_millis().to_string());
        let plan = Plan {
            model: name.clone().into_owned(),
            stream: facts.stream,
            include_usage: facts.include_usage,
            patience: timeout.as_millis(),
            ..plan
        };
        step.property(names::log::MODEL, name.as_bytes());
        step.property(names::NEXT, plan.next_provider().unwrap_or_default());
        step.property(names::PLAN, plan.encode());
        self.phase = Phase::Sent;
        Ok(step)
    }

    fn model<'a>(&'a self, name: &'a str) -> Result<Found<'a>, Error> {
        self.config.models.find(name).ok_or_else(|| {
            let name: String = name.chars().take(MAX_TOLD).collect();
            let message = format!("The model '{name}' does not exist or you do not have access to it.");
            Error { param: Some("model".to_owned()), ..Error::new(Cause::UnknownModel, message) }
        })
    }

    fn too_large(&self, bytes: u64) -> Error {
        let limit = self.config.body_limit;
        Error::new(Cause::TooLarge, format!("The request is {bytes} bytes or more; at most {limit} are accepted."))
    }
}

/// In how many seconds a target may answer, where one that has failed before the last says so, and the last does not say that
/// it will sooner.
fn soonest(host: &dyn Host) -> Option<u64> {
    let status: u16 = host.header(":status")?.parse().ok()?;
    if status != 429 && status < 500 {
        return None;
    }
    let soonest = host.property(names::PLAN).as_deref().and_then(Plan::decode)?.soonest?;
    let seconds = soonest.saturating_sub(host.now()).div_ceil(1000);
    let last = host.header("retry-after").and_then(|last| last.parse::<u64>().ok());
    last.is_none_or(|last| seconds < last).then_some(seconds)
}

fn answer(body: String) -> Step {
    Reply { status: 200, headers: Vec::new(), body }.into()
}

/// How much of a name that a client made up it is told again, in characters.
const MAX_TOLD: usize = 256;

/// The gateway's own refusal: final, whatever targets there are.
pub(super) fn refuse(error: &Error) -> Step {
    let mut step = Step::from(Flow::Reply(Reply {
        status: error.client_status(),
        headers: vec![("x-should-retry", "false".to_owned())],
        body: openai::error_body(error),
    }));
    step.property(names::log::ERROR, error.cause.name());
    step
}
