//! A parsed document and the values in it.

use std::sync::Arc;

use super::parse::{Invalid, Node, parse};
use super::str::Str;
use crate::words::same;

/// A JSON text that was checked, with the place of every value in it. Borrowed from the caller's bytes.
#[derive(Debug)]
pub struct Document<'a> {
    text: &'a str,
    outline: Arc<Outline>,
}

/// The places of a document's values, without its text.
#[derive(Debug)]
pub struct Outline {
    nodes: Vec<Node>,
    /// Whether a member's name has an escape in it.
    escaped_names: bool,
    /// Of the text, in bytes.
    length: usize,
}

/// The most values of an outline that is kept: some 50 KB.
const MAX_KEPT: usize = 4096;

/// A value of a [`Document`]; as cheap to copy as a pointer.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    document: &'a Document<'a>,
    index: u32,
}

/// What kind of value it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl<'a> Document<'a> {
    /// Checks `text` against RFC 8259 (UTF-8 included) and indexes it.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn parse(text: &'a [u8]) -> Result<Self, Invalid> {
        let length = text.len();
        let (nodes, escaped_names) = parse(text)?;
        let checked = simdutf8::basic::from_utf8(text).or_else(|_| core::str::from_utf8(text));
        let text = checked.map_err(|error| Invalid { reason: "not UTF-8", offset: error.valid_up_to() })?;
        Ok(Self { text, outline: Arc::new(Outline { nodes, escaped_names, length }) })
    }

    /// The document of the text that was read already, whose outline is known. `None` if it is not that any more: if it is of
    /// another length, not UTF-8, or a string, array or object does not begin and end where it did. What is within strings is
    /// taken as it now is, and not checked for its escapes.
    pub fn again(text: &'a [u8], outline: Arc<Outline>) -> Option<Self> {
        let is_there = |node: &Node| {
            let value = text.get(node.start as usize..node.end as usize);
            match value.and_then(|value| Some((value.first()?, value.last()?, value.len()))) {
                Some((b'"', last, length)) => *last == b'"' && length > 1,
                Some((b'{', last, _)) => *last == b'}',
                Some((b'[', last, _)) => *last == b']',
                other => other.is_some(),
            }
        };
        let same = text.len() == outline.length && outline.nodes.iter().all(is_there);
        let text = simdutf8::basic::from_utf8(text).ok().filter(|_| same)?;
        Some(Self { text, outline })
    }

    /// By which it can be had [`Self::again`]; `None` if that is so large that it is not worth keeping.
    pub fn outline(&self) -> Option<Arc<Outline>> {
        (self.outline.nodes.len() <= MAX_KEPT).then(|| self.outline.clone())
    }

    /// The whole text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The document's one value.
    pub fn root(&'a self) -> Value<'a> {
        Value { document: self, index: 0 }
    }
}

impl<'a> Value<'a> {
    /// The value as it stands in the document.
    pub fn raw(self) -> &'a str {
        self.document.text.get(self.start()..self.end()).unwrap_or("null")
    }

    /// Where the value starts in the document, in bytes.
    pub fn start(self) -> usize {
        self.node().map_or(0, |node| node.start as usize)
    }

    /// Where the value ends in the document, in bytes.
    pub fn end(self) -> usize {
        self.node().map_or(0, |node| node.end as usize)
    }

    /// What kind of value it is, told by its first byte.
    pub fn kind(self) -> Kind {
        match self.document.text.as_bytes().get(self.start()) {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            _ => Kind::Null,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// The text of a string.
    pub fn as_str(self) -> Option<Str<'a>> {
        Str::of_literal(self.raw())
    }

    /// The truth of a bool.
    pub fn as_bool(self) -> Option<bool> {
        match self.raw() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// A number that is a whole one from 0 to 2⁶⁴-1, `3.0` and `3e2` included.
    pub fn as_u64(self) -> Option<u64> {
        let number = self.as_number()?;
        number.parse().ok().or_else(|| {
            let float: f64 = number.parse().ok()?;
            ((0.0..=9_007_199_254_740_992.0).contains(&float) && float.fract() == 0.0).then_some(float as u64)
        })
    }

    /// A number as the nearest double.
    pub fn as_f64(self) -> Option<f64> {
        self.as_number()?.parse().ok()
    }

    /// A number as it is written.
    pub fn as_number(self) -> Option<&'a str> {
        (self.kind() == Kind::Number).then(|| self.raw())
    }

    /// The members of an object in order; none for any other value.
    pub fn members(self) -> Members<'a> {
        Members { rest: self.contents(Kind::Object) }
    }

    /// The elements of an array in order; none for any other value.
    pub fn elements(self) -> Elements<'a> {
        self.contents(Kind::Array)
    }

    /// The first member of an object with that name.
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        let Document { text, outline } = self.document;
        if outline.escaped_names {
            return self.members().find(|(other, _)| *other == *name).map(|(_, value)| value);
        }
        let nodes = &*outline.nodes;
        let Elements { mut next, end, .. } = self.contents(Kind::Object);
        while next < end {
            // A name's node, and its value's.
            let (member, index) = (nodes.get(next as usize)?, next + 1);
            next = nodes.get(index as usize)?.after;
            // Most are told apart by their length: two quotes, and what is between them.
            let (start, length) = (member.start as usize, (member.end - member.start) as usize);
            if length == name.len() + 2
                && let Some(literal) = text.as_bytes().get(start + 1..start + 1 + name.len())
                && same(literal, name.as_bytes())
            {
                return Some(Value { document: self.document, index });
            }
        }
        None
    }

    /// [`Self::get`] through nested objects.
    pub fn path(self, names: &[&str]) -> Option<Value<'a>> {
        names.iter().try_fold(self, |value, name| value.get(name))
    }

    fn contents(self, kind: Kind) -> Elements<'a> {
        let after = self.node().map_or(0, |node| node.after);
        let end = if self.kind() == kind { after } else { self.index + 1 };
        Elements { document: self.document, next: self.index + 1, end }
    }

    fn node(self) -> Option<&'a Node> {
        self.document.outline.nodes.get(self.index as usize)
    }
}

/// Iterator of an array's elements.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    document: &'a Document<'a>,
    next: u32,
    end: u32,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        if self.next >= self.end {
            return None;
        }
        let value = Value { document: self.document, index: self.next };
        self.next = value.node()?.after;
        Some(value)
    }
}

/// Iterator of an object's members.
#[derive(Debug, Clone)]
pub struct Members<'a> {
    rest: Elements<'a>,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Str<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.rest.next()?;
        let is_plain = !name.document.outline.escaped_names;
        Some((if is_plain { Str::of_plain_literal(name.raw())? } else { name.as_str()? }, self.rest.next()?))
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, Kind};

    #[test]
    fn walks_without_entering_what_it_skips() {
        let text =
            br#"{"model":"gpt","messages":[{"role":"user","content":["a",{"b":[1,2]}]},{}],"n":3e0,"stream":true}"#;
        let document = Document::parse(text).unwrap();
        let root = document.root();
        assert_eq!(root.kind(), Kind::Object);
        let names: Vec<_> = root.members().map(|(name, _)| name.decode().into_owned()).collect();
        assert_eq!(names, ["model", "messages", "n", "stream"]);
        assert_eq!(root.get("n").unwrap().as_u64(), Some(3));
        assert_eq!(root.get("stream").unwrap().as_bool(), Some(true));
        let messages = root.get("messages").unwrap();
        assert_eq!(messages.elements().count(), 2);
        let content = messages.elements().next().unwrap().get("content").unwrap();
        assert_eq!(content.elements().map(|part| part.raw()).collect::<Vec<_>>(), ["\"a\"", r#"{"b":[1,2]}"#]);
        assert!(root.get("absent").is_none());
        assert!(root.get("model").unwrap().members().next().is_none());
    }

    #[test]
    fn names_are_compared_unescaped() {
        let document = Document::parse(br#"{"mod\u0065l":1}"#).unwrap();
        assert!(document.root().get("model").is_some());
    }

    #[test]
    fn a_text_that_was_read_is_known_again_and_no_other() {
        let text = r#"{"a":["b\n",{"c":1}],"d":null}"#;
        let outline = Document::parse(text.as_bytes()).unwrap().outline().unwrap();
        let again = |text: &str| {
            let document = Document::again(text.as_bytes(), outline.clone())?;
            let raw = document.root().get("a").unwrap().elements().next().unwrap().raw().to_owned();
            Some(raw)
        };
        assert_eq!(again(text).as_deref(), Some(r#""b\n""#));
        // Of what another filter has made of it, only what stays in its place is taken.
        assert_eq!(again(&text.replace('b', "x")).as_deref(), Some(r#""x\n""#));
        for other in
            [text.replace("null", "nul"), text.replace("\\n\"", "\\nn"), text.replace("]", "}"), text.replace("{", "[")]
        {
            assert_eq!(again(&other), None, "{other}");
        }
        assert!(Document::again(&[0xff; 31], outline.clone()).is_none());
        let long = format!("[{}0]", "0,".repeat(5000));
        assert!(Document::parse(long.as_bytes()).unwrap().outline().is_none());
    }

    #[test]
    fn refuses_bytes_that_are_not_utf8() {
        assert_eq!(Document::parse(b"\"a\xff\"").unwrap_err().reason, "not UTF-8");
    }
}
