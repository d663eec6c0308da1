//! The plan of a simulated site: which devices, where they listen.

use std::net::SocketAddr;
use std::time::Duration;

use super::bank::SharedBank;
use super::building::Building;
use super::device::sunspec::{SunSpecMeter, SunSpecPv, SunSpecStorage};
use super::device::{
    BatterySize, HuaweiSun2000, KostalPlenticore, MeterScope, RelayBoard, Sdm630, Sma, SolarEdge, SungrowSh, VictronGx,
};
use super::running::{LinePlan, Listen};
use super::server::Framing;
use super::world::World;
use crate::clock::Moment;
use crate::reading::DeviceName;
use crate::units::Watts;

/// A site to be simulated.
#[derive(Clone, Debug)]
pub struct SitePlan {
    /// Load and sun.
    pub world: World,
    /// Window of the demand charge.
    pub window: Duration,
    /// Lines and the devices on them.
    pub lines: Vec<(Listen, Vec<DevicePlan>)>,
}

/// A device to be simulated.
#[derive(Clone, Debug)]
pub struct DevicePlan {
    /// Its name.
    pub name: DeviceName,
    /// Modbus unit id.
    pub unit: u8,
    /// What it is.
    pub model: Model,
}

/// What a simulated device is.
#[derive(Clone, Debug)]
pub enum Model {
    /// Eastron SDM630; `true`: its CTs are mounted the wrong way round.
    Sdm630(MeterScope, bool),
    /// A SunSpec meter (203), likewise.
    SunSpecMeter(MeterScope, bool),
    /// A SunSpec PV inverter (103, 123) of this peak power.
    SunSpecPv(Watts),
    /// A SunSpec battery inverter (103, 123, 124, 160), a hybrid with PV of this peak power.
    SunSpecStorage(BatterySize, Option<Watts>),
    /// A Victron GX with its battery.
    VictronGx(BatterySize),
    /// A hybrid of another make, with PV of this peak power.
    Hybrid(Make, BatterySize, Option<Watts>),
    /// A relay board.
    Relay,
}

/// Makes of hybrids with registers of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// Fronius GEN24, by SunSpec.
    Fronius,
    /// Huawei SUN2000.
    Huawei,
    /// Kostal Plenticore.
    Kostal,
    /// SMA Tripower Smart Energy; Sunny Island where it has no PV.
    Sma,
    /// SolarEdge StorEdge.
    SolarEdge,
    /// Sungrow SH.
    Sungrow,
}

/// Time-out of an SMA's set-point, where its owner set it as the profile wants it.
const SMA_TIME_OUT: Duration = Duration::from_secs(60);

impl SitePlan {
    /// Builds it. Site time begins at `start` and runs `speed` times as fast as the devices' clock.
    pub fn build(self, start: Moment, speed: f64) -> (Building, Vec<LinePlan>) {
        let mut building = Building::new(self.world, start, speed, self.window);
        let mut serial = 10_000_000;
        let mut add = |device: DevicePlan| {
            serial += 1;
            (device.name.clone(), device.unit, device.add_to(&mut building, speed, serial))
        };
        let lines = self.lines.into_iter();
        let lines = lines
            .map(|(listen, devices)| LinePlan { listen, units: devices.into_iter().map(&mut add).collect() })
            .collect();
        (building, lines)
    }
}

impl DevicePlan {
    /// A device; its unit id is that of the maker.
    pub fn new(name: &str, model: Model) -> Self {
        let unit = match model {
            Model::VictronGx(_) => 100,
            Model::Hybrid(Make::Kostal, ..) => 71,
            Model::Hybrid(Make::Sma, ..) => 3,
            _ => 1,
        };
        Self { name: DeviceName::new(name), unit, model }
    }

    fn add_to(self, building: &mut Building, speed: f64, serial: u32) -> SharedBank {
        let (name, text) = (self.name, serial.to_string());
        match self.model {
            Model::Sdm630(scope, reversed) => building.add(name, Sdm630::new(scope, reversed, serial)),
            Model::SunSpecMeter(scope, reversed) => building.add(name, SunSpecMeter::new(scope, reversed, &text)),
            Model::SunSpecPv(peak) => building.add(name, SunSpecPv::new(peak, &text)),
            Model::SunSpecStorage(size, pv) => building.add(name, SunSpecStorage::new(size, pv, speed, &text)),
            Model::VictronGx(size) => building.add(name, VictronGx::new(size, speed)),
            Model::Hybrid(make, size, pv) => match make {
                Make::Fronius => {
                    let device = SunSpecStorage::new(size, pv, speed, &text);
                    building.add(name, device.made_by("Fronius", "Symo GEN24 10.0 Plus"))
                }
                Make::Huawei => building.add(name, HuaweiSun2000::new(size, pv, speed)),
                Make::Kostal => building.add(name, KostalPlenticore::new(size, pv, speed)),
                Make::Sma => building.add(name, Sma::new(size, pv, SMA_TIME_OUT, speed)),
                Make::SolarEdge => building.add(name, SolarEdge::new(size, pv, speed)),
                Make::Sungrow => building.add(name, SungrowSh::new(size, pv, speed)),
            },
            Model::Relay => building.add(name, RelayBoard::default()),
        }
    }
}

impl Listen {
    /// Modbus TCP on a free port of this machine.
    pub fn loopback() -> Self {
        Self::Socket(SocketAddr::from(([127, 0, 0, 1], 0)), Framing::Tcp)
    }
}
