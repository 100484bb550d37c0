//! The grammar of RFC 8259, checked in one pass without recursion.

use core::fmt;

use super::scan::{pass, special, special_far};

/// How deep arrays and objects may nest. serde_json and most providers stop at 128 too.
pub const MAX_DEPTH: usize = 128;

/// How many values and member names a document may have. Each takes 12 bytes, and memory that a VM has once taken it never
/// gives back.
pub const MAX_NODES: usize = 1 << 20;

/// Why a text is not JSON that the gateway accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong, for a person.
    pub reason: &'static str,
    /// Where, in bytes from the start.
    pub offset: usize,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.offset)
    }
}

/// One value (or member name) of a document: where it stands, and which node follows its whole subtree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub start: u32,
    pub end: u32,
    pub after: u32,
}

/// Checks `text` and returns its nodes in document order: a container's node comes before those of its contents, a
/// member's name before its value. And whether a member's name has an escape in it, which hardly ever is.
pub(super) fn parse(text: &[u8]) -> Result<(Vec<Node>, bool), Invalid> {
    let mut parser = Parser { nodes: Vec::with_capacity(16 + text.len() / 64), ..Parser::new(text) };
    if text.len() > u32::MAX as usize {
        return Err(parser.invalid(&"document too large"));
    }
    if let Err(reason) = parser.document() {
        return Err(parser.invalid(reason));
    }
    Ok((parser.nodes, parser.escaped_names))
}

/// The string that `text` begins with, in its quotes, and what follows it; `None` if it begins with none.
pub fn literal_at(text: &[u8]) -> Option<(&str, &[u8])> {
    let mut parser = Parser::new(text);
    if parser.peek() != Some(b'"') {
        return None;
    }
    parser.string().ok()?;
    let (literal, rest) = text.split_at_checked(parser.at)?;
    Some((simdutf8::basic::from_utf8(literal).ok()?, rest))
}

/// Why a text is refused where the parser stands. One pointer, since results that are larger go through memory.
type Reason = &'static &'static str;

#[derive(Clone, Copy)]
enum Expect {
    Value,
    ValueOrEnd,
    Name,
    NameOrEnd,
    CommaOrEnd,
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    /// What comes next.
    expect: Expect,
    /// Indexes of the containers that are not closed yet.
    open: Vec<u32>,
    /// Whether the innermost of them is an object; `None` outside any.
    within_object: Option<bool>,
    /// Whether there was an escape, since this was last cleared.
    escaped: bool,
    escaped_names: bool,
}

impl<'a> Parser<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            nodes: Vec::new(),
            expect: Expect::Value,
            open: Vec::new(),
            within_object: None,
            escaped: false,
            escaped_names: false,
        }
    }

    fn document(&mut self) -> Result<(), Reason> {
        loop {
            let byte = self.space();
            match self.expect {
                Expect::ValueOrEnd if byte == Some(b']') => self.close(),
                Expect::Value | Expect::ValueOrEnd => self.value(byte)?,
                Expect::NameOrEnd if byte == Some(b'}') => self.close(),
                Expect::Name | Expect::NameOrEnd => {
                    self.name(byte)?;
                    let byte = self.space();
                    self.value(byte)?
                }
                Expect::CommaOrEnd => match (byte, self.within_object) {
                    (None, None) => return Ok(()),
                    (Some(_), None) => return Err(&"text after the value"),
                    (None, Some(_)) => return Err(&"the document ends early"),
                    (Some(b','), Some(object)) => {
                        self.at += 1;
                        self.expect = if object { Expect::Name } else { Expect::Value };
                    }
                    (Some(b'}'), Some(true)) | (Some(b']'), Some(false)) => self.close(),
                    (Some(_), Some(true)) => return Err(&"expected `,` or `}`"),
                    (Some(_), Some(false)) => return Err(&"expected `,` or `]`"),
                },
            }
        }
    }

    fn value(&mut self, byte: Option<u8>) -> Result<(), Reason> {
        match byte {
            Some(b'{') => self.open(true),
            Some(b'[') => self.open(false),
            Some(b'"') => self.leaf(Self::string),
            Some(b'-' | b'0'..=b'9') => self.leaf(Self::number),
            Some(b't') => self.leaf(|parser| parser.literal(b"true")),
            Some(b'f') => self.leaf(|parser| parser.literal(b"false")),
            Some(b'n') => self.leaf(|parser| parser.literal(b"null")),
            Some(_) => Err(&"expected a value"),
            None => Err(&"the document ends early"),
        }
    }

    fn name(&mut self, byte: Option<u8>) -> Result<(), Reason> {
        if byte != Some(b'"') {
            return Err(&"expected a member name in quotes");
        }
        self.escaped = false;
        self.leaf(Self::string)?;
        self.escaped_names |= self.escaped;
        if self.space() != Some(b':') {
            return Err(&"expected `:`");
        }
        self.at += 1;
        Ok(())
    }

    fn leaf(&mut self, read: impl FnOnce(&mut Self) -> Result<(), Reason>) -> Result<(), Reason> {
        let start = self.at as u32;
        read(self)?;
        let after = self.nodes.len() as u32 + 1;
        self.expect = Expect::CommaOrEnd;
        self.push(Node { start, end: self.at as u32, after })
    }

    fn open(&mut self, object: bool) -> Result<(), Reason> {
        if self.open.len() >= MAX_DEPTH {
            return Err(&"nested too deeply");
        }
        self.open.push(self.nodes.len() as u32);
        self.push(Node { start: self.at as u32, end: 0, after: 0 })?;
        self.within_object = Some(object);
        self.at += 1;
        self.expect = if object { Expect::NameOrEnd } else { Expect::ValueOrEnd };
        Ok(())
    }

    fn push(&mut self, node: Node) -> Result<(), Reason> {
        if self.nodes.len() >= MAX_NODES {
            return Err(&"too many values");
        }
        self.nodes.push(node);
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        let (end, after) = (self.at as u32, self.nodes.len() as u32);
        if let Some(node) = self.open.pop().and_then(|index| self.nodes.get_mut(index as usize)) {
            node.end = end;
            node.after = after;
        }
        self.within_object = self.in_object();
        self.expect = Expect::CommaOrEnd;
    }

    /// Whether the innermost open container is an object; `None` outside any.
    fn in_object(&self) -> Option<bool> {
        let node = self.nodes.get(*self.open.last()? as usize)?;
        Some(self.text.get(node.start as usize) == Some(&b'{'))
    }

    /// `string = %x22 *char %x22`; `unescaped = %x20-21 / %x23-5B / %x5D-10FFFF`
    fn string(&mut self) -> Result<(), Reason> {
        self.at += 1;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let seen = special(rest);
        // Most are short.
        let place = seen.0.trailing_zeros() as usize;
        if place < seen.1 && rest.get(place) == Some(&b'"') {
            self.at += place + 1;
            return Ok(());
        }
        self.string_goes_on(seen)
    }

    /// The same from where so much is `seen`: a bit for each special byte of so many.
    #[inline(never)]
    fn string_goes_on(&mut self, mut seen: (u64, usize)) -> Result<(), Reason> {
        let mut is_long = false;
        loop {
            let start = self.at;
            let (mut marks, length) = seen;
            while marks != 0 {
                let place = marks.trailing_zeros();
                self.at = start + place as usize;
                match self.peek() {
                    Some(b'"') => {
                        self.at += 1;
                        return Ok(());
                    }
                    Some(b'\\') => self.escape()?,
                    Some(_) => return Err(&"a control character in a string"),
                    None => return Err(&"a string is not closed"),
                }
                // What is escaped may be another mark.
                marks &= !(0b11 << place);
            }
            self.at = self.at.max(start + length);
            let mut rest = self.text.get(self.at..).unwrap_or_default();
            if is_long {
                let (passed, escaped) = pass(rest);
                self.at += passed;
                self.escaped |= escaped;
                rest = rest.get(passed..).unwrap_or_default();
            }
            seen = special_far(rest);
            is_long = true;
        }
    }

    /// `escape ( %x22 / "\" / "/" / "b" / "f" / "n" / "r" / "t" / "u" 4HEXDIG )`
    fn escape(&mut self) -> Result<(), Reason> {
        let length = match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self.text.get(self.at + 2..self.at + 6);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(&"an unknown escape in a string");
                }
                6
            }
            _ => return Err(&"an unknown escape in a string"),
        };
        self.at += length;
        self.escaped = true;
        Ok(())
    }

    /// `number = [ "-" ] int [ frac ] [ exp ]`
    fn number(&mut self) -> Result<(), Reason> {
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Reason> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(&"a malformed number") } else { Ok(()) }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Reason> {
        if self.text.get(self.at..self.at + word.len()) != Some(word) {
            return Err(&"expected a value");
        }
        self.at += word.len();
        Ok(())
    }

    /// Passes white space. What follows it.
    fn space(&mut self) -> Option<u8> {
        loop {
            let byte = self.peek()?;
            if byte > b' ' || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn invalid(&self, reason: Reason) -> Invalid {
        Invalid { reason, offset: self.at }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, parse};

    fn check(text: &str, expected: Result<usize, &'static str>) {
        let nodes = parse(text.as_bytes()).map(|(nodes, _)| nodes.len()).map_err(|invalid| invalid.reason);
        assert_eq!(nodes, expected, "{:.100}", text);
    }

    #[test]
    fn accepts_the_grammar_and_nothing_else() {
        check(r#" {"a": [1, -0.5e+3, "x\u00e9\n", true, false, null], "b": {}} "#, Ok(11));
        check("[]", Ok(1));
        check("0", Ok(1));
        for (text, reason) in [
            ("", "the document ends early"),
            ("{", "expected a member name in quotes"),
            ("[1,]", "expected a value"),
            ("[1", "the document ends early"),
            ("{\"a\" 1}", "expected `:`"),
            ("{\"a\":1,}", "expected a member name in quotes"),
            ("[1 2]", "expected `,` or `]`"),
            ("{\"a\":1]", "expected `,` or `}`"),
            ("1 2", "text after the value"),
            ("01", "text after the value"),
            ("1.", "a malformed number"),
            ("-", "a malformed number"),
            ("nul", "expected a value"),
            ("\"a", "a string is not closed"),
            ("\"\\x\"", "an unknown escape in a string"),
            ("\"\\u12g4\"", "an unknown escape in a string"),
            ("\"a\nb\"", "a control character in a string"),
            ("\u{feff}{}", "expected a value"),
        ] {
            check(text, Err(reason));
        }
    }

    #[test]
    fn a_string_is_read_by_itself() {
        assert_eq!(super::literal_at(br#""a\"\u00e9",1"#), Some((r#""a\"\u00e9""#, &b",1"[..])));
        for text in [&b""[..], b"1", b"\"a", b"\"\\x\"", b"\"\xff\"", b"\"\n\""] {
            assert_eq!(super::literal_at(text), None);
        }
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let zeros = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        check(&zeros(super::MAX_NODES - 1), Ok(super::MAX_NODES));
        check(&zeros(super::MAX_NODES), Err("too many values"));
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        check(&nested(MAX_DEPTH), Ok(MAX_DEPTH));
        check(&nested(MAX_DEPTH + 1), Err("nested too deeply"));
        check(&"[".repeat(10_000), Err("nested too deeply"));
    }
}
