//! The site: what flows, batteries, PV, loads, demand windows.

use crate::http::family::*;
use crate::http::sheet::Sheet;
use crate::http::view::View;
use crate::reading::fresh;
use crate::state::SitePower;
use crate::units::{Soc, Watts};

pub(super) fn fill(sheet: &mut Sheet, view: &View) {
    let (now, snapshot) = (view.now, &view.snapshot);
    let power = SitePower::of(snapshot, now);
    let by_source =
        [("grid", power.grid), ("pv", power.pv), ("battery", power.battery), ("consumption", power.consumption)];
    for (source, power) in by_source {
        sheet.put_some(&SITE_POWER, [source], power.map(Watts::watts));
    }
    for battery in &snapshot.batteries {
        let power = fresh(battery.power.as_ref(), now, battery.max_age);
        let soc = fresh(battery.soc.as_ref(), now, battery.soc_max_age);
        sheet.put_some(&BATTERY_POWER, [battery.name.as_str()], power.ok().map(Watts::watts));
        sheet.put_some(&BATTERY_SOC, [battery.name.as_str()], soc.ok().map(Soc::ratio));
    }
    for pv in &snapshot.pv {
        let power = fresh(pv.power.as_ref(), now, pv.max_age);
        sheet.put_some(&PV_POWER, [pv.name.as_str()], power.ok().map(Watts::watts));
    }
    for load in &snapshot.loads {
        let power = fresh(load.power.as_ref(), now, load.max_age);
        sheet.put_some(&LOAD_POWER, [load.name.as_str()], power.ok().map(Watts::watts));
    }
    for window in &snapshot.windows {
        let length = window.length.as_secs().to_string();
        sheet.put(&WINDOW_ENERGY, [&length], window.imported.joules());
        sheet.put(&WINDOW_ELAPSED, [&length], window.elapsed.as_secs_f64());
        sheet.put(&WINDOW_UNSEEN, [&length], window.unseen.as_secs_f64());
        sheet.put_some(&WINDOW_LAST, [&length], window.last.map(|last| last.mean.watts()));
    }
}
