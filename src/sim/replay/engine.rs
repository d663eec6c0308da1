//! Row by row: what control would have seen, what it decides, what the batteries make of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Event, EventKind, Row};
use crate::clock::{IoTime, Moment, SiteTime};
use crate::config::{Config, DeviceConfig, Role, Rule};
use crate::control::{Decision, Memory, Outcome, Policy, PvPolicy, decide};
use crate::reading::{DeviceName, Reading};
use crate::sim::BatteryPlant;
use crate::state::{BatteryState, DemandMeter, GridState, Order, Orders, PvState, Snapshot};
use crate::units::Watts;

/// Steps up to here are run as they are, with dead time and ramp; within longer ones the loop is taken as closed.
const DYNAMIC: Duration = Duration::from_secs(5);
/// Rounds that decision and plant get to agree within a long step.
const ROUNDS: usize = 8;
/// Agreement: closer than this.
const AGREED: Watts = Watts::new(0.5);

/// A site on its way through recorded data.
#[derive(Clone, Debug)]
pub struct Replay {
    policy: Policy,
    memory: Memory,
    events: Vec<Event>,
    step: Duration,
    batteries: Vec<Battery>,
    demand: DemandMeter,
    pv: Option<DeviceName>,
    cap: Option<Watts>,
    elapsed: Duration,
    /// What the meters said at the start of the step before.
    seen: Option<Seen>,
}

#[derive(Clone, Debug)]
struct Battery {
    name: DeviceName,
    plant: BatteryPlant,
    /// As last told; `None` = its safe state.
    told: Option<Watts>,
}

/// What the meters said at one moment.
#[derive(Clone, Debug)]
struct Seen {
    at: Moment,
    grid: Option<Watts>,
    pv: Watts,
    batteries: Vec<Watts>,
}

/// What came of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Grid power, import positive.
    pub grid: Watts,
    /// PV after curtailment.
    pub pv: Watts,
    /// What each battery was told, and its AC power.
    pub batteries: Vec<(Option<Watts>, Watts)>,
    /// The plants' own consumption.
    pub standby: Watts,
    /// PV's limit.
    pub cap: Option<Watts>,
    /// What nobody could serve in a blackout.
    pub unserved: Watts,
    /// The rule that set the target.
    pub rule: Option<Arc<str>>,
    /// Why.
    pub reason: String,
    /// Bounds of the limit rules at the grid point.
    pub range: (Watts, Watts),
    /// Most import and least import (negative: most export) that a grid limit or export limit allowed.
    pub limits: (Option<Watts>, Option<Watts>),
}

impl Replay {
    /// A site before the first row. `step` is the rows' distance.
    ///
    /// # Errors
    /// A sentence where the config has no battery that a plant could be made of.
    pub fn new(config: &Config, events: Vec<Event>, step: Duration) -> Result<Self, String> {
        let mut policy = Policy::new(config);
        // Decides as if in charge: whether the site is in dry run is not what is asked here.
        policy.enabled = true;
        policy.interval = step;
        let has = |role: Role| config.devices.iter().any(|device| device.roles.contains(&role));
        if !has(Role::Pv) {
            // As with the grid meter: where the config has none, the inverter is replay's own.
            policy.pv.push(PvPolicy { name: DeviceName::new("pv") });
        }
        // The record has one PV power, so one inverter stands for all.
        policy.pv.truncate(1);
        let pv = policy.pv.first().map(|pv| pv.name.clone());
        let batteries = config.devices.iter().filter(|device| device.roles.contains(&Role::Battery));
        let batteries = batteries.map(Battery::new).collect::<Result<Vec<_>, _>>()?;
        let lengths = config.rules.iter().filter_map(|rule| match rule.rule {
            Rule::PeakShaving { window, .. } => window,
            _ => None,
        });
        let demand = DemandMeter::new(lengths, config.site.time_zone.clone(), step);
        let memory = Memory::default();
        let elapsed = Duration::ZERO;
        Ok(Self { policy, memory, events, step, batteries, demand, pv, cap: None, elapsed, seen: None })
    }

    /// The batteries' names, in the order of the config.
    pub fn names(&self) -> impl Iterator<Item = &DeviceName> {
        self.batteries.iter().map(|battery| &battery.name)
    }

    /// The batteries, as they are now.
    pub fn plants(&self) -> impl Iterator<Item = &BatteryPlant> {
        self.batteries.iter().map(|battery| &battery.plant)
    }

    /// Runs one row.
    pub fn step(&mut self, row: &Row) -> Step {
        let now = Moment { io: IoTime::after_start(self.elapsed), site: row.at };
        self.policy.has_pv |= row.pv > Watts::ZERO;
        let step = if !row.grid {
            self.blackout(row, now)
        } else if self.step <= DYNAMIC {
            self.dynamic(row, now)
        } else {
            self.closed(row, now)
        };
        self.elapsed += self.step;
        step
    }

    /// The plants' own consumption.
    fn standby(&self) -> Watts {
        self.plants().map(|plant| plant.plant.standby).sum()
    }

    /// A step of seconds: the meters are read at its start and show the step before; a setpoint acts after its dead time.
    fn dynamic(&mut self, row: &Row, now: Moment) -> Step {
        let powers: Vec<Watts> = self.plants().map(BatteryPlant::power).collect();
        let first = || Seen {
            at: now,
            grid: Some(row.load + self.standby() - row.pv - powers.iter().copied().sum()),
            pv: row.pv,
            batteries: powers.clone(),
        };
        let seen = self.seen.clone().unwrap_or_else(first);
        let decision = self.decided(row, &seen, now);
        self.take(&decision);
        let step = self.step;
        for battery in &mut self.batteries {
            if let Some(power) = battery.told {
                battery.plant.command(power);
            }
            battery.plant.step(step, true);
        }
        self.book(row, now, decision)
    }

    /// A longer step: decision and plant are iterated at its start until they agree, then held.
    fn closed(&mut self, row: &Row, now: Moment) -> Step {
        let before = self.memory.clone();
        let mut powers: Vec<Watts> = self.plants().map(|plant| plant.possible(plant.power(), self.step)).collect();
        // PV is as it would be free: a cap that is still needed comes back at once.
        let mut pv = row.pv;
        let mut rounds = 0;
        let decision = loop {
            rounds += 1;
            let grid = row.load + self.standby() - pv - powers.iter().copied().sum();
            let seen = Seen { at: now, grid: Some(grid), pv, batteries: powers.clone() };
            self.memory = before.clone();
            let decision = self.decided(row, &seen, now);
            self.take(&decision);
            let possible = |battery: &Battery| battery.plant.possible(battery.told.unwrap_or_default(), self.step);
            let next: Vec<Watts> = self.batteries.iter().map(possible).collect();
            let agreed = next.iter().zip(&powers).all(|(next, power)| (*next - *power).abs() < AGREED);
            if agreed || rounds == ROUNDS {
                break decision;
            }
            powers = next;
            pv = row.pv;
        };
        let step = self.step;
        for battery in &mut self.batteries {
            battery.plant.command(battery.told.unwrap_or_default());
            battery.plant.step(step, false);
        }
        self.book(row, now, decision)
    }

    /// No grid: the batteries carry the building by themselves, as far as they can.
    fn blackout(&mut self, row: &Row, now: Moment) -> Step {
        let powers: Vec<Watts> = self.plants().map(BatteryPlant::power).collect();
        let decision = self.decided(row, &Seen { at: now, grid: None, pv: row.pv, batteries: powers }, now);
        self.take(&decision);
        let (step, standby) = (self.step, self.standby());
        let mut needed = row.load + standby - row.pv;
        for battery in &mut self.batteries {
            battery.plant.command(needed);
            needed -= battery.plant.step(step, false);
        }
        let mut made = self.book(row, now, decision);
        made.unserved = needed.max(Watts::ZERO);
        made.pv = row.pv + needed.min(Watts::ZERO);
        made.grid = Watts::ZERO;
        made.reason = "Blackout: the batteries carry the building".to_owned();
        self.observe(now, Some(Watts::ZERO), made.pv);
        made
    }

    fn decided(&mut self, row: &Row, seen: &Seen, now: Moment) -> Decision {
        let snapshot = self.snapshot(row, seen, now);
        decide(&snapshot, &self.policy, &mut self.memory, now)
    }

    /// The devices are told.
    fn take(&mut self, decision: &Decision) {
        for battery in &mut self.batteries {
            let setpoint = decision.setpoints.iter().find(|setpoint| setpoint.device == battery.name);
            battery.told = setpoint.and_then(|setpoint| setpoint.value).map(Watts::new);
        }
        let pv = decision
            .setpoints
            .iter()
            .find(|setpoint| Some(&setpoint.device) == self.pv.as_ref() && &*setpoint.control == "pv");
        self.cap = pv.and_then(|setpoint| setpoint.value).map(Watts::new);
    }

    fn snapshot(&self, row: &Row, seen: &Seen, now: Moment) -> Snapshot {
        let max_age = (self.step * 3).max(Duration::from_secs(10));
        let reading = |power: Watts| Reading::good(power, seen.at);
        let sum = seen.batteries.iter().copied().sum();
        let batteries = self.batteries.iter().zip(&seen.batteries).map(|(battery, power)| {
            let most = Watts::new(f64::MAX);
            BatteryState {
                name: battery.name.clone(),
                power: Some(reading(*power)),
                soc: Some(Reading::good(battery.plant.soc(), now)),
                // What is stored and what fits bounds the step, as a battery reports it.
                max_charge: Some(Reading::good(-battery.plant.possible(-most, self.step), now)),
                max_discharge: Some(Reading::good(battery.plant.possible(most, self.step), now)),
                max_age,
                soc_max_age: max_age,
                limits_max_age: max_age,
                setpoint: None,
            }
        });
        let pv = self.pv.iter().map(|name| {
            let name = name.clone();
            PvState { name, power: Some(reading(seen.pv)), max_age, measured: false, limit: None }
        });
        Snapshot {
            at: now,
            grid: GridState {
                meter: None,
                power: seen.grid.map(reading),
                battery: Some(reading(sum)),
                max_age,
                ..GridState::default()
            },
            batteries: batteries.collect(),
            pv: pv.collect(),
            windows: self.demand.windows(now.site),
            orders: self.orders(row, now.site),
            clock_trusted: true,
            ..Snapshot::default()
        }
    }

    /// What is in force: import and export limits stand in the row, the peak's limit among the messages.
    fn orders(&self, row: &Row, now: SiteTime) -> Orders {
        let until = now + self.step;
        let order = |limit: Watts| Order { limit, until };
        let mut peak = self.events.iter().filter(|event| event.in_force(now)).filter_map(|event| match event.kind {
            EventKind::PeakLimit(limit) => Some(Order { limit, until: event.end }),
            EventKind::ImportLimit(_) | EventKind::OutageWarning => None,
        });
        Orders {
            import_limit: row.import_limit.map(order),
            export_limit: row.export_limit.map(order),
            // The last message counts.
            peak_limit: peak.next_back(),
        }
    }

    /// What the step came to.
    fn book(&mut self, row: &Row, now: Moment, decision: Decision) -> Step {
        let pv = self.cap.map_or(row.pv, |cap| row.pv.min(cap));
        let powers: Vec<Watts> = self.plants().map(BatteryPlant::power).collect();
        let standby = self.standby();
        let grid = row.load + standby - pv - powers.iter().copied().sum();
        self.observe(now, Some(grid), pv);
        let hard: BTreeSet<&str> = ["grid-limit", "export-limit"].into();
        let bounds = || decision.bounds.iter().filter(|bound| hard.contains(&*bound.rule));
        let most = bounds().filter_map(|bound| bound.most).reduce(Watts::min);
        let least = bounds().filter_map(|bound| bound.least).reduce(Watts::max);
        let (rule, reason) = match decision.outcome {
            Outcome::Target { rule, reason, .. } => (rule, reason),
            Outcome::None { reason } => (None, reason),
        };
        Step {
            grid,
            pv,
            batteries: self.batteries.iter().map(|battery| battery.told).zip(powers).collect(),
            standby,
            cap: self.cap,
            unserved: Watts::ZERO,
            rule,
            reason,
            range: decision.range,
            limits: (most, least),
        }
    }

    fn observe(&mut self, now: Moment, grid: Option<Watts>, pv: Watts) {
        if let Some(grid) = grid {
            self.demand.observe(now.site, grid);
        }
        let batteries = self.plants().map(BatteryPlant::power).collect();
        self.seen = Some(Seen { at: now, grid, pv, batteries });
    }
}

impl Battery {
    fn new(device: &DeviceConfig) -> Result<Self, String> {
        let missing = |key: &str| format!("battery `{}` has no {key}: replay needs to know it", device.name);
        let capacity = device.capacity.ok_or_else(|| missing("capacity"))?;
        let charge_max = device.charge_max.ok_or_else(|| missing("charge_max"))?;
        let discharge_max = device.discharge_max.ok_or_else(|| missing("discharge_max"))?;
        let soc = (device.soc_min, device.soc_max);
        let plant = BatteryPlant::new(device.plant.clone(), capacity, (charge_max, discharge_max), soc);
        Ok(Self { name: device.name.clone(), plant, told: None })
    }
}
