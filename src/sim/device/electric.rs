//! Voltages, currents and phases that go with a power.

use crate::units::Watts;

/// Share of each phase in a three-phase power.
const SHARES: [f64; 3] = [0.36, 0.33, 0.31];
const POWER_FACTOR: f64 = 0.98;

/// Three-phase electrics of a power; all of the sign of the power.
#[derive(Clone, Copy, Debug, Default)]
pub struct Electric {
    /// W by phase.
    pub power: [f64; 3],
    /// V by phase, to neutral.
    pub voltage: [f64; 3],
    /// A by phase.
    pub current: [f64; 3],
    /// VA by phase.
    pub apparent: [f64; 3],
    /// var by phase.
    pub reactive: [f64; 3],
    /// Hz.
    pub frequency: f64,
}

impl Electric {
    /// Of a power; voltage sinks with what the building imports.
    pub fn of(power: Watts, grid: Watts) -> Self {
        let power = SHARES.map(|share| share * power.watts());
        let sag = (grid.watts() / 40_000.0).clamp(-8.0, 8.0);
        let voltage = [231.4, 230.6, 229.9].map(|volts| volts - sag);
        let apparent = power.map(|watts| watts / POWER_FACTOR);
        let reactive = apparent.map(|va| va * (1.0 - POWER_FACTOR * POWER_FACTOR).sqrt());
        let [[u1, u2, u3], [s1, s2, s3]] = [voltage, apparent];
        Self {
            power,
            voltage,
            current: [s1 / u1, s2 / u2, s3 / u3],
            apparent,
            reactive,
            frequency: 50.0 - (grid.watts() / 10_000_000.0).clamp(-0.05, 0.05),
        }
    }

    /// Power factor of any power.
    pub const fn power_factor() -> f64 {
        POWER_FACTOR
    }

    /// Whole watts by phase that add up to the whole watts of the total.
    pub fn whole_watts(&self) -> [i32; 3] {
        let [a, b, c] = self.power;
        let (total, first, second) = ((a + b + c).round() as i32, a.round() as i32, b.round() as i32);
        [first, second, total - first - second]
    }
}

/// A value in a register of 16 bits with a sign, scaled; too large ones stick at the end.
pub fn signed(value: f64) -> u16 {
    (value.round() as i16).cast_unsigned()
}

/// A value in a register of 16 bits, scaled; too large ones stick at the end.
pub fn unsigned(value: f64) -> u16 {
    value.round() as u16
}

/// High word, low word.
pub fn double(value: u32) -> [u16; 2] {
    [(value >> 16) as u16, value as u16]
}
