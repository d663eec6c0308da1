//! The control core: `decide(&Snapshot, &Policy, &mut Memory, now) -> Decision`. Pure: no I/O, no async, no clock.
//!
//! Limit rules only bound, and all of them bound first; then the topmost wish, clamped, is the target at the grid point;
//! the allocator makes setpoints of it. Promises: no bound of a limit rule is broken where a device could keep it; no
//! battery feeds another; a stale input is never used; the same input gives the same decision.

mod allocate;
mod billing;
mod bounds;
mod curtail;
mod decide;
mod decision;
mod memory;
mod net;
mod pace;
mod policy;
mod rule;
mod site;
mod trouble;

pub use billing::Billed;
pub use decide::decide;
pub use decision::{BoundRecord, Decision, DemandRecord, InputRecord, Outcome, Setpoint, Standing};
pub use memory::{CapMemory, Means, Memory, PeakMemory, Recent};
pub use policy::{BatteryPolicy, Policy, PvPolicy};
pub use trouble::Trouble;
