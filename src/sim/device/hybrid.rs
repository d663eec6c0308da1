//! What is inside every hybrid, whatever its registers: a battery, perhaps PV, and an order that the battery obeys.

use super::sunspec::PvArray;
use super::{BatterySize, BatteryUnit};
use crate::sim::bank::{Exception, Registers, Table};
use crate::sim::busbar::{Balance, Feed, Step};
use crate::units::{WattHours, Watts};

/// What the battery is told; discharge positive.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Order {
    /// Nothing: self-consumption.
    #[default]
    Own,
    /// This power.
    Exact(Watts),
}

/// A battery with or without PV behind one AC connection.
#[derive(Clone, Debug)]
pub(super) struct Hybrid {
    pub battery: BatteryUnit,
    array: Option<PvArray>,
    pub pv_energy: WattHours,
    pub balance: Balance,
}

impl Hybrid {
    /// At rest. Where the site's time runs `speed` times as fast as the devices' clock, so does its SoC.
    pub fn new(size: BatterySize, pv: Option<Watts>, speed: f64) -> Self {
        let battery = BatteryUnit::new(size, speed);
        Self { battery, array: pv.map(PvArray::new), pv_energy: WattHours::ZERO, balance: Balance::default() }
    }

    /// PV power at present.
    pub fn pv(&self) -> Watts {
        self.array.map_or(Watts::ZERO, |array| array.power())
    }

    /// AC power at present, PV and battery together.
    pub fn ac(&self) -> Watts {
        self.pv() + self.battery.power()
    }

    /// Lets a step pass under an order.
    pub fn act(&mut self, step: &Step, order: Order) -> Feed {
        let window = match order {
            Order::Own => self.battery.range(),
            Order::Exact(power) => (power, power),
        };
        self.act_within(step, window)
    }

    /// Lets a step pass in self-consumption inside a window (least, most), discharge positive.
    pub fn act_within(&mut self, step: &Step, (least, most): (Watts, Watts)) -> Feed {
        let (low, high) = self.battery.range();
        let pv = self.array.as_mut().map_or(Watts::ZERO, |array| array.act(step, array.peak));
        self.pv_energy += pv.over(step.site);
        let feed = self.battery.act_alone(step, Watts::ZERO, (least.clamp(low, high), most.clamp(low, high)));
        Feed { pv, ..feed }
    }

    pub fn see(&mut self, balance: &Balance) {
        self.balance = *balance;
        self.battery.see(balance);
    }
}

/// Two words of a whole number, high first.
pub(super) fn pair(watts: f64) -> [u16; 2] {
    super::electric::double((watts.round() as i32).cast_unsigned())
}

/// Two words of a float, low first.
pub(super) fn swapped(value: f64) -> [u16; 2] {
    let [high, low] = super::electric::double((value as f32).to_bits());
    [low, high]
}

/// A word of a register map.
pub(super) fn word(map: &mut Registers, at: u16) -> u16 {
    use crate::sim::bank::RegisterBank;
    map.read(Table::Holding, at, 1).ok().and_then(|words| words.first().copied()).unwrap_or(0)
}

/// A write that must be all of these registers.
pub(super) fn whole<const N: usize>(words: &[u16]) -> Result<[u16; N], Exception> {
    words.try_into().map_err(|_| Exception::Address)
}
