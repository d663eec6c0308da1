//! The SoC that is kept for peaks: above it the battery is free, at it only a peak may discharge, below it the battery is
//! recharged from the grid as far as the limit leaves room.

use super::super::memory::PeakMemory;
use super::super::site::Site;
use crate::units::{Soc, Watts};

/// Kept at a site without PV: a battery there has nothing else to do.
const WITHOUT_PV: Soc = Soc::FULL;
/// Kept at a site with PV.
const WITH_PV: Soc = Soc::from_percent(20.0);
/// Recharging begins so far below.
const HYSTERESIS: Soc = Soc::from_percent(0.5);

/// Least import for the sake of the energy kept; `None` = free. `most` is what the peak itself allows, `room` up to where
/// it may be recharged.
pub(super) fn least(
    hold: Option<Soc>,
    (most, room): (Watts, Watts),
    site: &Site<'_>,
    memory: &mut PeakMemory,
) -> Option<Watts> {
    let default = if site.policy.has_pv { WITH_PV } else { WITHOUT_PV };
    let (soc, highest) = (site.soc()?, site.soc_max()?);
    let hold = hold.unwrap_or(default).min(highest);
    if soc >= hold {
        memory.recharging = false;
    } else if soc < hold - HYSTERESIS {
        memory.recharging = true;
    }
    if memory.recharging {
        return Some((site.net + site.charge()).min(room.max(site.net)).min(most));
    }
    let free = if soc > hold { site.power_down_to(hold).unwrap_or(Watts::new(f64::INFINITY)) } else { Watts::ZERO };
    (free < site.discharge()).then(|| (site.net - free).min(most))
}
