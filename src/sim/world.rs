//! What the building cannot choose: its load and the sun. Functions of the site's time and a seed, so that the same seed
//! gives the same day whatever the step.

use crate::clock::SiteTime;
use crate::units::Watts;

/// Load and sun over the days.
#[derive(Clone, Debug)]
pub struct World {
    /// Another seed, another day.
    pub seed: u64,
    /// Where the day begins and ends.
    pub time_zone: jiff::tz::TimeZone,
    /// About the highest quarter-hour mean of the load.
    pub load_peak: Watts,
    /// The load over a day.
    pub shape: LoadShape,
    /// How many times slower than life machines switch and clouds pass: 1, but where a day is made to pass in minutes, for
    /// then what changes within seconds would change within milliseconds.
    pub pace: f64,
}

/// How a load goes over a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadShape {
    /// A workshop: a peak before the sun is up, another when it is down, little at night.
    Factory,
    /// The same all day, without noise.
    Constant,
}

/// Hour of the day and share of the peak; straight lines between.
const FACTORY: [(f64, f64); 16] = [
    (0.0, 0.15),
    (5.0, 0.15),
    (5.75, 0.32),
    (6.5, 0.84),
    (7.25, 0.94),
    (8.25, 0.86),
    (9.25, 0.42),
    (10.5, 0.30),
    (12.0, 0.28),
    (13.0, 0.27),
    (15.5, 0.28),
    (17.0, 0.55),
    (18.0, 0.94),
    (19.25, 0.88),
    (20.5, 0.26),
    (24.0, 0.15),
];

/// Machines that switch: share of the peak, slot in seconds, and its share of slots at full work.
const MACHINES: [(f64, i64, f64); 4] = [(0.06, 47, 0.5), (0.04, 23, 0.4), (0.03, 211, 0.5), (0.02, 7, 0.3)];

impl World {
    /// Load at a time, positive.
    pub fn load(&self, at: SiteTime) -> Watts {
        let share = match self.shape {
            LoadShape::Constant => 1.0,
            LoadShape::Factory => {
                let shape = between(&FACTORY, self.hour(at));
                // The machines work as the shape has it; at night they rest.
                let work = ((shape - 0.1) / 0.8).clamp(0.0, 1.0);
                let machines: f64 =
                    (0..).zip(MACHINES).map(|(nth, machine)| self.machine(nth, machine, at, work)).sum();
                let noise = 0.02 * (self.noise(20, at, 2.0) - 0.5);
                shape + machines + noise * shape
            }
        };
        self.load_peak * share.max(0.0)
    }

    /// Sun at a time as a share of the plant's peak power.
    pub fn sun(&self, at: SiteTime) -> f64 {
        let (rise, set) = (6.0, 19.0);
        let height = ((self.hour(at) - rise) / (set - rise) * std::f64::consts::PI).sin().max(0.0).powf(1.3);
        let cover = (2.2 * self.noise(30, at, 1500.0) - 0.9).clamp(0.0, 1.0);
        let edge = self.noise(31, at, 45.0);
        0.85 * height * (1.0 - 0.75 * cover * (0.6 + 0.4 * edge))
    }

    fn hour(&self, at: SiteTime) -> f64 {
        let civil = self.time_zone.to_datetime(at);
        f64::from(civil.hour()) + f64::from(civil.minute()) / 60.0 + f64::from(civil.second()) / 3600.0
    }

    /// A machine's deviation from its mean: on in some slots of time, off in others.
    fn machine(&self, nth: u64, (size, slot, duty): (f64, i64, f64), at: SiteTime, work: f64) -> f64 {
        let duty = duty * work;
        let slot = ((slot as f64 * self.pace) as i64).max(1);
        let on = self.random(nth, at.as_second().div_euclid(slot)) < duty;
        size * (f64::from(u8::from(on)) - duty)
    }

    /// Smooth noise in 0..1 that changes over `seconds`.
    fn noise(&self, stream: u64, at: SiteTime, seconds: f64) -> f64 {
        let position = at.as_millisecond() as f64 / (1000.0 * seconds * self.pace);
        let (slot, part) = (position.floor(), position - position.floor());
        let (from, to) = (self.random(stream, slot as i64), self.random(stream, slot as i64 + 1));
        let ease = part * part * (3.0 - 2.0 * part);
        from + (to - from) * ease
    }

    /// Evenly in 0..1, the same for the same seed, stream and slot (splitmix64's finaliser).
    fn random(&self, stream: u64, slot: i64) -> f64 {
        let mut x = self.seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ slot.cast_unsigned().rotate_left(32);
        for multiplier in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
            x = (x ^ x >> 30).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(multiplier);
            x ^= x >> 27;
        }
        (x >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn between(knots: &[(f64, f64)], x: f64) -> f64 {
    let upper = knots.iter().find(|(at, _)| *at >= x);
    let lower = knots.iter().rev().find(|(at, _)| *at <= x);
    match (lower, upper) {
        (Some((x0, y0)), Some((x1, y1))) if x1 > x0 => y0 + (y1 - y0) * (x - x0) / (x1 - x0),
        (Some((_, y)), _) | (None, Some((_, y))) => *y,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(seed: u64) -> World {
        World {
            seed,
            time_zone: jiff::tz::TimeZone::UTC,
            load_peak: Watts::kw(130.0),
            shape: LoadShape::Factory,
            pace: 1.0,
        }
    }

    fn hour(hour: f64) -> SiteTime {
        "2026-04-14T00:00:00Z".parse::<SiteTime>().unwrap() + std::time::Duration::from_secs_f64(3600.0 * hour)
    }

    #[test]
    fn a_seed_makes_a_day_and_another_seed_another_day() {
        let day = |seed| (0..1000).map(|i| world(seed).load(hour(f64::from(i) * 0.024))).collect::<Vec<_>>();
        assert_eq!(day(1), day(1));
        assert_ne!(day(1), day(2));
    }

    #[test]
    fn the_day_has_two_peaks_and_the_sun_shines_by_day_only() {
        let mean = |from: f64| {
            (0..3600).map(|s| world(1).load(hour(from + f64::from(s) / 3600.0)).watts()).sum::<f64>() / 3.6e6
        };
        assert!(mean(2.0) < 30.0, "night {}", mean(2.0));
        assert!(mean(8.0) > 90.0 && mean(8.0) < 130.0, "morning {}", mean(8.0));
        assert!(mean(13.0) < 60.0, "noon {}", mean(13.0));
        assert!(mean(18.0) > mean(8.0) && mean(18.0) < 140.0, "evening {}", mean(18.0));
        assert_eq!(world(1).sun(hour(3.0)), 0.0);
        assert!((0..100).all(|i| (0.0..=0.85).contains(&world(1).sun(hour(f64::from(i) * 0.24)))));
        assert!(world(1).sun(hour(12.5)) > 0.1);
    }
}
