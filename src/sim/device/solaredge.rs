//! SolarEdge StorEdge: SunSpec models 1, 103 and (as a sub-device) 1, 203 at 40000, with powers of ten that change with the
//! power; battery 1 (57600) and storage control (57344) in blocks of its own, low word first.
//!
//! While the storage control mode 57348 is 4 (remote), the command 57357 is obeyed until 57355 seconds have passed without a
//! new one; then the default mode 57354 is. Commands: 0 off, 1 to 3 charge (3 from the grid too, unless 57349 is 0), 4
//! discharge, 7 self-consumption; 57358 and 57360 bound charge and discharge in each. Bounds above the battery's are refused.

use std::time::Duration;

use super::hybrid::{Hybrid, swapped, word};
use super::{BatterySize, electric};
use crate::sim::bank::{Exception, RegisterBank, Registers, Table};
use crate::sim::busbar::{Balance, Feed, Part, Step};
use crate::units::Watts;

const MODE: u16 = 57_348;
const AC_CHARGE: u16 = 57_349;
const DEFAULT: u16 = 57_354;
const TIME_OUT: u16 = 57_355;
const COMMAND: u16 = 57_357;
const CHARGE: u16 = 57_358;
const DISCHARGE: u16 = 57_360;

/// The inverter.
#[derive(Clone, Debug)]
pub struct SolarEdge {
    inside: Hybrid,
    map: Registers,
    now: Duration,
    ends_at: Duration,
}

impl SolarEdge {
    /// An inverter in remote control without a command: its default mode is self-consumption.
    pub fn new(size: BatterySize, pv: Option<Watts>, speed: f64) -> Self {
        let (charge, discharge) = (size.charge_max.watts(), size.discharge_max.watts());
        let mut map = Registers::default()
            .with(Table::Holding, 40_000, &[0x5375, 0x6E53, 1, 65])
            .with(Table::Holding, 40_004, &[0; 65])
            .with(Table::Holding, 40_069, &[103, 50])
            .with(Table::Holding, 40_071, &[0x8000; 50])
            .with(Table::Holding, 40_121, &[1, 65])
            .with(Table::Holding, 40_123, &[0; 65])
            .with(Table::Holding, 40_188, &[203, 105])
            .with(Table::Holding, 40_190, &[0; 105])
            .with(Table::Holding, 57_344, &[0; 18])
            .with(Table::Holding, MODE, &[4, 1])
            .with(Table::Holding, DEFAULT, &[7])
            .with(Table::Holding, TIME_OUT, &[3600, 0])
            .with(Table::Holding, COMMAND, &[7])
            .with(Table::Holding, CHARGE, &swapped(charge))
            .with(Table::Holding, DISCHARGE, &swapped(discharge))
            .with(Table::Holding, 57_600, &[0; 136])
            .with(Table::Holding, 57_666, &swapped(size.capacity.watt_hours()))
            .with(Table::Holding, 57_668, &swapped(charge))
            .with(Table::Holding, 57_670, &swapped(discharge));
        for (at, text) in [(40_004, "SolarEdge "), (40_020, "SE10K-RWS "), (40_044, "0004.0020."), (40_052, "7E1234AB")]
        {
            for (at, pair) in (at..).zip(text.as_bytes().as_chunks::<2>().0) {
                map.put(Table::Holding, at, &[u16::from_be_bytes(*pair)]);
            }
        }
        let mut new = Self { inside: Hybrid::new(size, pv, speed), map, now: Duration::ZERO, ends_at: Duration::ZERO };
        new.show();
        new
    }

    fn float(&mut self, at: u16) -> f64 {
        let (low, high) = (word(&mut self.map, at), word(&mut self.map, at + 1));
        f64::from(f32::from_bits(u32::from(high) << 16 | u32::from(low)))
    }

    /// A power as i16 with the power of ten that fits, as the inverter chooses it anew each time.
    fn scaled(&mut self, at: u16, sf_at: u16, watts: f64) {
        let sf = if watts.abs() < 3000.0 { -1_i16 } else { 0 };
        self.map.put(Table::Holding, at, &[electric::signed(watts / 10_f64.powi(sf.into()))]);
        self.map.put(Table::Holding, sf_at, &[sf.cast_unsigned()]);
    }

    fn show(&mut self) {
        let battery = self.inside.battery.power().watts();
        self.scaled(40_083, 40_084, self.inside.ac().watts().max(0.0)); // never negative
        self.scaled(40_100, 40_101, self.inside.pv().watts() + battery);
        self.scaled(40_206, 40_210, -self.inside.balance.grid.watts()); // export positive
        let soc = self.inside.battery.soc().percent();
        let mut put = |at, words: &[u16]| self.map.put(Table::Holding, at, words);
        put(40_093, &electric::double(123_456));
        put(40_095, &[0]);
        put(40_107, &[4]);
        put(40_226, &electric::double(2222));
        put(40_234, &electric::double(3333));
        put(40_242, &[1]);
        put(57_708, &swapped(25.5));
        put(57_716, &swapped(-battery)); // charge positive
        put(57_730, &swapped(100.0));
        put(57_732, &swapped(soc));
    }

    /// The battery's window under a mode, discharge positive.
    fn window(&mut self, mode: u16) -> (Watts, Watts) {
        let (charge, discharge) = (Watts::new(self.float(CHARGE)), Watts::new(self.float(DISCHARGE)));
        let pv = self.inside.pv();
        match mode {
            0 => (Watts::ZERO, Watts::ZERO),
            1 | 2 => (-charge.min(pv), -charge.min(pv)),
            3 if word(&mut self.map, AC_CHARGE) == 0 => (-charge.min(pv), -charge.min(pv)),
            3 => (-charge, -charge),
            4 => (discharge, discharge),
            _ => (-charge, discharge),
        }
    }
}

impl RegisterBank for SolarEdge {
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        self.map.read(table, start, count)
    }

    fn write(&mut self, table: Table, start: u16, words: &[u16]) -> Result<(), Exception> {
        if table != Table::Holding {
            return Err(Exception::Address);
        }
        let size = &self.inside.battery.size;
        let (charge, discharge) = (size.charge_max.watts(), size.discharge_max.watts());
        let number = |low: u16, high: u16| f64::from(f32::from_bits(u32::from(high) << 16 | u32::from(low)));
        match (start, words) {
            (MODE, [0..=4]) | (AC_CHARGE, [0..=3]) | (DEFAULT | COMMAND, [0..=5 | 7]) => {}
            (TIME_OUT, [low, high]) if u32::from(*high) << 16 | u32::from(*low) <= 86_400 => {}
            (CHARGE, [low, high]) if (0.0..=charge).contains(&number(*low, *high)) => {}
            (DISCHARGE, [low, high]) if (0.0..=discharge).contains(&number(*low, *high)) => {}
            (MODE | AC_CHARGE | DEFAULT | COMMAND | TIME_OUT | CHARGE | DISCHARGE, _) => return Err(Exception::Value),
            _ => return Err(Exception::Address),
        }
        self.map.put(table, start, words);
        if start == COMMAND {
            let (low, high) = (word(&mut self.map, TIME_OUT), word(&mut self.map, TIME_OUT + 1));
            self.ends_at = self.now + Duration::from_secs((u32::from(high) << 16 | u32::from(low)).into());
        }
        Ok(())
    }
}

impl Part for SolarEdge {
    fn act(&mut self, step: &Step) -> Feed {
        self.now += step.io;
        let remote = word(&mut self.map, MODE) == 4;
        let commanded = self.now < self.ends_at;
        let mode = match (remote, commanded) {
            (true, true) => word(&mut self.map, COMMAND),
            (true, false) => word(&mut self.map, DEFAULT),
            (false, _) => 7,
        };
        let window = self.window(mode);
        self.inside.act_within(step, window)
    }

    fn see(&mut self, balance: &Balance, _: &Step) {
        self.inside.see(balance);
        self.show();
    }
}
