//! Taking members out of an object and giving them other names, where it stands.

use super::patch::Patches;
use super::request::literal;
use crate::json::{Document, Str, Value};

/// What becomes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate<'n> {
    Stays,
    Goes,
    Renamed(&'n str),
}

/// Goes through the members of `object`. A member that goes takes one comma with it.
pub(super) fn sift<'v, 'n>(
    document: &Document<'_>,
    object: Value<'v>,
    patches: &mut Patches,
    mut fate: impl FnMut(&Str<'v>, Value<'v>) -> Fate<'n>,
) {
    let start = object.start() + 1;
    let mut end = start;
    let mut is_first = true;
    for (name, value) in object.members() {
        let before = core::mem::replace(&mut end, value.end());
        let fate = fate(&name, value);
        if fate == Fate::Goes {
            patches.replace(before..end, "");
            continue;
        }
        // Only white space and a comma can stand there.
        let find = |mark: char| {
            document.text().get(before..).and_then(|rest| rest.find(mark)).map_or(before, |at| before + at)
        };
        if is_first && before > start {
            patches.replace(before..find(',') + 1, "");
        }
        is_first = false;
        if let Fate::Renamed(new) = fate {
            let quote = find('"');
            patches.replace(quote..quote + name.escaped().len() + 2, literal(new));
        }
    }
}

/// Whether what is called `name` has to make room: another parameter gets this name, and says something.
pub(super) fn makes_room<'n>(
    object: Value<'_>,
    name: &str,
    mut renames: impl Iterator<Item = (&'n str, &'n str)>,
) -> bool {
    renames.any(|(old, new)| new == name && object.get(old).is_some_and(|value| !value.is_null()))
}

#[cfg(test)]
mod tests {
    use super::{Fate, sift};
    use crate::json::Document;
    use crate::splice::patch::Patches;

    #[test]
    fn what_goes_takes_one_comma_with_it() {
        for (text, expected) in [
            (r#"{"x":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{ "x" : 1 , "x":[{}] , "a":2, "x":"," }"#, r#"{ "a":2 }"#),
            (r#"{"a":1,"x":2,"b":3}"#, r#"{"a":1,"b":3}"#),
            (r#"{"a":1 , "x":2}"#, r#"{"a":1}"#),
            (r#"{"x":1, "x":2 }"#, r#"{ }"#),
            (r#"{"x":1,"old" :2}"#, r#"{"new" :2}"#),
            (r#"{"ol\u0064":2,"x":0}"#, r#"{"new":2}"#),
            ("{}", "{}"),
        ] {
            let document = Document::parse(text.as_bytes()).unwrap();
            let mut patches = Patches::default();
            sift(&document, document.root(), &mut patches, |name, _| match &*name.decode() {
                "x" => Fate::Goes,
                "old" => Fate::Renamed("new"),
                _ => Fate::Stays,
            });
            let mut out = String::new();
            patches.apply(text, &mut out);
            assert_eq!(out, expected, "{text}");
        }
    }
}
