//! Finding what is not plain text, 16 bytes at a time.

/// A bit for each of the first bytes of `text` that is a quote, a backslash or a control character, the lowest for the first byte;
/// and how many bytes that is about. The end of `text` has a bit, too.
pub(super) fn special(text: &[u8]) -> (u32, usize) {
    let Some(stretch) = text.first_chunk() else {
        let mut padded = [b'"'; WIDTH];
        for (to, from) in padded.iter_mut().zip(text) {
            *to = *from;
        }
        return (marks(&padded), WIDTH);
    };
    (marks(stretch), WIDTH)
}

const WIDTH: usize = 16;

#[cfg(target_feature = "simd128")]
fn marks(stretch: &[u8; WIDTH]) -> u32 {
    use core::arch::wasm32::{u8x16, u8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, v128_or};
    let &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = stretch;
    // One load.
    let stretch = u8x16(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
    let escaped = v128_or(u8x16_eq(stretch, u8x16_splat(b'"')), u8x16_eq(stretch, u8x16_splat(b'\\')));
    u32::from(u8x16_bitmask(v128_or(escaped, u8x16_lt(stretch, u8x16_splat(0x20)))))
}

#[cfg(not(target_feature = "simd128"))]
fn marks(stretch: &[u8; WIDTH]) -> u32 {
    let is_special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    // Compilers fold this with vectors, but not what follows.
    if !stretch.iter().fold(false, |found, byte| found | is_special(*byte)) {
        return 0;
    }
    (0..).zip(stretch).fold(0, |marks, (place, byte)| marks | u32::from(is_special(*byte)) << place)
}

#[cfg(test)]
mod tests {
    use super::special;

    #[test]
    fn every_special_byte_is_found_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for length in 0..40 {
                for place in 0..length {
                    let mut text = vec![b'\x7f'; length];
                    text[place] = byte;
                    let (marks, seen) = special(&text);
                    let found = place < seen && marks & 1 << place != 0;
                    let is_special = byte < 0x20 || byte == b'"' || byte == b'\\';
                    assert_eq!(found, is_special && place < seen, "{byte} at {place} of {length}");
                    assert_eq!((marks.trailing_zeros() as usize) < seen, is_special && place < seen || length < seen);
                }
            }
        }
        assert_eq!(special(b""), (0xffff, 16));
    }
}
