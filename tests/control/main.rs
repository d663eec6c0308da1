//! What control promises, seen from outside: a snapshot in, a decision out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail")]

mod batteries;
mod closed_loop;
mod documented;
mod freshness;
mod limits;
mod peak;
mod properties;
mod pv;
mod scene;
mod wishes;
