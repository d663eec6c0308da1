//! One decision: what is known, the limit rules' bounds from top to bottom, the topmost wish inside them, shared out.

use std::time::Duration;

use super::allocate::allocate;
use super::bounds::Nest;
use super::curtail::curtail;
use super::memory::Recent;
use super::net::commanded;
use super::pace::{ease, pace};
use super::rule;
use super::site::{Site, Unit};
use super::{Decision, DemandRecord, InputRecord, Memory, Outcome, Policy, Setpoint, Standing};
use crate::clock::Moment;
use crate::profile::BatteryControl;
use crate::reading::{DeviceName, fresh};
use crate::state::Snapshot;
use crate::units::Watts;

/// A longer pause counts as this.
const PAUSE: Duration = Duration::from_secs(3600);

/// Decides what every battery and inverter shall do now. Pure: the same input gives the same decision.
pub fn decide(snapshot: &Snapshot, policy: &Policy, memory: &mut Memory, now: Moment) -> Decision {
    memory.serial += 1;
    memory.billed.update(policy, snapshot, now.site);
    let mut inputs = Vec::with_capacity(1 + 2 * policy.batteries.len());
    if policy.rules.is_empty() {
        return nothing("no rule is configured".to_owned(), policy, memory, now, inputs);
    }
    match Site::read(snapshot, policy, memory, now, &mut inputs) {
        Ok(site) => settled(&site, memory, inputs),
        Err(reason) => nothing(reason, policy, memory, now, inputs),
    }
}

/// All that can be decided is that nothing can: every device goes to its safe state.
fn nothing(reason: String, policy: &Policy, memory: &mut Memory, now: Moment, inputs: Vec<InputRecord>) -> Decision {
    let disobeyed = std::mem::take(&mut memory.recent.disobeyed);
    memory.recent = Recent { disobeyed, ..Recent::default() };
    let safe = |device: &DeviceName, control: &str| Setpoint {
        device: device.clone(),
        control: control.into(),
        value: None,
        reason: format!("safe state: {reason}"),
    };
    let mut setpoints: Vec<Setpoint> = policy.batteries.iter().map(|unit| safe(&unit.name, "battery")).collect();
    let limited = policy.pv.iter().filter(|pv| memory.caps.contains_key(pv.name.as_str()));
    setpoints.extend(limited.map(|pv| safe(&pv.name, "pv")));
    Decision {
        serial: memory.serial,
        at: now,
        standing: if policy.enabled { Standing::NotControlling(reason.clone()) } else { Standing::DryRun },
        outcome: Outcome::None { reason },
        bounds: Vec::new(),
        range: (Watts::new(f64::NEG_INFINITY), Watts::new(f64::INFINITY)),
        demand: None,
        inputs,
        setpoints,
    }
}

fn settled(site: &Site<'_>, memory: &mut Memory, inputs: Vec<InputRecord>) -> Decision {
    let policy = site.policy;
    let mut nest = Nest::new(policy.rules.len());
    let mut demand: Option<DemandRecord> = None;
    for configured in &policy.rules {
        if let Some((bound, record)) = rule::bound(&configured.rule, site, memory) {
            nest.add(configured.rule.kind(), bound);
            demand = demand.or(record);
        }
    }

    let wish = policy.rules.iter().find_map(|configured| rule::wish(&configured.rule, site));
    let wanted = wish.as_ref().map_or(site.net, |wish| wish.target);
    let (target, cut) = nest.cut(wanted);
    let (rule, why) = match (cut.and_then(|index| nest.records.get(index)), &wish) {
        (Some(record), _) => (Some(record.rule.clone()), record.reason.as_str()),
        (None, Some(wish)) => (Some(wish.kind.into()), wish.reason.as_str()),
        (None, None) => (None, "no rule asks for anything"),
    };

    let range = (site.net - nest.high, site.net - nest.low);
    let last: Vec<Watts> = site.units.iter().map(|unit| in_force(unit, memory)).collect();
    let pause = memory.recent.decided.map_or(policy.interval, |decided| decided.age(site.now)).min(PAUSE);
    let before = last.iter().copied().sum();
    let span = site.charge() + site.discharge();
    let sum = ease(site.net - target, before, range, span, pause);
    let shares = allocate(&site.units, sum, range, &last);
    let powers = pace(&site.units, shares, &last, range, pause);
    let battery: Watts = powers.iter().copied().sum();
    let limits = curtail(site, nest.export_floor, battery, memory, pause);

    let reason = sentence(why, site, battery, range, limits.iter().any(|limit| limit.value.is_some()));
    let mut setpoints: Vec<Setpoint> = Vec::with_capacity(policy.batteries.len() + limits.len());
    for unit in &policy.batteries {
        let told = site.units.iter().zip(&powers).find(|(known, _)| known.policy.name == unit.name);
        setpoints.push(match told {
            Some((known, power)) => setpoint(known, *power, site),
            None => left_out(&unit.name, site),
        });
    }
    setpoints.extend(limits);

    memory.recent.decided = Some(site.now);
    memory.recent.setpoints.clear();
    let names = site.units.iter().map(|unit| unit.policy.name.clone());
    memory.recent.setpoints.extend(names.zip(powers));
    commanded(&mut memory.recent, site.now.io, battery);
    Decision {
        serial: memory.serial,
        at: site.now,
        standing: if policy.enabled { Standing::Controlling } else { Standing::DryRun },
        outcome: Outcome::Target { rule, wish: wish.map(|wish| wish.target), target, battery, reason },
        bounds: nest.records,
        range: (nest.low, nest.high),
        demand,
        inputs,
        setpoints,
    }
}

/// What a battery was told last; after a start what it does.
fn in_force(unit: &Unit<'_>, memory: &Memory) -> Watts {
    memory.recent.setpoint(&unit.policy.name).or_else(|| unit.power.show()).unwrap_or_default()
}

fn setpoint(unit: &Unit<'_>, power: Watts, site: &Site<'_>) -> Setpoint {
    let device = unit.policy.name.clone();
    let control = "battery".into();
    let mut value = Some(power.watts());
    let reason = if power > Watts::ZERO {
        format!("gives {power}")
    } else if power < Watts::ZERO {
        format!("takes {}", -power)
    } else if unit.discharge == Watts::ZERO {
        format!("stands by: it cannot give more at {:.1}", unit.soc)
    } else if unit.charge == Watts::ZERO {
        format!("stands by: it cannot take more at {:.1}", unit.soc)
    } else {
        "stands by".to_owned()
    };
    if unit.policy.control == BatteryControl::AcTotal {
        // Such a device is told what battery and PV shall make together.
        let pv = site.snapshot.pv.iter().find(|pv| pv.name == device);
        let pv = pv.map_or(Ok(Watts::ZERO), |pv| fresh(pv.power.as_ref(), site.now, pv.max_age));
        value = pv.ok().map(|pv| (power + pv).watts());
    }
    Setpoint { device, control, value, reason }
}

fn left_out(name: &DeviceName, site: &Site<'_>) -> Setpoint {
    let why = site.left_out.iter().find(|(known, _)| known == name).map_or("", |(_, why)| why.as_str());
    let reason = format!("left out: {why}");
    Setpoint { device: name.clone(), control: "battery".into(), value: None, reason }
}

/// The whole of it in a sentence: why, and what that makes of the batteries.
fn sentence(why: &str, site: &Site<'_>, battery: Watts, range: (Watts, Watts), curtailed: bool) -> String {
    let many = site.units.len() != 1;
    let who = if many { "the batteries" } else { "the battery" };
    let s = if many { "" } else { "s" };
    let slack = Watts::new(50.0);
    let effect = if battery > Watts::ZERO {
        format!("{who} give{s} {battery}")
    } else if battery < Watts::ZERO {
        format!("{who} take{s} {}", -battery)
    } else {
        format!("{who} stand{s} by")
    };
    let short = if battery + slack < range.0 {
        format!(", though {} would be needed", range.0)
    } else if battery - slack > range.1 && !curtailed {
        format!(", though {} would have to be taken", -range.1)
    } else if curtailed {
        ", and PV is curtailed".to_owned()
    } else {
        String::new()
    };
    let mut letters = why.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}, so {effect}{short}", letters.as_str())
}
