//! What a value's history says about it: counters that fall, jumps that cannot be. The only memory of decoding.

use super::Counter;
use super::define::ValueDef;
use crate::clock::IoTime;

/// An implausible value is believed once it was seen in this many polls in a row.
const POLLS_TO_BELIEVE: u8 = 3;
/// A total counter that falls by so few of its digits holds its old value (seen on Growatt: -0.1 kWh).
const DIGITS_TO_HOLD: f64 = 2.0;

/// The last of a value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    last: Option<f64>,
    /// The last poll brought a value that was believed.
    current: bool,
    at: IoTime,
    doubted: u8,
}

impl Memory {
    /// The present value, if it was taken at `since` or later.
    pub(super) fn since(&self, since: IoTime) -> Option<f64> {
        self.last.filter(|_| self.current && self.at >= since)
    }

    /// The last value, however old.
    pub(super) const fn last(&self) -> Option<f64> {
        self.last
    }

    /// Keeps a value that nobody doubts.
    pub(super) const fn keep(&mut self, value: Option<f64>, now: IoTime) {
        self.last = value;
        self.current = value.is_some();
        self.at = now;
    }

    /// Judges a new value; `digit` is one step of its register. `None` where it is not believed (yet).
    pub(super) fn judge(&mut self, def: &ValueDef, digit: f64, value: f64, now: IoTime) -> Option<f64> {
        let total = def.counter == Some(Counter::Total);
        let doubtful = match self.last {
            Some(last)
                if total && value < last && value != 0.0 && last - value <= digit * DIGITS_TO_HOLD * (1.0 + 1e-9) =>
            {
                self.keep(Some(last), now);
                return Some(last);
            }
            Some(last) if total => value < last,
            None if total => value == 0.0,
            _ => false,
        };
        let jump = def.step_max.zip(self.last).is_some_and(|(most, last)| (value - last).abs() > most);
        if doubtful || jump {
            self.doubted += 1;
            if self.doubted < POLLS_TO_BELIEVE {
                self.current = false;
                return None;
            }
        }
        self.doubted = 0;
        self.keep(Some(value), now);
        Some(value)
    }

    /// Nothing was read. The last value stays, to judge the next one by.
    pub(super) const fn lose(&mut self) {
        self.current = false;
    }
}
