//! Pieces of a request that several providers want written alike.

use crate::chat::{Arguments, Format, Media};
use crate::json::{Document, Kind, Str, Value, Write, Writer};

/// The arguments of a call where they have to be an object. Arguments that a model wrote wrongly are kept as `{"arguments": ...}`: it
/// is told of its mistake by the tool's result, and has to see what it said.
#[derive(Debug)]
pub struct Input<'a>(pub &'a Arguments<'a>);

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
pub struct Trimmed<'a>(pub &'a Str<'a>);

impl Write for Trimmed<'_> {
    fn write(&self, out: &mut String) {
        self.0.decode().trim_end().write(out);
    }
}

/// JSON Schema of a tool's arguments; `type` has to be there.
#[derive(Debug)]
pub struct Schema<'a>(pub Option<Value<'a>>);

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

/// What a model is told that cannot be held to a format.
pub fn instruction(format: &Format<'_>) -> String {
    match format {
        Format::JsonObject => "Answer with one JSON object, and with nothing else, not even a code fence.".to_owned(),
        Format::JsonSchema { schema, description, .. } => {
            let json = schema.raw();
            let about = description.as_ref().map(|text| format!(" It is to be: {}", text.decode())).unwrap_or_default();
            format!("Answer with JSON of this schema, and with nothing else, not even a code fence: {json}{about}")
        }
    }
}

/// How many Unicode characters a text has, as clients count places in it.
pub fn length(text: &Str<'_>) -> u64 {
    text.decode().chars().count() as u64
}

/// A name as one segment of a path: `pchar` of RFC 3986, without `%`, `/` and what has a meaning here, `:`.
pub fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            let digits = [byte >> 4, byte & 15].into_iter();
            out.extend(
                digits.filter_map(|digit| char::from_digit(digit.into(), 16)).map(|digit| digit.to_ascii_uppercase()),
            );
        }
    }
    out
}

/// Where something is, or the `data:` URL that it is in.
#[derive(Debug)]
pub struct DataUrl<'a>(pub &'a Media<'a>);

impl Write for DataUrl<'_> {
    fn write(&self, out: &mut String) {
        match self.0 {
            Media::Url(url) => url.write(out),
            Media::Base64 { media_type, data } => {
                for piece in ["\"data:", media_type.escaped(), ";base64,", data.escaped(), "\""] {
                    out.push_str(piece);
                }
            }
        }
    }
}

/// The text that `base64` stands for; `None` if it stands for none.
pub fn utf8(base64: &Str<'_>) -> Option<String> {
    let base64 = base64.decode();
    let mut bytes = Vec::with_capacity(base64.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in base64.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::{Input, Schema, Trimmed};
    use crate::chat::Arguments;
    use crate::json::{Document, Str, Write};

    fn check(value: &dyn Write, expected: &str) {
        let mut out = String::new();
        value.write(&mut out);
        assert_eq!(out, expected);
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
