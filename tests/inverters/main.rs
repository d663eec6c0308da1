//! Profiles of inverters and batteries: what their registers mean, what is read in which requests, what is written, and that
//! each driven one obeys, is kept, lapses by itself and gets its own settings back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail like tests"
)]

mod commands;
mod decoding;
#[path = "../profiles/device.rs"]
#[allow(dead_code, reason = "each test crate uses its part of it")]
mod device;
mod driven;
mod hostile;
mod plans;
mod rig;
mod site;
