//! The demo's site: a workshop with PV and two batteries, and the config that the daemon gets for it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::device::{BatterySize, MeterScope};
use super::running::{Listen, Running};
use super::site::{DevicePlan, Model, SitePlan};
use super::world::{LoadShape, World};
use crate::clock::SiteTime;
use crate::config::PlantConfig;
use crate::units::{Soc, WattHours, Watts};

/// How many times faster than the devices' clock the demo's day goes: a day in three minutes.
pub const DEMO_SPEED: f64 = 480.0;
/// The demo's day.
pub const DEMO_DAY: Duration = Duration::from_secs(86_400);
/// The peak limit of the demo's config.
pub const DEMO_LIMIT: Watts = Watts::kw(90.0);

/// Midnight at the demo's site.
pub fn demo_start() -> SiteTime {
    const MIDNIGHT: i64 = 1_776_124_800; // 2026-04-14T00:00:00Z
    SiteTime::from_second(MIDNIGHT).unwrap_or_default()
}

/// The site: meter `grid`, inverter `roof`, batteries `battery-hall` (SunSpec 124) and `battery-office` (Victron GX), each
/// on a port of its own.
pub fn demo_site(seed: u64) -> SitePlan {
    let plant = PlantConfig {
        charge_efficiency: 0.95,
        discharge_efficiency: 0.95,
        standby: Watts::new(60.0),
        response_delay: Duration::from_millis(60),
        ramp: Some(Watts::kw(200.0)),
        initial_soc: Soc::from_percent(55.0),
    };
    let battery = |kwh, kw, initial| BatterySize {
        capacity: WattHours::kwh(kwh),
        charge_max: Watts::kw(kw),
        discharge_max: Watts::kw(kw),
        soc: (Soc::from_percent(5.0), Soc::FULL),
        plant: PlantConfig { initial_soc: Soc::from_percent(initial), ..plant.clone() },
    };
    let devices = [
        DevicePlan::new("grid", Model::Sdm630(MeterScope::Grid, false)),
        DevicePlan::new("roof", Model::SunSpecPv(Watts::kw(75.0))),
        DevicePlan::new("battery-hall", Model::SunSpecStorage(battery(90.0, 40.0, 60.0), None)),
        DevicePlan::new("battery-office", Model::VictronGx(battery(60.0, 25.0, 50.0))),
    ];
    SitePlan {
        world: World {
            seed,
            time_zone: jiff::tz::TimeZone::UTC,
            load_peak: Watts::kw(140.0),
            shape: LoadShape::Factory,
            pace: 24.0,
        },
        window: Duration::from_secs(1800),
        lines: devices.into_iter().map(|device| (Listen::loopback(), vec![device])).collect(),
    }
}

/// Where the demo's daemon finds what is not a device, and what it may do.
#[derive(Clone, Copy, Debug)]
pub struct DemoConfig<'a> {
    /// The demo's broker.
    pub broker: SocketAddr,
    /// Metrics and API.
    pub http: SocketAddr,
    /// Folder for the daemon's state.
    pub state_dir: &'a Path,
    /// Whether it controls, or only shows what it would do.
    pub enabled: bool,
}

impl DemoConfig<'_> {
    /// The daemon's config for the demo's devices as they are served.
    pub fn text(&self, site: &Running) -> String {
        let address = |name| site.address(name).map(ToString::to_string).unwrap_or_default();
        let Self { broker, http, state_dir, enabled } = self;

        let state_dir = toml::Value::from(state_dir.to_string_lossy().as_ref());
        let limit = DEMO_LIMIT.watts() / 1000.0;
        let (grid, roof, hall, office) =
            (address("grid"), address("roof"), address("battery-hall"), address("battery-office"));
        format!(
            r#"# The demo's site. A day passes in three minutes here, so devices are asked every 50 ms and a setpoint
# holds for 3 s; at a real site leave out `interval`, `max_age`, `gap`, `settle` and [control]'s times.

state_dir = {state_dir}

[site]
name = "demo"
time_zone = "UTC"

[[device]]
name = "grid"
role = "grid-meter"
profile = "eastron-sdm630"
address = "{grid}"
interval = "50 ms"
max_age = "1 s"
gap = "0 ms"

[[device]]
name = "roof"
role = "pv"
profile = "sunspec"
address = "{roof}"
interval = "100 ms"
max_age = "1 s"

[[device]]
name = "battery-hall"
role = "battery"
profile = "sunspec"
address = "{hall}"
interval = "50 ms"
max_age = "1 s"
settle = "250 ms"
capacity = "90 kWh"
charge_max = "40 kW"
discharge_max = "40 kW"
soc_min = "10 %"
soc_max = "95 %"

[[device]]
name = "battery-office"
role = "battery"
profile = "victron-gx"
address = "{office}"
unit_id = 100
interval = "50 ms"
max_age = "1 s"
settle = "250 ms"
capacity = "60 kWh"
charge_max = "25 kW"
discharge_max = "25 kW"
soc_min = "10 %"
soc_max = "95 %"

[[rule]]
kind = "peak-shaving"
limit = "{limit} kW"
window = "30 min"
margin = "1 kW"
hold = "70 %"        # what is below is kept for peaks, what is above is free for self-consumption

[[rule]]
kind = "self-consumption"

[tariff]
import = "0.31 EUR/kWh"
export = "0.08 EUR/kWh"
demand_charge = "12 EUR/kW"

[control]
enabled = {enabled}
interval = "100 ms"
lease = "3 s"

[mqtt]
broker = "mqtt://{broker}"

[http]
listen = "{http}"
"#
        )
    }
}

/// What the demo's energy costs: as in its config.
pub fn demo_tariff() -> crate::config::Tariff {
    crate::config::Tariff {
        import: Some(0.31),
        export: Some(0.08),
        demand_charge: Some(12.0),
        currency: Some("EUR".into()),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
