//! Numbers and identifiers that look random and are a function of their seed.

/// What provider identifiers are written in.
pub const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// What signatures are written in.
pub const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The finalizer of SplitMix64: neighbouring seeds give unrelated numbers.
pub fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The seed of the `n`th of the things that are made from `seed`.
pub fn nth(seed: u64, n: u64) -> u64 {
    mix(seed.rotate_left(32) ^ n)
}

/// FNV-1a, mixed; the same on every machine and in every release.
pub fn hash(text: &str) -> u64 {
    let fnv = |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, fnv))
}

/// `length` letters of `alphabet`.
pub fn letters(seed: u64, length: usize, alphabet: &[u8]) -> String {
    let mut state = seed;
    let size = alphabet.len().max(1) as u64;
    let letter = |_| {
        state = mix(state);
        let place = usize::try_from(state % size).unwrap_or_default();
        char::from(alphabet.get(place).copied().unwrap_or(b'x'))
    };
    (0..length).map(letter).collect()
}

/// Base64 that begins with `prefix`, four letters, and is signed by its end: whoever sends it back shows that nothing was changed
/// in it, and nobody has to remember it.
pub fn sealed(prefix: &str, seed: u64) -> String {
    let nonce = letters(seed, NONCE, BASE64);
    format!("{prefix}{nonce}{}", letters(hash(&nonce), SEAL, BASE64))
}

/// Whether `text` was [`sealed`] with this prefix.
pub fn is_sealed(prefix: &str, text: &str) -> bool {
    let nonce = text.strip_prefix(prefix).and_then(|rest| rest.split_at_checked(NONCE));
    nonce.is_some_and(|(nonce, seal)| seal == letters(hash(nonce), SEAL, BASE64))
}

const NONCE: usize = 24;
const SEAL: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_depend_on_the_seed_alone() {
        assert_eq!(letters(7, 24, BASE62), letters(7, 24, BASE62));
        assert_ne!(letters(7, 24, BASE62), letters(8, 24, BASE62));
        assert_eq!(letters(7, 24, BASE62).len(), 24);
        assert_ne!(hash("a"), hash("b"));
    }

    #[test]
    fn seals_hold() {
        let seal = sealed("abcd", 7);
        assert_eq!(seal.len() % 4, 0);
        assert!(is_sealed("abcd", &seal) && !is_sealed("abce", &seal) && !is_sealed("abcd", "abcd"));
        assert!(!is_sealed("abcd", &format!("{seal}=")));
    }
}
