//! Decisions to leases, and leases to safe states.
//!
//! Promises: a device that is told nothing any more goes to its safe state; at the end every device that was ever told
//! anything is left as its owner wishes, confirmed, within a stated time; what a device had before our first write is on
//! disk before that write. Never: a setpoint without an end.

mod ledger;
mod notebook;
mod task;

pub use ledger::{DispatchPolicy, Ledger};
pub use notebook::FileNotebook;
pub use task::{DispatchPorts, Wiring, at_rest, run};
