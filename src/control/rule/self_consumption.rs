//! `self-consumption`: the batteries take what PV leaves over and give what the building needs but for a little, so that
//! noise exports nothing that was stored.

use super::super::site::Site;
use super::Wish;
use crate::units::Watts;

pub(in super::super) fn wish(aim: Watts, site: &Site<'_>) -> Wish {
    // The aim is for discharging: buying power to store it is no self-consumption. Between 0 and the aim nothing moves.
    let target = site.net.clamp(aim.min(Watts::ZERO), aim.max(Watts::ZERO));
    let reason = if site.net < target {
        format!("{} of PV left over", target - site.net)
    } else {
        format!("the building needs {}", site.net)
    };
    Wish { kind: "self-consumption", target, reason }
}
