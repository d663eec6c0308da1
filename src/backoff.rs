//! Growing, jittered pauses between tries that never end.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Pauses that double from a first one to a cap. Each is drawn from the upper half of its range, so that a building full
/// of devices does not come back in step after a power cut.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    failures: u32,
    seed: u64,
}

impl Backoff {
    /// Shortest first pause: a caller's zero must not become a hot loop.
    const LEAST: Duration = Duration::from_millis(10);

    /// From a first pause to a cap. A first pause of zero becomes 10 ms; a cap below the first becomes the first.
    pub fn new(first: Duration, cap: Duration) -> Self {
        let first = first.max(Self::LEAST);
        // `RandomState` is seeded by the system: it serves as the source of a seed, and saves a crate.
        Self { first, cap: cap.max(first), failures: 0, seed: RandomState::new().hash_one(0_u8) }
    }

    /// One more failure: how long to pause.
    pub fn fail(&mut self) -> Duration {
        let range = self.first.saturating_mul(1 << self.failures.min(20)).min(self.cap);
        self.failures = self.failures.saturating_add(1);
        let half = range / 2;
        half + half.mul_f64(self.draw())
    }

    /// A success: the next failure pauses shortly again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// In 0..1 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014: SplitMix64).
    fn draw(&mut self) -> f64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_cap_and_stay_there_for_ever() {
        let cap = Duration::from_secs(60);
        let mut backoff = Backoff::new(Duration::from_secs(1), cap);
        for n in 0..1000_u32 {
            let full = Duration::from_secs(1 << n.min(10)).min(cap);
            let pause = backoff.fail();
            assert!(pause >= full / 2 && pause <= full, "{n}: {pause:?}");
        }
        backoff.reset();
        assert!(backoff.fail() <= Duration::from_secs(1));
    }

    #[test]
    fn two_of_them_do_not_keep_step() {
        let pauses = || {
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
            [backoff.fail(), backoff.fail(), backoff.fail()]
        };
        assert_ne!(pauses(), pauses());
    }

    #[test]
    fn zeros_make_no_hot_loop() {
        let mut backoff = Backoff::new(Duration::ZERO, Duration::ZERO);
        assert!(backoff.fail() >= Duration::from_millis(5));
    }
}
