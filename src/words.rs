//! Short texts, compared and hashed eight bytes at a time: on wasm `memcmp` goes byte by byte, and good hashes by products of 128
//! bits that it has not.

/// Whether they are the same.
#[inline]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    match (one.last_chunk(), other.last_chunk()) {
        (Some(end), Some(other_end)) => {
            let ((words, _), (others, _)) = (one.as_chunks(), other.as_chunks());
            // What is behind the last whole word is in this one.
            word(end) == word(other_end) && words.iter().zip(others).all(|(one, other)| word(one) == word(other))
        }
        _ => match (one.first_chunk(), one.last_chunk(), other.first_chunk(), other.last_chunk()) {
            (Some(one), Some(end), Some(other), Some(other_end)) => {
                half(one) == half(other) && half(end) == half(other_end)
            }
            _ => one.iter().zip(other).all(|(one, other)| one == other),
        },
    }
}

/// A hash for tables of things that nobody can make up many of: who knows it can make texts that have the same.
#[inline]
pub fn hash(seed: u64, text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks();
    let hash = words.iter().fold(seed ^ text.len() as u64, |hash, bytes| mix(hash ^ word(bytes)));
    let rest = rest.iter().fold(0, |rest, byte| rest << 8 | u64::from(*byte));
    let hash = mix(hash ^ rest);
    hash ^ hash >> 32
}

fn mix(hash: u64) -> u64 {
    let hash = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash ^ hash >> 29
}

fn word(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes)
}

fn half(bytes: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::{hash, same};

    #[test]
    fn texts_differ_wherever_they_differ() {
        let text: Vec<u8> = (0..70).collect();
        let copy = text.clone();
        for length in 0..text.len() {
            let one = &text[..length];
            assert!(same(one, &copy[..length]) && !same(one, &text[..=length]));
            for place in 0..length {
                let mut other = one.to_vec();
                other[place] ^= 0x40;
                assert!(!same(one, &other), "{place} of {length}");
                assert_ne!(hash(1, one), hash(1, &other), "{place} of {length}");
            }
        }
    }

    #[test]
    fn hashes_are_spread() {
        let names: Vec<String> = (0..10_000).map(|number| format!("gpt-{number}")).collect();
        let hashes = || names.iter().map(|name| hash(7, name.as_bytes()));
        assert_eq!(hashes().collect::<HashSet<_>>().len(), names.len());
        // By which tables take them apart: the lowest bits, and the seven highest.
        for bits in [hashes().map(|hash| hash & 0xff).collect::<Vec<_>>(), hashes().map(|hash| hash >> 57).collect()] {
            let most = (0..256).map(|bucket| bits.iter().filter(|bits| **bits == bucket).count()).max();
            assert!(most < Some(140), "{most:?}");
        }
        assert_ne!(hash(1, b"a"), hash(2, b"a"));
        assert_ne!(hash(1, b""), hash(1, b"\0"));
    }

    proptest! {
        #[test]
        fn equality_is_that_of_slices(one in "[ab]{0,20}", other in "[ab]{0,20}") {
            prop_assert_eq!(same(one.as_bytes(), other.as_bytes()), one == other);
        }
    }
}
