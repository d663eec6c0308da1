//! A profile bound to one device.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Image, PointSpec, Profile, Span, Table, Value, WordOrder};
use crate::clock::Moment;

/// What the config of one device changes about its profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// Turns the sign of the measured power (a CT mounted the wrong way round) and swaps the two energy counters.
    pub invert: bool,
    /// Word order, where it is a setting of the device.
    pub words: Option<WordOrder>,
    /// Longest read.
    pub max_read: Option<u16>,
    /// Least silence between exchanges.
    pub gap: Option<Duration>,
    /// Longest wait for an answer.
    pub timeout: Option<Duration>,
    /// Interval of the profile's fastest group.
    pub interval: Option<Duration>,
}

/// How a register is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFunction {
    /// Fn 5.
    SingleCoil,
    /// Fn 6.
    SingleRegister,
    /// Fn 15.
    Coils,
    /// Fn 16.
    Registers,
}

/// One write of a sequence, encoded. `set` and `release` are such steps, run in one go with nothing between.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where.
    pub span: Span,
    /// What, one word a register (or 0/1 a coil).
    pub words: Vec<u16>,
    /// By which function.
    pub function: WriteFunction,
    /// Bits that are ours; the others are read first and kept.
    pub mask: Option<u16>,
    /// Silence after it.
    pub wait: Duration,
    /// Read back after the control's settling time and compare.
    pub verify: bool,
}

/// Why a wish could not be encoded. Nothing was written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The profile has no such control.
    #[error("the profile has no control `{0}`")]
    NoControl(String),
    /// A point that the sequence needs has no value.
    #[error("needs {0}, which has no value")]
    Missing(String),
    /// The value does not fit the register.
    #[error("{value} does not fit register {address}")]
    Range {
        /// Scaled value.
        value: f64,
        /// Register address.
        address: u16,
    },
    /// A condition that only the owner can fulfil.
    #[error("{0}")]
    Need(String),
    /// Outside what the control takes.
    #[error("{wanted} is outside {min}..{max}")]
    Bounds {
        /// What was asked.
        wanted: f64,
        /// Lower end.
        min: f64,
        /// Upper end.
        max: f64,
    },
}

/// The device's own settings as they were before our first write, by span. Kept on disk until they are put back.
pub type Captured = BTreeMap<Span, Vec<u16>>;

/// A profile bound to one device: decodes what was read, encodes what is wished, remembers the last values that its
/// expressions and plausibility checks need.
#[derive(Clone, Debug)]
pub struct Instance {
    profile: Arc<Profile>,
    points: Arc<[PointSpec]>,
}

impl Instance {
    /// Binds a profile. A SunSpec profile knows its addresses only after [`Instance::identify`].
    pub fn new(profile: Arc<Profile>, _overrides: &Overrides) -> Self {
        let points = profile.points.clone().into();
        Self { profile, points }
    }

    /// The profile.
    pub fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    /// All points, by index. Shared, so that readers of a reading need not copy names.
    pub fn points(&self) -> &Arc<[PointSpec]> {
        &self.points
    }

    /// What must be read next before the device is known (SunSpec walk, identity checks), as registers; `None` when known.
    /// Answer with [`Instance::identified`].
    pub fn identify(&self) -> Option<Span> {
        None
    }

    /// The answer to [`Instance::identify`]: the words, or `None` where the device refused (a Modbus exception).
    ///
    /// # Errors
    /// A sentence when the device is not what the profile describes.
    pub fn identified(&mut self, _words: Option<&[u16]>) -> Result<(), String> {
        Ok(())
    }

    /// Forgets what [`Instance::identified`] learnt, as after a reconnect.
    pub fn forget(&mut self) {}

    /// Poll interval of a group, overrides applied.
    pub fn every(&self, group: usize) -> Option<Duration> {
        self.profile.groups.get(group).map(|group| group.every)
    }

    /// The registers that a group needs: a span per value that must not be torn. The planner merges them.
    pub fn spans(&self, _group: usize) -> Vec<Span> {
        Vec::new()
    }

    /// Decodes a group from what was read. A point whose registers are not in the image is [`Value::Invalid`].
    pub fn decode(&mut self, _group: usize, _image: &Image, _now: Moment) -> Vec<(usize, Value)> {
        Vec::new()
    }

    /// What the device can be told at present, in the control's unit: (min, max).
    ///
    /// # Errors
    /// [`Refusal`] when the control or a point it needs is missing.
    pub fn bounds(&self, control: &str) -> Result<(f64, f64), Refusal> {
        Err(Refusal::NoControl(control.to_owned()))
    }

    /// Spans to read and keep on disk before the first write of a control.
    pub fn captures(&self, _control: &str) -> Vec<Span> {
        Vec::new()
    }

    /// The writes that make a control do `p` (canonical unit and sign), revert timer included.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing may be written.
    pub fn set(&self, control: &str, _p: f64) -> Result<Vec<Step>, Refusal> {
        Err(Refusal::NoControl(control.to_owned()))
    }

    /// The writes that give the device back to itself, with its own settings put back.
    pub fn release(&self, _control: &str, _captured: &Captured) -> Vec<Step> {
        Vec::new()
    }

    /// A write that keeps the device listening, and how often (W6 of the quirk catalogue).
    pub fn heartbeat(&self, _control: &str) -> Option<(Duration, Step)> {
        None
    }
}

impl Span {
    /// A span of holding registers.
    pub const fn holding(start: u16, len: u16) -> Self {
        Self { table: Table::Holding, start, len }
    }
}
