//! Finding what is not plain text, many bytes at a time.

/// A bit for each of the first bytes of `text` that is a quote, a backslash or a control character, the lowest for the first byte;
/// and how many bytes that is about. The end of `text` has a bit, too.
pub(super) fn special(text: &[u8]) -> (u64, usize) {
    let Some(stretch) = text.first_chunk() else {
        let mut padded = [b'"'; WIDTH];
        for (to, from) in padded.iter_mut().zip(text) {
            *to = *from;
        }
        return (u64::from(marks(&padded)), WIDTH);
    };
    (u64::from(marks(stretch)), WIDTH)
}

/// The same of four times as many bytes, if there are so many.
pub(super) fn special_far(text: &[u8]) -> (u64, usize) {
    let ([a, b, c, d, ..], _) = text.as_chunks() else { return special(text) };
    let [a, b, c, d] = [a, b, c, d].map(|stretch| u64::from(marks(stretch)));
    (a | b << WIDTH | c << (2 * WIDTH) | d << (3 * WIDTH), 4 * WIDTH)
}

/// Whether a text of [`WIDTH`] bytes at most is known to have no quote, backslash or control character.
pub(super) fn is_plain(text: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return text.len() <= WIDTH && !(has_special(*first) || has_special(*last));
    }
    match (text.first_chunk(), text.last_chunk()) {
        (Some(&[a, b, c, d]), Some(&[e, f, g, h])) => !has_special([a, b, c, d, e, f, g, h]),
        _ => text.is_empty(),
    }
}

/// By arithmetic on all bytes at once (Bit Twiddling Hacks, "Determine if a word has a byte less than n").
fn has_special(bytes: [u8; 8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    let less = |word: u64, than: u64| word.wrapping_sub(ONES * than) & !word;
    let word = u64::from_le_bytes(bytes);
    // A quote changes places with a space, and is next to control characters then.
    let end = less(word ^ (ONES * u64::from(b'"' ^ b' ')), u64::from(b' ') + 1);
    let backslash = less(word ^ (ONES * u64::from(b'\\')), 1);
    (end | backslash) & (ONES * 0x80) != 0
}

/// How many bytes are looked at at once.
pub(super) const WIDTH: usize = 16;

/// Passes blocks of a string that go on as text: how many bytes, which end where no escape is cut in two, and whether there was an
/// escape. Blocks with anything but plain text and the commonest escapes are left, as is what is shorter than a block.
#[cfg(target_feature = "simd128")]
pub(super) fn pass(text: &[u8]) -> (usize, bool) {
    use core::arch::wasm32::{u8x16_splat, v128_any_true, v128_or};
    let (mut rest, mut escaped) = (text, false);
    while let Some((block, behind)) = rest.split_first_chunk::<BLOCK>() {
        let ([a, b, c, d], _) = block.as_chunks() else { break };
        let [a, b, c, d] = [a, b, c, d].map(Stretch::of);
        if !v128_any_true(v128_or(v128_or(a.special(), b.special()), v128_or(c.special(), d.special()))) {
            rest = behind;
            continue;
        }
        let first = v128_or(a.trouble(u8x16_splat(0)), b.trouble(a.backslash));
        let second = v128_or(c.trouble(b.backslash), d.trouble(c.backslash));
        if v128_any_true(v128_or(first, second)) {
            break;
        }
        escaped = true;
        rest = if let [.., b'\\'] = block { rest.get(BLOCK - 1..).unwrap_or_default() } else { behind };
    }
    (text.len() - rest.len(), escaped)
}

#[cfg(not(target_feature = "simd128"))]
pub(super) fn pass(_: &[u8]) -> (usize, bool) {
    (0, false)
}

#[cfg(target_feature = "simd128")]
const BLOCK: usize = 4 * WIDTH;

/// What a stretch of text has where.
#[cfg(target_feature = "simd128")]
#[derive(Clone, Copy)]
struct Stretch {
    text: core::arch::wasm32::v128,
    backslash: core::arch::wasm32::v128,
    /// A quote or a control character.
    end: core::arch::wasm32::v128,
}

#[cfg(target_feature = "simd128")]
impl Stretch {
    fn of(stretch: &[u8; WIDTH]) -> Self {
        use core::arch::wasm32::{u8x16, u8x16_eq, u8x16_lt, u8x16_splat, v128_xor};
        let &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = stretch;
        // One load.
        let text = u8x16(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
        // A quote changes places with a space, and is next to control characters then.
        let end = u8x16_lt(v128_xor(text, u8x16_splat(b'"' ^ b' ')), u8x16_splat(b' ' + 1));
        Self { text, backslash: u8x16_eq(text, u8x16_splat(b'\\')), end }
    }

    fn special(self) -> core::arch::wasm32::v128 {
        core::arch::wasm32::v128_or(self.backslash, self.end)
    }

    /// What is neither plain text nor one of the commonest escapes. `before`: the backslashes of the stretch before.
    fn trouble(self, before: core::arch::wasm32::v128) -> core::arch::wasm32::v128 {
        use core::arch::wasm32::{
            u8x16, u8x16_ne, u8x16_shuffle, u8x16_splat, u8x16_swizzle, v128_and, v128_bitselect,
        };
        let escaped =
            u8x16_shuffle::<15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30>(before, self.backslash);
        // By the lower half of each: no other byte is equal to what stands there.
        let common = u8x16(0xff, 0, b'"', 0, b't', 0, b'f', 0, 0, 0, 0, 0, 0, 0, b'n', b'/');
        let known = u8x16_swizzle(common, v128_and(self.text, u8x16_splat(0x0f)));
        let unknown = v128_and(u8x16_ne(known, self.text), u8x16_ne(self.text, u8x16_splat(b'r')));
        v128_bitselect(unknown, self.end, escaped)
    }
}

#[cfg(target_feature = "simd128")]
fn marks(stretch: &[u8; WIDTH]) -> u16 {
    core::arch::wasm32::u8x16_bitmask(Stretch::of(stretch).special())
}

#[cfg(not(target_feature = "simd128"))]
fn marks(stretch: &[u8; WIDTH]) -> u16 {
    let is_special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    // Compilers fold this with vectors, but not what follows.
    if !stretch.iter().fold(false, |found, byte| found | is_special(*byte)) {
        return 0;
    }
    (0..).zip(stretch).fold(0, |marks, (place, byte)| marks | u16::from(is_special(*byte)) << place)
}

#[cfg(test)]
mod tests {
    use super::{is_plain, special, special_far};

    #[test]
    fn every_special_byte_is_found_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for length in (0..40).chain(60..70) {
                for place in 0..length {
                    let mut text = vec![b'\x7f'; length];
                    text[place] = byte;
                    let is_special = byte < 0x20 || byte == b'"' || byte == b'\\';
                    // It knows nothing of one to three bytes, nor of many.
                    assert_eq!(is_plain(&text), !is_special && (4..=16).contains(&length), "{byte} at {place}");
                    for (marks, seen) in [special(&text), special_far(&text)] {
                        let found = place < seen && marks & 1 << place != 0;
                        assert_eq!(found, is_special && place < seen, "{byte} at {place} of {length}");
                        assert_eq!((marks.trailing_zeros() as usize) < seen, found || length < seen);
                    }
                }
            }
        }
        assert_eq!(special_far(b""), (0xffff, 16));
    }
}
