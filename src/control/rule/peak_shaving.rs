//! `peak-shaving`: demand, the mean import over a clock-aligned window, never above a limit; without a window import
//! itself. A bound, never an equality: whatever else the batteries do goes on below it.
//!
//! The budget of the window: `allowed = (window x limit - energy so far) / time left`. Short peaks early in the window
//! pass, for the budget is held by the running mean of consumption; at its end nothing passes, for the mean gets short.

use std::time::Duration;

use super::super::bounds::Bound;
use super::super::memory::{Hold, Means, PeakMemory};
use super::super::site::Site;
use super::super::{DemandRecord, Memory};
use super::{hold, in_force};
use crate::clock::Moment;
use crate::config::PeakLimit;
use crate::state::DemandWindow;
use crate::units::{Soc, WattHours, Watts};

/// Share of the period before's peak that is defended from the first day of a period without an order.
const OPENING: f64 = 0.6;
/// Where the limit is what is billed anyway, recharging stays this far below, or it would raise it bit by bit.
const RECHARGE_BELOW_BILLED: f64 = 0.97;
/// An instantaneous limit has no mean to recharge against, so recharging leaves room for a load that switches on.
const RECHARGE_BELOW_INSTANT: f64 = 0.95;

pub(in super::super) fn bound(
    limit: PeakLimit,
    window: Option<Duration>,
    margin: Watts,
    hold: Option<Soc>,
    site: &Site<'_>,
    memory: &mut Memory,
) -> (Bound, Option<DemandRecord>) {
    let billed = memory.billed.peak;
    let Some((limit, ordered)) = in_effect(limit, memory, site) else {
        let reason = "no limit is ordered, and nothing is billed yet".to_owned();
        return (Bound { reason, ..Bound::default() }, None);
    };
    let limit = (limit - margin).max(Watts::ZERO);
    let seconds = window.map_or(0, |window| window.as_secs());
    let behind = behind(memory, site);
    let memory = memory.peaks.entry(seconds).or_default();
    let budget = window.map(|length| Budget::of(length, limit, behind, site, memory));

    let most = budget.as_ref().map_or(limit, |budget| budget.most);
    let room = match (&budget, ordered) {
        (None, _) => limit * RECHARGE_BELOW_INSTANT,
        // What a window has left above its limit is not for recharging, or a peak would charge and discharge in turns.
        (Some(_), true) => most.min(limit),
        (Some(_), false) => most - limit * (1.0 - RECHARGE_BELOW_BILLED),
    };
    let least = hold::least(hold, (most, room), site, memory);
    let recharging = if memory.hold == Hold::Recharging { "; recharging for the next peak" } else { "" };
    let reason = match &budget {
        None => format!("holding {limit} at every moment{recharging}"),
        Some(budget) => format!("holding {limit}: {}{recharging}", budget.said()),
    };
    let record = budget.map(|budget| budget.record(limit, billed, site));
    (Bound { least, most: Some(most), curtails: false, reason }, record)
}

/// The limit, and whether somebody set it (or it is only what is billed anyway).
fn in_effect(limit: PeakLimit, memory: &Memory, site: &Site<'_>) -> Option<(Watts, bool)> {
    let billed = memory.billed.peak;
    match limit {
        PeakLimit::Fixed(limit) => Some((limit, true)),
        PeakLimit::Auto => match in_force(site.snapshot.orders.peak_limit, site.now.site) {
            Some(order) => Some((order.max(billed), true)),
            None => {
                let known = billed.max(memory.billed.previous.unwrap_or_default() * OPENING);
                (known > Watts::ZERO).then_some((known, false))
            }
        },
    }
}

/// Where a window stands.
struct Budget {
    window: DemandWindow,
    /// Import so far, unseen time at the limit.
    imported: WattHours,
    /// Mean import that the rest of the window may have.
    allowed: Watts,
    /// What that means for this moment: short deviations from the mean pass.
    most: Watts,
}

impl Budget {
    fn of(length: Duration, limit: Watts, behind: Duration, site: &Site<'_>, memory: &mut PeakMemory) -> Self {
        let calm = length.div_f64(30.0).clamp(Duration::from_secs(1), Duration::from_secs(60));
        let means = mean(memory, site, calm);
        let known = site.snapshot.windows.iter().find(|window| window.length == length).copied();
        let Some(window) = known.filter(|_| site.snapshot.clock_trusted) else {
            // Nobody knows where in its window the site is: every moment is held to the limit.
            let window = DemandWindow {
                length,
                start: site.now.site,
                imported: WattHours::ZERO,
                unseen: Duration::ZERO,
                elapsed: Duration::ZERO,
                counter_at_start: None,
                last: None,
            };
            return Self { window, imported: WattHours::ZERO, allowed: limit, most: limit };
        };
        let imported = window.imported + limit.over(window.unseen);
        // A floor on the time left, or the last seconds would ask for nonsense: what the loop needs to act.
        let floor = (behind * 2).clamp(length.div_f64(90.0), length.div_f64(15.0));
        let allowed = (limit.over(length) - imported).per(window.left().max(floor));
        let mean = if window.left() <= calm * 2 { means.quick } else { means.calm };
        Self { window, imported, allowed, most: allowed + site.net - mean }
    }

    fn said(&self) -> String {
        let minutes = self.window.length.as_secs() / 60;
        let left = self.window.left().as_secs();
        let left = if left >= 120 { format!("{} min", left / 60) } else { format!("{left} s") };
        format!("{minutes}-min window {} so far, {} allowed for the last {left}", self.imported, self.allowed)
    }

    fn record(&self, limit: Watts, billed_peak: Watts, site: &Site<'_>) -> DemandRecord {
        let left = self.window.left();
        let rest = site.grid.max(Watts::ZERO).over(left);
        let projection = (self.imported + rest).per(self.window.length);
        DemandRecord { limit, imported: self.imported, projection, allowed: self.allowed, left, billed_peak }
    }
}

/// How far behind the loop is on the site's clock: the age of the reading, and the time from decision to decision.
fn behind(memory: &Memory, site: &Site<'_>) -> Duration {
    let since = |at: Moment| Duration::try_from(site.now.site.duration_since(at.site)).unwrap_or_default();
    since(site.metered) + memory.recent.decided.map_or(Duration::ZERO, since)
}

/// Takes the present reading into the running means.
fn mean(memory: &mut PeakMemory, site: &Site<'_>, calm: Duration) -> Means {
    let at = site.metered.site;
    let means = match memory.mean {
        Some(last) if last.at <= at => {
            let time = at.duration_since(last.at).as_secs_f64();
            let toward = |mean: Watts, over: f64| mean + (site.net - mean) * (1.0 - (-time / over).exp());
            let over = calm.as_secs_f64();
            Means { at, calm: toward(last.calm, over), quick: toward(last.quick, (over / 12.0).max(1.0)) }
        }
        _ => Means { at, calm: site.net, quick: site.net },
    };
    memory.mean = Some(means);
    means
}
