//! SMA Tripower Smart Energy (a hybrid) and Sunny Island (a battery inverter), unit 3, SMA's own registers: 32 bits, high
//! word first, all ones (or 0x8000…) where there is no value.
//!
//! 40149 is the power set-point, 40151 takes it into use (802) or not (803). Both are write-only, and only fn 16 with whole
//! values is taken. The set-point lapses after the time-out parameter without a write; then internal control goes on. In a
//! hybrid it is the power of the whole AC side.

use std::time::Duration;

use super::hybrid::{Hybrid, Order, pair};
use super::{BatterySize, electric};
use crate::sim::bank::{Exception, RegisterBank, Registers, Table};
use crate::sim::busbar::{Balance, Feed, Part, Step};
use crate::units::Watts;

const SETPOINT: u16 = 40_149;
const NAN: [u16; 2] = [0x8000, 0];

/// The inverter.
#[derive(Clone, Debug)]
pub struct Sma {
    inside: Hybrid,
    hybrid: bool,
    map: Registers,
    /// Power told, whether it is in use.
    told: (i32, bool),
    time_out: Duration,
    now: Duration,
    lapses_at: Duration,
}

impl Sma {
    /// An inverter under internal control; with `pv` a Tripower Smart Energy, else a Sunny Island. `time_out` is its
    /// parameter.
    pub fn new(size: BatterySize, pv: Option<Watts>, time_out: Duration, speed: f64) -> Self {
        let rating = size.charge_max.max(size.discharge_max).max(pv.unwrap_or(Watts::ZERO)).watts();
        let mut map = Registers::default()
            .with(Table::Holding, 30_053, &electric::double(19_048))
            .with(Table::Holding, 30_057, &electric::double(3_012_345_678))
            .with(Table::Holding, 30_231, &pair(rating));
        if pv.is_none() {
            map.put(Table::Holding, 40_189, &pair(size.charge_max.watts()));
            map.put(Table::Holding, 40_191, &pair(size.discharge_max.watts()));
        }
        let hybrid = pv.is_some();
        let inside = Hybrid::new(size, pv, speed);
        let mut new =
            Self { inside, hybrid, map, told: (0, false), time_out, now: Duration::ZERO, lapses_at: Duration::ZERO };
        new.show();
        new
    }

    fn rating(&mut self) -> f64 {
        let words = self.map.read(Table::Holding, 30_231, 2).unwrap_or_default();
        words.iter().fold(0.0, |sum, word| sum * 65_536.0 + f64::from(*word))
    }

    fn show(&mut self) {
        let (ac, battery, pv) = (self.inside.ac(), self.inside.battery.power().watts(), self.inside.pv().watts());
        let grid = self.inside.balance.grid;
        let whole = electric::Electric::of(ac, grid).whole_watts().map(f64::from);
        let (charged, discharged) = (self.inside.battery.charged, self.inside.battery.discharged);
        let soc = self.inside.battery.soc().percent();
        let mut put = |at, words: &[u16]| self.map.put(Table::Holding, at, words);
        put(30_775, &pair(ac.watts()));
        for (at, watts) in [30_777, 30_779, 30_781].into_iter().zip(whole) {
            put(at, &pair(watts));
        }
        put(30_865, &pair(grid.watts().max(0.0)));
        put(30_867, &pair((-grid.watts()).max(0.0)));
        put(30_581, &pair(1234.0));
        put(30_583, &pair(567.0));
        put(30_845, &pair(soc));
        put(30_849, &pair(251.0));
        put(30_851, &pair(5120.0));
        if self.hybrid {
            // A string without sun is NaN.
            put(30_773, &if pv > 0.0 { pair(pv * 0.6) } else { NAN });
            put(30_961, &if pv > 0.0 { pair(pv - (pv * 0.6).round()) } else { NAN });
            put(31_393, &pair((-battery).max(0.0)));
            put(31_395, &pair(battery.max(0.0)));
            let [a, b] = pair(charged.watt_hours());
            let [c, d] = pair(discharged.watt_hours());
            put(31_397, &[0, 0, a, b]);
            put(31_401, &[0, 0, c, d]);
        } else {
            put(30_595, &pair(charged.watt_hours()));
            put(30_597, &pair(discharged.watt_hours()));
        }
    }
}

impl RegisterBank for Sma {
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        let table = if table == Table::Input { Table::Holding } else { table }; // fn 3 and 4 answer alike
        self.map.read(table, start, count)
    }

    fn write(&mut self, table: Table, start: u16, words: &[u16]) -> Result<(), Exception> {
        let double = |high: u16, low: u16| u32::from(high) << 16 | u32::from(low);
        let (power, state) = match (table, start, words) {
            (Table::Holding, SETPOINT, [a, b]) => (Some(double(*a, *b)), None),
            (Table::Holding, 40_151, [a, b]) => (None, Some(double(*a, *b))),
            (Table::Holding, SETPOINT, [a, b, c, d]) => (Some(double(*a, *b)), Some(double(*c, *d))),
            _ => return Err(Exception::Address), // a single word too
        };
        let power = power.map_or(self.told.0, u32::cast_signed);
        let used = match state {
            None => self.told.1,
            Some(802) => true,
            Some(803) => false,
            Some(_) => return Err(Exception::Value),
        };
        if f64::from(power).abs() > self.rating() {
            return Err(Exception::Value);
        }
        self.told = (power, used);
        self.lapses_at = self.now + self.time_out;
        Ok(())
    }
}

impl Part for Sma {
    fn act(&mut self, step: &Step) -> Feed {
        self.now += step.io;
        self.told.1 &= self.now < self.lapses_at;
        let order = match self.told {
            (_, false) => Order::Own,
            (power, true) => Order::Exact(Watts::new(f64::from(power)) - self.inside.pv()),
        };
        self.inside.act(step, order)
    }

    fn see(&mut self, balance: &Balance, _: &Step) {
        self.inside.see(balance);
        self.show();
    }
}
