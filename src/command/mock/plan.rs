//! What is done about one request: the dialect's answer, bent to the directives.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use serde_json::Value;

use super::dialect::{Call, Dialect, Event, Fault, Operation};
use super::directives::Directives;
use super::model::{Prompt, Usage, reply};
use super::playback::{self, Step};
use super::record::Flaw;

/// What a server does with a request.
pub struct Plan {
    /// Before anything is sent.
    pub wait: Duration,
    pub act: Act,
    pub directives: Directives,
    /// The model's name, without directives.
    pub model: String,
    pub stream: bool,
}

/// The end of it.
pub enum Act {
    /// Leave the client waiting.
    Hang,
    /// Send RST.
    Reset,
    /// Send FIN.
    Close,
    Respond(Response),
}

/// A response, the body as the steps that send it.
pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    /// The body's length, unless it is a stream.
    pub length: Option<u64>,
    pub steps: VecDeque<Step>,
    /// The answer's id.
    pub id: String,
    pub flaw: Option<Flaw>,
}

/// A request and what its answer depends on besides.
pub struct Request<'r> {
    pub dialect: &'static dyn Dialect,
    /// What it asks for, or why it cannot.
    pub asked: Result<Operation, Fault>,
    pub site: &'r str,
    pub path: &'r str,
    pub query: &'r str,
    pub headers: &'r HeaderMap,
    pub body: &'r [u8],
    /// Random: what the `rate` directive compares, and what identifiers are made from.
    pub draw: u64,
    /// Seconds since 1970.
    pub now: u64,
}

/// Decides what to do.
pub fn plan(request: &Request<'_>) -> Plan {
    let parsed = serde_json::from_slice::<Value>(request.body);
    let body = parsed.as_ref().unwrap_or(&Value::Null);
    let call = Call { path: request.path, query: request.query, headers: request.headers, body };
    let model = request.dialect.model(&call).unwrap_or_default();
    let (model, told) = model.split_once('?').map_or((&*model, None), |(model, told)| (model, Some(told)));

    let directives = match Directives::of(told, request.headers, request.site) {
        Ok(directives) if directives.fails(request.draw) => directives,
        Ok(directives) => directives.spared(),
        Err(mistake) => {
            let directives = Directives::default();
            let act = Act::Respond(refused(request, &directives, &Fault::invalid(mistake)));
            return Plan { wait: Duration::ZERO, act, directives, model: model.to_owned(), stream: false };
        }
    };
    // A wrong request is refused even where a failure is asked for: else that would hide a mistake of the gateway.
    let asked = asked(request, &call, parsed.is_ok(), model);
    let stream = matches!(&asked, Ok(Asked::Chat(prompt)) if prompt.stream);
    let act = match asked {
        Err(fault) => Act::Respond(refused(request, &directives, &fault)),
        Ok(_) if directives.hang => Act::Hang,
        Ok(_) if directives.reset => Act::Reset,
        Ok(_) if directives.close => Act::Close,
        Ok(asked) => Act::Respond(respond(request, &directives, &asked)),
    };
    Plan { wait: directives.first_byte, act, directives, model: model.to_owned(), stream }
}

/// What a right request is about.
enum Asked {
    Chat(Box<Prompt>),
    /// Embeddings, which are the answer.
    Embeddings(Value, Usage),
    Models,
}

fn asked(request: &Request<'_>, call: &Call<'_>, parsed: bool, model: &str) -> Result<Asked, Fault> {
    let operation = request.asked.clone()?;
    request.dialect.authenticate(call)?;
    match operation {
        Operation::Models => Ok(Asked::Models),
        _ if !parsed => {
            Err(Fault::invalid("We could not parse the JSON body of your request. The body must be a JSON object."))
        }
        Operation::Chat => request.dialect.read(call, model).map(|prompt| Asked::Chat(Box::new(prompt))),
        Operation::Embeddings => {
            request.dialect.embeddings(call, model).map(|(body, usage)| Asked::Embeddings(body, usage))
        }
    }
}

fn respond(request: &Request<'_>, d: &Directives, asked: &Asked) -> Response {
    let dialect = request.dialect;
    let fault = d.error.map(Fault::Refused).or(d.status.map(Fault::Status));
    if let (Some(fault), None) = (&fault, d.error_event) {
        return refused(request, d, fault);
    }
    let stream = matches!(asked, Asked::Chat(prompt) if prompt.stream);
    let event = |bytes: Bytes| Event { bytes, usage: None };
    let error = d.error_event.map(|_| fault.unwrap_or(Fault::Status(OVERLOADED)));
    let id = dialect.request_id(request.draw);
    let mut flaw = (d.garbage || d.empty || error.is_some()).then_some(Flaw::Error);
    // In events or in bytes.
    let mut sent_whole = |length: usize| {
        if d.end.is_some_and(|end| end < length) {
            flaw = flaw.or(Some(Flaw::Cut));
        }
    };
    let (kind, length, steps) = if stream && !d.empty {
        let events = match asked {
            _ if d.garbage => vec![event(Bytes::from_static(GARBAGE_EVENT))],
            Asked::Chat(prompt) => dialect.events(prompt, &reply(prompt, d, request.draw, request.now)),
            _ => Vec::new(),
        };
        sent_whole(events.len());
        let error = error.map(|fault| event(dialect.error_event(&fault, &id)));
        (dialect.stream_type(), None, playback::stream(events, error, dialect.keepalive(), d))
    } else {
        let document = match (asked, error) {
            _ if d.empty => event(Bytes::new()),
            _ if d.garbage => event(Bytes::from_static(GARBAGE)),
            (_, Some(fault)) => event(dialect.error(&fault, &id).1.to_string().into()),
            (Asked::Models, None) => event(dialect.models().to_string().into()),
            (Asked::Embeddings(body, usage), None) => Event { bytes: body.to_string().into(), usage: Some(*usage) },
            (Asked::Chat(prompt), None) => {
                let reply = reply(prompt, d, request.draw, request.now);
                let usage = reply.usage.map(|usage| dialect.told(usage));
                Event { bytes: dialect.document(prompt, &reply).to_string().into(), usage }
            }
        };
        sent_whole(document.bytes.len());
        let (steps, length) = playback::document(document, d);
        (if stream { dialect.stream_type() } else { "application/json" }, Some(length), steps)
    };
    let mut headers = dialect.headers(&id, None, request.now);
    headers.push(("content-type", kind.to_owned()));
    Response { status: 200, headers, length, steps, id, flaw }
}

fn refused(request: &Request<'_>, d: &Directives, fault: &Fault) -> Response {
    let id = request.dialect.request_id(request.draw);
    let (native, body) = request.dialect.error(fault, &id);
    // `error=context&status=413` is the former's body with the latter's status.
    let status = if matches!(fault, Fault::Refused(_)) { d.status.unwrap_or(native) } else { native };
    // Who is not told when to come back is left to guess, as where the limit is not of what the headers count.
    let spent = d.retry_after_ms.map(|ms| ms.div_ceil(1000)).or_else(|| d.retry_after.as_ref()?.parse().ok());
    let spent = spent.filter(|_| status == 429);
    let mut headers = request.dialect.headers(&id, spent, request.now);
    headers.push(("content-type", "application/json".to_owned()));
    headers.extend(request.dialect.error_headers(fault));
    headers.extend(d.retry_after.clone().map(|after| ("retry-after", after)));
    headers.extend(d.retry_after_ms.map(|after| ("retry-after-ms", after.to_string())));
    let whole = Directives { cut: None, end: None, ..d.clone() };
    let (steps, length) = playback::document(Event { bytes: body.to_string().into(), usage: None }, &whole);
    Response { status, headers, length: Some(length), steps, id, flaw: Some(Flaw::Error) }
}

/// What an error event tells of, unless `status` or `error` say else.
const OVERLOADED: u16 = 529;
const GARBAGE: &[u8] = b"<html><body><h1>It works!</h1></body></html>\n";
const GARBAGE_EVENT: &[u8] = b"data: {\"id\": \"chatcmpl-\xff\xfe, <html>\n\ndata: oops\n\n";
