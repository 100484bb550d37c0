//! The small things in content blocks that Bedrock is particular about.

use crate::chat::Arguments;
use crate::json::{Document, Kind, Str, Value, Write, Writer};

/// An id of a tool call as `[a-zA-Z0-9_-]{1,64}`. Other bytes become `_` and their hexadecimal digits, and what is too long is
/// cut and told apart by a hash, so that different ids stay different and a result finds its call.
#[derive(Debug)]
pub(super) struct Id<'a>(pub &'a Str<'a>);

const MOST: usize = 64;

impl Write for Id<'_> {
    fn write(&self, out: &mut String) {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let mut id = String::new();
        for byte in self.0.decode().bytes() {
            if is_plain(byte) {
                id.push(char::from(byte));
            } else {
                id.push('_');
                id.extend(hex(byte));
            }
        }
        if id.is_empty() {
            id.push('_');
        }
        if id.len() > MOST {
            // FNV-1a
            let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
            id.truncate(MOST - 17);
            id.push('_');
            id.extend(hash.to_be_bytes().into_iter().flat_map(hex));
        }
        id.write(out);
    }
}

fn hex(byte: u8) -> impl Iterator<Item = char> {
    [byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16))
}

/// `toolUse.input`, which has to be an object. Arguments that a model wrote wrongly are kept as `{"arguments": ...}`: it is
/// told of its mistake by the tool's result, and has to see what it said.
#[derive(Debug)]
pub(super) struct Input<'a>(pub &'a Arguments<'a>);

impl Write for Input<'_> {
    fn write(&self, out: &mut String) {
        match self.0 {
            Arguments::Object(value) => object(*value, out),
            Arguments::Text(text) => {
                let text = text.decode();
                match Document::parse(text.as_bytes()) {
                    Ok(document) => object(document.root(), out),
                    Err(_) if text.trim().is_empty() => out.push_str("{}"),
                    Err(_) => wrapped(&*text, out),
                }
            }
        }
    }
}

fn object(value: Value<'_>, out: &mut String) {
    match value.kind() {
        Kind::Object => value.write(out),
        Kind::Null => out.push_str("{}"),
        _ => wrapped(&value, out),
    }
}

fn wrapped(arguments: &(impl Write + ?Sized), out: &mut String) {
    Writer::new(out).object(|w| w.field("arguments", arguments));
}

/// A text without the white space at its end.
#[derive(Debug)]
pub(super) struct Trimmed<'a>(pub &'a Str<'a>);

impl Write for Trimmed<'_> {
    fn write(&self, out: &mut String) {
        self.0.decode().trim_end().write(out);
    }
}

/// JSON Schema of a tool's arguments; `type` has to be there.
#[derive(Debug)]
pub(super) struct Schema<'a>(pub Option<Value<'a>>);

impl Write for Schema<'_> {
    fn write(&self, out: &mut String) {
        match self.0.filter(|schema| schema.members().next().is_some()) {
            None => out.push_str(r#"{"type":"object","properties":{}}"#),
            Some(schema) if schema.get("type").is_some() => schema.write(out),
            Some(schema) => Writer::new(out).object(|w| {
                w.field("type", "object");
                for (name, value) in schema.members() {
                    w.field(&name.decode(), &value);
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Id, Input, Schema, Trimmed};
    use crate::chat::Arguments;
    use crate::json::{Document, Str, Write};

    fn written(value: &dyn Write) -> String {
        let mut out = String::new();
        value.write(&mut out);
        out
    }

    #[test]
    fn ids_are_mapped_bounded_and_stay_different() {
        for (id, expected) in [
            ("tooluse_01-A", "\"tooluse_01-A\""),
            ("functions.f:0", "\"functions_2ef_3a0\""),
            ("a\"é", "\"a_22_c3_a9\""),
            ("", "\"_\""),
        ] {
            assert_eq!(written(&Id(&Str::plain(id))), expected);
        }
        let long = |end: &str| written(&Id(&Str::plain(&("x".repeat(64) + end))));
        assert_eq!((long("").len(), long("a").len(), long("b").len()), (66, 66, 66));
        assert!(long("a") != long("b") && long("a") == long("a"));
    }

    #[test]
    fn arguments_become_an_object_and_none_is_lost() {
        for (text, input) in [
            (r#"{"a": "\u00e9\n"}"#, r#"{"a": "\u00e9\n"}"#),
            (" \n", "{}"),
            ("null", "{}"),
            ("[1, 2]", r#"{"arguments":[1, 2]}"#),
            (r#"{"a": 1"#, r#"{"arguments":"{\"a\": 1"}"#),
        ] {
            assert_eq!(written(&Input(&Arguments::Text(Str::plain(text)))), input);
        }
    }

    #[test]
    fn schemas_have_a_type_and_texts_no_white_space_at_their_end() {
        for (schema, expected) in [
            ("{}", r#"{"type":"object","properties":{}}"#),
            (r#"{"type": "object"}"#, r#"{"type": "object"}"#),
            (r#"{"properties":{"a":{}}}"#, r#"{"type":"object","properties":{"a":{}}}"#),
        ] {
            assert_eq!(written(&Schema(Some(Document::parse(schema.as_bytes()).unwrap().root()))), expected);
        }
        assert_eq!(written(&Schema(None)), r#"{"type":"object","properties":{}}"#);
        assert_eq!(written(&Trimmed(&Str::plain("a b \\\n\t "))), r#""a b \\""#);
    }
}
