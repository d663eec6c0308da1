//! Kostal Plenticore, unit 71 ("Interface description Modbus (TCP) & SunSpec", hybrid inverters): floats, whose word order is
//! a setting that register 5 tells (0: low word first).
//!
//! 1034 is the battery's set-point, charge negative, taken only while battery control is external (1080 = 2). 1038 and 1040
//! bound it. Without a write for the time set (30 s from the factory) the internal control resumes; whatever is written
//! meanwhile keeps external control alive.

use std::time::Duration;

use super::hybrid::{Hybrid, Order};
use super::{BatterySize, electric};
use crate::sim::bank::{Exception, RegisterBank, Registers, Table};
use crate::sim::busbar::{Balance, Feed, Part, Step};
use crate::units::Watts;

const SETPOINT: u16 = 1034;
const TIME_OUT: Duration = Duration::from_secs(30);

/// The inverter.
#[derive(Clone, Debug)]
pub struct KostalPlenticore {
    inside: Hybrid,
    map: Registers,
    big: bool,
    external: bool,
    told: Option<(f32, Duration)>,
    now: Duration,
}

impl KostalPlenticore {
    /// An inverter under internal control that may be controlled from outside, low word first.
    pub fn new(size: BatterySize, pv: Option<Watts>, speed: f64) -> Self {
        let map = Registers::default()
            .with(Table::Holding, 5, &[0])
            .with(Table::Holding, 531, &[electric::unsigned(size.discharge_max.watts())])
            .with(Table::Holding, 1080, &[2]);
        let mut new = Self {
            inside: Hybrid::new(size, pv, speed),
            map,
            big: false,
            external: true,
            told: None,
            now: Duration::ZERO,
        };
        new.show();
        new
    }

    /// The same inverter with the high word first.
    #[must_use]
    pub fn high_word_first(mut self) -> Self {
        self.big = true;
        self.map.put(Table::Holding, 5, &[1]);
        self.show();
        self
    }

    /// The same inverter before its installer set battery control to "external".
    #[must_use]
    pub fn not_external(mut self) -> Self {
        self.external = false;
        self.map.put(Table::Holding, 1080, &[0]);
        self
    }

    fn float(&mut self, at: u16, value: f64) {
        let [low, high] = super::hybrid::swapped(value);
        self.map.put(Table::Holding, at, &if self.big { [high, low] } else { [low, high] });
    }

    fn show(&mut self) {
        let grid = self.inside.balance.grid;
        let phases = electric::Electric::of(grid, grid);
        self.float(252, grid.watts());
        for (at, (power, voltage)) in [224, 234, 244].into_iter().zip(phases.power.into_iter().zip(phases.voltage)) {
            self.float(at, power);
            self.float(at + 6, voltage);
        }
        self.float(214, 24.5);
        self.float(216, 412.0);
        self.float(1056, self.inside.pv_energy.watt_hours());
        self.float(1066, self.inside.pv().watts());
        self.float(1068, self.inside.battery.size.capacity.watt_hours());
        self.float(1038, self.inside.battery.size.charge_max.watts());
        self.float(1040, self.inside.battery.size.discharge_max.watts());
        self.float(SETPOINT, f64::from(self.told.map_or(0.0, |(power, _)| power)));
        let (soc, power) = (self.inside.battery.soc().percent(), self.inside.battery.power().watts());
        self.map.put(Table::Holding, 514, &[electric::unsigned(soc)]);
        self.map.put(Table::Holding, 575, &[electric::signed(self.inside.ac().watts())]);
        self.map.put(Table::Holding, 582, &[electric::signed(power)]);
    }
}

impl RegisterBank for KostalPlenticore {
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        self.map.read(table, start, count)
    }

    fn write(&mut self, table: Table, start: u16, words: &[u16]) -> Result<(), Exception> {
        let (Table::Holding, SETPOINT, [first, second]) = (table, start, words) else { return Err(Exception::Address) };
        let (high, low) = if self.big { (first, second) } else { (second, first) };
        let power = f32::from_bits(u32::from(*high) << 16 | u32::from(*low));
        let size = &self.inside.battery.size;
        let fits = f64::from(power) >= -size.charge_max.watts() && f64::from(power) <= size.discharge_max.watts();
        if !self.external || !fits {
            return Err(Exception::Value); // not a number fits neither
        }
        self.told = Some((power, self.now + TIME_OUT));
        self.show();
        Ok(())
    }
}

impl Part for KostalPlenticore {
    fn act(&mut self, step: &Step) -> Feed {
        self.now += step.io;
        self.told = self.told.filter(|(_, until)| self.now < *until);
        let order = self.told.map_or(Order::Own, |(power, _)| Order::Exact(Watts::new(f64::from(power))));
        self.inside.act(step, order)
    }

    fn see(&mut self, balance: &Balance, _: &Step) {
        self.inside.see(balance);
        self.show();
    }
}
