//! Metrics, API, health: what is known, for whoever asks. Read only.
//!
//! Promises: a value that is not fresh is never shown as a present one; no client, however slow or many, costs the
//! daemon more than 32 connections of 15 s each; what takes long is rendered beside the loops that control. Never: a
//! command over HTTP, a body that is read, a secret that is shown.

mod api;
mod collect;
mod family;
mod health;
mod host;
mod metrics;
mod reference;
mod route;
mod server;
mod sheet;
mod sources;
mod tally;
mod view;

pub use api::state_source;
pub use family::{FAMILIES, Kind, Row};
pub use reference::reference;
pub use server::{Limits, Listener, bind, run};
pub use sources::{Figures, HttpPorts, Loop, MqttFigures, REVISION, Reload, Sources, VERSION};
pub use tally::{BoundTally, ControlTally};
