//! `[points]`: names, units, sources, and what is plausible.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::loader::{LoadedValue, Loader};
use super::report::Place;
use super::section::{Node, Section};
use crate::profile::codec::Type;
use crate::profile::define::{Source, ValueDef, When};
use crate::profile::expr::Expr;
use crate::profile::names::{PARTS, UNITS, nearest, symbol, unit_of};
use crate::profile::{Counter, Status, Unit};

/// Keys that make a table a point; anything else in it is a point of the part.
const SOURCES: [&str; 4] = ["at", "model", "is", "any"];

impl<'a> Loader<'a> {
    /// Reads all points; expressions stay texts until all names are known.
    pub(super) fn points(&mut self, section: &Section<'a>) {
        for (name, place, node) in section.all() {
            if let Some(table) = node.get_ref().as_table() {
                let is_point =
                    SOURCES.iter().any(|key| table.get(*key).is_some_and(|value| !value.get_ref().is_table()));
                if is_point || table.is_empty() {
                    self.point(&self.canonical(name), &place, node);
                    continue;
                }
                let inside = Section::new(table, node.span(), name, self.report);
                for (inner, place, node) in inside.all() {
                    self.point(&format!("{name}.{inner}"), &place, node);
                }
            } else {
                let help = "write `power = { at = 0, type = \"u16\", unit = \"W\" }`";
                self.report.error(&place, format!("point `{name}` is no table"), "here", help);
            }
        }
    }

    fn point(&mut self, name: &str, place: &Place, node: Node<'a>) {
        let Some(table) = node.get_ref().as_table() else {
            self.report.error(place, format!("point `{name}` is no table"), "here", "write { at = …, type = … }");
            return;
        };
        let section = Section::new(table, node.span(), format!("point {name}"), self.report);
        let expected = self.expected_unit(name, place);
        let unit = self.unit(&section, expected);
        let (sources, expression) = self.sources(&section, unit.map_or(1.0, |(_, factor)| factor));
        let (stated, group) = self.group(&section);
        let optional =
            section.flag("optional").unwrap_or(false) || self.groups.get(group).is_some_and(|group| group.optional);
        let canonical = unit.map_or(Unit::None, |(unit, _)| unit);
        let factor = unit.map_or(1.0, |(_, factor)| factor);
        let counter = section.word("counter", &[("total", Counter::Total), ("daily", Counter::Daily)]);
        if let Some(place) = counter.and(section.get("counter")).map(|node| node.span()) {
            if section.flag("flip") == Some(true) {
                let help = "a counter grows; where it is negative write `abs = true`";
                section.error(&place, "a counter cannot be flipped", "with `flip`", help);
            }
            if !matches!(canonical, Unit::WattHours | Unit::None) {
                section.error(
                    &place,
                    format!("{} is not counted", symbol(canonical)),
                    "a counter of power",
                    "count Wh",
                );
            }
        }
        let def = ValueDef {
            name: Arc::from(name),
            public: !section.flag("hidden").unwrap_or(false),
            when: When::Group(group),
            source: Source::Is(Expr::Number(0.0)),
            optional,
            doubtful: section.word("status", &super::control::STATUSES) == Some(Status::Unconfirmed),
            with: self.model_ref(&section, "with_model"),
            without: self.model_ref(&section, "without_model"),
            unit: canonical,
            map: map(&section),
            range: range(&section, factor),
            step_max: section.number("step_max").map(|(most, _)| most * factor),
            counter,
            wrap: section.number("wrap").map(|(wrap, _)| wrap * factor),
        };
        section.done();
        // A source with faults stands for its point, so that nobody misses the point as well.
        let faulty = sources.is_empty();
        let sources = match (faulty, name.ends_with("_l")) {
            (false, _) => sources,
            (true, phases) => vec![Source::Is(Expr::Number(0.0)); if phases { 3 } else { 1 }],
        };
        let several = sources.len() == 3;
        if several && !name.ends_with("_l") {
            let help = format!("write `{name}_l`, which makes {name}_l1, _l2 and _l3");
            self.report.error(place, "three registers make three points", "one name", help);
        }
        for (index, source) in sources.into_iter().enumerate() {
            let name = if several { format!("{name}{}", index + 1) } else { name.to_owned() };
            let def = ValueDef { name: Arc::from(name.as_str()), source, ..def.clone() };
            if let Some(first) = self.by_name.get(&name).and_then(|first| self.values.get(*first)) {
                self.report.clash(
                    place,
                    format!("point `{name}` is there twice"),
                    "again here",
                    &first.place,
                    "first here",
                );
                continue;
            }
            self.by_name.insert(name, self.values.len());
            let expression = expression.clone();
            self.values.push(LoadedValue { def, place: place.clone(), expression, group_stated: stated });
        }
    }

    /// The unit that the name stands for; `None` for a name of its own.
    fn expected_unit(&self, name: &str, place: &Place) -> Option<Unit> {
        let Some((part, quantity)) = name.split_once('.') else {
            let help = format!("a hybrid's points are dotted by part: `battery.{name}`, `pv.{name}`, `grid.{name}`");
            self.report.error(place, format!("which part does `{name}` belong to?"), "no part", help);
            return None;
        };
        if !PARTS.contains(&part) || part == "own" {
            let help = nearest(part, PARTS).map_or_else(|| PARTS.join(", "), |near| format!("did you mean `{near}`?"));
            self.report.error(place, format!("there is no part `{part}`"), "unknown part", help);
            return None;
        }
        let base = quantity.strip_suffix("_l").unwrap_or(quantity);
        unit_of(part, base).unwrap_or_else(|known| {
            let near = nearest(base, known.iter().copied());
            let help = match near {
                Some(near) => format!("did you mean `{part}.{near}`? A name of your own goes under `custom.`"),
                None => format!("`{part}` knows {}; a name of your own goes under `custom.`", known.join(", ")),
            };
            self.report.error(place, format!("`{name}` is no canonical name"), "unknown name", help);
            None
        })
    }

    /// The unit and its factor to the canonical one.
    fn unit(&self, section: &Section<'_>, expected: Option<Unit>) -> Option<(Unit, f64)> {
        let Some((text, place)) = section.text("unit") else {
            let example = expected.filter(|unit| *unit != Unit::None);
            if let (Some(unit), None) = (example, section.get("unit")) {
                section.missing("unit", &format!("\"{}\"", symbol(unit)));
            }
            return None;
        };
        let Some((_, unit, factor)) = UNITS.iter().find(|(name, ..)| *name == text) else {
            let all: Vec<&str> = UNITS.iter().map(|(name, ..)| *name).collect();
            section.error(
                &place,
                format!("there is no unit \"{text}\""),
                "unknown unit",
                format!("one of {}", all.join(", ")),
            );
            return None;
        };
        if let Some(expected) = expected.filter(|expected| expected != unit) {
            let wanted = if expected == Unit::None { "no unit" } else { symbol(expected) };
            let what = format!("{} is in {wanted}, not {text}", section.what);
            section.error(&place, what, "another quantity", "mend the unit or the name");
        }
        Some((*unit, *factor))
    }

    /// Where the value comes from: one source or three, or an expression's text.
    fn sources(&self, section: &Section<'_>, factor: f64) -> (Vec<Source>, Option<(String, Place)>) {
        let has = |key| section.get(key).is_some();
        let given: Vec<&str> = SOURCES.into_iter().filter(|key| has(key)).collect();
        if given.len() != 1 {
            let help = "one of `at` with `type`, `model` with `point`, `is`, `any`";
            let what = format!("{} has {} sources", section.what, given.len());
            section.error(&section.place, what, "exactly one is needed", help);
        }
        let nothing = || vec![Source::Is(Expr::Number(0.0))];
        match given.first() {
            Some(&"at") => {
                let registers = self.registers(section, factor, false).unwrap_or_default();
                if registers.iter().any(|register| register.encoding.kind == Type::Text) && factor != 1.0 {
                    section.error(&section.place, "a text has no unit", "here", "leave `unit` out");
                }
                (registers.into_iter().map(Source::Register).collect(), None)
            }
            Some(&"model") => {
                if self.sunspec.is_none() {
                    section.error(&section.place, "`model` is for SunSpec devices", "here", "add a [sunspec] table");
                }
                let points = self.models(section, factor).unwrap_or_default();
                (points.into_iter().map(Source::Model).collect(), None)
            }
            Some(&"is") => {
                if factor != 1.0 {
                    let help = "values in expressions are canonical: W, Wh, V, A, Hz, degC, ratio";
                    section.error(&section.place, "a computed point has a canonical unit", "scaled unit", help);
                }
                (nothing(), section.text("is").map(|(text, place)| (text.to_owned(), place)))
            }
            Some(_) => {
                // The first that has a value: or(a, or(b, c)).
                let names = section.texts("any");
                let text = names.and_then(|(names, place)| {
                    let mut names = names.into_iter().rev().map(|(name, _)| name.to_owned());
                    let last = names.next()?;
                    Some((names.fold(last, |rest, name| format!("or({name}, {rest})")), place))
                });
                (nothing(), text)
            }
            None => (Vec::new(), None),
        }
    }

    /// The group: written, or the only one.
    fn group(&self, section: &Section<'_>) -> (bool, usize) {
        let names: Vec<&str> = self.groups.iter().map(|group| &*group.public.name).collect();
        match section.text("group") {
            Some((text, place)) => {
                let found = names.iter().position(|name| *name == text);
                if found.is_none() {
                    let help = nearest(text, names.iter().copied()).map_or_else(
                        || format!("there are {}", names.join(", ")),
                        |near| format!("did you mean `{near}`?"),
                    );
                    section.error(&place, format!("there is no group `{text}`"), "unknown group", help);
                }
                (true, found.unwrap_or(0))
            }
            None => {
                let computed = section.get("is").is_some() || section.get("any").is_some();
                if names.len() > 1 && !computed {
                    section.missing("group", &format!("\"{}\"", names.first().copied().unwrap_or("live")));
                }
                (false, 0)
            }
        }
    }
}

fn range(section: &Section<'_>, factor: f64) -> Option<(f64, f64)> {
    let (numbers, place) = section.numbers("range")?;
    match numbers.as_slice() {
        [low, high] if low <= high => Some((low * factor, high * factor)),
        _ => {
            section.error(&place, "a range is [lowest, highest]", "no such range", "");
            None
        }
    }
}

fn map(section: &Section<'_>) -> BTreeMap<i64, Arc<str>> {
    let Some(table) = section.section("map", "map") else { return BTreeMap::new() };
    let mut words = BTreeMap::new();
    for (key, place, node) in table.all() {
        match (key.parse::<i64>(), node.get_ref().as_str()) {
            (Ok(number), Some(word)) => {
                words.insert(number, Arc::from(word));
            }
            _ => section.error(
                &place,
                "`map` is { number = \"word\" }",
                "here",
                "write `map = { 0 = \"off\", 4 = \"on\" }`",
            ),
        }
    }
    words
}
