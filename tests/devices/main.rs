//! Devices of many makers: what each profile reads and means, and its control against a device that behaves as its maker
//! says. The devices are tables of registers that know nothing of the codec; between them and the profile stands the bus.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail like tests"
)]

mod bench;
mod catalogue;
mod chargers;
mod loads;
mod reading;
mod reference;
mod relays;
