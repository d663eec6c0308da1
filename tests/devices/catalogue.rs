//! `docs/devices.md` is written from the profiles: `UPDATE_DOCS=1 cargo test --test devices` brings it up to date.

use std::fmt::Write as _;
use std::time::Duration;

use wattkeeper::profile::{Class, Control, ControlKind, Kind, Profile, Status};

use crate::bench::{LIBRARY, profile};

const HEAD: &str = "\
# Devices

Written from the profiles in `config/profiles` (`UPDATE_DOCS=1 cargo test --test devices`). How a profile is written, and
how a device is described that is not here: [profiles.md](profiles.md).

`confirmed`: each register was found in two independent sources, or tried. `unconfirmed`: in one source only; points so
marked, too. Compare such values with the device's display before anything is controlled by them, and watch the first
setpoints. *Checked against* says what the profile itself was run against, beside the tests with simulated devices that each
profile has: a dump of a real device, an independent simulator, or its sources only.
";

const KINDS: [(Kind, &str); 7] = [
    (Kind::Meter, "Meters"),
    (Kind::Pv, "PV inverters"),
    (Kind::Hybrid, "Inverters with batteries"),
    (Kind::Battery, "Battery inverters"),
    (Kind::Charger, "EV chargers"),
    (Kind::Load, "Heat pumps and heating rods"),
    (Kind::Relay, "Relay boards"),
];

const fn status(status: Status) -> &'static str {
    match status {
        Status::Confirmed => "confirmed",
        Status::Unconfirmed => "unconfirmed",
    }
}

const fn takes(kind: ControlKind) -> &'static str {
    match kind {
        ControlKind::BatteryPower(_) => "battery power",
        ControlKind::PowerLimit => "power limit",
        ControlKind::Switch => "contact",
        ControlKind::CurrentLimit => "current limit",
        ControlKind::Mode => "mode",
    }
}

fn span(time: Duration) -> String {
    if time < Duration::from_secs(1) { format!("{} ms", time.as_millis()) } else { format!("{} s", time.as_secs()) }
}

/// Names that differ in a phase or number only are one: `power_l1`, `power_l2`, `power_l3` are `power_l1..3`.
fn folded(names: &[String]) -> String {
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for name in names {
        let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (stem, number) = name.split_at(name.len() - digits);
        match rows.last_mut() {
            Some((last, numbers)) if last == stem && digits > 0 => numbers.push(number.to_owned()),
            _ => rows.push((stem.to_owned(), vec![number.to_owned()])),
        }
    }
    let written = rows.into_iter().map(|(stem, numbers)| match numbers.as_slice() {
        [first, .., last] => format!("`{stem}{first}..{last}`"),
        [number] => format!("`{stem}{number}`"),
        [] => String::new(),
    });
    written.collect::<Vec<_>>().join(", ")
}

fn overview(text: &mut String, of: &[&Profile]) {
    text.push_str("\n| device | profile | status | controls |\n|---|---|---|---|\n");
    for profile in of {
        let mut names: Vec<String> = profile.controls.iter().map(|control| control.name.to_string()).collect();
        names.dedup();
        let (id, name) = (&profile.id, &profile.name);
        writeln!(text, "| {name} | [`{id}`](#{id}) | {} | {} |", status(profile.status), folded(&names)).unwrap();
    }
}

/// How a control behaves when nobody tells it anything.
fn alone(control: &Control) -> String {
    match (control.refresh, control.revert) {
        (_, Some(revert)) => format!("takes its own way {} after the last word", span(revert)),
        (Some(refresh), None) => format!("told again each {}; no time-out of its own is known", span(refresh)),
        (None, None) => "no time-out of its own is known: the last setting stays when the gateway dies".to_owned(),
    }
}

fn section(text: &mut String, profile: &Profile) {
    writeln!(text, "\n### {}\n\n**{}**, {}.", profile.id, profile.name, status(profile.status)).unwrap();
    let manners = &profile.manners;
    let gap = if manners.gap.is_zero() { String::new() } else { format!(", {} between requests", span(manners.gap)) };
    writeln!(text, "Unit {}{gap}.\n", manners.unit).unwrap();
    let points = profile.point_lines();
    for group in &profile.groups {
        let names = points.iter().filter(|point| *point.group == *group.name).map(|point| point.name.clone());
        let names: Vec<String> = names.collect();
        if !names.is_empty() {
            writeln!(text, "- each {}: {}", span(group.every), folded(&names)).unwrap();
        }
    }
    let doubtful: Vec<String> =
        points.iter().filter(|point| point.unconfirmed).map(|point| point.name.clone()).collect();
    if !doubtful.is_empty() {
        writeln!(text, "- unconfirmed points: {}", folded(&doubtful)).unwrap();
    }
    let mut told: Vec<(Vec<String>, String)> = Vec::new();
    for control in &profile.controls {
        let kept = match control.class {
            Class::Ram => "RAM".to_owned(),
            Class::Flash => format!("as flash, at most {} registers a day", control.budget.unwrap_or(0)),
        };
        let line = format!("{}, {}; {kept}; {}", takes(control.kind), status(control.status), alone(control));
        match told.last_mut() {
            Some((names, last)) if *last == line => names.push(control.name.to_string()),
            _ => told.push((vec![control.name.to_string()], line)),
        }
    }
    for (names, line) in told {
        writeln!(text, "- control {}: {line}", folded(&names)).unwrap();
    }
    let checked = if profile.checked.is_empty() { "its sources only".to_owned() } else { profile.checked.join("; ") };
    writeln!(text, "- checked against: {checked}").unwrap();
    writeln!(text, "- sources: {}", profile.sources.join("; ")).unwrap();
}

fn catalogue() -> String {
    let profiles: Vec<_> = LIBRARY.ids().filter(|id| *id != "generic").map(profile).collect();
    let mut text = HEAD.to_owned();
    for (kind, title) in KINDS {
        let of: Vec<&Profile> =
            profiles.iter().filter(|profile| profile.kind == kind).map(|profile| &**profile).collect();
        if of.is_empty() {
            continue;
        }
        writeln!(text, "\n## {title}").unwrap();
        overview(&mut text, &of);
        of.iter().for_each(|profile| section(&mut text, profile));
    }
    text
}

#[test]
fn the_page_of_devices_says_what_the_profiles_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/devices.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, catalogue()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == catalogue(), "docs/devices.md is out of date: run `UPDATE_DOCS=1 cargo test --test devices`");
}
