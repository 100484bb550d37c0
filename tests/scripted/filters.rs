//! A filter as Envoy sees it: what is held of a stream, and calls that may change it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use model_gateway::exchange::Ending;
use model_gateway::names;
use serde_json::Value;

/// Headers as Envoy keeps them: names in lower case, in order; values are bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, Vec<u8>)>);

impl Headers {
    pub fn of<V: AsRef<[u8]>>(headers: &[(&str, V)]) -> Self {
        Self(headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_ref().to_vec())).collect())
    }

    /// All values of `name`, as Envoy joins them.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        let values: Vec<&[u8]> =
            self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| &value[..]).collect();
        (!values.is_empty()).then(|| values.join(&b','))
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    pub fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        let at = self.0.iter().position(|(other, _)| other == name).unwrap_or(self.0.len());
        self.remove(name);
        self.0.insert(at, (name.to_owned(), value.into()));
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(other, _)| other != name);
    }
}

impl core::fmt::Debug for Headers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)))).finish()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    Request,
    Response,
}

/// What Envoy holds of one half of a stream while it asks a filter. What is `None` is not there to be touched: the SDK
/// panics at a host that says so.
#[derive(Debug)]
pub struct Held {
    pub half: Half,
    /// Until they have gone on.
    pub headers: Option<Headers>,
    /// From the body's first bytes on.
    pub body: Option<Vec<u8>>,
    pub reply: Option<Reply>,
    pub reset: bool,
}

impl Held {
    pub fn new(half: Half, headers: Option<Headers>) -> Self {
        Self { half, headers, body: None, reply: None, reset: false }
    }
}

/// An answer of the filter's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

/// Records of all workers, each with its version.
pub type Records = Rc<RefCell<BTreeMap<String, (Vec<u8>, u32)>>>;

/// What both positions share on one request, and with other requests.
#[derive(Debug, Default)]
pub struct State {
    properties: BTreeMap<String, Vec<u8>>,
    /// Records of all workers, each with its version.
    pub shared: Records,
    /// How the request has ended.
    pub ending: Option<Ending>,
    /// Whether Envoy was asked to choose the route again.
    pub rerouted: bool,
    /// How often usage was reported.
    pub reports: usize,
}

impl State {
    pub fn set(&mut self, name: &str, value: &[u8]) {
        self.reports += usize::from(name == names::log::INPUT_TOKENS);
        self.properties.insert(name.to_owned(), value.to_vec());
        if name == names::log::LINE {
            self.read_line(value);
        }
    }

    /// The fields of the log's line, as if each were a property.
    fn read_line(&mut self, line: &[u8]) {
        let line = [b"{\"details\":\"", line, b"\"}"].concat();
        let line: Value =
            serde_json::from_slice(&line).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&line)));
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        for (name, value) in line.as_object().expect("an object") {
            for (label, value) in value.as_object().into_iter().flatten() {
                self.set(&names::label(label), text(value).as_bytes());
            }
            self.set(&format!("gateway.{name}"), text(value).as_bytes());
        }
    }

    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.properties.get(name).map(Vec::as_slice)
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(self.get(name).unwrap_or_default()).into_owned()
    }

    pub fn record(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.shared.borrow().get(key).cloned()
    }

    /// As Envoy does it: what is not there yet is made whatever the version, and version 0 overwrites.
    pub fn set_record(&self, key: &str, record: &[u8], version: u32) -> bool {
        let mut shared = self.shared.borrow_mut();
        match shared.get_mut(key) {
            Some((_, current)) if version != 0 && version != *current => false,
            Some(entry) => {
                *entry = (record.to_vec(), entry.1 + 1);
                true
            }
            None => {
                shared.insert(key.to_owned(), (record.to_vec(), 1));
                true
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Headers { end: bool },
    Body { end: bool },
    Trailers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Continue,
    Pause,
}

/// The filters of one Envoy: the machines themselves, or the module.
pub trait Filters {
    /// A context of the filter with this root id.
    fn open(&mut self, root: &str) -> u32;

    fn call(&mut self, context: u32, event: Event, held: &mut Held, state: &mut State) -> Action;

    fn close(&mut self, context: u32, state: &mut State);

    /// Begins anew, for another Envoy's records: what was seen of these is forgotten.
    fn renew(&mut self) {}
}

/// What time it is for every filter, in seconds since 1970.
pub const NOW: u64 = 1_700_000_000;
