//! When to try the broker again: exponential, with jitter, for ever.

use std::time::Duration;

use crate::backoff::Backoff;

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

/// Pauses between sessions.
#[derive(Debug)]
pub(super) struct Pauses {
    retry: Retry,
    backoff: Backoff,
}

impl Pauses {
    pub(super) fn new(retry: Retry) -> Self {
        Self { retry, backoff: Backoff::new(retry.first, retry.most) }
    }

    /// How long to wait after a session that held for `held` and ended because another client took the id, or not.
    pub(super) fn next(&mut self, held: Duration, taken_over: bool) -> Duration {
        if held >= self.retry.steady && !taken_over {
            self.backoff.reset();
        }
        let pause = self.backoff.fail();
        if taken_over { pause + self.retry.taken_over } else { pause }
    }

    /// Sessions that failed in a row.
    pub(super) const fn failures(&self) -> u32 {
        self.backoff.failures()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_session_starts_the_pauses_anew() {
        let mut pauses = Pauses::new(Retry::default());
        for _ in 0..10 {
            pauses.next(Duration::ZERO, false);
        }
        assert!(pauses.next(Duration::from_secs(9), false) >= Duration::from_secs(30));
        assert!(pauses.next(Duration::from_secs(10), false) <= Duration::from_secs(1));
        assert_eq!(pauses.failures(), 1);
    }

    #[test]
    fn a_stolen_client_id_is_not_fought_over() {
        let mut pauses = Pauses::new(Retry::default());
        for _ in 0..3 {
            assert!(pauses.next(Duration::from_secs(3600), true) >= Duration::from_secs(60));
        }
    }
}
