//! The simulated model of embeddings: vectors that look like any other's, and are a function of their text.

use serde_json::{Value, json};

use super::model::{Usage, words};
use super::random::{hash, nth};

/// What a text is as a vector of `dimensions` numbers and of length 1.
pub fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let seed = hash(text);
    // The upper 24 bits are all that an f32 can tell apart.
    let number = |n: usize| (nth(seed, n as u64) >> 40) as f32 / (1u32 << 23) as f32 - 1.0;
    let mut numbers: Vec<f32> = (0..dimensions).map(number).collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.iter_mut().for_each(|number| *number /= length);
    numbers
}

/// The vector as JSON.
pub fn json(text: &str, dimensions: usize) -> Value {
    json!(vector(text, dimensions))
}

/// The vector's bytes, least significant first, in base64.
pub fn base64(text: &str, dimensions: usize) -> String {
    let bytes: Vec<u8> = vector(text, dimensions).into_iter().flat_map(f32::to_le_bytes).collect();
    encode(&bytes)
}

/// What the texts cost.
pub fn usage<'t>(texts: impl IntoIterator<Item = &'t str>) -> Usage {
    Usage { input: texts.into_iter().map(words).sum(), ..Usage::default() }
}

fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, n| bits << 8 | u32::from(group.get(n).copied().unwrap_or_default()));
        for n in 0..4 {
            let digit = super::random::BASE64.get((bits >> (18 - 6 * n) & 63) as usize).copied().unwrap_or_default();
            out.push(if n <= group.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_of_length_one_and_depend_on_the_text_alone() {
        let one = vector("one", 1536);
        assert_eq!(one, vector("one", 1536));
        assert_ne!(one, vector("two", 1536));
        assert!((one.iter().map(|number| number * number).sum::<f32>() - 1.0).abs() < 1e-3);
        let mean = one.iter().sum::<f32>() / 1536.0;
        assert!(mean.abs() < 0.01, "{mean}");
    }

    #[test]
    fn base64_is_as_rfc_4648_has_it() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(encode(bytes.as_bytes()), text);
        }
    }
}
