//! What the strategy `sticky` keeps together, as a number.

use super::step::Host;
use crate::chance::hash;
use crate::config::{Model, StickyBy, Strategy};
use crate::json::{Document, Value};

/// The number by which a request of this model sticks to a target; `None` if it does not.
pub(super) fn sticky(host: &dyn Host, document: &Document<'_>, model: &Model) -> Option<u64> {
    if model.strategy != Strategy::Sticky {
        return None;
    }
    let root = document.root();
    let user = || root.get("user").and_then(Value::as_str).filter(|user| !user.is_empty());
    match &model.sticky_by {
        StickyBy::User => user().map(|user| hash(0, user.decode().as_bytes())).or_else(|| prompt(root)),
        StickyBy::Prompt => prompt(root),
        StickyBy::Header(name) => host.header(name).map(|value| hash(0, value.as_bytes())),
    }
}

/// Of how a conversation begins: it stays the same while the conversation goes on. That is all up to the first message that
/// is not the operator's, and the tools before it, as providers have them in their caches.
fn prompt(root: Value<'_>) -> Option<u64> {
    let tools = root.get("tools").map_or(0, |tools| hash(0, tools.raw().as_bytes()));
    let mut seed = tools;
    let messages = root.get("messages")?;
    for message in messages.elements() {
        seed = hash(seed, message.raw().as_bytes());
        let role = message.get("role").and_then(Value::as_str);
        if !role.is_some_and(|role| role == *"system" || role == *"developer") {
            break;
        }
    }
    Some(seed)
}
