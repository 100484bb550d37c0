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

const WIDTH: usize = 16;

#[cfg(target_feature = "simd128")]
fn marks(stretch: &[u8; WIDTH]) -> u16 {
    use core::arch::wasm32::{u8x16, u8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, v128_or};
    let &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = stretch;
    // One load.
    let stretch = u8x16(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
    let escaped = v128_or(u8x16_eq(stretch, u8x16_splat(b'"')), u8x16_eq(stretch, u8x16_splat(b'\\')));
    u8x16_bitmask(v128_or(escaped, u8x16_lt(stretch, u8x16_splat(0x20))))
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
    use super::{special, special_far};

    #[test]
    fn every_special_byte_is_found_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for length in (0..40).chain(60..70) {
                for place in 0..length {
                    let mut text = vec![b'\x7f'; length];
                    text[place] = byte;
                    let is_special = byte < 0x20 || byte == b'"' || byte == b'\\';
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
