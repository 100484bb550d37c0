//! Parameters without a field of their own ([`crate::chat::Request::others`]), as all translators see them.

use super::Dropped;
use crate::chat::{Part, Request};
use crate::json::Value;

/// Whether the parameter is what it would be without being said.
pub(crate) fn says_nothing(name: &str, value: Value<'_>) -> bool {
    match name {
        "n" | "stream_options" => true,
        "frequency_penalty" | "presence_penalty" | "top_logprobs" => value.as_f64() == Some(0.0),
        "logprobs" | "store" => value.as_bool() == Some(false),
        "logit_bias" => value.members().next().is_none(),
        "verbosity" => value.as_str().is_some_and(|word| word == "medium"),
        "modalities" => value.elements().all(|word| word.as_str().is_some_and(|word| word == "text")),
        _ => false,
    }
}

/// Names what a provider without a word for end users, tiers of service and cache markers leaves out.
pub(super) fn drop_hints(request: &Request<'_>, dropped: &mut Dropped) {
    let is_marked = |part: &Part<'_>| matches!(part, Part::Text(text) if text.cache.is_some());
    let marked = request.messages.iter().flat_map(|message| &message.parts).any(|part| match part {
        Part::ToolResult { parts, .. } => parts.iter().any(is_marked),
        part => is_marked(part),
    });
    let tier = request.service_tier.as_ref().is_some_and(|tier| *tier != "auto" && *tier != "default");
    for (is_said, name) in [
        (request.user.is_some(), "user"),
        (tier, "service_tier"),
        (marked, "messages[].content[].cache_control"),
        (request.tools.iter().any(|tool| tool.cache.is_some()), "tools.cache_control"),
    ] {
        dropped.extend(is_said.then(|| name.to_owned()));
    }
}
