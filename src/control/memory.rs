//! What the rules remember from one decision to the next. Passed in and out, saved to disk, so that a restart and a
//! replay are exact. A saved memory of an older or newer version is taken as far as it is understood.

use std::collections::{BTreeMap, VecDeque};

use super::billing::Billed;
use crate::clock::{IoTime, Moment, SiteTime};
use crate::reading::DeviceName;
use crate::units::Watts;

/// What the rules remember.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Decisions made.
    pub serial: u64,
    /// The billing period's peak.
    pub billed: Billed,
    /// The reserve holds the energy back (until the SoC is above its hysteresis).
    pub reserve_held: bool,
    /// Peak rules, by the length of their window in seconds (0 = instantaneous).
    pub peaks: BTreeMap<u64, PeakMemory>,
    /// Inverters that were ever limited, by name.
    pub caps: BTreeMap<String, CapMemory>,
    /// What is worth nothing after a restart.
    #[serde(skip)]
    pub recent: Recent,
}

/// What one peak rule remembers.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct PeakMemory {
    /// What the SoC that is kept for peaks means at present.
    pub hold: Hold,
    /// Running means of consumption minus PV.
    #[serde(skip)]
    pub mean: Option<Means>,
}

/// How the batteries stand to the SoC that is kept for peaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// Above it: free.
    #[default]
    Free,
    /// At it: only a peak may discharge.
    Held,
    /// Below it: on the way back.
    Recharging,
}

/// Exponential means of a power: one calm, one quick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Means {
    /// Moment of the last reading in them.
    pub at: SiteTime,
    /// Over a thirtieth of the window, at most a minute.
    pub calm: Watts,
    /// Over a twelfth of that, for the window's end.
    pub quick: Watts,
}

/// What is remembered of an inverter's limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct CapMemory {
    /// The limit in force; `None` = released.
    pub cap: Option<Watts>,
    /// The most it was seen to feed in.
    pub most_seen: Watts,
}

/// What is worth nothing after a restart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recent {
    /// Batteries that did not take a setpoint: when, and why.
    pub disobeyed: BTreeMap<DeviceName, (IoTime, String)>,
    /// The last decision.
    pub decided: Option<Moment>,
    /// Consumption minus PV as last estimated.
    pub net: Option<Watts>,
    /// Sums of the battery setpoints and since when they are in force, oldest first.
    pub commands: VecDeque<(IoTime, Watts)>,
    /// The last setpoint of each battery.
    pub setpoints: Vec<(DeviceName, Watts)>,
}

impl Recent {
    /// The last setpoint of a battery.
    pub fn setpoint(&self, name: &DeviceName) -> Option<Watts> {
        self.setpoints.iter().find(|(known, _)| known == name).map(|(_, power)| *power)
    }
}
