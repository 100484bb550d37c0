//! Numbers that follow from others, as if by chance.

/// SplitMix64 (Steele, Lea, Flood 2014): one multiplication-mix a number, any seed is a good one.
#[derive(Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Numbers from this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A number from 0 to `bound`-1, or 0 if there is none. The bias of at most `bound` in 2⁶⁴ does not matter here.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// FNV-1a, mixed at its end, as it spreads its last bytes little.
pub fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    Random::new(hash).draw()
}
