//! Server-sent events: <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>
//!
//! ```text
//! stream  = [ bom ] *event
//! event   = *( comment / field ) end-of-line
//! comment = colon *any-char end-of-line
//! field   = 1*name-char [ colon [ space ] *any-char ] end-of-line
//! end-of-line = ( CR LF / CR / LF )
//! ```
//!
//! A CR ends a line as soon as it is known that no LF follows, so that frames do not depend on how the bytes arrive: where
//! lines end with a lone CR, which no provider is known to do, an event comes with the first byte after it. The byte order mark is
//! left out. `id` and `retry` fields are passed over, since nothing reconnects to a stream of an LLM. A last event
//! without its blank line counts: some providers leave it out.

use core::ops::Range;

/// The most that one event may take, in bytes. Images come base64-encoded in one event.
pub const MAX_EVENT: usize = 16 << 20;

/// Cuts a stream into frames, however its bytes arrive.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Whether it is past where a byte order mark can stand.
    begun: bool,
    /// Everything before was given out.
    taken: usize,
    /// Everything before was searched for the end of a frame.
    searched: usize,
    /// Data of an event with several `data` lines.
    joined: Vec<u8>,
}

/// A stretch of the stream, up to and including a blank line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The stretch as it came.
    pub raw: &'a [u8],
    /// The `event` field; empty if there is none.
    pub name: &'a [u8],
    /// The `data` lines, joined by line feeds; `None` if there is nothing in them, or none, as in a comment.
    pub data: Option<&'a [u8]>,
    /// Where `data` stands in `raw`, if it is one line.
    pub data_at: Option<usize>,
}

/// An event that does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl Decoder {
    /// Takes the next bytes of the stream. Frames are taken out between two pushes.
    ///
    /// # Errors
    /// An event grew past [`MAX_EVENT`].
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), TooLong> {
        self.buffer.drain(..self.taken);
        self.searched -= self.taken;
        self.taken = 0;
        // What is left here is the beginning of one event.
        if self.buffer.len() > MAX_EVENT {
            return Err(TooLong);
        }
        self.buffer.extend_from_slice(chunk);
        if !self.begun {
            self.begin();
        }
        Ok(())
    }

    fn begin(&mut self) {
        if self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.taken = BYTE_ORDER_MARK.len();
            self.searched = self.taken;
        }
        self.begun = !BYTE_ORDER_MARK.starts_with(&self.buffer) || self.taken > 0;
    }

    /// The next whole frame, or `None` until more bytes come.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        let end = self.find_end()?;
        Some(self.take(end))
    }

    /// After the stream's end: what stands there without its blank line.
    pub fn rest(&mut self) -> Option<Frame<'_>> {
        let end = self.buffer.len();
        let rest = self.buffer.get(self.taken..end)?;
        if rest.iter().all(u8::is_ascii_whitespace) {
            self.taken = end;
            return None;
        }
        Some(self.take(end))
    }

    /// The end of the next blank line.
    fn find_end(&mut self) -> Option<usize> {
        loop {
            let ahead = self.buffer.get(self.searched..)?;
            let Some(length) = memchr::memchr2(b'\n', b'\r', ahead) else {
                self.searched = self.buffer.len();
                return None;
            };
            // The next line may turn out to be blank: this line's end is found again then.
            self.searched += length;
            let next = self.searched + line_end(self.buffer.get(self.searched..)?)?;
            match line_end(self.buffer.get(next..)?)? {
                0 => self.searched = next,
                blank => return Some(next + blank),
            }
        }
    }

    fn take(&mut self, end: usize) -> Frame<'_> {
        let start = self.taken;
        self.taken = end;
        self.searched = end;
        self.joined.clear();
        let raw = self.buffer.get(start..end).unwrap_or_default();
        let mut name: &[u8] = b"";
        let mut data: Option<Range<usize>> = None;
        let mut lines = 0;
        let mut at = 0;
        while let Some(ahead) = raw.get(at..).filter(|ahead| !ahead.is_empty()) {
            let length = memchr::memchr2(b'\n', b'\r', ahead).unwrap_or(ahead.len());
            let (line, end) = ahead.split_at_checked(length).unwrap_or_default();
            let (field, value) = field(line);
            match field {
                b"event" => name = line.get(value).unwrap_or_default(),
                b"data" => {
                    if let Some(first) = data.clone().filter(|_| lines == 1) {
                        self.joined.extend_from_slice(raw.get(first).unwrap_or_default());
                    }
                    if lines > 0 {
                        self.joined.push(b'\n');
                        self.joined.extend_from_slice(line.get(value.clone()).unwrap_or_default());
                    }
                    lines += 1;
                    data = Some(at + value.start..at + value.end);
                }
                _ => {}
            }
            at += length + line_end(end).unwrap_or(end.len());
        }
        let single = data.filter(|_| lines == 1);
        let text = match &single {
            Some(range) => raw.get(range.clone()),
            None => (lines > 1).then_some(self.joined.as_slice()),
        };
        // "If the data buffer is an empty string", there is no event.
        let text = text.filter(|text| !text.is_empty());
        Frame { raw, name, data: text, data_at: single.map(|range| range.start) }
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The length of the end of a line that `bytes` begin with, 0 if they begin otherwise; `None` as long as more bytes may tell.
fn line_end(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [] | [b'\r'] => None,
        [b'\r', b'\n', ..] => Some(2),
        [b'\r' | b'\n', ..] => Some(1),
        _ => Some(0),
    }
}

/// A line's field name, and where its value stands in it. A comment has an empty name.
fn field(line: &[u8]) -> (&[u8], Range<usize>) {
    let Some(colon) = memchr::memchr(b':', line) else {
        return (line, line.len()..line.len());
    };
    let (name, value) = line.split_at(colon);
    let space = usize::from(value.get(1) == Some(&b' '));
    (name, colon + 1 + space..line.len())
}

#[cfg(test)]
mod tests {
    use super::{Decoder, MAX_EVENT, TooLong};

    type Seen = (String, Option<String>);

    fn decode<'c>(chunks: impl Iterator<Item = &'c [u8]>) -> (Vec<Seen>, Vec<u8>) {
        let mut decoder = Decoder::default();
        let (mut seen, mut raw) = (Vec::new(), Vec::new());
        let mut see = |frame: super::Frame<'_>| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            if let (Some(at), Some(data)) = (frame.data_at, frame.data) {
                assert_eq!(&frame.raw[at..at + data.len()], data);
            }
            raw.extend_from_slice(frame.raw);
            seen.push((text(frame.name), frame.data.map(text)));
        };
        for chunk in chunks {
            decoder.push(chunk).unwrap();
            while let Some(frame) = decoder.next_frame() {
                see(frame);
            }
        }
        if let Some(frame) = decoder.rest() {
            see(frame);
        }
        (seen, raw)
    }

    /// Whole, byte by byte, and cut in two at every place.
    fn check(stream: &str, expected: &[(&str, Option<&str>)]) {
        let expected: Vec<Seen> =
            expected.iter().map(|(name, data)| (name.to_string(), data.map(str::to_string))).collect();
        let stream = stream.as_bytes();
        let whole = decode(std::iter::once(stream));
        assert_eq!(whole.0, expected);
        assert_eq!(decode(stream.chunks(1)).0, expected);
        for at in 0..stream.len() {
            let (first, second) = stream.split_at(at);
            assert_eq!(decode([first, second].into_iter()), whole, "cut at {at}");
        }
    }

    #[test]
    fn frames_are_the_same_however_the_bytes_are_cut() {
        check("data: a\n\ndata: b\n\n", &[("", Some("a")), ("", Some("b"))]);
        check("event: x\r\ndata:a\r\n\r\ndata: é🦀\r\n\r\n", &[("x", Some("a")), ("", Some("é🦀"))]);
        check(": comment\n\n:\n\ndata: a\n\n", &[("", None), ("", None), ("", Some("a"))]);
        check("data: a\ndata:\ndata:  b\nid: 1\nretry: 2\nother\n\n", &[("", Some("a\n\n b"))]);
        check("data\n\ndata:\n\ndata: \n\ndata\ndata\n\n", &[("", None), ("", None), ("", None), ("", Some("\n"))]);
        check("\u{feff}data: a\n\ndata: last", &[("", Some("a")), ("", Some("last"))]);
        check("\u{feff}\u{feff}data: a\n\n\u{feff}data: b\n\n", &[("", None), ("", None)]);
        check("\u{feff}", &[]);
        check("event: x\rdata:a\rdata: b\r\rdata: c\r\r", &[("x", Some("a\nb")), ("", Some("c"))]);
        check("data: a\r\n\rdata: b\n\r\ndata: c\r\r\n", &[("", Some("a")), ("", Some("b")), ("", Some("c"))]);
        check(": a\r\r\r\rdata\r: \r\n\r\n", &[("", None), ("", None), ("", None)]);
        check("data: a\n\n\n\ndata: b\n", &[("", Some("a")), ("", None), ("", Some("b"))]);
        check("", &[]);
    }

    #[test]
    fn an_event_without_an_end_is_refused() {
        let mut decoder = Decoder::default();
        let line = [&b"data: "[..], &vec![b'a'; 1 << 20], b"\n"].concat();
        let refused = (0..MAX_EVENT / line.len() + 3).any(|_| {
            let result = decoder.push(&line);
            assert!(decoder.next_frame().is_none());
            result == Err(TooLong)
        });
        assert!(refused);
    }
}
