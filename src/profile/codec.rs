//! Words to numbers and back.
//!
//! What a device calls "no value" never becomes a number; what does not fit a register is refused, never wrapped.

use super::WordOrder;

/// How a value lies in registers (or bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// High byte of a register.
    U8High,
    /// Low byte of a register.
    U8Low,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
    /// Two bytes a register.
    Text,
    /// Each register a group of four decimal digits, -9999..=9999 (Schneider PM800).
    Mod10k,
    /// A coil or discrete input.
    Bool,
}

impl Type {
    /// All names, as profiles write them.
    pub(crate) const NAMES: [(&'static str, Self); 13] = [
        ("u8h", Self::U8High),
        ("u8l", Self::U8Low),
        ("u16", Self::U16),
        ("i16", Self::I16),
        ("u32", Self::U32),
        ("i32", Self::I32),
        ("u64", Self::U64),
        ("i64", Self::I64),
        ("f32", Self::F32),
        ("f64", Self::F64),
        ("string", Self::Text),
        ("mod10k", Self::Mod10k),
        ("bool", Self::Bool),
    ];

    /// Its name in a profile.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Registers it takes, where that is fixed.
    pub(crate) const fn len(self) -> Option<u16> {
        match self {
            Self::U8High | Self::U8Low | Self::U16 | Self::I16 | Self::Bool => Some(1),
            Self::U32 | Self::I32 | Self::F32 => Some(2),
            Self::U64 | Self::I64 | Self::F64 => Some(4),
            Self::Text | Self::Mod10k => None,
        }
    }

    pub(crate) const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// Least and greatest number of an integer type.
    pub(crate) const fn limits(self) -> Option<(i128, i128)> {
        match self {
            Self::U8High | Self::U8Low => Some((0, 0xFF)),
            Self::Bool => Some((0, 1)),
            Self::U16 => Some((0, u16::MAX as i128)),
            Self::I16 => Some((i16::MIN as i128, i16::MAX as i128)),
            Self::U32 => Some((0, u32::MAX as i128)),
            Self::I32 => Some((i32::MIN as i128, i32::MAX as i128)),
            Self::U64 => Some((0, u64::MAX as i128)),
            Self::I64 => Some((i64::MIN as i128, i64::MAX as i128)),
            Self::F32 | Self::F64 | Self::Text | Self::Mod10k => None,
        }
    }
}

/// A factor kept as multiply and divide, so that 0.1 divides by 10 and 2305 becomes 230.5, not 230.50000000000003.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Factor {
    mul: f64,
    div: f64,
}

impl Factor {
    pub(crate) const ONE: Self = Self { mul: 1.0, div: 1.0 };

    /// From a finite number other than 0.
    pub(crate) fn new(factor: f64) -> Self {
        let inverse = (1.0 / factor).round();
        if factor.abs() < 1.0 && (inverse * factor - 1.0).abs() < 1e-12 {
            Self { mul: 1.0, div: inverse }
        } else {
            Self { mul: factor, div: 1.0 }
        }
    }

    pub(crate) fn apply(self, raw: f64) -> f64 {
        raw * self.mul / self.div
    }

    pub(crate) fn undo(self, value: f64) -> f64 {
        value * self.div / self.mul
    }

    pub(crate) fn magnitude(self) -> f64 {
        (self.mul / self.div).abs()
    }
}

/// Scale exponents beyond this are no scale (SunSpec: sunssf is -10..10).
const SCALE_LIMIT: i16 = 10;
const POWERS: [f64; 11] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

/// A scale register's word as an exponent; `None` outside -10..=10, which also covers "not implemented" (0x8000).
pub(crate) fn exponent(word: u16) -> Option<i16> {
    let value = word.cast_signed();
    (-SCALE_LIMIT..=SCALE_LIMIT).contains(&value).then_some(value)
}

/// `value * 10^exponent`, exact where it can be.
pub(crate) fn shift(value: f64, exponent: i16) -> f64 {
    let power = POWERS.get(usize::from(exponent.unsigned_abs())).copied().unwrap_or(f64::NAN);
    if exponent < 0 { value / power } else { value * power }
}

/// Numbers of this size in a float register are noise (SolarEdge sends -3.4e38 for "none").
const FLOAT_LIMIT: f64 = 1e30;

/// How to get a number out of its words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Encoding {
    pub kind: Type,
    /// Registers.
    pub len: u16,
    /// Order of words.
    pub words: WordOrder,
    /// Bytes within a word are swapped.
    pub swap: bool,
    /// First bit and number of bits.
    pub bits: Option<(u8, u8)>,
    /// Raw patterns that mean "no value".
    pub none: Vec<u64>,
    /// Take the size, drop the sign.
    pub abs: bool,
    /// Raw number to canonical unit and sign.
    pub factor: Factor,
    /// Added after the factor, in the canonical unit.
    pub offset: f64,
}

impl Encoding {
    /// A plain value of a type with a fixed length.
    #[cfg(test)]
    pub(crate) fn plain(kind: Type) -> Self {
        Self {
            kind,
            len: kind.len().unwrap_or(1),
            words: WordOrder::Big,
            swap: false,
            bits: None,
            none: Vec::new(),
            abs: false,
            factor: Factor::ONE,
            offset: 0.0,
        }
    }

    /// The words as one pattern, high word first; `None` for wrong lengths.
    fn pattern(&self, words: &[u16]) -> Option<u64> {
        if words.len() != usize::from(self.len) || words.len() > 4 {
            return None;
        }
        let join = |all: u64, word: &u16| {
            let word = if self.swap { word.swap_bytes() } else { *word };
            (all << 16) | u64::from(word)
        };
        Some(match self.words {
            WordOrder::Big => words.iter().fold(0, join),
            WordOrder::Little => words.iter().rev().fold(0, join),
        })
    }

    fn sentinel(&self, pattern: u64) -> bool {
        self.none.contains(&pattern)
    }

    /// The raw number, unscaled; `None` where the device gave none.
    #[expect(clippy::cast_precision_loss, reason = "counters beyond 2^53 lose their last digit, which nobody reads")]
    pub(crate) fn raw(&self, words: &[u16]) -> Option<f64> {
        let pattern = self.pattern(words)?;
        if self.sentinel(pattern) {
            return None;
        }
        let number = match self.kind {
            Type::U8High => ((pattern >> 8) & 0xFF) as f64,
            Type::U8Low => (pattern & 0xFF) as f64,
            Type::Bool => f64::from(u8::from(pattern != 0)),
            Type::U16 | Type::U32 | Type::U64 => match self.bits {
                Some((first, count)) => ((pattern >> first) & ((1 << count) - 1)) as f64,
                None => pattern as f64,
            },
            Type::I16 => f64::from(i16::from_be_bytes(low_bytes(pattern))),
            Type::I32 => f64::from(i32::from_be_bytes(low_bytes(pattern))),
            Type::I64 => pattern.cast_signed() as f64,
            Type::F32 => f64::from(f32::from_bits(u32::from_be_bytes(low_bytes(pattern)))),
            Type::F64 => f64::from_bits(pattern),
            Type::Mod10k => return self.decimal(words),
            Type::Text => return None,
        };
        (number.is_finite() && !(self.kind.is_float() && number.abs() > FLOAT_LIMIT)).then_some(number)
    }

    /// The number in canonical unit and sign, scaled by `exponent` too.
    pub(crate) fn number(&self, words: &[u16], exponent: i16) -> Option<f64> {
        let raw = self.raw(words)?;
        let raw = if self.abs { raw.abs() } else { raw };
        let value = shift(self.factor.apply(raw), exponent) + self.offset;
        value.is_finite().then_some(value)
    }

    fn decimal(&self, words: &[u16]) -> Option<f64> {
        let mut number = 0.0;
        let mut add = |word: &u16| {
            let digits = if self.swap { word.swap_bytes() } else { *word }.cast_signed();
            number = number * 10_000.0 + f64::from(digits);
            (-9_999..=9_999).contains(&digits)
        };
        let sound = match self.words {
            WordOrder::Big => words.iter().all(&mut add),
            WordOrder::Little => words.iter().rev().all(&mut add),
        };
        sound.then_some(number)
    }

    /// A string without its padding; `None` when nothing is left.
    pub(crate) fn text(&self, words: &[u16]) -> Option<String> {
        let order = |word: &u16| if self.swap { word.to_le_bytes() } else { word.to_be_bytes() };
        let bytes: Vec<u8> = words.iter().flat_map(order).collect();
        let text: String = String::from_utf8_lossy(&bytes)
            .chars()
            .take_while(|c| *c != '\0')
            .filter(|c| !c.is_control() && *c != char::REPLACEMENT_CHARACTER)
            .collect();
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The words for a value in canonical unit and sign: scaled, rounded half away from zero. `Err` is the scaled number
    /// that does not fit (or would read as "no value").
    pub(crate) fn words_for(&self, value: f64, exponent: i16) -> Result<Vec<u16>, f64> {
        let scaled = self.factor.undo(shift(value - self.offset, -exponent));
        let pattern = match self.kind {
            #[expect(clippy::cast_possible_truncation, reason = "f32 is what the register holds; the range is checked")]
            Type::F32 if scaled.abs() <= f64::from(f32::MAX) => u64::from((scaled as f32).to_bits()),
            Type::F64 if scaled.is_finite() => scaled.to_bits(),
            kind => integer(kind, scaled).ok_or(scaled)?,
        };
        if self.sentinel(pattern) || (self.kind.is_float() && scaled.abs() > FLOAT_LIMIT) {
            return Err(scaled);
        }
        let word = |index: u16| {
            let [.., high, low] = (pattern >> (16 * u32::from(index))).to_be_bytes();
            let word = u16::from_be_bytes([high, low]);
            if self.swap { word.swap_bytes() } else { word }
        };
        Ok(match self.words {
            WordOrder::Big => (0..self.len).rev().map(word).collect(),
            WordOrder::Little => (0..self.len).map(word).collect(),
        })
    }
}

/// The pattern of an integer type; `None` when the number does not fit.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked; the mask is meant")]
fn integer(kind: Type, scaled: f64) -> Option<u64> {
    let (least, most) = kind.limits()?;
    let rounded = scaled.round();
    // Beyond 2^53 a float cannot be compared with u64::MAX exactly; no setpoint is that large.
    if rounded.is_nan() || rounded.abs() > 9_007_199_254_740_992.0 {
        return None;
    }
    let number = rounded as i128;
    (least..=most).contains(&number).then(|| {
        let bits = u32::from(kind.len().unwrap_or(1)) * 16;
        let pattern = (number & ((1_i128 << bits) - 1)) as u64;
        if kind == Type::U8High { pattern << 8 } else { pattern }
    })
}

fn low_bytes<const N: usize>(pattern: u64) -> [u8; N] {
    let all = pattern.to_be_bytes();
    let mut low = [0; N];
    for (to, from) in low.iter_mut().rev().zip(all.iter().rev()) {
        *to = *from;
    }
    low
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
