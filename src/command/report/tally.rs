//! Adds up the lines of logs, in several threads.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::advice::{Gathered, Instead};
use super::dimension::Dimension;
use super::line::{Line, Read, Request};
use super::prices::Prices;
use super::source::Source;
use super::sums::{Known, Sums};

/// What is asked of the logs.
pub struct Ask {
    /// What requests are told apart by.
    pub by: Vec<Dimension>,
    /// The first moment that counts, in milliseconds since 1970.
    pub from: u64,
    /// The first that does not any more.
    pub to: u64,
    /// What tokens cost.
    pub prices: Prices,
    /// Whether advice is wanted.
    pub advice: bool,
    /// Which model another one is to be held against.
    pub instead: Option<Instead>,
}

/// What lines were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lines {
    /// Requests for models, in the period.
    pub requests: u64,
    /// The same before or after it.
    pub outside: u64,
    /// Requests that the gateway answered by itself, or at paths that are not its own.
    pub other: u64,
    /// Not the gateway's.
    pub foreign: u64,
}

/// What there is so far.
pub struct Tally<'a> {
    ask: &'a Ask,
    known: Known<'a>,
    key: String,
    /// By the values of the dimensions, joined by [`SEPARATOR`].
    pub groups: HashMap<String, Sums>,
    /// What the lines were.
    pub lines: Lines,
    /// The first and last moment of a request that counts.
    pub span: Option<(u64, u64)>,
    /// What advice goes by.
    pub gathered: Gathered,
}

/// Stands between values, and is in none.
pub const SEPARATOR: char = '\0';
/// How much a thread reads at once, in bytes.
const PIECE: usize = 1 << 20;
/// The longest value, in characters.
const LONGEST: usize = 200;

/// Reads all logs to their ends.
///
/// Each thread reads the next piece of a log, one thread at a time, and works on it while others read: several logs are read at
/// once, and one is worked on by all.
///
/// # Errors
/// A log cannot be read.
pub fn tally<'a>(ask: &'a Ask, sources: Vec<Source>, threads: usize) -> Result<Tally<'a>, String> {
    let sources: Vec<Mutex<Option<Source>>> = sources.into_iter().map(|source| Mutex::new(Some(source))).collect();
    let work = |first: usize| -> Result<Tally<'a>, String> {
        let (mut tally, mut piece) = (Tally::new(ask), Vec::new());
        let from_first = sources.iter().cycle().skip(first).take(sources.len());
        for source in from_first {
            loop {
                let mut open = source.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(log) = open.as_mut() else { break };
                if !log.next(&mut piece, PIECE)? {
                    *open = None;
                    break;
                }
                drop(open);
                tally.add(&piece);
            }
        }
        Ok(tally)
    };
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1)).map(|first| scope.spawn(move || work(first))).collect();
        let tallies = threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread failed".to_owned())?);
        let mut sum = Tally::new(ask);
        for tally in tallies {
            sum.merge(tally?);
        }
        Ok(sum)
    })
}

impl<'a> Tally<'a> {
    /// Nothing yet.
    pub fn new(ask: &'a Ask) -> Self {
        Self {
            ask,
            known: Known::of(&ask.prices),
            key: String::new(),
            groups: HashMap::new(),
            lines: Lines::default(),
            span: None,
            gathered: Gathered::default(),
        }
    }

    /// Adds up these lines.
    pub fn add(&mut self, lines: &[u8]) {
        let lines = lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        for line in lines {
            match Line::parse(line).map_or(Read::Foreign, Line::read) {
                Read::Foreign => self.lines.foreign += 1,
                Read::Other => self.lines.other += 1,
                Read::Request(request) if (self.ask.from..self.ask.to).contains(&request.time) => self.count(&request),
                Read::Request(_) => self.lines.outside += 1,
            }
        }
    }

    fn count(&mut self, request: &Request<'_>) {
        self.lines.requests += 1;
        let (first, last) = self.span.unwrap_or((request.time, request.time));
        self.span = Some((first.min(request.time), last.max(request.time)));
        let sums = Sums::of(request, &mut self.known);
        if self.ask.advice {
            self.gathered.add(request, &sums, self.ask.instead.as_ref(), &mut self.known);
        }
        self.key.clear();
        for (place, dimension) in self.ask.by.iter().enumerate() {
            if place > 0 {
                self.key.push(SEPARATOR);
            }
            push_harmless(&mut self.key, dimension.of(request));
        }
        match self.groups.get_mut(&self.key) {
            Some(group) => *group += &sums,
            None => drop(self.groups.insert(self.key.clone(), sums)),
        }
    }

    fn merge(&mut self, other: Self) {
        self.lines.requests += other.lines.requests;
        self.lines.outside += other.lines.outside;
        self.lines.other += other.lines.other;
        self.lines.foreign += other.lines.foreign;
        let spans = [self.span, other.span].into_iter().flatten();
        self.span = spans.reduce(|one, another| (one.0.min(another.0), one.1.max(another.1)));
        for (key, sums) in other.groups {
            *self.groups.entry(key).or_default() += &sums;
        }
        self.gathered.merge(other.gathered);
    }
}

/// What clients make up is told on terminals, where control characters are orders.
fn push_harmless(out: &mut String, value: &str) {
    let value = value.char_indices().nth(LONGEST).and_then(|(end, _)| value.get(..end)).unwrap_or(value);
    if value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        out.push_str(value);
    } else {
        out.extend(value.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }));
    }
}

#[cfg(test)]
mod tests {
    use super::push_harmless;

    #[test]
    fn values_cannot_order_a_terminal_about() {
        for (value, expected) in
            [("gpt-4o", "gpt-4o"), ("\u{1b}[2Jé\0\u{9b}1m", "\u{fffd}[2Jé\u{fffd}\u{fffd}1m"), ("", "")]
        {
            let mut out = String::new();
            push_harmless(&mut out, value);
            assert_eq!(out, expected);
        }
        let mut out = String::new();
        push_harmless(&mut out, &"é".repeat(1000));
        assert_eq!(out.chars().count(), 200);
    }
}
