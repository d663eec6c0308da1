//! What the points of a device mean to the site, by its roles.
//!
//! Promises: a role finds its points by their canonical names, once, when the device is identified; signs come out as the
//! busbar sees them. Never: a value of one role counted again in another.

use std::collections::BTreeSet;

use crate::config::Role;
use crate::profile::PointSpec;

/// A point by its index, and the factor that turns it to the busbar's sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signed {
    /// Index into the device's points.
    pub point: usize,
    /// 1 or -1.
    pub factor: f64,
}

/// Points of the meter at the connection point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridPoints {
    /// Power, import positive.
    pub power: usize,
    /// Import counter.
    pub imported: Option<usize>,
    /// Export counter.
    pub exported: Option<usize>,
}

/// Points of a battery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatteryPoints {
    /// Power, discharge positive.
    pub power: Option<usize>,
    /// State of charge, 0..1.
    pub soc: Option<usize>,
    /// Most charging power that the device reports.
    pub max_charge: Option<usize>,
    /// Most discharging power that the device reports.
    pub max_discharge: Option<usize>,
}

/// The points of a device that its roles use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Binding {
    /// As the grid meter.
    pub grid: Option<GridPoints>,
    /// As a battery.
    pub battery: Option<BatteryPoints>,
    /// As PV: generation positive.
    pub pv: Option<Signed>,
    /// As a load: consumption positive.
    pub load: Option<Signed>,
    /// What it puts onto the busbar: the sum of these. A hybrid feeds it once, by its AC side where that is measured.
    pub feed: [Option<Signed>; 2],
}

impl Binding {
    /// Finds the points of each role.
    pub fn new(roles: &BTreeSet<Role>, points: &[PointSpec]) -> Self {
        let find = |names: &[&str]| names.iter().find_map(|name| points.iter().position(|point| &*point.name == *name));
        let signed = |names: &[&str], factor| find(names).map(|point| Signed { point, factor });
        let mut binding = Self::default();
        for role in roles {
            match role {
                // A hybrid that reads the connection point's meter itself calls that part `grid`.
                Role::GridMeter => {
                    binding.grid = find(&["grid.power", "meter.power"]).map(|power| GridPoints {
                        power,
                        imported: find(&["grid.energy_import", "meter.energy_import"]),
                        exported: find(&["grid.energy_export", "meter.energy_export"]),
                    });
                }
                // Its grid side faces the busbar: what it calls export comes in.
                Role::PvMeter => binding.pv = signed(&["meter.power"], -1.0),
                Role::Pv => {
                    // The AC power of a hybrid is not its PV's.
                    let names: &[&str] =
                        if roles.contains(&Role::Battery) { &["pv.power"] } else { &["pv.power", "inverter.power"] };
                    binding.pv = signed(names, 1.0);
                }
                Role::LoadMeter => binding.load = signed(&["meter.power", "load.power"], 1.0),
                Role::Charger => binding.load = signed(&["charger.power", "meter.power"], 1.0),
                Role::HeatPump => binding.load = signed(&["load.power", "meter.power"], 1.0),
                Role::Relay => {}
                Role::Battery => {
                    binding.battery = Some(BatteryPoints {
                        // An inverter without a PV side is a battery's: its AC power is the battery's.
                        power: find(&["battery.power"])
                            .or_else(|| if roles.contains(&Role::Pv) { None } else { find(&["inverter.power"]) }),
                        soc: find(&["battery.soc"]),
                        max_charge: find(&["battery.max_charge", "battery.max"]),
                        max_discharge: find(&["battery.max_discharge", "battery.max"]),
                    });
                }
            }
        }
        let battery = binding.battery.and_then(|battery| battery.power).map(|point| Signed { point, factor: 1.0 });
        let ac =
            signed(&["inverter.power"], 1.0).filter(|_| roles.contains(&Role::Pv) || roles.contains(&Role::Battery));
        binding.feed = if ac.is_some() { [ac, None] } else { [binding.pv, battery] };
        binding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Unit;

    fn points(names: &[&str]) -> Vec<PointSpec> {
        let spec =
            |name: &&str| PointSpec { name: (*name).into(), unit: Unit::Watts, group: 0, counter: None, wrap: None };
        names.iter().map(spec).collect()
    }

    #[test]
    fn a_hybrid_serves_all_its_roles() {
        let points = points(&["grid.power", "pv.power", "inverter.power", "battery.power", "battery.soc"]);
        let roles = BTreeSet::from([Role::GridMeter, Role::Pv, Role::Battery]);
        let binding = Binding::new(&roles, &points);
        assert_eq!(binding.grid.map(|grid| grid.power), Some(0));
        assert_eq!(binding.pv, Some(Signed { point: 1, factor: 1.0 }));
        assert_eq!(binding.battery.map(|battery| (battery.power, battery.soc)), Some((Some(3), Some(4))));
        assert_eq!(binding.load, None);
    }

    #[test]
    fn a_meter_in_front_of_pv_shows_generation_as_positive() {
        let binding = Binding::new(&BTreeSet::from([Role::PvMeter]), &points(&["meter.power"]));
        assert_eq!(binding.pv, Some(Signed { point: 0, factor: -1.0 }));
    }

    #[test]
    fn an_inverters_power_is_never_both_pv_and_battery() {
        let points = points(&["inverter.power", "battery.soc"]);
        let both = Binding::new(&BTreeSet::from([Role::Pv, Role::Battery]), &points);
        assert_eq!(both.pv, None, "it may be the battery's");
        assert_eq!(both.battery.and_then(|battery| battery.power), None);
        let alone = Binding::new(&BTreeSet::from([Role::Battery]), &points);
        assert_eq!(alone.battery.and_then(|battery| battery.power), Some(0));
    }

    #[test]
    fn a_hybrid_feeds_the_busbar_once() {
        let feed = |roles: &[Role], names: &[&str]| {
            let binding = Binding::new(&roles.iter().copied().collect(), &points(names));
            binding.feed.into_iter().flatten().map(|fed| (names[fed.point].to_owned(), fed.factor)).collect::<Vec<_>>()
        };
        let one = |name: &str, factor| (name.to_owned(), factor);
        let hybrid = [Role::Pv, Role::Battery];
        assert_eq!(feed(&hybrid, &["pv.power", "battery.power", "inverter.power"]), [one("inverter.power", 1.0)]);
        let both = [one("pv.power", 1.0), one("battery.power", 1.0)];
        assert_eq!(feed(&hybrid, &["battery.power", "pv.power"]), both, "its AC side is not measured");
        assert_eq!(feed(&[Role::Battery], &["battery.power"]), [one("battery.power", 1.0)]);
        assert_eq!(feed(&[Role::PvMeter], &["meter.power"]), [one("meter.power", -1.0)]);
        assert_eq!(feed(&[Role::GridMeter], &["grid.power", "pv.power"]), []);
        assert_eq!(feed(&[Role::Charger], &["charger.power"]), []);
    }
}
