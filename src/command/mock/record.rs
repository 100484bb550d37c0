//! What the mock received and what it sent: the last requests one by one, a row of the ledger for each of many more, and totals
//! of all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use serde_json::{Map, Value, json};

use super::directives::Directives;
use super::model::Usage;
use super::random::mix;

/// What the servers of one mock share.
pub struct State {
    seed: u64,
    drawn: AtomicU64,
    record: Mutex<Record>,
}

/// A request as it came.
pub struct Received {
    pub site: String,
    pub dialect: &'static str,
    pub listener: Arc<str>,
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A request being answered. The record follows it, and takes it for a disconnect if it is dropped unfinished.
pub struct Exchange {
    state: Arc<State>,
    entry: Arc<Entry>,
}

struct Entry {
    received: Received,
    row: Arc<Row>,
}

/// What the ledger has of a request: all but what it was made of.
struct Row {
    site: String,
    dialect: &'static str,
    /// The client's `x-request-id`, if there was one.
    request_id: Option<String>,
    sent: Mutex<Sent>,
}

#[derive(Clone, Default)]
struct Sent {
    directives: Vec<(String, String)>,
    model: String,
    stream: bool,
    status: Option<u16>,
    /// The answer's own id.
    answer_id: String,
    /// What is wrong with the answer though all of it was sent.
    flaw: Option<Flaw>,
    /// `hang`, `reset`, `close` or `cut`.
    broken: Option<&'static str>,
    events: u64,
    usage: Option<Usage>,
    finished: bool,
    disconnected: bool,
}

/// Why an answer that was sent to its end is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flaw {
    /// It is an error, or nothing that the provider would say.
    Error,
    /// It ends too early, as if it were whole.
    Cut,
}

#[derive(Default)]
struct Record {
    entries: VecDeque<Arc<Entry>>,
    rows: VecDeque<Arc<Row>>,
    /// Rows that were too many.
    forgotten: u64,
    /// Bytes of all bodies in `entries`.
    bytes: usize,
    ledger: Ledger,
}

#[derive(Default)]
struct Ledger {
    requests: u64,
    by_status: BTreeMap<String, u64>,
    by_site: BTreeMap<String, u64>,
    input: u64,
    output: u64,
    cached: u64,
    cache_write: u64,
    reasoning: u64,
    by_outcome: BTreeMap<String, u64>,
    disconnects: u64,
}

impl State {
    /// With nothing recorded. The seed decides which requests a `rate=` directive lets fail.
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: AtomicU64::new(0), record: Mutex::default() }
    }

    /// The next random number.
    pub fn draw(&self) -> u64 {
        mix(self.seed ^ mix(self.drawn.fetch_add(1, Ordering::Relaxed)))
    }

    /// Records a request whose answer is about to begin.
    pub fn begin(self: &Arc<Self>, received: Received) -> Exchange {
        let id = received.headers.get("x-request-id").map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
        let row = Arc::new(Row {
            site: received.site.clone(),
            dialect: received.dialect,
            request_id: id,
            sent: Mutex::default(),
        });
        let entry = Arc::new(Entry { received, row: Arc::clone(&row) });
        let mut guard = locked(&self.record);
        let record = &mut *guard;
        record.ledger.requests += 1;
        count(&mut record.ledger.by_site, &entry.received.site);
        record.rows.push_back(row);
        if record.rows.len() > MAX_ROWS {
            record.rows.pop_front();
            record.forgotten += 1;
        }
        record.bytes += entry.received.body.len();
        record.entries.push_back(Arc::clone(&entry));
        while record.entries.len() > MAX_ENTRIES || record.bytes > MAX_BYTES {
            let Some(oldest) = record.entries.pop_front() else {
                break;
            };
            record.bytes = record.bytes.saturating_sub(oldest.received.body.len());
        }
        Exchange { state: Arc::clone(self), entry }
    }

    /// Forgets requests and totals.
    pub fn clear(&self) {
        *locked(&self.record) = Record::default();
    }

    /// The last requests, oldest first; with an id only those whose `x-request-id` it is.
    pub fn requests(&self, id: Option<&str>) -> Value {
        let entries: Vec<Arc<Entry>> = locked(&self.record).entries.iter().cloned().collect();
        let wanted = |entry: &&Arc<Entry>| {
            id.is_none_or(|id| entry.received.headers.get_all("x-request-id").iter().any(|value| value == id))
        };
        entries.iter().filter(wanted).map(|entry| entry.to_json()).collect()
    }

    /// A row for each request but the first `from`, oldest first, and how many of all are forgotten.
    pub fn rows(&self, from: u64) -> Value {
        let (rows, forgotten) = {
            let record = locked(&self.record);
            let skipped = usize::try_from(from.saturating_sub(record.forgotten)).unwrap_or(usize::MAX);
            (record.rows.iter().skip(skipped).cloned().collect::<Vec<_>>(), record.forgotten)
        };
        json!({"forgotten": forgotten, "rows": rows.iter().map(|row| row.to_json()).collect::<Value>()})
    }

    /// The totals.
    pub fn ledger(&self) -> Value {
        let record = locked(&self.record);
        let ledger = &record.ledger;
        json!({
            "requests": ledger.requests,
            "by_status": ledger.by_status,
            "by_site": ledger.by_site,
            "by_outcome": ledger.by_outcome,
            "input_tokens": ledger.input,
            "output_tokens": ledger.output,
            "cached_tokens": ledger.cached,
            "cache_write_tokens": ledger.cache_write,
            "reasoning_tokens": ledger.reasoning,
            "disconnects": ledger.disconnects,
        })
    }
}

impl Exchange {
    /// The model that is asked, whether for a stream, and the directives the request came with.
    pub fn asked(&self, model: &str, stream: bool, directives: &Directives) {
        let mut sent = locked(&self.entry.row.sent);
        sent.directives.clone_from(&directives.given);
        model.clone_into(&mut sent.model);
        sent.stream = stream;
    }

    /// The status is about to be sent, in an answer with this id, and perhaps with this flaw.
    pub fn answered(&self, status: u16, id: &str, flaw: Option<Flaw>) {
        let mut sent = locked(&self.entry.row.sent);
        sent.status = Some(status);
        id.clone_into(&mut sent.answer_id);
        sent.flaw = flaw;
        drop(sent);
        count(&mut locked(&self.state.record).ledger.by_status, &status.to_string());
    }

    /// The answer ends here and is not whole; without a status, there is none.
    pub fn broken(&self, how: &'static str) {
        let mut sent = locked(&self.entry.row.sent);
        sent.broken = Some(how);
        if sent.status.is_none() {
            count(&mut locked(&self.state.record).ledger.by_status, how);
        }
    }

    /// So many events more were sent, and by the last of them the client knows this usage.
    pub fn sent(&self, events: u64, usage: Option<Usage>) {
        let mut sent = locked(&self.entry.row.sent);
        sent.events += events;
        sent.usage = usage.or(sent.usage);
    }

    /// All was sent that was to be.
    pub fn finished(&self) {
        self.settle(|sent| sent.finished = true);
    }

    /// Ends the exchange, and takes it into the totals, unless it has ended before.
    fn settle(&self, end: impl Fn(&mut Sent)) {
        let mut sent = locked(&self.entry.row.sent);
        if sent.finished {
            return;
        }
        end(&mut sent);
        let mut record = locked(&self.state.record);
        let ledger = &mut record.ledger;
        ledger.disconnects += u64::from(sent.disconnected);
        let usage = sent.usage.unwrap_or_default();
        ledger.input += usage.input;
        ledger.output += usage.output;
        ledger.cached += usage.cached;
        ledger.cache_write += usage.cache_write;
        ledger.reasoning += usage.reasoning;
        count(&mut ledger.by_outcome, sent.outcome());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.settle(|sent| sent.disconnected = true);
    }
}

impl Entry {
    fn to_json(&self) -> Value {
        let Received { site, dialect, listener, method, path, headers, body } = &self.received;
        let sent = locked(&self.row.sent).clone();
        let mut named = Map::new();
        for name in headers.keys() {
            let values: Vec<_> =
                headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            named.insert(name.to_string(), Value::String(values.join(", ")));
        }
        let directives: Map<String, Value> =
            sent.directives.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
        let body = serde_json::from_slice(body).unwrap_or_else(|_| {
            let part = body.get(..MAX_TEXT).unwrap_or(body);
            Value::String(String::from_utf8_lossy(part).into_owned())
        });
        let (outcome, usage) = (sent.outcome(), sent.usage_json());
        json!({
            "site": site,
            "dialect": dialect,
            "listener": &**listener,
            "method": method.as_str(),
            "path": path,
            "headers": named,
            "body": body,
            "directives": directives,
            "model": sent.model,
            "outcome": {
                "how": outcome,
                "status": sent.status,
                "broken": sent.broken,
                "events": sent.events,
                "usage": usage,
                "finished": sent.finished,
                "disconnected": sent.disconnected,
            },
        })
    }
}

impl Row {
    fn to_json(&self) -> Value {
        let sent = locked(&self.sent);
        json!({
            "request_id": self.request_id,
            "answer_id": sent.answer_id,
            "site": self.site,
            "dialect": self.dialect,
            "model": sent.model,
            "stream": sent.stream,
            "status": sent.status,
            "outcome": sent.outcome(),
            "usage": sent.usage_json(),
        })
    }
}

impl Sent {
    /// `open`, and in the end one of `complete`, `error`, `cut` (by the mock) and `left` (by the client). What was sent was
    /// handed to the connection: a client that leaves just then may still miss the last of a complete answer.
    fn outcome(&self) -> &'static str {
        match self.flaw {
            _ if self.disconnected => "left",
            _ if !self.finished => "open",
            _ if self.broken.is_some() => "cut",
            Some(Flaw::Cut) => "cut",
            Some(Flaw::Error) => "error",
            None if self.status.is_some_and(|status| status >= 400) => "error",
            None => "complete",
        }
    }

    /// What the client can know, whatever became of the rest; `null` if the provider has told nothing.
    fn usage_json(&self) -> Value {
        self.usage.map_or(Value::Null, |usage| {
            json!({
                "input_tokens": usage.input,
                "cached_tokens": usage.cached,
                "cache_write_tokens": usage.cache_write,
                "output_tokens": usage.output,
                "reasoning_tokens": usage.reasoning,
            })
        })
    }
}

/// No holder of these locks can panic between two writes that belong together.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clients choose the names of sites: past a bound they are one.
fn count(counters: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(counter) = counters.get_mut(name) {
        *counter += 1;
    } else {
        let name = if counters.len() < MAX_COUNTERS { name } else { "other" };
        *counters.entry(name.to_owned()).or_default() += 1;
    }
}

const MAX_ENTRIES: usize = 1000;
const MAX_ROWS: usize = 200_000;
const MAX_BYTES: usize = 64 << 20;
const MAX_TEXT: usize = 64 << 10;
const MAX_COUNTERS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn received(body: &str) -> Received {
        Received {
            site: "openai".into(),
            dialect: "openai",
            listener: "127.0.0.1:1".into(),
            method: Method::POST,
            path: "/openai/v1/chat/completions".into(),
            headers: [("x-request-id".parse().unwrap(), format!("id-{}", body.len()).parse().unwrap())]
                .into_iter()
                .collect(),
            body: Bytes::from(body.to_owned()),
        }
    }

    #[test]
    fn an_exchange_is_told_as_it_went() {
        let state = Arc::new(State::new(0));
        let exchange = state.begin(received(r#"{"a":1}"#));
        exchange.asked("m", true, &Directives::default());
        exchange.answered(200, "answer", None);
        exchange.sent(1, Some(Usage { input: 3, output: 1, ..Usage::default() }));
        exchange.sent(2, None);
        exchange.finished();
        drop(exchange);
        drop(state.begin(received("not JSON")));

        let requests = state.requests(Some("id-7"));
        assert_eq!(requests.as_array().unwrap().len(), 1);
        assert_eq!(requests[0]["body"]["a"], 1);
        assert_eq!(requests[0]["outcome"]["events"], 3);
        assert_eq!(requests[0]["outcome"]["usage"]["input_tokens"], 3);
        assert_eq!(requests[0]["outcome"]["disconnected"], false);
        assert_eq!(state.requests(None)[1]["body"], "not JSON");
        assert_eq!(state.requests(None)[1]["outcome"]["disconnected"], true);

        let ledger = state.ledger();
        assert_eq!((&ledger["requests"], &ledger["disconnects"]), (&json!(2), &json!(1)));
        assert_eq!(ledger["by_status"], json!({"200": 1}));
        assert_eq!(ledger["by_site"], json!({"openai": 2}));
        assert_eq!(ledger["input_tokens"], 3);
        assert_eq!(ledger["by_outcome"], json!({"complete": 1, "left": 1}));
        let rows = state.rows(0);
        assert_eq!(rows["forgotten"], 0);
        assert_eq!(rows["rows"][0]["usage"]["output_tokens"], 1);
        assert_eq!(
            rows["rows"][0]
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, _)| *name != "usage")
                .map(|(_, value)| value.clone())
                .collect::<Value>(),
            json!(["id-7", "answer", "openai", "openai", "m", true, 200, "complete"])
        );
        assert_eq!(state.rows(1)["rows"], json!([rows["rows"][1]]));
        assert_eq!(state.rows(9)["rows"], json!([]));
        assert_eq!((&rows["rows"][1]["outcome"], &rows["rows"][1]["usage"]), (&json!("left"), &Value::Null));
        state.clear();
        assert_eq!(state.requests(None), json!([]));
    }

    #[test]
    fn outcomes_are_told_apart() {
        let outcome = |status: Option<u16>, flaw, broken: Option<&'static str>, ends: bool| {
            let state = Arc::new(State::new(0));
            let exchange = state.begin(received("{}"));
            if let Some(status) = status {
                exchange.answered(status, "", flaw);
            }
            if let Some(how) = broken {
                exchange.broken(how);
            }
            if ends {
                exchange.finished();
            }
            let open = state.rows(0)["rows"][0]["outcome"].clone();
            drop(exchange);
            (open, state.rows(0)["rows"][0]["outcome"].clone())
        };
        let both = |outcome: &str| (json!(outcome), json!(outcome));
        assert_eq!(outcome(Some(200), None, None, true), both("complete"));
        assert_eq!(outcome(Some(503), None, None, true), both("error"));
        assert_eq!(outcome(Some(200), Some(Flaw::Error), None, true), both("error"));
        assert_eq!(outcome(Some(200), Some(Flaw::Cut), None, true), both("cut"));
        assert_eq!(outcome(Some(200), None, Some("cut"), true), both("cut"));
        assert_eq!(outcome(None, None, Some("reset"), true), both("cut"));
        assert_eq!(outcome(Some(200), None, None, false), (json!("open"), json!("left")));
        assert_eq!(outcome(None, None, Some("hang"), false), (json!("open"), json!("left")));
    }

    #[test]
    fn memory_is_bounded() {
        let state = Arc::new(State::new(0));
        for _ in 0..MAX_ENTRIES + 5 {
            drop(state.begin(received("{}")));
        }
        assert_eq!(state.requests(None).as_array().unwrap().len(), MAX_ENTRIES);
        let large = "x".repeat(MAX_BYTES / 2);
        for _ in 0..3 {
            drop(state.begin(received(&large)));
        }
        let kept = state.requests(None);
        assert_eq!(kept.as_array().unwrap().len(), 2);
        assert_eq!(kept[0]["body"].as_str().unwrap().len(), MAX_TEXT);
        assert_eq!(state.ledger()["requests"], MAX_ENTRIES + 8);
    }

    #[test]
    fn numbers_are_drawn_by_the_seed() {
        let draws = |seed| {
            let state = State::new(seed);
            [state.draw(), state.draw()]
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }
}
