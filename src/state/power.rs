//! What flows at the site, for showing: derived from a snapshot once, for every reader.

use std::time::Duration;

use super::Snapshot;
use crate::clock::Moment;
use crate::reading::{Reading, fresh};
use crate::units::Watts;

/// Powers into the busbar. `None` = unknown, or there is no such thing at the site. A sum with a stale part is unknown,
/// not smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct SitePower {
    /// Grid, import positive.
    #[serde(rename = "grid_watts")]
    pub grid: Option<Watts>,
    /// All PV, generation positive; of a hybrid its DC side.
    #[serde(rename = "pv_watts")]
    pub pv: Option<Watts>,
    /// All batteries, discharge positive; of a hybrid its DC side.
    #[serde(rename = "battery_watts")]
    pub battery: Option<Watts>,
    /// What the building consumes: grid and [`super::GridState::feed`], so a hybrid counts once, by what it feeds in.
    #[serde(rename = "consumption_watts")]
    pub consumption: Option<Watts>,
}

impl SitePower {
    /// At `now`.
    pub fn of(snapshot: &Snapshot, now: Moment) -> Self {
        let at_grid = |reading: &Option<Reading<Watts>>| fresh(reading.as_ref(), now, snapshot.grid.max_age).ok();
        let grid = at_grid(&snapshot.grid.power);
        let batteries = || sum(now, snapshot.batteries.iter().map(|battery| (&battery.power, battery.max_age)));
        Self {
            grid,
            pv: sum(now, snapshot.pv.iter().filter(|pv| !pv.measured).map(|pv| (&pv.power, pv.max_age))),
            battery: at_grid(&snapshot.grid.battery).filter(|_| !snapshot.batteries.is_empty()).or_else(batteries),
            consumption: grid.zip(at_grid(&snapshot.grid.feed)).map(|(grid, feed)| grid + feed),
        }
    }
}

/// `None` where there are no parts, or one is not fresh.
fn sum<'a>(now: Moment, parts: impl Iterator<Item = (&'a Option<Reading<Watts>>, Duration)>) -> Option<Watts> {
    let mut parts = parts.map(|(reading, limit)| fresh(reading.as_ref(), now, limit).ok()).peekable();
    parts.peek()?;
    parts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::IoTime;
    use crate::reading::DeviceName;
    use crate::state::{GridState, PvState};

    const LIMIT: Duration = Duration::from_secs(3);

    fn at(second: u64) -> Moment {
        Moment { io: IoTime::after_start(Duration::from_secs(second)), ..Moment::default() }
    }

    fn reading(power: f64, second: u64) -> Option<Reading<Watts>> {
        Some(Reading::good(Watts::new(power), at(second)))
    }

    fn site(pv: &[(f64, u64)]) -> Snapshot {
        let inverter = |&(power, second): &(f64, u64)| PvState {
            name: DeviceName::new("pv"),
            power: reading(power, second),
            max_age: LIMIT,
            measured: false,
            limit: None,
        };
        let grid = GridState { power: reading(1000.0, 10), feed: reading(800.0, 10), ..GridState::default() };
        Snapshot {
            grid: GridState { max_age: LIMIT, ..grid },
            pv: pv.iter().map(inverter).collect(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn consumption_is_the_grid_and_what_is_fed_in() {
        let power = SitePower::of(&site(&[(500.0, 10), (300.0, 11)]), at(12));
        assert_eq!(power.pv, Some(Watts::new(800.0)));
        assert_eq!(power.battery, None, "there is none");
        assert_eq!(power.consumption, Some(Watts::new(1800.0)));
    }

    #[test]
    fn a_sum_with_a_stale_part_is_unknown() {
        let power = SitePower::of(&site(&[(500.0, 10), (300.0, 2)]), at(12));
        assert_eq!((power.grid, power.pv), (Some(Watts::new(1000.0)), None));
        let late = SitePower::of(&site(&[]), at(14));
        assert_eq!(late, SitePower::default());
    }

    #[test]
    fn what_a_meter_measures_is_not_counted_again() {
        let mut site = site(&[(500.0, 10), (490.0, 10)]);
        site.pv[1].measured = true;
        assert_eq!(SitePower::of(&site, at(12)).pv, Some(Watts::new(500.0)));
    }
}
