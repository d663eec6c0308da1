//! Devices as their registers show them, written by hand from the makers' documents: nothing here comes from the daemon's
//! profiles.

mod battery;
mod electric;
mod relay;
mod sdm630;
pub mod sunspec;
mod table;
mod victron;

pub use battery::{BatterySize, BatteryUnit};
pub use relay::RelayBoard;
pub use sdm630::{MeterScope, Sdm630};
pub use table::{Behaviour, Fed, TableDevice, Watchdog};
pub use victron::VictronGx;
