//! Expressions between points: understood once all names are known, ordered so that each comes after what it reads.

use super::loader::Loader;
use crate::profile::Unit;
use crate::profile::define::{Source, When};

impl Loader<'_> {
    /// Fills in the computed points; returns their order.
    pub(super) fn computed(&mut self) -> Vec<usize> {
        let waiting: Vec<usize> = (0..self.values.len()).filter(|index| self.expression_of(*index).is_some()).collect();
        for index in &waiting {
            let Some((text, place)) = self.expression_of(*index) else { continue };
            let Some(expr) = self.expression(&text, &place) else { continue };
            if expr.uses_setpoint() {
                self.report.error(&place, "a point does not know the setpoint", "`p` is for controls", "");
            }
            self.check_units(&expr, Unit::None, &place);
            let stated = self.unit_of(*index).filter(|unit| *unit != Unit::None);
            let found = expr.unit(&|index| self.unit_of(index), Unit::None).ok().flatten();
            if let (Some(stated), Some(found)) = (stated, found)
                && stated != found
            {
                let what = format!("this makes {}, and the point is in {}", found.symbol(), stated.symbol());
                self.report.error(&place, what, "another unit", "");
            }
            if let Some(value) = self.values.get_mut(*index) {
                value.def.source = Source::Is(expr);
            }
        }
        let order = self.order(&waiting);
        for index in &order {
            let group = self.group_of_inputs(*index);
            if let Some(value) = self.values.get_mut(*index) {
                value.def.when = When::Group(group);
            }
        }
        order
    }

    fn expression_of(&self, index: usize) -> Option<(String, super::report::Place)> {
        self.values.get(index)?.expression.clone()
    }

    /// The stated group, else the one that its inputs come with: the fastest of them.
    fn group_of_inputs(&self, index: usize) -> usize {
        let Some(value) = self.values.get(index) else { return 0 };
        if let (true, When::Group(group)) = (value.group_stated, value.def.when) {
            return group;
        }
        let mut inputs = Vec::new();
        if let Source::Is(expr) = &value.def.source {
            expr.inputs(&mut inputs);
        }
        let groups = inputs.into_iter().filter_map(|input| match self.values.get(input)?.def.when {
            When::Group(group) => Some(group),
            When::Session | When::Told => None,
        });
        groups.min_by_key(|group| self.groups.get(*group).map(|group| group.public.every)).unwrap_or(0)
    }

    /// Orders by dependence; what is left over goes round in a circle.
    fn order(&self, waiting: &[usize]) -> Vec<usize> {
        let inputs = |index: usize| {
            let mut found = Vec::new();
            if let Some(Source::Is(expr)) = self.values.get(index).map(|value| &value.def.source) {
                expr.inputs(&mut found);
            }
            found
        };
        let mut order: Vec<usize> = Vec::new();
        let mut left = waiting.to_vec();
        while !left.is_empty() {
            let ready: Vec<usize> =
                left.iter().copied().filter(|index| inputs(*index).iter().all(|input| !left.contains(input))).collect();
            if ready.is_empty() {
                for index in &left {
                    if let Some(value) = self.values.get(*index) {
                        let what = format!("`{}` needs itself", value.def.name);
                        self.report.error(&value.place, what, "goes round in a circle", "");
                    }
                }
                break;
            }
            left.retain(|index| !ready.contains(index));
            order.extend(ready);
        }
        order
    }
}
