//! All that is decided about a request before its first attempt: the rule that it follows, the model that answers it, its
//! plan, and whether a copy of it goes elsewhere.

use super::order::{Ask, Trace, Unfit, trace};
use super::plan::{Hop, Plan};
use super::rules::{Facts, Judgement, judge_all, mirrored};
use super::shared::Shared;
use crate::config::{Breaker, Config, Found, Key, Mirror, Rule, Strategy, Way};
use crate::dialect::Operation;
use crate::tokens::Estimate;

/// A request, as far as it is known without a look into its body.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The name of the model that the client asked for.
    pub name: &'a str,
    /// That model.
    pub asked: Found<'a>,
    /// Who asks, if that matters.
    pub key: Option<&'a Key>,
    /// What the model is asked for.
    pub operation: Operation,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the client wants the usage at the end of a stream.
    pub include_usage: bool,
    /// The time, in milliseconds since 1970.
    pub now: u64,
    /// Decides what is left to chance.
    pub seed: u64,
}

/// What was decided, and why.
#[derive(Debug, Clone)]
pub struct Decision<'a> {
    /// What was decided about.
    pub question: Question<'a>,
    /// The rule that the request follows.
    pub rule: Option<&'a Rule>,
    /// What became of each rule, as far as they were looked at.
    pub judged: Vec<(&'a Rule, Judgement)>,
    /// The model that answers it: that which was asked for, or the rule's.
    pub found: Found<'a>,
    /// The number by which it sticks to a target.
    pub sticky: Option<u64>,
    /// What can be told of its size and needs, if that makes a difference.
    pub estimate: Option<Estimate>,
    /// The plan, or why no target can answer.
    pub plan: Result<Plan, Unfit>,
    /// What the plan was made of.
    pub trace: Trace<'a>,
    /// Where copies go, and by which name of the model.
    pub mirror: Option<(&'a Mirror, String)>,
    /// The plan of this request's copy; `None` if there is none.
    pub copy: Option<Plan>,
}

/// Who answers a request.
#[derive(Debug, Clone)]
pub struct Choice<'a> {
    /// The rule that it follows.
    pub rule: Option<&'a Rule>,
    /// What became of each rule, as far as they were looked at.
    pub judged: Vec<(&'a Rule, Judgement)>,
    /// The model: that which was asked for, or the rule's.
    pub found: Found<'a>,
}

/// Finds the rule that a request follows, and so the model that answers it.
pub fn choose<'a>(config: &'a Config, question: &Question<'a>, facts: &dyn Facts) -> Choice<'a> {
    let asked = question.asked;
    let judged = judge_all(&config.rules, facts, question.seed);
    let rule = judged.last().filter(|(_, judgement)| *judgement == Judgement::Follows).map(|(rule, _)| *rule);
    let found = match rule.map(|rule| &rule.way) {
        Some(Way::Use(name)) => config.models.find(name).unwrap_or(asked),
        Some(Way::Targets(model)) => Found { name: "", model, star: star(asked) },
        Some(Way::Asked) | None => asked,
    };
    Choice { rule, judged, found }
}

/// What a `*` in a rule's targets stands for.
fn star(asked: Found<'_>) -> &str {
    if asked.star.is_empty() { asked.name } else { asked.star }
}

/// Decides about a request that was led by `choice`.
pub fn decide<'a>(
    config: &'a Config,
    question: Question<'a>,
    choice: Choice<'a>,
    facts: &dyn Facts,
    shared: &dyn Shared,
) -> Decision<'a> {
    let Question { asked, key, operation, now, seed, .. } = question;
    let Choice { rule, judged, found } = choice;
    let sticky = facts.sticky(found.model);
    let estimate = config.models.is_picky(found.model, facts.bytes()).then(|| facts.estimate());
    let (plan, trace) = trace(config, &Ask { model: found, operation, key, estimate, sticky, now, seed }, shared);
    let patience = if question.stream { found.model.first_token_timeout } else { found.model.answer_timeout };
    let plan = plan.map(|plan| Plan {
        model: question.name.to_owned(),
        stream: question.stream,
        include_usage: question.include_usage,
        patience: patience.as_millis(),
        ..plan
    });
    let own = rule.and_then(|rule| rule.mirror.as_ref()).map(|mirror| (mirror, mirror.target.model(star(asked))));
    let mirror = own.or_else(|| found.model.mirror.as_ref().map(|mirror| (mirror, mirror.target.model(found.star))));
    let mirror = mirror.map(|(mirror, model)| (mirror, model.into_owned()));
    let copy = match (&plan, &mirror) {
        (Ok(plan), Some((mirror, model)))
            if mirrored(mirror, seed) && key.is_none_or(|key| key.may_reach(&mirror.target.provider)) =>
        {
            copy(config, plan, mirror, model)
        }
        _ => None,
    };
    Decision { question, rule, judged, found, sticky, estimate, plan, trace, mirror, copy }
}

/// A plan of one attempt, by whose outcome nobody is judged.
fn copy(config: &Config, plan: &Plan, mirror: &Mirror, model: &str) -> Option<Plan> {
    let target = &mirror.target;
    let provider = config.providers.get(&target.provider)?;
    if !provider.kind.offers(plan.operation, model) {
        return None;
    }
    let hop = Hop {
        provider: target.provider.clone(),
        model: model.to_owned(),
        target: String::new(),
        strict: false,
        edits: target.edits.clone(),
        breaker: Breaker::default(),
        strategy: Strategy::default(),
        keys: u8::try_from(provider.keys.len()).unwrap_or(u8::MAX),
        probe: None,
        spent: Vec::new(),
    };
    Some(Plan {
        // No account is charged for it.
        id: 0,
        hops: vec![hop],
        line: vec![0],
        context_window: Vec::new(),
        content_policy: Vec::new(),
        retries: Vec::new(),
        attempts: 1,
        ..plan.clone()
    })
}

#[cfg(test)]
mod tests;
