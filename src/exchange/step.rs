//! What a machine tells its host to do.

/// What to do now, in this order: properties, headers, body, flow.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Properties to set.
    pub properties: Vec<(&'static str, Vec<u8>)>,
    /// Headers to set, or to remove where there is no value. Of the request or the response, whichever is being handled.
    pub headers: Vec<(&'static str, Option<String>)>,
    /// What to put in place of all of the body that the host holds.
    pub body: Option<String>,
    /// Whether Envoy is to choose the route again, as properties that it depends on have changed.
    pub reroute: bool,
    /// How to go on.
    pub flow: Flow,
}

/// How to go on.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// Pass on what the host holds.
    #[default]
    Continue,
    /// Keep it, and come back with more.
    Hold,
    /// Answer the client.
    Reply(Reply),
}

/// An answer that the gateway gives itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers besides `content-type: application/json`.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

/// What a machine wants of a body that is coming in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Nothing: pass it on.
    Nothing,
    /// All of it at once, when it is complete.
    Whole,
    /// Each piece as it comes.
    Pieces,
}

/// The headers of a request as far as the core looks at them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Head<'a> {
    /// `:method`
    pub method: &'a str,
    /// `:path`, with its query.
    pub path: &'a str,
    /// `content-type`
    pub content_type: Option<&'a str>,
    /// `content-length`
    pub content_length: Option<&'a str>,
}

impl Step {
    /// Pass everything on as it is.
    pub fn go() -> Self {
        Self::default()
    }

    /// Wait for more.
    pub fn hold() -> Self {
        Flow::Hold.into()
    }

    /// Sets a header.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.headers.push((name, Some(value.into())));
    }

    /// Removes a header.
    pub fn remove(&mut self, name: &'static str) {
        self.headers.push((name, None));
    }

    /// Sets a property.
    pub fn property(&mut self, name: &'static str, value: impl Into<Vec<u8>>) {
        self.properties.push((name, value.into()));
    }
}

impl From<Flow> for Step {
    fn from(flow: Flow) -> Self {
        Self { flow, ..Self::default() }
    }
}

impl From<Reply> for Step {
    fn from(reply: Reply) -> Self {
        Flow::Reply(reply).into()
    }
}
