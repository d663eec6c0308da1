//! A battery as a plant: limits, losses, dead time, ramp. Pure: time is handed in as steps.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::PlantConfig;
use crate::units::{Soc, WattHours, Watts};

/// A battery with its inverter.
#[derive(Clone, Debug)]
pub struct BatteryPlant {
    /// How it behaves.
    pub plant: PlantConfig,
    /// Size between 0 and 100 %.
    pub capacity: WattHours,
    /// Most charging power, positive.
    pub charge_max: Watts,
    /// Most discharging power.
    pub discharge_max: Watts,
    /// It stops discharging here by itself.
    pub soc_min: Soc,
    /// It stops charging here by itself.
    pub soc_max: Soc,
    stored: WattHours,
    power: Watts,
    wish: Watts,
    waiting: VecDeque<(Duration, Watts)>,
    elapsed: Duration,
}

impl BatteryPlant {
    /// A battery at its initial SoC, at rest.
    pub fn new(
        plant: PlantConfig,
        capacity: WattHours,
        (charge_max, discharge_max): (Watts, Watts),
        (soc_min, soc_max): (Soc, Soc),
    ) -> Self {
        let stored = capacity * plant.initial_soc.clamp(soc_min, soc_max).ratio();
        Self {
            plant,
            capacity,
            charge_max,
            discharge_max,
            soc_min,
            soc_max,
            stored,
            power: Watts::ZERO,
            wish: Watts::ZERO,
            waiting: VecDeque::new(),
            elapsed: Duration::ZERO,
        }
    }

    /// AC power at present, discharge positive, own consumption not counted.
    pub const fn power(&self) -> Watts {
        self.power
    }

    /// State of charge.
    pub fn soc(&self) -> Soc {
        Soc::new(self.stored.watt_hours() / self.capacity.watt_hours().max(f64::MIN_POSITIVE))
    }

    /// Energy that it can give up and take in at most between its SoC limits.
    pub fn usable(&self) -> WattHours {
        self.capacity * (self.soc_max - self.soc_min).ratio()
    }

    /// Tells it a power, discharge positive. It acts after the dead time.
    pub fn command(&mut self, power: Watts) {
        let at = self.elapsed + self.plant.response_delay;
        if self.waiting.back().is_none_or(|(_, last)| *last != power) {
            self.waiting.push_back((at, power));
        }
    }

    /// Lets time pass; returns the mean AC power of the step. `ramped` = false jumps to the wish at once (long steps).
    pub fn step(&mut self, time: Duration, ramped: bool) -> Watts {
        // A setpoint acts from the first step that begins after its dead time.
        while let Some((at, power)) = self.waiting.front().copied() {
            if ramped && at > self.elapsed {
                break;
            }
            self.wish = power;
            self.waiting.pop_front();
        }
        self.elapsed += time;
        let wish = self.wish.clamp(-self.charge_max, self.discharge_max);
        let reached = match self.plant.ramp {
            Some(ramp) if ramped => {
                let most = ramp * time.as_secs_f64();
                wish.clamp(self.power - most, self.power + most)
            }
            _ => wish,
        };
        self.power = self.possible(reached, time);
        let energy = self.power.over(time);
        self.stored -= if energy > WattHours::ZERO {
            energy / self.plant.discharge_efficiency
        } else {
            energy * self.plant.charge_efficiency
        };
        self.power
    }

    /// The nearest power that the stored energy and the room allow for `time`.
    pub fn possible(&self, power: Watts, time: Duration) -> Watts {
        let have = (self.stored - self.capacity * self.soc_min.ratio()).max(WattHours::ZERO);
        let room = (self.capacity * self.soc_max.ratio() - self.stored).max(WattHours::ZERO);
        let out = (have * self.plant.discharge_efficiency).per(time).min(self.discharge_max);
        let into = (room / self.plant.charge_efficiency).per(time).min(self.charge_max);
        power.clamp(-into, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn battery() -> BatteryPlant {
        let plant = PlantConfig { ramp: Some(Watts::kw(10.0)), ..PlantConfig::default() };
        BatteryPlant::new(
            plant,
            WattHours::kwh(10.0),
            (Watts::kw(5.0), Watts::kw(5.0)),
            (Soc::from_percent(10.0), Soc::from_percent(90.0)),
        )
    }

    #[test]
    fn a_setpoint_acts_after_the_dead_time_and_along_the_ramp() {
        let mut battery = battery();
        let step = Duration::from_millis(100);
        battery.command(Watts::kw(5.0));
        let powers: Vec<f64> = (0..10).map(|_| battery.step(step, true).watts()).collect();
        assert_eq!(powers, [0.0, 0.0, 0.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0, 5000.0, 5000.0]);
    }

    #[test]
    fn it_stops_at_its_soc_and_loses_on_the_way() {
        let mut battery = battery();
        battery.command(Watts::kw(5.0));
        battery.step(Duration::from_secs(3600), false);
        assert!((battery.soc().percent() - 10.0).abs() < 1e-9);
        assert!((battery.power().watts() - 3800.0).abs() < 1e-6, "4 kWh stored give 3.8 kWh");
        battery.command(Watts::kw(-2.0));
        battery.step(Duration::from_secs(3600), false);
        assert!((battery.soc().percent() - 29.0).abs() < 1e-9, "2 kWh charged store 1.9 kWh");
    }
}
