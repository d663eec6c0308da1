//! Simulated plants and the Modbus servers that serve them.

mod plant;

pub use plant::BatteryPlant;
