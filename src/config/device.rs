//! One `[[device]]`.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::read::bad_name;
use super::section::Section;
use super::written::{Fault, Ramp, nearest, shown};
use super::{DeviceConfig, PlantConfig, Profiles, Role, keys};
use crate::bus::{Address, SafeState};
use crate::profile::{ControlKind, Kind, Overrides, Profile, WordOrder};
use crate::units::{Soc, Watts};

/// A device with its place in the text.
pub(super) struct Found<'a> {
    pub section: Section<'a>,
    pub config: DeviceConfig,
    /// What it is could not be told because of another error: what depends on it is not reported.
    pub unsure: bool,
    /// `role` is written.
    pub said: bool,
}

impl Found<'_> {
    pub fn name_span(&self) -> Range<usize> {
        self.section.span_of("name")
    }

    /// Whether it can be a grid meter though nobody said so: a hybrid with a meter of its own.
    pub fn has_own_meter(&self) -> bool {
        !self.said
            && self.config.profile.as_ref().is_some_and(|p| p.kind != Kind::Meter && has_part(p, &["grid", "meter"]))
    }
}

/// Reads a device. What is wrong is reported; the result then holds defaults in its place.
pub(super) fn read<'a>(section: Section<'a>, profiles: &Profiles) -> Found<'a> {
    let name = section.get::<String>("name");
    if let Some(fault) = name.as_deref().and_then(|name| bad_name(name, 64)) {
        section.refuse("name", fault);
    }
    let profile = profile(&section, profiles);
    let address = section.get::<Address>("address");
    let lost = (section.has("profile") && profile.is_none()) || (section.has("address") && address.is_none());
    if address.is_some() && !section.has("profile") {
        let problem = section.problem("address", "a device with an address needs a `profile`");
        section
            .report()
            .add(problem.help("`wattkeeper profiles` lists them; `profile = \"generic\"` is one to fill in"));
    }
    let said = section.has("role");
    let roles = roles(&section, profile.as_deref());
    let unsure = lost || name.is_none() || roles.is_none();
    let roles = roles.unwrap_or_default();
    let battery = roles.contains(&Role::Battery);
    let unit = profile.as_ref().map_or(1, |profile| profile.manners.unit);
    let config = DeviceConfig {
        unit_id: unit_id(&section, address.as_ref()).unwrap_or(unit),
        profile,
        address,
        measures: section.get::<String>("measures").map(crate::reading::DeviceName::new),
        overrides: Overrides {
            invert: section.value("invert"),
            words: section.choice("words", &[("big", WordOrder::Big), ("little", WordOrder::Little)]),
            max_read: section.get("max_read"),
            gap: section.get("gap"),
            timeout: section.get("timeout"),
            interval: section.get("interval"),
            settle: section.get("settle"),
            // An inverter may sleep in the dark; one with a battery has no reason to.
            sleepless: battery,
        },
        capacity: section.get("capacity"),
        charge_max: section.get("charge_max"),
        discharge_max: section.get("discharge_max"),
        min_power: section.value("min_power"),
        soc_min: section.value("soc_min"),
        soc_max: section.value("soc_max"),
        ramp: section.get::<Ramp>("ramp").map(|ramp| ramp.0),
        safe_state: section
            .choice("safe_state", &[("release", SafeState::Release), ("standby", SafeState::Standby)])
            .unwrap_or(SafeState::Release),
        max_age: section.get("max_age"),
        plant: plant(&section.table("plant", &keys::PLANT)),
        ..DeviceConfig::new(name.unwrap_or_default(), roles)
    };
    if !unsure {
        check(&section, &config, battery);
    }
    Found { section, config, unsure, said }
}

fn profile(section: &Section<'_>, profiles: &Profiles) -> Option<Arc<Profile>> {
    let id = section.get::<String>("profile")?;
    let found = profiles.get(id.as_str()).cloned();
    if found.is_none() {
        let problem = section.problem("profile", format!("there is no profile `{id}`"));
        section.report().add(match nearest(&id, profiles.keys().map(|id| &**id)) {
            Some(near) => problem.help(format!("did you mean `profile = \"{near}\"`? `wattkeeper profiles` lists all")),
            None => problem.help("`wattkeeper profiles` lists all"),
        });
    }
    found
}

fn unit_id(section: &Section<'_>, address: Option<&Address>) -> Option<u8> {
    let unit = section.get::<u16>("unit_id")?;
    let serial = matches!(address, Some(Address::Rtu(_) | Address::RtuTcp { .. }));
    if serial && unit == 0 {
        section.refuse("unit_id", Fault::new("is 0, the broadcast address: nobody answers it on RTU"));
    } else if serial && unit > 247 {
        section.refuse("unit_id", Fault::new(format!("is {unit}: on RTU it is within 1 to 247")));
    }
    u8::try_from(unit).ok()
}

/// What the device is: as written, else what its profile is. `None` (reported) where that cannot be told.
fn roles(section: &Section<'_>, profile: Option<&Profile>) -> Option<BTreeSet<Role>> {
    if let Some(said) = section.choices("role", &Role::ALL) {
        if said.is_empty() {
            return None;
        }
        for role in &said {
            let Some(profile) = profile.filter(|profile| !offers(profile, *role.get_ref())) else { continue };
            let title = format!("profile `{}` has nothing for the role `{}`", profile.id, role.get_ref());
            section.report().add(super::report::Problem::new(role.span(), title));
        }
        return Some(said.into_iter().map(toml::Spanned::into_inner).collect());
    }
    if section.has("measures") {
        // Filled in when the measured device is known.
        return Some(BTreeSet::new());
    }
    let missing = |help: &str| {
        let problem = super::report::Problem::new(section.span(), "this device needs a `role`").help(help).follows();
        section.report().add(problem);
        None
    };
    match profile.map(|profile| profile.kind) {
        Some(Kind::Meter) => {
            missing("write `role = \"grid-meter\"`, `\"pv-meter\"` or `\"load-meter\"`, or the device it `measures`")
        }
        Some(Kind::Load) => missing("write `role = \"heat-pump\"` or `role = \"charger\"`"),
        Some(Kind::Pv) => Some([Role::Pv].into()),
        Some(Kind::Battery) => Some([Role::Battery].into()),
        Some(Kind::Hybrid) => Some([Role::Pv, Role::Battery].into()),
        Some(Kind::Charger) => Some([Role::Charger].into()),
        Some(Kind::Relay) => Some([Role::Relay].into()),
        None if section.has("profile") => None,
        None => missing("write for instance `role = \"battery\"`"),
    }
}

fn has_part(profile: &Profile, parts: &[&str]) -> bool {
    profile.points.iter().filter_map(|point| point.name.split_once('.')).any(|(part, _)| parts.contains(&part))
}

/// Whether a profile can be meant by a role. Only clear contradictions are refused: what a SunSpec device has is known
/// after it was asked.
fn offers(profile: &Profile, role: Role) -> bool {
    let part = match role {
        Role::GridMeter | Role::PvMeter | Role::LoadMeter => has_part(profile, &["grid", "meter"]),
        Role::Pv => has_part(profile, &["pv", "inverter"]),
        Role::Battery => has_part(profile, &["battery"]),
        Role::Charger => has_part(profile, &["charger"]),
        Role::HeatPump => has_part(profile, &["heat_pump", "load"]),
        Role::Relay => profile.controls.iter().any(|control| control.kind == ControlKind::Switch),
    };
    part || match profile.kind {
        Kind::Meter => matches!(role, Role::GridMeter | Role::PvMeter | Role::LoadMeter),
        Kind::Relay => role == Role::Relay,
        Kind::Charger => role == Role::Charger,
        Kind::Pv | Kind::Battery | Kind::Hybrid | Kind::Load => role != Role::Relay,
    }
}

fn plant(section: &Section<'_>) -> PlantConfig {
    PlantConfig {
        charge_efficiency: section.value::<Soc>("charge_efficiency").ratio(),
        discharge_efficiency: section.value::<Soc>("discharge_efficiency").ratio(),
        standby: section.value("standby"),
        response_delay: section.value("response_delay"),
        ramp: section.get::<Ramp>("ramp").map(|ramp| ramp.0),
        initial_soc: section.value("initial_soc"),
    }
}

/// What must fit together within one device.
fn check(section: &Section<'_>, config: &DeviceConfig, battery: bool) {
    let report = section.report();
    let interval = config.overrides.interval.or_else(|| fastest(config.profile.as_deref()?));
    if let Some(interval) = interval.filter(|interval| *interval < FAST) {
        let title = format!("polled every {}: few devices bear more than 50 requests a second", shown(interval));
        report.add(section.problem("profile", title).warning());
    }
    if let (Some(age), Some(interval)) = (config.max_age, interval)
        && age < interval
    {
        let (age, interval) = (shown(age), shown(interval));
        let title = format!("`max_age` ({age}) is below the poll interval ({interval}): its readings are mostly stale");
        report.add(section.problem("max_age", title).warning());
    }
    if !battery {
        let only = ["capacity", "charge_max", "discharge_max", "min_power", "soc_min", "soc_max"];
        for name in only.into_iter().filter(|name| section.has(name)) {
            report.add(section.problem(name, format!("`{name}` has no effect: this device is no battery")).warning());
        }
        return;
    }
    if config.soc_min >= config.soc_max {
        let title = format!("`soc_min` ({}) is not below `soc_max` ({})", config.soc_min, config.soc_max);
        report.add(section.problem("soc_min", title).also(section.span_of("soc_max"), "the upper end"));
    }
    if config.address.is_none() {
        for (name, missing) in [
            ("capacity", config.capacity.is_none()),
            ("charge_max", config.charge_max.is_none()),
            ("discharge_max", config.discharge_max.is_none()),
        ] {
            if missing && !section.has(name) {
                let example = if name == "capacity" { "30 kWh" } else { "15 kW" };
                let problem = section.problem("name", format!("a described battery needs `{name}`"));
                report.add(problem.help(format!("write `{name} = \"{example}\"`")).follows());
            }
        }
    }
    let most = [config.charge_max, config.discharge_max].into_iter().flatten().reduce(Watts::min);
    if most.is_some_and(|most| config.min_power > most) {
        report.add(section.problem("min_power", "`min_power` is above the most that the battery may do"));
    }
}

/// Polls faster than this are worth a warning.
const FAST: Duration = Duration::from_millis(20);

fn fastest(profile: &Profile) -> Option<Duration> {
    profile.groups.iter().map(|group| group.every).min()
}
