//! PV limits: only where the batteries cannot keep an export limit, taken back slowly, and only once the batteries are
//! filled as fast as they may be.

use std::time::Duration;

use super::memory::CapMemory;
use super::site::Site;
use super::{Memory, Setpoint};
use crate::reading::fresh;
use crate::units::Watts;

/// A limit is raised by at most this share of the inverter's highest power a second.
const EASE: f64 = 0.02;

/// Setpoints of the inverters that are limited, or ever were. `floor` is the least import for an export limit's sake, `battery` the sum of the
/// battery setpoints, `since` the time since the last decision.
pub(super) fn curtail(
    site: &Site<'_>,
    floor: Option<Watts>,
    battery: Watts,
    memory: &mut Memory,
    since: Duration,
) -> Vec<Setpoint> {
    let powers: Vec<Option<Watts>> = (site.policy.pv.iter())
        .map(|pv| {
            let state = site.snapshot.pv.iter().find(|state| state.name == pv.name)?;
            let power = fresh(state.power.as_ref(), site.now, state.max_age).ok()?.max(Watts::ZERO);
            let known = memory.caps.get(pv.name.as_str()).copied();
            if known.is_some_and(|known| known.most_seen < power)
                && let Some(known) = memory.caps.get_mut(pv.name.as_str())
            {
                known.most_seen = power;
            }
            Some(power)
        })
        .collect();
    let total: Watts = powers.iter().flatten().copied().sum();
    // What more could be exported; negative: what is too much.
    let room = floor.map_or(Watts::new(f64::INFINITY), |floor| site.net - battery - floor);
    if floor.is_none() && memory.caps.is_empty() {
        return Vec::new();
    }
    // Where the batteries could take more, PV may rise although export may not.
    let spare = (site.charge() + battery.min(Watts::ZERO)).max(Watts::ZERO);

    let mut setpoints = Vec::new();
    for (pv, power) in site.policy.pv.iter().zip(&powers) {
        let known = memory.caps.get(pv.name.as_str()).copied();
        let cap = match (*power, known) {
            (Some(power), known) if room < Watts::ZERO && power > Watts::ZERO => {
                let share = power / total.watts();
                let most_seen = known.map_or(power, |known| known.most_seen.max(power));
                CapMemory { cap: Some((power + room * share.watts()).max(Watts::ZERO)), most_seen }
            }
            (Some(power), Some(known)) if room >= Watts::ZERO => eased(known, power, room + spare, since),
            // Its power is not known, or it gives nothing: what was said stands.
            (_, Some(known)) => known,
            (_, None) => continue,
        };
        memory.caps.insert(pv.name.as_str().to_owned(), cap);
        let reason = match cap.cap {
            Some(cap) => format!("curtailed to {cap}: more would be exported than is allowed"),
            None => "free".to_owned(),
        };
        let value = cap.cap.map(Watts::watts);
        setpoints.push(Setpoint { device: pv.name.clone(), control: "pv".into(), value, reason });
    }
    setpoints
}

fn eased(known: CapMemory, power: Watts, more: Watts, since: Duration) -> CapMemory {
    let Some(cap) = known.cap else { return known };
    let step = known.most_seen * EASE * since.as_secs_f64();
    let raised = cap.max((power + more).min(cap + step));
    CapMemory { cap: (raised < known.most_seen).then_some(raised), ..known }
}
