//! Two clocks, told apart by type, and the one place that reads them.
//!
//! [`IoTime`] is monotonic: time-outs, leases and ages. [`SiteTime`] is the wall clock: windows, calendars, tariffs. The
//! demo lets site time run faster than I/O time; replay makes both from its input.

use std::ops::{Add, Sub};
use std::time::Duration;

/// The wall clock of the site.
pub type SiteTime = jiff::Timestamp;

/// Monotonic time since the clock was made. Never jumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IoTime(Duration);

impl IoTime {
    /// When the clock was made.
    pub const START: Self = Self(Duration::ZERO);

    /// A time so long after the clock was made.
    pub const fn after_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Time since `earlier`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Time since the clock was made.
    pub const fn elapsed(self) -> Duration {
        self.0
    }
}

impl Add<Duration> for IoTime {
    type Output = Self;
    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }
}

impl Sub<Duration> for IoTime {
    type Output = Self;
    fn sub(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(time))
    }
}

/// One instant on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic.
    pub io: IoTime,
    /// Wall.
    pub site: SiteTime,
}

impl Moment {
    /// Age of this moment at `now`, on the monotonic clock.
    pub fn age(self, now: Moment) -> Duration {
        now.io.since(self.io)
    }
}

/// The running clock. Cheap to clone; clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: tokio::time::Instant,
    wall: Wall,
}

#[derive(Clone, Copy, Debug)]
enum Wall {
    /// The machine's wall clock, steps included.
    System,
    /// Starts at a given time and runs at a factor of the monotonic clock.
    Simulated { start: SiteTime, speed: f64 },
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        Self { origin: tokio::time::Instant::now(), wall: Wall::System }
    }

    /// Site time starts at `start` and runs `speed` times as fast as I/O time.
    pub fn simulated(start: SiteTime, speed: f64) -> Self {
        Self { origin: tokio::time::Instant::now(), wall: Wall::Simulated { start, speed } }
    }

    /// Now, on both clocks.
    pub fn now(&self) -> Moment {
        let io = self.io();
        Moment { io, site: self.site_at(io) }
    }

    /// Now, on the monotonic clock.
    pub fn io(&self) -> IoTime {
        IoTime(self.origin.elapsed())
    }

    /// How many times faster than I/O time the site's time runs: 1 but in the demo.
    pub fn speed(&self) -> f64 {
        match self.wall {
            Wall::System => 1.0,
            Wall::Simulated { speed, .. } => speed,
        }
    }

    /// Sleeps until a monotonic time; returns at once when it has passed.
    pub async fn sleep_until(&self, until: IoTime) {
        tokio::time::sleep_until(self.origin + until.elapsed()).await;
    }

    /// A timer that is set again and again, for loops that mostly wake for another reason.
    pub fn alarm(&self) -> Alarm {
        Alarm { sleep: Box::pin(tokio::time::sleep_until(self.origin)), origin: self.origin, until: IoTime::START }
    }

    fn site_at(&self, io: IoTime) -> SiteTime {
        match self.wall {
            Wall::System => system_time(),
            Wall::Simulated { start, speed } => start + io.elapsed().mul_f64(speed),
        }
    }
}

/// See [`Clock::alarm`].
#[derive(Debug)]
pub struct Alarm {
    sleep: std::pin::Pin<Box<tokio::time::Sleep>>,
    origin: tokio::time::Instant,
    until: IoTime,
}

impl Alarm {
    /// Returns once `until` has passed. Waiting again for the same time costs nothing.
    pub async fn at(&mut self, until: IoTime) {
        if until != self.until {
            self.until = until;
            self.sleep.as_mut().reset(self.origin + until.elapsed());
        }
        self.sleep.as_mut().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn system_time() -> SiteTime {
    SiteTime::now()
}

/// A loop's mark that it turned: set by the loop, watched by the watchdog. Cheap to clone; clones share the mark.
#[derive(Clone, Debug, Default)]
pub struct Pulse(std::sync::Arc<std::sync::atomic::AtomicU64>);

impl Pulse {
    /// The loop turned at `now`.
    pub fn mark(&self, now: IoTime) {
        let millis = u64::try_from(now.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.store(millis, std::sync::atomic::Ordering::Relaxed);
    }

    /// When the loop last turned; [`IoTime::START`] before its first turn.
    pub fn last(&self) -> IoTime {
        IoTime(Duration::from_millis(self.0.load(std::sync::atomic::Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn site_time_runs_at_its_speed() {
        let start: SiteTime = "2026-03-02T00:00:00Z".parse().unwrap();
        let clock = Clock::simulated(start, 480.0);
        tokio::time::advance(Duration::from_secs(90)).await;
        let now = clock.now();
        assert_eq!(now.io.elapsed(), Duration::from_secs(90));
        assert_eq!(now.site, "2026-03-02T12:00:00Z".parse::<SiteTime>().unwrap());
    }

    #[test]
    fn a_later_moment_has_no_negative_age() {
        let early = IoTime::after_start(Duration::from_secs(1));
        let late = early + Duration::from_secs(5);
        assert_eq!(late.since(early), Duration::from_secs(5));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
