//! A simulated building: plants on a busbar, devices that show them in their registers, and Modbus servers for these.
//!
//! Serves `demo`, `simulate`, tests and docs. The devices and servers share no code with the daemon's profiles, codec and
//! client, so that a wrong decoder shows. Time is handed in: the same seed and steps give the same day.

mod bank;
mod building;
mod busbar;
mod demo_site;
pub mod device;
mod fault;
mod from_config;
mod ledger;
mod line;
mod moved;
mod pdu;
mod broker;
mod plant;
mod running;
mod server;
mod site;
mod world;
pub mod replay;

pub use bank::{Exception, RegisterBank, Registers, SharedBank, Table};
pub use broker::Broker;
pub use building::{Building, Truth};
pub use busbar::{Balance, Feed, Part, Step};
pub use demo_site::{DEMO_DAY, DEMO_LIMIT, DEMO_SPEED, DemoConfig, demo_site, demo_start, demo_tariff};
pub use fault::{AnyFault, Fault, LineFault};
pub use from_config::{Wanted, site_plan};
pub use ledger::Ledger;
pub use line::{Line, Traffic, Unit, Written};
pub use moved::moved;
pub use plant::BatteryPlant;
pub use running::{LinePlan, Listen, OpenLine, Running};
pub use server::{Framing, listen, serve_rtu, serve_tcp};
pub use site::{DevicePlan, Make, Model, SitePlan};
pub use world::{LoadShape, World};
