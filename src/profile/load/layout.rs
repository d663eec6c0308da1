//! What only shows once all points are known: registers that clash, groups without points, frames to throw away.

use super::loader::Loader;
use crate::profile::codec::Type;
use crate::profile::define::{Register, Source, When};
use crate::profile::{Manners, Span};

fn span(register: &Register) -> Span {
    let len = if register.high.is_some() { 1 } else { register.encoding.len };
    Span { table: register.table, start: register.start, len }
}

impl Loader<'_> {
    /// Understands the `reject` expressions.
    pub(super) fn rejects(&mut self) {
        for index in 0..self.groups.len() {
            let Some((text, place)) = self.groups.get(index).and_then(|group| group.reject.clone()) else { continue };
            let Some(expr) = self.expression(&text, &place) else { continue };
            self.check_units(&expr, crate::profile::Unit::None, &place);
            let mut inputs = Vec::new();
            expr.inputs(&mut inputs);
            let computed =
                |input: &usize| self.values.get(*input).is_some_and(|value| matches!(value.def.source, Source::Is(_)));
            if expr.uses_setpoint() || inputs.iter().any(computed) {
                let help = "name points that are read from registers";
                self.report.error(&place, "`reject` looks at what was read, before anything is computed", "here", help);
            }
            if let Some(group) = self.groups.get_mut(index) {
                group.inner.reject = Some(expr);
            }
        }
    }

    /// Sections 3.2 point 3 and 6 of the schema.
    pub(super) fn check_layout(&self, manners: &Manners) {
        let mut seen: Vec<(Span, &Register, usize)> = Vec::new();
        for (index, value) in self.values.iter().enumerate() {
            // What only a sequence reads may look at the registers in its own way.
            let point = self.by_name.contains_key(&*value.def.name);
            let Source::Register(register) = &value.def.source else { continue };
            if !point {
                continue;
            }
            let here = span(register);
            for (there, other, first) in &seen {
                if here.overlaps(*there) && !agree(register, here, other, *there) {
                    let what = format!("`{}` reads registers of another point as another type", value.def.name);
                    let first = self.values.get(*first).map_or(&value.place, |value| &value.place);
                    self.report.clash(&value.place, what, "overlaps", first, "with this");
                }
            }
            for hole in &self.holes {
                if hole.overlaps(here) {
                    let what = format!("`{}` lies in a hole", value.def.name);
                    self.report.error(
                        &value.place,
                        what,
                        format!("register {}", here.start),
                        "mend `holes` or the address",
                    );
                }
            }
            self.inside_its_group(index, here);
            seen.push((here, register, index));
        }
        for (index, group) in self.groups.iter().enumerate() {
            let members: Vec<&Source> = self
                .values
                .iter()
                .filter(|value| value.def.when == When::Group(index))
                .map(|value| &value.def.source)
                .collect();
            if members.is_empty() {
                let what = format!("group `{}` has no points", group.public.name);
                self.report.error(&group.place, what, "nothing to read", "leave it out");
            }
            let registers: usize = members
                .iter()
                .map(
                    |source| {
                        if let Source::Register(register) = source { usize::from(register.encoding.len) } else { 1 }
                    },
                )
                .sum();
            let reads = registers.div_ceil(usize::from(manners.max_read)).max(1);
            let least = manners.gap.saturating_mul(u32::try_from(reads).unwrap_or(u32::MAX));
            if least > group.public.every {
                let what = format!("reading `{}` takes at least {least:?} of pauses", group.public.name);
                self.report.error(&group.place, what, format!("each {:?}", group.public.every), "poll less often");
            }
        }
    }

    fn inside_its_group(&self, index: usize, here: Span) {
        let Some(value) = self.values.get(index) else { return };
        let When::Group(group) = value.def.when else { return };
        let Some(group) = self.groups.get(group) else { return };
        if group.inner.span.is_some_and(|span| !span.contains(here)) {
            let what = format!("`{}` lies outside the span of its group", value.def.name);
            self.report.clash(&value.place, what, "outside", &group.place, "read as a whole");
        }
    }
}

/// Two points may share registers when they read them the same way, or each its own byte or bits.
fn agree(a: &Register, here: Span, b: &Register, there: Span) -> bool {
    let byte = |register: &Register| matches!(register.encoding.kind, Type::U8High | Type::U8Low);
    let same = a.encoding.kind == b.encoding.kind && a.encoding.words == b.encoding.words;
    here == there && (same || (byte(a) && byte(b)))
}
