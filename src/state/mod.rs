//! What is known of the site: the hub's one image of it, immutable once published.
//!
//! Promises: every value carries its moment and quality; a demand window and a counter miss no reading; grid and battery
//! powers that are added were taken at the same time. Never: a last value passed off as a present one.

mod counter;
mod demand;
mod device_state;
mod hub;
mod note;
mod power;
mod snapshot;
mod spec;
mod task;
mod track;

pub use counter::{Counted, CounterTrack};
pub use demand::{DemandMeter, SavedDemand};
pub use device_state::{DeviceState, PointValue};
pub use hub::{Hub, Publish};
pub use note::Note;
pub use power::SitePower;
pub use snapshot::{BatteryState, DemandWindow, GridState, LoadState, Order, Orders, PvState, Snapshot, WindowMean};
pub use spec::{DeviceSpec, SiteSpec};
pub use task::{HubPorts, run};
pub use track::PowerTrack;
