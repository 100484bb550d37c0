//! JSON lines: <https://jsonlines.org>
//!
//! ```text
//! stream = *( [ value ] end-of-line ) [ value ]
//! end-of-line = ( CR LF / LF )
//! ```
//!
//! JSON escapes line feeds in strings, so that a line feed ends a line whatever is in it. Blank lines are passed over. A last
//! line without its end counts.

use core::ops::Range;

/// The most that one line may take, in bytes.
pub const MAX_LINE: usize = 16 << 20;

/// Cuts a stream into lines, however its bytes arrive.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Everything before was given out.
    taken: usize,
    /// Everything before was searched for the end of a line.
    searched: usize,
}

/// A line that does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl Decoder {
    /// Takes the next bytes of the stream. Lines are taken out between two pushes.
    ///
    /// # Errors
    /// A line grew past [`MAX_LINE`].
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), TooLong> {
        self.buffer.drain(..self.taken);
        self.searched -= self.taken;
        self.taken = 0;
        // What is left here is the beginning of one line.
        if self.buffer.len() > MAX_LINE {
            return Err(TooLong);
        }
        self.buffer.extend_from_slice(chunk);
        Ok(())
    }

    /// The next whole line that is not blank, without white space around it; `None` until more bytes come.
    pub fn next_frame(&mut self) -> Option<&[u8]> {
        let line = loop {
            let ahead = self.buffer.get(self.searched..)?;
            let Some(length) = memchr::memchr(b'\n', ahead) else {
                self.searched = self.buffer.len();
                return None;
            };
            let line = self.take(self.searched + length + 1);
            if !line.is_empty() {
                break line;
            }
        };
        self.buffer.get(line)
    }

    /// After the stream's end: what stands there without the end of its line.
    pub fn rest(&mut self) -> Option<&[u8]> {
        let line = self.take(self.buffer.len());
        self.buffer.get(line).filter(|line| !line.is_empty())
    }

    /// Where the line up to `end` stands, without white space around it.
    fn take(&mut self, end: usize) -> Range<usize> {
        let start = self.taken;
        self.taken = end;
        self.searched = end;
        let line = self.buffer.get(start..end).unwrap_or_default();
        let before = line.len() - line.trim_ascii_start().len();
        start + before..start + before + line.trim_ascii().len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoder, MAX_LINE, TooLong};

    fn decode<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> Vec<String> {
        let mut decoder = Decoder::default();
        let mut seen = Vec::new();
        let text = |line: &[u8]| String::from_utf8(line.to_vec()).unwrap();
        for chunk in chunks {
            decoder.push(chunk).unwrap();
            while let Some(line) = decoder.next_frame() {
                seen.push(text(line));
            }
        }
        seen.extend(decoder.rest().map(text));
        assert_eq!(decoder.rest(), None);
        seen
    }

    /// Whole, byte by byte, and cut in two at every place.
    fn check(stream: &str, expected: &[&str]) {
        let stream = stream.as_bytes();
        assert_eq!(decode([stream]), expected);
        assert_eq!(decode(stream.chunks(1)), expected);
        for at in 0..stream.len() {
            let (first, second) = stream.split_at(at);
            assert_eq!(decode([first, second]), expected, "cut at {at}");
        }
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_are_cut() {
        check("{\"a\":1}\n{\"b\":2}\n", &[r#"{"a":1}"#, r#"{"b":2}"#]);
        check("1\r\n\r\n \"é🦀\" \r\n2", &["1", "\"é🦀\"", "2"]);
        check("\n\n \n1\n\n", &["1"]);
        check("1\n  ", &["1"]);
        check("", &[]);
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let mut decoder = Decoder::default();
        let piece = vec![b'a'; 1 << 20];
        let refused = (0..MAX_LINE / piece.len() + 3).any(|_| {
            let result = decoder.push(&piece);
            assert!(decoder.next_frame().is_none());
            result == Err(TooLong)
        });
        assert!(refused);
    }
}
