//! Text in its escaped form.

use core::cmp::Ordering;
use core::fmt;
use std::borrow::Cow;

use super::scan::{WIDTH, is_plain, special};
use crate::words::same;

/// A string's text as JSON writes it between the quotes, so that it can go from one document into another as it stands.
#[derive(Clone, Default)]
pub struct Str<'a> {
    escaped: Cow<'a, str>,
    /// Whether it is known to have no escape.
    plain: bool,
}

impl<'a> Str<'a> {
    /// The empty text.
    pub const EMPTY: Str<'static> = Str { escaped: Cow::Borrowed(""), plain: true };

    /// From a checked JSON string with its quotes; `None` if it has none.
    pub(super) fn of_literal(raw: &'a str) -> Option<Self> {
        let escaped = raw.strip_prefix('"')?.strip_suffix('"')?;
        Some(Self { escaped: Cow::Borrowed(escaped), plain: false })
    }

    /// The same of a string that has no escape.
    pub(super) fn of_plain_literal(raw: &'a str) -> Option<Self> {
        Some(Self { plain: true, ..Self::of_literal(raw)? })
    }

    /// From plain text, escaped as far as it needs to be.
    pub fn plain(text: &'a str) -> Self {
        if next_special(text).is_none() {
            return Self { escaped: Cow::Borrowed(text), plain: true };
        }
        let mut escaped = String::with_capacity(text.len() + text.len() / 8 + 8);
        escape(text, &mut escaped);
        Self { escaped: Cow::Owned(escaped), plain: false }
    }

    /// Several texts, one after the other, with `separator` between them.
    pub fn join<'s>(texts: impl IntoIterator<Item = &'s Str<'s>>, separator: &Str<'_>) -> Str<'static> {
        let mut escaped = String::new();
        for (index, text) in texts.into_iter().enumerate() {
            if index > 0 {
                escaped.push_str(separator.escaped());
            }
            escaped.push_str(text.escaped());
        }
        Str { escaped: Cow::Owned(escaped), plain: false }
    }

    /// What stands before and after the first `separator`, which is a character that no escape has in it.
    pub fn split_once(&self, separator: char) -> Option<(Self, Self)> {
        let part = |escaped: Cow<'a, str>| Self { escaped, plain: self.plain };
        match &self.escaped {
            Cow::Borrowed(text) => {
                let (before, after) = text.split_once(separator)?;
                Some((part(Cow::Borrowed(before)), part(Cow::Borrowed(after))))
            }
            Cow::Owned(text) => {
                let (before, after) = text.split_once(separator)?;
                Some((part(Cow::Owned(before.to_owned())), part(Cow::Owned(after.to_owned()))))
            }
        }
    }

    /// The text between the quotes, escapes and all.
    pub fn escaped(&self) -> &str {
        &self.escaped
    }

    /// Whether there is no character in it.
    pub fn is_empty(&self) -> bool {
        self.escaped.is_empty()
    }

    /// Whether it is empty or white space only.
    pub fn is_blank(&self) -> bool {
        // Long texts show at once that they are not; only other escapes at the beginning need a closer look.
        let mut rest = self.escaped.trim_start();
        while let Some(after) = ["\\n", "\\t", "\\r"].iter().find_map(|escape| rest.strip_prefix(escape)) {
            rest = after.trim_start();
        }
        rest.is_empty() || rest.starts_with('\\') && self.decode().trim().is_empty()
    }

    /// The text itself. A surrogate without its other half becomes U+FFFD.
    pub fn decode(&self) -> Cow<'_, str> {
        if !self.has_escape() {
            return Cow::Borrowed(&self.escaped);
        }
        let mut text = String::with_capacity(self.escaped.len());
        let mut rest = self.escaped.as_ref();
        while let Some((plain, escape)) = rest.split_once('\\') {
            text.push_str(plain);
            let (character, after) = unescape(escape);
            text.push(character);
            rest = after;
        }
        text.push_str(rest);
        Cow::Owned(text)
    }

    /// [`Self::decode`] of one that nobody needs any more.
    pub fn into_decoded(self) -> Cow<'a, str> {
        if self.has_escape() { Cow::Owned(self.decode().into_owned()) } else { self.escaped }
    }

    /// What stands before and after the first `separator`, which has no character that JSON escapes.
    pub fn split_at_text(&self, separator: &str) -> Option<(Str<'a>, Str<'a>)> {
        let at = self.escaped.find(separator)?;
        let part = |range: core::ops::Range<usize>| match &self.escaped {
            Cow::Borrowed(text) => Cow::Borrowed(text.get(range).unwrap_or_default()),
            Cow::Owned(text) => Cow::Owned(text.get(range).unwrap_or_default().to_owned()),
        };
        let (before, after) = (part(0..at), part(at + separator.len()..self.escaped.len()));
        let part = |escaped| Self { escaped, plain: self.plain };
        Some((part(before), part(after)))
    }

    /// The same text with a life of its own.
    pub fn into_owned(self) -> Str<'static> {
        Str { escaped: Cow::Owned(self.escaped.into_owned()), plain: self.plain }
    }

    /// The same text, borrowed from this one.
    pub fn borrow(&self) -> Str<'_> {
        Str { escaped: Cow::Borrowed(&self.escaped), plain: self.plain }
    }

    fn has_escape(&self) -> bool {
        !self.plain && memchr::memchr(b'\\', self.escaped.as_bytes()).is_some()
    }
}

impl fmt::Debug for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Str").field("escaped", &self.escaped).finish()
    }
}

/// As they are spelled.
impl PartialEq for Str<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.escaped == other.escaped
    }
}

impl Eq for Str<'_> {}

impl PartialEq<str> for Str<'_> {
    fn eq(&self, other: &str) -> bool {
        match self.escaped.len().cmp(&other.len()) {
            Ordering::Equal => same(self.escaped.as_bytes(), other.as_bytes()) && !self.has_escape(),
            // An escape is longer than what it stands for.
            Ordering::Greater => self.has_escape() && *self.decode() == *other,
            Ordering::Less => false,
        }
    }
}

impl PartialEq<&str> for Str<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

/// Appends `text` to `out`, escaped.
pub(super) fn escape(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = next_special(rest) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        let Some(character) = special.chars().next() else { break };
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control => {
                out.push_str("\\u00");
                out.extend(char::from_digit(control as u32 >> 4, 16));
                out.extend(char::from_digit(control as u32 & 15, 16));
            }
        }
        rest = special.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
}

/// Where the next character is that has to be escaped.
fn next_special(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut rest) = (0, bytes);
    while rest.len() >= WIDTH {
        let (marks, length) = special(rest);
        if marks != 0 {
            return Some(at + marks.trailing_zeros() as usize);
        }
        at += length;
        rest = rest.get(length..).unwrap_or_default();
    }
    if is_plain(rest) {
        return None;
    }
    let needs_escape = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    rest.iter().position(needs_escape).map(|place| at + place)
}

/// The character that the text after a backslash begins with, and what follows it.
fn unescape(escape: &str) -> (char, &str) {
    let rest = escape.get(1..).unwrap_or_default();
    match escape.as_bytes().first() {
        Some(b'b') => ('\u{8}', rest),
        Some(b'f') => ('\u{c}', rest),
        Some(b'n') => ('\n', rest),
        Some(b'r') => ('\r', rest),
        Some(b't') => ('\t', rest),
        Some(b'u') => unescape_unicode(rest),
        Some(other) => (char::from(*other), rest),
        None => (char::REPLACEMENT_CHARACTER, rest),
    }
}

/// `XXXX`, and `\uXXXX` after it when the first is the high half of a pair.
fn unescape_unicode(digits: &str) -> (char, &str) {
    let (Some(high), rest) = (hex(digits), digits.get(4..).unwrap_or_default()) else {
        return (char::REPLACEMENT_CHARACTER, digits.get(4..).unwrap_or_default());
    };
    if let Some(character) = char::from_u32(high) {
        return (character, rest);
    }
    let low = rest.strip_prefix("\\u").and_then(hex).filter(|low| (0xDC00..0xE000).contains(low));
    match low {
        Some(low) if high < 0xDC00 => {
            let character = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
            (char::from_u32(character).unwrap_or(char::REPLACEMENT_CHARACTER), rest.get(6..).unwrap_or_default())
        }
        _ => (char::REPLACEMENT_CHARACTER, rest),
    }
}

fn hex(digits: &str) -> Option<u32> {
    u32::from_str_radix(digits.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::Str;

    #[test]
    fn plain_text_is_escaped_and_comes_back() {
        for text in ["", "plain", "a \"quoted\" \\ path\nand\ttab\r\u{1}\u{1f} é 🦀"] {
            assert_eq!(Str::plain(text).decode(), text);
            let literal = format!("\"{}\"", Str::plain(text).escaped());
            assert_eq!(serde_json::from_str::<String>(&literal).unwrap(), text);
        }
    }

    #[test]
    fn escapes_are_decoded() {
        for (escaped, text) in [
            (r"\u00e9\/\b\f", "é/\u{8}\u{c}"),
            (r"\ud83e\udd80!", "🦀!"),
            (r"\ud83e!", "\u{fffd}!"),
            (r"\udd80\ud83e", "\u{fffd}\u{fffd}"),
            (r"\ud83e\ud83e\udd80", "\u{fffd}🦀"),
        ] {
            let literal = format!("\"{escaped}\"");
            assert_eq!(Str::of_literal(&literal).unwrap().decode(), text);
        }
    }

    #[test]
    fn a_text_is_cut_where_no_escape_is() {
        let text = Str::of_literal(r#""a\/b,c\n,d""#).unwrap();
        for text in [text.clone(), text.into_owned()] {
            let (before, after) = text.split_once(',').unwrap();
            assert_eq!((before.escaped(), after.escaped()), (r"a\/b", r"c\n,d"));
            assert!(before.split_once(',').is_none());
        }
    }

    #[test]
    fn blank_is_what_shows_nothing() {
        for (escaped, blank) in [
            ("", true),
            (r" \n\t \r\u00a0\f ", true),
            (r"\n a", false),
            (r"\\n", false),
            (r"\n\u0061", false),
            ("\u{3000}", true),
        ] {
            let literal = format!("\"{escaped}\"");
            assert_eq!(Str::of_literal(&literal).unwrap().is_blank(), blank, "{literal}");
        }
    }

    #[test]
    fn equality_is_of_the_text_not_of_its_spelling() {
        assert!(Str::of_literal(r#""\u0061b""#).unwrap() == *"ab");
        assert!(Str::of_literal(r#""a\\b""#).unwrap() == *"a\\b");
        assert!(Str::of_literal(r#""a\\b""#).unwrap() != *"a\\\\b");
        assert!(Str::of_literal(r#""\u00e9""#).unwrap() != *"\\u00e9");
    }
}
