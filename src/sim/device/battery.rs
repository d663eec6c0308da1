//! A battery with its inverter and its own automatic: what is inside a storage device, whatever its registers.

use std::time::Duration;

use crate::config::PlantConfig;
use crate::sim::BatteryPlant;
use crate::sim::busbar::{Balance, Feed, Step};
use crate::units::{Soc, WattHours, Watts};

/// How large a battery is and how it behaves.
#[derive(Clone, Debug)]
pub struct BatterySize {
    /// Between 0 and 100 %.
    pub capacity: WattHours,
    /// Most charging power, positive.
    pub charge_max: Watts,
    /// Most discharging power.
    pub discharge_max: Watts,
    /// The device's own window; a site's limits lie inside.
    pub soc: (Soc, Soc),
    /// Losses, dead time, ramp, SoC at the start.
    pub plant: PlantConfig,
}

/// The battery of a device.
#[derive(Clone, Debug)]
pub struct BatteryUnit {
    /// Its size.
    pub size: BatterySize,
    plant: BatteryPlant,
    /// What its own automatic wants at present.
    own: Watts,
    /// Consumption without this battery, less PV: what a grid point of 0 W needs from it.
    residual: Watts,
    fed: Watts,
    /// Charged so far, AC.
    pub charged: WattHours,
    /// Discharged so far, AC.
    pub discharged: WattHours,
}

/// Time constant of a device's own regulation of the grid point.
const REGULATION: f64 = 0.25;
/// What an automatic leaves to the grid: a share of its power, and at most this.
const SHYNESS: (f64, Watts) = (0.1, Watts::new(200.0));

impl BatteryUnit {
    /// A battery at rest. Where the site's time runs `speed` times as fast as the devices' clock, so does its SoC; ramps and
    /// dead times stay as they are.
    pub fn new(size: BatterySize, speed: f64) -> Self {
        // Dynamics on the devices' clock, energy on the site's: the plant is stepped in the first, with a capacity that is
        // smaller by the factor between the two.
        let plant = BatteryPlant::new(
            size.plant.clone(),
            size.capacity / speed,
            (size.charge_max, size.discharge_max),
            size.soc,
        );
        Self {
            size,
            plant,
            own: Watts::ZERO,
            residual: Watts::ZERO,
            fed: Watts::ZERO,
            charged: WattHours::ZERO,
            discharged: WattHours::ZERO,
        }
    }

    /// Lets a step pass under its own automatic, which aims near `target` at the grid point: it charges only from what is
    /// really exported and discharges only for what is really imported, so that two neighbours do not feed each other.
    pub fn act_alone(&mut self, step: &Step, target: Watts, window: (Watts, Watts)) -> Feed {
        let shy = (self.own * SHYNESS.0).clamp(-SHYNESS.1, SHYNESS.1);
        self.act(step, target + shy, window)
    }

    /// Lets a step pass. The device aims at `target` at the grid point, inside `least..=most` (discharge positive).
    pub fn act(&mut self, step: &Step, target: Watts, (least, most): (Watts, Watts)) -> Feed {
        let rest = step.io.as_secs_f64() / REGULATION;
        self.own += (self.residual - target - self.own) * (1.0 - (-rest).exp());
        // It does not wind up beyond what it can do.
        self.own = self.own.clamp(-self.size.charge_max, self.size.discharge_max);
        self.plant.command(self.own.clamp(least.min(most), most));
        let power = self.plant.step(step.io, true);
        self.charged += (-power).max(Watts::ZERO).over(step.site);
        self.discharged += power.max(Watts::ZERO).over(step.site);
        self.fed = power - self.size.plant.standby;
        Feed {
            pv: Watts::ZERO,
            battery: self.fed,
            soc: Some(self.soc()),
            stored: self.size.capacity * self.soc().ratio(),
        }
    }

    /// Shows its own meter at the grid point.
    pub fn see(&mut self, balance: &Balance) {
        self.residual = balance.grid + self.plant.power();
    }

    /// All it can do: (least, most).
    pub fn range(&self) -> (Watts, Watts) {
        (-self.size.charge_max, self.size.discharge_max)
    }

    /// What the grid point exports beyond this battery's own feed: what it may charge without taking from the grid.
    pub fn surplus(&self) -> Watts {
        (-self.residual).max(Watts::ZERO)
    }

    /// State of charge.
    pub fn soc(&self) -> Soc {
        self.plant.soc()
    }

    /// AC power at present, discharge positive.
    pub fn power(&self) -> Watts {
        self.fed
    }

    /// Power at the cells, discharge positive: losses lie between.
    pub fn dc_power(&self) -> Watts {
        let power = self.plant.power();
        if power > Watts::ZERO {
            power / self.size.plant.discharge_efficiency
        } else {
            power * self.size.plant.charge_efficiency
        }
    }

    /// What it can do for a second at its present SoC: (least, most).
    pub fn possible(&self) -> (Watts, Watts) {
        let second = Duration::from_secs(1);
        let (least, most) = self.range();
        (self.plant.possible(least, second), self.plant.possible(most, second))
    }
}
