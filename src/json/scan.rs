//! Finding the end of plain text, 16 bytes at a time.

/// How many bytes `text` begins with that are neither a quote, a backslash nor a control character.
pub(super) fn plain(text: &[u8]) -> usize {
    let (stretches, last) = text.as_chunks();
    let mut at = 0;
    for stretch in stretches {
        let marks = special(stretch);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize;
        }
        at += WIDTH;
    }
    let mut padded = [b'"'; WIDTH];
    for (to, from) in padded.iter_mut().zip(last) {
        *to = *from;
    }
    at + last.len().min(special(&padded).trailing_zeros() as usize)
}

const WIDTH: usize = 16;

/// A bit for each byte that is special, the lowest for the first.
#[cfg(target_feature = "simd128")]
fn special(stretch: &[u8; WIDTH]) -> u32 {
    use core::arch::wasm32::{u8x16, u8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, v128_or};
    let &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = stretch;
    // One load.
    let stretch = u8x16(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
    let escaped = v128_or(u8x16_eq(stretch, u8x16_splat(b'"')), u8x16_eq(stretch, u8x16_splat(b'\\')));
    u32::from(u8x16_bitmask(v128_or(escaped, u8x16_lt(stretch, u8x16_splat(0x20)))))
}

#[cfg(not(target_feature = "simd128"))]
fn special(stretch: &[u8; WIDTH]) -> u32 {
    let is_special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    // Compilers fold this with vectors, but not what follows.
    if !stretch.iter().fold(false, |found, byte| found | is_special(*byte)) {
        return 0;
    }
    (0..).zip(stretch).fold(0, |marks, (place, byte)| marks | u32::from(is_special(*byte)) << place)
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for length in [1, 7, 15, 16, 17, 31, 32, 33, 80, 95] {
                for place in 0..length {
                    let mut text = vec![b'\x7f'; length];
                    text[place] = byte;
                    // Behind it anything may stand.
                    if let Some(next) = text.get_mut(place + 1) {
                        *next = b'"';
                    }
                    let special = byte < 0x20 || byte == b'"' || byte == b'\\';
                    let expected = if special { place } else { length.min(place + 1) };
                    assert_eq!(plain(&text), expected, "{byte} at {place} of {length}");
                }
            }
        }
        assert_eq!(plain(b""), 0);
    }
}
