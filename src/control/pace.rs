//! How fast setpoints move: fast toward safety, slow back; the ramp; the dead band.

use std::time::Duration;

use super::site::Unit;
use crate::units::Watts;

/// Giving back what no bound asks for goes at most through this share of the batteries' range in a second.
const EASE: f64 = 0.25;

/// The sum to aim at now on the way from `last` to `wanted`: at once where more is asked of the batteries or a bound would
/// be broken, slowly where they only ease off: what made them work may come again in a moment.
pub(super) fn ease(wanted: Watts, last: Watts, range: (Watts, Watts), span: Watts, since: Duration) -> Watts {
    let off = if last > Watts::ZERO { wanted < last } else { last < Watts::ZERO && wanted > last };
    if !off || !kept(last, range) {
        return wanted;
    }
    let most = span * EASE * since.as_secs_f64();
    wanted.clamp(last - most, last + most)
}

/// Moves each battery from `last` toward `wanted`, in the time `since` the last decision: along its ramp, and not at all for
/// less than its dead band. `range` are the bounds that the sum should keep.
pub(super) fn pace(
    units: &[Unit<'_>],
    wanted: Vec<Watts>,
    last: &[Watts],
    range: (Watts, Watts),
    since: Duration,
) -> Vec<Watts> {
    let mut powers: Vec<Watts> = (units.iter().zip(&wanted).zip(last))
        .map(|((unit, wanted), last)| {
            let most = unit.policy.ramp.map_or(Watts::new(f64::INFINITY), |ramp| ramp * since.as_secs_f64());
            let moved = wanted.clamp(*last - most, *last + most).clamp(-unit.charge, unit.discharge);
            whole(moved, *last, *wanted, unit.policy.min_power)
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

/// Between 0 and its least power a battery has nothing: on its way up it jumps over it, on its way down it stops above it
/// once before it goes to 0, and coming from the other direction it stops at 0.
fn whole(power: Watts, last: Watts, wanted: Watts, least: Watts) -> Watts {
    let sign = power.watts().signum();
    if power == Watts::ZERO || power.abs() >= least {
        power
    } else if last * sign >= Watts::ZERO && (wanted * sign >= least || last * sign > least) {
        least * sign
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

fn kept(sum: Watts, range: (Watts, Watts)) -> bool {
    let slack = Watts::new(1.0);
    sum >= range.0 - slack && sum <= range.1 + slack
}
