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
    /// Takes the next bytes and appends to `elements` those that are complete with them, which stay good if it fails.
    pub(super) fn push(&mut self, chunk: &[u8], elements: &mut Vec<Vec<u8>>) -> Result<(), Malformed> {
        self.buffer.extend_from_slice(chunk);
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
        if self.buffer.len() > MAX_EVENT { Err(Malformed) } else { Ok(()) }
    }

    /// Whether it ends between two elements.
    pub(super) fn is_between(&self) -> bool {
        self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Malformed, Splitter};

    fn split<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> (Vec<Vec<u8>>, Result<bool, Malformed>) {
        let (mut splitter, mut elements) = (Splitter::default(), Vec::new());
        let result = chunks.into_iter().try_for_each(|chunk| splitter.push(chunk, &mut elements));
        (elements, result.map(|()| splitter.is_between()))
    }

    fn check(text: &[u8], expected: &[&[u8]], result: Result<bool, Malformed>) {
        let expected = (expected.iter().map(|element| element.to_vec()).collect(), result);
        assert_eq!(split(text.chunks(1)), expected);
        for at in 0..text.len() {
            let (first, second) = text.split_at(at);
            assert_eq!(split([first, second]), expected, "cut at {at}");
        }
    }

    #[test]
    fn elements_are_the_same_however_the_bytes_are_cut() {
        check(
            b"[{\"a\": \"}]\\\"{\", \"b\": [{}, {\"c\": 1}]}\r\n,\r\n{}\n, {\"d\":\"\\\\\"}]\n",
            &[b"{\"a\": \"}]\\\"{\", \"b\": [{}, {\"c\": 1}]}", b"{}", b"{\"d\":\"\\\\\"}"],
            Ok(true),
        );
        check(b"[{\"a\":", &[], Ok(false));
    }

    #[test]
    fn what_is_no_array_of_objects_is_refused() {
        check(b"[1]", &[], Err(Malformed));
        check(b"{}<html>", &[b"{}"], Err(Malformed));
    }
}
