//! A request for a provider whose dialect is not quite OpenAI's.

use super::patch::Patches;
use super::request::literal;
use super::sift::{Fate, makes_room, sift};
use crate::dialect::{Differences, Dropped, says_nothing, signed_id};
use crate::json::{Document, Kind, Value, Write};

/// Changes the parameters. What is lost is named in `dropped`.
pub(super) fn parameters(
    document: &Document<'_>,
    differences: &Differences,
    patches: &mut Patches,
    dropped: &mut Dropped,
) {
    let (root, renames) = (document.root(), differences.renames);
    sift(document, root, patches, |name, value| {
        let name = name.decode();
        let is_lost = differences.refuses.contains(&&*name) || makes_room(root, &name, renames.iter().copied());
        if is_lost {
            if !value.is_null() && !says_nothing(&name, value) {
                dropped.push(name.into_owned());
            }
            return Fate::Goes;
        }
        match renames.iter().find(|(old, _)| *old == name) {
            Some(_) if value.is_null() => Fate::Goes,
            Some((_, new)) => Fate::Renamed(new),
            None => Fate::Stays,
        }
    });
}

/// Puts ids of calls as the provider takes them: without what another one's call carries in its id, short if they have to
/// be, and never longer than OpenAI takes them: Cohere's begin with the tool's name, and history may be anybody's.
pub(super) fn ids(message: Value<'_>, short: bool, patches: &mut Patches) {
    let mut mend = |id: Value<'_>| {
        let Some(said) = id.as_str() else { return };
        let (own, signature) = signed_id::split(said);
        let plain = own.decode();
        if short && !is_short(&plain) || plain.len() > LONGEST_ID {
            patches.replace(id.start()..id.end(), literal(&shortened(&plain)));
        } else if signature.is_some() {
            let mut bare = String::new();
            own.write(&mut bare);
            patches.replace(id.start()..id.end(), bare);
        }
    };
    for (name, value) in message.members() {
        match name.escaped() {
            "tool_calls" => value.elements().filter_map(|call| call.get("id")).for_each(&mut mend),
            "tool_call_id" => mend(value),
            _ => {}
        }
    }
}

/// Changes a message. What is lost is named in `dropped`, once.
pub(super) fn message(
    document: &Document<'_>,
    message: Value<'_>,
    differences: &Differences,
    patches: &mut Patches,
    dropped: &mut Dropped,
) {
    let role = message.get("role");
    if let Some(role) =
        role.filter(|role| !differences.knows_developer && role.as_str().is_some_and(|role| role == *"developer"))
    {
        patches.replace(role.start()..role.end(), "\"system\"");
    }
    let thought = own_thought(message, differences);
    let content = message.get("content");
    // The thought moves into the content, or becomes it.
    if let Some((thought, place)) = thought.zip(content.or(thought)) {
        patches.replace(place.start()..place.end(), with_thought(thought, content));
    }
    sift(document, message, patches, |name, value| {
        if thought.is_some() && *name == *"reasoning_content" {
            return if content.is_some() { Fate::Goes } else { Fate::Renamed("content") };
        }
        if !differences.message_refuses.iter().any(|refused| *name == **refused) {
            return Fate::Stays;
        }
        let says_something = !value.is_null() && (value.kind() != Kind::Array || value.elements().next().is_some());
        let path = format!("messages[].{}", name.escaped());
        if says_something && !dropped.contains(&path) {
            dropped.push(path);
        }
        Fate::Goes
    });
}

/// What the provider itself thought before, if it is to see it again. Thoughts of others come with details that say whose
/// they are.
fn own_thought<'a>(message: Value<'a>, differences: &Differences) -> Option<Value<'a>> {
    let thought = message.get("reasoning_content").filter(|_| differences.thoughts_in_content)?;
    let is_foreign = message.get("reasoning_details").is_some_and(|details| details.elements().next().is_some());
    thought.as_str().filter(|text| !is_foreign && !text.is_empty()).map(|_| thought)
}

/// `content` as a list that begins with the `thought`.
fn with_thought(thought: Value<'_>, content: Option<Value<'_>>) -> String {
    let mut list = format!(r#"[{{"type":"thinking","thinking":[{{"type":"text","text":{}}}]}}"#, thought.raw());
    match content {
        Some(text) if text.as_str().is_some_and(|text| !text.is_empty()) => {
            list.push_str(r#",{"type":"text","text":"#);
            text.write(&mut list);
            list.push('}');
        }
        Some(parts) => parts.elements().for_each(|part| {
            list.push(',');
            part.write(&mut list);
        }),
        None => {}
    }
    list.push(']');
    list
}

/// "Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 40": OpenAI's and Azure's
/// word. That others take more is no reason to send it.
const LONGEST_ID: usize = 40;

fn is_short(id: &str) -> bool {
    id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Nine letters and digits, the same ones for the same id.
fn shortened(id: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    // FNV-1a
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
    let mut short = String::with_capacity(9);
    for _ in 0..9 {
        short.push(DIGITS.get((hash % 62) as usize).copied().map_or('0', char::from));
        hash /= 62;
    }
    short
}
