//! Profiles of inverters and batteries: what their registers mean, what is read in which requests, and that each driven one
//! obeys, is kept, lapses by itself and gets its own settings back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail like tests"
)]

mod decoding;
mod driven;
mod plans;
mod rig;
