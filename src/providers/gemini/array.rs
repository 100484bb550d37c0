//! A stream that is one JSON array, as it comes without `alt=sse`: cut into its elements as they are complete.

use crate::frame::sse::MAX_EVENT;

/// Finds the objects in an array, or an object that stands alone, however the bytes arrive.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    buffer: Vec<u8>,
    searched: usize,
    depth: u32,
    in_string: bool,
    escaped: bool,
}

/// An element that does not end, or bytes that are none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Splitter {
    /// Takes the next bytes and gives out the elements that are complete with them.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
        self.buffer.extend_from_slice(chunk);
        let mut elements = Vec::new();
        let mut taken = 0;
        while let Some(byte) = self.buffer.get(self.searched).copied() {
            self.searched += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' if self.depth > 0 => self.in_string ^= true,
                _ if self.in_string => {}
                b'{' => self.depth += 1,
                b'}' if self.depth == 1 => {
                    self.depth = 0;
                    elements.push(self.buffer.get(taken..self.searched).unwrap_or_default().to_vec());
                    taken = self.searched;
                }
                b'}' if self.depth > 0 => self.depth -= 1,
                // Between the elements: nothing of it is kept.
                b'[' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => taken = self.searched,
                _ if self.depth == 0 => return Err(Malformed),
                _ => {}
            }
        }
        self.buffer.drain(..taken);
        self.searched -= taken;
        if self.buffer.len() > MAX_EVENT { Err(Malformed) } else { Ok(elements) }
    }

    /// Whether it ends between two elements.
    pub(super) fn is_between(&self) -> bool {
        self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Malformed, Splitter};

    #[test]
    fn elements_are_the_same_however_the_bytes_are_cut() {
        let text = b"[{\"a\": \"}]\\\"{\", \"b\": [{}, {\"c\": 1}]}\r\n,\r\n{}\n, {\"d\":\"\\\\\"}]\n";
        let expected = [&b"{\"a\": \"}]\\\"{\", \"b\": [{}, {\"c\": 1}]}"[..], b"{}", b"{\"d\":\"\\\\\"}"];
        for at in 0..text.len() {
            let mut splitter = Splitter::default();
            let (first, second) = text.split_at(at);
            let seen = [splitter.push(first).unwrap(), splitter.push(second).unwrap()].concat();
            assert_eq!(seen, expected, "cut at {at}");
            assert!(splitter.is_between());
        }
        let mut splitter = Splitter::default();
        let seen: Vec<_> = text.chunks(1).flat_map(|byte| splitter.push(byte).unwrap()).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_is_no_array_of_objects_is_refused() {
        assert_eq!(Splitter::default().push(b"[1]"), Err(Malformed));
        assert_eq!(Splitter::default().push(b"<html>"), Err(Malformed));
        let mut splitter = Splitter::default();
        assert_eq!(splitter.push(b"[{\"a\":"), Ok(vec![]));
        assert!(!splitter.is_between());
    }
}
