//! Huawei SUN2000 with LUNA2000 and a power meter ("Solar Inverter Modbus Interface Definitions").
//!
//! A forced charge (47100 = 1, power 47247) or discharge (2, 47249) goes on for the period of 47083 in minutes when it is set
//! "by time" (47246 = 0); it begins anew with each write of 47100. At its end, and at 47100 = 0, the working mode goes on.
//! A power above 37046 or 37048 is refused. Without a period a start is refused.

use std::time::Duration;

use super::hybrid::{Hybrid, Order, pair, word};
use super::{BatterySize, electric};
use crate::sim::bank::{Exception, RegisterBank, Registers, Table};
use crate::sim::busbar::{Balance, Feed, Part, Step};
use crate::units::Watts;

const PERIOD: u16 = 47_083;
const GRID_CHARGE: u16 = 47_087;
const COMMAND: u16 = 47_100;
const BY: u16 = 47_246;
const CHARGE: u16 = 47_247;
const DISCHARGE: u16 = 47_249;

/// The inverter.
#[derive(Clone, Debug)]
pub struct HuaweiSun2000 {
    inside: Hybrid,
    map: Registers,
    now: Duration,
    ends_at: Duration,
}

impl HuaweiSun2000 {
    /// An inverter in its working mode.
    pub fn new(size: BatterySize, pv: Option<Watts>, speed: f64) -> Self {
        let mut map = Registers::default()
            .with(Table::Holding, 30_000, &[0; 35])
            .with(Table::Holding, 30_073, &pair(10_000.0))
            .with(Table::Holding, 32_106, &[0, 100, 0, 120])
            .with(Table::Holding, 37_100, &[1])
            .with(Table::Holding, 37_101, &[0; 37])
            .with(Table::Holding, 37_046, &pair(size.charge_max.watts()))
            .with(Table::Holding, 37_048, &pair(size.discharge_max.watts()))
            .with(Table::Holding, 37_758, &pair(size.capacity.watt_hours()))
            .with(Table::Holding, 47_075, &pair(size.charge_max.watts()))
            .with(Table::Holding, 47_077, &pair(size.discharge_max.watts()))
            .with(Table::Holding, PERIOD, &[0])
            .with(Table::Holding, GRID_CHARGE, &[1])
            .with(Table::Holding, COMMAND, &[0])
            .with(Table::Holding, BY, &[0, 0, 0, 0, 0]);
        for (at, pair) in (30_000..).zip(b"SUN2000-10KTL-M1".as_chunks::<2>().0) {
            map.put(Table::Holding, at, &[u16::from_be_bytes(*pair)]);
        }
        map.put(Table::Holding, 32_087, &[electric::unsigned(385.0)]);
        let mut new = Self { inside: Hybrid::new(size, pv, speed), map, now: Duration::ZERO, ends_at: Duration::ZERO };
        new.show();
        new
    }

    fn double(&mut self, at: u16) -> f64 {
        f64::from(word(&mut self.map, at)) * 65_536.0 + f64::from(word(&mut self.map, at + 1))
    }

    fn show(&mut self) {
        let (grid, battery) = (self.inside.balance.grid, self.inside.battery.power().watts());
        let electric = electric::Electric::of(grid, grid);
        let soc = self.inside.battery.soc().percent();
        let (charged, discharged) = (self.inside.battery.charged, self.inside.battery.discharged);
        let mut put = |at, words: &[u16]| self.map.put(Table::Holding, at, words);
        put(32_064, &pair(self.inside.pv().watts()));
        put(32_080, &pair(self.inside.ac().watts()));
        for (nth, (volts, amperes)) in (0_u16..).zip(electric.voltage.into_iter().zip(electric.current)) {
            put(37_101 + 2 * nth, &pair(10.0 * volts));
            put(37_107 + 2 * nth, &pair(-100.0 * amperes)); // export positive
        }
        put(37_113, &pair(-grid.watts()));
        put(37_119, &pair(-4567.0)); // comes negative
        put(37_121, &pair(8901.0));
        for (at, watts) in [37_132, 37_134, 37_136].into_iter().zip(electric.whole_watts()) {
            put(at, &pair(-f64::from(watts)));
        }
        put(37_760, &[electric::unsigned(10.0 * soc)]);
        put(37_762, &[2]);
        put(37_765, &pair(-battery)); // charge positive
        put(37_780, &pair(charged.watt_hours() / 10.0));
        put(37_782, &pair(discharged.watt_hours() / 10.0));
    }
}

impl RegisterBank for HuaweiSun2000 {
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        self.map.read(table, start, count)
    }

    fn write(&mut self, table: Table, start: u16, words: &[u16]) -> Result<(), Exception> {
        if table != Table::Holding {
            return Err(Exception::Address);
        }
        let size = &self.inside.battery.size;
        let (charge, discharge) = (size.charge_max.watts(), size.discharge_max.watts());
        let watts = |high: u16, low: u16| f64::from(high) * 65_536.0 + f64::from(low);
        match (start, words) {
            (PERIOD, [0..=1440]) | (GRID_CHARGE | BY, [0 | 1]) | (COMMAND, [0]) => {}
            (COMMAND, [1 | 2]) if word(&mut self.map, PERIOD) > 0 || word(&mut self.map, BY) == 1 => {}
            (CHARGE | 47_075, [high, low]) if watts(*high, *low) <= charge => {}
            (DISCHARGE | 47_077, [high, low]) if watts(*high, *low) <= discharge => {}
            (PERIOD | GRID_CHARGE | BY | COMMAND | CHARGE | DISCHARGE | 47_075 | 47_077, _) => {
                return Err(Exception::Value);
            }
            _ => return Err(Exception::Address),
        }
        self.map.put(table, start, words);
        if start == COMMAND {
            self.ends_at = self.now + Duration::from_secs(60 * u64::from(word(&mut self.map, PERIOD)));
        }
        Ok(())
    }
}

impl Part for HuaweiSun2000 {
    fn act(&mut self, step: &Step) -> Feed {
        self.now += step.io;
        if word(&mut self.map, BY) == 0 && self.now >= self.ends_at {
            self.map.put(Table::Holding, COMMAND, &[0]);
        }
        let order = match word(&mut self.map, COMMAND) {
            1 => Order::Exact(-Watts::new(self.double(CHARGE))),
            2 => Order::Exact(Watts::new(self.double(DISCHARGE))),
            _ => Order::Own,
        };
        self.inside.act(step, order)
    }

    fn see(&mut self, balance: &Balance, _: &Step) {
        self.inside.see(balance);
        self.show();
    }
}
