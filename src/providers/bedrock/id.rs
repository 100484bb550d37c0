//! Ids of tool calls.

use crate::json::{Str, Write};

/// An id of a tool call as `[a-zA-Z0-9_-]{1,64}`. Other bytes become `_` and their hexadecimal digits, and what is too long is
/// cut and told apart by a hash, so that a result finds its call, and ids as providers
/// write them stay different (`a.b` meets only an id that is written `a_2eb`).
#[derive(Debug)]
pub(super) struct Id<'a>(pub &'a Str<'a>);

const MOST: usize = 64;

impl Write for Id<'_> {
    fn write(&self, out: &mut String) {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let mut id = String::new();
        for byte in self.0.decode().bytes() {
            if is_plain(byte) {
                id.push(char::from(byte));
            } else {
                id.push('_');
                id.extend(hex(byte));
            }
        }
        if id.is_empty() {
            id.push('_');
        }
        if id.len() > MOST {
            // FNV-1a
            let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
            id.truncate(MOST - 17);
            id.push('_');
            id.extend(hash.to_be_bytes().into_iter().flat_map(hex));
        }
        id.write(out);
    }
}

fn hex(byte: u8) -> impl Iterator<Item = char> {
    [byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16))
}

#[cfg(test)]
mod tests {
    use super::Id;
    use crate::json::{Str, Write};

    fn written(value: &dyn Write) -> String {
        let mut out = String::new();
        value.write(&mut out);
        out
    }

    #[test]
    fn ids_are_mapped_bounded_and_stay_different() {
        for (id, expected) in [
            ("tooluse_01-A", "\"tooluse_01-A\""),
            ("functions.f:0", "\"functions_2ef_3a0\""),
            ("a\"é", "\"a_22_c3_a9\""),
            ("", "\"_\""),
        ] {
            assert_eq!(written(&Id(&Str::plain(id))), expected);
        }
        let long = |end: &str| written(&Id(&Str::plain(&("x".repeat(64) + end))));
        assert_eq!((long("").len(), long("a").len(), long("b").len()), (66, 66, 66));
        assert!(long("a") != long("b") && long("a") == long("a"));
    }
}
