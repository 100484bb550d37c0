//! The same as [`super::text`] for sixteen bytes at a time, as far as they are ASCII.

use core::arch::wasm32::{
    i8x16_lt, i8x16_splat, u8x16, u8x16_add, u8x16_eq, u8x16_extract_lane, u8x16_lt, u8x16_shl, u8x16_shuffle,
    u8x16_splat, u8x16_sub, u8x16_swizzle, u16x8_extadd_pairwise_u8x16, u32x4_add, u32x4_extadd_pairwise_u16x8,
    u32x4_extract_lane, u32x4_splat, v128, v128_and, v128_andnot, v128_any_true, v128_bitselect, v128_or,
};

use super::text::{COSTS, NEW_LINE, PUNCTUATION, SPACE};

/// The classes that ASCII has are below this.
pub(super) const CLASSES: u8 = 6;

/// What characters cost that come after one of the class `before`, as long as they are such that this knows; the class of the
/// last of them, and what follows.
pub(super) fn read(text: &[u8], mut before: u8) -> (u64, u8, &[u8]) {
    let (mut rest, mut sum) = (text, u32x4_splat(0));
    let mut classes = u8x16_splat(before);
    while let Some((stretch, behind)) = rest.split_first_chunk()
        && let Some((own, escapes, backslashes)) = classify(stretch)
    {
        let one_before = u8x16_shuffle::<15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30>(classes, own);
        let two_before = u8x16_shuffle::<14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29>(classes, own);
        let place = v128_or(u8x16_shl(v128_bitselect(two_before, one_before, escapes), 3), own);
        let costs = v128_or(
            v128_or(u8x16_swizzle(FIRST, place), u8x16_swizzle(SECOND, u8x16_sub(place, u8x16_splat(16)))),
            u8x16_swizzle(THIRD, u8x16_sub(place, u8x16_splat(32))),
        );
        // A backslash is no character.
        let costs = v128_andnot(costs, backslashes);
        sum = u32x4_add(sum, u32x4_extadd_pairwise_u16x8(u16x8_extadd_pairwise_u8x16(costs)));
        if u8x16_extract_lane::<15>(backslashes) == 0 {
            (classes, rest) = (own, behind);
            before = u8x16_extract_lane::<15>(own);
        } else {
            // It comes again, with what it escapes.
            before = u8x16_extract_lane::<14>(own);
            classes = u8x16_splat(before);
            rest = rest.get(15..).unwrap_or_default();
        }
    }
    let lanes = [
        u32x4_extract_lane::<0>(sum),
        u32x4_extract_lane::<1>(sum),
        u32x4_extract_lane::<2>(sum),
        u32x4_extract_lane::<3>(sum),
    ];
    (lanes.into_iter().map(u64::from).sum(), before, rest)
}

/// The classes of characters, which of them are escaped, and which are backslashes; `None` where anything is rare.
fn classify(stretch: &[u8; 16]) -> Option<(v128, v128, v128)> {
    let &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = stretch;
    // One load.
    let text = u8x16(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
    let is = |byte: u8| u8x16_eq(text, u8x16_splat(byte));
    let among = |first: u8, count: u8| u8x16_lt(u8x16_sub(text, u8x16_splat(first)), u8x16_splat(count));
    let backslashes = is(b'\\');
    let escapes =
        u8x16_shuffle::<15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30>(u8x16_splat(0), backslashes);
    // Not ASCII, which is below 0, or white space as such; a code; a backslash that is escaped.
    let rare = v128_or(i8x16_lt(text, i8x16_splat(0x20)), v128_and(escapes, v128_or(is(b'u'), backslashes)));
    if v128_any_true(rare) {
        return None;
    }
    // What a class is away from that of punctuation, where it is another.
    let (small, capital, digit, space) = (among(b'a', 26), among(b'A', 26), among(b'0', 10), is(b' '));
    let letter = v128_or(v128_and(small, from_punctuation(1)), v128_and(capital, from_punctuation(2)));
    let other = v128_or(v128_and(digit, from_punctuation(3)), v128_and(space, from_punctuation(SPACE)));
    let plain = u8x16_add(v128_or(letter, other), u8x16_splat(PUNCTUATION));
    let lines = v128_and(v128_or(is(b'n'), is(b'r')), from_punctuation(NEW_LINE));
    let tabs = v128_and(is(b't'), from_punctuation(SPACE));
    let escaped = u8x16_add(v128_or(lines, tabs), u8x16_splat(PUNCTUATION));
    Some((v128_bitselect(escaped, plain, escapes), escapes, backslashes))
}

fn from_punctuation(class: u8) -> v128 {
    u8x16_splat(class.wrapping_sub(PUNCTUATION))
}

/// What characters cost, by eight times the class before them and their own.
const FIRST: v128 = costs(0);
const SECOND: v128 = costs(16);
const THIRD: v128 = costs(32);

// Past the end it does not compile.
#[allow(clippy::indexing_slicing)]
const fn costs(from: usize) -> v128 {
    let mut costs = [0; 16];
    let mut place = 0;
    while place < 16 {
        let (before, own) = ((from + place) / 8, (from + place) % 8);
        if own < CLASSES as usize {
            costs[place] = COSTS[before << 4 | own];
        }
        place += 1;
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = costs;
    u8x16(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
}
