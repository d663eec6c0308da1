//! What the hub and control hand to telemetry.

use std::sync::Arc;

use crate::clock::Moment;
use crate::control::Decision;
use crate::state::DeviceState;

/// Something worth a record.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A group of a device was read: its points stand in the state.
    Polled {
        /// The device, with the new values in it.
        device: Arc<DeviceState>,
        /// Which group.
        group: usize,
        /// When it was asked.
        at: Moment,
    },
    /// A decision was made that differs from the one before.
    Decision(Arc<Decision>),
    /// Something happened that a person may want to know (a device away, a counter reset, control blocked).
    Event {
        /// Short and stable: `device-down`, `counter-reset` …
        kind: &'static str,
        /// A sentence.
        text: String,
        /// When.
        at: Moment,
    },
}
