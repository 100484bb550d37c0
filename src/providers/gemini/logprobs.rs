//! How probable the tokens of an answer were.
//!
//! <https://ai.google.dev/api/generate-content#LogprobsResult>

use super::answer::text;
use crate::chat::Logprob;
use crate::json::Value;

/// What `candidate` says of its tokens.
pub(super) fn read(candidate: Value<'_>) -> Vec<Logprob<'_>> {
    let Some(result) = candidate.get("logprobsResult") else { return Vec::new() };
    let list = |name| result.get(name).into_iter().flat_map(Value::elements);
    let mut top = list("topCandidates");
    let chosen = list("chosenCandidates").filter_map(|chosen| {
        let others = top.next().and_then(|place| place.get("candidates"));
        let top = others.into_iter().flat_map(Value::elements).filter_map(|other| token(other, Vec::new()));
        token(chosen, top.collect())
    });
    chosen.collect()
}

/// JSON leaves out a number that is 0.
fn token<'a>(token: Value<'a>, top: Vec<Logprob<'a>>) -> Option<Logprob<'a>> {
    let logprob = token.get("logProbability").map_or(Some("0"), Value::as_number)?;
    Some(Logprob { token: text(token, "token").unwrap_or_default(), logprob, bytes: None, top })
}
