//! The site at one moment, as control, telemetry and metrics see it.

use std::sync::Arc;
use std::time::Duration;

use super::DeviceState;
use crate::bus::SetpointReport;
use crate::clock::{Moment, SiteTime};
use crate::reading::{DeviceName, Reading};
use crate::units::{Soc, WattHours, Watts};

/// The site at one moment. Published by the hub on each reading of the grid meter, else at most 10 times a second.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When it was made.
    pub at: Moment,
    /// The connection point.
    pub grid: GridState,
    /// Batteries, in config order.
    pub batteries: Vec<BatteryState>,
    /// PV, in config order.
    pub pv: Vec<PvState>,
    /// Measured loads, chargers, heat pumps, relays, in config order.
    pub loads: Vec<LoadState>,
    /// Running demand windows, one for each length that a rule asks for.
    pub windows: Vec<DemandWindow>,
    /// What is ordered from outside at present.
    pub orders: Orders,
    /// All devices with all points.
    pub devices: Vec<Arc<DeviceState>>,
    /// The wall clock may be trusted: no month and no window rolls over before.
    pub clock_trusted: bool,
}

/// Orders from outside that are in force: a grid operator's limits, the peak limit of a billing period.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Orders {
    /// Most import, positive (`grid-limit`).
    pub import_limit: Option<Order>,
    /// Most export, positive (`grid-limit`, `export-limit`).
    pub export_limit: Option<Order>,
    /// The limit of `peak-shaving` with `limit = "auto"`.
    pub peak_limit: Option<Order>,
}

/// One order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order {
    /// The limit.
    pub limit: Watts,
    /// It ends here, whatever else is heard.
    pub until: SiteTime,
}

/// The connection point.
#[derive(Clone, Debug, Default)]
pub struct GridState {
    /// The grid meter's name; `None` where there is none.
    pub meter: Option<DeviceName>,
    /// Power, import positive.
    pub power: Option<Reading<Watts>>,
    /// Sum of the batteries' powers, discharge positive, at the moment of `power` (aligned by the hub); `None` while a
    /// battery that is up has no power of that time.
    pub battery: Option<Reading<Watts>>,
    /// All that feeds the busbar besides the grid, at the moment of `power`: the AC powers of inverters and batteries,
    /// each once (a hybrid by its AC side, what a PV meter measures by the meter). `None` while a part is not known.
    pub feed: Option<Reading<Watts>>,
    /// Import counter.
    pub imported: Option<Reading<WattHours>>,
    /// Export counter.
    pub exported: Option<Reading<WattHours>>,
    /// Readings older than this are stale.
    pub max_age: Duration,
}

/// One battery.
#[derive(Clone, Debug)]
pub struct BatteryState {
    /// Its name.
    pub name: DeviceName,
    /// Power, discharge positive.
    pub power: Option<Reading<Watts>>,
    /// State of charge.
    pub soc: Option<Reading<Soc>>,
    /// Most charging power that the device reports, positive.
    pub max_charge: Option<Reading<Watts>>,
    /// Most discharging power that the device reports, positive.
    pub max_discharge: Option<Reading<Watts>>,
    /// Readings of power older than this are stale.
    pub max_age: Duration,
    /// Readings of the SoC older than this are stale.
    pub soc_max_age: Duration,
    /// Device-reported limits older than this are not used.
    pub limits_max_age: Duration,
    /// The last word of the bus on its setpoint.
    pub setpoint: Option<SetpointReport>,
}

/// One PV inverter (or the PV side of a hybrid).
#[derive(Clone, Debug)]
pub struct PvState {
    /// Its name.
    pub name: DeviceName,
    /// Power, generation positive.
    pub power: Option<Reading<Watts>>,
    /// Readings older than this are stale.
    pub max_age: Duration,
    /// A meter of the site measures it: sums count the meter.
    pub measured: bool,
    /// The last word of the bus on its power limit; `None` where it takes none or was never told.
    pub limit: Option<SetpointReport>,
}

/// One measured or switched load.
#[derive(Clone, Debug)]
pub struct LoadState {
    /// Its name.
    pub name: DeviceName,
    /// Power consumed, positive.
    pub power: Option<Reading<Watts>>,
    /// Readings older than this are stale.
    pub max_age: Duration,
}

/// A running demand window, aligned to the site's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DemandWindow {
    /// Its length.
    pub length: Duration,
    /// When it began.
    pub start: SiteTime,
    /// Import seen in it so far.
    pub imported: WattHours,
    /// Time of it so far for which no reading vouches (its beginning was not seen, or a gap). Whoever reckons with the
    /// window counts this time as if it had run at the limit.
    pub unseen: Duration,
    /// Time of it so far, unseen time included.
    pub elapsed: Duration,
    /// What the import counter stood at when it began, where that was seen.
    pub counter_at_start: Option<WattHours>,
    /// The window before, once it is complete.
    pub last: Option<WindowMean>,
}

/// A completed window.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct WindowMean {
    /// When it began.
    pub start: SiteTime,
    /// Mean import over the time that was seen.
    pub mean: Watts,
    /// Time of it that was not seen.
    pub unseen: Duration,
}

impl DemandWindow {
    /// Time left in it.
    pub fn left(&self) -> Duration {
        self.length.saturating_sub(self.elapsed)
    }
}
