//! A PV inverter: models 1, 103, 120, 121, 123.

use std::time::Duration;

use super::chain::{Chain, INVERTER, scale_for, scaled};
use super::limit::PowerLimit;
use crate::sim::bank::{Exception, RegisterBank, Table};
use crate::sim::busbar::{Balance, Feed, Part, Step};
use crate::sim::device::electric::{Electric, double, signed, unsigned};
use crate::units::{WattHours, Watts};

/// Time constant with which an inverter follows its limit.
const LAG: f64 = 0.1;

/// A PV plant.
#[derive(Clone, Copy, Debug)]
pub struct PvArray {
    /// Power at full sun, also the inverter's rating.
    pub peak: Watts,
    power: Watts,
}

impl PvArray {
    /// A plant in the dark.
    pub const fn new(peak: Watts) -> Self {
        Self { peak, power: Watts::ZERO }
    }

    /// Power at present.
    pub const fn power(&self) -> Watts {
        self.power
    }

    /// Lets a step pass under a limit; returns the power.
    pub fn act(&mut self, step: &Step, most: Watts) -> Watts {
        let aim = (self.peak * step.sun).min(most);
        let pull = 1.0 - (-step.io.as_secs_f64() / LAG).exp();
        // Only a limit is followed with a lag; what the sun gives is there at once, or not.
        self.power = (self.power + (aim - self.power) * pull).max(aim.min(self.power)).min(self.peak * step.sun);
        self.power
    }
}

/// The inverter.
#[derive(Clone, Debug)]
pub struct SunSpecPv {
    chain: Chain,
    array: PvArray,
    limit: PowerLimit,
    energy: WattHours,
    now: Duration,
}

impl SunSpecPv {
    /// An inverter in the dark, without a limit.
    pub fn new(peak: Watts, serial: &str) -> Self {
        let mut chain = Chain::new("Sunmill", "PV", serial);
        describe_inverter(&mut chain, peak);
        PowerLimit::describe(&mut chain, 4, peak);
        let limit = PowerLimit::default();
        Self { chain, array: PvArray::new(peak), limit, energy: WattHours::ZERO, now: Duration::ZERO }
    }
}

/// Puts model 103 on the chain, with the scale factors that suit a rating.
pub(super) fn describe_inverter(chain: &mut Chain, rating: Watts) {
    chain.add(103, INVERTER);
    let watts = scale_for(rating.watts() * 1.1, 32_000.0).cast_unsigned();
    let minus = |digits: i16| (-digits).cast_unsigned();
    for (offset, sf) in [(6, minus(1)), (13, minus(1)), (15, watts), (17, minus(2)), (19, watts), (21, watts)] {
        chain.put(103, offset, sf);
    }
    for (offset, sf) in [(23, minus(3)), (26, 0), (32, watts), (37, minus(1))] {
        chain.put(103, offset, sf);
    }
}

/// Shows an AC output in model 103.
pub(super) fn show_inverter(chain: &mut Chain, power: Watts, dc: Watts, energy: WattHours, grid: Watts) {
    let electric = Electric::of(power, grid);
    let sf = chain.get(103, 15).cast_signed();
    let tenths = |value: f64| unsigned(value.abs() * 10.0);
    let [a, b, c] = electric.current.map(tenths);
    chain.put_all(103, 2, &[a.saturating_add(b).saturating_add(c), a, b, c]);
    chain.put_all(103, 10, &electric.voltage.map(tenths));
    let sum = |values: [f64; 3]| values.iter().sum::<f64>();
    chain.put(103, 14, signed(scaled(power.watts(), sf)));
    chain.put(103, 16, unsigned(electric.frequency * 100.0));
    chain.put(103, 18, signed(scaled(sum(electric.apparent), sf)));
    chain.put(103, 20, signed(scaled(sum(electric.reactive), sf)));
    chain.put(103, 22, signed(1000.0 * Electric::power_factor().copysign(power.watts())));
    chain.put_all(103, 24, &double(energy.watt_hours() as u32));
    chain.put(103, 31, signed(scaled(dc.watts(), sf)));
    chain.put(103, 33, 412);
}

impl RegisterBank for SunSpecPv {
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        self.chain.read(table, start, count)
    }

    fn write(&mut self, table: Table, start: u16, words: &[u16]) -> Result<(), Exception> {
        let places = super::storage::places(&self.chain, table, start, words)?;
        for (model, offset, value) in &places {
            match model {
                123 => PowerLimit::check(*offset, *value)?,
                _ => return Err(Exception::Address),
            }
        }
        for (model, offset, value) in places {
            self.chain.put(model, offset, value);
            self.limit.written(&self.chain, offset, self.now);
        }
        Ok(())
    }
}

impl Part for SunSpecPv {
    fn act(&mut self, step: &Step) -> Feed {
        self.now += step.io;
        self.limit.pass(&mut self.chain, self.now);
        let most = self.limit.most(&self.chain, self.array.peak);
        let pv = self.array.act(step, most);
        self.energy += pv.over(step.site);
        let free = self.array.peak * step.sun;
        self.chain.put(
            103,
            38,
            if free <= Watts::ZERO {
                2
            } else if most < free {
                5
            } else {
                4
            },
        );
        Feed { pv, ..Feed::default() }
    }

    fn see(&mut self, balance: &Balance, _: &Step) {
        let power = self.array.power();
        show_inverter(&mut self.chain, power, power * 1.02, self.energy, balance.grid);
    }
}
