//! A decision and why it is so.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::reading::DeviceName;
use crate::units::{WattHours, Watts};

/// What was decided at one moment, and all that led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Counts up.
    pub serial: u64,
    /// When.
    pub at: Moment,
    /// Does it act?
    pub standing: Standing,
    /// What came out, or why nothing did.
    pub outcome: Outcome,
    /// What each limit rule bounded, in the order of the config.
    pub bounds: Vec<BoundRecord>,
    /// The nested bounds at the grid point: (least, most) import; infinite = none.
    pub range: (Watts, Watts),
    /// The demand window of the topmost peak rule with one.
    pub demand: Option<DemandRecord>,
    /// The values it rests on.
    pub inputs: Vec<InputRecord>,
    /// One for each battery and each limited inverter that is controlled.
    pub setpoints: Vec<Setpoint>,
}

/// Whether decisions reach the devices.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "reason")]
pub enum Standing {
    /// They do.
    Controlling,
    /// `[control] enabled = false`: decided, shown, not written.
    DryRun,
    /// Something keeps it from controlling; the devices are in their safe states.
    NotControlling(String),
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A target at the grid point.
    Target {
        /// The rule that set it: the wish, or the limit whose bound cut it. `None` = no rule had a wish and no bound bit.
        rule: Option<Arc<str>>,
        /// What the topmost wish wanted at the grid point.
        wish: Option<Watts>,
        /// The wish inside the bounds.
        target: Watts,
        /// Sum of the battery setpoints, discharge positive.
        battery: Watts,
        /// A sentence.
        reason: String,
    },
    /// Nothing: every device goes to its safe state.
    None {
        /// A sentence.
        reason: String,
    },
}

/// What one limit rule bounded.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct BoundRecord {
    /// The rule's kind.
    pub rule: Arc<str>,
    /// Least import it allows (negative: most export).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least: Option<Watts>,
    /// Most import it allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<Watts>,
    /// A rule above left less room: the bound was moved to the nearest edge.
    pub clamped: bool,
    /// It changed the outcome: the target lies on this bound and the wish lay outside.
    pub binding: bool,
    /// A sentence.
    pub reason: String,
}

/// Where a demand window stands.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct DemandRecord {
    /// The limit in force (after margin and what is already billed).
    pub limit: Watts,
    /// Import in this window so far, unseen time counted at the limit.
    pub imported: WattHours,
    /// Mean import of the window if grid power stayed as it is.
    pub projection: Watts,
    /// Mean import allowed for the rest of the window.
    pub allowed: Watts,
    /// Time left.
    #[serde(serialize_with = "seconds")]
    pub left: Duration,
    /// The highest window of the billing period so far.
    pub billed_peak: Watts,
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// A value that a decision rests on.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct InputRecord {
    /// `grid.power`, `battery-1.soc` …
    pub name: Arc<str>,
    /// In its canonical unit; `None` where it had no usable value.
    pub value: Option<f64>,
    /// Its age.
    #[serde(serialize_with = "seconds")]
    pub age: Duration,
}

/// What one device shall do.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Setpoint {
    /// Which device.
    pub device: DeviceName,
    /// Which of its controls (`battery`, `pv`).
    pub control: Arc<str>,
    /// In W, discharge positive (battery) or the upper limit (pv); `None` = its safe state.
    pub value: Option<f64>,
    /// A sentence.
    pub reason: String,
}
