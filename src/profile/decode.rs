//! From registers to values: a group at a time.

use super::bind::Bound;
use super::codec::Type;
use super::define::ValueDef;
use super::{Image, Instance, Value};
use crate::clock::Moment;

impl Instance {
    /// Decodes a group from what was read. A point whose registers are not in the image is [`Value::Invalid`].
    pub fn decode(&mut self, group: usize, image: &Image, now: Moment) -> Vec<(usize, Value)> {
        self.tick(now);
        let definition = self.profile.definition.clone();
        let binding = self.mapping.binding.clone();
        let Some(members) = binding.groups.get(group) else { return Vec::new() };
        let mut values = Vec::with_capacity(members.read.len() + members.computed.len());
        let warm = self.warm(group);
        // First all numbers, for `reject` judges the frame as a whole.
        let mut numbers: Vec<Option<f64>> = Vec::with_capacity(members.read.len());
        for index in &members.read {
            numbers.push(self.number(*index, definition.values.get(*index), image));
        }
        let here = |index: usize| members.read.iter().position(|member| *member == index);
        let reject = definition.groups.get(group).and_then(|group| group.reject.as_ref());
        let rejected = reject.is_some_and(|reject| {
            let look = |index: usize| match here(index) {
                Some(position) => numbers.get(position).copied().flatten(),
                None => self.known(index),
            };
            reject.eval(None, &look).is_some_and(|result| result != 0.0)
        });
        let sound = warm && !rejected;
        for (index, number) in members.read.iter().zip(numbers) {
            let Some(def) = definition.values.get(*index) else { continue };
            let value = if sound { self.judge(*index, def, number, image) } else { self.lose(*index) };
            if let Some((point, sign)) = self.public(*index) {
                values.push((point, published(def, value, sign)));
            }
        }
        for index in &members.computed {
            let Some(def) = definition.values.get(*index) else { continue };
            let number = self.computed(*index, def).filter(|_| sound);
            if let Some(memory) = self.memory.get_mut(*index) {
                memory.keep(number, self.now);
            }
            if let Some((point, sign)) = self.public(*index) {
                values.push((point, published(def, number.map_or(Value::Invalid, Value::Number), sign)));
            }
        }
        values
    }

    /// Whether the polls to throw away after a connect are over.
    fn warm(&mut self, group: usize) -> bool {
        let Some(polls) = self.polls.get_mut(group) else { return false };
        *polls = polls.saturating_add(1);
        *polls > self.profile.manners.warmup
    }

    /// The number as read, inside its range.
    fn number(&self, index: usize, def: Option<&ValueDef>, image: &Image) -> Option<f64> {
        let Some(Bound::Read(located)) = self.mapping.binding.values.get(index) else { return None };
        let number = located.number(|span| image.get(span))?;
        in_range(def?, number)
    }

    fn computed(&self, index: usize, def: &ValueDef) -> Option<f64> {
        let Some(Bound::Computed(expr)) = self.mapping.binding.values.get(index) else { return None };
        in_range(def, expr.eval(None, &|input| self.known(input))?)
    }

    /// What to believe of a number that was read.
    fn judge(&mut self, index: usize, def: &ValueDef, number: Option<f64>, image: &Image) -> Value {
        let Some(Bound::Read(located)) = self.mapping.binding.values.get(index) else { return Value::Invalid };
        if located.encoding.kind == Type::Text {
            return located.text(|span| image.get(span)).map_or(Value::Invalid, |text| Value::Text(text.into()));
        }
        let digit = if located.encoding.kind.is_float() { 0.0 } else { located.encoding.factor.magnitude() };
        let Some(memory) = self.memory.get_mut(index) else { return Value::Invalid };
        let Some(number) = number else { return self.lose(index) };
        if def.counter.is_none() && def.step_max.is_none() {
            memory.keep(Some(number), self.now);
            return Value::Number(number);
        }
        memory.judge(def, digit, number, self.now).map_or(Value::Invalid, Value::Number)
    }

    fn lose(&mut self, index: usize) -> Value {
        if let Some(memory) = self.memory.get_mut(index) {
            memory.lose();
        }
        Value::Invalid
    }
}

fn in_range(def: &ValueDef, number: f64) -> Option<f64> {
    Some(number).filter(|number| def.range.is_none_or(|(low, high)| (low..=high).contains(number)))
}

/// As others see it: sign turned where the device is mounted so, states by their words.
fn published(def: &ValueDef, value: Value, sign: f64) -> Value {
    match value {
        Value::Number(number) => {
            #[expect(clippy::cast_possible_truncation, reason = "a state is a small whole number; others find no word")]
            let word = if def.map.is_empty() { None } else { def.map.get(&(number as i64)) };
            word.map_or(Value::Number(number * sign + 0.0), |word| Value::Text(word.clone()))
        }
        other => other,
    }
}
