//! Simulated plants and the Modbus servers that serve them.

mod plant;
pub mod replay;

pub use plant::BatteryPlant;
