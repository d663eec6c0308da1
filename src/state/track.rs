//! The last seconds of a power, so that two powers can be added that were taken at the same time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::IoTime;
use crate::units::Watts;

/// How long powers are kept.
const KEPT: Duration = Duration::from_secs(10);

/// The last seconds of one power.
#[derive(Clone, Debug, Default)]
pub struct PowerTrack {
    samples: VecDeque<(IoTime, Watts)>,
}

impl PowerTrack {
    /// Takes a reading. Readings come in order; one that does not is left out.
    pub fn push(&mut self, at: IoTime, power: Watts) {
        if self.samples.back().is_some_and(|(last, _)| *last >= at) {
            return;
        }
        self.samples.push_back((at, power));
        while self.samples.front().is_some_and(|(first, _)| at.since(*first) > KEPT) {
            self.samples.pop_front();
        }
    }

    /// The power at a time: between two readings on the line through them; after the last one the last, for `hold`.
    pub fn at(&self, time: IoTime, hold: Duration) -> Option<Watts> {
        let after = self.samples.partition_point(|(at, _)| *at < time);
        match (after.checked_sub(1).and_then(|i| self.samples.get(i)), self.samples.get(after)) {
            (_, Some((at, power))) if *at == time => Some(*power),
            (Some((t0, p0)), Some((t1, p1))) => {
                let share = time.since(*t0).as_secs_f64() / t1.since(*t0).as_secs_f64();
                Some(*p0 + (*p1 - *p0) * share)
            }
            (Some((t0, p0)), None) => (time.since(*t0) <= hold).then_some(*p0),
            (None, Some((t1, p1))) => (t1.since(time) <= hold).then_some(*p1),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_read_at_the_time_asked_for() {
        let at = |ms| IoTime::after_start(Duration::from_millis(ms));
        let mut track = PowerTrack::default();
        let hold = Duration::from_secs(3);
        assert_eq!(track.at(at(0), hold), None);
        track.push(at(1000), Watts::new(100.0));
        track.push(at(2000), Watts::new(200.0));
        track.push(at(1500), Watts::new(9e9));
        assert_eq!(track.at(at(1000), hold), Some(Watts::new(100.0)));
        assert_eq!(track.at(at(1500), hold), Some(Watts::new(150.0)));
        assert_eq!(track.at(at(5000), hold), Some(Watts::new(200.0)));
        assert_eq!(track.at(at(5001), hold), None, "a battery that fell silent has no power");
        track.push(at(13_000), Watts::new(300.0));
        assert_eq!(track.at(at(2500), Duration::ZERO), None, "older readings are forgotten");
    }
}
