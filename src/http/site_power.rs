//! The balance at the busbar, for showing.

use std::time::Duration;

use crate::clock::Moment;
use crate::reading::{Reading, fresh};
use crate::state::Snapshot;
use crate::units::Watts;

/// Powers into the busbar. `None` = unknown, or there is no such thing at the site.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub(super) struct SitePower {
    /// Grid, import positive.
    #[serde(rename = "grid_watts")]
    pub(super) grid: Option<Watts>,
    /// All PV.
    #[serde(rename = "pv_watts")]
    pub(super) pv: Option<Watts>,
    /// All batteries, discharge positive.
    #[serde(rename = "battery_watts")]
    pub(super) battery: Option<Watts>,
    /// What the building consumes: the sum of the three.
    #[serde(rename = "consumption_watts")]
    pub(super) consumption: Option<Watts>,
}

impl SitePower {
    /// At `now`. A sum with a stale part is unknown, not smaller.
    pub(super) fn of(snapshot: &Snapshot, now: Moment) -> Self {
        let grid = fresh(snapshot.grid.power.as_ref(), now, snapshot.grid.max_age).ok();
        let pv = sum(now, snapshot.pv.iter().map(|pv| (pv.power.as_ref(), pv.max_age)));
        let battery = fresh(snapshot.grid.battery.as_ref(), now, snapshot.grid.max_age)
            .ok()
            .or_else(|| sum(now, snapshot.batteries.iter().map(|battery| (battery.power.as_ref(), battery.max_age))));
        let consumption = match (grid, pv, battery) {
            (Some(grid), Some(pv), Some(battery)) => Some(grid + pv + battery),
            _ => None,
        };
        Self {
            grid,
            pv: pv.filter(|_| !snapshot.pv.is_empty()),
            battery: battery.filter(|_| !snapshot.batteries.is_empty()),
            consumption,
        }
    }
}

/// Zero where there are no parts; `None` where one is not fresh.
fn sum<'a>(now: Moment, parts: impl Iterator<Item = (Option<&'a Reading<Watts>>, Duration)>) -> Option<Watts> {
    parts.map(|(reading, limit)| fresh(reading, now, limit).ok()).sum()
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

    fn site(pv: &[(f64, u64)]) -> Snapshot {
        let inverter = |&(power, second): &(f64, u64)| PvState {
            name: DeviceName::new("pv"),
            power: Some(Reading::good(Watts::new(power), at(second))),
            max_age: LIMIT,
            limit: None,
        };
        let power = Some(Reading::good(Watts::new(1000.0), at(10)));
        Snapshot {
            grid: GridState { power, max_age: LIMIT, ..GridState::default() },
            pv: pv.iter().map(inverter).collect(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn consumption_is_the_sum_of_what_flows_into_the_busbar() {
        let power = SitePower::of(&site(&[(500.0, 10), (300.0, 11)]), at(12));
        assert_eq!(power.pv, Some(Watts::new(800.0)));
        assert_eq!(power.battery, None, "there is none");
        assert_eq!(power.consumption, Some(Watts::new(1800.0)));
    }

    #[test]
    fn a_sum_with_a_stale_part_is_unknown() {
        let power = SitePower::of(&site(&[(500.0, 10), (300.0, 2)]), at(12));
        assert_eq!(power.grid, Some(Watts::new(1000.0)));
        assert_eq!((power.pv, power.consumption), (None, None));
    }
}
