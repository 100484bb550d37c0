//! Whether what a client got, and what the mock has in its log, is what the failures leave for it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::failures::{Class, Failure, SITES};
use super::support::load::Outcome;

/// A request, and what came of it.
pub struct Case {
    pub id: String,
    /// The right answer.
    pub text: String,
    pub stream: bool,
    /// What is to happen at each of [`SITES`].
    pub failures: [&'static Failure; SITES.len()],
    pub ended: Ended,
    /// The last of the sites was gone for some of the time.
    pub outage: bool,
}

#[derive(Debug)]
pub enum Ended {
    Told(Outcome),
    /// There was no answer at all.
    Lost(String),
    /// The client did not wait for it.
    Left,
}

/// How many requests ended in which way.
#[derive(Default)]
pub struct Counts {
    complete: u64,
    streamed: u64,
    /// Of those that are complete, so many took this many attempts.
    attempts: BTreeMap<u64, u64>,
    /// After some content.
    broken: u64,
    /// For a fault of the client's.
    refused: u64,
    /// With no target that was well.
    failed: u64,
    /// With one at least that was.
    unavailable: u64,
    left: u64,
    rows: u64,
}

impl Counts {
    pub fn requests(&self) -> u64 {
        self.complete + self.broken + self.refused + self.failed + self.unavailable + self.left
    }

    /// Of the requests for which one target at least was well, the share that was not refused.
    pub fn availability(&self) -> f64 {
        let good = self.complete + self.broken;
        good as f64 / (good + self.unavailable).max(1) as f64
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { complete, streamed, attempts, broken, refused, failed, unavailable, left, rows } = self;
        writeln!(f, "{} requests, {rows} at the mock", self.requests())?;
        writeln!(f, "  {complete} complete and correct, {streamed} of them streamed, by attempts: {attempts:?}")?;
        writeln!(f, "  {broken} streams ended visibly broken, after their first content")?;
        writeln!(f, "  {refused} refused for the client's own fault")?;
        writeln!(f, "  {failed} failed in one clear error, as all targets did")?;
        writeln!(f, "  {unavailable} failed though a target was well")?;
        writeln!(f, "  {left} were given up by their client")?;
        write!(f, "  availability while any one target is well: {:.4} %", self.availability() * 100.0)
    }
}

/// Requests by id, each with the sites that it came to and what became of it there, in order.
pub type Rows = BTreeMap<String, Vec<(String, String)>>;

/// Counts the cases; says what is wrong with them.
pub fn judge(cases: &[Case], rows: &Rows, counts: &mut Counts) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut known = 0;
    for case in cases {
        let rows = rows.get(&case.id).map_or(&[][..], Vec::as_slice);
        known += usize::from(!rows.is_empty());
        counts.rows += rows.len() as u64;
        if let Err(reason) = case.count(rows, counts).and_then(|()| case.agrees(rows)) {
            let told: Vec<_> = case.failures.iter().map(|failure| failure.told).collect();
            let gone = if case.outage { ", c gone at times" } else { "" };
            wrong.push(format!(
                "{}: {reason}\n  stream {}, {told:?}{gone}; mock: {rows:?}\n  {:?}",
                case.id, case.stream, case.ended
            ));
        }
    }
    if known != rows.len() {
        wrong.push(format!("{} requests at the mock are of no client", rows.len() - known));
    }
    wrong
}

impl Case {
    /// What the client got is one of the ends that there can be.
    fn count(&self, rows: &[(String, String)], counts: &mut Counts) -> Result<(), String> {
        let outcome = match &self.ended {
            Ended::Left => {
                counts.left += 1;
                return Ok(());
            }
            Ended::Lost(error) => return Err(format!("no answer: {error}")),
            Ended::Told(outcome) => outcome,
        };
        let site = outcome.provider.as_ref().and_then(|name| SITES.iter().position(|(site, _)| site == name));
        let class = site.map(|site| self.class(site));
        if outcome.status != 200 {
            is_error(outcome)?;
            match class {
                Some(Class::Final) if outcome.status == 400 => counts.refused += 1,
                Some(Class::Final) => return Err("another status than the provider's".to_owned()),
                _ if (0..SITES.len()).any(|site| self.class(site) == Class::Good && !self.gone(site)) => {
                    println!("{}: {} though a target was well; mock: {rows:?}: {outcome:?}", self.id, outcome.status);
                    counts.unavailable += 1;
                }
                _ => counts.failed += 1,
            }
            return Ok(());
        }
        let (site, class) = site.zip(class).ok_or("an answer of nobody's")?;
        let attempts = self.attempts().ok_or("an answer without a number of attempts")?;
        match (read(outcome, self.stream)?, class) {
            (Read::Complete(text), Class::Good) if text == self.text => {
                counts.complete += 1;
                counts.streamed += u64::from(self.stream);
                *counts.attempts.entry(attempts).or_default() += 1;
                Ok(())
            }
            (Read::Broken(text), class) if class == Class::Amid || self.gone(site) => {
                counts.broken += 1;
                // Whoever goes may have said all but that it was all.
                let short = text.len() < self.text.len() || self.gone(site);
                if self.text.starts_with(&text) && short && !text.is_empty() {
                    Ok(())
                } else {
                    Err(format!("broken, and not after the first of it: {text:?}"))
                }
            }
            (read, _) => Err(format!("not an answer that this provider could give: {read:?}")),
        }
    }

    /// The mock's log is that of the attempts that the client was told of.
    fn agrees(&self, rows: &[(String, String)]) -> Result<(), String> {
        let sites: Vec<&str> = rows.iter().map(|(site, _)| site.as_str()).collect();
        if SITES.iter().any(|(site, _)| sites.iter().filter(|other| *other == site).count() > 1) {
            return Err("a target was asked twice".to_owned());
        }
        let Ended::Told(outcome) = &self.ended else { return Ok(()) };
        // What the way to the last one did, the mock did not see.
        if let Some(attempts) = self.attempts().filter(|_| !self.outage)
            && attempts != rows.len() as u64
        {
            return Err(format!("{attempts} attempts and {} requests at the mock", rows.len()));
        }
        let certain = |site: &str| !(self.outage && site == SITES[SITES.len() - 1].0);
        let (last, before) = rows.split_last().map_or((None, rows), |(last, before)| (Some(last), before));
        if let Some((site, _)) = before.iter().find(|(site, how)| how == "complete" && certain(site)) {
            return Err(format!("the good answer of {site} was thrown away"));
        }
        let Some((site, how)) = last.filter(|(site, _)| certain(site)) else { return Ok(()) };
        if self.outage && outcome.provider.as_deref() != Some(site) {
            return Ok(());
        }
        let ended = match (outcome.status, &outcome.broken) {
            (200, None) if !is_cut(outcome, self.stream) => how == "complete",
            _ => how != "complete",
        };
        let told = outcome.provider.as_ref().is_none_or(|provider| provider == site);
        if ended && told { Ok(()) } else { Err(format!("the last was {site}, which was {how}")) }
    }

    fn attempts(&self) -> Option<u64> {
        let Ended::Told(outcome) = &self.ended else { return None };
        outcome.attempts.as_ref()?.parse().ok()
    }

    fn class(&self, site: usize) -> Class {
        match self.failures[site].class {
            Class::Amid if !self.stream => Class::Before,
            class => class,
        }
    }

    /// Whether it may have been gone.
    fn gone(&self, site: usize) -> bool {
        self.outage && site == SITES.len() - 1
    }
}

#[derive(Debug)]
enum Read {
    Complete(String),
    Broken(String),
}

fn read(outcome: &Outcome, stream: bool) -> Result<Read, String> {
    let body = core::str::from_utf8(&outcome.body).map_err(|error| error.to_string())?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if !stream {
        let answer: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let choice = &answer["choices"][0];
        let whole = outcome.broken.is_none() && choice["finish_reason"] == "stop";
        return if whole { Ok(Read::Complete(text(&choice["message"]["content"]))) } else { Err("not whole".into()) };
    }
    let (mut all, mut stops, mut done, mut failed) = (String::new(), 0, false, false);
    for data in body.lines().filter_map(|line| line.strip_prefix("data: ")) {
        if done || failed {
            return Err("more after its end".to_owned());
        }
        if data == "[DONE]" {
            done = true;
            continue;
        }
        // A connection that broke may have broken in the middle of an event.
        let Ok(event) = serde_json::from_str::<Value>(data) else { continue };
        failed = event["error"]["message"].is_string();
        stops += usize::from(event["choices"][0]["finish_reason"] == "stop");
        all += &text(&event["choices"][0]["delta"]["content"]);
    }
    match (done, failed || outcome.broken.is_some()) {
        (true, false) if stops == 1 => Ok(Read::Complete(all)),
        (false, true) => Ok(Read::Broken(all)),
        _ => Err(format!("neither whole nor broken: done {done}, failed {failed}, {stops} stops")),
    }
}

fn is_cut(outcome: &Outcome, stream: bool) -> bool {
    !matches!(read(outcome, stream), Ok(Read::Complete(_)))
}

/// One error in OpenAI's shape.
fn is_error(outcome: &Outcome) -> Result<(), String> {
    let body: Value = serde_json::from_slice(&outcome.body).map_err(|error| format!("not an error: {error}"))?;
    let error = &body["error"];
    let shape = error["message"].is_string() && error["type"].is_string() && outcome.broken.is_none();
    let spent = outcome.should_retry.as_deref() == Some("false");
    if shape && spent { Ok(()) } else { Err("not one clear error".to_owned()) }
}
