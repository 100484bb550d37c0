//! The machines themselves as filters, driven call by call as `src/shell` does.

use std::collections::BTreeMap;
use std::rc::Rc;

use model_gateway::config::Config;
use model_gateway::exchange::{
    Attempt, Ending, Flow, Gateway, Host, Ledger, Machine, Queue, Single, Step, Tally, Upstream, Want,
};
use model_gateway::names;
use model_gateway::route::{Shared, Version};

use crate::scripted::filters::{Action, Event, Filters, Half, Headers, Held, NOW, Reply, State};

pub struct Native {
    config: Rc<Config>,
    upstreams: Rc<BTreeMap<String, Rc<Upstream>>>,
    pub ledger: Rc<Ledger>,
    queue: Rc<Queue>,
    tally: Rc<Tally>,
    /// How many attempts of a request are in its VM; those that come after are each in one of its own.
    pub together: usize,
    attempts: usize,
    contexts: BTreeMap<u32, Context>,
    last: u32,
}

struct Context {
    machine: Box<dyn Machine>,
    /// How much of what Envoy holds the machine has seen.
    seen: usize,
}

impl Native {
    pub fn new(config: &serde_json::Value, environment: &[(&str, &str)]) -> Self {
        let file = serde_json::from_value(config.clone()).unwrap();
        let config = Config::check(&file).unwrap();
        let variable =
            |name: &str| environment.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).into());
        let upstreams = config.providers.iter();
        let upstreams = upstreams.map(|(name, provider)| {
            let mirrored = config.mirrors().any(|mirror| mirror.target.provider == *name);
            (name.clone(), Rc::new(Upstream::new(&config, provider, variable).unwrap().mirrored(mirrored)))
        });
        let upstreams = Rc::new(upstreams.collect());
        Self {
            config: Rc::new(config),
            upstreams,
            ledger: Rc::default(),
            queue: Rc::default(),
            tally: Rc::default(),
            together: usize::MAX,
            attempts: 0,
            contexts: BTreeMap::new(),
            last: 0,
        }
    }
}

impl Filters for Native {
    fn open(&mut self, root: &str) -> u32 {
        let (config, ledger, queue) = (|| self.config.clone(), || self.ledger.clone(), || self.queue.clone());
        if !root.starts_with(names::PROVIDER_ROOT_PREFIX) {
            self.attempts = 0;
        }
        let machine: Box<dyn Machine> = match root.strip_prefix(names::PROVIDER_ROOT_PREFIX) {
            Some(provider) => {
                let ledger = if self.attempts < self.together { ledger() } else { Rc::default() };
                self.attempts += 1;
                Box::new(Attempt::new(self.upstreams[provider].clone(), ledger))
            }
            None if root == "single" => {
                Box::new(Single::new(config(), self.upstreams.clone(), ledger(), queue(), &self.tally))
            }
            None => Box::new(Gateway::new(config(), ledger(), queue(), &self.tally)),
        };
        self.last += 1;
        self.contexts.insert(self.last, Context { machine, seen: 0 });
        self.last
    }

    fn call(&mut self, id: u32, event: Event, held: &mut Held, state: &mut State) -> Action {
        let Context { machine, seen } = self.contexts.get_mut(&id).expect("an open context");
        let empty = Headers::default();
        let kept = held.headers.clone();
        let host = Look { headers: kept.as_ref().unwrap_or(&empty), state, id };
        let body = held.body.as_deref().unwrap_or_default();
        let (step, wanted) = match (held.half, event) {
            (Half::Request, Event::Headers { end }) => (machine.request_headers(&host, end), Want::Nothing),
            (Half::Response, Event::Headers { end }) => (machine.response_headers(&host, end), Want::Nothing),
            (Half::Request, Event::Body { .. } | Event::Trailers) => match machine.wants_request() {
                Want::Nothing => return Action::Continue,
                wanted if event != (Event::Body { end: false }) => {
                    (machine.request_body(&host, &body[..wanted.of(body.len())]), wanted)
                }
                wanted => (machine.request_grows(body.len() as u64), wanted),
            },
            (Half::Response, Event::Body { .. } | Event::Trailers) => {
                let end = event != (Event::Body { end: false });
                match machine.wants_response() {
                    Want::Nothing => return Action::Continue,
                    Want::End if !end => return Action::Continue,
                    Want::Sight | Want::End => {
                        let step = machine.response_passes(&host, body, end);
                        step.properties.iter().for_each(|(name, value)| state.set(name, value));
                        return Action::Continue;
                    }
                    Want::Whole if !end => (machine.response_grows(&host, body.len() as u64), Want::Whole),
                    wanted => (machine.response_body(&host, &body[*seen..], end), wanted),
                }
            }
        };
        let action = match event {
            Event::Trailers if held.body.is_none() => apply_without_body(step, held, state),
            _ => apply(step, held, state),
        };
        *seen = match action {
            Action::Pause if wanted == Want::Pieces => held.body.as_ref().map_or(0, Vec::len),
            _ => 0,
        };
        action
    }

    fn close(&mut self, id: u32, state: &mut State) {
        let Context { mut machine, .. } = self.contexts.remove(&id).expect("an open context");
        // As Envoy does for the filter before the router only.
        if state.ending.is_some() {
            let step = machine.done(&Look { headers: &Headers::default(), state, id });
            step.properties.iter().for_each(|(name, value)| state.set(name, value));
        }
        machine.closed();
    }
}

fn apply_without_body(mut step: Step, held: &mut Held, state: &mut State) -> Action {
    if !step.headers.is_empty() {
        return apply(step.without_body(), held, state);
    }
    step.body = None;
    held.reset = step.broken;
    apply(step, held, state)
}

fn apply(step: Step, held: &mut Held, state: &mut State) -> Action {
    for (name, value) in &step.properties {
        state.set(name, value);
    }
    state.rerouted |= step.reroute;
    if let Flow::Reply(reply) = step.flow {
        let json = [("content-type", "application/json")];
        let mut headers = Headers::of(if reply.is_json() { &json } else { &json[..0] });
        headers.0.extend(Headers::of(&reply.headers).0);
        held.reply = Some(Reply { status: reply.status, headers, body: reply.body.into() });
        return Action::Pause;
    }
    for name in step.drop.iter() {
        let name = core::str::from_utf8(name).expect("names are text");
        held.headers.as_mut().expect("headers that have not gone on").remove(name);
    }
    for (name, value) in step.headers {
        let headers = held.headers.as_mut().expect("headers that have not gone on");
        match value {
            Some(value) => headers.set(name, value),
            None => headers.remove(name),
        }
    }
    if let Some(body) = step.body {
        let held = held.body.as_mut().expect("a body to replace");
        held.splice(..step.replaces.unwrap_or(held.len()), body.into_bytes());
    }
    if step.flow == Flow::Continue { Action::Continue } else { Action::Pause }
}

struct Look<'s> {
    headers: &'s Headers,
    state: &'s State,
    id: u32,
}

impl Host for Look<'_> {
    fn now(&self) -> u64 {
        NOW * 1000
    }

    fn seed(&self) -> u64 {
        u64::from(self.id)
    }

    fn header(&self, name: &str) -> Option<String> {
        self.headers.text(name)
    }

    fn headers(&self) -> model_gateway::headers::Headers {
        self.headers.0.iter().map(|(name, value)| (name, value)).collect()
    }

    fn property(&self, name: &str) -> Option<Vec<u8>> {
        self.state.get(name).filter(|value| !value.is_empty()).map(<[u8]>::to_vec)
    }

    fn client(&self) -> Option<String> {
        Some("10.0.0.9".to_owned())
    }

    fn ending(&self) -> Ending {
        self.state.ending.expect("a stream that has ended")
    }
}

impl Shared for Look<'_> {
    fn get(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        let (record, version) = self.state.record(key).unzip();
        (record, Version(version.unwrap_or(u32::MAX)))
    }

    fn set(&self, key: &str, record: &[u8], Version(version): Version) -> bool {
        self.state.set_record(key, record, version)
    }
}
