//! Sungrow SH: measurements in input registers, settings in holding registers, both counted from the manual's number less 1;
//! 32-bit values low word first ("Communication Protocol of Residential Hybrid Inverter", V1.0.23).
//!
//! The command 13050 and the power 13051 count while 13049 is 2 (forced); entering that mode begins with "stop", so a command
//! written before it is lost. Nothing lapses. A power above the rating is refused with exception 4.

use super::hybrid::{Hybrid, Order, word};
use super::{BatterySize, electric};
use crate::sim::bank::{Exception, RegisterBank, Registers, Table};
use crate::sim::busbar::{Balance, Feed, Part, Step};
use crate::units::Watts;

const MODE: u16 = 13_049;
const COMMAND: u16 = 13_050;
const POWER: u16 = 13_051;
const MOST_CHARGE: u16 = 33_046;
const FORCED: u16 = 2;

/// The inverter.
#[derive(Clone, Debug)]
pub struct SungrowSh {
    inside: Hybrid,
    map: Registers,
}

impl SungrowSh {
    /// An inverter in self-consumption.
    pub fn new(size: BatterySize, pv: Option<Watts>, speed: f64) -> Self {
        let rating = size.charge_max.max(size.discharge_max).watts();
        let mut map = Registers::default()
            .with(Table::Holding, MODE, &[0, 0xCC, 0])
            .with(
                Table::Holding,
                MOST_CHARGE,
                &[
                    electric::unsigned(size.charge_max.watts() / 10.0),
                    electric::unsigned(size.discharge_max.watts() / 10.0),
                ],
            )
            .with(Table::Input, 5000, &[electric::unsigned(rating / 100.0)])
            .with(Table::Input, 5007, &[412])
            .with(Table::Input, 12_999, &[0; 62]);
        map.put(Table::Input, 4989, &[0x4132, 0x3335, 0x3034, 0x3135, 0x3737, 0x3000, 0, 0, 0, 0]);
        let mut new = Self { inside: Hybrid::new(size, pv, speed), map };
        new.show();
        new
    }

    fn order(&mut self) -> Order {
        let power = Watts::new(f64::from(word(&mut self.map, POWER)));
        match (word(&mut self.map, MODE), word(&mut self.map, COMMAND)) {
            (FORCED, 0xAA) => Order::Exact(-power),
            (FORCED, 0xBB) => Order::Exact(power),
            (FORCED, _) => Order::Exact(Watts::ZERO),
            _ => Order::Own,
        }
    }

    fn show(&mut self) {
        let little = |watts: f64| {
            let [high, low] = super::hybrid::pair(watts);
            [low, high]
        };
        let (battery, soc) = (self.inside.battery.power().watts(), self.inside.battery.soc().percent());
        let flow = if battery < -10.0 { 2 } else { u16::from(battery > 10.0) << 2 };
        let (charged, discharged) = (self.inside.battery.charged, self.inside.battery.discharged);
        let mut input = |at, words: &[u16]| self.map.put(Table::Input, at, words);
        input(5016, &little(self.inside.pv().watts()));
        input(5213, &little(battery));
        input(13_000, &[flow]);
        input(13_002, &little(self.inside.pv_energy.watt_hours() / 100.0));
        input(13_007, &little(self.inside.balance.load.watts()));
        input(13_009, &little(-self.inside.balance.grid.watts())); // export positive
        input(13_019, &[electric::unsigned(2560.0)]);
        input(13_021, &[electric::unsigned(battery.abs())]);
        input(13_022, &[electric::unsigned(soc * 10.0), 1000, 250]);
        input(13_026, &little(discharged.watt_hours() / 100.0));
        input(13_033, &little(self.inside.ac().watts()));
        input(13_036, &little(1234.0));
        input(13_040, &little(charged.watt_hours() / 100.0));
        input(13_045, &little(5678.0));
    }
}

impl RegisterBank for SungrowSh {
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        self.map.read(table, start, count)
    }

    fn write(&mut self, table: Table, start: u16, words: &[u16]) -> Result<(), Exception> {
        let [value] = super::hybrid::whole(words)?;
        if table != Table::Holding {
            return Err(Exception::Address);
        }
        let most = self.inside.battery.size.charge_max.max(self.inside.battery.size.discharge_max);
        match (start, value) {
            (MODE, 0 | 2 | 3 | 4) | (COMMAND, 0xAA | 0xBB | 0xCC) => {}
            (POWER, watts) if f64::from(watts) <= most.watts() => {}
            (MOST_CHARGE | 33_047, 1..) if f64::from(value) * 10.0 <= most.watts() => {}
            (MODE | COMMAND | POWER | MOST_CHARGE | 33_047, _) => return Err(Exception::Failure),
            _ => return Err(Exception::Address),
        }
        if start == MODE && value == FORCED && word(&mut self.map, MODE) != FORCED {
            self.map.put(table, COMMAND, &[0xCC]);
        }
        self.map.put(table, start, words);
        Ok(())
    }
}

impl Part for SungrowSh {
    fn act(&mut self, step: &Step) -> Feed {
        let order = self.order();
        self.inside.act(step, order)
    }

    fn see(&mut self, balance: &Balance, _: &Step) {
        self.inside.see(balance);
        self.show();
    }
}
