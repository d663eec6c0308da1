//! wattkeeper: an energy-management gateway. Data goes round once, rightwards only:
//!
//! ```text
//!  bus task (1 per connection)      hub (1 task)             control (1 task)            dispatch (1 task)
//!  poll plan -> exchange -> Reading ==mpsc==> Snapshot ==watch==> decide(..) -> Decision ==watch==> leases -> Setpoint ==watch per device==> bus task
//!                                      |  (Arc, immutable)          | why
//!                                      v                            v
//!                               telemetry: record -> store (bounded) -> MQTT sender (acks)
//!                                      \-> live state (coalesced) -> MQTT retained      HTTP: /metrics, API read the snapshot
//! ```
//!
//! The modules, in the direction of the flow; each imports only what stands above it.

pub mod units; // watts are not watt-hours
pub mod clock; // monotonic and wall time, told apart
pub mod reading; // a value, its moment, its quality; the age check
pub mod durable; // files that are old or new, never half
pub mod backoff; // pauses between tries that never end
pub mod profile; // what a device type is: points, registers, codec, SunSpec, control sequences
pub mod bus; // one connection: leases, read plan, schedule, exchange, health
pub mod config; // TOML -> valid Config, all errors at once
pub mod device; // what a device's points mean to the site, by its roles
pub mod state; // the hub's image of the site; demand windows, counters
pub mod control; // decide(&Snapshot, &Policy, &mut Memory, now) -> Decision
pub mod dispatch; // decision -> leases; what devices had before us, on disk
pub mod telemetry; // records and the store they wait in
pub mod mqtt; // session, sender, live state
pub mod http; // metrics, API, health
pub mod app; // start, supervise, reload, shut down
pub mod sim; // plants and the Modbus servers that serve them
pub mod cli; // one file a subcommand
