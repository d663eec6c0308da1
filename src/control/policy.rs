//! What control works on besides the snapshot: the rules and what is known of the devices beforehand.

use std::time::Duration;

use crate::config::{Config, DemandPeriod, DeviceConfig, Role, Rule, RuleConfig, Tariff};
use crate::profile::{BatteryControl, ControlKind, Profile};
use crate::reading::DeviceName;
use crate::units::{Soc, WattHours, Watts};

/// The rules and the devices they may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Top to bottom.
    pub rules: Vec<RuleConfig>,
    /// Batteries that can be told a power.
    pub batteries: Vec<BatteryPolicy>,
    /// Inverters that can be told a limit.
    pub pv: Vec<PvPolicy>,
    /// Whether there is any PV at the site, measured or not.
    pub has_pv: bool,
    /// For windows, months and days.
    pub time_zone: jiff::tz::TimeZone,
    /// How long a billed peak counts.
    pub demand_period: DemandPeriod,
    /// What this period's bill already holds.
    pub billed_peak: Option<Watts>,
    /// Decides at the latest this often.
    pub interval: Duration,
    /// Writes to the devices.
    pub enabled: bool,
}

/// One battery beforehand.
#[derive(Clone, Debug, PartialEq)]
pub struct BatteryPolicy {
    /// Its name.
    pub name: DeviceName,
    /// What its control really does.
    pub control: BatteryControl,
    /// Size between 0 and 100 %.
    pub capacity: Option<WattHours>,
    /// Most charging power, positive; `None` = as the device reports.
    pub charge_max: Option<Watts>,
    /// Most discharging power; `None` = as the device reports.
    pub discharge_max: Option<Watts>,
    /// Least power other than 0.
    pub min_power: Watts,
    /// Not discharged below.
    pub soc_min: Soc,
    /// Not charged above.
    pub soc_max: Soc,
    /// Fastest change, W a second.
    pub ramp: Option<Watts>,
    /// How long until a setpoint shows in its power.
    pub settle: Duration,
    /// Smaller changes are not worth a write.
    pub deadband: Watts,
}

/// One limitable inverter beforehand.
#[derive(Clone, Debug, PartialEq)]
pub struct PvPolicy {
    /// Its name.
    pub name: DeviceName,
}

impl Policy {
    /// From the config.
    pub fn new(config: &Config) -> Self {
        let Tariff { demand_period, billed_peak, .. } = config.tariff;
        Self {
            rules: config.rules.clone(),
            batteries: config.devices.iter().filter_map(BatteryPolicy::new).collect(),
            pv: config.devices.iter().filter_map(PvPolicy::new).collect(),
            has_pv: config.devices.iter().any(|d| d.roles.contains(&Role::Pv) || d.roles.contains(&Role::PvMeter)),
            time_zone: config.site.time_zone.clone(),
            demand_period,
            billed_peak,
            interval: config.control.interval,
            enabled: config.control.enabled,
        }
    }

    /// Whether a rule may ask for less PV, and there is an inverter that can be told so.
    pub fn may_curtail(&self) -> bool {
        let limits_export = |rule: &RuleConfig| matches!(rule.rule, Rule::GridLimit { .. } | Rule::ExportLimit { .. });
        !self.pv.is_empty() && self.rules.iter().any(limits_export)
    }
}

impl BatteryPolicy {
    /// `None` for a device that is no battery, or one that cannot be told a power.
    fn new(device: &DeviceConfig) -> Option<Self> {
        if !device.roles.contains(&Role::Battery) {
            return None;
        }
        let (control, settle, deadband, min_on) = match &device.profile {
            // A described battery: replay and simulate run it as an exact one.
            None => (BatteryControl::Exact, device.plant.response_delay, 0.0, 0.0),
            Some(profile) => profile.controls.iter().find_map(|control| match control.kind {
                ControlKind::BatteryPower(kind) => Some((kind, control.settle, control.deadband, control.min_on)),
                _ => None,
            })?,
        };
        Some(Self {
            name: device.name.clone(),
            control,
            capacity: device.capacity,
            charge_max: device.charge_max,
            discharge_max: device.discharge_max,
            min_power: device.min_power.max(Watts::new(min_on)),
            soc_min: device.soc_min,
            soc_max: device.soc_max,
            ramp: device.ramp,
            settle: device.overrides.settle.unwrap_or(settle),
            deadband: Watts::new(deadband),
        })
    }
}

impl PvPolicy {
    fn new(device: &DeviceConfig) -> Option<Self> {
        if !device.roles.contains(&Role::Pv) {
            return None;
        }
        let takes_limit = |profile: &Profile| profile.controls.iter().any(|c| c.kind == ControlKind::PowerLimit);
        // A described inverter takes one, too.
        device.profile.as_deref().is_none_or(takes_limit).then(|| Self { name: device.name.clone() })
    }
}
