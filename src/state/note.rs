//! What is worth a record: handed to telemetry, dropped and counted when telemetry cannot keep up for 30 s.

use std::sync::Arc;

use super::DeviceState;
use crate::clock::Moment;

/// Something worth a record.
#[derive(Clone, Debug)]
pub enum Note {
    /// A group of a device was read: its new values stand in the state.
    Polled {
        /// The device, with the new values in it.
        device: Arc<DeviceState>,
        /// Which group.
        group: usize,
        /// When it was asked.
        at: Moment,
    },
    /// Something that a person may want to know: a device away, a counter reset, control blocked.
    Event {
        /// Short and stable: `device-down`, `counter-reset` …
        kind: &'static str,
        /// A sentence.
        text: String,
        /// When.
        at: Moment,
    },
}
