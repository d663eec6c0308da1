//! One bus = one connection (a TCP socket or a serial line) with all units on it, owned by one task.
//!
//! Promises: one request in flight; no late answer is ever taken for a newer one; writes go before reads; a silent unit
//! costs its neighbours at most its own time-out; every lease ends in its safe state, whoever else has died. Never: a
//! cancelled RTU call, an unbounded wait, a register written without a lease.

mod address;
mod backoff;
mod dial;
mod event;
mod lease;
mod link;
mod lookout;
mod notebook;
mod plan;
mod request;
mod rtu;
mod schedule;
mod station;
mod stats;
mod task;
mod unit;
mod writer;
mod writing;

pub use address::{Address, Parity, SerialLine};
pub use dial::{Dial, Dialing, Framing, Stream};
pub use event::{Answer, Ask, BusEvent, LinkState, Question};
pub use lease::{Lease, Leases, SafeState, SetpointReport, SetpointState};
pub use notebook::{MemoryNotebook, Notebook};
pub use plan::reads;
pub use stats::{DeviceStats, ErrorKind, LATENCY_BUCKETS};
pub use task::{BusDevice, BusPorts, BusSpec, run, run_over};
pub use unit::BusUnit;
