//! How fast setpoints move: fast toward safety, slow back; the ramp; the dead band.

use std::time::Duration;

use super::site::Unit;
use crate::units::Watts;

/// A move that no bound asks for goes at most through this share of the battery's range in a second.
const EASE: f64 = 0.25;

/// Moves from `last` toward `wanted`, in the time `since` the last decision. `range` are the bounds that the sum should keep.
pub(super) fn pace(
    units: &[Unit<'_>],
    wanted: Vec<Watts>,
    last: &[Watts],
    range: (Watts, Watts),
    since: Duration,
) -> Vec<Watts> {
    let before: Watts = last.iter().copied().sum();
    let safe = kept(before, range);
    let seconds = since.as_secs_f64();
    let mut powers: Vec<Watts> = (units.iter().zip(&wanted).zip(last))
        .map(|((unit, wanted), last)| {
            let ramp = unit.policy.ramp.map_or(f64::INFINITY, |ramp| ramp.watts() * seconds);
            let span =
                configured(unit.policy.charge_max, unit.charge) + configured(unit.policy.discharge_max, unit.discharge);
            // Standing still is safe, so the move can take its time.
            let ease = if safe { span.watts() * EASE * seconds } else { f64::INFINITY };
            let most = Watts::new(ramp.min(ease));
            let moved = wanted.clamp(*last - most, *last + most).clamp(-unit.charge, unit.discharge);
            whole(moved, *wanted, unit.policy.min_power)
        })
        .collect();

    for index in 0..powers.len() {
        let (Some(unit), Some(power), Some(last)) = (units.get(index), powers.get(index).copied(), last.get(index))
        else {
            continue;
        };
        let change = (power - *last).abs();
        let possible = *last <= unit.discharge && *last >= -unit.charge;
        let sum = powers.iter().copied().sum::<Watts>() - power + *last;
        if change > Watts::ZERO
            && change < unit.policy.deadband
            && power != Watts::ZERO
            && possible
            && kept(sum, range)
            && let Some(power) = powers.get_mut(index)
        {
            *power = *last;
        }
    }
    never_against_each_other(&mut powers, &wanted);
    powers
}

/// Between 0 and its least power a battery has nothing: it jumps over it when it is on its way up.
fn whole(power: Watts, wanted: Watts, least: Watts) -> Watts {
    if power == Watts::ZERO || power.abs() >= least {
        power
    } else if wanted.abs() >= least && wanted.watts().signum() == power.watts().signum() {
        least * power.watts().signum()
    } else {
        Watts::ZERO
    }
}

/// While one battery is still on its way from the other direction, the rest wait at 0.
fn never_against_each_other(powers: &mut [Watts], wanted: &[Watts]) {
    let gives = powers.iter().any(|power| *power > Watts::ZERO);
    let takes = powers.iter().any(|power| *power < Watts::ZERO);
    if !(gives && takes) {
        return;
    }
    // The direction that is wanted is the new one: it is the old one that cannot stop at once.
    let discharge = wanted.iter().copied().sum::<Watts>() > Watts::ZERO;
    for power in powers {
        *power = if discharge { power.min(Watts::ZERO) } else { power.max(Watts::ZERO) };
    }
}

fn configured(configured: Option<Watts>, now: Watts) -> Watts {
    configured.unwrap_or(now)
}

fn kept(sum: Watts, range: (Watts, Watts)) -> bool {
    let slack = Watts::new(1.0);
    sum >= range.0 - slack && sum <= range.1 + slack
}
