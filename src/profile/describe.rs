//! A profile in words, for people who look at it.

use super::define::{ModelPoint, Register, Source, StepDef, Target, When};
use super::names::symbol;
use super::{Profile, Table};

/// One point in words.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PointLine {
    /// Canonical name.
    pub name: String,
    /// Canonical unit; empty for a number without one.
    pub unit: &'static str,
    /// Group that it is read with.
    pub group: String,
    /// Where it comes from: `input 52 f32`, `model inverter W`, `computed`.
    pub source: String,
    /// Seen in one source only, where the rest of the profile is surer.
    pub unconfirmed: bool,
}

impl Profile {
    /// Its published points, in the order of the file.
    pub fn point_lines(&self) -> Vec<PointLine> {
        let values = self.definition.values.iter().filter(|value| value.public);
        let group = |when| match when {
            When::Group(group) => self.groups.get(group).map_or(String::new(), |group| group.name.to_string()),
            When::Session | When::Told => String::new(),
        };
        values
            .map(|value| PointLine {
                name: value.name.to_string(),
                unit: symbol(value.unit),
                group: group(value.when),
                source: source(&value.source),
                unconfirmed: value.doubtful,
            })
            .collect()
    }

    /// What the `set` of a control writes, in order.
    pub fn written_by(&self, control: &str) -> Vec<String> {
        let found = self.definition.controls.iter().find(|def| *def.name == *control);
        let Some(def) = found else { return Vec::new() };
        let mut lines: Vec<String> = def.set.iter().map(step).collect();
        lines.extend(def.revert.as_ref().map(step));
        // The revert timer goes before the last step.
        if let ([.., last, timer], true) = (lines.as_mut_slice(), def.revert.is_some()) {
            std::mem::swap(last, timer);
        }
        lines
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Register(found) => register(found),
        Source::Model(found) | Source::ScaleOf(found) => model(found),
        Source::Is(_) => "computed".to_owned(),
    }
}

fn step(step: &StepDef) -> String {
    match &step.target {
        Target::Register(found) => register(found),
        Target::Model(found) => model(found),
    }
}

fn register(register: &Register) -> String {
    let table = match register.table {
        Table::Coil => "coil",
        Table::DiscreteInput => "discrete-input",
        Table::Holding => "holding",
        Table::Input => "input",
    };
    format!("{table} {} {}", register.start, register.encoding.kind.name())
}

fn model(point: &ModelPoint) -> String {
    let item = if point.item > 0 { format!(" item {}", point.item) } else { String::new() };
    format!("model {}{item} {}", point.model, point.point)
}
