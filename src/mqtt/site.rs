//! The site in one message: grid, PV, battery, consumption, demand windows. A number that is not fresh is `null`.

use std::collections::BTreeMap;

use crate::clock::Moment;
use crate::reading::{DeviceName, Reading, fresh};
use crate::state::{BatteryState, SitePower, Snapshot};
use crate::telemetry::Json;
use crate::units::{Soc, WattHours, Watts};

/// Sizes of the batteries, as far as the config has them.
pub type Capacities = BTreeMap<DeviceName, WattHours>;

const POWER: u8 = 1;
const ENERGY: u8 = 4;

/// Writes the site's members, without its moment and the braces.
pub(super) fn write_site(json: &mut Json, snapshot: &Snapshot, capacities: &Capacities, now: Moment) {
    let SitePower { grid, pv, battery, consumption } = SitePower::of(snapshot, now);
    let kwh = |reading: Option<Reading<WattHours>>| reading.and_then(|r| r.show()).map(|e| e.watt_hours() / 1000.0);

    json.key("grid").open().key("power").optional(grid.map(Watts::watts), POWER);
    json.key("imported").optional(kwh(snapshot.grid.imported), ENERGY);
    json.key("exported").optional(kwh(snapshot.grid.exported), ENERGY).close();
    json.key("pv").open().key("power").optional(pv.map(Watts::watts), POWER).close();
    json.key("battery").open().key("power").optional(battery.map(Watts::watts), POWER);
    json.key("soc").optional(soc(&snapshot.batteries, capacities, now).map(Soc::percent), 2).close();
    json.key("consumption").open().key("power").optional(consumption.map(Watts::watts), POWER).close();
    json.key("demand").open_list();
    for window in &snapshot.windows {
        json.open().key("window").number(window.length.as_secs_f64(), 0).key("start").time(window.start);
        json.key("imported").number(window.imported.watt_hours() / 1000.0, ENERGY);
        json.key("elapsed").number(window.elapsed.as_secs_f64(), 1);
        json.key("unseen").number(window.unseen.as_secs_f64(), 1);
        json.key("last_mean").optional(window.last.map(|last| last.mean.watts()), POWER).close();
    }
    json.close_list().key("clock_trusted").flag(snapshot.clock_trusted);
}

/// State of charge of all batteries together, by their sizes. Of several batteries without a size there is none.
fn soc(batteries: &[BatteryState], capacities: &Capacities, now: Moment) -> Option<Soc> {
    let of = |battery: &BatteryState| fresh(battery.soc.as_ref(), now, battery.soc_max_age).ok();
    if let [only] = batteries {
        return of(only);
    }
    let mut stored = WattHours::ZERO;
    let mut size = WattHours::ZERO;
    for battery in batteries {
        let capacity = *capacities.get(&battery.name)?;
        stored += capacity * of(battery)?.ratio();
        size += capacity;
    }
    (size > WattHours::ZERO).then(|| Soc::new(stored.watt_hours() / size.watt_hours()))
}
