//! The rules as configured. Read top to bottom: limit rules bound, all of them first; then the topmost wish wins.

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

/// Days of the week; Monday is bit 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekdays(pub u8);

impl Weekdays {
    /// All seven.
    pub const ALL: Self = Self(0x7f);
}
