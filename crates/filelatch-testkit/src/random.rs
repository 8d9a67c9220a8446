//! Small random numbers from a seed: the same seed, the same test.

/// Numbers that look random and come from a seed: `SplitMix64` (Steele, Lea, Flood 2014). The same seed, the same numbers. Not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Numbers from a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `limit`, both included.
    pub fn up_to(&mut self, limit: u64) -> u64 {
        let drawn = self.next();
        limit.checked_add(1).map_or(drawn, |n| drawn % n)
    }
}
