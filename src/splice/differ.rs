//! A request for a provider whose dialect is not quite OpenAI's.

use super::patch::Patches;
use super::request::literal;
use super::sift::{Fate, makes_room, sift};
use crate::dialect::{Differences, Dropped, says_nothing, short_id, signed_id};
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

/// Puts ids of calls as the provider takes them: without what another one's call carries in its id, and never longer than
/// OpenAI takes them: Cohere's begin with the tool's name, and history may be anybody's.
pub(super) fn ids(message: Value<'_>, patches: &mut Patches) {
    let mut mend = |id: Value<'_>| {
        let Some(said) = id.as_str() else { return };
        let (own, signature) = signed_id::split(said);
        let plain = own.decode();
        if plain.len() > LONGEST_ID {
            patches.replace(id.start()..id.end(), literal(&short_id(&plain)));
        } else if signature.is_some() {
            let mut bare = String::new();
            own.write(&mut bare);
            patches.replace(id.start()..id.end(), bare);
        }
    };
    for (name, value) in message.members() {
        match &*name.decode() {
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
    sift(document, message, patches, |name, value| {
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

/// "Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 40": OpenAI's and Azure's
/// word. That others take more is no reason to send it.
const LONGEST_ID: usize = 40;
