//! SunSpec devices ("SunSpec Information Model Specification", model tables of the SunSpec Alliance): a chain of models
//! from register 40000 on.

mod chain;
mod limit;
mod meter;
mod pv;
mod storage;

pub use meter::SunSpecMeter;
pub use pv::{PvArray, SunSpecPv};
pub use storage::SunSpecStorage;

#[cfg(test)]
mod tests;
