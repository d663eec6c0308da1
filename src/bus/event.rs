//! What a bus says to the hub, and what others may ask a bus.

use std::sync::Arc;
use std::time::Duration;

use super::{ErrorKind, SetpointReport};
use crate::clock::{IoTime, Moment};
use crate::profile::{PointSpec, Span, Value};
use crate::reading::DeviceName;

/// How the connection to a device stands.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum LinkState {
    /// Not tried yet.
    Starting,
    /// Answers.
    Up,
    /// Does not answer; tried again with back-off, for ever.
    Down {
        /// What went wrong.
        reason: String,
    },
    /// Unreachable in the dark, as its profile says it would be.
    Asleep,
}

/// From a bus task to the hub. The queue is bounded and awaited: the hub always drains it.
#[derive(Clone, Debug)]
pub enum BusEvent {
    /// The device is known: its points. Comes before its first values and again when they change.
    Identified {
        /// Which device.
        device: DeviceName,
        /// Its points; the indices in `Polled` refer to it.
        points: Arc<[PointSpec]>,
    },
    /// A group was read.
    Polled {
        /// Which device.
        device: DeviceName,
        /// Which group of its profile.
        group: usize,
        /// When the (first) request was sent.
        sent: Moment,
        /// Point index and value.
        values: Vec<(usize, Value)>,
    },
    /// A group could not be read.
    Failed {
        /// Which device.
        device: DeviceName,
        /// Which group of its profile.
        group: usize,
        /// What went wrong.
        kind: ErrorKind,
        /// When.
        at: Moment,
    },
    /// The link changed.
    Link {
        /// Which device.
        device: DeviceName,
        /// To what.
        state: LinkState,
        /// When.
        at: Moment,
    },
    /// A setpoint has come further.
    Setpoint {
        /// Which device.
        device: DeviceName,
        /// How far.
        report: SetpointReport,
    },
}

/// A question to a running bus from outside the flow (`wattkeeper read`).
#[derive(Debug)]
pub struct Ask {
    /// Which device.
    pub device: DeviceName,
    /// What.
    pub question: Question,
    /// When the answer is no longer wanted.
    pub until: IoTime,
    /// Where the answer goes.
    pub reply: tokio::sync::oneshot::Sender<Answer>,
}

/// What may be asked: reads only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Read raw registers.
    Registers(Span),
    /// Read all points of the device, once.
    Points,
}

/// What a bus answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The words of a span and how long it took.
    Registers(Vec<u16>, Duration),
    /// Points with their values and raw words.
    Points(Arc<[PointSpec]>, Vec<(usize, Value)>),
    /// A sentence.
    Error(String),
}
