//! Profiles as the bus uses them: registers in, readings and writes out. The device here is a table of registers that
//! knows nothing of the codec.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail like tests"
)]

mod decoding;
mod device;
mod driving;
mod hostile;
mod sunspec;
