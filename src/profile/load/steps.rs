//! Steps of `set` and `release`, and what a sequence must not do.

use std::time::Duration;

use super::loader::Loader;
use super::section::Section;
use crate::profile::define::{ControlDef, Source, StepDef, Target, Verify, When};
use crate::profile::expr::Expr;
use crate::profile::sunspec::models;
use crate::profile::{Class, Control, Table, Unit, WriteFunction};

const SECONDS_A_DAY: f64 = 86_400.0;

impl Loader<'_> {
    /// All steps of a sequence.
    pub(super) fn steps(&mut self, section: &Section<'_>, key: &'static str, setpoint: Unit) -> Vec<StepDef> {
        let name = format!("a step of `{key}`");
        let mut steps = Vec::new();
        let inside = section.sections(key, &name);
        if inside.is_empty() {
            section.missing(key, "[{ at = …, type = …, value = … }]");
        }
        for inside in inside {
            if let Some(step) = self.step(&inside, None, setpoint) {
                let read_as = matches!(&step.verify, Verify::Reads(expr) if expr.uses_setpoint());
                let uses = step.value.uses_setpoint() || step.when.as_ref().is_some_and(Expr::uses_setpoint) || read_as;
                if key == "release" && uses {
                    inside.error(
                        &inside.place,
                        "a release knows no setpoint",
                        "uses `p`",
                        "write what the device had or takes",
                    );
                }
                steps.push(step);
            }
            inside.done();
        }
        steps
    }

    /// One step; `fixed` is the value of a revert timer or heartbeat.
    pub(super) fn step(&mut self, section: &Section<'_>, fixed: Option<f64>, setpoint: Unit) -> Option<StepDef> {
        let value = match fixed {
            Some(value) => Some(Expr::Number(value)),
            None => self.formula(section, "value", setpoint),
        };
        if value.is_none() && section.get("value").is_none() {
            section.missing("value", "\"p\"");
        }
        let when = self.formula(section, "when", setpoint);
        let function = section.whole::<u8>("fn", (5, 16));
        let mask = section.whole::<u16>("mask", (1, 0xFFFF));
        let wait = section.duration("wait").map_or(Duration::ZERO, |(wait, _)| wait);
        let verify = match section.get("verify").filter(|node| node.get_ref().is_str()) {
            Some(_) => self.formula(section, "verify", setpoint).map_or(Verify::No, Verify::Reads),
            None if section.flag("verify") == Some(true) => Verify::Written,
            None => Verify::No,
        };
        let optional = section.flag("optional").unwrap_or(false);
        section.not_yet("ack", "result registers are not read");
        let target = self.target(section);
        let block = self.block(section, setpoint);
        let target = target?;
        self.writable(section, &target);
        let len = match &target {
            Target::Register(register) => register.encoding.len,
            Target::Model(_) => 1,
        };
        let bits = matches!(&target, Target::Register(register) if register.table == Table::Coil);
        let function = function.and_then(|(code, place)| match (code, bits) {
            (5, true) => Some(WriteFunction::SingleCoil),
            (15, true) => Some(WriteFunction::Coils),
            (16, false) => Some(WriteFunction::Registers),
            (6, false) if len == 1 && block.is_empty() => Some(WriteFunction::SingleRegister),
            _ => {
                let help = "fn 6 writes one register, 16 several; fn 5 one coil, 15 several";
                section.error(&place, format!("function {code} cannot write this"), "here", help);
                None
            }
        });
        if let (Some((_, place)), true) = (&mask, !block.is_empty() || len != 1 || bits) {
            section.error(place, "`mask` is for one register", "with a block or a longer type", "");
        }
        let scale = self.scale_of(section, &target);
        let probe = optional.then(|| {
            let name = format!("the register of {}", section.what);
            self.hide(name, When::Session, super::control::source_of(target.clone()), &section.place)
        });
        Some(StepDef {
            target,
            scale,
            value: value?,
            when,
            function,
            mask: mask.map(|(mask, _)| mask),
            block,
            wait,
            verify,
            optional,
            probe,
        })
    }

    /// An expression, or a plain number.
    fn formula(&self, section: &Section<'_>, key: &'static str, setpoint: Unit) -> Option<Expr> {
        let node = section.get(key)?;
        if !node.get_ref().is_str() {
            return section.number(key).map(|(number, _)| Expr::Number(number));
        }
        let (text, place) = section.text(key)?;
        let expr = self.expression(text, &place)?;
        self.check_units(&expr, setpoint, &place);
        Some(expr)
    }

    fn block(&mut self, section: &Section<'_>, setpoint: Unit) -> Vec<(crate::profile::codec::Encoding, Expr)> {
        let mut block = Vec::new();
        for inside in section.sections("block", "a block") {
            let value = self.formula(&inside, "value", setpoint);
            let kind = inside.word("type", &crate::profile::codec::Type::NAMES);
            let encoding = kind.and_then(|kind| self.block_encoding(&inside, kind));
            inside.done();
            match (encoding, value) {
                (Some(encoding), Some(value)) => block.push((encoding, value)),
                _ => inside.missing("type and value", "…"),
            }
        }
        block
    }

    fn writable(&self, section: &Section<'_>, target: &Target) {
        match target {
            Target::Register(register) if matches!(register.table, Table::Input | Table::DiscreteInput) => {
                let help = "only coils and holding registers can be written";
                section.error(&section.place, "an input cannot be written", "here", help);
            }
            Target::Register(register) => {
                let same = |other: &crate::profile::define::Register| other.table == register.table;
                for value in &self.values {
                    let Source::Register(read) = &value.def.source else { continue };
                    if same(read) && read.scale == Some(register.start) {
                        section.error(&section.place, "this is a scale factor", "must not be written", "");
                    }
                    if same(read) && read.start == register.start && value.def.counter.is_some() {
                        section.error(
                            &section.place,
                            format!("this is the counter {}", value.def.name),
                            "must not be written",
                            "",
                        );
                    }
                }
            }
            Target::Model(point) => {
                let ids = point.model.layouts();
                if ids
                    .into_iter()
                    .any(|id| models::find(id, point.item, &point.point).is_some_and(|fact| !fact.writable))
                {
                    let what = format!("point {} of model {} is read-only", point.point, point.model);
                    section.error(&section.place, what, "cannot be written", "");
                }
            }
        }
    }

    /// The value that holds the target's scale exponent; read once a session.
    pub(super) fn scale_of(&mut self, section: &Section<'_>, target: &Target) -> Option<usize> {
        let (name, source) = match target {
            Target::Register(register) => {
                let mut scale = register.clone();
                scale.start = register.scale?;
                scale.scale = None;
                scale.high = None;
                scale.encoding.kind = crate::profile::codec::Type::I16;
                scale.encoding.len = 1;
                scale.encoding.factor = crate::profile::codec::Factor::ONE;
                (format!("the scale of register {}", register.start), Source::Register(scale))
            }
            Target::Model(point) => {
                let scaled = |id| models::find(id, point.item, &point.point).is_some_and(|fact| fact.scale.is_some());
                if !point.model.layouts().into_iter().any(scaled) {
                    return None;
                }
                (format!("the scale of {}", point.point), Source::ScaleOf(point.clone()))
            }
        };
        let known = self.values.iter().position(|value| *value.def.name == *name);
        Some(known.unwrap_or_else(|| self.hide(name, When::Session, source, &section.place)))
    }
}

/// What a control must not be (section 3.2 of the schema, points 7 to 9).
pub(super) fn check_control(section: &Section<'_>, control: &Control, def: &ControlDef) {
    if let (Expr::Number(min), Expr::Number(max)) = (&def.min, &def.max)
        && min > max
    {
        section.error(&section.place, format!("`min` {min} is above `max` {max}"), "here", "");
    }
    let registers = def.set.len() + usize::from(def.revert.is_some());
    match (control.class, control.budget) {
        (Class::Flash, None) => section.missing("budget", "600"),
        (Class::Flash, Some(budget)) => {
            #[expect(clippy::cast_precision_loss, reason = "a handful of registers")]
            let refreshes = control
                .refresh
                .map_or(0.0, |refresh| SECONDS_A_DAY / refresh.as_secs_f64().max(1e-3) * registers as f64);
            if refreshes > f64::from(budget) {
                let what = format!("refreshing alone writes {refreshes:.0} registers a day, and `budget` is {budget}");
                section.error(&section.place, what, "the flash would wear out", "refresh less often");
            }
        }
        _ => {}
    }
    for (index, step) in def.set.iter().enumerate() {
        let same = |other: &StepDef| place_of(&other.target) == place_of(&step.target);
        if step.when.is_none() && def.set.iter().skip(index + 1).any(|other| same(other) && other.when.is_none()) {
            section.error(&section.place, "two steps write the same register without `when`", "in `set`", "");
        }
    }
    let nothing = |_: usize| None;
    let (low, high) = (def.min.eval(None, &nothing).unwrap_or(-1000.0), def.max.eval(None, &nothing).unwrap_or(1000.0));
    let step = if def.step > 0.0 { def.step } else { 1.0 };
    // A condition over points that are not known here may hold.
    let may = |step: &StepDef, p| step.when.as_ref().is_none_or(|when| when.eval(Some(p), &nothing) != Some(0.0));
    let idle = |p: &f64| (low..=high).contains(p) && !def.set.iter().any(|step| may(step, *p));
    if let Some(p) = [low, -step, 0.0, step, high].into_iter().find(idle).filter(|_| !def.set.is_empty()) {
        let help = "every p from `min` to `max` needs a step";
        section.error(&section.place, format!("at p = {p} no step of `set` is written"), "in `set`", help);
    }
}

fn place_of(target: &Target) -> (String, u16) {
    match target {
        Target::Register(register) => (format!("{:?}", register.table), register.start),
        Target::Model(point) => (format!("{} {}", point.model, point.point), point.item),
    }
}
