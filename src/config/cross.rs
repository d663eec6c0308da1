//! What must fit together between tables: names, addresses, roles.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::device::Found;
use super::report::{Problem, Report};
use super::section::Section;
use super::written::{any_of, nearest};
use super::{Role, rules};
use crate::bus::Address;

/// Checks the devices against each other and completes them with what others say of them.
pub(super) fn devices<'a>(mut found: Vec<Found<'a>>, buses: &[Section<'_>], report: &Report<'_>) -> Vec<Found<'a>> {
    unique_names(&found, report);
    unique_units(&found, report);
    lines(&found, report);
    measured(&mut found, report);
    grid_meter(&mut found, report);
    share(&mut found, buses, report);
    found
}

fn unique_names(found: &[Found<'_>], report: &Report<'_>) {
    let mut seen: BTreeMap<&str, &Found<'_>> = BTreeMap::new();
    for device in found.iter().filter(|device| device.section.has("name")) {
        let name = device.config.name.as_str();
        if let Some(first) = seen.get(name) {
            let problem = Problem::new(device.name_span(), format!("two devices have the name `{name}`"));
            report.add(problem.also(first.name_span(), "first here"));
        } else {
            seen.insert(name, device);
        }
    }
}

fn unique_units(found: &[Found<'_>], report: &Report<'_>) {
    let mut seen: BTreeMap<(&Address, u8), &Found<'_>> = BTreeMap::new();
    for device in found {
        let Some(address) = &device.config.address else { continue };
        let unit = device.config.unit_id;
        if let Some(first) = seen.get(&(address, unit)) {
            let key = if device.section.has("unit_id") { "unit_id" } else { "address" };
            let title = format!(
                "unit {unit} at {address} is two devices: `{}` and `{}`",
                first.config.name, device.config.name
            );
            let problem = device.section.problem(key, title).also(first.section.span_of(key), "first here");
            report.add(problem.help("give each its own `unit_id`, as it is set in the device"));
        } else {
            seen.insert((address, unit), device);
        }
    }
}

/// One serial line, or one converter, has one kind of settings.
fn lines(found: &[Found<'_>], report: &Report<'_>) {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum End<'a> {
        File(&'a PathBuf),
        Socket(&'a str, u16),
    }
    let mut seen: BTreeMap<End<'_>, &Found<'_>> = BTreeMap::new();
    for device in found {
        let Some(address) = &device.config.address else { continue };
        let end = match address {
            Address::Rtu(line) => End::File(&line.path),
            Address::Tcp { host, port } | Address::RtuTcp { host, port } => End::Socket(host, *port),
        };
        let Some(first) = seen.get(&end) else {
            seen.insert(end, device);
            continue;
        };
        if first.config.address.as_ref() != Some(address) {
            let (a, b) = (&first.config.name, &device.config.name);
            let title = format!("`{b}` is on the same line as `{a}`, with other settings");
            let problem = device.section.problem("address", title).also(first.section.span_of("address"), "first here");
            report.add(
                problem.help("all devices on a line have the same baud rate, parity and stop bits: write one address"),
            );
        }
    }
}

/// `measures` names a device that is there; a meter without a role is what it measures.
fn measured(found: &mut [Found<'_>], report: &Report<'_>) {
    let known: Vec<_> = found.iter().map(|device| (device.config.name.clone(), device.config.roles.clone())).collect();
    for device in found {
        let Some(target) = device.config.measures.clone() else { continue };
        let Some((_, roles)) = known.iter().find(|(name, _)| *name == target && *name != device.config.name) else {
            let problem = device.section.problem("measures", format!("there is no other device `{target}`"));
            let near = nearest(target.as_str(), known.iter().map(|(name, _)| name.as_str()));
            report.add(match near.filter(|near| *near != device.config.name.as_str()) {
                Some(near) => problem.help(format!("did you mean `measures = \"{near}\"`?")),
                None => problem,
            });
            continue;
        };
        if device.said {
            continue;
        }
        // A meter of a battery has no role: the battery is counted by itself.
        if roles.contains(&Role::Pv) && !roles.contains(&Role::Battery) {
            device.config.roles.insert(Role::PvMeter);
        } else if roles.contains(&Role::Charger) || roles.contains(&Role::HeatPump) {
            device.config.roles.insert(Role::LoadMeter);
        }
    }
}

/// At most one grid meter. Where nobody says which it is, a hybrid's own meter is it.
fn grid_meter(found: &mut [Found<'_>], report: &Report<'_>) {
    let said: Vec<_> = found.iter().filter(|device| device.config.roles.contains(&Role::GridMeter)).collect();
    if let [first, others @ ..] = said.as_slice() {
        for other in others {
            let problem =
                other.section.problem("role", "two devices are the grid meter: there is one connection point");
            let problem = problem.also(first.section.span_of("role"), "first here");
            report.add(problem.help("write `role = \"load-meter\"` or `\"pv-meter\"` for the other"));
        }
        return;
    }
    let mut own: Vec<_> = found.iter_mut().filter(|device| device.has_own_meter()).collect();
    if let [one] = own.as_mut_slice() {
        one.config.roles.insert(Role::GridMeter);
    }
}

/// `[[bus]]`: what the devices at one address share.
fn share(found: &mut [Found<'_>], buses: &[Section<'_>], report: &Report<'_>) {
    let mut seen: Vec<Address> = Vec::new();
    for bus in buses {
        let (gap, timeout) = (bus.get("gap"), bus.get("timeout"));
        let Some(address) = bus.get::<Address>("address") else { continue };
        if seen.contains(&address) {
            report.add(bus.problem("address", format!("two [[bus]] have the address {address}")));
        }
        let mut used = false;
        for device in found.iter_mut().filter(|device| device.config.address.as_ref() == Some(&address)) {
            used = true;
            let overrides = &mut device.config.overrides;
            overrides.gap = overrides.gap.or(gap);
            overrides.timeout = overrides.timeout.or(timeout);
        }
        if !used {
            report.add(bus.problem("address", format!("no device is at {address}")).warning());
        }
        seen.push(address);
    }
}

/// Checks the rules against each other and against the devices.
pub(super) fn rules(found: &[rules::Found<'_>], devices: &[Found<'_>], report: &Report<'_>) {
    let mut seen: BTreeMap<&str, &rules::Found<'_>> = BTreeMap::new();
    for rule in found {
        if let Some(first) = seen.get(rule.kind) {
            let problem = rule.section.problem("kind", format!("two rules of the kind `{}`", rule.kind));
            report.add(problem.also(first.section.span_of("kind"), "first here").help("put them into one"));
        } else {
            seen.insert(rule.kind, rule);
        }
    }
    if devices.iter().any(|device| device.unsure) {
        return;
    }
    let has = |role: &Role| devices.iter().any(|device| device.config.roles.contains(role));
    let acting: Vec<_> = found.iter().filter(|rule| rule.config.is_some()).collect();
    for rule in &acting {
        let needs = rules::needs(rule.kind);
        if !needs.iter().any(has) {
            let title = format!("`{}` needs a device with the role {}", rule.kind, any_of(needs));
            report
                .add(rule.section.problem("kind", title).help("add such a [[device]], or take the rule out").follows());
        }
    }
    // In replay all devices are described ones and the grid meter is replay's own.
    let real = devices.iter().any(|device| device.config.address.is_some());
    if let Some(first) = acting.first()
        && real
        && !has(&Role::GridMeter)
    {
        let problem = first.section.problem("kind", "the rules need a grid meter, and no device is one");
        report.add(problem.help("write `role = \"grid-meter\"` at the meter of the connection point").follows());
    }
}
