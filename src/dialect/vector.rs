//! A vector as OpenAI's dialect has it: an array of numbers, or base64 of its numbers as little-endian 32-bit floats.
//!
//! <https://platform.openai.com/docs/api-reference/embeddings/create#embeddings_create-encoding_format>. Official clients ask
//! for base64 unless they are told otherwise, and the one for Node takes whatever comes for it.

use crate::json::{Kind, Value, Write};

/// A vector as numbers, each as it is written, without what stands between them.
#[derive(Debug, Clone, Copy)]
pub struct Numbers<'a>(pub Value<'a>);

/// A vector in base64 (RFC 4648, section 4).
#[derive(Debug, Clone, Copy)]
pub struct Base64<'a>(pub Value<'a>);

/// Whether `value` is an array of numbers, and not empty.
pub fn is_vector(value: Value<'_>) -> bool {
    value.elements().next().is_some() && value.elements().all(|number| number.kind() == Kind::Number)
}

impl Write for Numbers<'_> {
    fn write(&self, out: &mut String) {
        out.push('[');
        for (index, number) in self.0.elements().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(number.raw());
        }
        out.push(']');
    }
}

impl Write for Base64<'_> {
    fn write(&self, out: &mut String) {
        // Parsed as what it will be: by way of a double some would be rounded twice.
        let floats = self.0.elements().map(|number| number.raw().parse::<f32>().unwrap_or_default());
        let mut bytes = floats.flat_map(f32::to_le_bytes);
        out.push('"');
        while let Some(first) = bytes.next() {
            let (second, third) = (bytes.next(), bytes.next());
            let group = [first, second.unwrap_or_default(), third.unwrap_or_default()];
            let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
            out.push(letter(bits >> 18));
            out.push(letter(bits >> 12));
            out.push(if second.is_some() { letter(bits >> 6) } else { '=' });
            out.push(if third.is_some() { letter(bits) } else { '=' });
        }
        out.push('"');
    }
}

/// The letter of the lowest six of `bits`.
fn letter(bits: u32) -> char {
    char::from(match (bits & 63) as u8 {
        six @ 0..26 => b'A' + six,
        six @ 26..52 => b'a' + six - 26,
        six @ 52..62 => b'0' + six - 52,
        62 => b'+',
        _ => b'/',
    })
}

#[cfg(test)]
mod tests {
    use super::{Base64, Numbers, is_vector};
    use crate::json::{Document, Write};

    /// What the official Python client does where it was not told `encoding_format`, and asked for base64 itself:
    /// `array("f", base64.b64decode(data)).tolist()`, or the same in numpy's words.
    fn decode(text: &str) -> Vec<f32> {
        const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        assert_eq!(text.len() % 4, 0);
        let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
        for six in text.trim_end_matches('=').chars().map(|c| ALPHABET.find(c).unwrap()) {
            bits = bits << 6 | six as u32;
            count += 6;
            if count >= 8 {
                count -= 8;
                bytes.push((bits >> count) as u8);
            }
        }
        assert_eq!(bytes.len() % 4, 0);
        bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
    }

    #[test]
    fn base64_comes_back_to_the_bit() {
        for vector in [
            "[1]",
            "[1,-2.5]",
            "[0.1, -0.0 ,3]",
            "[1.0000000596046448,1.00000005960464484,7e-46,3.4028236e38,1e-3,-2E+2]",
            "[0.0023064255,-0.009327292,-0.0028842222,123456789]",
        ] {
            let document = Document::parse(vector.as_bytes()).unwrap();
            let mut out = String::new();
            Base64(document.root()).write(&mut out);
            let expected: Vec<f32> =
                vector.trim_matches(['[', ']']).split(',').map(|number| number.trim().parse().unwrap()).collect();
            let found = decode(out.strip_prefix('"').unwrap().strip_suffix('"').unwrap());
            assert_eq!(
                found.iter().map(|f| f.to_bits()).collect::<Vec<_>>(),
                expected.iter().map(|f| f.to_bits()).collect::<Vec<_>>()
            );
        }
        // base64.b64encode(struct.pack("<3f", 1, -2.5, 0.1))
        let document = Document::parse(b"[1,-2.5,0.1]").unwrap();
        let mut out = String::new();
        Base64(document.root()).write(&mut out);
        assert_eq!(out, r#""AACAPwAAIMDNzMw9""#);
    }

    #[test]
    fn numbers_stay_as_they_are_written() {
        let document = Document::parse(b"[\n  0.10,\n  -2e-3, 12345678901234567890.125 ]").unwrap();
        let mut out = String::new();
        Numbers(document.root()).write(&mut out);
        assert_eq!(out, "[0.10,-2e-3,12345678901234567890.125]");
    }

    #[test]
    fn a_vector_is_numbers_and_some_of_them() {
        for (text, expected) in
            [("[1,2]", true), ("[]", false), ("[1,null]", false), ("\"AAAA\"", false), ("{}", false)]
        {
            let document = Document::parse(text.as_bytes()).unwrap();
            assert_eq!(is_vector(document.root()), expected, "{text}");
        }
    }
}
