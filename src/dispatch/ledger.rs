//! Decisions to leases. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::bus::{Lease, Leases, SafeState};
use crate::clock::IoTime;
use crate::config::{Config, Role, Rule};
use crate::control::{Decision, Setpoint, Standing};
use crate::reading::DeviceName;

/// What dispatch works on besides the decisions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DispatchPolicy {
    /// How long a setpoint holds without a new decision.
    pub lease: Duration,
    /// Where each device goes while the gateway runs and may not tell it anything.
    pub safe: BTreeMap<DeviceName, SafeState>,
    /// Where each device is left when the gateway ends, or the device leaves.
    pub exit: BTreeMap<DeviceName, SafeState>,
    /// How long to wait at the end until every device is there.
    pub patience: Duration,
}

impl DispatchPolicy {
    /// From the config. Left to themselves in company, batteries feed each other: at most one is released to its own
    /// automatic mode, the others stand by. While a hard limit is configured none is: it might charge from the grid.
    pub fn new(config: &Config) -> Self {
        let hard_limit = config.rules.iter().any(|rule| matches!(rule.rule, Rule::GridLimit { .. }));
        let mut released = hard_limit;
        let mut safe = BTreeMap::new();
        for device in &config.devices {
            let state = match device.safe_state {
                SafeState::Release if device.roles.contains(&Role::Battery) => {
                    if std::mem::replace(&mut released, true) { SafeState::Standby } else { SafeState::Release }
                }
                state => state,
            };
            safe.insert(device.name.clone(), state);
        }
        let exit = config.devices.iter().map(|device| (device.name.clone(), device.safe_state)).collect();
        Self { lease: config.control.lease, safe, exit, patience: config.stop_bound() }
    }
}

/// All leases that were given out.
#[derive(Debug, Default)]
pub struct Ledger {
    devices: BTreeMap<DeviceName, Leases>,
    serial: u64,
}

impl Ledger {
    /// Takes a decision. A control that was told something before and is not told anything now goes to its safe state;
    /// one that was never told anything stays untouched. `retired` devices are told nothing any more and left as at the end.
    pub fn decided(&mut self, decision: &Decision, policy: &DispatchPolicy, retired: &BTreeSet<DeviceName>) {
        let until = decision.at.io + policy.lease;
        if decision.standing == Standing::Controlling {
            for Setpoint { device, control, value, .. } in &decision.setpoints {
                if let (Some(value), false) = (value, retired.contains(device)) {
                    self.give(device, control, Some(*value), until, &policy.safe);
                }
            }
        }
        let told = |device: &DeviceName, control: &str| {
            decision.standing == Standing::Controlling
                && !retired.contains(device)
                && decision.setpoints.iter().any(|s| s.device == *device && *s.control == *control && s.value.is_some())
        };
        for (device, control) in self.controls() {
            if !told(&device, &control) {
                let after = if retired.contains(&device) { &policy.exit } else { &policy.safe };
                self.give(&device, &control, None, until, after);
            }
        }
    }

    /// Every control that was ever told anything goes to the state it is left in at the end.
    pub fn end(&mut self, policy: &DispatchPolicy, now: IoTime) {
        for (device, control) in self.controls() {
            self.give(&device, &control, None, now, &policy.exit);
        }
    }

    /// Every control that was ever told anything.
    fn controls(&self) -> Vec<(DeviceName, Arc<str>)> {
        let of = |(device, leases): (&DeviceName, &Leases)| {
            leases.keys().map(|control| (device.clone(), control.clone())).collect::<Vec<_>>()
        };
        self.devices.iter().flat_map(of).collect()
    }

    /// Forgets devices that are gone.
    pub fn keep(&mut self, present: impl Fn(&DeviceName) -> bool) {
        self.devices.retain(|device, _| present(device));
    }

    /// The leases of each device.
    pub fn devices(&self) -> &BTreeMap<DeviceName, Leases> {
        &self.devices
    }

    fn give(
        &mut self,
        device: &DeviceName,
        control: &Arc<str>,
        value: Option<f64>,
        valid_until: IoTime,
        safe: &BTreeMap<DeviceName, SafeState>,
    ) {
        let safe = safe.get(device).copied().unwrap_or(SafeState::Release);
        let leases = self.devices.entry(device.clone()).or_default();
        let before = leases.get(control);
        let changed = before.is_none_or(|lease| lease.value != value || lease.safe != safe);
        if changed {
            self.serial += 1;
        }
        let serial = if changed { self.serial } else { before.map_or(self.serial, |lease| lease.serial) };
        leases.insert(control.clone(), Lease { serial, value, valid_until, safe });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::control::Outcome;
    use crate::units::Watts;

    fn decision(at: u64, standing: Standing, values: &[(&str, Option<f64>)]) -> Decision {
        let setpoint = |(device, value): &(&str, Option<f64>)| Setpoint {
            device: DeviceName::new(*device),
            control: "battery".into(),
            value: *value,
            reason: String::new(),
        };
        Decision {
            serial: at,
            at: Moment { io: IoTime::after_start(Duration::from_secs(at)), ..Moment::default() },
            standing,
            outcome: Outcome::None { reason: String::new() },
            bounds: Vec::new(),
            range: (Watts::ZERO, Watts::ZERO),
            demand: None,
            inputs: Vec::new(),
            setpoints: values.iter().map(setpoint).collect(),
        }
    }

    fn lease(ledger: &Ledger, device: &str) -> Option<Lease> {
        ledger.devices().get(&DeviceName::new(device))?.get("battery").copied()
    }

    #[test]
    fn a_lease_ends_a_lease_time_after_the_decision_it_rests_on() {
        let policy = DispatchPolicy { lease: Duration::from_secs(15), ..DispatchPolicy::default() };
        let mut ledger = Ledger::default();
        ledger.decided(&decision(100, Standing::Controlling, &[("a", Some(5.0))]), &policy, &BTreeSet::new());
        let first = lease(&ledger, "a").unwrap();
        assert_eq!(first.valid_until, IoTime::after_start(Duration::from_secs(115)));
        ledger.decided(&decision(101, Standing::Controlling, &[("a", Some(5.0))]), &policy, &BTreeSet::new());
        let second = lease(&ledger, "a").unwrap();
        assert_eq!((second.serial, second.value), (first.serial, Some(5.0)), "unchanged: the same lease, prolonged");
        assert_eq!(second.valid_until, IoTime::after_start(Duration::from_secs(116)));
    }

    #[test]
    fn whoever_is_told_nothing_any_more_goes_to_its_safe_state() {
        let policy = DispatchPolicy::default();
        let told = [("a", Some(1.0)), ("b", Some(2.0))];
        for (standing, next) in [
            (Standing::Controlling, vec![("b", Some(2.0))]),
            (Standing::Controlling, vec![("a", None), ("b", Some(2.0))]),
            (Standing::NotControlling("x".into()), vec![]),
            (Standing::DryRun, vec![("a", Some(1.0))]),
        ] {
            let mut ledger = Ledger::default();
            ledger.decided(&decision(1, Standing::Controlling, &told), &policy, &BTreeSet::new());
            ledger.decided(&decision(2, standing, &next), &policy, &BTreeSet::new());
            assert_eq!(lease(&ledger, "a").unwrap().value, None);
        }
        let mut ledger = Ledger::default();
        ledger.decided(&decision(1, Standing::Controlling, &told), &policy, &BTreeSet::new());
        ledger.decided(&decision(2, Standing::Controlling, &told), &policy, &BTreeSet::from([DeviceName::new("a")]));
        assert_eq!(lease(&ledger, "a").unwrap().value, None, "retired");
        assert_eq!(lease(&ledger, "b").unwrap().value, Some(2.0));
    }

    #[test]
    fn a_device_that_leaves_is_left_as_its_owner_wishes_not_held_at_standby() {
        let a = DeviceName::new("a");
        let policy =
            DispatchPolicy { safe: BTreeMap::from([(a.clone(), SafeState::Standby)]), ..DispatchPolicy::default() };
        let mut ledger = Ledger::default();
        let told = [("a", Some(1.0))];
        ledger.decided(&decision(1, Standing::Controlling, &told), &policy, &BTreeSet::new());
        ledger.decided(&decision(2, Standing::Controlling, &told), &policy, &BTreeSet::from([a]));
        let lease = lease(&ledger, "a").unwrap();
        assert_eq!((lease.value, lease.safe), (None, SafeState::Release));
    }

    #[test]
    fn dry_run_touches_nothing() {
        let mut ledger = Ledger::default();
        let policy = DispatchPolicy::default();
        ledger.decided(&decision(1, Standing::DryRun, &[("a", Some(1.0))]), &policy, &BTreeSet::new());
        assert!(ledger.devices().is_empty());
    }

    #[test]
    fn at_the_end_every_device_is_left_as_its_owner_wishes() {
        let a = DeviceName::new("a");
        let policy = DispatchPolicy {
            lease: Duration::from_secs(15),
            safe: BTreeMap::from([(a.clone(), SafeState::Standby)]),
            exit: BTreeMap::from([(a, SafeState::Release)]),
            ..DispatchPolicy::default()
        };
        let mut ledger = Ledger::default();
        ledger.decided(&decision(1, Standing::Controlling, &[("a", Some(1.0))]), &policy, &BTreeSet::new());
        assert_eq!(lease(&ledger, "a").unwrap().safe, SafeState::Standby);
        let before = lease(&ledger, "a").unwrap().serial;
        ledger.end(&policy, IoTime::START);
        let end = lease(&ledger, "a").unwrap();
        assert_eq!((end.value, end.safe), (None, SafeState::Release));
        assert!(end.serial > before);
    }
}
