//! The types of a loaded, valid profile.

use std::sync::Arc;
use std::time::Duration;

/// What a device is, as its profile says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Measures.
    Meter,
    /// An inverter of PV only.
    Pv,
    /// A battery inverter.
    Battery,
    /// PV and battery behind one AC connection.
    Hybrid,
    /// An EV charger.
    Charger,
    /// A load that takes a power or current limit.
    Load,
    /// Switched contacts.
    Relay,
}

/// How sure the register map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Two independent sources, or tried.
    Confirmed,
    /// One source only.
    Unconfirmed,
}

/// Modbus tables ("Modbus Application Protocol V1.1b3", section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Table {
    /// Single bits, read (fn 1) and written (fn 5, 15).
    Coil,
    /// Single bits, read only (fn 2).
    DiscreteInput,
    /// 16-bit registers, read (fn 3) and written (fn 6, 16).
    Holding,
    /// 16-bit registers, read only (fn 4).
    Input,
}

/// Order of the 16-bit words in a longer value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WordOrder {
    /// High word first.
    #[default]
    Big,
    /// Low word first.
    Little,
}

/// Canonical unit of a point: values arrive in it whatever the registers hold (kWh becomes Wh, % becomes 0..1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub enum Unit {
    /// W.
    Watts,
    /// Wh.
    WattHours,
    /// V.
    Volts,
    /// A.
    Amperes,
    /// Hz.
    Hertz,
    /// °C.
    Celsius,
    /// 0..1.
    Ratio,
    /// VA.
    VoltAmperes,
    /// var.
    Vars,
    /// A number without a unit: a state, a count, a power factor.
    None,
}

impl Unit {
    /// Its symbol; empty for a bare number.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Watts => "W",
            Self::WattHours => "Wh",
            Self::Volts => "V",
            Self::Amperes => "A",
            Self::Hertz => "Hz",
            Self::Celsius => "°C",
            Self::Ratio => "ratio",
            Self::VoltAmperes => "VA",
            Self::Vars => "var",
            Self::None => "",
        }
    }
}

/// How a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Counter {
    /// Grows for ever (until it wraps or is reset).
    Total,
    /// Starts anew each day.
    Daily,
}

/// What one point of a device is; the same for all devices of the profile unless SunSpec says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct PointSpec {
    /// `part.name`, canonical for its part: `meter.power`, `battery.soc`, `pv.power`, `inverter.power`, `relay.1` …
    pub name: Arc<str>,
    /// Canonical unit.
    pub unit: Unit,
    /// Index of its group in [`Profile::groups`].
    pub group: usize,
    /// Whether it counts.
    pub counter: Option<Counter>,
    /// Raw span at which the counter wraps to 0, in the canonical unit.
    pub wrap: Option<f64>,
}

/// A group of points that is read together at its own interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name in the profile.
    pub name: Arc<str>,
    /// Poll interval.
    pub every: Duration,
}

/// How to behave on the bus towards this device.
#[derive(Clone, Debug, PartialEq)]
pub struct Manners {
    /// Default unit id.
    pub unit: u8,
    /// Longest read in registers, 1..=125.
    pub max_read: u16,
    /// Registers nobody asked for that a merged read may include.
    pub max_gap: u16,
    /// Ranges that no read may touch.
    pub holes: Vec<Span>,
    /// Ask a hole never, not even when a merged read failed.
    pub strict_holes: bool,
    /// Least silence between the end of one exchange and the next request.
    pub gap: Duration,
    /// Silence after connecting.
    pub connect_delay: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// How many clients the device serves at once; 0 = no limit known.
    pub clients: u8,
    /// Keep the connection between polls.
    pub hold: bool,
    /// Unreachable in the dark is a state, not a fault.
    pub sleeps: bool,
    /// Polls to throw away after a connect.
    pub warmup: u32,
}

use super::Span;

impl Default for Manners {
    fn default() -> Self {
        Self {
            unit: 1,
            max_read: 120,
            max_gap: 8,
            holes: Vec::new(),
            strict_holes: false,
            gap: Duration::ZERO,
            connect_delay: Duration::ZERO,
            timeout: Duration::from_secs(1),
            clients: 0,
            hold: true,
            sleeps: false,
            warmup: 0,
        }
    }
}

/// What a control of a device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlKind {
    /// Battery power in W, discharge positive.
    BatteryPower(BatteryControl),
    /// Upper limit of what an inverter feeds in, in W.
    PowerLimit,
    /// A contact: 1 closed, 0 open.
    Switch,
    /// Upper limit of a current, in A.
    CurrentLimit,
    /// One of a few ways to run, by its number: the states 1 to 4 of SG-Ready.
    Mode,
}

/// What a battery's power control really does; sharing and effect checks read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatteryControl {
    /// Battery power as told.
    Exact,
    /// At least, at most (SunSpec 124: PV may add to a charge).
    Window,
    /// It regulates the connection point itself (Victron ESS).
    GridPoint,
    /// Battery and PV together (SMA).
    AcTotal,
}

/// Where a written register lives in the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Volatile: may be written at will.
    Ram,
    /// Wears: writes are counted on disk against a budget.
    Flash,
}

/// One control of a device: what may be asked and under which conditions. The sequences stay inside [`super::Instance`].
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// Its name in the profile: `battery`, `pv`, `relay-1` …
    pub name: Arc<str>,
    /// What it takes.
    pub kind: ControlKind,
    /// Sure of it?
    pub status: Status,
    /// Granularity of the setpoint in its unit; 0 = any.
    pub step: f64,
    /// Smaller changes are not written.
    pub deadband: f64,
    /// Least power that the device can do other than 0, in W.
    pub min_on: f64,
    /// RAM or flash.
    pub class: Class,
    /// Register writes a day, for flash; the writes of a release are set aside from it.
    pub budget: Option<u32>,
    /// Write again at least this often while the lease holds.
    pub refresh: Option<Duration>,
    /// After this long without a write the device takes its own way again.
    pub revert: Option<Duration>,
    /// How long until a write shows its effect or its read-back.
    pub settle: Duration,
    /// Point whose measured value shows the effect, and the tolerance.
    pub effect: Option<(Arc<str>, f64)>,
}

/// A loaded, valid profile. How its points decode and its controls encode is known to [`super::Instance`] alone.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Identity, also the file's name.
    pub id: Arc<str>,
    /// For people.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// How sure the map is.
    pub status: Status,
    /// Where the registers come from.
    pub sources: Vec<String>,
    /// What it was tried against: a dump of a real device, an independent simulator. Empty: nothing but its sources.
    pub checked: Vec<String>,
    /// Manners on the bus.
    pub manners: Manners,
    /// Groups, in the order of the file.
    pub groups: Vec<Group>,
    /// Controls.
    pub controls: Vec<Control>,
    /// Points as far as they are known without asking the device.
    pub points: Vec<PointSpec>,
    /// Registers, expressions and sequences.
    pub(crate) definition: Arc<super::define::Definition>,
    /// On a device that need not be asked for its addresses.
    pub(crate) mapping: std::sync::OnceLock<super::instance::Mapping>,
}

impl Profile {
    /// The text that it was read from.
    pub fn source(&self) -> &str {
        &self.definition.text
    }
}

/// A decoded value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// In the point's canonical unit and sign. Finite.
    Number(f64),
    /// A string: serial number, model.
    Text(Arc<str>),
    /// The device gave none: "not implemented", out of range, an impossible jump, a rejected frame.
    Invalid,
}
