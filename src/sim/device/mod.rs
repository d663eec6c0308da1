//! Devices as their registers show them, written by hand from the makers' documents: nothing here comes from the daemon's
//! profiles.

mod battery;
mod electric;
mod huawei;
mod hybrid;
mod kostal;
mod relay;
mod sdm630;
mod sma;
mod solaredge;
mod sungrow;
pub mod sunspec;
mod table;
mod victron;

pub use battery::{BatterySize, BatteryUnit};
pub use huawei::HuaweiSun2000;
pub use kostal::KostalPlenticore;
pub use relay::RelayBoard;
pub use sdm630::{MeterScope, Sdm630};
pub use sma::Sma;
pub use solaredge::SolarEdge;
pub use sungrow::SungrowSh;
pub use table::{Behaviour, Fed, TableDevice, Watchdog};
pub use victron::VictronGx;
