//! Quantities as newtypes, so that a watt is never taken for a watt-hour.
//!
//! Sign, everywhere inside: power **into the building's busbar is positive** (grid import +, PV +, battery discharge +).
//! Profiles convert once, at the edge. Values are finite: whoever makes one from foreign bytes uses `checked`.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};
use std::time::Duration;

/// Makes a newtype over `f64` with the maths that its unit allows.
macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $get:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(f64);

        impl $name {
            /// Nothing of it.
            pub const ZERO: Self = Self(0.0);

            /// From a number in the base unit. The number is finite: foreign numbers go through [`Self::checked`].
            pub const fn new(value: f64) -> Self {
                Self(value)
            }

            /// From a foreign number: `None` for NaN and infinities.
            pub fn checked(value: f64) -> Option<Self> {
                value.is_finite().then_some(Self(value))
            }

            /// The number in the base unit.
            pub const fn $get(self) -> f64 {
                self.0
            }

            /// The smaller of two.
            pub const fn min(self, other: Self) -> Self {
                Self(self.0.min(other.0))
            }

            /// The larger of two.
            pub const fn max(self, other: Self) -> Self {
                Self(self.0.max(other.0))
            }

            /// The nearest value in `low..=high`; where the two cross, `low` wins (it never panics).
            pub const fn clamp(self, low: Self, high: Self) -> Self {
                self.min(high).max(low)
            }

            /// Size without sign.
            pub const fn abs(self) -> Self {
                Self(self.0.abs())
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                self.0 -= other.0;
            }
        }

        impl Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }

        impl Mul<f64> for $name {
            type Output = Self;
            fn mul(self, factor: f64) -> Self {
                Self(self.0 * factor)
            }
        }

        impl Div<f64> for $name {
            type Output = Self;
            fn div(self, divisor: f64) -> Self {
                Self(self.0 / divisor)
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
                items.fold(Self::ZERO, Add::add)
            }
        }
    };
}

quantity!(
    /// Active power in W. Into the busbar is positive.
    Watts,
    watts
);
quantity!(
    /// Energy in Wh. The sign is that of the power it came from.
    WattHours,
    watt_hours
);
quantity!(
    /// Voltage in V.
    Volts,
    volts
);
quantity!(
    /// Current in A.
    Amperes,
    amperes
);
quantity!(
    /// State of charge as a share of the capacity, 0 to 1 (shown as 0 to 100 %).
    Soc,
    ratio
);

const SECONDS_PER_HOUR: f64 = 3600.0;

impl Watts {
    /// From kW.
    pub const fn kw(value: f64) -> Self {
        Self(value * 1000.0)
    }

    /// The energy of this power over a time.
    pub fn over(self, time: Duration) -> WattHours {
        WattHours(self.0 * time.as_secs_f64() / SECONDS_PER_HOUR)
    }
}

impl WattHours {
    /// From kWh.
    pub const fn kwh(value: f64) -> Self {
        Self(value * 1000.0)
    }

    /// The mean power that makes this energy in `time`; zero time gives zero power.
    pub fn per(self, time: Duration) -> Watts {
        let seconds = time.as_secs_f64();
        if seconds > 0.0 { Watts(self.0 * SECONDS_PER_HOUR / seconds) } else { Watts::ZERO }
    }

    /// In joules, the base unit of Prometheus.
    pub const fn joules(self) -> f64 {
        self.0 * SECONDS_PER_HOUR
    }
}

impl Soc {
    /// Empty.
    pub const EMPTY: Self = Self(0.0);
    /// Full.
    pub const FULL: Self = Self(1.0);

    /// From 0..100 %.
    pub const fn from_percent(value: f64) -> Self {
        Self(value / 100.0)
    }

    /// 0..100 %.
    pub const fn percent(self) -> f64 {
        self.0 * 100.0
    }
}

fn scaled(f: &mut fmt::Formatter<'_>, value: f64, unit: &str) -> fmt::Result {
    if value.abs() >= 999.5 {
        write!(f, "{:.*} k{unit}", f.precision().unwrap_or(1), value / 1000.0)
    } else {
        let digits = f.precision().unwrap_or(0);
        // -0.2 is no "-0": adding zero turns -0 into 0.
        let rounded = if digits == 0 { value.round() + 0.0 } else { value + 0.0 };
        write!(f, "{rounded:.digits$} {unit}")
    }
}

impl fmt::Display for Watts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        scaled(f, self.0, "W")
    }
}

impl fmt::Display for WattHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        scaled(f, self.0, "Wh")
    }
}

impl fmt::Display for Soc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.*} %", f.precision().unwrap_or(0), self.percent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_over_time_is_energy_and_back() {
        let energy = Watts::kw(60.0).over(Duration::from_secs(900));
        assert_eq!(energy, WattHours::kwh(15.0));
        assert_eq!(energy.per(Duration::from_secs(900)), Watts::kw(60.0));
        assert_eq!(energy.per(Duration::ZERO), Watts::ZERO);
        assert_eq!(WattHours::new(1.0).joules(), 3600.0);
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        assert_eq!(Watts::checked(f64::NAN), None);
        assert_eq!(Watts::checked(f64::INFINITY), None);
        assert_eq!(Watts::checked(-1.0), Some(Watts::new(-1.0)));
    }

    #[test]
    fn crossing_bounds_do_not_panic() {
        assert_eq!(Watts::new(5.0).clamp(Watts::new(3.0), Watts::new(1.0)), Watts::new(3.0));
    }

    #[test]
    fn they_read_well() {
        assert_eq!(Watts::new(-0.2).to_string(), "0 W");
        assert_eq!(Watts::new(0.0).to_string(), "0 W");
        assert_eq!(Watts::kw(80.0).to_string(), "80.0 kW");
        assert_eq!(Watts::new(-12_340.0).to_string(), "-12.3 kW");
        assert_eq!(Soc::from_percent(62.5).to_string(), "62 %");
    }
}
