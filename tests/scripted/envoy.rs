//! Envoy, as far as a filter can tell: it feeds filters, routes by the property that they set, and tries again when an
//! attempt asks for it or is reset. Bytes come from a script.

use model_gateway::exchange::Ending;
use model_gateway::names;

use super::filters::{Action, Event, Filters, Half, Headers, Held, Records, Reply, State};

/// One client request, and what the providers answer to each attempt at it.
#[derive(Debug, Clone)]
pub struct Script {
    /// The root id of the filter before the router.
    pub root: &'static str,
    pub headers: Headers,
    /// None: a request that ends with its headers.
    pub body: Option<Vec<Vec<u8>>>,
    /// How the request ends.
    pub end: End,
    pub answers: Vec<Answer>,
    /// Where the operator's own routes lead a request that the gateway did not route.
    pub route: Option<&'static str>,
    /// Whether Envoy has no retry left to give, as when its circuit breakers are open.
    pub no_retries: bool,
    /// Whether it is the client that ends what is reset.
    pub client_leaves: bool,
    /// The filter between the gateway position and the router, if there is one.
    pub limiter: Option<Limiter>,
}

/// Envoy's `ratelimit` filter.
#[derive(Debug, Clone, Copy)]
pub struct Limiter {
    /// The status and the reason of a refusal.
    pub refuses: Option<(u16, &'static str)>,
    /// What it puts on the answer, whoever gives it.
    pub headers: &'static [(&'static str, &'static str)],
}

/// What a provider does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// None: the connection is reset instead.
    pub headers: Option<Headers>,
    /// None: the answer ends with its headers.
    pub body: Option<Vec<Vec<u8>>>,
    pub end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With the last piece of the body.
    Last,
    /// With a piece of nothing.
    Empty,
    /// With trailers.
    Trailers,
    /// With a reset.
    Reset,
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// 0: a reset in place of any answer.
    pub status: u16,
    pub headers: Headers,
    pub body: String,
    /// Whether the client saw a reset where the end should be.
    pub cut: bool,
    /// What each provider got.
    pub sent: Vec<Sent>,
    /// What the filter before the router let through to it.
    pub routed: Headers,
    /// What is there for the access log.
    pub log: Vec<(&'static str, String)>,
    /// How often usage was reported.
    pub reports: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Sent {
    pub cluster: String,
    pub headers: Headers,
    pub body: String,
}

impl Outcome {
    pub fn log(&self, name: &str) -> &str {
        self.log.iter().find(|(other, _)| *other == name).map_or("", |(_, value)| value.as_str())
    }
}

/// Runs `script` on an Envoy that has just begun.
pub fn run(filters: &mut dyn Filters, script: &Script) -> Outcome {
    run_on(filters, script, &Records::default())
}

/// Runs `script` on an Envoy with these records.
pub fn run_on(filters: &mut dyn Filters, script: &Script, records: &Records) -> Outcome {
    let context = filters.open(script.root);
    let mut state = State::default();
    state.shared = records.clone();
    let mut run = Run { filters, script, state, sent: Vec::new(), routed: Headers::default() };
    let mut answer = run.request(context);
    let told = script.limiter.iter().flat_map(|limiter| limiter.headers);
    told.for_each(|(name, value)| answer.0.set(name, *value));
    let (headers, chunks, end) = run.deliver(context, answer);
    run.state.ending = Some(match end {
        End::Reset if script.client_leaves => Ending::ClientLeft,
        End::Reset => Ending::Failed,
        End::Last | End::Empty | End::Trailers => Ending::Complete,
    });
    run.filters.close(context, &mut run.state);
    Outcome {
        status: headers.text(":status").and_then(|status| status.parse().ok()).expect("a status"),
        headers,
        body: String::from_utf8(chunks.concat()).expect("a client gets UTF-8"),
        cut: end == End::Reset,
        sent: run.sent,
        routed: run.routed,
        log: names::log::ALL
            .iter()
            .chain(names::SHARED.iter().flatten())
            .chain(MORE)
            .map(|name| (*name, run.state.text(name)))
            .collect(),
        reports: run.state.reports,
    }
}

/// Of the properties for logs, those that go by configuration.
const MORE: &[&str] = &[
    names::PAYLOAD_REQUEST,
    names::PAYLOAD_ANSWER,
    "gateway.label.feature",
    "gateway.label.app",
    "gateway.label.user",
];

struct Run<'f> {
    filters: &'f mut dyn Filters,
    script: &'f Script,
    state: State,
    sent: Vec<Sent>,
    routed: Headers,
}

/// What comes down to the client: headers, pieces of the body, how it ends.
type Down = (Headers, Vec<Vec<u8>>, End);

impl Run<'_> {
    fn request(&mut self, context: u32) -> Down {
        let mut gate = Passage::new(Some(context), Half::Request);
        let (mut headers, body) =
            match gate.whole(self, self.script.headers.clone(), self.script.body.as_deref(), self.script.end) {
                Ok(passed) => passed,
                Err(reply) => return local(reply),
            };
        self.routed = headers.clone();
        if let Some((status, reason)) = self.script.limiter.and_then(|limiter| limiter.refuses) {
            self.state.set("response\0code_details", reason.as_bytes());
            return own(status, "");
        }
        let asked =
            headers.text("x-envoy-max-retries").map_or(0, |retries| retries.parse::<usize>().expect("a number"));
        for name in ["x-envoy-max-retries", "x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms"]
        {
            headers.remove(name);
        }
        let mut retries = if self.script.no_retries { 0 } else { asked };
        loop {
            let Some(cluster) = self.cluster(&headers) else {
                return own(503, "no cluster");
            };
            match self.attempt(&cluster, &mut headers, body.as_deref(), retries > 0) {
                Some(down) => return down,
                None if retries > 0 => retries -= 1,
                None => return own(503, "upstream connect error or disconnect/reset before headers"),
            }
        }
    }

    /// Chosen by the property that the module set, if it asked for that; else by the operator's own routes.
    fn cluster(&self, headers: &Headers) -> Option<String> {
        if self.script.root == "single" && self.script.route.is_none() {
            return headers.text("x-gateway-target");
        }
        match self.state.rerouted {
            true => Some(self.state.text(names::NEXT)).filter(|cluster| !cluster.is_empty()),
            false => self.script.route.map(str::to_owned),
        }
    }

    /// None: it was reset before anything could be passed on, or is to be tried again.
    fn attempt(&mut self, cluster: &str, headers: &mut Headers, body: Option<&[u8]>, retry: bool) -> Option<Down> {
        let context = (self.script.root != "single")
            .then(|| self.filters.open(&format!("{}{cluster}", names::PROVIDER_ROOT_PREFIX)));
        let down = self.exchange(context, cluster, headers, body, retry);
        if let Some(context) = context {
            self.filters.close(context, &mut self.state);
        }
        down
    }

    fn exchange(
        &mut self,
        context: Option<u32>,
        cluster: &str,
        headers: &mut Headers,
        body: Option<&[u8]>,
        retry: bool,
    ) -> Option<Down> {
        // The whole body as it was, in two pieces; the headers as the attempt before left them.
        let pieces =
            body.map(|body| body.split_at(body.len() / 2)).map(|(first, rest)| [first.to_vec(), rest.to_vec()]);
        let pieces = pieces.as_ref().map(<[_; 2]>::as_slice);
        let mut request = Passage::new(context, Half::Request);
        let body = match request.whole(self, headers.clone(), pieces, self.script.end) {
            Ok((changed, body)) => {
                *headers = changed;
                body.unwrap_or_default()
            }
            Err(reply) => return Some(local(reply)),
        };
        let body = String::from_utf8(body).expect("a provider gets UTF-8");
        self.sent.push(Sent { cluster: cluster.to_owned(), headers: headers.clone(), body });
        let answer = self.script.answers.get(self.sent.len() - 1).expect("no more attempts than answers in the script");
        let mut response = Passage::new(context, Half::Response);
        let mut down: Option<Down> = None;
        let chunks = answer.chunks()?;
        for (event, bytes, end) in chunks {
            match response.event(self, event, bytes, end) {
                Out::Held => {}
                Out::Reply(reply) => return Some(local(reply)),
                Out::Reset => return down.map(|(headers, chunks, _)| (headers, chunks, End::Reset)),
                Out::Pass { headers: Some(headers), .. } if retry && headers.get(names::RETRY_HEADER).is_some() => {
                    return None;
                }
                Out::Pass { headers, body } => {
                    let (_, chunks, _) = match headers {
                        Some(headers) => down.insert((headers, Vec::new(), answer.end)),
                        None => down.as_mut().expect("headers go first"),
                    };
                    chunks.extend(body);
                }
            }
        }
        down
    }

    /// The way back through the filter before the router, which Envoy's own answers and the filters' take too.
    fn deliver(&mut self, context: u32, (headers, chunks, end): Down) -> Down {
        let body = (!chunks.is_empty()).then_some(chunks);
        let answer = Answer { headers: Some(headers), body, end };
        let mut gate = Passage::new(Some(context), Half::Response);
        let (mut passed, mut chunks) = (None, Vec::new());
        for (event, bytes, end) in answer.chunks().into_iter().flatten() {
            match gate.event(self, event, bytes, end) {
                Out::Held => {}
                Out::Reply(reply) => return local(reply),
                Out::Reset => return (passed.expect("headers go first"), chunks, End::Reset),
                Out::Pass { headers, body } => {
                    passed = headers.or(passed);
                    chunks.extend(body);
                }
            }
        }
        // An answer that is reset while it is held is a reset to the client.
        assert!(passed.is_some() || end == End::Reset, "an answer that is held for ever");
        (passed.unwrap_or_else(|| Headers::of(&[(":status", "0")])), chunks, end)
    }
}

impl Answer {
    /// Each thing that happens: headers, pieces of the body, trailers; and whether it is the end.
    fn chunks(&self) -> Option<Vec<(Step, Vec<u8>, bool)>> {
        let headers = self.headers.clone()?;
        let pieces = self.body.as_deref();
        let mut steps =
            vec![(Step::Headers(headers), Vec::new(), pieces.is_none() && matches!(self.end, End::Last | End::Empty))];
        steps.extend(pieces.into_iter().flatten().map(|piece| (Step::Body, piece.clone(), false)));
        match (self.end, pieces) {
            (End::Last, Some([_, ..])) => {
                if let Some(last) = steps.last_mut() {
                    last.2 = true;
                }
            }
            (End::Last | End::Empty, Some(_)) => steps.push((Step::Body, Vec::new(), true)),
            (End::Trailers, _) => steps.push((Step::Trailers, Vec::new(), true)),
            _ => {}
        }
        Some(steps)
    }
}

enum Step {
    Headers(Headers),
    Body,
    Trailers,
}

/// One half of a stream on its way through one filter.
struct Passage {
    /// None: there is no filter.
    context: Option<u32>,
    held: Held,
}

enum Out {
    Held,
    Reset,
    Reply(Reply),
    Pass { headers: Option<Headers>, body: Option<Vec<u8>> },
}

impl Passage {
    fn new(context: Option<u32>, half: Half) -> Self {
        Self { context, held: Held::new(half, None) }
    }

    /// Everything at once, until all has passed.
    fn whole(
        &mut self,
        run: &mut Run<'_>,
        headers: Headers,
        pieces: Option<&[Vec<u8>]>,
        end: End,
    ) -> Result<(Headers, Option<Vec<u8>>), Reply> {
        let answer = Answer { headers: Some(headers), body: pieces.map(<[_]>::to_vec), end };
        let (mut passed, mut whole) = (None, None);
        for (step, bytes, end) in answer.chunks().into_iter().flatten() {
            match self.event(run, step, bytes, end) {
                Out::Held => {}
                Out::Reply(reply) => return Err(reply),
                Out::Reset => panic!("a request that is reset"),
                Out::Pass { headers, body } => {
                    passed = headers.or(passed);
                    if let Some(body) = body {
                        whole.get_or_insert_with(Vec::new).extend(body);
                    }
                }
            }
        }
        Ok((passed.expect("a request that is not held for ever"), whole))
    }

    fn event(&mut self, run: &mut Run<'_>, step: Step, bytes: Vec<u8>, end: bool) -> Out {
        let event = match step {
            Step::Headers(headers) => {
                self.held.headers = Some(headers);
                Event::Headers { end }
            }
            Step::Body => {
                self.held.body.get_or_insert_default().extend(bytes);
                Event::Body { end }
            }
            Step::Trailers => Event::Trailers,
        };
        let action = self
            .context
            .map_or(Action::Continue, |context| run.filters.call(context, event, &mut self.held, &mut run.state));
        match (self.held.reply.take(), action) {
            _ if self.held.reset => Out::Reset,
            (Some(reply), _) => Out::Reply(reply),
            (None, Action::Continue) => Out::Pass { headers: self.held.headers.take(), body: self.held.body.take() },
            (None, Action::Pause) => {
                assert!(!end, "held at its end, a stream never goes on");
                Out::Held
            }
        }
    }
}

fn local(reply: Reply) -> Down {
    let mut headers = Headers::of(&[(":status", reply.status.to_string())]);
    headers.0.extend(reply.headers.0);
    headers.set("content-length", reply.body.len().to_string());
    (headers, vec![reply.body], End::Last)
}

/// What Envoy says itself.
fn own(status: u16, body: &str) -> Down {
    local(Reply { status, headers: Headers::of(&[("content-type", "text/plain")]), body: body.into() })
}
