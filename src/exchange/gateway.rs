//! Position gateway: before the router, once per client request.

use std::rc::Rc;

use super::access::{admit, identify, permit};
use super::account::{self, Accounts, Used};
use super::endpoint::{Asks, Endpoint, percent_decode};
use super::ledger::Ledger;
use super::step::{Ending, Flow, Headers, Host, Machine, Reply, Step, Want};
use super::subject::Request;
use super::usage::usage;
use super::verdict;
use crate::clients::openai;
use crate::config::{Config, Found, Key, Role};
use crate::dialect::Operation;
use crate::error::{Cause, Error};
use crate::json::Document;
use crate::names;
use crate::price::pico_usd;
use crate::route::{Brief, Choice, Decision, Explanation, Facts as _, Plan, Question, Unfit, choose, decide};
use crate::splice::Facts;
use crate::tokens::Estimate;

/// One client request on its way to a provider, and the answer's way back.
#[derive(Debug)]
pub struct Gateway {
    config: Rc<Config>,
    ledger: Rc<Ledger>,
    /// Who calls, if that matters.
    key: Option<Rc<Key>>,
    /// By what the ledger knows the request.
    id: u64,
    accounts: Accounts,
    streams: bool,
    phase: Phase,
    /// Why the request goes where it goes, if the client wants to know.
    told: Option<Box<Brief>>,
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
        if self.phase != Phase::Sent {
            return step;
        }
        self.accounts.describe(&mut step);
        // Of an answer that is not streamed all is there by now.
        let charges = if self.streams { Vec::new() } else { self.ledger.read(self.id) };
        let used = self.accounts.used(&self.config, &charges, host.now());
        if used.amounts.usd > 0 && !used.unpriced {
            step.set("x-gateway-cost", pico_usd(used.amounts.usd).to_string());
        }
        let good = host.header(":status").is_some_and(|status| status.starts_with('2'));
        if self.told.is_some() {
            let error = host.property(names::log::ERROR).unwrap_or_default();
            let last = if good { "answered".into() } else { String::from_utf8_lossy(&error) };
            self.tell(host, &last, &mut step);
        }
        if good {
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

    fn done(&mut self, host: &dyn Host) -> Step {
        let mut step = Step::go();
        if self.phase != Phase::Sent {
            return step;
        }
        self.settle(host, &mut step);
        let outcome = host.property(names::OUTCOME).unwrap_or_default();
        if outcome == names::OVER.as_bytes() {
            return step;
        }
        // The last attempt left no word: it was cut off. An attempt after which Envoy went on was judged by the next.
        let plan = host.property(names::PLAN).as_deref().and_then(Plan::decode);
        let Some((hop, _)) = plan.as_ref().and_then(|plan| plan.given_up(host.now())) else { return step };
        match host.ending() {
            _ if outcome == names::SILENT.as_bytes() => verdict::failed(host, hop, Cause::Timeout, None, &mut step),
            Ending::ClientLeft => verdict::unknown(host, hop),
            Ending::TimedOut => verdict::failed(host, hop, Cause::Timeout, None, &mut step),
            Ending::Complete | Ending::Failed => verdict::failed(host, hop, Cause::Connection, None, &mut step),
        }
        step
    }
}

impl Gateway {
    /// A machine for one request.
    pub fn new(config: Rc<Config>, ledger: Rc<Ledger>) -> Self {
        let (accounts, phase) = (Accounts::default(), Phase::Pass);
        Self { config, ledger, key: None, id: 0, accounts, streams: false, phase, told: None }
    }

    /// Tells the client, if it wants to know, what became of its request; `last` is what became of the last attempt.
    pub(super) fn tell(&mut self, host: &dyn Host, last: &str, step: &mut Step) {
        let Some(told) = self.told.take() else { return };
        let plan = host.property(names::PLAN).as_deref().and_then(Plan::decode);
        let told = match plan {
            Some(plan) => told.tried(&plan, last),
            None => *told,
        };
        step.set(names::ROUTE, told.to_json(MAX_ROUTE));
    }

    fn begin(&mut self, host: &dyn Host, end: bool) -> Result<Step, Error> {
        let header = |name| host.header(name).unwrap_or_default();
        let path = header(":path");
        let Some((asks, below)) = Endpoint::find(&header(":method"), &path)? else {
            return Ok(without_orders(host, Step::go()));
        };
        self.key = identify(&self.config, host)?;
        let key = self.key.as_deref();
        admit(key, path.split('?').next().unwrap_or_default())?;
        match (asks, below) {
            (Asks::Models, "") => {
                let names = self.config.models.names().into_iter();
                let names = names.filter(|name| key.is_none_or(|key| key.may_ask(name)));
                Ok(answer(openai::models(names, host.now() / 1000)))
            }
            (Asks::Usage, _) => Ok(answer(usage(&self.config, key, host))),
            (Asks::Models, name) => {
                let name = percent_decode(name);
                find(&self.config, key, &name)?;
                Ok(answer(openai::model(&name, host.now() / 1000)))
            }
            (Asks::Model(operation), _) => {
                self.check_head(host, end)?;
                let mut step = Step::hold();
                if let Some(key) = key {
                    step.property(names::log::KEY, key.name.as_str());
                    step.property(names::log::TEAM, key.team.as_deref().unwrap_or_default());
                }
                self.phase = Phase::Body(operation);
                Ok(step)
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
        let document = parse(body)?;
        let facts = Facts::of(operation, &document)?;
        let name = facts.model.decode();
        let (config, key) = (self.config.clone(), self.key.clone());
        let question = question(&config, key.as_deref(), host, operation, &facts, &name)?;
        let request = Request::new(host, &document, &question);
        let choice = choose(&config, &question, &request);
        let estimate = account::counts_tokens(&config.limits).then(|| request.estimate());
        let (found, accounts) = self.reserve(&config, choice.found, &document, estimate, host)?;
        let decision = decide(&config, question, Choice { found, ..choice }, &request, host);
        let may_know = config.debug || key.as_ref().is_some_and(|key| key.role == Role::Admin);
        let wants = may_know && host.header(names::DEBUG).is_some_and(|wish| wish == "1");
        let told = wants.then(|| Box::new(Brief::of(&decision)));
        let Decision { plan, rule, mut copy, .. } = decision;
        let planned = plan.map_err(|why| unfit(why, &name, operation)).and_then(|mut plan| {
            if let Some(key) = &key {
                limit(key, &document, operation, &mut plan)?;
                if let Some(copy) = &mut copy {
                    limit(key, &document, operation, copy)?;
                }
            }
            Ok(plan)
        });
        let plan = match planned {
            Ok(plan) => plan,
            Err(error) => {
                accounts.settle(Used::default(), host);
                return Err(error);
            }
        };
        let mut step = without_orders(host, Step { reroute: true, ..Step::go() });
        // Envoy's own knobs for one request:
        // <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#http-headers-consumed>
        step.set("x-envoy-max-retries", plan.most_attempts().saturating_sub(1).to_string());
        step.set("x-envoy-upstream-rq-per-try-timeout-ms", plan.patience.to_string());
        step.set("x-envoy-upstream-rq-timeout-ms", found.model.whole_timeout.as_millis().to_string());
        let id = self.ledger.open((operation == Operation::Chat).then(|| facts.spans(&document)).flatten());
        let plan = Plan { id, ..plan };
        step.property(names::log::MODEL, name.as_bytes());
        if let Some(rule) = rule {
            step.property(names::log::RULE, rule.name.as_bytes());
        }
        if let Some(to) = copy.as_ref().and_then(Plan::next_provider) {
            step.property(names::log::MIRROR, to);
            step.set(names::MIRROR_TO, to);
            // Whole, and not by way of `set`, which cuts.
            step.headers.push((names::MIRROR, copy.as_ref().map(Plan::to_header)));
        }
        step.property(names::NEXT, plan.next_provider().unwrap_or_default());
        step.property(names::PLAN, plan.encode());
        step.keep = without_overrides(&config, host);
        self.told = told;
        (self.phase, self.id, self.accounts, self.streams) = (Phase::Sent, id, accounts, facts.stream);
        Ok(step)
    }

    /// Reserves what the request may use. The model is another where a limit says so.
    fn reserve<'a>(
        &self,
        config: &'a Config,
        found: Found<'a>,
        document: &Document<'_>,
        estimate: Option<Estimate>,
        host: &dyn Host,
    ) -> Result<(Found<'a>, Accounts), Error> {
        if config.limits.is_empty() {
            return Ok((found, Accounts::default()));
        }
        let key = self.key.as_deref();
        let reserve = |found, past| Accounts::reserve(config, found, key, document, estimate, past, host);
        let refused = match reserve(found, false) {
            Ok(accounts) => return Ok((found, accounts)),
            Err(refused) => refused,
        };
        let cheaper = refused.downgrade_to.as_deref().and_then(|name| config.models.get_found(name));
        let accounts = cheaper.map(|cheaper| Ok((cheaper, reserve(cheaper, true)?)));
        accounts.unwrap_or(Err(refused)).map_err(|refused| account::refusal(&refused))
    }

    /// The request is over: counts what it used in place of what was reserved for it.
    fn settle(&mut self, host: &dyn Host, step: &mut Step) {
        let charges = self.ledger.close(self.id);
        let accounts = core::mem::take(&mut self.accounts);
        let used = accounts.used(&self.config, &charges, host.now());
        if used.amounts.input > 0 || used.amounts.output > 0 {
            step.property(names::log::INPUT_TOKENS, used.amounts.input.to_string());
            step.property(names::log::OUTPUT_TOKENS, used.amounts.output.to_string());
        }
        if used.estimated {
            step.property(names::log::ESTIMATED, "true");
        }
        if !charges.is_empty() && !used.unpriced {
            step.property(names::log::COST, pico_usd(used.amounts.usd).to_string());
        }
        accounts.settle(used, host);
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

/// What the client with this key may ask for by this name.
fn find<'a>(config: &'a Config, key: Option<&Key>, name: &'a str) -> Result<Found<'a>, Error> {
    permit(key, name)?;
    config.models.find(name).ok_or_else(|| {
        let name: String = name.chars().take(MAX_TOLD).collect();
        let message = format!("The model '{name}' does not exist or you do not have access to it.");
        Error { param: Some("model".to_owned()), ..Error::new(Cause::UnknownModel, message) }
    })
}

/// What is asked, as far as it is known without a look into the body.
fn question<'a>(
    config: &'a Config,
    key: Option<&'a Key>,
    host: &dyn Host,
    operation: Operation,
    facts: &Facts<'_>,
    name: &'a str,
) -> Result<Question<'a>, Error> {
    Ok(Question {
        name,
        asked: find(config, key, name)?,
        key,
        operation,
        stream: facts.stream,
        include_usage: facts.include_usage,
        now: host.now(),
        seed: host.seed(),
    })
}

/// Why a request with this key would go where it would go.
///
/// # Errors
/// It is none that goes anywhere: the client's mistake.
pub fn explain(config: &Config, key: Option<&Key>, host: &dyn Host, body: &[u8]) -> Result<Explanation, Error> {
    let path = host.header(":path").unwrap_or_default();
    let Some((Asks::Model(operation), _)) = Endpoint::find("POST", &path)? else {
        return Err(Error::new(Cause::UnknownEndpoint, format!("Nothing at {path} goes to a model.")));
    };
    let document = parse(body)?;
    let facts = Facts::of(operation, &document)?;
    let name = facts.model.decode();
    let question = question(config, key, host, operation, &facts, &name)?;
    let request = Request::new(host, &document, &question);
    let choice = choose(config, &question, &request);
    Ok(Explanation::of(&decide(config, question, choice, &request, host)))
}

fn parse(body: &[u8]) -> Result<Document<'_>, Error> {
    Document::parse(body).map_err(|invalid| {
        let message = format!("We could not parse the JSON body of your request: {invalid}.");
        Error::new(Cause::BadRequest, message)
    })
}

/// What only the gateway says to the provider position is nothing for a client to say.
fn without_orders(host: &dyn Host, mut step: Step) -> Step {
    for name in [names::MIRROR, names::MIRROR_TO] {
        if host.header(name).is_some() {
            step.remove(name);
        }
    }
    step
}

/// The request's headers but for those that choose a side of a rule; `None`: there are none of these.
fn without_overrides(config: &Config, host: &dyn Host) -> Option<Headers> {
    let shares = config.rules.iter().filter_map(|rule| rule.share.as_ref());
    let names: Vec<&str> = shares.filter_map(|share| share.override_header.as_deref()).collect();
    if !names.iter().any(|name| host.header(name).is_some()) {
        return None;
    }
    let mut headers = host.headers();
    headers.retain(|(name, _)| !names.contains(&name.as_str()));
    Some(headers)
}

fn unfit(why: Unfit, model: &str, operation: Operation) -> Error {
    match why {
        Unfit::Key => {
            let message = format!("Your API key may not reach any provider of the model '{model}'.");
            Error::new(Cause::Forbidden, message)
        }
        Unfit::Operation => {
            let message = format!("The model '{model}' has no target that can be asked for {}.", operation.path());
            Error::bad_request(message, "model")
        }
        Unfit::Lacks("context") => {
            let message = format!("The prompt is longer than any target of the model '{model}' takes.");
            Error { param: Some("messages".to_owned()), ..Error::new(Cause::ContextWindow, message) }
        }
        Unfit::Lacks(what) => {
            let message = format!("The model '{model}' has no target that can do what this request needs: {what}.");
            Error::bad_request(message, "model")
        }
    }
}

/// Holds a request to what its key may have generated.
///
/// # Errors
/// It asks for more.
fn limit(key: &Key, document: &Document<'_>, operation: Operation, plan: &mut Plan) -> Result<(), Error> {
    let root = document.root();
    let given = |name: &str| root.get(name).filter(|value| !value.is_null());
    let most = [("max_completion_tokens", key.max_tokens), ("max_tokens", key.max_tokens), ("n", key.n)];
    for (name, most) in most {
        if let (Some(value), Some(most)) = (given(name), most)
            && value.as_u64().is_none_or(|value| value > most)
        {
            return Err(Error::bad_request(format!("'{name}' can be at most {most} with your API key."), name));
        }
    }
    let said = given("max_completion_tokens").or_else(|| given("max_tokens")).is_some();
    if let Some(most) = key.max_tokens.filter(|_| operation == Operation::Chat && !said) {
        for hop in &mut plan.hops {
            let edits = hop.edits.get_or_insert_default();
            if !edits.set.contains_key("max_completion_tokens") && !edits.set.contains_key("max_tokens") {
                edits.default.insert("max_completion_tokens".to_owned(), most.into());
            }
        }
    }
    Ok(())
}

fn answer(body: String) -> Step {
    Reply { status: 200, headers: Vec::new(), body }.into()
}

/// How much of a name that a client made up it is told again, in characters.
const MAX_TOLD: usize = 256;
/// The longest that a client is told of the way of its request, in bytes.
const MAX_ROUTE: usize = 2000;

/// The gateway's own refusal: final, whatever targets there are.
pub(super) fn refuse(error: &Error) -> Step {
    let mut headers = vec![("x-should-retry", "false".to_owned())];
    if let Some(milliseconds) = error.retry_after {
        headers.push(("retry-after", milliseconds.div_ceil(1000).to_string()));
    }
    let mut step =
        Step::from(Flow::Reply(Reply { status: error.client_status(), headers, body: openai::error_body(error) }));
    step.property(names::log::ERROR, error.cause.name());
    step
}
