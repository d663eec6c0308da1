//! Addresses, types and scales as points, checks and steps write them.

use super::loader::Loader;
use super::report::Place;
use super::section::Section;
use crate::profile::codec::{Encoding, Factor, Type};
use crate::profile::define::{Extra, ModelPoint, ModelRef, Register, Target};
use crate::profile::names::nearest;
use crate::profile::sunspec::models;
use crate::profile::{Table, WordOrder};

pub(super) const TABLES: [(&str, Table); 4] = [
    ("coil", Table::Coil),
    ("discrete-input", Table::DiscreteInput),
    ("holding", Table::Holding),
    ("input", Table::Input),
];
pub(super) const ORDERS: [(&str, bool); 2] = [("big", false), ("little", true)];

/// Where addresses count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// 0 or 1.
    From(u16),
    /// 40001 is holding register 0, 30001 input register 0.
    Modicon,
}

/// Longest text in registers.
const LONGEST_TEXT: u16 = 100;

impl Loader<'_> {
    /// A written address as it goes over the wire.
    fn address(&self, written: i128, table: Table, section: &Section<'_>, place: &Place) -> Option<(Table, u16)> {
        match self.base {
            Base::From(base) => {
                let address = written - i128::from(base);
                if let Ok(address) = u16::try_from(address) {
                    return Some((table, address));
                }
                let help = if (300_001..=465_536).contains(&written) {
                    "numbers such as 400001 are Modicon's: write `base = \"modicon\"` in [bus]"
                } else {
                    "an address is 0 to 65535"
                };
                section.error(place, format!("{} has no register {written}", section.what), "outside the table", help);
                None
            }
            Base::Modicon => {
                let tables = [(0, Table::Coil), (1, Table::DiscreteInput), (3, Table::Input), (4, Table::Holding)];
                let size = if written > 99_999 { 100_000 } else { 10_000 };
                let found = tables.iter().find(|(digit, _)| *digit == written / size).map(|(_, table)| *table);
                let address = u16::try_from(written % size - 1).ok();
                if found.is_none() || address.is_none() {
                    let help = "4xxxx is holding, 3xxxx input, 1xxxx discrete inputs, 0xxxx coils; each counts from 1";
                    section.error(place, format!("{written} is no Modicon number"), "fits no table", help);
                }
                Some((found?, address?))
            }
        }
    }

    /// `at`, one or three addresses.
    fn addresses(&self, section: &Section<'_>, table: Table) -> Option<(Vec<(Table, u16)>, Place)> {
        if section.get("at")?.get_ref().as_array().is_some() {
            let (numbers, place) = section.wholes("at")?;
            let found: Vec<_> =
                numbers.iter().filter_map(|number| self.address(*number, table, section, &place)).collect();
            if numbers.len() != 3 {
                section.error(&place, "a list of addresses has three: one a phase", "not three", "");
            }
            return (numbers.len() == 3 && found.len() == 3).then_some((found, place));
        }
        let (number, place) = section.whole::<i128>("at", (0, i128::from(u32::MAX)))?;
        self.address(number, table, section, &place).map(|found| (vec![found], place))
    }

    /// The keys `at`, `type` and all that says how the registers make a number.
    pub(super) fn registers(&self, section: &Section<'_>, unit: f64, writes: bool) -> Option<Vec<Register>> {
        section.knows(&["scale", "offset", "flip", "abs", "bits", "none"]);
        let kind = section.word("type", &Type::NAMES);
        let default = match kind {
            Some(Type::Bool) if writes || matches!(self.table, Table::Holding | Table::Input) => Table::Coil,
            _ if writes && self.table == Table::Input => Table::Holding,
            _ => self.table,
        };
        let stated = section.word("table", &TABLES);
        let found = self.addresses(section, stated.unwrap_or(default));
        let words = section.word("words", &ORDERS);
        let len = section.whole::<u16>("len", (1, i128::from(LONGEST_TEXT)));
        let high = section.whole::<u32>("high", (0, i128::from(u32::MAX)));
        let scale_at = section.whole::<u32>("sf", (0, i128::from(u32::MAX)));
        let encoding = kind.and_then(|kind| self.encoding(section, kind, len, words.unwrap_or(self.little), unit));
        if section.get("type").is_none() {
            section.missing("type", "\"u16\"");
        }
        let (addresses, place) = found?;
        let mut encoding = encoding?;
        if let (Some(_), Type::U32 | Type::I32) = (&high, encoding.kind) {
            // Held apart: the two words are brought in order before the codec sees them.
            encoding.words = WordOrder::Big;
        } else if let Some((_, place)) = &high {
            section.error(place, "`high` is for u32 and i32", "the type has no high word", "");
        }
        let wire = |found: &Option<(u32, Place)>, table| {
            let (written, place) = found.as_ref()?;
            self.address(i128::from(*written), table, section, place).map(|(_, address)| address)
        };
        let registers = addresses.into_iter().map(|(table, start)| Register {
            table,
            start,
            encoding: encoding.clone(),
            words_stated: words.is_some() || high.is_some(),
            high: wire(&high, table),
            scale: wire(&scale_at, table),
        });
        let registers: Vec<Register> = registers.collect();
        for register in &registers {
            self.fits(section, register, &place);
        }
        Some(registers)
    }

    fn encoding(
        &self,
        section: &Section<'_>,
        kind: Type,
        len: Option<(u16, Place)>,
        little: bool,
        unit: f64,
    ) -> Option<Encoding> {
        let len = match (kind.len(), len) {
            (Some(len), None) => len,
            (Some(fixed), Some((_, place))) => {
                section.error(&place, format!("{} always takes {fixed} registers", kind.name()), "leave it out", "");
                fixed
            }
            (None, Some((len, place))) => {
                if kind == Type::Mod10k && len > 4 {
                    section.error(&place, "mod10k has at most 4 registers", "too long", "");
                }
                len
            }
            (None, None) => {
                section.missing("len", "8");
                1
            }
        };
        let (factor, offset) = self.factor(section, unit);
        Some(Encoding {
            kind,
            len,
            words: if little { WordOrder::Little } else { WordOrder::Big },
            swap: self.swap,
            bits: self.bits(section, kind),
            none: none(section, kind),
            abs: section.flag("abs").unwrap_or(false),
            factor,
            offset,
        })
    }

    /// Of a value that lies behind another one.
    pub(super) fn block_encoding(&self, section: &Section<'_>, kind: Type) -> Option<Encoding> {
        let len = section.whole::<u16>("len", (1, i128::from(LONGEST_TEXT)));
        self.encoding(section, kind, len, self.little, 1.0)
    }

    /// `scale`, `flip` and `offset`, all in the canonical unit.
    fn factor(&self, section: &Section<'_>, unit: f64) -> (Factor, f64) {
        let sign = if section.flag("flip").unwrap_or(false) { -1.0 } else { 1.0 };
        let scale = match section.number("scale") {
            Some((scale, place)) if scale == 0.0 || !(scale * unit).is_normal() => {
                section.error(&place, "a scale of 0 makes every value 0", "not a factor", "leave it out, or write 0.1");
                1.0
            }
            Some((scale, _)) => scale,
            None => 1.0,
        };
        let offset = section.number("offset").map_or(0.0, |(offset, _)| offset * unit * sign);
        (Factor::new(scale * unit * sign), offset)
    }

    fn bits(&self, section: &Section<'_>, kind: Type) -> Option<(u8, u8)> {
        let node = section.get("bits")?;
        let (first, count) = match node.get_ref().as_array() {
            Some(_) => match section.wholes("bits")?.0.as_slice() {
                [first, count] => (*first, *count),
                _ => (-1, 0),
            },
            None => (section.whole::<i128>("bits", (0, 63))?.0, 1),
        };
        let width = i128::from(kind.len().unwrap_or(0)) * 16;
        let fits =
            matches!(kind, Type::U16 | Type::U32 | Type::U64) && first >= 0 && count >= 1 && first + count <= width;
        if !fits || count > 52 {
            let help = "`bits = 3` is one bit, `bits = [4, 2]` two bits from bit 4, of a u16, u32 or u64";
            section.error(&node.span(), "no such bits", format!("not in a {}", kind.name()), help);
            return None;
        }
        Some((u8::try_from(first).ok()?, u8::try_from(count).ok()?))
    }

    fn fits(&self, section: &Section<'_>, register: &Register, place: &Place) {
        let len = register.encoding.len;
        let registers = if register.high.is_some() { 1 } else { len };
        if u32::from(register.start) + u32::from(registers) > 0x1_0000 {
            section.error(place, "reaches beyond register 65535", "too far", "");
        }
        if len > self.max_read {
            let what = format!("needs {len} registers, and `max_read` is {}", self.max_read);
            section.error(place, what, "longer than one read", "a value is never read in two pieces");
        }
        let bits = matches!(register.table, Table::Coil | Table::DiscreteInput);
        if bits != (register.encoding.kind == Type::Bool) {
            let help = "coils and discrete inputs are `bool`; for a bit of a register write type = \"u16\" with `bits`";
            section.error(place, format!("a {} cannot lie there", register.encoding.kind.name()), "other table", help);
        }
        let other = register.scale.or(register.high);
        if other.is_some_and(|other| other.abs_diff(register.start) >= self.max_read) {
            let help = "it must come in the same request as the value";
            section.error(place, "the other register is too far away for one read", "farther than `max_read`", help);
        }
    }

    /// `model` and `point` with what the profile adds; one or three points.
    pub(super) fn models(&self, section: &Section<'_>, unit: f64) -> Option<Vec<ModelPoint>> {
        section.knows(&["item", "scale", "offset", "flip", "abs", "bits"]);
        let model = self.model_ref(section, "model");
        let node = section.get("point");
        let names: Vec<(&str, Place)> = match node {
            Some(node) if node.get_ref().as_array().is_some() => section.texts("point").map(|(all, _)| all)?,
            Some(_) => vec![section.text("point")?],
            None => {
                section.missing("point", "\"W\"");
                return None;
            }
        };
        if names.len() != 1 && names.len() != 3 {
            section.error(&section.place, "a list of points has three: one a phase", "not three", "");
        }
        let item = section.whole::<u16>("item", (0, 63)).map_or(0, |(item, _)| item);
        let (factor, offset) = self.factor(section, unit);
        if offset != 0.0 {
            section.error(&section.place, "`offset` is not for SunSpec points", "here", "");
        }
        let abs = section.flag("abs").unwrap_or(false);
        let model = model?;
        let first = names.first().map_or("", |(name, _)| name);
        let fact = model.layouts().into_iter().find_map(|id| models::find(id, item, first));
        let bits = fact.and_then(|fact| self.bits(section, fact.kind));
        let mut points = Vec::new();
        for (name, place) in names {
            if !model.layouts().into_iter().any(|id| models::find(id, item, name).is_some()) {
                let known: Vec<&str> = model.layouts().into_iter().flat_map(names_of).collect();
                let help = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("known are {}", known.join(", ")),
                };
                section.error(&place, format!("model {model} has no point \"{name}\""), "unknown point", help);
                continue;
            }
            points.push(ModelPoint { model, item, point: name.into(), encoding: Extra { factor, abs, bits } });
        }
        (!points.is_empty()).then_some(points)
    }

    /// A model by number, or a family by name.
    pub(super) fn model_ref(&self, section: &Section<'_>, key: &'static str) -> Option<ModelRef> {
        let node = section.get(key)?;
        if node.get_ref().as_str().is_some() {
            return section.word(key, &[("inverter", ModelRef::Inverter), ("meter", ModelRef::Meter)]);
        }
        let (id, place) = section.whole::<u16>(key, (1, 65_534))?;
        if models::model(id).is_none() {
            let known: Vec<String> = models::KNOWN.iter().map(ToString::to_string).collect();
            section.error(
                &place,
                format!("the facts of SunSpec model {id} are not known"),
                "unknown model",
                known.join(", "),
            );
            return None;
        }
        Some(ModelRef::Id(id))
    }

    /// A place to write (or to capture): by address or by model.
    pub(super) fn target(&self, section: &Section<'_>) -> Option<Target> {
        if section.get("model").is_some() {
            if self.sunspec.is_none() {
                section.error(&section.place, "`model` is for SunSpec devices", "here", "add a [sunspec] table");
            }
            let point = self.models(section, 1.0)?.into_iter().next()?;
            return Some(Target::Model(point));
        }
        if section.get("at").is_none() {
            section.missing("at", "40000");
            return None;
        }
        self.registers(section, 1.0, true)?.into_iter().next().map(Target::Register)
    }
}

fn names_of(id: u16) -> Vec<&'static str> {
    let Some(model) = models::model(id) else { return Vec::new() };
    let repeated = model.repeated.map_or(&[][..], |(_, _, facts)| facts);
    model.fixed.iter().chain(repeated).map(|fact| fact.name).collect()
}

/// `none`: raw patterns that the type can hold.
#[expect(clippy::cast_possible_truncation, reason = "a pattern of the register is meant")]
fn none(section: &Section<'_>, kind: Type) -> Vec<u64> {
    if kind.is_float() {
        let numbers = section.numbers("none").map(|(numbers, _)| numbers).unwrap_or_default();
        let pattern =
            |number: f64| if kind == Type::F32 { u64::from((number as f32).to_bits()) } else { number.to_bits() };
        return numbers.into_iter().map(pattern).collect();
    }
    let Some((numbers, place)) = section.wholes("none") else { return Vec::new() };
    let width = u32::from(kind.len().unwrap_or(0)) * 16;
    let least = kind.limits().map_or(0, |(least, _)| least);
    let fits = |number: &i128| *number >= least && *number < 1_i128 << width;
    if matches!(kind, Type::U8High | Type::U8Low | Type::Text | Type::Mod10k | Type::Bool) || !numbers.iter().all(fits)
    {
        let help = "write the raw register value, such as 0xFFFF for a u16 or 0x8000 for an i16";
        section.error(&place, format!("`none` has a value that a {} cannot hold", kind.name()), "does not fit", help);
        return Vec::new();
    }
    #[expect(clippy::cast_sign_loss, reason = "the pattern in the register is meant")]
    numbers.into_iter().map(|number| (number & ((1_i128 << width) - 1)) as u64).collect()
}
