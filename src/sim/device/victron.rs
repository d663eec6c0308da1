//! Victron GX with ESS: unit 100 of its Modbus server ("CCGX Modbus TCP register list" 3.50; "ESS mode 2 and 3").
//!
//! fn 3 and 4 answer alike. The GX regulates the grid point: toward 2716 (volatile) while that is not 0, else toward the
//! owner's 2700. 2702 below 50 forbids discharge; ESS mode 3 leaves the inverters to others, here: at 0 W.

use super::battery::{BatterySize, BatteryUnit};
use super::electric::{Electric, double, signed, unsigned};
use crate::sim::bank::{Exception, RegisterBank, Table};
use crate::sim::busbar::{Balance, Feed, Part, Step};
use crate::units::Watts;

/// The GX with its inverters and battery.
#[derive(Clone, Debug)]
pub struct VictronGx {
    battery: BatteryUnit,
    settings: Settings,
    balance: Balance,
}

/// What may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Settings {
    /// 2700: grid setpoint of the owner, W, kept in flash.
    setpoint: i16,
    /// 2716: grid setpoint of whoever controls, W, volatile; 0 = none.
    volatile: i32,
    /// 2701, 2702: most charge and discharge, %.
    charge: u16,
    discharge: u16,
    /// 2901: least SoC, 0.1 %.
    min_soc: u16,
    /// 2902: 1 with, 2 without phase compensation, 3 external.
    mode: u16,
}

impl VictronGx {
    /// A GX whose battery is at rest and follows the owner's setpoint of 50 W.
    pub fn new(size: BatterySize, speed: f64) -> Self {
        let min_soc = unsigned(size.soc.0.percent() * 10.0);
        Self {
            battery: BatteryUnit::new(size, speed),
            settings: Settings { setpoint: 50, volatile: 0, charge: 100, discharge: 100, min_soc, mode: 1 },
            balance: Balance::default(),
        }
    }

    fn register(&self, address: u16) -> Option<u16> {
        let Settings { setpoint, volatile, charge, discharge, min_soc, mode } = self.settings;
        let third = |values: [i32; 3], nth: u16| signed(f64::from(values.get(usize::from(nth)).copied().unwrap_or(0)));
        let phases = |power: Watts| Electric::of(power, self.balance.grid).whole_watts();
        let dc = -self.battery.dc_power().watts(); // here charging is positive
        let volts = 51.2 + 1.5 * (self.battery.soc().ratio() - 0.5) + dc / 40_000.0;
        let of_i32 = |value: i32, nth: u16| double(value.cast_unsigned()).get(usize::from(nth)).copied();
        Some(match address {
            800..=805 => u16::from_be_bytes(*b"c0619ab1f2e4".as_chunks::<2>().0.get(usize::from(address - 800))?),
            806 | 807 => 0,                                             // its relays
            808..=810 => 0,                                             // PV on the output
            811..=813 => third(phases(self.balance.pv), address - 811), // PV on the grid side
            814..=816 => 0,                                             // PV on a generator
            817..=819 => third(phases(self.balance.load), address - 817),
            820..=822 => third(phases(self.balance.grid), address - 820),
            823..=825 => 0, // generator
            826 => 1,       // fed by the grid
            840 => unsigned(10.0 * volts),
            841 => signed(10.0 * dc / volts),
            842 => signed(dc),
            843 => unsigned(self.battery.soc().percent()),
            844 => match dc {
                50.0.. => 1,
                ..=-50.0 => 2,
                _ => 0,
            },
            850 | 851 => 0, // PV on the DC side
            2700 => setpoint.cast_unsigned(),
            2701 => charge,
            2702 => discharge,
            2703 => signed(f64::from(setpoint) / 100.0),
            2704..=2706 => 0xffff, // -1: no limit
            2707 => 1,
            2708 | 2709 => 0,
            2716 | 2717 => of_i32(volatile, address - 2716)?,
            2900 => 10,
            2901 => min_soc,
            2902 => mode,
            2903 => min_soc,
            5400 => 0, // no Dynamic ESS
            _ => return None,
        })
    }
}

impl RegisterBank for VictronGx {
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        if !matches!(table, Table::Holding | Table::Input) {
            return Err(Exception::Function);
        }
        (start..=u16::MAX).take(count.into()).map(|at| self.register(at).ok_or(Exception::Address)).collect()
    }

    fn write(&mut self, table: Table, start: u16, words: &[u16]) -> Result<(), Exception> {
        if table != Table::Holding {
            return Err(Exception::Function);
        }
        let mut new = self.settings;
        let mut left = words;
        let mut at = start;
        while let [word, rest @ ..] = left {
            let mut took = 1;
            match (at, *word, rest) {
                (2700, value, _) => new.setpoint = value.cast_signed(),
                (2701, value @ 0..=100, _) => new.charge = value,
                (2702, value @ 0..=100, _) => new.discharge = value,
                (2716, high, [low, ..]) => {
                    new.volatile = (u32::from(high) << 16 | u32::from(*low)).cast_signed();
                    took = 2;
                }
                (2901, value @ 0..=1000, _) => new.min_soc = value,
                (2902, value @ 1..=3, _) => new.mode = value,
                (2701 | 2702 | 2716 | 2901 | 2902, ..) => return Err(Exception::Value),
                _ => return Err(Exception::Address),
            }
            left = left.get(took..).unwrap_or_default();
            at = at.checked_add(took as u16).ok_or(Exception::Address)?;
        }
        self.settings = new;
        Ok(())
    }
}

impl Part for VictronGx {
    fn act(&mut self, step: &Step) -> Feed {
        let Settings { setpoint, volatile, charge, discharge, min_soc, mode } = self.settings;
        let (mut least, mut most) = self.battery.range();
        least = least * (f64::from(charge) / 100.0);
        if discharge < 50 || self.battery.soc().percent() * 10.0 <= f64::from(min_soc) {
            most = Watts::ZERO;
        }
        if mode == 3 {
            (least, most) = (Watts::ZERO, Watts::ZERO);
        }
        match volatile {
            0 => self.battery.act_alone(step, Watts::new(f64::from(setpoint)), (least, most)),
            volatile => self.battery.act(step, Watts::new(f64::from(volatile)), (least, most)),
        }
    }

    fn see(&mut self, balance: &Balance, _: &Step) {
        self.balance = *balance;
        self.battery.see(balance);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::SiteTime;
    use crate::config::PlantConfig;
    use crate::sim::busbar;
    use crate::sim::device::sunspec::SunSpecStorage;
    use crate::units::{Soc, WattHours};

    fn size() -> BatterySize {
        BatterySize {
            capacity: WattHours::kwh(40.0),
            charge_max: Watts::kw(20.0),
            discharge_max: Watts::kw(20.0),
            soc: (Soc::from_percent(5.0), Soc::FULL),
            plant: PlantConfig::default(),
        }
    }

    fn pass(parts: &mut [&mut dyn Part], kw: f64, seconds: u32) -> (Balance, Vec<Feed>) {
        let io = Duration::from_millis(10);
        let step = Step { io, site: io, at: SiteTime::default(), load: Watts::kw(kw), sun: 0.0 };
        let steps = (0..seconds * 100).map(|_| busbar::step(parts.iter_mut().map(|part| &mut **part as _), &step));
        steps.last().unwrap()
    }

    #[test]
    fn it_regulates_the_grid_point_and_follows_its_owner_when_released() {
        let mut gx = VictronGx::new(size(), 1.0);
        let [high, low] = double(3000);
        gx.write(Table::Holding, 2716, &[high, low]).unwrap();
        let (balance, _) = pass(&mut [&mut gx], 10.0, 10);
        assert!((balance.grid - Watts::kw(3.0)).abs() < Watts::new(10.0), "{}", balance.grid);
        let sum: i32 = gx.read(Table::Input, 820, 3).unwrap().iter().map(|w| i32::from(w.cast_signed())).sum();
        assert_eq!(sum, balance.grid.watts().round() as i32);
        gx.write(Table::Holding, 2716, &[0, 0]).unwrap();
        let (balance, _) = pass(&mut [&mut gx], 10.0, 10);
        assert!(balance.grid.abs() < Watts::new(300.0), "{}", balance.grid);
        gx.write(Table::Holding, 2702, &[0]).unwrap();
        assert_eq!(pass(&mut [&mut gx], 10.0, 10).0.battery, Watts::ZERO);
        assert_eq!(gx.read(Table::Holding, 844, 1), Ok(vec![0]));
        assert_eq!(gx.read(Table::Holding, 846, 1), Err(Exception::Address));
        assert_eq!(gx.write(Table::Holding, 2702, &[101]), Err(Exception::Value));
        assert_eq!(gx.write(Table::Holding, 843, &[1]), Err(Exception::Address));
    }

    #[test]
    fn two_neighbours_left_to_themselves_do_not_feed_each_other_for_long() {
        let mut gx = VictronGx::new(size(), 1.0);
        let mut store = SunSpecStorage::new(size(), None, 1.0, "1");
        let model_124 = 40_002 + 68 + 52 + 28 + 32 + 26;
        store.write(Table::Holding, model_124 + 12, &[(-5000_i16).cast_unsigned()]).unwrap();
        store.write(Table::Holding, model_124 + 5, &[2]).unwrap();
        let (_, feeds) = pass(&mut [&mut gx, &mut store], 5.0, 10);
        assert!(feeds[0].battery > Watts::kw(14.0), "told to charge, it is fed by the other: {:?}", feeds);
        store.write(Table::Holding, model_124 + 5, &[0]).unwrap();
        let (balance, feeds) = pass(&mut [&mut gx, &mut store], 5.0, 60);
        assert!(feeds.iter().all(|feed| feed.battery > Watts::kw(-0.5)), "{feeds:?}");
        assert!(balance.grid.abs() < Watts::new(300.0));
    }
}
