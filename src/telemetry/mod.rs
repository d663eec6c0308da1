//! Records of what was read and decided, and the store in which they wait for the broker.
//!
//! Promises: a record leaves the store when the broker has acknowledged it, and not before; the store is bounded, drops
//! the oldest, and counts what it drops.

mod record;
mod store;

pub use record::Record;
pub use store::{MemoryStore, Store, StoreStats};
