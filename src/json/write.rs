//! Writing JSON straight into the buffer that goes out.

use super::document::Value;
use super::str::{Str, escape};
use crate::digits::Digits;

/// Appends one JSON value to a buffer. Commas are its business; the caller only says what comes next.
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut String,
    comma: bool,
}

/// The JSON of a value as the text of a string, without white space between its tokens.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(pub Value<'a>);

/// What can be written as a JSON value.
pub trait Write {
    /// Appends the value to `out`.
    fn write(&self, out: &mut String);
}

impl<'o> Writer<'o> {
    /// A writer that appends to `out`, which may hold anything already.
    pub fn new(out: &'o mut String) -> Self {
        Self { out, comma: false }
    }

    /// Writes an object whose members `members` writes.
    pub fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.nested('{', '}', members);
    }

    /// Writes an array whose elements `elements` writes.
    pub fn array(&mut self, elements: impl FnOnce(&mut Self)) {
        self.nested('[', ']', elements);
    }

    /// Writes a value.
    pub fn value(&mut self, value: &(impl Write + ?Sized)) {
        self.next();
        value.write(self.out);
    }

    /// Writes a member's name; its value has to follow.
    pub fn name(&mut self, name: &str) -> &mut Self {
        self.value(name);
        self.out.push(':');
        self.comma = false;
        self
    }

    /// Writes a member.
    pub fn field(&mut self, name: &str, value: &(impl Write + ?Sized)) {
        self.name(name).value(value);
    }

    /// Writes a member, if there is a value for it.
    pub fn field_some(&mut self, name: &str, value: &Option<impl Write>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    fn nested(&mut self, open: char, close: char, contents: impl FnOnce(&mut Self)) {
        self.next();
        self.out.push(open);
        self.comma = false;
        contents(self);
        self.out.push(close);
        self.comma = true;
    }

    fn next(&mut self) {
        if self.comma {
            self.out.push(',');
        }
        self.comma = true;
    }
}

impl Write for str {
    fn write(&self, out: &mut String) {
        out.push('"');
        escape(self, out);
        out.push('"');
    }
}

impl Write for String {
    fn write(&self, out: &mut String) {
        self.as_str().write(out);
    }
}

impl Write for Str<'_> {
    fn write(&self, out: &mut String) {
        out.push('"');
        out.push_str(self.escaped());
        out.push('"');
    }
}

impl Write for Value<'_> {
    fn write(&self, out: &mut String) {
        out.push_str(self.raw());
    }
}

impl Write for Quoted<'_> {
    fn write(&self, out: &mut String) {
        out.push('"');
        let mut rest = self.0.raw();
        let mut in_string = false;
        let special = |byte: u8, in_string: bool| match byte {
            b'"' | b'\\' => true,
            byte => !in_string && byte.is_ascii_whitespace(),
        };
        while let Some((plain, from)) =
            rest.bytes().position(|byte| special(byte, in_string)).and_then(|at| rest.split_at_checked(at))
        {
            out.push_str(plain);
            // Backslashes stand in strings only, and the character after one is ASCII.
            let length = if from.starts_with('\\') { 2 } else { 1 };
            in_string ^= from.starts_with('"');
            let (taken, after) = from.split_at_checked(length).unwrap_or((from, ""));
            if !taken.starts_with(|c: char| c.is_ascii_whitespace()) {
                escape(taken, out);
            }
            rest = after;
        }
        out.push_str(rest);
        out.push('"');
    }
}

impl Write for bool {
    fn write(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
}

impl Write for u64 {
    fn write(&self, out: &mut String) {
        out.push_str(Digits::of(*self).as_str());
    }
}

impl Write for u32 {
    fn write(&self, out: &mut String) {
        u64::from(*self).write(out);
    }
}

/// `null` where there is nothing.
impl<T: Write> Write for Option<T> {
    fn write(&self, out: &mut String) {
        match self {
            Some(value) => value.write(out),
            None => out.push_str("null"),
        }
    }
}

impl<T: Write + ?Sized> Write for &T {
    fn write(&self, out: &mut String) {
        (**self).write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Document;
    use super::{Quoted, Write, Writer};

    #[test]
    fn writes_what_was_said_with_commas_where_they_belong() {
        let document = Document::parse(br#"{"schema": {"a" : 1}}"#).unwrap();
        let mut out = String::from("data: ");
        Writer::new(&mut out).object(|w| {
            w.field("text", "a\"b");
            w.field("n", &u64::MAX);
            w.field("zero", &0_u32);
            w.field_some("absent", &None::<bool>);
            w.name("list").array(|w| {
                w.object(|w| w.field("raw", &document.root().get("schema").unwrap()));
                w.array(|_| ());
                w.value(&None::<bool>);
            });
            w.field("last", &true);
        });
        assert_eq!(
            out,
            r#"data: {"text":"a\"b","n":18446744073709551615,"zero":0,"list":[{"raw":{"a" : 1}},[],null],"last":true}"#
        );
    }

    #[test]
    fn a_value_is_quoted_compactly() {
        for (text, compact) in [
            ("{ \"a b\" :\n\t[1, \"\\\"\\\\ \\n é\"] , \"c\": null }", "{\"a b\":[1,\"\\\"\\\\ \\n é\"],\"c\":null}"),
            ("{}", "{}"),
        ] {
            let document = Document::parse(text.as_bytes()).unwrap();
            let mut out = String::new();
            Quoted(document.root()).write(&mut out);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), compact);
        }
    }
}
