//! What is known of the site: the hub's one image of it, immutable once published.
//!
//! Promises: every value carries its moment and quality; a demand window and a counter miss no reading; grid and battery
//! powers that are added were taken at the same time. Never: a last value passed off as a present one.

mod demand;
mod device_state;
mod note;
mod snapshot;

pub use demand::{DemandMeter, SavedDemand};
pub use device_state::{DeviceState, PointValue};
pub use note::Note;
pub use snapshot::{BatteryState, DemandWindow, GridState, LoadState, Order, Orders, PvState, Snapshot, WindowMean};
