//! What several translators have no word for.

use super::Dropped;
use crate::chat::{Part, Request};

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
