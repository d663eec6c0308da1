//! The whole text: site, then devices, then the rules that need them, then the services.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeValue;

use super::keys;
use super::load::state_dir_of;
use super::report::{Problem, Report};
use super::section::Section;
use super::written::{Fault, nearest};
use super::{Config, Profiles, Site, Surroundings, cross, device, mqtt, rules, services};

/// Reads everything; problems go to the report. `None` only when there is no site to speak of.
pub(super) fn config<'a>(
    root: &'a Spanned<DeValue<'a>>,
    around: &Surroundings,
    report: &'a Report<'a>,
) -> Option<Config> {
    let file = Section::open(&keys::TOP, root, report)?;
    let site = file.has("site").then(|| file.table("site", &keys::SITE));
    if site.is_none() {
        let problem = Problem::new(0..0, "there is no [site]").follows();
        report.add(problem.help("write `[site]` with `name = \"…\"` and `time_zone = \"Europe/Berlin\"`"));
    }
    let profile_folder = site.as_ref().and_then(|site| profile_folder(site, around));
    let profiles = open_profiles(site.as_ref(), profile_folder.as_deref(), around, report);

    let found: Vec<_> = file
        .tables("device")
        .into_iter()
        .filter_map(|value| Section::open(&keys::DEVICE, value, report))
        .map(|section| device::read(section, &profiles))
        .collect();
    let buses: Vec<_> =
        file.tables("bus").into_iter().filter_map(|value| Section::open(&keys::BUS, value, report)).collect();
    let rules: Vec<_> = file.tables("rule").into_iter().filter_map(|value| rules::read(value, report)).collect();
    for circuit in file.tables("circuit") {
        let problem = Problem::new(circuit.span(), "[[circuit]] is reserved and not built yet");
        report.add(problem.help("take it out: rules work on the grid point"));
    }
    let devices = cross::devices(found, &buses, report);
    cross::rules(&rules, &devices, report);

    let site = site.and_then(|section| read_site(&section, !rules.is_empty() || file.has("tariff")))?;
    Some(Config {
        mqtt: file.has("mqtt").then(|| mqtt::read(&file.table("mqtt", &keys::MQTT), &site, around)).flatten(),
        site,
        devices: devices.into_iter().map(|device| device.config).collect(),
        rules: rules.into_iter().filter_map(|rule| rule.config).collect(),
        tariff: services::tariff(&file.table("tariff", &keys::TARIFF)),
        control: services::control(&file.table("control", &keys::CONTROL)),
        http: services::http(&file.table("http", &keys::HTTP)),
        telemetry: services::telemetry(&file.table("telemetry", &keys::TELEMETRY)),
        state_dir: state_dir_of(file.get::<String>("state_dir").as_deref(), around),
        profile_folder,
    })
}

fn read_site(section: &Section<'_>, needs_zone: bool) -> Option<Site> {
    let name = section.get::<String>("name")?;
    if let Some(fault) = bad_name(&name, 64) {
        section.refuse("name", fault);
    }
    if needs_zone && !section.has("time_zone") {
        let problem = section.problem("time_zone", "no `time_zone`: windows and months are reckoned in UTC").warning();
        section.report().add(problem.help("write `time_zone = \"Europe/Berlin\"`, or `\"UTC\"` to mean it"));
    }
    let zone = section.value::<String>("time_zone");
    Some(Site { name: name.into(), time_zone: time_zone(section, &zone) })
}

fn time_zone(section: &Section<'_>, name: &str) -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::get(name).unwrap_or_else(|_| {
        let known: Vec<_> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
        let fault = Fault::new(format!("is no IANA time zone: {name:?}"));
        let near = nearest(name, known.iter().map(String::as_str)).unwrap_or("Europe/Berlin");
        section.refuse("time_zone", fault.write(near));
        jiff::tz::TimeZone::UTC
    })
}

/// Why a text cannot be a name; names are parts of topics, metrics and file names.
pub(super) fn bad_name(name: &str, longest: usize) -> Option<Fault> {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && name.len() <= longest && name.chars().all(letter) && !name.starts_with('.') {
        return None;
    }
    let mut plain: String = name.trim().chars().map(|c| if letter(c) { c } else { '-' }).take(longest).collect();
    if plain.trim_matches(['-', '.']).is_empty() {
        plain = "town-hall".to_owned();
    }
    let what = format!("has 1 to {longest} letters, digits, `-`, `_` or `.`, and no leading `.`: not {name:?}");
    Some(Fault::new(what).write(plain.trim_start_matches('.')))
}

fn profile_folder(site: &Section<'_>, around: &Surroundings) -> Option<PathBuf> {
    match site.get::<String>("profiles") {
        Some(folder) => Some(around.folder.join(folder)),
        None => Some(around.folder.join("profiles")).filter(|folder| folder.is_dir()),
    }
}

fn open_profiles(
    site: Option<&Section<'_>>,
    folder: Option<&Path>,
    around: &Surroundings,
    report: &Report<'_>,
) -> Profiles {
    if let (Some(site), Some(folder)) = (site, folder.filter(|folder| !folder.is_dir())) {
        site.refuse("profiles", Fault::new(format!("names {}, which is no folder", folder.display())));
    }
    let folder = folder.filter(|folder| folder.is_dir());
    around.profiles.open(folder).unwrap_or_else(|errors| {
        report.foreign(errors);
        around.profiles.open(None).unwrap_or_default()
    })
}
