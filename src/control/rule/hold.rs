//! The SoC that is kept for peaks: above it the battery is free, at it only a peak may discharge, below it the battery is
//! recharged from the grid as far as the limit leaves room.

use super::super::memory::{Hold, PeakMemory};
use super::super::site::Site;
use crate::units::{Soc, Watts};

/// Kept at a site without PV: a battery there has nothing else to do.
const WITHOUT_PV: Soc = Soc::FULL;
/// Kept at a site with PV.
const WITH_PV: Soc = Soc::from_percent(20.0);
/// Recharging begins so far below: a SoC is often told in whole per cents.
const RECHARGE_BELOW: Soc = Soc::from_percent(2.0);
/// Discharging is free again so far above, or the battery would swing about the SoC that is held.
const FREE_ABOVE: Soc = Soc::from_percent(3.0);

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
    memory.hold = match memory.hold {
        _ if soc < hold - RECHARGE_BELOW => Hold::Recharging,
        Hold::Recharging if soc < hold => Hold::Recharging,
        Hold::Free if soc > hold => Hold::Free,
        // At the top there is nothing above to wait for.
        _ if soc >= (hold + FREE_ABOVE).min(highest) => Hold::Free,
        _ => Hold::Held,
    };
    match memory.hold {
        Hold::Recharging => Some((site.net + site.charge()).min(room.max(site.net)).min(most)),
        Hold::Held => Some(site.net.min(most)),
        Hold::Free => {
            let free = site.power_down_to(hold).unwrap_or(Watts::new(f64::INFINITY));
            (free < site.discharge()).then(|| (site.net - free).min(most))
        }
    }
}
