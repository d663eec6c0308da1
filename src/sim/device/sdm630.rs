//! Eastron SDM630: a three-phase meter; fn 4, f32 with the high word first ("SDM630 Modbus Protocol", Eastron).
//!
//! As the real one it answers any address, with zeros where it has nothing, and refuses more than 80 registers.

use super::electric::Electric;
use crate::sim::bank::{Exception, RegisterBank, Table};
use crate::sim::busbar::{Balance, Feed, Part, Step};
use crate::units::{WattHours, Watts};

/// What a meter measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeterScope {
    /// The connection point, import positive.
    Grid,
    /// All PV, generation positive.
    Pv,
    /// The load, positive.
    Load,
}

impl MeterScope {
    /// The power that it measures.
    pub fn of(self, balance: &Balance) -> Watts {
        match self {
            Self::Grid => balance.grid,
            Self::Pv => balance.pv,
            Self::Load => balance.load,
        }
    }
}

/// The meter.
#[derive(Clone, Debug)]
pub struct Sdm630 {
    scope: MeterScope,
    /// The CTs are mounted the wrong way round.
    reversed: bool,
    serial: u32,
    power: Watts,
    electric: Electric,
    imported: [WattHours; 3],
    exported: [WattHours; 3],
}

impl Sdm630 {
    /// A meter; `reversed` has its CTs mounted the wrong way round.
    pub fn new(scope: MeterScope, reversed: bool, serial: u32) -> Self {
        Self {
            scope,
            reversed,
            serial,
            power: Watts::ZERO,
            electric: Electric::default(),
            imported: Default::default(),
            exported: Default::default(),
        }
    }

    /// A value by the register number of the manual (input register, 0-based).
    fn value(&self, address: u16) -> f64 {
        let e = &self.electric;
        let phase = |values: [f64; 3], first: u16| {
            values.get(usize::from(address.saturating_sub(first) / 2)).copied().unwrap_or(0.0)
        };
        let sum = |values: [f64; 3]| values.iter().sum();
        let kwh = |energies: [WattHours; 3]| energies.map(|energy| hundredths(energy.watt_hours() / 1000.0));
        match address {
            0x00..=0x04 => phase(e.voltage, 0x00),
            0x06..=0x0a => phase(e.current.map(f64::abs), 0x06),
            0x0c..=0x10 => phase(e.power, 0x0c),
            0x12..=0x16 => phase(e.apparent, 0x12),
            0x18..=0x1c => phase(e.reactive, 0x18),
            0x1e..=0x22 => Electric::power_factor().copysign(self.power.watts()),
            0x2a => sum(e.voltage) / 3.0,
            0x2e => sum(e.current.map(f64::abs)) / 3.0,
            0x30 => sum(e.current.map(f64::abs)),
            0x34 => self.power.watts(),
            0x38 => sum(e.apparent),
            0x3c => sum(e.reactive),
            0x3e => Electric::power_factor().copysign(self.power.watts()),
            0x46 => e.frequency,
            0x48 => sum(kwh(self.imported)),
            0x4a => sum(kwh(self.exported)),
            0x156 => sum(kwh(self.imported)) + sum(kwh(self.exported)),
            0x15a..=0x15e => phase(kwh(self.imported), 0x15a),
            0x160..=0x164 => phase(kwh(self.exported), 0x160),
            _ => 0.0,
        }
    }
}

/// Counts in steps of 0.01.
fn hundredths(value: f64) -> f64 {
    (value * 100.0).floor() / 100.0
}

fn float(value: f64, address: u16) -> u16 {
    let bits = (value as f32).to_bits();
    if address.is_multiple_of(2) { (bits >> 16) as u16 } else { bits as u16 }
}

impl RegisterBank for Sdm630 {
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        if count > 80 {
            return Err(Exception::Value);
        }
        let words = (start..=u16::MAX).take(count.into());
        match table {
            Table::Input => Ok(words.map(|at| float(self.value(at & !1), at)).collect()),
            // Settings: parity and stop bits 0x12 (0 = 8N1), address 0x14, baud code 0x1c (2 = 9600), serial number 0xfc00.
            Table::Holding => Ok(words
                .map(|at| match at {
                    0x14 | 0x15 => float(1.0, at),
                    0x1c | 0x1d => float(2.0, at),
                    0xfc00 => (self.serial >> 16) as u16,
                    0xfc01 => self.serial as u16,
                    _ => 0,
                })
                .collect()),
            Table::Coil | Table::Discrete => Err(Exception::Function),
        }
    }

    fn write(&mut self, _: Table, _: u16, _: &[u16]) -> Result<(), Exception> {
        Err(Exception::Address) // its settings are locked
    }
}

impl Part for Sdm630 {
    fn act(&mut self, _: &Step) -> Feed {
        Feed::default()
    }

    fn see(&mut self, balance: &Balance, step: &Step) {
        let power = self.scope.of(balance);
        self.power = if self.reversed { -power } else { power };
        self.electric = Electric::of(self.power, balance.grid);
        for ((watts, imported), exported) in self.electric.power.iter().zip(&mut self.imported).zip(&mut self.exported)
        {
            // Phases net each other: each counter takes its share of the total, as a meter set to "balanced" does.
            let energy = Watts::new(*watts).over(step.site);
            *imported += energy.max(WattHours::ZERO);
            *exported += (-energy).max(WattHours::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::SiteTime;

    fn f32_at(meter: &mut Sdm630, address: u16) -> f32 {
        let words = meter.read(Table::Input, address, 2).unwrap();
        f32::from_bits(u32::from(words[0]) << 16 | u32::from(words[1]))
    }

    #[test]
    fn it_shows_power_and_counts_energy_both_ways() {
        let mut meter = Sdm630::new(MeterScope::Grid, false, 12_345_678);
        let hour = Duration::from_secs(3600);
        let step = Step { io: hour, site: hour, at: SiteTime::default(), load: Watts::ZERO, sun: 0.0 };
        for kw in [6.0, -2.0] {
            meter.see(&Balance { grid: Watts::kw(kw), ..Balance::default() }, &step);
        }
        assert_eq!(f32_at(&mut meter, 0x34), -2000.0);
        let phases: f32 = [0x0c, 0x0e, 0x10].into_iter().map(|at| f32_at(&mut meter, at)).sum();
        assert!((phases + 2000.0).abs() < 0.01);
        assert!((f32_at(&mut meter, 0x48) - 6.0).abs() < 0.03, "{}", f32_at(&mut meter, 0x48));
        assert!((f32_at(&mut meter, 0x4a) - 2.0).abs() < 0.03);
        assert!((f32_at(&mut meter, 0x00) - 231.4).abs() < 0.2);
        assert!((f32_at(&mut meter, 0x46) - 50.0).abs() < 0.1);
        assert_eq!(meter.read(Table::Holding, 0xfc00, 2).unwrap(), [188, 24910]);
    }

    #[test]
    fn it_answers_any_address_but_no_long_read() {
        let mut meter = Sdm630::new(MeterScope::Load, true, 1);
        assert_eq!(meter.read(Table::Input, 0x4a38, 2), Ok(vec![0, 0]));
        assert_eq!(meter.read(Table::Input, 0, 81), Err(Exception::Value));
        assert_eq!(meter.write(Table::Holding, 0x14, &[0, 0]), Err(Exception::Address));
    }
}
