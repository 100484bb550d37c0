//! What the operator changes in a request, whatever the provider speaks.

use super::patch::Patches;
use super::request::literal;
use super::sift::{Fate, makes_room, sift};
use crate::dialect::{Dropped, Edits};
use crate::json::Document;

/// Appends the request to `out` with its parameters renamed, dropped, given a default and set, in this order. What the client
/// said and does not go on is returned.
pub fn edit(document: &Document<'_>, edits: &Edits, out: &mut String) -> Dropped {
    let root = document.root();
    let mut patches = Patches::default();
    let (mut dropped, mut said) = (Dropped::new(), Vec::new());
    let renames = || edits.rename.iter().map(|(old, new)| (old.as_str(), new.as_str()));
    sift(document, root, &mut patches, |name, value| {
        let name = name.decode();
        let new = edits.rename.get(name.as_ref()).map(String::as_str);
        let goes_by = new.unwrap_or(&name);
        if edits.drop.iter().any(|drop| drop == goes_by) || (new.is_none() && makes_room(root, &name, renames())) {
            if !value.is_null() {
                dropped.push(name.into_owned());
            }
            return Fate::Goes;
        }
        let is_unsaid = value.is_null() && (new.is_some() || edits.default.contains_key(goes_by));
        if is_unsaid || edits.set.contains_key(goes_by) {
            return Fate::Goes;
        }
        said.push(goes_by.to_owned());
        new.map_or(Fate::Stays, Fate::Renamed)
    });
    let unsaid = edits.default.iter().filter(|(name, _)| !said.contains(name) && !edits.set.contains_key(*name));
    // The model is always there, and stays.
    let place = root.get("model").map_or(0, |model| model.end());
    for (name, value) in unsaid.chain(&edits.set) {
        patches.replace(place..place, format!(",{}:{value}", literal(name)));
    }
    patches.apply(document.text(), out);
    dropped
}

#[cfg(test)]
mod tests {
    use super::edit;
    use crate::dialect::Edits;
    use crate::json::Document;

    fn check(edits: &str, members: &str, expected: &str, dropped: &[&str]) {
        let edits: Edits = serde_json::from_str(edits).unwrap();
        let body = format!(r#"{{"model":"m"{members}}}"#);
        let document = Document::parse(body.as_bytes()).unwrap();
        let mut out = String::new();
        assert_eq!(edit(&document, &edits, &mut out), dropped, "{body}");
        assert_eq!(out, format!(r#"{{"model":"m"{expected}}}"#));
    }

    #[test]
    fn parameters_are_what_the_operator_says() {
        check(r#"{"set":{"top_k":5,"n":1}}"#, r#","n":3,"a":1"#, r#","n":1,"top_k":5,"a":1"#, &[]);
        check(r#"{"default":{"top_p":0.5}}"#, "", r#","top_p":0.5"#, &[]);
        check(r#"{"default":{"top_p":0.5}}"#, r#","top_p":1"#, r#","top_p":1"#, &[]);
        check(r#"{"default":{"top_p":{"a":[]}}}"#, r#","top_p":null"#, r#","top_p":{"a":[]}"#, &[]);
        check(r#"{"drop":["user","seed"]}"#, r#","user":"u","seed":null"#, "", &["user"]);
        check(r#"{"rename":{"seed":"random_seed"}}"#, r#","seed":1"#, r#","random_seed":1"#, &[]);
        check(r#"{"rename":{"a":"b"}}"#, r#","b":1,"a":2"#, r#","b":2"#, &["b"]);
        check(r#"{"rename":{"a":"b"}}"#, r#","b":1,"a":null"#, r#","b":1"#, &[]);
        check(r#"{"rename":{"a":"b"},"drop":["b"]}"#, r#","a":2"#, "", &["a"]);
        check(r#"{"rename":{"a":"b"},"set":{"b":3}}"#, r#","a":2"#, r#","b":3"#, &[]);
        check(r#"{"rename":{"a":"b"},"default":{"b":3}}"#, r#","a":2"#, r#","b":2"#, &[]);
        check(r#"{"set":{"a\"":"\n"}}"#, "", r#","a\"":"\n""#, &[]);
    }
}
