//! Headers as the host hands them over, read where they lie: none is copied, or checked, unless somebody asks for it.
//!
//! <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>

use core::fmt;
use std::borrow::Cow;

use crate::words;

/// Names in lower case and values, in order. Both are bytes; a value is made text when it is asked for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// `count { size of name, size of value } { name 0 value 0 }`, numbers as u32 in little-endian; or nothing. Whatever the sizes
    /// say is there: [`Headers::read`] sees to it.
    map: Vec<u8>,
}

/// Where a header is in a map's text.
struct Span {
    at: usize,
    name: usize,
    value: usize,
}

impl Span {
    fn of([n0, n1, n2, n3, v0, v1, v2, v3]: [u8; 8], at: usize) -> Self {
        let number = |bytes| u32::from_le_bytes(bytes) as usize;
        Self { at, name: number([n0, n1, n2, n3]), value: number([v0, v1, v2, v3]) }
    }

    fn end(&self) -> usize {
        self.at + self.name + self.value + 2
    }

    fn name<'h>(&self, text: &'h [u8]) -> &'h [u8] {
        text.get(self.at..self.at + self.name).unwrap_or_default()
    }

    fn value<'h>(&self, text: &'h [u8]) -> &'h [u8] {
        let at = self.at + self.name + 1;
        text.get(at..at + self.value).unwrap_or_default()
    }
}

impl Headers {
    /// Takes a serialized map. `None`: there is less of it than it says.
    pub fn read(map: Vec<u8>) -> Option<Self> {
        if !map.is_empty() {
            let (sizes, text) = parts(&map)?;
            // 2^29 of less than 2^34 at most.
            let sum: u64 =
                sizes.iter().map(|sizes| Span::of(*sizes, 0)).map(|it| it.name as u64 + it.value as u64 + 2).sum();
            if sum > text.len() as u64 {
                return None;
            }
        }
        Some(Self { map })
    }

    fn spans(&self) -> (impl Iterator<Item = Span>, &[u8]) {
        let (sizes, text) = parts(&self.map).unwrap_or_default();
        let mut at = 0;
        let spans = sizes.iter().map(move |sizes| {
            let span = Span::of(*sizes, at);
            at = span.end();
            span
        });
        (spans, text)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (spans, text) = self.spans();
        spans.map(|span| (span.name(text), span.value(text)))
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let (spans, text) = self.spans();
        // Most differ in length.
        let same = move |span: &Span| span.name == name.len() && words::same(span.name(text), name.as_bytes());
        spans.filter(same).map(|span| span.value(text))
    }

    /// The first value of `name`, as [`text`].
    pub fn first(&self, name: &str) -> Option<Cow<'_, str>> {
        self.values(name).next().map(text)
    }

    /// All values of `name`, as Envoy joins them.
    pub fn get(&self, name: &str) -> Option<String> {
        let mut values = self.values(name);
        let first = text(values.next()?).into_owned();
        Some(values.fold(first, |joined, value| joined + "," + &text(value)))
    }

    /// The names for which `which` holds, of name and value.
    pub fn into_names(self, mut which: impl FnMut(&[u8], &[u8]) -> bool) -> Names {
        let (all, text) = self.spans();
        let before = self.map.len() - text.len();
        let mut spans = Vec::with_capacity(all.size_hint().0);
        spans.extend(
            all.filter(|span| which(span.name(text), span.value(text))).map(|span| (before + span.at, span.name)),
        );
        Names { text: self.map, spans }
    }
}

/// Sizes, and the text.
fn parts(map: &[u8]) -> Option<(&[[u8; 8]], &[u8])> {
    let (count, rest) = map.split_first_chunk()?;
    let (sizes, text) = rest.split_at_checked((u32::from_le_bytes(*count) as usize).checked_mul(8)?)?;
    Some((sizes.as_chunks().0, text))
}

/// A value as text: bytes that are not UTF-8 are replaced.
pub fn text(value: &[u8]) -> Cow<'_, str> {
    simdutf8::basic::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed)
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let (mut count, mut sizes, mut text) = (0_u32, Vec::new(), Vec::new());
        for (name, value) in headers {
            let (name, value) = (name.as_ref(), value.as_ref());
            // No header is of 4 GB.
            let (Ok(name_size), Ok(value_size)) = (u32::try_from(name.len()), u32::try_from(value.len())) else {
                continue;
            };
            count += 1;
            sizes.extend(name_size.to_le_bytes().into_iter().chain(value_size.to_le_bytes()));
            text.extend([name, b"\0", value, b"\0"].concat());
        }
        Self { map: [&count.to_le_bytes(), &sizes[..], &text[..]].concat() }
    }
}

/// Names alone: values can be secrets.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| String::from_utf8_lossy(name))).finish()
    }
}

/// Names of headers, in order.
#[derive(Clone, Default)]
pub struct Names {
    text: Vec<u8>,
    /// Where each begins, and its size.
    spans: Vec<(usize, usize)>,
}

impl Names {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|(at, size)| self.text.get(*at..at + size).unwrap_or_default())
    }

    /// Adds one.
    pub fn push(&mut self, name: &[u8]) {
        self.spans.push((self.text.len(), name.len()));
        self.text.extend_from_slice(name);
    }

    /// Puts these after them.
    pub fn extend(&mut self, more: &Self) {
        more.iter().for_each(|name| self.push(name));
    }
}

impl<N: AsRef<[u8]>> FromIterator<N> for Names {
    fn from_iter<I: IntoIterator<Item = N>>(all: I) -> Self {
        let mut names = Self::default();
        all.into_iter().for_each(|name| names.push(name.as_ref()));
        names
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Names {}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}

/// The lengths that some names have: a name of another length is none of them, which is quickly said.
#[derive(Clone, Copy)]
pub struct Lengths(u64);

impl Lengths {
    /// Of no names.
    pub const NONE: Self = Self(0);

    /// Of these.
    pub const fn of(mut names: &[&str]) -> Self {
        let mut lengths = Self::NONE;
        while let [name, rest @ ..] = names {
            (lengths, names) = (lengths.and(name), rest);
        }
        lengths
    }

    /// The same with another name.
    pub const fn and(self, name: &str) -> Self {
        Self(self.0 | Self::bit(name.len()))
    }

    /// Whether one of them is as long as `name`, or both are very long.
    pub const fn have(self, name: &[u8]) -> bool {
        self.0 & Self::bit(name.len()) != 0
    }

    const fn bit(length: usize) -> u64 {
        1 << if length < 63 { length } else { 63 }
    }
}

#[cfg(test)]
mod tests {
    use super::{Headers, Lengths, Names};

    /// As the ABI has it, whatever the sizes are.
    fn map(count: u32, sizes: &[(u32, u32)], text: &[u8]) -> Vec<u8> {
        let sizes = sizes.iter().flat_map(|(name, value)| [name.to_le_bytes(), value.to_le_bytes()].concat());
        count.to_le_bytes().into_iter().chain(sizes).chain(text.iter().copied()).collect()
    }

    fn pairs(headers: &Headers) -> Vec<(&str, &[u8])> {
        headers.iter().map(|(name, value)| (core::str::from_utf8(name).unwrap(), value)).collect()
    }

    #[test]
    fn a_map_is_read_in_place() {
        let good = map(3, &[(1, 2), (2, 0), (1, 3)], b"a\0xy\0bc\0\0a\0z\xff!\0");
        let headers = Headers::read(good.clone()).unwrap();
        assert_eq!(pairs(&headers), [("a", &b"xy"[..]), ("bc", b""), ("a", b"z\xff!")]);
        assert_eq!(headers.get("a").as_deref(), Some("xy,z\u{fffd}!"));
        assert_eq!(headers.first("a").as_deref(), Some("xy"));
        assert_eq!((headers.get("bc").as_deref(), headers.get("b"), headers.first("")), (Some(""), None, None));
        let made: Headers = [("a", &b"xy"[..]), ("bc", b""), ("a", b"z\xff!")].into_iter().collect();
        assert_eq!((&made, made.map.clone()), (&headers, good));
        assert_eq!(format!("{headers:?}"), r#"["a", "bc", "a"]"#, "values can be secrets");
        assert!(pairs(&Headers::default()).is_empty() && pairs(&Headers::read(Vec::new()).unwrap()).is_empty());
        assert_eq!(Headers::read(map(0, &[], b"")).unwrap().get("a"), None);
    }

    #[test]
    fn a_map_of_which_something_is_missing_is_none() {
        let good = map(2, &[(1, 2), (2, 300)], &[&b"a\0xy\0bc\0"[..], &[b'.'; 300], b"\0"].concat());
        assert!(Headers::read(good.clone()).is_some());
        for cut in 1..good.len() {
            assert_eq!(Headers::read(good[..cut].to_vec()), None, "{cut}");
        }
        let most = u32::MAX;
        for broken in [
            map(1, &[], b""),
            map(most, &[(1, 1)], b"a\0b\0"),
            map(1 << 29, &[(1, 1)], b"a\0b\0"),
            map(1, &[(1, 2)], b"a\0b\0"),
            map(1, &[(most, 1)], b"a\0b\0"),
            map(1, &[(1, most)], b"a\0b\0"),
            map(2, &[(1, most), (most, 1)], b"a\0b\0a\0b\0"),
            // Sums that come to little in 32 bits.
            map(2, &[(most, most), (1, 1)], b"a\0b\0"),
            map(1, &[(1 << 31, 1 << 31)], b"a\0b\0"),
        ] {
            assert_eq!(Headers::read(broken.clone()), None, "{broken:?}");
        }
    }

    #[test]
    fn names_are_chosen_in_order() {
        let headers: Headers = [("a", "1"), ("bc", "2"), ("d", "3"), ("bc", "4")].into_iter().collect();
        let mut names = headers.clone().into_names(|name, _| name != b"a");
        assert_eq!(names, ["bc", "d", "bc"].iter().collect());
        names.push(b"e");
        names.extend(&headers.into_names(|name, _| name == b"a"));
        assert_eq!((names.is_empty(), format!("{names:?}").as_str()), (false, r#"["bc", "d", "bc", "e", "a"]"#));
        assert!(Names::default().is_empty() && Headers::default().into_names(|_, _| true).is_empty());
    }

    #[test]
    fn lengths_rule_out_other_lengths() {
        let long = "x".repeat(70);
        let lengths = Lengths::of(&["", "abc", &long]);
        for (length, has) in [(0, true), (1, false), (3, true), (62, false), (63, true), (70, true), (1000, true)] {
            assert_eq!(lengths.have("y".repeat(length).as_bytes()), has, "{length}");
        }
        assert!(!Lengths::NONE.have(b""));
    }
}
