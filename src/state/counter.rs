//! Energy counters that wrap, are reset or fall.

use crate::units::WattHours;

/// Falls of at most this share of the resolution's order are a device's rounding, not a reset.
const JITTER: f64 = 20.0;

/// What a new counter reading means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Counted {
    /// The first reading, or the first after a reset: nothing can be said of what came before.
    First,
    /// So much more.
    More(WattHours),
    /// It reached its end and began anew; so much more.
    Wrapped(WattHours),
    /// It fell: reset or replaced. What was counted between is lost.
    Reset {
        /// The reading before.
        from: WattHours,
        /// The reading now.
        to: WattHours,
    },
    /// It fell by a digit or two, as some meters do: the old reading holds.
    Held,
}

/// Follows one counter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CounterTrack {
    last: Option<WattHours>,
    wrap: Option<WattHours>,
}

impl CounterTrack {
    /// A counter that begins anew at `wrap`, where that is known.
    pub const fn new(wrap: Option<WattHours>) -> Self {
        Self { last: None, wrap }
    }

    /// Takes a reading.
    pub fn observe(&mut self, now: WattHours) -> Counted {
        let Some(last) = self.last else {
            self.last = Some(now);
            return Counted::First;
        };
        if now >= last {
            self.last = Some(now);
            return Counted::More(now - last);
        }
        if (last - now).watt_hours() <= JITTER {
            return Counted::Held;
        }
        self.last = Some(now);
        match self.wrap {
            // A wrap leaves the old reading near the end and the new one near the beginning.
            Some(wrap) if last > wrap * 0.9 && now < wrap * 0.1 => Counted::Wrapped(wrap - last + now),
            _ => Counted::Reset { from: last, to: now },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_grows_wraps_falls_or_is_reset_is_told_apart() {
        let mut track = CounterTrack::new(Some(WattHours::kwh(1000.0)));
        let mut see = |kwh| track.observe(WattHours::kwh(kwh));
        assert_eq!(see(990.0), Counted::First);
        assert_eq!(see(995.0), Counted::More(WattHours::kwh(5.0)));
        assert_eq!(see(994.99), Counted::Held);
        assert_eq!(see(995.0), Counted::More(WattHours::ZERO));
        assert_eq!(see(2.0), Counted::Wrapped(WattHours::kwh(7.0)));
        assert_eq!(see(1.0), Counted::Reset { from: WattHours::kwh(2.0), to: WattHours::kwh(1.0) });
        assert_eq!(see(1.5), Counted::More(WattHours::kwh(0.5)));
    }
}
