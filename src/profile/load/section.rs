//! A TOML table being read: each key is asked for once, and what nobody asked for is unknown.

use std::cell::RefCell;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::{Place, Report};
use crate::profile::names::nearest;

/// A value with its place.
pub(super) type Node<'a> = &'a Spanned<DeValue<'a>>;

/// A table and where its problems go.
#[derive(Debug)]
pub(super) struct Section<'a> {
    entries: &'a DeTable<'a>,
    /// Of the whole table.
    pub place: Place,
    /// What it is, for messages: `[bus]`, `point power`.
    pub what: String,
    pub report: &'a Report,
    asked: RefCell<Vec<&'static str>>,
}

/// What a TOML value is, in words.
fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn whole(value: &DeValue<'_>) -> Option<i128> {
    let DeValue::Integer(number) = value else { return None };
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

#[expect(clippy::cast_precision_loss, reason = "a profile's constants are small")]
fn real(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(number) => number.as_str().parse().ok(),
        other => whole(other).map(|number| number as f64),
    }
    .filter(|number: &f64| number.is_finite())
}

impl<'a> Section<'a> {
    pub(super) fn new(entries: &'a DeTable<'a>, place: Place, what: impl Into<String>, report: &'a Report) -> Self {
        Self { entries, place, what: what.into(), report, asked: RefCell::default() }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &'static str) -> Option<Node<'a>> {
        self.knows(&[key]);
        self.entries.get(key)
    }

    /// These keys belong here, whether or not anybody gets to ask for them.
    pub(super) fn knows(&self, keys: &[&'static str]) {
        let mut asked = self.asked.borrow_mut();
        for key in keys {
            if !asked.contains(key) {
                asked.push(key);
            }
        }
    }

    /// All keys and values in the order of the file, for tables whose keys are names.
    pub(super) fn all(&self) -> Vec<(&'a str, Place, Node<'a>)> {
        let mut all: Vec<_> =
            self.entries.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span(), value)).collect();
        all.sort_by_key(|(_, place, _)| place.start);
        all
    }

    /// Complains about keys that nobody asked for.
    pub(super) fn done(&self) {
        let asked = self.asked.borrow();
        for (key, place, _) in self.all() {
            if !asked.contains(&key) {
                let help = match nearest(key, asked.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("{} knows {}", self.what, asked.join(", ")),
                };
                self.report.error(&place, format!("unknown key `{key}` in {}", self.what), "nobody reads this", help);
            }
        }
    }

    /// Refuses a key that the schema knows and this version cannot carry out.
    pub(super) fn not_yet(&self, key: &'static str, why: &str) {
        if let Some(node) = self.get(key) {
            let what = format!("`{key}` in {} cannot be carried out yet", self.what);
            self.report.error(&node.span(), what, why, "leave it out, or leave this device to a later version");
        }
    }

    /// Says that a key is missing.
    pub(super) fn missing(&self, key: &str, example: &str) {
        self.report.error(
            &self.place,
            format!("{} lacks `{key}`", self.what),
            "here",
            format!("write `{key} = {example}`"),
        );
    }

    fn wrong<T>(&self, key: &str, node: Node<'_>, wanted: &str) -> Option<T> {
        let what = format!("`{key}` in {} is {wanted}", self.what);
        self.report.error(&node.span(), what, format!("this is {}", kind_of(node.get_ref())), "");
        None
    }

    pub(super) fn text(&self, key: &'static str) -> Option<(&'a str, Place)> {
        let node = self.get(key)?;
        match node.get_ref().as_str() {
            Some(text) => Some((text, node.span())),
            None => self.wrong(key, node, "a text"),
        }
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let node = self.get(key)?;
        node.get_ref().as_bool().or_else(|| self.wrong(key, node, "true or false"))
    }

    /// A whole number inside bounds.
    pub(super) fn whole<T: TryFrom<i128>>(&self, key: &'static str, (low, high): (i128, i128)) -> Option<(T, Place)> {
        let node = self.get(key)?;
        let number = whole(node.get_ref()).filter(|number| (low..=high).contains(number));
        match number.and_then(|number| T::try_from(number).ok()) {
            Some(number) => Some((number, node.span())),
            None => self.wrong(key, node, &format!("a whole number from {low} to {high}")),
        }
    }

    pub(super) fn number(&self, key: &'static str) -> Option<(f64, Place)> {
        let node = self.get(key)?;
        match real(node.get_ref()) {
            Some(number) => Some((number, node.span())),
            None => self.wrong(key, node, "a number"),
        }
    }

    /// A list of numbers.
    pub(super) fn numbers(&self, key: &'static str) -> Option<(Vec<f64>, Place)> {
        let node = self.get(key)?;
        let list = node.get_ref().as_array();
        let numbers = list.and_then(|list| list.iter().map(|item| real(item.get_ref())).collect::<Option<Vec<f64>>>());
        match numbers {
            Some(numbers) => Some((numbers, node.span())),
            None => self.wrong(key, node, "a list of numbers"),
        }
    }

    /// A list of whole numbers.
    pub(super) fn wholes(&self, key: &'static str) -> Option<(Vec<i128>, Place)> {
        let node = self.get(key)?;
        let list = node.get_ref().as_array();
        match list.and_then(|list| list.iter().map(|item| whole(item.get_ref())).collect::<Option<Vec<i128>>>()) {
            Some(numbers) => Some((numbers, node.span())),
            None => self.wrong(key, node, "a list of whole numbers"),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self, key: &'static str) -> Option<(Vec<(&'a str, Place)>, Place)> {
        let node = self.get(key)?;
        let read = |item: &'a Spanned<DeValue<'a>>| item.get_ref().as_str().map(|text| (text, item.span()));
        match node.get_ref().as_array().and_then(|list| list.iter().map(read).collect::<Option<Vec<_>>>()) {
            Some(texts) => Some((texts, node.span())),
            None => self.wrong(key, node, "a list of texts"),
        }
    }

    /// A time with its unit.
    pub(super) fn duration(&self, key: &'static str) -> Option<(Duration, Place)> {
        let node = self.get(key)?;
        match node.get_ref().as_str().and_then(duration) {
            Some(time) => Some((time, node.span())),
            None => self.wrong(key, node, "a time such as \"500ms\", \"2s\", \"4m\", \"1h\""),
        }
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let (text, place) = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let help = match nearest(text, all.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("it is one of {}", all.join(", ")),
            };
            self.report.error(&place, format!("`{key}` in {} cannot be \"{text}\"", self.what), "unknown word", help);
        }
        found
    }

    /// A table inside.
    pub(super) fn section(&self, key: &'static str, what: impl Into<String>) -> Option<Section<'a>> {
        let node = self.get(key)?;
        match node.get_ref().as_table() {
            Some(table) => Some(Section::new(table, node.span(), what, self.report)),
            None => self.wrong(key, node, "a table"),
        }
    }

    /// A table or a list of tables inside.
    pub(super) fn sections(&self, key: &'static str, what: &str) -> Vec<Section<'a>> {
        let Some(node) = self.get(key) else { return Vec::new() };
        let table =
            |node: Node<'a>| node.get_ref().as_table().map(|table| Section::new(table, node.span(), what, self.report));
        let found = match node.get_ref().as_array() {
            Some(list) => list.iter().map(table).collect(),
            None => table(node).map(|section| vec![section]),
        };
        found.unwrap_or_else(|| {
            let _: Option<()> = self.wrong(key, node, "a list of tables { … }");
            Vec::new()
        })
    }

    pub(super) fn error(
        &self,
        place: &Place,
        what: impl Into<String>,
        here: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.report.error(place, what, here, help);
    }
}

/// `100ms`, `1 s`, `4m`, `1h`.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at_checked(split)?;
    let seconds = match unit.trim() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    // A year is longer than any interval; the bound keeps the conversion from overflowing.
    (number * seconds <= 31_536_000.0).then(|| Duration::from_secs_f64(number * seconds))
}
