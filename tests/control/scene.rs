//! A site in a few words, for the tables of the other files. Powers in kW, SoC in %.

use std::time::Duration;

use wattkeeper::clock::{IoTime, Moment, SiteTime};
use wattkeeper::config::{DemandPeriod, PeakLimit, Rule, RuleConfig, TimeOfDay, Weekdays};
use wattkeeper::control::{BatteryPolicy, BoundRecord, Decision, Memory, Outcome, Policy, PvPolicy, Setpoint, decide};
use wattkeeper::profile::BatteryControl;
use wattkeeper::reading::{DeviceName, Reading};
use wattkeeper::state::{BatteryState, DemandWindow, GridState, Order, Orders, PvState, Snapshot};
use wattkeeper::units::{Soc, WattHours, Watts};

pub const AGE: Duration = Duration::from_secs(10);

pub fn kw(value: f64) -> Watts {
    Watts::kw(value)
}

pub fn percent(value: f64) -> Soc {
    Soc::from_percent(value)
}

pub fn seconds(value: u64) -> Duration {
    Duration::from_secs(value)
}

/// One site at one moment. The clock says Monday 2 March 2026, 12:00 UTC, and has run for an hour.
#[derive(Clone, Debug)]
pub struct Scene {
    pub policy: Policy,
    pub snapshot: Snapshot,
    pub memory: Memory,
    pub now: Moment,
}

impl Scene {
    /// Without rules; one battery of 30 kWh, 15 kW, 10 to 95 %, half full and idle; the grid gives `grid` kW.
    pub fn new(grid: f64, rules: impl IntoIterator<Item = Rule>) -> Self {
        let site: SiteTime = "2026-03-02T12:00:00Z".parse().unwrap();
        let now = Moment { io: IoTime::after_start(seconds(3600)), site };
        let rules = rules.into_iter().zip(1..).map(|(rule, line)| RuleConfig { rule, line }).collect();
        let policy = Policy {
            rules,
            batteries: Vec::new(),
            pv: Vec::new(),
            has_pv: true,
            time_zone: jiff::tz::TimeZone::UTC,
            demand_period: DemandPeriod::Month,
            billed_peak: None,
            interval: seconds(1),
            enabled: true,
        };
        let mut scene = Self { policy, snapshot: Snapshot::default(), memory: Memory::default(), now };
        scene.snapshot.clock_trusted = true;
        scene.snapshot.at = now;
        scene.snapshot.grid = GridState { meter: Some(DeviceName::new("grid")), max_age: AGE, ..GridState::default() };
        scene.grid(grid);
        scene.battery(0.0, 50.0);
        scene
    }

    pub fn without_battery(mut self) -> Self {
        self.policy.batteries.clear();
        self.snapshot.batteries.clear();
        self.align();
        self
    }

    /// A further battery like the first, at a power and SoC.
    pub fn with_battery(mut self, power: f64, soc: f64) -> Self {
        self.battery(power, soc);
        self
    }

    /// An inverter that can be limited.
    pub fn with_pv(mut self, power: f64) -> Self {
        let name = DeviceName::new(format!("pv-{}", self.policy.pv.len() + 1));
        self.policy.pv.push(PvPolicy { name: name.clone() });
        let power = Some(Reading::good(kw(power), self.now));
        self.snapshot.pv.push(PvState { name, power, max_age: AGE, measured: false, limit: None });
        self
    }

    /// The nth battery otherwise: what is known beforehand, and what it says.
    pub fn tune(mut self, index: usize, change: impl FnOnce(&mut BatteryPolicy, &mut BatteryState)) -> Self {
        change(&mut self.policy.batteries[index], &mut self.snapshot.batteries[index]);
        self.align();
        self
    }

    pub fn at(mut self, clock: &str) -> Self {
        self.now.site = format!("{clock}Z").parse().unwrap();
        let now = self.now;
        self.refresh(now);
        self
    }

    pub fn orders(mut self, import: Option<f64>, export: Option<f64>, peak: Option<f64>) -> Self {
        let until = self.now.site + seconds(60);
        let order = |limit: Option<f64>| limit.map(|limit| Order { limit: kw(limit), until });
        self.snapshot.orders =
            Orders { import_limit: order(import), export_limit: order(export), peak_limit: order(peak) };
        self
    }

    /// A running window: so many minutes long, kWh so far, seconds gone and unseen.
    pub fn window(mut self, minutes: u64, imported: f64, elapsed: u64, unseen: u64) -> Self {
        let (length, elapsed, unseen) = (seconds(minutes * 60), seconds(elapsed), seconds(unseen));
        let start = self.now.site - elapsed;
        let imported = WattHours::kwh(imported);
        self.snapshot.windows.push(DemandWindow {
            length,
            start,
            imported,
            unseen,
            elapsed,
            counter_at_start: None,
            last: None,
        });
        self
    }

    pub fn grid(&mut self, power: f64) {
        self.snapshot.grid.power = Some(Reading::good(kw(power), self.now));
    }

    fn battery(&mut self, power: f64, soc: f64) {
        let name = DeviceName::new(format!("battery-{}", self.policy.batteries.len() + 1));
        self.policy.batteries.push(BatteryPolicy {
            name: name.clone(),
            control: BatteryControl::Exact,
            capacity: Some(WattHours::kwh(30.0)),
            charge_max: Some(kw(15.0)),
            discharge_max: Some(kw(15.0)),
            min_power: Watts::ZERO,
            soc_min: percent(10.0),
            soc_max: percent(95.0),
            ramp: None,
            settle: seconds(1),
            deadband: Watts::ZERO,
        });
        self.snapshot.batteries.push(BatteryState {
            name,
            power: Some(Reading::good(kw(power), self.now)),
            soc: Some(Reading::good(percent(soc), self.now)),
            max_charge: None,
            max_discharge: None,
            max_age: AGE,
            soc_max_age: AGE,
            limits_max_age: AGE,
            setpoint: None,
        });
        self.align();
    }

    /// As the hub does: the sum of the batteries' powers, or none while one of them has none.
    pub fn align(&mut self) {
        let now = self.now;
        let sum = self.snapshot.batteries.iter().map(|battery| battery.power?.fresh(now, AGE).ok());
        self.snapshot.grid.battery = sum.sum::<Option<Watts>>().map(|sum| Reading::good(sum, now));
    }

    /// All that was read is read again at `now`, with the same values.
    pub fn refresh(&mut self, now: Moment) {
        fn again<T: Copy>(reading: &mut Option<Reading<T>>, now: Moment) {
            *reading = reading.and_then(|reading| reading.show()).map(|value| Reading::good(value, now));
        }
        (self.now, self.snapshot.at) = (now, now);
        again(&mut self.snapshot.grid.power, now);
        for battery in &mut self.snapshot.batteries {
            again(&mut battery.power, now);
            again(&mut battery.soc, now);
        }
        self.snapshot.pv.iter_mut().for_each(|pv| again(&mut pv.power, now));
        self.align();
    }

    pub fn later(&mut self, time: Duration) {
        let now = Moment { io: self.now.io + time, site: self.now.site + time };
        self.refresh(now);
    }

    /// The batteries do what they were told, and the meter sees it.
    pub fn obey(&mut self, decision: &Decision) {
        let before: Watts = self.snapshot.batteries.iter().filter_map(|b| b.power?.show()).sum();
        for battery in &mut self.snapshot.batteries {
            let told = decision.setpoints.iter().find(|setpoint| setpoint.device == battery.name);
            if let Some(value) = told.and_then(|setpoint| setpoint.value) {
                battery.power = Some(Reading::good(Watts::new(value), self.now));
            }
        }
        let after: Watts = self.snapshot.batteries.iter().filter_map(|b| b.power?.show()).sum();
        let grid = self.snapshot.grid.power.unwrap().show().unwrap();
        self.snapshot.grid.power = Some(Reading::good(grid + before - after, self.now));
        self.align();
    }

    pub fn decide(&mut self) -> Decision {
        decide(&self.snapshot, &self.policy, &mut self.memory, self.now)
    }

    /// The battery setpoints in kW, rounded to a watt; NaN where there is none.
    pub fn powers(&mut self) -> Vec<f64> {
        powers(&self.decide())
    }

    pub fn one(&mut self) -> f64 {
        self.powers()[0]
    }
}

pub fn powers(decision: &Decision) -> Vec<f64> {
    let batteries = decision.setpoints.iter().filter(|setpoint| &*setpoint.control == "battery");
    batteries.map(|setpoint| setpoint.value.map_or(f64::NAN, |watts| watts.round() / 1000.0 + 0.0)).collect()
}

pub fn caps(decision: &Decision) -> Vec<Option<f64>> {
    let inverters = decision.setpoints.iter().filter(|setpoint| &*setpoint.control == "pv");
    inverters.map(|setpoint| setpoint.value.map(|watts| watts.round() / 1000.0)).collect()
}

pub fn setpoint<'a>(decision: &'a Decision, device: &str) -> &'a Setpoint {
    decision.setpoints.iter().find(|setpoint| setpoint.device.as_str() == device).unwrap()
}

pub fn bound<'a>(decision: &'a Decision, rule: &str) -> &'a BoundRecord {
    decision.bounds.iter().find(|bound| &*bound.rule == rule).unwrap()
}

pub fn reason(decision: &Decision) -> &str {
    match &decision.outcome {
        Outcome::Target { reason, .. } | Outcome::None { reason } => reason,
    }
}

pub fn rule(decision: &Decision) -> Option<&str> {
    match &decision.outcome {
        Outcome::Target { rule, .. } => rule.as_deref(),
        Outcome::None { .. } => None,
    }
}

pub fn target(decision: &Decision) -> f64 {
    match &decision.outcome {
        Outcome::Target { target, .. } => target.watts().round() / 1000.0,
        Outcome::None { .. } => f64::NAN,
    }
}

pub fn self_consumption() -> Rule {
    Rule::SelfConsumption { target: Watts::ZERO }
}

pub fn grid_limit(import: Option<f64>, export: Option<f64>) -> Rule {
    Rule::GridLimit { import: import.map(kw), export: export.map(kw) }
}

/// Holds nothing back for peaks, so that only the limit itself shows.
pub fn peak(limit: f64, minutes: u64) -> Rule {
    held_peak(limit, minutes, 0.0)
}

pub fn held_peak(limit: f64, minutes: u64, hold: f64) -> Rule {
    let window = (minutes > 0).then(|| seconds(minutes * 60));
    Rule::PeakShaving { limit: PeakLimit::Fixed(kw(limit)), window, margin: Watts::ZERO, hold: Some(percent(hold)) }
}

pub fn auto_peak(minutes: u64) -> Rule {
    let window = (minutes > 0).then(|| seconds(minutes * 60));
    Rule::PeakShaving { limit: PeakLimit::Auto, window, margin: Watts::ZERO, hold: Some(Soc::EMPTY) }
}

pub fn reserve(soc: f64, recharge: f64) -> Rule {
    Rule::Reserve { soc: percent(soc), hysteresis: percent(5.0), recharge: kw(recharge) }
}

pub fn charge_window(from: (u16, u16), to: (u16, u16), soc: f64, power: Option<f64>) -> Rule {
    let time = |(hour, minute)| TimeOfDay(hour * 60 + minute);
    let days = Weekdays::ALL;
    Rule::ChargeWindow { from: time(from), to: time(to), days, soc: percent(soc), power: power.map(kw) }
}
