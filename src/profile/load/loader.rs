//! What has been read so far, shared by the steps of loading.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::registers::Base;
use super::report::{Place, Report};
use crate::profile::define::{Check, GroupDef, Source, SunSpecDef, ValueDef, When};
use crate::profile::expr::{self, Expr};
use crate::profile::names::{nearest, part_of};
use crate::profile::{Group, Kind, Span, Table, Unit, WriteFunction};

/// A group with its place in the text.
#[derive(Debug)]
pub(super) struct LoadedGroup {
    pub public: Group,
    pub inner: GroupDef,
    pub place: Place,
    pub reject: Option<(String, Place)>,
    pub optional: bool,
}

/// A value with its place in the text and, while it is computed, its expression's text.
#[derive(Debug)]
pub(super) struct LoadedValue {
    pub def: ValueDef,
    pub place: Place,
    pub expression: Option<(String, Place)>,
    /// The group was written, not found out.
    pub group_stated: bool,
}

/// A text of the file that holds an expression: where its first character is.
pub(super) struct Loader<'a> {
    pub report: &'a Report,
    pub kind: Kind,
    pub table: Table,
    pub base: Base,
    pub little: bool,
    pub swap: bool,
    pub max_read: u16,
    pub holes: Vec<Span>,
    pub sunspec: Option<SunSpecDef>,
    /// How one holding register is written.
    pub one_register: WriteFunction,
    /// Register that tells the word order.
    pub words_at: Option<Check>,
    pub groups: Vec<LoadedGroup>,
    pub values: Vec<LoadedValue>,
    pub by_name: BTreeMap<String, usize>,
}

impl Loader<'_> {
    /// The canonical form of a written name: an undotted one belongs to the part of the profile's kind.
    pub(super) fn canonical(&self, name: &str) -> String {
        match part_of(self.kind) {
            Some(part) if !name.contains('.') => format!("{part}.{name}"),
            _ => name.to_owned(),
        }
    }

    /// Parses an expression that stands at `place` (quotes included).
    pub(super) fn expression(&self, text: &str, place: &Place) -> Option<Expr> {
        let mut resolve = |name: &str| {
            let canonical = self.canonical(name);
            self.by_name.get(&canonical).copied().ok_or_else(|| {
                let near = nearest(&canonical, self.by_name.keys().map(String::as_str));
                near.map_or(format!("no point `{name}`"), |near| format!("no point `{name}`; did you mean `{near}`?"))
            })
        };
        match expr::parse(text, &mut resolve) {
            Ok(expr) => Some(expr),
            Err(fault) => {
                // One quote before the text, where it was written without escapes.
                let shift = usize::from(place.len() == text.len() + 2);
                let inside = place.len() == text.len() + 2 || place.len() == text.len();
                let start = place.start + shift;
                let at = if inside { start + fault.span.start..start + fault.span.end } else { place.clone() };
                self.report.error(&at, "this expression cannot be understood", fault.message, "");
                None
            }
        }
    }

    /// The unit of a value, for checking sums.
    pub(super) fn unit_of(&self, index: usize) -> Option<Unit> {
        self.values.get(index).map(|value| value.def.unit)
    }

    /// Complains where watts meet watt-hours.
    pub(super) fn check_units(&self, expr: &Expr, setpoint: Unit, place: &Place) {
        if let Err((a, b)) = expr.unit(&|index| self.unit_of(index), setpoint) {
            let (a, b) = (crate::profile::names::symbol(a), crate::profile::names::symbol(b));
            self.report.error(
                place,
                format!("{a} and {b} are mixed"),
                "different units",
                "add and compare like with like",
            );
        }
    }

    /// A value that is read but not published; returns its index.
    pub(super) fn hide(&mut self, name: String, when: When, source: Source, place: &Place) -> usize {
        let def = ValueDef {
            name: Arc::from(name),
            public: false,
            when,
            source,
            optional: true,
            doubtful: false,
            with: None,
            without: None,
            unit: Unit::None,
            map: BTreeMap::new(),
            range: None,
            step_max: None,
            counter: None,
            wrap: None,
        };
        self.values.push(LoadedValue { def, place: place.clone(), expression: None, group_stated: true });
        self.values.len() - 1
    }
}
