//! Records of what was read and decided, and the store in which they wait for the broker.
//!
//! Promises: a record leaves the store when the broker has acknowledged it, and not before; the store is bounded, drops
//! the oldest, and counts what it drops.

mod decision;
mod json;
mod outbox;
mod points;
mod record;
mod store;
mod task;
mod topics;

pub use decision::write_decision;
pub use json::Json;
pub use outbox::Outbox;
pub use points::Points;
pub use record::Record;
pub use store::{MemoryStore, Store, StoreStats};
pub use task::{Naming, TelemetryPorts, Writer, group_names, run};
pub use topics::Topics;

#[cfg(test)]
mod tests;
