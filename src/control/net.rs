//! What the building draws, less its PV: grid power plus battery power of one moment.
//!
//! The sum does not depend on what the batteries were told, so it needs no model of them, if both were measured at the
//! same time. While a command is taking effect they are not quite: one meter has seen it, the other has not, and a loop
//! that believes the difference swings for ever. So as long as a command may have been taking effect when the grid meter
//! was read, the battery power is only known to lie between what was measured and what was in force around that time, and
//! of the sums this allows the one nearest to the last estimate is taken: a correction waits for the last command's effect
//! unless it is larger than that effect could be.

use std::time::Duration;

use super::memory::Recent;
use crate::clock::IoTime;
use crate::units::Watts;

/// Commands older than this have had their effect, whatever the device.
const FORGOTTEN: Duration = Duration::from_secs(120);

/// Estimates it. `slack` is how far apart grid and batteries were read, `settle` how long a command takes to show.
pub(super) fn estimate(
    recent: &mut Recent,
    grid: Watts,
    battery: Watts,
    metered: IoTime,
    slack: Duration,
    settle: Duration,
) -> Watts {
    let (mut low, mut high) = (battery, battery);
    // The first command that may not have had its full effect at the reading, and those up to it.
    let settled = metered - (settle + slack);
    let begun = metered + slack;
    let first = recent.commands.partition_point(|(at, _)| *at <= settled);
    let uncertain = recent.commands.iter().skip(first).take_while(|(at, _)| *at < begun);
    for (index, (_, power)) in uncertain.enumerate() {
        if index == 0
            && let Some((_, before)) = first.checked_sub(1).and_then(|index| recent.commands.get(index))
        {
            low = low.min(*before);
            high = high.max(*before);
        }
        low = low.min(*power);
        high = high.max(*power);
    }
    let net = recent.net.map_or(grid + battery, |last| last.clamp(grid + low, grid + high));
    recent.net = Some(net);
    net
}

/// Remembers that the batteries were told a new sum.
pub(super) fn commanded(recent: &mut Recent, at: IoTime, sum: Watts) {
    if recent.commands.back().is_none_or(|(_, last)| (*last - sum).abs() >= Watts::new(1.0)) {
        recent.commands.push_back((at, sum));
    }
    // The newest of the old ones stays: it is what was in force before the first of the others.
    while recent.commands.get(1).is_some_and(|(next, _)| at.since(*next) > FORGOTTEN) || recent.commands.len() > 256 {
        recent.commands.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(2);

    fn at(millis: u64) -> IoTime {
        IoTime::after_start(Duration::from_millis(millis))
    }

    fn after(commands: &[(u64, f64)], net: f64) -> Recent {
        let commands = commands.iter().map(|(millis, kw)| (at(*millis), Watts::kw(*kw))).collect();
        Recent { net: Some(Watts::kw(net)), commands, ..Recent::default() }
    }

    fn kw(recent: &mut Recent, grid: f64, battery: f64, metered: u64, slack: u64) -> f64 {
        let slack = Duration::from_millis(slack);
        estimate(recent, Watts::kw(grid), Watts::kw(battery), at(metered), slack, SETTLE).watts() / 1000.0
    }

    #[test]
    fn at_rest_it_is_the_sum_of_both() {
        assert_eq!(kw(&mut after(&[(0, 5.0)], 90.0), 80.0, 5.0, 10_000, 0), 85.0);
        assert_eq!(kw(&mut Recent::default(), 80.0, 5.0, 10_000, 0), 85.0);
    }

    #[test]
    fn a_command_that_only_one_meter_has_seen_changes_nothing() {
        // 10 kW were asked for at 10 s. The grid meter has seen them, the battery's own reading has not; and the other way.
        assert_eq!(kw(&mut after(&[(0, 0.0), (10_000, 10.0)], 90.0), 80.0, 0.0, 11_000, 500), 90.0);
        assert_eq!(kw(&mut after(&[(0, 0.0), (10_000, 10.0)], 90.0), 90.0, 10.0, 11_000, 500), 90.0);
    }

    #[test]
    fn a_battery_read_after_the_grid_may_have_seen_a_later_command() {
        assert_eq!(kw(&mut after(&[(0, 0.0), (10_000, 10.0)], 90.0), 90.0, 10.0, 9800, 500), 90.0);
    }

    #[test]
    fn a_change_that_the_command_cannot_explain_is_seen_at_once() {
        assert_eq!(kw(&mut after(&[(0, 0.0), (10_000, 10.0)], 90.0), 130.0, 0.0, 11_000, 500), 130.0);
        assert_eq!(kw(&mut after(&[(0, 0.0), (10_000, 10.0)], 90.0), 50.0, 0.0, 11_000, 500), 60.0);
    }

    #[test]
    fn once_it_has_settled_the_reading_counts_alone() {
        assert_eq!(kw(&mut after(&[(0, 0.0), (10_000, 10.0)], 90.0), 75.0, 10.0, 12_500, 500), 85.0);
    }

    #[test]
    fn a_command_given_after_the_reading_is_no_excuse() {
        assert_eq!(kw(&mut after(&[(0, 0.0), (10_000, 10.0)], 90.0), 75.0, 0.0, 10_000, 0), 75.0);
    }

    #[test]
    fn old_commands_are_forgotten_but_for_the_one_before_the_last_ones() {
        let mut recent = Recent::default();
        (0..1000).for_each(|n| commanded(&mut recent, at(n * 10_000), Watts::kw(f64::from(n as u32 % 7))));
        assert!(recent.commands.len() < 16);
        commanded(&mut recent, at(99_000_000), Watts::kw(1.0));
        assert_eq!(recent.commands.len(), 2);
    }
}
