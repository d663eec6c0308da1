//! One table of the text, read key by key against its [`Shape`].

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Shape, TABLES, Without};
use super::report::{Problem, Report};
use super::written::{Fault, Written, any_of, kind, nearest};

/// A table with the places of its keys.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    shape: &'static Shape,
    table: Option<&'a DeTable<'a>>,
    at: (usize, usize),
    report: &'a Report<'a>,
}

impl<'a> Section<'a> {
    /// Opens a table: unknown keys are reported at once. `None` (reported) where the value is no table.
    pub fn open(shape: &'static Shape, value: &'a Spanned<DeValue<'a>>, report: &'a Report<'a>) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            let title = format!("{} is a table, not {}", shape.title, kind(value.get_ref()));
            report.add(Problem::new(value.span(), title).help(format!("write `{}` on a line of its own", shape.title)));
            return None;
        };
        let section = Self { shape, table: Some(table), at: (value.span().start, value.span().end), report };
        section.refuse_unknown_keys(table);
        Some(section)
    }

    /// The table of a key that holds one; without it all its defaults hold.
    pub fn table(&self, name: &str, shape: &'static Shape) -> Self {
        let opened = self.raw(name).and_then(|value| Self::open(shape, value, self.report));
        opened.unwrap_or(Self { shape, table: None, at: self.at, report: self.report })
    }

    /// The tables of a key that holds any number of them, unopened.
    pub fn tables(&self, name: &str) -> Vec<&'a Spanned<DeValue<'a>>> {
        let Some(value) = self.raw(name) else { return Vec::new() };
        let wrong = |at| Problem::new(at, format!("`{name}` is a list of tables")).help(format!("write `[[{name}]]`"));
        let DeValue::Array(items) = value.get_ref() else {
            self.report.add(wrong(value.span()));
            return Vec::new();
        };
        let (tables, others): (Vec<_>, Vec<_>) = items.iter().partition(|item| item.get_ref().is_table());
        for other in others {
            self.report.add(wrong(other.span()));
        }
        tables
    }

    /// Where the table stands.
    pub fn span(&self) -> Range<usize> {
        self.at.0..self.at.1
    }

    /// Where problems go.
    pub fn report(&self) -> &'a Report<'a> {
        self.report
    }

    /// A key's value as it stands in the text.
    pub fn raw(&self, name: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.and_then(|table| table.get(name))
    }

    /// Where a key's value stands, else where the table stands.
    pub fn span_of(&self, name: &str) -> Range<usize> {
        self.raw(name).map_or_else(|| self.span(), Spanned::span)
    }

    /// Whether the key is written.
    pub fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// A key's value, or its default. `None` = neither, or wrong (reported) and without a default.
    pub fn get<T: Written + PartialOrd>(&self, name: &str) -> Option<T> {
        let key = self.shape.key(name);
        debug_assert!(key.is_some(), "{} has no key {name}", self.shape.title);
        let key = key?;
        if let Some(value) = self.raw(name) {
            match T::from_value(value.get_ref()).and_then(|found| in_range(found, value.get_ref(), key.range)) {
                Ok(value) => return Some(value),
                Err(fault) => self.refuse(name, fault),
            }
        } else if key.without == Without::Required {
            self.report.add(
                Problem::new(self.span(), format!("{} has no `{name}`", self.shape.title))
                    .help(format!("write `{name} = {}`: {}", T::toml(T::EXAMPLE), key.meaning))
                    .follows(),
            );
        }
        match key.without {
            Without::Default(text) => T::from_text(text).ok(),
            Without::Optional | Without::Required => None,
        }
    }

    /// As [`Section::get`], for keys that have a default.
    pub fn value<T: Written + PartialOrd + Default>(&self, name: &str) -> T {
        self.get(name).unwrap_or_default()
    }

    /// One of several texts, as the value it stands for.
    pub fn choice<T: Copy>(&self, name: &str, options: &[(&str, T)]) -> Option<T> {
        let text = self.get::<Plain>(name)?;
        match options.iter().find(|(option, _)| *option == text.0) {
            Some((_, value)) => Some(*value),
            None => {
                self.refuse(name, no_option(&text.0, options));
                None
            }
        }
    }

    /// One of several texts or a list of them, each with its place.
    pub fn choices<T: Copy>(&self, name: &str, options: &[(&str, T)]) -> Option<Vec<Spanned<T>>> {
        let value = self.raw(name)?;
        let items = match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        };
        let mut found = Vec::new();
        for item in items {
            let fault = match Plain::from_value(item.get_ref()) {
                Ok(text) => match options.iter().find(|(option, _)| *option == text.0) {
                    Some((_, value)) => {
                        found.push(Spanned::new(item.span(), *value));
                        continue;
                    }
                    None => no_option(&text.0, options),
                },
                Err(fault) => fault,
            };
            let problem = Problem::new(item.span(), format!("`{name}` {}", fault.what));
            self.report.add(match fault.write {
                Some(write) => problem.help(format!("write `{write}`")),
                None => problem,
            });
        }
        Some(found)
    }

    /// Reports a key's value.
    pub fn refuse(&self, name: &str, fault: Fault) {
        let mut problem = Problem::new(self.span_of(name), format!("`{name}` {}", fault.what));
        if let Some(write) = fault.write {
            problem = problem.help(format!("write `{name} = {write}`"));
        }
        self.report.add(problem);
    }

    /// Reports something at a key.
    pub fn problem(&self, name: &str, title: impl Into<String>) -> Problem {
        Problem::new(self.span_of(name), title)
    }

    fn refuse_unknown_keys(&self, table: &DeTable<'_>) {
        for (key, _) in table.iter() {
            let name: &str = key.get_ref();
            if self.shape.key(name).is_some() {
                continue;
            }
            let names: Vec<_> = self.shape.keys.iter().map(|key| key.name).collect();
            let elsewhere = TABLES.iter().find(|shape| shape.key(name).is_some());
            let near = nearest(name, names.iter().copied());
            let help = match (near, elsewhere) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, Some(shape)) if shape.title.starts_with('[') => format!("it belongs in {}", shape.title),
                (None, Some(_)) => "it stands at the top of the file, before the first table".to_owned(),
                (None, None) => format!("known here: {}", any_of(&names)),
            };
            let title = format!("unknown key `{name}` in {}", self.shape.title);
            self.report.add(Problem::new(key.span(), title).help(help));
        }
    }
}

fn no_option<T>(text: &str, options: &[(&str, T)]) -> Fault {
    let names: Vec<_> = options.iter().map(|(name, _)| *name).collect();
    let fault = Fault::new(format!("is {}, not {text:?}", any_of(&names)));
    match nearest(text, names.iter().copied()) {
        // A number that is near by its digits is not meant.
        Some(near) if !near.starts_with(|c: char| c.is_ascii_digit()) => fault.write(near),
        _ => fault,
    }
}

/// A text as it is.
#[derive(PartialEq, PartialOrd)]
struct Plain(String);

impl Written for Plain {
    const WHAT: &'static str = "a text";
    const EXAMPLE: &'static str = "…";

    fn from_text(text: &str) -> Result<Self, Fault> {
        Ok(Self(text.to_owned()))
    }

    fn bare(number: &str) -> Fault {
        Fault::new("is a text: it needs quotes").write(number)
    }
}

/// Holds a value against the range that its key states.
fn in_range<T: Written + PartialOrd>(value: T, written: &DeValue<'_>, range: Option<(&str, &str)>) -> Result<T, Fault> {
    let Some((least, most)) = range else { return Ok(value) };
    let (Ok(low), Ok(high)) = (T::from_text(least), T::from_text(most)) else { return Ok(value) };
    if value >= low && value <= high {
        return Ok(value);
    }
    let written = match written {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        _ => "it".to_owned(),
    };
    Err(Fault::new(format!("is outside its range: {written} is not within {least} to {most}")))
}
