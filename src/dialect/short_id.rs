//! Ids of tool calls for those who take only short ones.

/// Nine letters and digits, which is what Mistral takes and short enough for everybody: the same ones for the same id, and
/// `id` itself where it is that already.
pub fn short_id(id: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    // FNV-1a
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
    let mut short = String::with_capacity(LENGTH);
    for _ in 0..LENGTH {
        short.push(DIGITS.get((hash % 62) as usize).copied().map_or('0', char::from));
        hash /= 62;
    }
    short
}

const LENGTH: usize = 9;

#[cfg(test)]
mod tests {
    use super::short_id;

    #[test]
    fn ids_become_short_and_stay_the_same() {
        for (id, expected) in [("call_1", "9gD2Dimct"), ("abcDEF123", "abcDEF123"), ("abcDEF-23", "yVBZi0gjb")] {
            assert_eq!(short_id(id), expected);
        }
    }
}
