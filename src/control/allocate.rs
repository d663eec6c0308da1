//! One power for the batteries together becomes one each: 0, or between the battery's least and most power.
//!
//! Which batteries work is chosen first: such that no bound is broken, then such that the wanted power is met, then as few
//! as possible, those that work already, the fuller ones to discharge and the emptier ones to charge. All that work have the same
//! direction: none ever charges another. Then the power is shared among them by the energy they have, or have room for.

use std::cmp::Ordering;

use super::site::Unit;
use crate::units::{Soc, WattHours, Watts};

/// More batteries than this are tried in order only, not in all combinations.
const COMBINED: usize = 8;
/// A part of the wanted power that is not worth waking a further battery for: as share of it, and of the largest battery.
const TOLERATED: (f64, f64) = (0.1, 0.02);

/// One battery in one direction; powers are sizes without sign.
struct Share {
    least: Watts,
    most: Watts,
    /// Energy it can give (or take) as share of its size, 0..1.
    available: f64,
    /// The same in Wh; where the size is not known, its most power stands for it.
    energy: f64,
    working: bool,
}

/// Shares `wanted` (discharge positive) out. `range` are the bounds that the sum should keep; `last` the setpoints in force.
pub(super) fn allocate(units: &[Unit<'_>], wanted: Watts, range: (Watts, Watts), last: &[Watts]) -> Vec<Watts> {
    let discharge = wanted > Watts::ZERO;
    let sign = if discharge { 1.0 } else { -1.0 };
    let shares: Vec<Share> = units.iter().zip(last).map(|(unit, last)| Share::new(unit, *last, discharge)).collect();
    let range = if discharge { range } else { (-range.1, -range.0) };
    let (chosen, sum) = choose(&shares, wanted.abs(), range);
    split(&shares, chosen, sum).into_iter().map(|power| power * sign).collect()
}

impl Share {
    fn new(unit: &Unit<'_>, last: Watts, discharge: bool) -> Self {
        let policy = unit.policy;
        let (most, available, working) = if discharge {
            (unit.discharge, unit.soc - policy.soc_min, last > Watts::ZERO)
        } else {
            (unit.charge, policy.soc_max - unit.soc, last < Watts::ZERO)
        };
        let available = available.clamp(Soc::EMPTY, Soc::FULL).ratio();
        let energy = policy.capacity.map_or(most.watts(), WattHours::watt_hours) * available;
        Self { least: policy.min_power, most, available, energy: energy.max(f64::MIN_POSITIVE), working }
    }
}

/// Which batteries work (a bit each), and what they give together.
fn choose(shares: &[Share], wanted: Watts, range: (Watts, Watts)) -> (u64, Watts) {
    let mut order: Vec<usize> = (0..shares.len()).filter(|index| shares.get(*index).is_some_and(usable)).collect();
    order.sort_by(|one, other| rank(shares.get(*other)).total_cmp(&rank(shares.get(*one))));
    order.truncate(63);
    let candidates: Vec<u64> = if order.len() <= COMBINED {
        (0..1_u64 << order.len())
            .map(|mask| {
                order.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0).map(|(_, i)| 1_u64 << i).sum()
            })
            .collect()
    } else {
        (0..=order.len()).map(|count| order.iter().take(count).map(|index| 1_u64 << index).sum()).collect()
    };
    let mut best = (0, Watts::ZERO, Merit::of(shares, 0, Watts::ZERO, wanted, range));
    for mask in candidates {
        let working = || members(shares, mask);
        let least: Watts = working().map(|share| share.least).sum();
        let most: Watts = working().map(|share| share.most).sum();
        let sum = wanted.clamp(least, most);
        let merit = Merit::of(shares, mask, sum, wanted, range);
        if merit.better(&best.2) {
            best = (mask, sum, merit);
        }
    }
    (best.0, best.1)
}

fn usable(share: &Share) -> bool {
    share.most > Watts::ZERO
}

/// Those that work come first, then those with most energy; a lead of a tenth of the size is worth a change.
fn rank(share: Option<&Share>) -> f64 {
    share.map_or(0.0, |share| share.available + if share.working { 0.1 } else { 0.0 })
}

fn members(shares: &[Share], mask: u64) -> impl Iterator<Item = &Share> {
    shares.iter().enumerate().filter(move |(index, _)| mask & (1 << index) != 0).map(|(_, share)| share)
}

/// How good a choice is, the more important first; less is better.
struct Merit {
    /// Whole watts outside the bounds: what lies closer together is the same.
    broken: i64,
    /// Whole watts that the wanted power is missed by.
    missed: i64,
    /// Batteries at work, changes, and how unevenly full they are.
    effort: f64,
}

impl Merit {
    fn of(shares: &[Share], mask: u64, sum: Watts, wanted: Watts, range: (Watts, Watts)) -> Self {
        let broken = (range.0 - sum).max(sum - range.1).max(Watts::ZERO).watts();
        let woken = members(shares, mask).any(|share| !share.working);
        let missed = if sum > wanted {
            // Its least power is more than is wanted. It goes on at half of that, but does not begin below three quarters.
            (sum - wanted).watts() * if woken { 3.0 } else { 1.0 }
        } else {
            let largest = shares.iter().map(|share| share.most.watts()).fold(0.0, f64::max);
            let tolerated = (TOLERATED.0 * wanted.watts()).min(TOLERATED.1 * largest);
            ((wanted - sum).watts() - tolerated).max(0.0)
        };
        let effort = members(shares, mask)
            .map(|share| 1.0 + if share.working { 0.0 } else { 0.5 } + 5.0 * (1.0 - share.available))
            .sum();
        Self { broken: broken as i64, missed: missed as i64, effort }
    }

    fn better(&self, other: &Self) -> bool {
        let order = self.broken.cmp(&other.broken).then(self.missed.cmp(&other.missed));
        order.then(self.effort.total_cmp(&other.effort)) == Ordering::Less
    }
}

/// Shares `sum` out among the chosen by their energy, each between its least and most.
fn split(shares: &[Share], mask: u64, sum: Watts) -> Vec<Watts> {
    let chosen = |index: usize| mask & (1 << index) != 0;
    let mut powers: Vec<Watts> =
        shares.iter().enumerate().map(|(i, share)| if chosen(i) { share.least } else { Watts::ZERO }).collect();
    let mut rest = sum - powers.iter().copied().sum();
    // Each round fills at least one battery or shares all of the rest out.
    for _ in 0..shares.len() {
        let open = |index: usize, share: &Share, power: Watts| chosen(index) && power < share.most;
        let weight: f64 = (shares.iter().zip(&powers).enumerate())
            .filter(|(index, (share, power))| open(*index, share, **power))
            .map(|(_, (share, _))| share.energy)
            .sum();
        if rest <= Watts::ZERO || weight <= 0.0 {
            break;
        }
        let round = rest;
        for (index, (share, power)) in shares.iter().zip(&mut powers).enumerate() {
            if open(index, share, *power) {
                let part = (round * (share.energy / weight)).min(share.most - *power);
                *power += part;
                rest -= part;
            }
        }
    }
    powers
}
