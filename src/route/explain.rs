//! Why a request goes where it goes, in words: what `model-gateway explain` prints, and in short what a client is told that
//! asks for it. Nothing is decided here.

use serde::Serialize;

use super::decide::{Decision, Question};
use super::health::Standing;
use super::order::{Ask, Candidate, LeftOut, Unfit};
use super::plan::Plan;
use super::rules::Judgement;
use super::strategy::{cost, draw};
use crate::config::{Found, Rule, Strategy};
use crate::dialect::Operation;

/// Everything that was decided about a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The model by the name that the client asked for.
    pub asked: String,
    /// Configuration's name for it.
    pub model: String,
    /// By what it was found: `name`, `alias` or `pattern`.
    pub found_by: &'static str,
    /// What it is asked for.
    pub operation: Operation,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Each rule that was looked at, and what became of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleLine>,
    /// The rule that the request follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Configuration's name for the model that answers; `None`: the rule has targets of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    /// How that model's targets are arranged.
    pub strategy: Strategy,
    /// Whether the request sticks to one of them.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub sticks: bool,
    /// The targets, in the order in which they are tried.
    pub line: Vec<Line>,
    /// What takes the line's place if the prompt does not fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub context_window: Vec<Line>,
    /// What takes the line's place if a provider will not answer the prompt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content_policy: Vec<Line>,
    /// What cannot be tried, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Out>,
    /// Most attempts.
    pub attempts: u32,
    /// How many attempts may follow a failure, by its cause, where that is limited.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retries: Vec<(&'static str, u32)>,
    /// After how many milliseconds an attempt is given up.
    pub attempt_timeout_ms: u64,
    /// After how many milliseconds the request is given up.
    pub whole_timeout_ms: u64,
    /// Where copies go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Copied>,
}

/// A rule, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleLine {
    /// Its name.
    pub rule: String,
    /// What became of it.
    pub outcome: String,
}

/// A target in its place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Provider and model, as configuration has them.
    pub target: String,
    /// The provider's name for the model.
    pub sent_as: String,
    /// The model that it belongs to; empty: the rule.
    pub of: String,
    /// Its share of first attempts.
    pub weight: u32,
    /// The lowest is tried first.
    pub order: u32,
    /// `well`, `due` to be tried again, or `cooled`.
    pub standing: &'static str,
    /// For how many milliseconds it is still left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooled_ms: Option<u64>,
    /// How long a typical answer takes, in microseconds, for the strategy `latency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slowness_us: Option<u64>,
    /// Requests in flight, for the strategy `least_busy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
    /// What the request would cost, in 10⁻¹² USD, if that is known, for the strategy `cheapest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
    /// What was drawn for it, for the strategy `sticky`: the lowest is first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draw: Option<f64>,
    /// Whether there is no attempt left for it.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub beyond: bool,
}

/// A target that cannot be tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Out {
    /// Provider and model, as configuration has them.
    pub target: String,
    /// The model that it belongs to; empty: the rule.
    pub of: String,
    /// Why.
    pub why: String,
}

/// Where copies go.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Copied {
    /// The provider, and its name for the model.
    pub target: String,
    /// So many of a hundred requests.
    pub share: f64,
    /// Whether this request is one of them.
    pub copied: bool,
}

/// An explanation for a header.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Brief {
    /// The rule that the request follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Configuration's name for the model that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Targets in the order in which they were to be tried, and how they stood.
    pub line: Vec<(String, String)>,
    /// Those that were, and what became of it.
    pub tried: Vec<(String, String)>,
    /// Where a copy went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    /// Whether there was more to tell.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub cut: bool,
}

impl Explanation {
    /// Says why.
    pub fn of(decision: &Decision<'_>) -> Self {
        let Decision { question, found, trace, mirror, .. } = decision;
        let model = found.model;
        let lines = |line: &[Candidate<'_>]| line.iter().map(|it| Line::of(it, decision)).collect();
        let mut line: Vec<Line> = lines(&trace.line);
        line.iter_mut().skip(model.attempts as usize).for_each(|line| line.beyond = true);
        let patience = if question.stream { model.first_token_timeout } else { model.answer_timeout };
        Self {
            asked: question.name.to_owned(),
            model: question.asked.name.to_owned(),
            found_by: found_by(question.name, &question.asked),
            operation: question.operation,
            stream: question.stream,
            rules: decision.judged.iter().map(RuleLine::of).collect(),
            rule: decision.rule.map(|rule| rule.name.clone()),
            answered_by: Some(found.name.to_owned()).filter(|name| !name.is_empty()),
            strategy: model.strategy,
            sticks: decision.sticky.is_some(),
            line,
            context_window: lines(&trace.context_window),
            content_policy: lines(&trace.content_policy),
            left_out: trace.left_out.iter().map(Out::of).collect(),
            attempts: decision.plan.as_ref().map_or(0, Plan::most_attempts),
            retries: model.retries.iter().map(|(cause, times)| (cause.name(), *times)).collect(),
            attempt_timeout_ms: patience.as_millis(),
            whole_timeout_ms: model.whole_timeout.as_millis(),
            mirror: mirror.as_ref().map(|(mirror, model)| Copied {
                target: format!("{}/{model}", mirror.target.provider),
                share: percent(mirror.parts),
                copied: decision.copy.is_some(),
            }),
        }
    }
}

impl Line {
    fn of(it: &Candidate<'_>, decision: &Decision<'_>) -> Self {
        let (now, strategy) = (decision.question.now, it.of.strategy);
        let Question { key, operation, seed, .. } = decision.question;
        let Decision { found, estimate, sticky, .. } = *decision;
        let ask = Ask { model: found, operation, key, estimate, sticky, now, seed };
        let (standing, cooled_ms) = match it.standing {
            Standing::Well => ("well", None),
            Standing::Due => ("due", None),
            Standing::Cooled(until) => ("cooled", Some(until.saturating_sub(now))),
        };
        Self {
            target: it.id.to_owned(),
            sent_as: it.model.clone().into_owned(),
            of: it.of_name.to_owned(),
            weight: it.target.weight,
            order: it.target.order,
            standing,
            cooled_ms,
            slowness_us: (strategy == Strategy::Latency).then(|| it.health.slowness(now)),
            in_flight: (strategy == Strategy::LeastBusy).then(|| it.health.in_flight(now)),
            cost: (strategy == Strategy::Cheapest).then(|| cost(it, &ask)).filter(|cost| *cost != u64::MAX),
            draw: decision.sticky.filter(|_| strategy == Strategy::Sticky).map(|sticky| draw(it, sticky)),
            beyond: false,
        }
    }
}

impl Out {
    fn of(out: &LeftOut<'_>) -> Self {
        Self { target: out.target.id(), of: out.of_name.to_owned(), why: why(out.why) }
    }
}

fn why(unfit: Unfit) -> String {
    match unfit {
        Unfit::Operation => "it does not offer the operation".to_owned(),
        Unfit::Key => "the key may not reach its provider".to_owned(),
        Unfit::Price => "its price is not known, and `unknown_price` is `refuse`".to_owned(),
        Unfit::Lacks(what) => format!("it is known to lack what is needed: {what}"),
    }
}

fn found_by(asked: &str, found: &Found<'_>) -> &'static str {
    match found.star.is_empty() {
        true if asked == found.name => "name",
        true => "alias",
        false => "pattern",
    }
}

impl RuleLine {
    fn of((rule, judgement): &(&Rule, Judgement)) -> Self {
        let outcome = match judgement {
            Judgement::Follows => "is followed".to_owned(),
            Judgement::Differs => "its conditions do not hold".to_owned(),
            Judgement::Declined => "the client wants to be without".to_owned(),
            Judgement::NotDrawn(drawn) => {
                let share = rule.share.as_ref().map_or(0, |share| share.parts);
                format!("{} of 100 was drawn, and its share is {}", percent(*drawn), percent(share))
            }
        };
        Self { rule: rule.name.clone(), outcome }
    }
}

/// Millionths as parts of a hundred.
fn percent(parts: u32) -> f64 {
    f64::from(parts) / 10_000.0
}

impl Brief {
    /// What is known before the first attempt.
    pub fn of(decision: &Decision<'_>) -> Self {
        let line = decision.trace.line.iter().take(decision.found.model.attempts as usize).map(|it| {
            let line = Line::of(it, decision);
            let standing = line.cooled_ms.map(|left| format!("cooled for {left} ms"));
            (line.target, standing.unwrap_or_else(|| line.standing.to_owned()))
        });
        Self {
            rule: decision.rule.map(|rule| rule.name.clone()),
            model: Some(decision.found.name.to_owned()).filter(|name| !name.is_empty()),
            line: line.collect(),
            tried: Vec::new(),
            mirror: decision.mirror.as_ref().filter(|_| decision.copy.is_some()).map(|(mirror, model)| {
                let provider = &mirror.target.provider;
                format!("{provider}/{model}")
            }),
            cut: false,
        }
    }

    /// The same, with what became of the attempts; `last` is the outcome of the last.
    pub fn tried(mut self, plan: &Plan, last: &str) -> Self {
        let name = |number: u8| plan.hops.get(usize::from(number)).map(|hop| hop.target.clone()).unwrap_or_default();
        self.tried = plan.failed.iter().map(|(hop, cause)| (name(*hop), cause.name().to_owned())).collect();
        if plan.made as usize > self.tried.len() {
            self.tried.extend(plan.pending.map(|pending| (name(pending.hop), last.to_owned())));
        }
        self
    }

    /// As JSON of at most so many bytes; what does not fit is left out from the end of the line, then of the attempts.
    pub fn to_json(mut self, most: usize) -> String {
        loop {
            let json = serde_json::to_string(&self).unwrap_or_default();
            if json.len() <= most || (self.line.pop().is_none() && self.tried.pop().is_none()) {
                return if json.len() <= most { json } else { String::new() };
            }
            self.cut = true;
        }
    }
}
