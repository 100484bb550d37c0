//! Position gateway: before the router, once per client request.

use std::rc::Rc;

use super::access::{admit, identify};
use super::account::{self, Accounts};
use super::endpoint::{Asks, Endpoint, percent_decode};
use super::images::images;
use super::labels::Labels;
use super::ledger::{Known, Ledger};
use super::log::{self, Line};
use super::page;
use super::payload::Payload;
use super::question::{MAX_TOLD, find, hold_to_caps, parse, question, unfit};
use super::queue::{Queue, Ticket};
use super::record::{Asked, Record, Refusal, Used, attempts};
use super::step::{Ending, Flow, Host, Machine, Reply, Step, Want};
use super::subject::Request;
use super::tally::{Tally, UnderWay};
use super::usage::usage;
use super::verdict;
use crate::clients::openai;
use crate::config::{Config, Found, Key};
use crate::dialect::Operation;
use crate::error::{Cause, Error};
use crate::headers::Names;
use crate::json::Document;
use crate::limits::{Refused, Turn};
use crate::names;
use crate::price::pico_usd;
use crate::route::{Brief, Choice, Decision, Facts as _, Plan, choose, decide};
use crate::splice::Facts;
use crate::tokens::Estimate;

/// One client request on its way to a provider, and the answer's way back.
#[derive(Debug)]
pub struct Gateway {
    config: Rc<Config>,
    ledger: Rc<Ledger>,
    queue: Rc<Queue>,
    under_way: UnderWay,
    /// Who calls, if that matters.
    key: Option<Rc<Key>>,
    /// By what the ledger knows the request.
    id: u64,
    accounts: Accounts,
    /// What is known of it for its record; `None`: it is none of a model's.
    asked: Option<Box<Asked>>,
    phase: Phase,
    waiting: Option<Waiting>,
    /// Why the request goes where it goes, if the client wants to know.
    told: Option<Box<Brief>>,
    labels: Labels,
    /// What the log says of it.
    line: Line,
    /// What is to be logged of the answer as a whole, if it is.
    payload: Option<Box<Payload>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not the gateway's, or not any more: everything passes.
    Pass,
    /// The body is awaited, for this.
    Body(Operation),
    /// It is there, and room at a limit is awaited.
    Waits(Operation),
    /// The request went out by a plan.
    Sent,
}

/// A request that waits for room at a limit.
#[derive(Debug)]
struct Waiting {
    turn: Turn,
    ticket: Ticket,
    /// In milliseconds since 1970.
    until: u64,
}

impl Waiting {
    /// Whether to try again, or to give it up.
    fn is_over(&self, host: &dyn Host) -> bool {
        let now = host.now();
        now >= self.until || self.ticket.is_first() && self.turn.has_come(now, host)
    }
}

impl Machine for Gateway {
    fn request_headers(&mut self, host: &dyn Host, end: bool) -> Step {
        self.begin(host, end).unwrap_or_else(|error| {
            self.asked.get_or_insert_with(|| Box::new(Asked { began: host.now(), ..Asked::default() }));
            self.refuse(&error)
        })
    }

    fn wants_request(&self) -> Want {
        if matches!(self.phase, Phase::Body(_)) { Want::Whole } else { Want::Nothing }
    }

    fn request_grows(&mut self, bytes: u64) -> Step {
        if bytes <= self.config.body_limit {
            return Step::hold();
        }
        self.phase = Phase::Pass;
        self.refuse(&self.too_large(bytes))
    }

    fn request_body(&mut self, host: &dyn Host, body: &[u8]) -> Step {
        let Phase::Body(operation) = core::mem::replace(&mut self.phase, Phase::Pass) else {
            return Step::go();
        };
        let mut step = self.plan(host, operation, body).unwrap_or_else(|error| self.refuse(&error));
        self.tell_labels(&mut step);
        step
    }

    fn request_waits(&mut self, host: &dyn Host, body: &dyn Fn() -> Vec<u8>) -> Step {
        let (Phase::Waits(operation), Some(waiting)) = (&self.phase, &self.waiting) else { return Step::go() };
        let operation = *operation;
        if !waiting.is_over(host) {
            return Flow::Wait.into();
        }
        self.phase = Phase::Pass;
        let mut step = self.plan(host, operation, &body()).unwrap_or_else(|error| self.refuse(&error));
        self.tell_labels(&mut step);
        if step.flow != Flow::Wait {
            self.waiting = None;
        }
        step
    }

    fn response_headers(&mut self, host: &dyn Host, _end: bool) -> Step {
        let mut step = Step::go();
        if self.phase != Phase::Sent {
            return step;
        }
        if let Some((error, limit)) = self.accounts.refused(host, &mut step) {
            self.phase = Phase::Pass;
            self.ledger.close(self.id);
            if let Some(asked) = &mut self.asked {
                asked.refused = Some(Refusal { cause: error.cause, limit });
            }
            return Step { properties: step.properties, ..refuse(&error) };
        }
        self.accounts.describe(host, &mut step);
        // Of an answer that is not streamed all is there by now.
        if self.asked.as_ref().is_some_and(|asked| !asked.stream) {
            let used = Used::of(&attempts(&self.config, self.ledger.read(self.id), 0, host.now()));
            if used.cost > 0 && !used.unpriced {
                step.set("x-gateway-cost", pico_usd(used.cost).as_str());
            }
        }
        let good = host.header(":status").is_some_and(|status| status.starts_with('2'));
        self.tell(host, good, &mut step);
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
        if let Some(seconds) = self.soonest(host) {
            step.set("retry-after", seconds.to_string());
        }
        step
    }

    fn wants_response(&self) -> Want {
        match (self.phase == Phase::Sent, &self.payload, &self.config.tracing) {
            (true, Some(_), _) => Want::Sight,
            (true, None, Some(_)) => Want::End,
            _ => Want::Nothing,
        }
    }

    fn response_passes(&mut self, host: &dyn Host, bytes: &[u8], end: bool) -> Step {
        if let Some(payload) = &mut self.payload {
            payload.push(bytes);
        }
        let mut step = Step::go();
        if end && self.config.tracing.is_some() {
            // Envoy ends a span before it writes the log.
            let asked = Asked { key: self.key.clone(), ..self.asked.as_deref().cloned().unwrap_or_default() };
            let record = Record::new(&self.config, asked, self.ledger.read(self.id), None, host.now());
            log::tell_span(&record, &mut step);
        }
        step
    }

    fn done(&mut self, host: &dyn Host) -> Step {
        let mut step = Step::go();
        let line = core::mem::take(&mut self.line);
        let Some(mut asked) = self.asked.take() else {
            self.write(line, None, host, &mut step);
            return step;
        };
        let sent = self.phase == Phase::Sent;
        let cut = self.judge(host, sent, &mut step);
        let tried = if sent { self.ledger.close(self.id) } else { Vec::new() };
        let accounts = core::mem::take(&mut self.accounts);
        asked.key = self.key.take();
        asked.passed = accounts.passed().to_vec();
        let record = Record::new(&self.config, *asked, tried, cut, host.now());
        let payload = self.payload.take();
        log::tell(&self.config, &record, payload.is_some(), &mut step);
        self.write(line, Some(&record), host, &mut step);
        if let Some(payload) = payload {
            payload.end(&mut step);
        }
        accounts.report(&record.used, host, &mut step);
        accounts.settle(&self.config, &record, host);
        step.metrics.extend(self.under_way.over(&self.config, record, host));
        step
    }
}

impl Gateway {
    /// A machine for one request.
    pub fn new(config: Rc<Config>, ledger: Rc<Ledger>, queue: Rc<Queue>, tally: &Rc<Tally>) -> Self {
        Self {
            config,
            ledger,
            queue,
            under_way: tally.begin(),
            key: None,
            id: 0,
            accounts: Accounts::default(),
            asked: None,
            phase: Phase::Pass,
            waiting: None,
            told: None,
            labels: Labels::default(),
            line: Line::default(),
            payload: None,
        }
    }

    /// Tells the client, if it wants to know, what became of its request; `good`: it gets an answer.
    pub(super) fn tell(&mut self, host: &dyn Host, good: bool, step: &mut Step) {
        let Some(told) = self.told.take() else { return };
        let last = match self.ledger.read(self.id).last().and_then(|tried| tried.ended) {
            Some((_, Err(cause))) => cause.name(),
            _ if good => "answered",
            _ => "",
        };
        let told = match self.now_planned(host) {
            Some(plan) => told.tried(&plan, last),
            None => *told,
        };
        step.set(names::ROUTE, told.to_json(MAX_ROUTE));
    }

    fn begin(&mut self, host: &dyn Host, end: bool) -> Result<Step, Error> {
        let header = |name| host.header(name).unwrap_or_default();
        let (method, path) = (header(":method"), header(":path"));
        self.line = Line::begin(&self.config, header, &method, &path);
        if let Some(answer) = page::answer(&self.config, host, &method, &path) {
            return answer;
        }
        let Some((asks, below)) = Endpoint::find(&method, &path)? else {
            return Ok(without_orders(host, Step::go()));
        };
        if let Asks::Model(operation) = asks {
            self.asked = Some(Box::new(Asked { began: host.now(), operation: Some(operation), ..Asked::default() }));
        }
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
        let document = parse(body)?;
        let facts = Facts::of(operation, &document)?;
        let name = facts.model.decode();
        let (config, key) = (self.config.clone(), self.key.clone());
        let asked = self.asked.get_or_insert_default();
        (asked.model, asked.stream) = (name.chars().take(MAX_TOLD).collect(), facts.stream);
        let question = question(&config, key.as_deref(), host, operation, &facts, &name)?;
        if !config.log.is_empty() {
            asked.images = images(&document);
        }
        self.labels = Labels::of(&config, key.as_deref(), host, &document);
        (asked.found, asked.made_up) = (Some(question.asked.name.to_owned()), !question.asked.star.is_empty());
        let request = Request::new(host, &document, &question, &self.labels);
        let choice = choose(&config, &question, &request);
        let seed = question.seed;
        let wanted = question.asked;
        let estimate = account::counts_tokens(&config.limits).then(|| request.estimate());
        let reserved = self.reserve(&config, choice.found, &document, estimate, host);
        let (found, mut accounts) = match reserved {
            Ok(reserved) => reserved,
            Err(refused) => return self.wait(refused, operation, host),
        };
        let asked = self.asked.get_or_insert_default();
        let decision = decide(&config, question, Choice { found, ..choice }, &request, host);
        // Of an answer that is not streamed nothing is seen before its usage is.
        asked.prompt = match estimate.or(decision.estimate) {
            Some(estimate) => estimate.input,
            None if facts.stream => request.rough_tokens(),
            None => 0,
        };
        let may_know = config.debug || key.as_ref().is_some_and(|key| key.role.debug);
        let wants = may_know && host.header(names::DEBUG).is_some_and(|wish| wish == "1");
        let told = wants.then(|| Box::new(Brief::of(&decision)));
        let Decision { plan, rule, mut copy, .. } = decision;
        let planned = plan.map_err(|why| unfit(why, &name, operation)).and_then(|mut plan| {
            if let Some(key) = &key {
                hold_to_caps(key, &document, operation, &mut plan)?;
                if let Some(copy) = &mut copy {
                    hold_to_caps(key, &document, operation, copy)?;
                }
            }
            Ok(plan)
        });
        let mut plan = match planned {
            Ok(plan) => plan,
            Err(error) => {
                self.accounts = accounts;
                return Err(error);
            }
        };
        if let Err(refused) =
            accounts.reserve_target(&config, key.as_deref(), &mut plan, &|account| self.is_behind(account), host)
        {
            accounts.give_up(host);
            return self.wait(refused, operation, host);
        }
        let mut step = without_orders(host, Step { reroute: true, ..Step::go() });
        // Envoy's own knobs for one request:
        // <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#http-headers-consumed>
        step.set("x-envoy-max-retries", plan.most_attempts().saturating_sub(1).to_string());
        step.set("x-envoy-upstream-rq-per-try-timeout-ms", plan.patience.to_string());
        step.set("x-envoy-upstream-rq-timeout-ms", found.model.whole_timeout.as_millis().to_string());
        let spans = (operation == Operation::Chat).then(|| facts.spans(&document)).flatten();
        let id = self.ledger.open(config.clone(), seed, Known::new(body, spans, document.outline()));
        let plan = Rc::new(Plan { id, ..plan });
        self.ledger.keep(&plan);
        let asked = self.asked.get_or_insert_default();
        asked.rule = rule.map(|rule| rule.name.clone());
        if let Some(to) = copy.as_ref().and_then(Plan::next_provider) {
            asked.mirror = Some(to.to_owned());
            step.set(names::MIRROR_TO, to);
            // Whole, and not by way of `set`, which cuts.
            step.headers.push((names::MIRROR, copy.as_ref().map(Plan::to_header)));
        }
        step.property(names::NEXT, plan.next_provider().unwrap_or_default());
        step.property(names::PLAN, plan.encode());
        accounts.ask(&mut step);
        step.drop = overrides(&config);
        if config.tracing.is_some() {
            step.property(names::log::OPERATION, operation.name());
            step.property(names::log::MODEL, name.as_bytes());
        }
        let sent = (body, facts.stream);
        self.payload = Payload::begin(&config, (&name, wanted), key.as_deref(), sent, seed, &mut step).map(Box::new);
        self.told = told;
        (self.phase, self.id, self.accounts) = (Phase::Sent, id, accounts);
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
    ) -> Result<(Found<'a>, Accounts), Refused> {
        if config.limits.is_empty() {
            return Ok((found, Accounts::default()));
        }
        let key = self.key.as_deref();
        let reserve = |found, past| {
            let is_behind = |account: &str| self.is_behind(account);
            Accounts::reserve(config, (found, past), key, (document, &self.labels), estimate, &is_behind, host)
        };
        let refused = match reserve(found, false) {
            Ok(accounts) => return Ok((found, accounts)),
            Err(refused) => refused,
        };
        let cheaper = refused.downgrade_to.as_deref().and_then(|name| config.models.get_found(name));
        let accounts = cheaper.map(|cheaper| Ok((cheaper, reserve(cheaper, true)?)));
        accounts.unwrap_or(Err(refused))
    }

    /// Whether others wait for room in that account, and came before.
    fn is_behind(&self, account: &str) -> bool {
        let is_first = |waiting: &Waiting| waiting.ticket.is_for(account) && waiting.ticket.is_first();
        self.queue.is_awaited(account) && !self.waiting.as_ref().is_some_and(is_first)
    }

    /// Has the request wait for room at the limit that it is past, if the limit lets it.
    ///
    /// # Errors
    /// It does not, or not any more, or too many wait.
    fn wait(&mut self, refused: Refused, operation: Operation, host: &dyn Host) -> Result<Step, Error> {
        let error = account::refusal(&refused);
        let asked = self.asked.get_or_insert_default();
        let Some(turn) = refused.turn else {
            asked.refused = Some(Refusal { cause: error.cause, limit: Some(refused.limit) });
            return Err(error);
        };
        let until = self.waiting.as_ref().map(|waiting| waiting.until);
        let until = until.unwrap_or_else(|| host.now().saturating_add(turn.patience()));
        let account = turn.account();
        // Who has waited in this line keeps the place.
        let kept = self.waiting.take().map(|waiting| waiting.ticket).filter(|ticket| ticket.is_for(&account));
        let ticket = kept.or_else(|| self.queue.join(&account)).filter(|_| host.now() < until);
        let Some(ticket) = ticket else {
            asked.refused = Some(Refusal { cause: error.cause, limit: Some(refused.limit) });
            return Err(error);
        };
        (self.phase, self.waiting) = (Phase::Waits(operation), Some(Waiting { turn, ticket, until }));
        Ok(Flow::Wait.into())
    }

    /// What the gateway has decided, for who goes on by it.
    pub(super) fn take_plan(&self) -> Option<Rc<Plan>> {
        self.ledger.take_plan(self.id)
    }

    fn write(&self, line: Line, record: Option<&Record>, host: &dyn Host, step: &mut Step) {
        if let Some(line) = line.end(record, &self.labels, |name| host.property(name)) {
            step.property(names::log::LINE, line);
        }
    }

    fn tell_labels(&self, step: &mut Step) {
        if log::reads_labels(&self.config) {
            self.labels.tell(step);
        }
    }

    /// There is no copy after all.
    pub(super) fn without_copy(&mut self) {
        if let Some(asked) = &mut self.asked {
            asked.mirror = None;
        }
    }

    /// How the last attempt was cut off, if it left no word, and not by the client; its target is judged for that. An attempt
    /// after which Envoy went on was judged by the next. `sent`: there can have been attempts.
    fn judge(&self, host: &dyn Host, sent: bool, step: &mut Step) -> Option<Cause> {
        if sent && self.ledger.is_answered(self.id) {
            return None;
        }
        let outcome = host.property(names::OUTCOME).filter(|_| sent).unwrap_or_default();
        let cut = match host.ending() {
            _ if outcome == names::SILENT.as_bytes() => Some(Cause::Timeout),
            Ending::ClientLeft => None,
            Ending::TimedOut => Some(Cause::Timeout),
            Ending::Complete | Ending::Failed => Some(Cause::Connection),
        };
        if !sent || outcome == names::OVER.as_bytes() {
            return cut;
        }
        let plan = self.now_planned(host);
        if let Some((hop, _)) = plan.as_ref().and_then(|plan| plan.given_up(host.now())) {
            match cut {
                Some(cause) => verdict::failed(host, &self.ledger, hop, cause, None, step),
                None => verdict::unknown(host, hop),
            }
        }
        cut
    }

    /// The plan as the last attempt has left it: that one may have been another VM's.
    fn now_planned(&self, host: &dyn Host) -> Option<Rc<Plan>> {
        let written = host.property(names::PLAN).as_deref().and_then(Plan::decode).map(Rc::new);
        let known = self.ledger.plan(self.id);
        [written, known].into_iter().flatten().max_by_key(|plan| plan.made)
    }

    /// In how many seconds a target may answer, where one that has failed before the last says so, and the last does not say that
    /// it will sooner.
    fn soonest(&self, host: &dyn Host) -> Option<u64> {
        let status: u16 = host.header(":status")?.parse().ok()?;
        if status != 429 && status < 500 {
            return None;
        }
        let soonest = self.now_planned(host)?.soonest?;
        let seconds = soonest.saturating_sub(host.now()).div_ceil(1000);
        let last = host.header("retry-after").and_then(|last| last.parse::<u64>().ok());
        last.is_none_or(|last| seconds < last).then_some(seconds)
    }

    /// Refuses the request, and says so in its record.
    fn refuse(&mut self, error: &Error) -> Step {
        if let Some(asked) = &mut self.asked {
            asked.refused.get_or_insert(Refusal { cause: error.cause, limit: None });
        }
        let mut step = refuse(error);
        if self.config.tracing.is_some() {
            step.property(names::log::ERROR, error.cause.name());
        }
        step
    }

    fn too_large(&self, bytes: u64) -> Error {
        let limit = self.config.body_limit;
        Error::new(Cause::TooLarge, format!("The request is {bytes} bytes or more; at most {limit} are accepted."))
    }
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

/// Headers that choose a side of a rule: they are for the gateway alone.
fn overrides(config: &Config) -> Names {
    let shares = config.rules.iter().filter_map(|rule| rule.share.as_ref());
    shares.filter_map(|share| share.override_header.as_deref()).collect()
}

fn answer(body: String) -> Step {
    Reply { status: 200, headers: Vec::new(), body }.into()
}

/// The longest that a client is told of the way of its request, in bytes.
const MAX_ROUTE: usize = 2000;

/// The gateway's own refusal: final, whatever targets there are.
pub(super) fn refuse(error: &Error) -> Step {
    let mut headers = vec![("x-should-retry", "false".to_owned())];
    if let Some(milliseconds) = error.retry_after {
        headers.push(("retry-after", milliseconds.div_ceil(1000).to_string()));
    }
    Reply { status: error.client_status(), headers, body: openai::error_body(error) }.into()
}
