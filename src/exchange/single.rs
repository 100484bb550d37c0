//! Position single: both machines in one filter before the router, for those who can add only that.
//!
//! Envoy does not come back to such a filter for a retry, so a request has one attempt; what was learnt from its failure
//! serves the next request. The operator's routes choose the cluster by the header [`TARGET`].

use std::collections::BTreeMap;
use std::rc::Rc;

use super::attempt::{Attempt, Upstream};
use super::gateway::{Gateway, refuse};
use super::ledger::Ledger;
use super::queue::Queue;
use super::step::{Flow, Host, Machine, Step, Want};
use super::tally::Tally;
use crate::config::Config;
use crate::error::{Cause, Error};
use crate::names;
use crate::route::Plan;

/// Request header that names the provider which was chosen, for the operator's routes to match on.
const TARGET: &str = "x-gateway-target";

/// One client request, its one attempt, and the answer.
pub struct Single {
    gateway: Gateway,
    upstreams: Rc<BTreeMap<String, Rc<Upstream>>>,
    ledger: Rc<Ledger>,
    attempt: Option<Attempt>,
}

impl Single {
    /// A machine for one request; `upstreams` has every provider of the gateway's configuration.
    pub fn new(
        config: Rc<Config>,
        upstreams: Rc<BTreeMap<String, Rc<Upstream>>>,
        ledger: Rc<Ledger>,
        queue: Rc<Queue>,
        tally: &Rc<Tally>,
    ) -> Self {
        Self { gateway: Gateway::new(config, ledger.clone(), queue, tally), upstreams, ledger, attempt: None }
    }
}

impl Single {
    /// What the gateway lets through becomes an attempt.
    fn send(&mut self, mut step: Step, host: &dyn Host, body: &[u8]) -> Step {
        if step.flow != Flow::Continue {
            return step;
        }
        let plan = self.gateway.take_plan().map(Rc::unwrap_or_clone).map(Plan::only_first).map(Rc::new);
        let upstream = plan.as_deref().and_then(Plan::next_provider).and_then(|name| self.upstreams.get(name));
        let (Some(plan), Some(upstream)) = (&plan, upstream) else {
            return refuse(&Error::new(Cause::ServerError, "The gateway has no target for the request."));
        };
        let mut attempt = Attempt::new(upstream.clone(), self.ledger.clone());
        let begun = attempt.begin(host, plan.clone());
        if begun.flow != Flow::Hold {
            return begun;
        }
        // Now: the attempt takes all of them.
        let scheme = host.header("x-forwarded-proto");
        let wanted = attempt.wants_request().of(body.len());
        let sent = attempt.request_body(host, body.get(..wanted).unwrap_or(body));
        if sent.flow != Flow::Continue {
            return sent;
        }
        self.attempt = Some(attempt);
        step.set(TARGET, plan.next_provider().unwrap_or_default());
        step.set("x-envoy-max-retries", "0");
        // Envoy makes copies by its routes, and these are not the gateway's.
        step.headers.retain(|(name, _)| ![names::MIRROR, names::MIRROR_TO].contains(name));
        self.gateway.without_copy();
        step.headers.extend(sent.headers);
        // What the gateway takes away does not go on, whatever the operator forwards.
        step.drop.extend(&sent.drop);
        // Envoy finds no route for a request without it.
        if let Some(scheme) = scheme {
            step.set("x-forwarded-proto", scheme);
        }
        step.properties.extend(begun.properties);
        step.notices.extend(begun.notices);
        step.metrics.extend(begun.metrics);
        (step.body, step.replaces) = (sent.body, sent.replaces);
        step
    }

    /// The answer's headers are made now: there is no filter before this one that could add to them.
    fn tell(&mut self, host: &dyn Host, mut step: Step) -> Step {
        if !step.headers.is_empty() || matches!(step.flow, Flow::Reply(_)) {
            let mut told = Step::go();
            self.gateway.tell(host, true, &mut told);
            match &mut step.flow {
                Flow::Reply(reply) => {
                    let headers = told.headers.into_iter();
                    reply.headers.extend(headers.filter_map(|(name, value)| Some((name, value?))));
                }
                Flow::Continue | Flow::Hold | Flow::Wait => step.headers.extend(told.headers),
            }
        }
        step
    }
}

impl Machine for Single {
    fn request_headers(&mut self, host: &dyn Host, end: bool) -> Step {
        let mut step = self.gateway.request_headers(host, end);
        // Only the gateway says where a request goes: a client that could would reach a provider past everything here.
        if step.flow == Flow::Continue && host.header(TARGET).is_some() {
            step.remove(TARGET);
            step.reroute = true;
        }
        step
    }

    fn wants_request(&self) -> Want {
        self.gateway.wants_request()
    }

    fn request_grows(&mut self, bytes: u64) -> Step {
        self.gateway.request_grows(bytes)
    }

    fn request_body(&mut self, host: &dyn Host, body: &[u8]) -> Step {
        let step = self.gateway.request_body(host, body);
        self.send(step, host, body)
    }

    fn request_waits(&mut self, host: &dyn Host, body: &dyn Fn() -> Vec<u8>) -> Step {
        let step = self.gateway.request_waits(host, body);
        if step.flow == Flow::Wait { step } else { self.send(step, host, &body()) }
    }

    fn response_headers(&mut self, host: &dyn Host, end: bool) -> Step {
        let step = self.attempt.as_mut().map_or_else(Step::go, |attempt| attempt.response_headers(host, end));
        self.tell(host, step)
    }

    fn wants_response(&self) -> Want {
        self.attempt.as_ref().map_or(Want::Nothing, Attempt::wants_response)
    }

    fn response_grows(&mut self, host: &dyn Host, bytes: u64) -> Step {
        let step = self.attempt.as_mut().map_or_else(Step::go, |attempt| attempt.response_grows(host, bytes));
        self.tell(host, step)
    }

    fn response_body(&mut self, host: &dyn Host, bytes: &[u8], end: bool) -> Step {
        let mut step = self.attempt.as_mut().map_or_else(Step::go, |attempt| attempt.response_body(host, bytes, end));
        if self.gateway.wants_response() != Want::Nothing && step.flow != Flow::Hold {
            // What the client gets is what the attempt made of it.
            let seen = step.body.as_deref().map_or(bytes, str::as_bytes);
            let told = self.gateway.response_passes(host, seen, end);
            step.properties.extend(told.properties);
        }
        self.tell(host, step)
    }

    fn done(&mut self, host: &dyn Host) -> Step {
        self.gateway.done(host)
    }
}
