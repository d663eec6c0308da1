//! The rules as configured. Read top to bottom: limit rules bound, all of them first; then the topmost wish wins.

use std::fmt;
use std::time::Duration;

use crate::units::{Soc, Watts};

/// One `[[rule]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleConfig {
    /// What it does.
    pub rule: Rule,
    /// Line in the config, for messages.
    pub line: usize,
}

/// What a rule does. Powers are at the grid point, import positive.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Limit: import never above `import`, export never above `export` (both positive numbers).
    GridLimit {
        /// Most import; `None` = what is ordered from outside.
        import: Option<Watts>,
        /// Most export.
        export: Option<Watts>,
    },
    /// Limit: keeps energy for a blackout.
    Reserve {
        /// Not discharged below this.
        soc: Soc,
        /// Discharge is free again this far above `soc`.
        hysteresis: Soc,
        /// Charges back to `soc` with this power from wherever; zero = only holds.
        recharge: Watts,
    },
    /// Limit: export never above `limit`.
    ExportLimit {
        /// Most export, positive.
        limit: Watts,
    },
    /// Limit: demand (average import over a window) never above `limit`.
    PeakShaving {
        /// The limit.
        limit: PeakLimit,
        /// Demand window; `None` = instantaneous.
        window: Option<Duration>,
        /// Taken off the limit for the meter's and the loop's inaccuracy.
        margin: Watts,
        /// SoC kept for peaks and recharged under the limit; `None` = the default (see docs/rules.md).
        hold: Option<Soc>,
    },
    /// Wish: charge at certain hours.
    ChargeWindow {
        /// From.
        from: TimeOfDay,
        /// To; earlier than `from` means the next day.
        to: TimeOfDay,
        /// On these days (of `from`).
        days: Weekdays,
        /// Up to this SoC.
        soc: Soc,
        /// At most with this power; `None` = evenly over what is left of the window.
        power: Option<Watts>,
    },
    /// Wish: charges from what PV leaves, discharges for what the building needs.
    SelfConsumption {
        /// Grid power aimed at; a little import, so that nothing is exported by noise.
        target: Watts,
    },
}

impl Rule {
    /// Its `kind` in the config.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::GridLimit { .. } => "grid-limit",
            Self::Reserve { .. } => "reserve",
            Self::ExportLimit { .. } => "export-limit",
            Self::PeakShaving { .. } => "peak-shaving",
            Self::ChargeWindow { .. } => "charge-window",
            Self::SelfConsumption { .. } => "self-consumption",
        }
    }

    /// Whether it only bounds.
    pub const fn is_limit(&self) -> bool {
        !matches!(self, Self::ChargeWindow { .. } | Self::SelfConsumption { .. })
    }
}

/// What it does, as a sentence.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GridLimit { import: None, export: None } => {
                f.write_str("the grid point keeps what is ordered from outside")
            }
            Self::GridLimit { import: Some(import), export: None } => write!(f, "import never above {import}"),
            Self::GridLimit { import: None, export: Some(export) } => write!(f, "export never above {export}"),
            Self::GridLimit { import: Some(import), export: Some(export) } => {
                write!(f, "import never above {import}, export never above {export}")
            }
            Self::Reserve { soc, hysteresis, recharge } => {
                write!(f, "no discharge below {soc}, free again at {}", (*soc + *hysteresis).min(Soc::FULL))?;
                if *recharge > Watts::ZERO { write!(f, "; charges back with {recharge}") } else { Ok(()) }
            }
            Self::ExportLimit { limit } => write!(f, "export never above {limit}"),
            Self::PeakShaving { limit, window, margin, hold } => {
                match window {
                    Some(window) => write!(f, "import averaged over {} min never above ", window.as_secs() / 60)?,
                    None => f.write_str("import never above ")?,
                }
                match limit {
                    PeakLimit::Fixed(limit) => write!(f, "{limit}")?,
                    PeakLimit::Auto => f.write_str("what is ordered or billed already")?,
                }
                if *margin > Watts::ZERO {
                    write!(f, " less {margin}")?;
                }
                hold.map_or(Ok(()), |hold| write!(f, "; keeps {hold} for peaks"))
            }
            Self::ChargeWindow { from, to, days, soc, power } => {
                write!(f, "{days} from {from} to {to} charges up to {soc}, ")?;
                match power {
                    Some(power) => write!(f, "at most with {power}"),
                    None => f.write_str("evenly over the time left"),
                }
            }
            Self::SelfConsumption { target } => {
                write!(f, "charges what PV leaves over, discharges what is needed, aims at {target} at the grid")
            }
        }
    }
}

/// The limit of peak shaving.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PeakLimit {
    /// Fixed.
    Fixed(Watts),
    /// As ordered for the billing period, never below the peak that is already billed.
    Auto,
}

/// A local time of day, in minutes since midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(pub u16);

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// Days of the week; Monday is bit 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekdays(pub u8);

impl Weekdays {
    /// All seven.
    pub const ALL: Self = Self(0x7f);
}

impl fmt::Display for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        match self.0 {
            0x7f => f.write_str("daily"),
            0x1f => f.write_str("Mon to Fri"),
            bits => {
                let days = NAMES.iter().enumerate().filter(|(day, _)| bits >> day & 1 == 1).map(|(_, name)| *name);
                f.write_str(&days.collect::<Vec<_>>().join(", "))
            }
        }
    }
}
