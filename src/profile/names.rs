//! The canonical names of points and units.

use super::{Kind, Unit};

/// Parts of a device that a point may belong to.
pub(crate) const PARTS: [&str; 11] =
    ["meter", "grid", "pv", "battery", "inverter", "charger", "load", "relay", "device", "custom", "own"];

/// Units as profiles write them: name, canonical unit, factor to it.
pub(crate) const UNITS: [(&str, Unit, f64); 21] = [
    ("W", Unit::Watts, 1.0),
    ("kW", Unit::Watts, 1e3),
    ("MW", Unit::Watts, 1e6),
    ("Wh", Unit::WattHours, 1.0),
    ("kWh", Unit::WattHours, 1e3),
    ("MWh", Unit::WattHours, 1e6),
    ("V", Unit::Volts, 1.0),
    ("mV", Unit::Volts, 1e-3),
    ("kV", Unit::Volts, 1e3),
    ("A", Unit::Amperes, 1.0),
    ("mA", Unit::Amperes, 1e-3),
    ("Hz", Unit::Hertz, 1.0),
    ("mHz", Unit::Hertz, 1e-3),
    ("degC", Unit::Celsius, 1.0),
    ("°C", Unit::Celsius, 1.0),
    ("%", Unit::Ratio, 1e-2),
    ("ratio", Unit::Ratio, 1.0),
    ("VA", Unit::VoltAmperes, 1.0),
    ("kVA", Unit::VoltAmperes, 1e3),
    ("var", Unit::Vars, 1.0),
    ("kvar", Unit::Vars, 1e3),
];

const QUANTITIES: [(&str, Unit); 29] = [
    ("power", Unit::Watts),
    ("power_limit", Unit::Watts),
    ("power_setpoint", Unit::Watts),
    ("max", Unit::Watts),
    ("max_charge", Unit::Watts),
    ("max_discharge", Unit::Watts),
    ("charge", Unit::Watts),
    ("discharge", Unit::Watts),
    ("energy", Unit::WattHours),
    ("energy_import", Unit::WattHours),
    ("energy_export", Unit::WattHours),
    ("energy_charge", Unit::WattHours),
    ("energy_discharge", Unit::WattHours),
    ("capacity", Unit::WattHours),
    ("voltage", Unit::Volts),
    ("current", Unit::Amperes),
    ("current_limit", Unit::Amperes),
    ("frequency", Unit::Hertz),
    ("temperature", Unit::Celsius),
    ("soc", Unit::Ratio),
    ("soc_min", Unit::Ratio),
    ("soh", Unit::Ratio),
    ("apparent_power", Unit::VoltAmperes),
    ("reactive_power", Unit::Vars),
    ("power_factor", Unit::None),
    ("state", Unit::None),
    ("mode", Unit::None),
    ("fault", Unit::None),
    ("events", Unit::None),
];

const TEXTS: [&str; 5] = ["manufacturer", "model", "options", "version", "serial"];

/// Phases (`_l1`) and strings or trackers (`_1`) of a quantity.
fn without_place(name: &str) -> &str {
    let Some((base, place)) = name.rsplit_once('_') else { return name };
    let phase = matches!(place, "l1" | "l2" | "l3" | "l12" | "l23" | "l31" | "n");
    let number = !place.is_empty() && place.len() <= 2 && place.bytes().all(|b| b.is_ascii_digit());
    if phase || number { base } else { name }
}

/// The unit of a canonical name (`part.name`); `Err` holds the names that the part knows.
pub(crate) fn unit_of(part: &str, name: &str) -> Result<Option<Unit>, Vec<&'static str>> {
    match part {
        "custom" => Ok(None),
        "device" if TEXTS.contains(&name) => Ok(Some(Unit::None)),
        "device" => Err(TEXTS.to_vec()),
        "relay" if name.parse::<u8>().is_ok_and(|number| number >= 1) => Ok(Some(Unit::None)),
        _ => {
            let base = without_place(name);
            let known = QUANTITIES.iter().find(|(quantity, _)| *quantity == base);
            known.map(|(_, unit)| Some(*unit)).ok_or_else(|| QUANTITIES.iter().map(|(name, _)| *name).collect())
        }
    }
}

/// The part that an undotted name belongs to; a hybrid has none.
pub(crate) const fn part_of(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Meter => Some("meter"),
        Kind::Pv => Some("pv"),
        Kind::Battery => Some("battery"),
        Kind::Hybrid => None,
        Kind::Charger => Some("charger"),
        Kind::Load => Some("load"),
        Kind::Relay => Some("relay"),
    }
}

/// Whether a current transformer mounted the wrong way round turns this point's sign.
pub(crate) fn signed_by_direction(name: &str) -> bool {
    let Some(("meter" | "grid", quantity)) = name.split_once('.') else { return false };
    matches!(without_place(quantity), "power" | "current" | "reactive_power")
}

/// What the point counts when the direction is turned: import and export change places.
pub(crate) fn turned(name: &str) -> Option<String> {
    let ("meter" | "grid", quantity) = name.split_once('.')? else { return None };
    match without_place(quantity) {
        "energy_import" => Some(name.replacen("energy_import", "energy_export", 1)),
        "energy_export" => Some(name.replacen("energy_export", "energy_import", 1)),
        _ => None,
    }
}

/// The nearest of `names`, when it is near.
pub(crate) fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
