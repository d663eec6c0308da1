//! What only [`super::Instance`] needs of a profile: registers, expressions, sequences.
//!
//! All that an expression can read is a *value* with an index: the points that are published, the registers that a
//! condition or a scale needs, and settings captured before the first write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::codec::Encoding;
use super::expr::Expr;
use super::{Counter, Span, Table, Unit, WriteFunction};

#[derive(Clone, Debug)]
pub(crate) struct Definition {
    /// The text that it was made from.
    pub text: Arc<str>,
    pub groups: Vec<GroupDef>,
    pub values: Vec<ValueDef>,
    /// Indices of computed values, each after what it reads.
    pub order: Vec<usize>,
    pub controls: Vec<ControlDef>,
    pub checks: Vec<Check>,
    /// How one holding register is written where a step does not say.
    pub one_register: WriteFunction,
    pub sunspec: Option<SunSpecDef>,
}

#[derive(Clone, Debug)]
pub(crate) struct GroupDef {
    /// Read exactly this.
    pub span: Option<Span>,
    /// True: the whole frame is thrown away.
    pub reject: Option<Expr>,
}

/// When a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// With a group, at its interval.
    Group(usize),
    /// Once a session, while the device is identified.
    Session,
    /// Told by the bus: a captured setting.
    Told,
}

#[derive(Clone, Debug)]
pub(crate) struct ValueDef {
    /// Canonical name; of a hidden value what a refusal calls it.
    pub name: Arc<str>,
    /// Published as a point.
    pub public: bool,
    pub when: When,
    pub source: Source,
    pub optional: bool,
    /// Seen in one source only, where the rest of the profile is surer.
    pub doubtful: bool,
    /// There only on devices with this SunSpec model, or without that.
    pub with: Option<ModelRef>,
    pub without: Option<ModelRef>,
    pub unit: Unit,
    pub map: BTreeMap<i64, Arc<str>>,
    /// Canonical unit.
    pub range: Option<(f64, f64)>,
    /// Canonical unit, between two polls.
    pub step_max: Option<f64>,
    pub counter: Option<Counter>,
    /// Canonical unit.
    pub wrap: Option<f64>,
}

#[derive(Clone, Debug)]
pub(crate) enum Source {
    Register(Register),
    /// Its encoding comes from the model's facts; the factor (unit, scale, sign) from the profile.
    Model(ModelPoint),
    /// The scale register of a model's point.
    ScaleOf(ModelPoint),
    Is(Expr),
}

/// A value at an address.
#[derive(Clone, Debug)]
pub(crate) struct Register {
    pub table: Table,
    pub start: u16,
    pub encoding: Encoding,
    /// Whether the profile states the word order, or the device's config may.
    pub words_stated: bool,
    /// Where the high word is, when not beside the low one.
    pub high: Option<u16>,
    /// Register with the power of ten.
    pub scale: Option<u16>,
}

/// A value in a SunSpec model.
#[derive(Clone, Debug)]
pub(crate) struct ModelPoint {
    pub model: ModelRef,
    /// Repeating block, from 0.
    pub item: u16,
    pub point: Arc<str>,
    pub encoding: Extra,
}

/// What the profile adds to a model's facts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extra {
    pub factor: super::codec::Factor,
    pub abs: bool,
    pub bits: Option<(u8, u8)>,
}

/// Which model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelRef {
    /// 101-103 or 111-113.
    Inverter,
    /// 201-204 or 211-214.
    Meter,
    Id(u16),
}

#[derive(Clone, Debug)]
pub(crate) struct SunSpecDef {
    pub bases: Vec<u16>,
    pub need: Vec<ModelRef>,
    /// Sub-device by number, or the first that has what is needed.
    pub device: Option<usize>,
}

/// An identity read, done after connecting.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub register: Register,
    pub test: Test,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Equal(f64),
    NotEqual(f64),
    Starts(String),
    /// Tells the word order of the device: the number for low word first, and that for high word first.
    Words {
        little: f64,
        big: f64,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct ControlDef {
    pub name: Arc<str>,
    pub min: Expr,
    pub max: Expr,
    pub step: f64,
    pub min_on: f64,
    pub need: Vec<Need>,
    pub capture: Vec<Capture>,
    pub set: Vec<StepDef>,
    pub release: Vec<StepDef>,
    /// Written before the last step of every `set`.
    pub revert: Option<StepDef>,
    pub heartbeat: Option<(Duration, StepDef)>,
}

/// A condition that only the owner can fulfil.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    pub is: Expr,
    pub when: Option<Expr>,
    pub sentence: String,
}

/// A setting to keep before the first write.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    pub target: Target,
    /// Value index of its scale exponent.
    pub scale: Option<usize>,
    /// Value that it is told to.
    pub value: Option<usize>,
    /// Put back by a release as it was read.
    pub back: bool,
}

/// Where a step writes.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Register(Register),
    Model(ModelPoint),
}

/// What a step must read back as.
#[derive(Clone, Debug)]
pub(crate) enum Verify {
    No,
    /// What was written.
    Written,
    /// This value.
    Reads(Expr),
}

#[derive(Clone, Debug)]
pub(crate) struct StepDef {
    pub target: Target,
    /// Value index of its scale exponent.
    pub scale: Option<usize>,
    pub value: Expr,
    pub when: Option<Expr>,
    pub function: Option<WriteFunction>,
    pub mask: Option<u16>,
    /// Further values written behind it in the same request.
    pub block: Vec<(Encoding, Expr)>,
    pub wait: Duration,
    pub verify: Verify,
    /// Left out where the device does not have it.
    pub optional: bool,
    /// Value that shows whether it has it.
    pub probe: Option<usize>,
}
