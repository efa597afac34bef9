//! Numbers from a seed: the same seed makes the same rounds. (What the scheduler makes of them is
//! its own.)

/// `SplitMix64`, which needs no more than one word of state.
pub(crate) struct Rng(u64);

impl Rng {
    /// The numbers of one round, whichever lane plays it.
    pub(crate) fn of(seed: u64, round: u32) -> Self {
        let mut rng = Self(seed ^ (u64::from(round) << 32));
        rng.next();
        rng
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit.max(1))).unwrap_or(0)
    }

    /// One of `choices`.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let at = self.below(u32::try_from(choices.len()).unwrap_or(u32::MAX));
        choices[at as usize]
    }
}
