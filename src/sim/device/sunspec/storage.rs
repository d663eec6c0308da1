//! A battery inverter, or a hybrid with PV: models 1, 103, 120, 121, 123, 124, 160.
//!
//! Model 124 after the habits of a GEN24: percentages are of WChaMax; InWRte bounds charging and OutWRte discharging, each
//! only with its bit of StorCtl_Mod; a negative bound is a minimum of the other direction. ChaGriSet = 0: no charging from
//! the grid. InOutWRte_RvrtTms > 0: so long after the last write to these points the control is gone; the time stays
//! stored. Without control the device does its own self-consumption.

use std::time::Duration;

use super::chain::{Chain, MODULE, MPPT, STORAGE, scale_for, scaled};
use super::limit::PowerLimit;
use super::pv::{PvArray, describe_inverter, show_inverter};
use crate::sim::bank::{Exception, RegisterBank, Table};
use crate::sim::busbar::{Balance, Feed, Part, Step};
use crate::sim::device::electric::{double, unsigned};
use crate::sim::device::{BatterySize, BatteryUnit};
use crate::units::{WattHours, Watts};

const MODE: usize = 5;
const OUT_RATE: usize = 12;
const IN_RATE: usize = 13;
const RVRT_TMS: usize = 15;
const CHARGE_FROM_GRID: usize = 17;
const FULL_RATE: u16 = 10_000;

/// The inverter.
#[derive(Clone, Debug)]
pub struct SunSpecStorage {
    chain: Chain,
    battery: BatteryUnit,
    array: Option<PvArray>,
    limit: PowerLimit,
    energy: WattHours,
    pv_energy: WattHours,
    now: Duration,
    reverts_at: Option<Duration>,
}

impl SunSpecStorage {
    /// A device at rest, left to itself. With `pv` it is a hybrid: both stand behind one AC output.
    pub fn new(size: BatterySize, pv: Option<Watts>, speed: f64, serial: &str) -> Self {
        let most = size.charge_max.max(size.discharge_max);
        let rating = most.max(pv.unwrap_or(Watts::ZERO));
        let mut chain = Chain::new("Sunmill", if pv.is_some() { "Hybrid" } else { "Store" }, serial);
        describe_inverter(&mut chain, rating);
        PowerLimit::describe(&mut chain, 82, rating);
        let watts_sf = scale_for(most.watts(), 65_000.0);
        let hours_sf = scale_for(size.capacity.watt_hours(), 65_000.0);
        chain.put(120, 19, scaled(size.capacity.watt_hours(), hours_sf).round() as u16);
        chain.put(120, 20, hours_sf.cast_unsigned());
        for (offset, power) in [(23, size.charge_max), (25, size.discharge_max)] {
            chain.put(120, offset, scaled(power.watts(), watts_sf).round() as u16);
            chain.put(120, offset + 1, watts_sf.cast_unsigned());
        }
        chain.add(124, STORAGE);
        chain.put_all(124, 2, &[scaled(most.watts(), watts_sf).round() as u16, 100, 100, 0]);
        chain.put(124, 7, unsigned(size.soc.0.percent() * 100.0));
        chain.put_all(124, OUT_RATE, &[FULL_RATE, FULL_RATE, 0, 0, 0, 1]);
        let hundredths = (-2_i16).cast_unsigned();
        chain.put_all(124, 18, &[watts_sf.cast_unsigned(), 0, 0x8000, hundredths, hundredths, 0x8000, hundredths]);
        chain.put(124, 25, hundredths);
        describe_modules(&mut chain, watts_sf);
        Self {
            chain,
            battery: BatteryUnit::new(size, speed),
            array: pv.map(PvArray::new),
            limit: PowerLimit::default(),
            energy: WattHours::ZERO,
            pv_energy: WattHours::ZERO,
            now: Duration::ZERO,
            reverts_at: None,
        }
    }

    /// The same device by another maker.
    #[must_use]
    pub fn made_by(mut self, maker: &str, model: &str) -> Self {
        self.chain.text(1, 2, maker, 16);
        self.chain.text(1, 18, model, 16);
        self
    }

    fn most_power(&self) -> Watts {
        self.battery.size.charge_max.max(self.battery.size.discharge_max)
    }

    /// The window in force for the battery: (least, most), discharge positive.
    fn window(&self, pv: Watts) -> (Watts, Watts) {
        let (mut least, mut most) = self.battery.range();
        let rate = |offset| self.most_power() * (f64::from(self.chain.get(124, offset).cast_signed()) / 10_000.0);
        let mode = self.chain.get(124, MODE);
        if mode & 1 != 0 {
            least = least.max(-rate(IN_RATE));
        }
        if mode & 2 != 0 {
            most = most.min(rate(OUT_RATE));
        }
        if self.chain.get(124, CHARGE_FROM_GRID) == 0 {
            let free = if self.array.is_some() { pv } else { self.battery.surplus() };
            least = least.max(-free);
            most = most.max(least);
        }
        // The AC output takes no more than it may.
        let room = self.limit.most(&self.chain, self.rating()) - pv;
        (least, most.min(room.max(Watts::ZERO)))
    }

    fn rating(&self) -> Watts {
        self.most_power().max(self.array.map_or(Watts::ZERO, |array| array.peak))
    }

    fn revert(&mut self) {
        if self.reverts_at.is_some_and(|at| at <= self.now) {
            self.reverts_at = None;
            self.chain.put(124, MODE, 0);
            self.chain.put_all(124, OUT_RATE, &[FULL_RATE, FULL_RATE]);
        }
    }

    fn show(&mut self, pv: Watts, grid: Watts) {
        let (power, dc) = (self.battery.power(), self.battery.dc_power());
        show_inverter(&mut self.chain, pv + power, pv * 1.02 + dc, self.energy, grid);
        let soc = self.battery.soc().percent();
        self.chain.put(103, 38, 4);
        self.chain.put(124, 8, unsigned(soc * 100.0));
        self.chain.put(124, 10, unsigned(5120.0 + 10.0 * soc));
        let (low, high) = self.battery.size.soc;
        let state = match dc.watts() {
            20.0.. => 3,
            ..-20.0 => 4,
            _ if soc <= low.percent() + 0.1 => 2,
            _ if soc >= high.percent() - 0.1 => 5,
            _ => 6,
        };
        self.chain.put(124, 11, state);
        let sf = self.chain.get(160, 4).cast_signed();
        let (charge, discharge) = ((-dc).max(Watts::ZERO), dc.max(Watts::ZERO));
        let energies = [self.pv_energy, WattHours::ZERO, self.battery.charged, self.battery.discharged];
        let powers = [pv, Watts::ZERO, charge, discharge];
        for (nth, (power, energy)) in powers.into_iter().zip(energies).enumerate() {
            let at = 10 + 20 * nth;
            self.chain.put(160, at + 9, unsigned(power.watts() / 40.0)); // at 400 V, in 0.1 A
            self.chain.put(160, at + 10, 4000);
            self.chain.put(160, at + 11, unsigned(scaled(power.watts(), sf)));
            self.chain.put_all(160, at + 12, &double(energy.watt_hours() as u32));
        }
    }
}

/// Puts model 160 on the chain: two PV strings, then the battery's charge and discharge as two unsigned modules.
fn describe_modules(chain: &mut Chain, watts_sf: i16) {
    let layout = [MPPT, MODULE, MODULE, MODULE, MODULE].concat();
    chain.add(160, &layout);
    let tenths = (-1_i16).cast_unsigned();
    chain.put_all(160, 2, &[tenths, tenths, watts_sf.cast_unsigned(), 0, 0, 0, 4]);
    for (nth, name) in ["String 1", "String 2", "StCha", "StDisCha"].into_iter().enumerate() {
        let at = 10 + 20 * nth;
        chain.put(160, at, nth as u16 + 1);
        chain.text(160, at + 1, name, 8);
        chain.put(160, at + 17, 4);
    }
}

/// Model, offset and value of each register of a write.
pub(super) fn places(
    chain: &Chain,
    table: Table,
    start: u16,
    words: &[u16],
) -> Result<Vec<(u16, usize, u16)>, Exception> {
    if table != Table::Holding {
        return Err(Exception::Function);
    }
    (start..=u16::MAX)
        .zip(words)
        .map(|(at, word)| chain.locate(at).map(|(model, offset)| (model, offset, *word)).ok_or(Exception::Address))
        .collect()
}

impl RegisterBank for SunSpecStorage {
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        self.chain.read(table, start, count)
    }

    fn write(&mut self, table: Table, start: u16, words: &[u16]) -> Result<(), Exception> {
        let places = places(&self.chain, table, start, words)?;
        for (model, offset, value) in &places {
            match (model, offset, value) {
                (123, offset, value) => PowerLimit::check(*offset, *value)?,
                (124, &MODE, 0..=3) | (124, &CHARGE_FROM_GRID, 0..=1) | (124, 14..=16, 0..=28_800) => {}
                (124, &OUT_RATE | &IN_RATE, rate) if rate.cast_signed().unsigned_abs() <= FULL_RATE => {}
                (124, 7, 0..=10_000) => {}
                (124, &MODE | 7 | 12..=17, _) => return Err(Exception::Value),
                _ => return Err(Exception::Address),
            }
        }
        for (model, offset, value) in places {
            self.chain.put(model, offset, value);
            match model {
                123 => self.limit.written(&self.chain, offset, self.now),
                _ => {
                    let seconds = u64::from(self.chain.get(124, RVRT_TMS));
                    let active = self.chain.get(124, MODE) != 0 && seconds > 0;
                    self.reverts_at = active.then(|| self.now + Duration::from_secs(seconds));
                }
            }
        }
        Ok(())
    }
}

impl Part for SunSpecStorage {
    fn act(&mut self, step: &Step) -> Feed {
        self.now += step.io;
        self.limit.pass(&mut self.chain, self.now);
        self.revert();
        let most = self.limit.most(&self.chain, self.rating());
        let pv = self.array.as_mut().map_or(Watts::ZERO, |array| array.act(step, most));
        let window = self.window(pv);
        let feed = self.battery.act_alone(step, Watts::ZERO, window);
        self.pv_energy += pv.over(step.site);
        self.energy += (pv + feed.battery).max(Watts::ZERO).over(step.site);
        Feed { pv, ..feed }
    }

    fn see(&mut self, balance: &Balance, _: &Step) {
        self.battery.see(balance);
        let pv = self.array.map_or(Watts::ZERO, |array| array.power());
        self.show(pv, balance.grid);
    }
}
