//! Facts of the SunSpec models that profiles may name: offsets from the model's ID register, after `sunspec/models` (JSON).
//!
//! Integer and scale-factor models, and their float twins, share names here, so that one profile serves both.

use crate::profile::codec::Type;
use crate::profile::define::ModelRef;

/// One point of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub name: &'static str,
    /// Registers from the model's ID register (in a repeating block: from the block's first).
    pub at: u16,
    pub kind: Type,
    pub len: u16,
    /// Raw pattern that means "not implemented".
    pub none: Option<u64>,
    /// Offset of its scale factor from the model's ID register.
    pub scale: Option<u16>,
    pub writable: bool,
}

const fn fact(name: &'static str, at: u16, kind: Type, len: u16, none: Option<u64>) -> Fact {
    Fact { name, at, kind, len, none, scale: None, writable: false }
}

impl Fact {
    const fn sf(mut self, at: u16) -> Self {
        self.scale = Some(at);
        self
    }

    const fn rw(mut self) -> Self {
        self.writable = true;
        self
    }
}

const fn i16(name: &'static str, at: u16) -> Fact {
    fact(name, at, Type::I16, 1, Some(0x8000))
}
/// Also enum16, bitfield16, count.
const fn u16(name: &'static str, at: u16) -> Fact {
    fact(name, at, Type::U16, 1, Some(0xFFFF))
}
/// Also bitfield32.
const fn u32(name: &'static str, at: u16) -> Fact {
    fact(name, at, Type::U32, 2, Some(0xFFFF_FFFF))
}
/// Accumulators: 0 is "not accumulated".
const fn acc32(name: &'static str, at: u16) -> Fact {
    fact(name, at, Type::U32, 2, Some(0))
}
/// Floats: every NaN is "not implemented", which the codec knows.
const fn f32(name: &'static str, at: u16) -> Fact {
    fact(name, at, Type::F32, 2, None)
}
const fn text(name: &'static str, at: u16, len: u16) -> Fact {
    fact(name, at, Type::Text, len, None)
}

const COMMON: &[Fact] =
    &[text("Mn", 2, 16), text("Md", 18, 16), text("Opt", 34, 8), text("Vr", 42, 8), text("SN", 50, 16), u16("DA", 66)];

const INVERTER: &[Fact] = &[
    u16("A", 2).sf(6),
    u16("AphA", 3).sf(6),
    u16("AphB", 4).sf(6),
    u16("AphC", 5).sf(6),
    u16("PPVphAB", 7).sf(13),
    u16("PPVphBC", 8).sf(13),
    u16("PPVphCA", 9).sf(13),
    u16("PhVphA", 10).sf(13),
    u16("PhVphB", 11).sf(13),
    u16("PhVphC", 12).sf(13),
    i16("W", 14).sf(15),
    u16("Hz", 16).sf(17),
    i16("VA", 18).sf(19),
    i16("VAr", 20).sf(21),
    i16("PF", 22).sf(23),
    acc32("WH", 24).sf(26),
    u16("DCA", 27).sf(28),
    u16("DCV", 29).sf(30),
    i16("DCW", 31).sf(32),
    i16("TmpCab", 33).sf(37),
    u16("St", 38),
    u16("StVnd", 39),
    u32("Evt1", 40),
];

const INVERTER_FLOAT: &[Fact] = &[
    f32("A", 2),
    f32("AphA", 4),
    f32("AphB", 6),
    f32("AphC", 8),
    f32("PPVphAB", 10),
    f32("PPVphBC", 12),
    f32("PPVphCA", 14),
    f32("PhVphA", 16),
    f32("PhVphB", 18),
    f32("PhVphC", 20),
    f32("W", 22),
    f32("Hz", 24),
    f32("VA", 26),
    f32("VAr", 28),
    f32("PF", 30),
    f32("WH", 32),
    f32("DCA", 34),
    f32("DCV", 36),
    f32("DCW", 38),
    f32("TmpCab", 40),
    u16("St", 48),
    u16("StVnd", 49),
    u32("Evt1", 50),
];

const NAMEPLATE: &[Fact] = &[
    u16("DERTyp", 2),
    u16("WRtg", 3).sf(4),
    u16("ARtg", 12).sf(13),
    u16("WHRtg", 19).sf(20),
    u16("MaxChaRte", 23).sf(24),
    u16("MaxDisChaRte", 25).sf(26),
];

const SETTINGS: &[Fact] = &[u16("WMax", 2).sf(22).rw()];

const CONTROLS: &[Fact] = &[
    u16("Conn_WinTms", 2).rw(),
    u16("Conn_RvrtTms", 3).rw(),
    u16("Conn", 4).rw(),
    u16("WMaxLimPct", 5).sf(23).rw(),
    u16("WMaxLimPct_WinTms", 6).rw(),
    u16("WMaxLimPct_RvrtTms", 7).rw(),
    u16("WMaxLimPct_RmpTms", 8).rw(),
    u16("WMaxLim_Ena", 9).rw(),
];

const STORAGE: &[Fact] = &[
    u16("WChaMax", 2).sf(18).rw(),
    u16("WChaGra", 3).sf(19).rw(),
    u16("WDisChaGra", 4).sf(19).rw(),
    u16("StorCtl_Mod", 5).rw(),
    u16("MinRsvPct", 7).sf(21).rw(),
    u16("ChaState", 8).sf(22),
    u16("StorAval", 9).sf(23),
    u16("InBatV", 10).sf(24),
    u16("ChaSt", 11),
    i16("OutWRte", 12).sf(25).rw(),
    i16("InWRte", 13).sf(25).rw(),
    u16("InOutWRte_WinTms", 14).rw(),
    u16("InOutWRte_RvrtTms", 15).rw(),
    u16("InOutWRte_RmpTms", 16).rw(),
    u16("ChaGriSet", 17).rw(),
];

const MPPT: &[Fact] = &[u32("Evt", 6), u16("N", 8)];

const MPPT_MODULE: &[Fact] = &[
    u16("ID", 0),
    text("IDStr", 1, 8),
    u16("DCA", 9).sf(2),
    u16("DCV", 10).sf(3),
    u16("DCW", 11).sf(4),
    acc32("DCWH", 12).sf(5),
    i16("Tmp", 16),
    u16("DCSt", 17),
];

const METER: &[Fact] = &[
    i16("A", 2).sf(6),
    i16("AphA", 3).sf(6),
    i16("AphB", 4).sf(6),
    i16("AphC", 5).sf(6),
    i16("PhV", 7).sf(15),
    i16("PhVphA", 8).sf(15),
    i16("PhVphB", 9).sf(15),
    i16("PhVphC", 10).sf(15),
    i16("Hz", 16).sf(17),
    i16("W", 18).sf(22),
    i16("WphA", 19).sf(22),
    i16("WphB", 20).sf(22),
    i16("WphC", 21).sf(22),
    i16("VA", 23).sf(27),
    i16("VAR", 28).sf(32),
    i16("PF", 33).sf(37),
    acc32("TotWhExp", 38).sf(54),
    acc32("TotWhImp", 46).sf(54),
    u32("Evt", 105),
];

const METER_FLOAT: &[Fact] = &[
    f32("A", 2),
    f32("AphA", 4),
    f32("AphB", 6),
    f32("AphC", 8),
    f32("PhV", 10),
    f32("PhVphA", 12),
    f32("PhVphB", 14),
    f32("PhVphC", 16),
    f32("Hz", 26),
    f32("W", 28),
    f32("WphA", 30),
    f32("WphB", 32),
    f32("WphC", 34),
    f32("VA", 36),
    f32("VAR", 44),
    f32("PF", 52),
    f32("TotWhExp", 60),
    f32("TotWhImp", 68),
    u32("Evt", 124),
];

/// A model's fixed points and its repeating block (first register, length, points).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    pub fixed: &'static [Fact],
    pub repeated: Option<(u16, u16, &'static [Fact])>,
}

/// Models whose points a profile may name.
pub(crate) const KNOWN: [u16; 20] =
    [1, 101, 102, 103, 111, 112, 113, 120, 121, 123, 124, 160, 201, 202, 203, 204, 211, 212, 213, 214];

/// The facts of a model.
pub(crate) const fn model(id: u16) -> Option<Model> {
    let fixed = match id {
        1 => COMMON,
        101..=103 => INVERTER,
        111..=113 => INVERTER_FLOAT,
        120 => NAMEPLATE,
        121 => SETTINGS,
        123 => CONTROLS,
        124 => STORAGE,
        160 => return Some(Model { fixed: MPPT, repeated: Some((10, 20, MPPT_MODULE)) }),
        201..=204 => METER,
        211..=214 => METER_FLOAT,
        _ => return None,
    };
    Some(Model { fixed, repeated: None })
}

/// Where a point of a model is: its fact, with `at` from the model's ID register.
pub(crate) fn find(id: u16, item: u16, point: &str) -> Option<Fact> {
    let model = model(id)?;
    if let Some(fact) = model.fixed.iter().find(|fact| fact.name == point) {
        return Some(*fact);
    }
    let (first, size, facts) = model.repeated?;
    let fact = facts.iter().find(|fact| fact.name == point)?;
    let at = size.checked_mul(item)?.checked_add(first)?.checked_add(fact.at)?;
    Some(Fact { at, ..*fact })
}

impl ModelRef {
    /// Whether a model in the chain is meant.
    pub(crate) const fn is(self, id: u16) -> bool {
        match self {
            Self::Inverter => matches!(id, 101..=103 | 111..=113),
            Self::Meter => matches!(id, 201..=204 | 211..=214),
            Self::Id(wanted) => wanted == id,
        }
    }

    /// One model of each layout that is meant.
    pub(crate) fn layouts(self) -> Vec<u16> {
        match self {
            Self::Inverter => vec![103, 113],
            Self::Meter => vec![203, 213],
            Self::Id(id) => vec![id],
        }
    }
}

impl std::fmt::Display for ModelRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inverter => f.write_str("101-103 or 111-113 (inverter)"),
            Self::Meter => f.write_str("201-204 or 211-214 (meter)"),
            Self::Id(id) => write!(f, "{id}"),
        }
    }
}
