//! A simulated site in a thread of its own, beside the daemon's process.

use std::time::Duration;

use wattkeeper::bus::Address;
use wattkeeper::clock::Clock;
use wattkeeper::config::PlantConfig;
use wattkeeper::sim::device::{BatterySize, MeterScope};
use wattkeeper::sim::{
    AnyFault, DevicePlan, Fault, LineFault, Listen, LoadShape, Model, Running, SitePlan, Table, Traffic, World,
};
use wattkeeper::units::{Soc, WattHours, Watts};

/// A meter, a SunSpec battery and a Victron GX, each on a port of its own, under a constant load.
pub struct Yard {
    runtime: tokio::runtime::Runtime,
    site: Running,
}

impl Yard {
    /// A site with this load.
    pub fn new(load: Watts) -> Self {
        let battery = BatterySize {
            capacity: WattHours::kwh(50.0),
            charge_max: Watts::kw(20.0),
            discharge_max: Watts::kw(20.0),
            soc: (Soc::from_percent(5.0), Soc::FULL),
            plant: PlantConfig { initial_soc: Soc::from_percent(50.0), ..PlantConfig::default() },
        };
        let devices = [
            DevicePlan::new("grid", Model::Sdm630(MeterScope::Grid, false)),
            DevicePlan::new("hall", Model::SunSpecStorage(battery.clone(), None)),
            DevicePlan::new("office", Model::VictronGx(battery)),
        ];
        let plan = SitePlan {
            world: World {
                seed: 1,
                time_zone: jiff::tz::TimeZone::UTC,
                load_peak: load,
                shape: LoadShape::Constant,
                pace: 1.0,
            },
            window: Duration::from_secs(900),
            lines: devices.into_iter().map(|device| (Listen::loopback(), vec![device])).collect(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let site = runtime.block_on(async {
            let clock = Clock::system();
            let (building, lines) = plan.build(clock.now(), 1.0);
            Running::start(building, lines, clock).await.unwrap()
        });
        Self { runtime, site }
    }

    /// A config for it, with these rules and this `[control]`.
    pub fn config(&self, folder: &std::path::Path, enabled: bool, rest: &str) -> String {
        let address = |name| self.site.address(name).map(Address::to_string).unwrap();
        format!(
            r#"state_dir = "{state}"
[site]
name = "yard"
time_zone = "UTC"
[http]
listen = "127.0.0.1:0"
[control]
enabled = {enabled}
interval = "200 ms"
lease = "2 s"
[[device]]
name = "grid"
role = "grid-meter"
profile = "eastron-sdm630"
address = "{grid}"
interval = "100 ms"
max_age = "1 s"
gap = "0 ms"
[[device]]
name = "hall"
role = "battery"
profile = "sunspec"
address = "{hall}"
interval = "100 ms"
max_age = "1 s"
timeout = "500 ms"
capacity = "50 kWh"
charge_max = "20 kW"
discharge_max = "20 kW"
[[device]]
name = "office"
role = "battery"
profile = "victron-gx"
address = "{office}"
interval = "100 ms"
max_age = "1 s"
timeout = "500 ms"
capacity = "50 kWh"
charge_max = "20 kW"
discharge_max = "20 kW"
{rest}
"#,
            state = folder.join("state").display(),
            grid = address("grid"),
            hall = address("hall"),
            office = address("office"),
        )
    }

    /// Where a device is served.
    pub fn address(&self, name: &str) -> Address {
        self.site.address(name).unwrap().clone()
    }

    /// Grid power in truth.
    pub fn grid(&self) -> Watts {
        self.site.truth().balance.grid
    }

    /// Switches a fault of a device.
    pub fn fault(&self, name: &str, fault: Fault) {
        assert!(self.site.fault(name, AnyFault::Device(fault)));
    }

    /// Switches a fault of a device's line.
    pub fn line_fault(&self, name: &str, fault: LineFault) {
        let _on = self.runtime.enter();
        assert!(self.site.fault(name, AnyFault::Line(fault)));
    }

    /// What passed to and from a device.
    pub fn traffic(&self, name: &str) -> Traffic {
        self.site.unit(name).unwrap().1.traffic()
    }

    /// Holding registers of a device, past all faults.
    pub fn peek(&self, name: &str, start: u16, count: u16) -> Vec<u16> {
        self.site.unit(name).unwrap().1.peek(Table::Holding, start, count).unwrap()
    }

    /// A register of the SunSpec battery's storage model, found by walking the chain as the standard has it.
    pub fn storage(&self, offset: u16) -> u16 {
        let mut at = 40_002;
        for _ in 0..20 {
            let header = self.peek("hall", at, 2);
            match header[0] {
                124 => return self.peek("hall", at + offset, 1)[0],
                0xffff => break,
                _ => at += 2 + header[1],
            }
        }
        panic!("no model 124");
    }

    /// The Victron's grid setpoint (2716, i32).
    pub fn grid_setpoint(&self) -> i32 {
        let words = self.peek("office", 2716, 2);
        (i32::from(words[0].cast_signed()) << 16) | i32::from(words[1])
    }
}

/// Offset of `StorCtl_Mod` in model 124.
pub const STOR_CTL_MOD: u16 = 5;
/// Offset of `InOutWRte_RvrtTms` in model 124.
pub const RVRT_TMS: u16 = 15;
