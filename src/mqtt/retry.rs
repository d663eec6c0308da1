//! When to try the broker again: exponential, with jitter, for ever.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// How long to wait between sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// After the first failure.
    pub first: Duration,
    /// At most, whatever happens.
    pub most: Duration,
    /// At least after another client took our client id: both would only kick each other out in turns.
    pub taken_over: Duration,
    /// A session that held for so long starts the count anew.
    pub steady: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            most: Duration::from_secs(60),
            taken_over: Duration::from_secs(60),
            steady: Duration::from_secs(10),
        }
    }
}

/// Failures in a row.
#[derive(Debug)]
pub(super) struct Backoff {
    retry: Retry,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(retry: Retry) -> Self {
        Self { retry, failures: 0 }
    }

    /// How long to wait after a session that held for `held` and ended because another client took the id, or not.
    /// Between 0.5 and 1.5 times the nominal wait, so that a town's gateways do not come back all at once.
    pub(super) fn next(&mut self, held: Duration, taken_over: bool) -> Duration {
        if held >= self.retry.steady && !taken_over {
            self.failures = 0;
        }
        let doubled = self.retry.first.saturating_mul(1 << self.failures.min(16)).min(self.retry.most);
        self.failures = self.failures.saturating_add(1);
        let nominal = if taken_over { doubled.max(self.retry.taken_over) } else { doubled };
        nominal.mul_f64(0.5 + random())
    }

    /// Sessions that failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

/// A number in 0..1, good enough to spread retries: the standard library seeds its hashers at random.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_to_a_ceiling_and_starts_anew_after_a_steady_session() {
        let mut backoff = Backoff::new(Retry::default());
        for nominal in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            let wait = backoff.next(Duration::ZERO, false).as_secs_f64();
            assert!((nominal * 0.5..=nominal * 1.5).contains(&wait), "{wait} for {nominal}");
        }
        assert!(backoff.next(Duration::from_secs(3600), false) <= Duration::from_millis(1500));
    }

    #[test]
    fn a_stolen_client_id_is_not_fought_over() {
        let mut backoff = Backoff::new(Retry::default());
        for _ in 0..3 {
            assert!(backoff.next(Duration::from_secs(3600), true) >= Duration::from_secs(30));
        }
    }

    #[test]
    fn gateways_that_lost_one_broker_come_back_at_different_times() {
        let waits: std::collections::BTreeSet<Duration> =
            (0..20).map(|_| Backoff::new(Retry::default()).next(Duration::ZERO, false)).collect();
        assert!(waits.len() > 15);
    }
}
