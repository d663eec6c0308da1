//! A profile's values and targets with their addresses on one device.

use super::codec::{Encoding, Type};
use super::define::{Definition, Extra, ModelPoint, Register, Source, Target, ValueDef, When};
use super::expr::Expr;
use super::sunspec::Chain;
use super::sunspec::models::{self, Fact};
use super::{Profile, Span, Table, WordOrder};

/// Where a value's words are and what they mean.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub encoding: Encoding,
    value: Span,
    high: Option<Span>,
    scale: Option<Span>,
    /// All of it, where one read can bring it.
    hull: Option<Span>,
}

impl Located {
    fn new(encoding: Encoding, value: Span, high: Option<Span>, scale: Option<Span>, max_read: u16) -> Self {
        let parts = [Some(value), high, scale];
        let start = parts.iter().flatten().map(|part| part.start).min().unwrap_or(value.start);
        let end = parts.iter().flatten().map(|part| part.end()).max().unwrap_or(value.end());
        let len = u16::try_from(end.saturating_sub(u32::from(start))).ok().filter(|len| *len <= max_read);
        let hull = len.map(|len| Span { table: value.table, start, len });
        Self { encoding, value, high, scale, hull }
    }

    /// What must be read for it; each span in one piece.
    pub(super) fn spans(&self) -> impl Iterator<Item = Span> {
        let parts = if self.hull.is_some() { [None; 3] } else { [Some(self.value), self.high, self.scale] };
        self.hull.into_iter().chain(parts.into_iter().flatten())
    }

    /// The span of the value itself.
    pub(super) const fn value(&self) -> Span {
        self.value
    }

    /// The number, from whatever serves spans of words.
    pub(super) fn number<'a>(&self, words: impl Fn(Span) -> Option<&'a [u16]>) -> Option<f64> {
        let hull = self.hull.and_then(&words);
        let part = |span: Span| match (hull, self.hull) {
            (Some(words), Some(hull)) => {
                let from = usize::from(span.start - hull.start);
                words.get(from..from + usize::from(span.len))
            }
            _ => words(span),
        };
        let exponent = match self.scale {
            Some(scale) => super::codec::exponent(*part(scale)?.first()?)?,
            None => 0,
        };
        match self.high {
            Some(high) => {
                let joined = [*part(high)?.first()?, *part(self.value)?.first()?];
                self.encoding.number(&joined, exponent)
            }
            None => self.encoding.number(part(self.value)?, exponent),
        }
    }

    /// The text, likewise.
    pub(super) fn text<'a>(&self, words: impl Fn(Span) -> Option<&'a [u16]>) -> Option<String> {
        self.encoding.text(words(self.value)?)
    }
}

/// A value on this device.
#[derive(Clone, Debug)]
pub(super) enum Bound {
    /// Read from registers.
    Read(Box<Located>),
    /// Computed.
    Computed(Expr),
    /// The device has no such thing, or is not identified.
    Absent,
}

/// What a group reads and makes.
#[derive(Clone, Debug, Default)]
pub(super) struct BoundGroup {
    /// Values read, then values computed, in order.
    pub read: Vec<usize>,
    pub computed: Vec<usize>,
    pub spans: Vec<Span>,
}

/// A whole profile on this device.
#[derive(Clone, Debug, Default)]
pub(super) struct Binding {
    pub values: Vec<Bound>,
    pub groups: Vec<BoundGroup>,
}

/// What addresses depend on.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// Word order, where config or the device itself says it.
    pub words: Option<WordOrder>,
    pub max_read: u16,
    /// Found by the walk, with the sub-device meant.
    pub chain: Option<(&'a Chain, usize)>,
}

impl Place<'_> {
    fn words(self, register: &Register) -> WordOrder {
        match self.words {
            Some(words) if !register.words_stated => words,
            _ => register.encoding.words,
        }
    }

    fn register(self, register: &Register) -> Located {
        let mut encoding = register.encoding.clone();
        encoding.words = self.words(register);
        let span = |start, len| Span { table: register.table, start, len };
        let len = if register.high.is_some() { 1 } else { encoding.len };
        let (high, scale) = (register.high.map(|at| span(at, 1)), register.scale.map(|at| span(at, 1)));
        Located::new(encoding, span(register.start, len), high, scale, self.max_read)
    }

    /// A model's point, if this device has it: the point may lie beyond the length that the device states.
    fn fact(self, point: &ModelPoint) -> Option<(Fact, u16)> {
        let (chain, device) = self.chain?;
        let found = chain.find(device, point.model)?;
        let fact = models::find(found.id, point.item, &point.point)?;
        let end = u32::from(found.len) + 2;
        let inside = |at: u16, len: u16| u32::from(at) + u32::from(len) <= end;
        let there = inside(fact.at, fact.len) && fact.scale.is_none_or(|at| inside(at, 1));
        there.then_some((fact, found.start))
    }

    fn model(self, point: &ModelPoint) -> Option<Located> {
        let (fact, start) = self.fact(point)?;
        let span = |at: u16, len| Some(Span { table: Table::Holding, start: start.checked_add(at)?, len });
        let scale = match fact.scale {
            Some(at) => Some(span(at, 1)?),
            None => None,
        };
        Some(Located::new(encoding(&fact, point.encoding), span(fact.at, fact.len)?, None, scale, self.max_read))
    }

    /// The scale register of a model's point, as a value.
    fn scale_of(self, point: &ModelPoint) -> Option<Located> {
        let (fact, start) = self.fact(point)?;
        let at = start.checked_add(fact.scale?)?;
        let plain = Fact { kind: Type::I16, len: 1, none: Some(0x8000), ..fact };
        let encoding = encoding(&plain, Extra { factor: super::codec::Factor::ONE, abs: false, bits: None });
        let span = Span { table: Table::Holding, start: at, len: 1 };
        Some(Located::new(encoding, span, None, None, self.max_read))
    }

    /// Where a step writes or a capture reads.
    pub(super) fn target(self, target: &Target) -> Option<Located> {
        match target {
            Target::Register(register) => Some(self.register(register)),
            Target::Model(point) => self.model(point),
        }
    }

    fn value(self, def: &ValueDef) -> Bound {
        let has = |model| self.chain.is_some_and(|(chain, device)| chain.find(device, model).is_some());
        if def.with.is_some_and(|model| !has(model)) || def.without.is_some_and(has) {
            return Bound::Absent;
        }
        let located = match &def.source {
            Source::Register(register) => Some(self.register(register)),
            Source::Model(point) => self.model(point),
            Source::ScaleOf(point) => self.scale_of(point),
            Source::Is(expr) => return Bound::Computed(expr.clone()),
        };
        located.map_or(Bound::Absent, |located| Bound::Read(Box::new(located)))
    }
}

fn encoding(fact: &Fact, extra: Extra) -> Encoding {
    Encoding {
        kind: fact.kind,
        len: fact.len,
        words: WordOrder::Big,
        swap: false,
        bits: extra.bits,
        none: fact.none.into_iter().collect(),
        abs: extra.abs,
        factor: extra.factor,
        offset: 0.0,
    }
}

impl Binding {
    /// Addresses of all values; a computed value whose every input is absent is absent too.
    pub(super) fn new(profile: &Profile, place: Place<'_>) -> Self {
        let definition: &Definition = &profile.definition;
        let mut values: Vec<Bound> = definition.values.iter().map(|value| place.value(value)).collect();
        for index in &definition.order {
            let Some(Bound::Computed(expr)) = values.get(*index) else { continue };
            let mut inputs = Vec::new();
            expr.inputs(&mut inputs);
            let absent = |input: &usize| matches!(values.get(*input), Some(Bound::Absent) | None);
            if !inputs.is_empty()
                && inputs.iter().all(absent)
                && let Some(value) = values.get_mut(*index)
            {
                *value = Bound::Absent;
            }
        }
        let mut groups: Vec<BoundGroup> = definition.groups.iter().map(|_| BoundGroup::default()).collect();
        for (index, value) in definition.values.iter().enumerate() {
            if let (When::Group(group), Some(Bound::Read(located))) = (value.when, values.get(index))
                && let Some(group) = groups.get_mut(group)
            {
                group.read.push(index);
                group.spans.extend(located.spans());
            }
        }
        for index in &definition.order {
            if let (Some(When::Group(group)), Some(Bound::Computed(_))) =
                (definition.values.get(*index).map(|value| value.when), values.get(*index))
                && let Some(group) = groups.get_mut(group)
            {
                group.computed.push(*index);
            }
        }
        for (group, inner) in groups.iter_mut().zip(&definition.groups) {
            if let (Some(whole), false) = (inner.span, group.spans.is_empty()) {
                group.spans.retain(|span| !whole.contains(*span));
                group.spans.push(whole);
            }
            group.spans.sort_unstable();
            group.spans.dedup();
        }
        Self { values, groups }
    }
}
