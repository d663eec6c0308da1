//! Simulated plants and the Modbus servers that serve them.

mod broker;
mod plant;

pub use broker::Broker;
pub use plant::BatteryPlant;
