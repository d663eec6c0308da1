//! The site as one decision sees it: only values that are fresh, and what the batteries can do with them.

use std::sync::Arc;
use std::time::Duration;

use super::memory::Recent;
use super::net::estimate;
use super::{BatteryPolicy, InputRecord, Memory, Policy};
use crate::bus::{SetpointReport, SetpointState};
use crate::clock::Moment;
use crate::reading::{DeviceName, Reading, Why, fresh};
use crate::state::{BatteryState, Snapshot};
use crate::units::{Soc, WattHours, Watts};

/// A battery that did not take a setpoint is tried again after this.
const DISOBEYED: Duration = Duration::from_secs(15);

/// What is known for this decision.
pub(super) struct Site<'a> {
    pub snapshot: &'a Snapshot,
    pub policy: &'a Policy,
    pub now: Moment,
    /// When the grid meter was read.
    pub metered: Moment,
    /// Grid power.
    pub grid: Watts,
    /// Consumption minus PV: what the grid would give if the usable batteries stood by.
    pub net: Watts,
    /// Batteries that may be told something, in the order of the config.
    pub units: Vec<Unit<'a>>,
    /// Batteries that may not, and why.
    pub left_out: Vec<(DeviceName, String)>,
}

/// One usable battery.
pub(super) struct Unit<'a> {
    pub policy: &'a BatteryPolicy,
    pub power: Reading<Watts>,
    pub soc: Soc,
    /// Most charging power now, positive: configured, reported, and what the room below `soc_max` takes.
    pub charge: Watts,
    /// Most discharging power now.
    pub discharge: Watts,
}

impl<'a> Site<'a> {
    /// Reads the snapshot.
    ///
    /// # Errors
    /// Why nothing can be decided.
    pub fn read(
        snapshot: &'a Snapshot,
        policy: &'a Policy,
        memory: &mut Memory,
        now: Moment,
        inputs: &mut Vec<InputRecord>,
    ) -> Result<Self, String> {
        let state = &snapshot.grid;
        record(inputs, "grid.power", state.power.as_ref(), now, state.max_age, Watts::watts);
        let meter = || state.meter.as_ref().map_or_else(String::new, |name| format!(" {name}"));
        let grid = fresh(state.power.as_ref(), now, state.max_age)
            .map_err(|why| format!("grid meter{}: power {}", meter(), said(why)))?;
        let metered = state.power.map_or(now, |reading| reading.at());

        let mut units = Vec::with_capacity(policy.batteries.len());
        let mut left_out = Vec::new();
        for battery in &policy.batteries {
            let found = snapshot.batteries.iter().find(|state| state.name == battery.name);
            let obeys = |state: &'a BatteryState| disobeyed(state, &mut memory.recent, now).map_or(Ok(state), Err);
            let usable = found.ok_or("never read".to_owned()).and_then(obeys);
            match usable.and_then(|state| Unit::read(battery, state, policy, now, inputs)) {
                Ok(unit) => units.push(unit),
                Err(why) => left_out.push((battery.name.clone(), why)),
            }
        }
        if units.is_empty() && policy.pv.is_empty() {
            return Err(left_out.first().map_or_else(
                || "no battery and no inverter that can be told anything".to_owned(),
                |(name, why)| format!("{name}: {why}"),
            ));
        }

        record(inputs, "grid.battery", state.battery.as_ref(), now, state.max_age, Watts::watts);
        let battery = usable_power(snapshot, &units, now);
        let slack = units.iter().map(|unit| apart(unit.power.at(), metered)).max().unwrap_or_default();
        let settle = units.iter().map(|unit| unit.policy.settle).max().unwrap_or_default();
        let net = estimate(&mut memory.recent, grid, battery, metered.io, slack, settle);
        Ok(Self { snapshot, policy, now, metered, grid, net, units, left_out })
    }

    /// Most power that the usable batteries can take together, positive.
    pub fn charge(&self) -> Watts {
        self.units.iter().map(|unit| unit.charge).sum()
    }

    /// Most power that they can give together.
    pub fn discharge(&self) -> Watts {
        self.units.iter().map(|unit| unit.discharge).sum()
    }

    /// Their SoC, weighted by size.
    pub fn soc(&self) -> Option<Soc> {
        self.weighted(|unit| unit.soc)
    }

    /// Their highest SoC, weighted by size.
    pub fn soc_max(&self) -> Option<Soc> {
        self.weighted(|unit| unit.policy.soc_max)
    }

    /// Their size together; `None` where the config does not say.
    pub fn capacity(&self) -> Option<WattHours> {
        self.units.iter().map(|unit| unit.policy.capacity).sum::<Option<WattHours>>().filter(|c| *c > WattHours::ZERO)
    }

    /// The most power that leaves the SoC at or above `floor` until the next decision; `None` where the size is not known.
    pub fn power_down_to(&self, floor: Soc) -> Option<Watts> {
        let above = (self.soc()? - floor).max(Soc::EMPTY);
        Some((self.capacity()? * above.ratio()).per(self.policy.interval))
    }

    fn weighted(&self, of: impl Fn(&Unit<'a>) -> Soc) -> Option<Soc> {
        let weight = |unit: &Unit<'a>| unit.policy.capacity.map_or(1.0, WattHours::watt_hours);
        let total: f64 = self.units.iter().map(weight).sum();
        (total > 0.0).then(|| self.units.iter().map(|unit| of(unit) * weight(unit)).sum::<Soc>() / total)
    }
}

impl<'a> Unit<'a> {
    fn read(
        policy: &'a BatteryPolicy,
        state: &BatteryState,
        site: &Policy,
        now: Moment,
        inputs: &mut Vec<InputRecord>,
    ) -> Result<Self, String> {
        let name = &state.name;
        record(inputs, format!("{name}.power"), state.power.as_ref(), now, state.max_age, Watts::watts);
        record(inputs, format!("{name}.soc"), state.soc.as_ref(), now, state.soc_max_age, Soc::ratio);
        let power = state.power.ok_or(Why::Never);
        let power = power.and_then(|reading| reading.fresh(now, state.max_age).map(|_| reading));
        let power = power.map_err(|why| format!("power {}", said(why)))?;
        let soc = fresh(state.soc.as_ref(), now, state.soc_max_age).map_err(|why| format!("SoC {}", said(why)))?;

        let reported = |reading: Option<&Reading<Watts>>| fresh(reading, now, state.limits_max_age).ok();
        let least = |configured: Option<Watts>, reported: Option<Watts>| match (configured, reported) {
            (Some(ours), Some(theirs)) => ours.min(theirs).max(Watts::ZERO),
            (Some(one), None) | (None, Some(one)) => one.max(Watts::ZERO),
            // Nobody says what it bears.
            (None, None) => Watts::ZERO,
        };
        // What the SoC leaves until the next decision. Without a size only the end itself is known.
        let until = |share: Soc| match policy.capacity {
            _ if share <= Soc::EMPTY => Watts::ZERO,
            Some(capacity) => (capacity * share.ratio()).per(site.interval),
            None => Watts::new(f64::INFINITY),
        };
        let charge = least(policy.charge_max, reported(state.max_charge.as_ref())).min(until(policy.soc_max - soc));
        let discharge =
            least(policy.discharge_max, reported(state.max_discharge.as_ref())).min(until(soc - policy.soc_min));
        // What it cannot do at its least power it cannot do.
        let enough = |most: Watts| if most < policy.min_power { Watts::ZERO } else { most };
        Ok(Self { policy, power, soc, charge: enough(charge), discharge: enough(discharge) })
    }
}

/// Why a battery is not counted on although it answers: it refused or did not take its last setpoint, and is given time.
fn disobeyed(state: &BatteryState, recent: &mut Recent, now: Moment) -> Option<String> {
    if let Some(SetpointReport { state: SetpointState::Refused(why) | SetpointState::Failed(why), at, .. }) =
        &state.setpoint
    {
        recent.disobeyed.insert(state.name.clone(), (at.io, why.clone()));
    }
    let (at, why) = recent.disobeyed.get(&state.name)?;
    (now.io.since(*at) < DISOBEYED).then(|| format!("does not take its setpoint: {why}"))
}

/// The power of the usable batteries at the moment of the grid reading: the hub's aligned sum without the batteries that
/// are measured but not ours to tell; where it has none, the sum of their own readings.
fn usable_power(snapshot: &Snapshot, units: &[Unit<'_>], now: Moment) -> Watts {
    let own = || units.iter().filter_map(|unit| unit.power.show()).sum();
    let Ok(aligned) = fresh(snapshot.grid.battery.as_ref(), now, snapshot.grid.max_age) else { return own() };
    let others: Watts = snapshot
        .batteries
        .iter()
        .filter(|state| units.iter().all(|unit| unit.policy.name != state.name))
        .filter_map(|state| fresh(state.power.as_ref(), now, state.max_age).ok())
        .sum();
    aligned - others
}

fn record<T: Copy>(
    inputs: &mut Vec<InputRecord>,
    name: impl Into<Arc<str>>,
    reading: Option<&Reading<T>>,
    now: Moment,
    limit: Duration,
    number: impl Fn(T) -> f64,
) {
    let age = reading.map_or(Duration::ZERO, |reading| reading.at().age(now));
    inputs.push(InputRecord { name: name.into(), value: fresh(reading, now, limit).ok().map(number), age });
}

/// Why a number was not to be had, as the second half of a sentence.
pub(super) fn said(why: Why) -> String {
    match why {
        Why::Never => "never read".to_owned(),
        Why::Stale { age, limit } => {
            format!("{:.0} s old, at most {:.0} s", age.as_secs_f64().ceil(), limit.as_secs_f64())
        }
        Why::Invalid => "without a valid value".to_owned(),
    }
}

fn apart(one: Moment, other: Moment) -> Duration {
    one.io.since(other.io).max(other.io.since(one.io))
}
