//! The small things in parts that Google is particular about.

use crate::chat::{Arguments, Part};
use crate::json::{Document, Kind, Str, Value, Write, Writer};

/// `functionCall.args`, which is a `Struct`. Arguments that a model wrote wrongly are kept as `{"arguments": ...}`: it is
/// told of its mistake by the tool's result, and has to see what it said.
#[derive(Debug)]
pub(super) struct Args<'a>(pub &'a Arguments<'a>);

impl Write for Args<'_> {
    fn write(&self, out: &mut String) {
        match self.0 {
            Arguments::Object(value) => object("arguments", *value, out),
            Arguments::Text(text) => of_text("arguments", text, out),
        }
    }
}

/// `functionResponse.response`, which is a `Struct` too: a result that is a JSON object as it is, any other as
/// `{"result": ...}`. "Use "error" key to specify error details". <https://ai.google.dev/api/caching#FunctionResponse>
#[derive(Debug)]
pub(super) struct Response<'a> {
    pub parts: &'a [Part<'a>],
    pub is_error: bool,
}

impl Write for Response<'_> {
    fn write(&self, out: &mut String) {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(&text.text),
            Part::Refusal(text) => Some(text),
            _ => None,
        });
        let texts: Vec<&Str<'_>> = texts.collect();
        let joined;
        let text = match texts.as_slice() {
            [text] => *text,
            texts => {
                joined = Str::join(texts.iter().copied(), &Str::plain("\n"));
                &joined
            }
        };
        let decoded = text.decode();
        match Document::parse(decoded.as_bytes()) {
            _ if self.is_error => Writer::new(out).object(|w| w.field("error", text)),
            Ok(document) if document.root().kind() == Kind::Object => document.root().write(out),
            _ => Writer::new(out).object(|w| w.field("result", text)),
        }
    }
}

fn of_text(name: &str, text: &Str<'_>, out: &mut String) {
    let text = text.decode();
    match Document::parse(text.as_bytes()) {
        Ok(document) => object(name, document.root(), out),
        Err(_) if text.trim().is_empty() => out.push_str("{}"),
        Err(_) => Writer::new(out).object(|w| w.field(name, &*text)),
    }
}

fn object(name: &str, value: Value<'_>, out: &mut String) {
    match value.kind() {
        Kind::Object => value.write(out),
        Kind::Null => out.push_str("{}"),
        _ => Writer::new(out).object(|w| w.field(name, &value)),
    }
}

/// JSON that was written already.
#[derive(Debug)]
pub(super) struct Raw(pub String);

impl Write for Raw {
    fn write(&self, out: &mut String) {
        out.push_str(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::{Args, Response};
    use crate::chat::{Arguments, Part};
    use crate::json::{Str, Write};

    fn check(value: &dyn Write, expected: &str) {
        let mut out = String::new();
        value.write(&mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn arguments_and_results_become_objects_and_none_is_lost() {
        for (text, args, response) in [
            (r#"{"a": "\u00e9\n"}"#, r#"{"a": "\u00e9\n"}"#, r#"{"a": "\u00e9\n"}"#),
            ("", "{}", r#"{"result":""}"#),
            ("null", "{}", r#"{"result":"null"}"#),
            ("[1, 2]", r#"{"arguments":[1, 2]}"#, r#"{"result":"[1, 2]"}"#),
            (r#"{"a": 1"#, r#"{"arguments":"{\"a\": 1"}"#, r#"{"result":"{\"a\": 1"}"#),
        ] {
            check(&Args(&Arguments::Text(Str::plain(text))), args);
            check(&Response { parts: &[Part::Text(Str::plain(text).into())], is_error: false }, response);
        }
        let text = |text| Part::Text(Str::plain(text).into());
        check(&Response { parts: &[text("a"), text("b")], is_error: false }, r#"{"result":"a\nb"}"#);
        check(&Response { parts: &[], is_error: false }, r#"{"result":""}"#);
        check(&Response { parts: &[text("{}")], is_error: true }, r#"{"error":"{}"}"#);
    }
}
