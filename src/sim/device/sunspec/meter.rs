//! A meter: models 1 and 203. Import is positive, as with Fronius' meters.

use super::chain::{Chain, METER, scaled};
use crate::sim::bank::{Exception, RegisterBank, Table};
use crate::sim::busbar::{Balance, Feed, Part, Step};
use crate::sim::device::MeterScope;
use crate::sim::device::electric::{Electric, double, signed};
use crate::units::{WattHours, Watts};

/// Watts in tens: i16 then reaches 327 kW.
const WATTS_SF: i16 = 1;

/// The meter.
#[derive(Clone, Debug)]
pub struct SunSpecMeter {
    chain: Chain,
    scope: MeterScope,
    reversed: bool,
    imported: WattHours,
    exported: WattHours,
}

impl SunSpecMeter {
    /// A meter; `reversed` has its CTs mounted the wrong way round.
    pub fn new(scope: MeterScope, reversed: bool, serial: &str) -> Self {
        let mut chain = Chain::new("Sunmill", "Meter", serial);
        chain.add(203, METER);
        let minus = |digits: i16| (-digits).cast_unsigned();
        for (offset, sf) in [(6, minus(1)), (15, minus(1)), (17, minus(2)), (22, WATTS_SF.cast_unsigned()), (54, 0)] {
            chain.put(203, offset, sf);
        }
        Self { chain, scope, reversed, imported: WattHours::ZERO, exported: WattHours::ZERO }
    }
}

impl RegisterBank for SunSpecMeter {
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        self.chain.read(table, start, count)
    }

    fn write(&mut self, _: Table, _: u16, _: &[u16]) -> Result<(), Exception> {
        Err(Exception::Address)
    }
}

impl Part for SunSpecMeter {
    fn act(&mut self, _: &Step) -> Feed {
        Feed::default()
    }

    fn see(&mut self, balance: &Balance, step: &Step) {
        let power = self.scope.of(balance);
        let power = if self.reversed { -power } else { power };
        self.imported += power.max(Watts::ZERO).over(step.site);
        self.exported += (-power).max(Watts::ZERO).over(step.site);
        let electric = Electric::of(power, balance.grid);
        let sum = |values: [f64; 3]| values.iter().sum::<f64>();
        let chain = &mut self.chain;
        let tenths = |value: f64| signed(value * 10.0);
        chain.put(203, 2, tenths(sum(electric.current)));
        chain.put_all(203, 3, &electric.current.map(tenths));
        chain.put(203, 7, tenths(sum(electric.voltage) / 3.0));
        chain.put_all(203, 8, &electric.voltage.map(tenths));
        chain.put(203, 16, signed(electric.frequency * 100.0));
        chain.put(203, 18, signed(scaled(power.watts(), WATTS_SF)));
        chain.put_all(203, 19, &electric.power.map(|watts| signed(scaled(watts, WATTS_SF))));
        chain.put_all(203, 38, &double(self.exported.watt_hours() as u32));
        chain.put_all(203, 46, &double(self.imported.watt_hours() as u32));
    }
}
