//! How long each limit rule's bound changed the outcome, and how much energy that moved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::IoTime;
use crate::control::{Decision, Outcome, Standing};
use crate::units::{WattHours, Watts};

/// A decision counts at most this long: beyond it control has hung, and the leases have ended.
const LONGEST: Duration = Duration::from_secs(15);

/// Time and energy that the bounds moved, integrated over successive decisions.
#[derive(Clone, Debug)]
pub struct ControlTally {
    speed: f64,
    standing: Vec<(Arc<str>, Watts)>,
    since: IoTime,
    rules: BTreeMap<Arc<str>, BoundTally>,
}

/// What one rule's bound moved so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BoundTally {
    /// Time that it changed the outcome, in site time.
    pub time: Duration,
    /// Energy that it moved at the grid point, without sign.
    pub energy: WattHours,
}

impl ControlTally {
    /// Nothing counted yet. `speed` is [`crate::clock::Clock::speed`].
    pub const fn new(speed: f64) -> Self {
        Self { speed, standing: Vec::new(), since: IoTime::START, rules: BTreeMap::new() }
    }

    /// Counts the decision before as having stood until this one.
    pub fn observe(&mut self, decision: &Decision) {
        let stood = decision.at.io.since(self.since).min(LONGEST).mul_f64(self.speed);
        for (rule, changed) in self.standing.drain(..) {
            let tally = self.rules.entry(rule).or_default();
            tally.time += stood;
            tally.energy += changed.over(stood);
        }
        self.since = decision.at.io;
        self.standing = changes(decision);
    }

    /// What a rule's bound moved so far, until the last decision.
    pub fn of(&self, rule: &str) -> BoundTally {
        self.rules.get(rule).copied().unwrap_or_default()
    }

    /// Every rule that ever bound.
    pub fn rules(&self) -> impl Iterator<Item = (&str, BoundTally)> {
        self.rules.iter().map(|(rule, tally)| (&**rule, *tally))
    }
}

/// How far each binding bound moved the outcome: from the wish, or, where there was none, from batteries at rest.
fn changes(decision: &Decision) -> Vec<(Arc<str>, Watts)> {
    let Outcome::Target { wish, target, battery, .. } = &decision.outcome else { return Vec::new() };
    if matches!(decision.standing, Standing::NotControlling(_)) {
        return Vec::new();
    }
    let changed = wish.map_or(battery.abs(), |wish| (*target - wish).abs());
    let mut binding: Vec<_> = decision.bounds.iter().filter(|bound| bound.binding).map(|b| b.rule.clone()).collect();
    binding.sort_unstable();
    binding.dedup();
    binding.into_iter().map(|rule| (rule, changed)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::control::BoundRecord;

    fn decision(second: u64, wish: Option<f64>, binding: bool) -> Decision {
        Decision {
            serial: second,
            at: Moment { io: IoTime::after_start(Duration::from_secs(second)), ..Moment::default() },
            standing: Standing::Controlling,
            outcome: Outcome::Target {
                rule: Some("peak-shaving".into()),
                wish: wish.map(Watts::kw),
                target: Watts::kw(80.0),
                battery: Watts::kw(12.0),
                reason: String::new(),
            },
            bounds: vec![BoundRecord {
                rule: "peak-shaving".into(),
                least: None,
                most: Some(Watts::kw(80.0)),
                clamped: false,
                binding,
                reason: String::new(),
            }],
            range: (Watts::new(f64::NEG_INFINITY), Watts::kw(80.0)),
            demand: None,
            inputs: Vec::new(),
            setpoints: Vec::new(),
        }
    }

    #[test]
    fn a_bound_that_cut_a_wish_is_counted_by_what_it_cut() {
        let mut tally = ControlTally::new(1.0);
        tally.observe(&decision(10, Some(98.0), true));
        assert_eq!(tally.of("peak-shaving"), BoundTally::default(), "nothing has stood yet");
        tally.observe(&decision(20, Some(98.0), false));
        tally.observe(&decision(30, Some(98.0), false));
        let moved = tally.of("peak-shaving");
        assert_eq!(moved.time, Duration::from_secs(10));
        assert_eq!(moved.energy, Watts::kw(18.0).over(Duration::from_secs(10)));
    }

    #[test]
    fn a_bound_without_a_wish_is_counted_by_what_the_batteries_do() {
        let mut tally = ControlTally::new(1.0);
        tally.observe(&decision(10, None, true));
        tally.observe(&decision(11, None, true));
        assert_eq!(tally.of("peak-shaving").energy, Watts::kw(12.0).over(Duration::from_secs(1)));
    }

    #[test]
    fn a_hung_control_does_not_count_for_ever() {
        let mut tally = ControlTally::new(1.0);
        tally.observe(&decision(10, None, true));
        tally.observe(&decision(10_000, None, true));
        assert_eq!(tally.of("peak-shaving").time, LONGEST);
    }

    #[test]
    fn what_reaches_no_device_is_not_counted() {
        let mut tally = ControlTally::new(1.0);
        let blocked =
            Decision { standing: Standing::NotControlling("no meter".into()), ..decision(10, Some(98.0), true) };
        tally.observe(&blocked);
        tally.observe(&decision(11, None, false));
        assert_eq!(tally.rules().count(), 0);
    }

    #[test]
    fn in_the_demo_energy_is_counted_in_the_time_of_the_site() {
        let mut tally = ControlTally::new(480.0);
        tally.observe(&decision(10, None, true));
        tally.observe(&decision(11, None, true));
        assert_eq!(tally.of("peak-shaving").time, Duration::from_secs(480));
    }
}
