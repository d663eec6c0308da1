//! TOML to a valid [`Profile`]: all that is wrong at once, each with its place and what to write instead.
//!
//! What the schema (`docs/profiles.md`) knows and this version cannot carry out is refused, never ignored.

mod computed;
mod control;
mod layout;
mod loader;
mod points;
mod registers;
mod report;
mod section;
mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeTable;

use self::loader::{LoadedGroup, Loader};
use self::registers::{Base, ORDERS, TABLES};
use self::report::Report;
use self::section::Section;
use super::define::{Check, Definition, GroupDef, ModelRef, SunSpecDef, Test};
use super::sunspec::models;
use super::{Control, Group, Kind, Manners, PointSpec, Profile, Span, Status, Table, WriteFunction};

const KINDS: [(&str, Kind); 7] = [
    ("meter", Kind::Meter),
    ("pv", Kind::Pv),
    ("battery", Kind::Battery),
    ("hybrid", Kind::Hybrid),
    ("charger", Kind::Charger),
    ("load", Kind::Load),
    ("relay", Kind::Relay),
];

/// No profile needs more; a foreign file is not read beyond.
const LONGEST_TEXT: usize = 256 * 1024;

/// Reads a profile. `file` is shown in errors, and its stem must be the profile's id.
///
/// # Errors
/// All that is wrong with it, each rendered with place, excerpt and what to write instead.
pub fn parse(text: &str, file: &str) -> Result<Profile, Vec<String>> {
    if text.len() > LONGEST_TEXT {
        return Err(vec![format!("error: {file} is longer than {LONGEST_TEXT} bytes: no profile is")]);
    }
    let report = Report::default();
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let place = error.span().unwrap_or(0..0);
        report.error(&place, "this is no TOML", error.message(), "");
    }
    let profile = if report.is_empty() {
        let root = Section::new(document.get_ref(), 0..text.len().min(1), "the profile", &report);
        read(&root, text, file)
    } else {
        None
    };
    match profile {
        Some(profile) if report.is_empty() => Ok(profile),
        _ if report.is_empty() => Err(vec![format!("error: {file} is no profile")]),
        _ => Err(report.render(text, file)),
    }
}

/// `[profile]`.
struct Head {
    id: Arc<str>,
    name: String,
    kind: Kind,
    status: Status,
    sources: Vec<String>,
    checked: Vec<String>,
}

fn head<'a>(section: &Section<'a>, file: &str) -> Head {
    let need = |key: &'static str, example: &str| {
        let found = section.text(key);
        if found.is_none() && section.get(key).is_none() {
            section.missing(key, example);
        }
        found
    };
    let stem = std::path::Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let stem = stem.unwrap_or_default();
    let id = need("id", &format!("\"{stem}\""));
    if let Some((id, place)) = &id
        && (*id != stem || id.is_empty())
    {
        let what = format!("the id \"{id}\" is not the file's name \"{stem}\"");
        section.error(place, what, "another name", format!("write `id = \"{stem}\"` or rename the file"));
    }
    let name = need("name", "\"Maker and model\"").map_or("", |(name, _)| name);
    let kind = section.word("kind", &KINDS);
    if section.get("kind").is_none() {
        section.missing("kind", "\"meter\"");
    }
    let status = section.word("status", &control::STATUSES);
    if section.get("status").is_none() {
        section.missing("status", "\"unconfirmed\"");
    }
    let list = |key| {
        let found = section.texts(key).map(|(all, _)| all.into_iter().map(|(text, _)| text.to_owned()).collect());
        found.unwrap_or_default()
    };
    let (sources, checked) = (list("sources"), list("checked"));
    if section.get("sources").is_none() {
        section.missing("sources", "[\"manual, edition, page\"]");
    }
    Head {
        id: Arc::from(id.map_or(stem.as_str(), |(id, _)| id)),
        name: name.to_owned(),
        kind: kind.unwrap_or(Kind::Meter),
        status: status.unwrap_or(Status::Unconfirmed),
        sources,
        checked,
    }
}

fn read(root: &Section<'_>, text: &str, file: &str) -> Option<Profile> {
    let Some(profile) = root.section("profile", "[profile]") else {
        root.missing("[profile]", "a table with id, name, kind, status and sources");
        return None;
    };
    let head = head(&profile, file);
    let bus = root.section("bus", "[bus]");
    let (mut loader, manners) = bus_table(bus.as_ref(), head.kind, root.report);
    if let Some(section) = root.section("sunspec", "[sunspec]") {
        loader.sunspec = Some(sunspec(&section));
    }
    let checks: Vec<Check> = loader.words_at.take().into_iter().chain(checks(&loader, &profile)).collect();
    profile.done();
    if let Some(section) = root.section("groups", "[groups]") {
        groups(&mut loader, &section);
    }
    match root.section("points", "[points]") {
        Some(section) => loader.points(&section),
        None => root.missing("[points]", "a table with at least one point"),
    }
    let order = loader.computed();
    loader.rejects();
    let mut controls = Vec::new();
    if let Some(section) = root.section("control", "[control]") {
        for (name, place, node) in section.all() {
            let Some(table) = node.get_ref().as_table() else {
                section.error(&place, format!("control `{name}` is no table"), "here", "write [control.battery]");
                continue;
            };
            let inside = Section::new(table, place, format!("[control.{name}]"), root.report);
            controls.extend(loader.control(name, &inside, head.status));
        }
    }
    root.done();
    loader.check_layout(&manners);
    Some(assemble(head, manners, loader, (order, checks, controls), text))
}

type Parts = (Vec<usize>, Vec<Check>, Vec<(Control, super::define::ControlDef)>);

fn assemble(head: Head, manners: Manners, loader: Loader<'_>, (order, checks, controls): Parts, text: &str) -> Profile {
    let spec = |value: &super::define::ValueDef| PointSpec {
        name: value.name.clone(),
        unit: value.unit,
        group: match value.when {
            super::define::When::Group(group) => group,
            super::define::When::Session | super::define::When::Told => 0,
        },
        counter: value.counter,
        wrap: value.wrap,
    };
    let (controls, sequences) = controls.into_iter().unzip();
    let values: Vec<_> = loader.values.into_iter().map(|value| value.def).collect();
    let (groups, inner) = loader.groups.into_iter().map(|group| (group.public, group.inner)).unzip();
    Profile {
        id: head.id,
        name: head.name,
        kind: head.kind,
        status: head.status,
        sources: head.sources,
        checked: head.checked,
        manners,
        groups,
        controls,
        points: values.iter().filter(|value| value.public).map(spec).collect(),
        definition: Arc::new(Definition {
            text: Arc::from(text),
            groups: inner,
            values,
            order,
            controls: sequences,
            checks,
            one_register: loader.one_register,
            sunspec: loader.sunspec,
        }),
        mapping: std::sync::OnceLock::new(),
    }
}

/// `[bus]`: manners, and the defaults of addresses.
fn bus_table<'a>(section: Option<&Section<'a>>, kind: Kind, report: &'a Report) -> (Loader<'a>, Manners) {
    let mut manners = Manners::default();
    let mut loader = Loader {
        report,
        kind,
        table: Table::Holding,
        base: Base::From(0),
        little: false,
        swap: false,
        max_read: manners.max_read,
        holes: Vec::new(),
        sunspec: None,
        one_register: WriteFunction::SingleRegister,
        words_at: None,
        groups: Vec::new(),
        values: Vec::new(),
        by_name: BTreeMap::new(),
    };
    let Some(section) = section else { return (loader, manners) };
    let first =
        |found: Option<(Duration, _)>, default| found.map_or(default, |(time, _): (Duration, report::Place)| time);
    loader.table = section.word("table", &TABLES).unwrap_or(loader.table);
    loader.base = match section.get("base") {
        Some(node) if node.get_ref().is_str() => section.word("base", &[("modicon", Base::Modicon)]),
        _ => section.whole::<u16>("base", (0, 1)).map(|(base, _)| Base::From(base)),
    }
    .unwrap_or(loader.base);
    let told = section.get("words").is_some_and(|node| node.get_ref().is_table());
    loader.little = !told && section.word("words", &ORDERS).unwrap_or(false);
    loader.swap = section.word("bytes", &ORDERS).unwrap_or(false);
    manners.unit = section.whole("unit", (0, 255)).map_or(manners.unit, |(unit, _)| unit);
    manners.max_read = section.whole("max_read", (1, 125)).map_or(manners.max_read, |(most, _)| most);
    manners.max_gap = section.whole("max_gap", (0, 124)).map_or(manners.max_gap, |(most, _)| most);
    manners.strict_holes = section.flag("strict_holes").unwrap_or(false);
    manners.gap = first(section.duration("gap"), manners.gap);
    manners.connect_delay = first(section.duration("connect_delay"), manners.connect_delay);
    manners.timeout = first(section.duration("timeout"), manners.timeout);
    manners.clients = section.whole("clients", (0, 255)).map_or(0, |(clients, _)| clients);
    manners.hold = section.flag("hold").unwrap_or(true);
    manners.sleeps = section.flag("sleeps").unwrap_or(false);
    manners.warmup = section.whole("warmup", (0, 100)).map_or(0, |(polls, _)| polls);
    section.not_yet("tid", "an answer without the request's transaction id is never taken");
    manners.holes = holes(section, loader.table);
    loader.holes.clone_from(&manners.holes);
    loader.max_read = manners.max_read;
    loader.one_register = match section.whole::<u8>("fn", (6, 16)) {
        None | Some((6, _)) => WriteFunction::SingleRegister,
        Some((16, _)) => WriteFunction::Registers,
        Some((other, place)) => {
            section.error(&place, format!("function {other} writes no register"), "here", "write 6 or 16");
            WriteFunction::SingleRegister
        }
    };
    if told {
        loader.words_at = section.section("words", "words").and_then(|inside| words_at(&loader, &inside));
    }
    section.done();
    (loader, manners)
}

/// `words = { at, type, little, big }`: a setting of the device, which it tells.
fn words_at(loader: &Loader<'_>, section: &Section<'_>) -> Option<Check> {
    let number = |key| section.number(key).map(|(number, _)| number);
    let (little, big) = (number("little"), number("big"));
    let register = loader.registers(section, 1.0, false).and_then(|all| all.into_iter().next());
    section.done();
    match (register, little, big) {
        (Some(register), Some(little), Some(big)) if little != big => {
            Some(Check { register, test: Test::Words { little, big } })
        }
        _ => {
            section.missing("little and big", "little = 0, big = 1");
            None
        }
    }
}

/// `holes = [[start, count], …]` in the default table.
fn holes(section: &Section<'_>, table: Table) -> Vec<Span> {
    let Some(node) = section.get("holes") else { return Vec::new() };
    let pair = |node: &toml::Spanned<toml::de::DeValue<'_>>| {
        let text = node.get_ref().as_array()?;
        let number = |index: usize| {
            let value = text.get(index)?.get_ref().as_integer()?;
            u16::from_str_radix(value.as_str(), value.radix()).ok()
        };
        let (start, len) = (number(0)?, number(1)?);
        let sound = text.len() == 2 && len > 0 && u32::from(start) + u32::from(len) <= 0x1_0000;
        sound.then_some(Span { table, start, len })
    };
    let all = node.get_ref().as_array().and_then(|list| list.iter().map(pair).collect());
    all.unwrap_or_else(|| {
        section.error(
            &node.span(),
            "`holes` is a list of [first register, count]",
            "here",
            "write `holes = [[100, 8]]`",
        );
        Vec::new()
    })
}

fn sunspec(section: &Section<'_>) -> SunSpecDef {
    let bases = match section.wholes("bases") {
        Some((bases, place)) => {
            let found: Vec<u16> = bases.iter().filter_map(|base| u16::try_from(*base).ok()).collect();
            if found.len() != bases.len() || found.is_empty() {
                section.error(&place, "a base is a register address", "here", "write `bases = [40000, 50000, 0]`");
            }
            found
        }
        None => vec![40000, 50000, 0],
    };
    let device = section.whole::<usize>("device", (0, 63)).map(|(device, _)| device);
    let mut need = Vec::new();
    if let Some(node) = section.get("need") {
        for item in node.get_ref().as_array().into_iter().flatten() {
            let id = item.get_ref().as_integer().and_then(|id| u16::from_str_radix(id.as_str(), id.radix()).ok());
            match (item.get_ref().as_str(), id) {
                (Some("inverter"), _) => need.push(ModelRef::Inverter),
                (Some("meter"), _) => need.push(ModelRef::Meter),
                (_, Some(id)) if models::model(id).is_some() => need.push(ModelRef::Id(id)),
                _ => {
                    let help = "\"inverter\", \"meter\" or the number of a known model";
                    section.error(&item.span(), "no chain can satisfy this", "unknown model", help);
                }
            }
        }
    }
    if need.is_empty() {
        section.missing("need", "[\"inverter\"]");
    }
    section.done();
    SunSpecDef { bases, need, device }
}

/// Identity reads in `[profile]`.
fn checks(loader: &Loader<'_>, profile: &Section<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    for section in profile.sections("check", "a check") {
        let number = |key| section.number(key).map(|(number, _)| number);
        let starts = section.text("starts").map(|(text, _)| Test::Starts(text.to_owned()));
        let test = [number("eq").map(Test::Equal), number("ne").map(Test::NotEqual), starts];
        let register = loader.registers(&section, 1.0, false).and_then(|all| all.into_iter().next());
        section.done();
        match (register, test.into_iter().flatten().next()) {
            (Some(register), Some(test)) => checks.push(Check { register, test }),
            _ => section.missing("eq, ne or starts", "…"),
        }
    }
    checks
}

/// No answer comes faster than this, not even from the same machine: a shorter interval is a slip of the pen.
const LEAST_INTERVAL: Duration = Duration::from_micros(50);

fn groups(loader: &mut Loader<'_>, section: &Section<'_>) {
    for (name, place, node) in section.all() {
        let Some(table) = node.get_ref().as_table() else {
            section.error(&place, format!("group `{name}` is no table"), "here", "write `live = { every = \"1s\" }`");
            continue;
        };
        let inside = Section::new(table, node.span(), format!("group {name}"), section.report);
        let every = inside.duration("every");
        if inside.get("every").is_none() {
            inside.missing("every", "\"1s\"");
        }
        if let Some((_, place)) = every.as_ref().filter(|(every, _)| *every < LEAST_INTERVAL) {
            inside.error(place, "no device is polled more than 20000 times a second", "too often", "write \"1s\"");
        }
        let span = inside.wholes("span").and_then(|(numbers, place)| {
            let [start, len] = numbers.as_slice() else {
                inside.error(&place, "a span is [first register, count]", "here", "");
                return None;
            };
            let (start, len) = (u16::try_from(*start).ok()?, u16::try_from(*len).ok()?);
            if len == 0 || len > loader.max_read || u32::from(start) + u32::from(len) > 0x1_0000 {
                let what = format!("a span has 1 to {} registers (`max_read`)", loader.max_read);
                inside.error(&place, what, "cannot be read at once", "");
            }
            Some(Span { table: loader.table, start, len })
        });
        let reject = inside.text("reject").map(|(text, place)| (text.to_owned(), place));
        let optional = inside.flag("optional").unwrap_or(false);
        inside.done();
        loader.groups.push(LoadedGroup {
            public: Group { name: Arc::from(name), every: every.map_or(Duration::from_secs(1), |(every, _)| every) },
            inner: GroupDef { span, reject: None },
            place,
            reject,
            optional,
        });
    }
    if loader.groups.is_empty() {
        section.missing("a group", "{ every = \"1s\" }");
    }
}

#[cfg(test)]
mod tests;
