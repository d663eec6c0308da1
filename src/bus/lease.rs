//! What the bus has been told to keep a device doing, and until when.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::{IoTime, Moment};

/// Where a device goes when nobody may tell it anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SafeState {
    /// Its own automatic mode, with its own settings put back.
    Release,
    /// 0 W: neither charge nor discharge. The bus keeps it fed where the device would revert by itself.
    Standby,
}

/// A setpoint with an end. The bus task alone enforces the end: at `valid_until` the device goes to `safe`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lease {
    /// Counts up with each new setpoint; reports carry it back.
    pub serial: u64,
    /// What the control shall do, in its canonical unit and sign; `None` asks for the safe state now.
    pub value: Option<f64>,
    /// Until when, on the monotonic clock.
    pub valid_until: IoTime,
    /// What comes after.
    pub safe: SafeState,
}

/// All leases of one device, by control. A control without a lease was never touched by us.
pub type Leases = BTreeMap<Arc<str>, Lease>;

/// How far a setpoint has come.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "detail")]
pub enum SetpointState {
    /// Written, not read back yet (or the device cannot be read back).
    Written,
    /// Read back as written.
    Confirmed,
    /// Could not be encoded or is over the write budget; the device went to its safe state.
    Refused(String),
    /// The device did not take it: no answer, an exception, or another value read back.
    Failed(String),
    /// In its safe state, written.
    SafeWritten,
    /// In its safe state, confirmed by read-back.
    SafeConfirmed,
}

/// The bus's word on one control of one device.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct SetpointReport {
    /// Which control.
    pub control: Arc<str>,
    /// The lease it speaks of.
    pub serial: u64,
    /// The value in force, in the control's unit; `None` in a released safe state.
    pub value: Option<f64>,
    /// What the device takes at present, in the control's unit: (least, most); `None` where that is not known. A wish beyond
    /// is brought inside.
    #[serde(skip)]
    pub takes: Option<(f64, f64)>,
    /// How far it has come.
    #[serde(flatten)]
    pub state: SetpointState,
    /// When.
    #[serde(skip)]
    pub at: Moment,
    /// Register writes to flash since midnight UTC (all writes for a RAM control).
    pub writes_today: u32,
    /// What is allowed a day; `None` for RAM.
    pub budget: Option<u32>,
}
