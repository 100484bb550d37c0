//! Ids of tool calls.

use crate::json::{Str, Write};

/// An id of a tool call as `^[a-zA-Z0-9_-]+$`, which Anthropic demands: <https://github.com/BerriAI/litellm/issues/21114>.
/// Other bytes become `_` and their hexadecimal digits, so that a result finds its call, and ids as providers
/// write them stay different (`a.b` meets only an id that is written `a_2eb`).
#[derive(Debug)]
pub(super) struct Id<'a>(pub &'a Str<'a>);

impl Write for Id<'_> {
    fn write(&self, out: &mut String) {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        out.push('"');
        if self.0.is_empty() {
            out.push('_');
        } else if self.0.escaped().bytes().all(is_plain) {
            out.push_str(self.0.escaped());
        } else {
            for byte in self.0.decode().bytes() {
                if is_plain(byte) {
                    out.push(char::from(byte));
                } else {
                    out.push('_');
                    out.extend(
                        [byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16)),
                    );
                }
            }
        }
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::Id;
    use crate::json::{Str, Write};

    fn check(value: &dyn Write, expected: &str) {
        let mut out = String::new();
        value.write(&mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn ids_are_mapped_and_stay_different() {
        check(&Id(&Str::plain("toolu_01-A")), r#""toolu_01-A""#);
        check(&Id(&Str::plain("functions.f:0")), r#""functions_2ef_3a0""#);
        check(&Id(&Str::plain("a\"é")), r#""a_22_c3_a9""#);
        check(&Id(&Str::EMPTY), r#""_""#);
    }
}
