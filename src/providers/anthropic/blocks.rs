//! The small things in content blocks that Anthropic is particular about.

use crate::chat::Arguments;
use crate::json::{Document, Kind, Str, Value, Write, Writer};

/// An id of a tool call as `^[a-zA-Z0-9_-]+$`, which Anthropic demands: <https://github.com/BerriAI/litellm/issues/21114>.
/// Other bytes become `_` and their hexadecimal digits, so that different ids stay different and a result finds its call.
#[derive(Debug)]
pub(super) struct Id<'a>(pub &'a Str<'a>);

impl Write for Id<'_> {
    fn write(&self, out: &mut String) {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        out.push('"');
        if self.0.is_empty() {
            out.push('_');
        } else if self.0.escaped().bytes().all(is_plain) {
            out.push_str(self.0.escaped());
        } else {
            for byte in self.0.decode().bytes() {
                if is_plain(byte) {
                    out.push(char::from(byte));
                } else {
                    out.push('_');
                    out.extend(
                        [byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16)),
                    );
                }
            }
        }
        out.push('"');
    }
}

/// `tool_use.input`, which has to be an object. Arguments that a model wrote wrongly are kept as `{"arguments": ...}`: it
/// is told of its mistake by the tool's result, and has to see what it said.
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

    fn check(value: &dyn Write, expected: &str) {
        let mut out = String::new();
        value.write(&mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn ids_are_mapped_and_stay_different() {
        check(&Id(&Str::plain("toolu_01-A")), r#""toolu_01-A""#);
        check(&Id(&Str::plain("functions.f:0")), r#""functions_2ef_3a0""#);
        check(&Id(&Str::plain("a\"é")), r#""a_22_c3_a9""#);
        check(&Id(&Str::EMPTY), r#""_""#);
    }

    #[test]
    fn arguments_become_an_object_and_none_is_lost() {
        for (text, input) in [
            (r#"{"a": "\u00e9\n"}"#, r#"{"a": "\u00e9\n"}"#),
            ("", "{}"),
            (" \n", "{}"),
            ("null", "{}"),
            ("[1, 2]", r#"{"arguments":[1, 2]}"#),
            (r#"{"a": 1"#, r#"{"arguments":"{\"a\": 1"}"#),
        ] {
            check(&Input(&Arguments::Text(Str::plain(text))), input);
        }
        let document = Document::parse(b"{\"a\": [true]}").unwrap();
        check(&Input(&Arguments::Object(document.root())), r#"{"a": [true]}"#);
    }

    #[test]
    fn schemas_have_a_type() {
        for (schema, expected) in [
            ("{}", r#"{"type":"object","properties":{}}"#),
            ("null", r#"{"type":"object","properties":{}}"#),
            (r#"{"type": "object"}"#, r#"{"type": "object"}"#),
            (r#"{"properties":{"a":{}}}"#, r#"{"type":"object","properties":{"a":{}}}"#),
        ] {
            check(&Schema(Some(Document::parse(schema.as_bytes()).unwrap().root())), expected);
        }
        check(&Schema(None), r#"{"type":"object","properties":{}}"#);
    }

    #[test]
    fn white_space_at_the_end_goes() {
        check(&Trimmed(&Str::plain("a b \\\n\t ")), r#""a b \\""#);
    }
}
