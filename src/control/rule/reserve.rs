//! `reserve`: keeps energy for a blackout.

use super::super::Memory;
use super::super::bounds::Bound;
use super::super::site::Site;
use crate::units::{Soc, Watts};

pub(in super::super) fn bound(
    soc: Soc,
    hysteresis: Soc,
    recharge: Watts,
    site: &Site<'_>,
    memory: &mut Memory,
) -> Bound {
    let Some(now) = site.soc() else {
        return Bound { reason: "no battery whose SoC is known".to_owned(), ..Bound::default() };
    };
    if now <= soc {
        memory.reserve_held = true;
    } else if now >= soc + hysteresis {
        memory.reserve_held = false;
    }
    if !memory.reserve_held {
        // Free, but not so far that the next decision comes too late.
        let free = site.power_down_to(soc).filter(|power| *power < site.discharge());
        let reason = format!("SoC {now:.1} is above the reserve of {soc}");
        return Bound { least: free.map(|power| site.net - power), reason, ..Bound::default() };
    }
    let charge = if now < soc { recharge.min(site.charge()) } else { Watts::ZERO };
    let reason = if charge > Watts::ZERO {
        format!("SoC {now:.1} is below the reserve of {soc}: charging back with {charge}")
    } else {
        format!("SoC {now:.1} is at the reserve of {soc}: no discharge below {:.0}", soc + hysteresis)
    };
    Bound { least: Some(site.net + charge), reason, ..Bound::default() }
}
