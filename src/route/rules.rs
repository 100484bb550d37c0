//! Which rule a request follows: a function of the rules, of what is known of the request, and of a seed.

use std::borrow::Cow;

use crate::chance::Random;
use crate::chance::hash;
use crate::config::{Condition, Mirror, Model, Rule, Scalar, Share, ShareBy, Side, Subject, Test, glob};
use crate::tokens::Estimate;

/// A request, as rules see it. Looking may cost a walk through its body, so only what a rule is about is asked for.
pub trait Facts {
    /// What the request has of `subject`.
    fn fact(&self, subject: &Subject) -> Fact<'_>;

    /// How large its body is, in bytes.
    fn bytes(&self) -> u64;

    /// What can be told of its size and needs.
    fn estimate(&self) -> Estimate;

    /// The number by which it sticks to one of the model's targets; `None` if it does not.
    fn sticky(&self, model: &Model) -> Option<u64>;
}

/// What a request has of something.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact<'a> {
    /// Nothing.
    Absent,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Several; a test holds for them if it does for one.
    Several(Vec<Fact<'a>>),
    /// Something else.
    Other,
}

/// What became of a rule that a request was held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Judgement {
    /// It is followed.
    Follows,
    /// Its conditions do not hold.
    Differs,
    /// They do, but of the millionths that decide about its share this one was drawn.
    NotDrawn(u32),
    /// They do, but the client wants to be without.
    Declined,
}

/// What becomes of each of `rules`: the last one is followed, or none.
pub(super) fn judge_all<'r>(rules: &'r [Rule], facts: &dyn Facts, seed: u64) -> Vec<(&'r Rule, Judgement)> {
    let mut judged = Vec::with_capacity(rules.len());
    for rule in rules {
        let judgement = judge(rule, facts, seed);
        judged.push((rule, judgement));
        if judgement == Judgement::Follows {
            break;
        }
    }
    judged
}

/// Whether one of many requests gets a copy.
pub(super) fn mirrored(mirror: &Mirror, seed: u64) -> bool {
    draw(hash(seed, b"mirror")) < mirror.parts
}

fn judge(rule: &Rule, facts: &dyn Facts, seed: u64) -> Judgement {
    if !holds(&rule.when, facts) {
        return Judgement::Differs;
    }
    let Some(share) = &rule.share else { return Judgement::Follows };
    let wish = share.override_header.as_ref().map(|name| facts.fact(&Subject::Header(name.clone())));
    match wish {
        Some(Fact::Text(wish)) if wish == "on" => return Judgement::Follows,
        Some(Fact::Text(wish)) if wish == "off" => return Judgement::Declined,
        _ => {}
    }
    let drawn = draw(hash(sticky(share, facts).unwrap_or(seed), rule.name.as_bytes()));
    if drawn < share.parts { Judgement::Follows } else { Judgement::NotDrawn(drawn) }
}

/// What keeps requests together, as a number. It goes with the rule's name, so that rules choose independently of each
/// other, and not with the share: one that grows keeps those that it had.
fn sticky(share: &Share, facts: &dyn Facts) -> Option<u64> {
    let subject = match share.sticky_by.as_ref()? {
        ShareBy::User => Subject::Parameter(vec!["user".to_owned()]),
        ShareBy::Key => Subject::Key,
        ShareBy::Header(name) => Subject::Header(name.clone()),
    };
    match facts.fact(&subject) {
        Fact::Text(text) if !text.is_empty() => Some(hash(0, text.as_bytes())),
        _ => None,
    }
}

/// Any of a million.
fn draw(seed: u64) -> u32 {
    Random::new(seed).below(1_000_000) as u32
}

/// Nesting is bounded where rules are checked.
fn holds(condition: &Condition, facts: &dyn Facts) -> bool {
    match condition {
        Condition::All(all) => all.iter().all(|condition| holds(condition, facts)),
        Condition::Any(any) => any.iter().any(|condition| holds(condition, facts)),
        Condition::Not(condition) => !holds(condition, facts),
        Condition::Is(subject, test) => passes(test, &facts.fact(subject)),
    }
}

fn passes(test: &Test, fact: &Fact<'_>) -> bool {
    match (test, fact) {
        (Test::All(all), _) => all.iter().all(|test| passes(test, fact)),
        (Test::Not(test), _) => !passes(test, fact),
        (Test::Present(wanted), _) => (*fact != Fact::Absent) == *wanted,
        (_, Fact::Several(facts)) => facts.iter().any(|fact| passes(test, fact)),
        (Test::OneOf(values), _) => values.iter().any(|value| equals(value, fact)),
        (Test::Number(side, number), _) => as_number(fact).is_some_and(|fact| match side {
            Side::Above => fact > *number,
            Side::From => fact >= *number,
            Side::Below => fact < *number,
            Side::To => fact <= *number,
        }),
        (Test::Prefix(part), Fact::Text(text)) => text.starts_with(part.as_str()),
        (Test::Suffix(part), Fact::Text(text)) => text.ends_with(part.as_str()),
        (Test::Contains(part), Fact::Text(text)) => text.contains(part.as_str()),
        (Test::Like(pattern), Fact::Text(text)) => glob(pattern, text),
        (Test::Prefix(_) | Test::Suffix(_) | Test::Contains(_) | Test::Like(_), _) => false,
    }
}

/// Headers have texts only: one that reads like the number or the word that is wanted will do.
fn equals(value: &Scalar, fact: &Fact<'_>) -> bool {
    match (value, fact) {
        (Scalar::Bool(value), Fact::Bool(fact)) => value == fact,
        (Scalar::Bool(value), Fact::Text(fact)) => *fact == if *value { "true" } else { "false" },
        (Scalar::Number(value), _) => as_number(fact).is_some_and(|fact| value.as_f64() == Some(fact)),
        (Scalar::Text(value), Fact::Text(fact)) => value == fact,
        _ => false,
    }
}

fn as_number(fact: &Fact<'_>) -> Option<f64> {
    match fact {
        Fact::Number(number) => Some(*number),
        Fact::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
