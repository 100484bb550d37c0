//! By what a report adds up.

use std::fmt;
use std::str::FromStr;

use model_gateway::config::unknown;

use super::line::Request;

/// Something by which requests are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dimension {
    /// One of [`NAMED`], by its place there.
    Named(usize),
    /// A label.
    Label(String),
}

/// What a request has there.
type Value = for<'r> fn(&'r Request<'_>) -> &'r str;

const NAMED: &[(&str, Value)] = &[
    ("team", |request| &request.line.team.0),
    ("key", |request| &request.line.key.0),
    ("model", |request| &request.line.model.0),
    ("target_model", |request| &request.line.target_model.0),
    ("provider", |request| &request.line.provider.0),
    ("operation", |request| request.operation()),
    ("outcome", |request| request.outcome),
    ("error", |request| &request.line.error.0),
    ("rule", |request| &request.line.rule.0),
    ("user", |request| request.line.user()),
    ("month", |request| request.line.time("2026-11".len())),
    ("day", |request| request.line.time("2026-11-22".len())),
    ("hour", |request| request.line.time("2026-11-22T13".len())),
];

impl Dimension {
    /// What the request has there; may be nothing.
    pub fn of<'r>(&self, request: &'r Request<'_>) -> &'r str {
        match self {
            Self::Named(place) => NAMED.get(*place).map_or("", |(_, value)| value(request)),
            Self::Label(name) => request.line.label(name),
        }
    }

    /// Whether its values are in an order of their own.
    pub fn is_time(&self) -> bool {
        matches!(self, Self::Named(place) if NAMED.get(*place).is_some_and(|(name, _)| matches!(*name, "month" | "day" | "hour")))
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(place) => f.write_str(NAMED.get(*place).map_or("", |(name, _)| name)),
            Self::Label(name) => write!(f, "label:{name}"),
        }
    }
}

impl FromStr for Dimension {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("label:").filter(|name| !name.is_empty()) {
            return Ok(Self::Label(name.to_owned()));
        }
        let place = NAMED.iter().position(|(name, _)| *name == text);
        let names = NAMED.iter().map(|(name, _)| *name).chain(["label:NAME"]);
        place.map(Self::Named).ok_or_else(|| unknown("dimension", text, names))
    }
}
