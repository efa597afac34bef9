//! Random instants, from a seed that a failing test shows.

use std::time::Duration;

/// A sequence of numbers (xorshift64): good enough to spread instants.
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Seeded by `LOCKKEEPER_SEED`, else by the clock; said on standard error, which is shown of a
    /// test that fails.
    pub(crate) fn new() -> Self {
        let given = std::env::var("LOCKKEEPER_SEED").ok();
        let seed = given.and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(1, |now| u64::from(now.subsec_nanos()))
        });
        eprintln!("LOCKKEEPER_SEED={seed}");
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Uniform below `limit`, in nanoseconds.
    pub(crate) fn below(&mut self, limit: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_nanos(self.0 % u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).max(1))
    }
}
