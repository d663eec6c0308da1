//! A chain of models: header, points, end marker. A point is named by its model and its offset from the model's ID
//! register, as the model tables count.

use crate::sim::bank::{Exception, Table};

/// Where the chain begins.
pub const BASE: u16 = 40_000;

/// The registers of a device.
#[derive(Clone, Debug)]
pub struct Chain {
    words: Vec<u16>,
    /// Model id and index of its ID register.
    models: Vec<(u16, usize)>,
}

/// Layouts of the models' points after the header, a letter a register: its value while the point is not implemented.
/// `u` unsigned, enum or bitfield: 0xffff. `i` signed or scale factor: 0x8000. `z` text, accumulator or pad: 0.
pub const COMMON: &str = "zzzzzzzzzzzzzzzz zzzzzzzzzzzzzzzz zzzzzzzz zzzzzzzz zzzzzzzzzzzzzzzz u i";
/// 101, 102, 103.
pub const INVERTER: &str = "uuuui uuuuuui ii ui ii ii ii zzi ui ui ii iiiii uu uuuuuuuuuuuu";
/// 120.
pub const NAMEPLATE: &str = "u ui ui iiiii ui iiiii ui ui ui ui i";
/// 121.
pub const SETTINGS: &str = "u u i u u u iiii u iiii u u u u u iiiiiiiiii";
/// 123.
pub const CONTROLS: &str = "uuu uuuuu iuuuu iiiuuuuu iii";
/// 124.
pub const STORAGE: &str = "uuu u u u u u u u ii uuu u iiiiiiii";
/// 160 before its modules.
pub const MPPT: &str = "iiii uu u u";
/// One module of 160.
pub const MODULE: &str = "u zzzzzzzz u u u zz uu i u uu";
/// 201 to 204.
pub const METER: &str = "iiiii iiiiiiiii ii iiiii iiiii iiiii iiiii zzzzzzzz zzzzzzzz i zzzzzzzz zzzzzzzz i \
                         zzzzzzzz zzzzzzzz zzzzzzzz zzzzzzzz i uu";

impl Chain {
    /// Begins a chain with model 1.
    pub fn new(maker: &str, model: &str, serial: &str) -> Self {
        let mut chain = Self { words: vec![0x5375, 0x6e53], models: Vec::new() };
        chain.add(1, COMMON);
        chain.text(1, 2, maker, 16);
        chain.text(1, 18, model, 16);
        chain.text(1, 42, "1.0", 8);
        chain.text(1, 50, serial, 16);
        chain.put(1, 66, 1);
        chain
    }

    /// Adds a model with no point implemented yet.
    pub fn add(&mut self, id: u16, layout: &str) {
        let points: Vec<u16> = layout
            .chars()
            .filter(|letter| *letter != ' ')
            .map(|letter| match letter {
                'u' => 0xffff,
                'i' => 0x8000,
                _ => 0,
            })
            .collect();
        self.models.push((id, self.words.len()));
        self.words.extend([id, points.len() as u16]);
        self.words.extend(points);
    }

    /// Sets a register of a point.
    pub fn put(&mut self, model: u16, offset: usize, word: u16) {
        if let Some(place) = self.index(model, offset).and_then(|index| self.words.get_mut(index)) {
            *place = word;
        }
    }

    /// Sets registers from a point on.
    pub fn put_all(&mut self, model: u16, offset: usize, words: &[u16]) {
        for (offset, word) in (offset..).zip(words) {
            self.put(model, offset, *word);
        }
    }

    /// Sets a text, padded with NUL.
    pub fn text(&mut self, model: u16, offset: usize, text: &str, registers: usize) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(2 * registers, 0);
        let words: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
        self.put_all(model, offset, &words);
    }

    /// A register of a point; 0 where the model is not there.
    pub fn get(&self, model: u16, offset: usize) -> u16 {
        self.index(model, offset).and_then(|index| self.words.get(index)).copied().unwrap_or(0)
    }

    /// Registers at wire addresses. The end marker stands behind the last model; beyond it is nothing.
    ///
    /// # Errors
    /// Exception 2 outside the chain, 1 for other tables.
    pub fn read(&self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        if table != Table::Holding {
            return Err(Exception::Function);
        }
        let from = usize::from(start.checked_sub(BASE).ok_or(Exception::Address)?);
        let all = self.words.iter().copied().chain([0xffff, 0]);
        let words: Vec<u16> = all.skip(from).take(count.into()).collect();
        if words.len() == usize::from(count) { Ok(words) } else { Err(Exception::Address) }
    }

    /// Model and offset of a wire address.
    pub fn locate(&self, address: u16) -> Option<(u16, usize)> {
        let index = usize::from(address.checked_sub(BASE)?);
        let (id, at) = self.models.iter().rev().find(|(_, at)| *at <= index)?;
        (index < self.words.len()).then_some((*id, index - at))
    }

    fn index(&self, model: u16, offset: usize) -> Option<usize> {
        self.models.iter().find(|(id, _)| *id == model).map(|(_, at)| at + offset)
    }
}

/// The scale factor with which a rating fits a register of `most`.
pub fn scale_for(rating: f64, most: f64) -> i16 {
    (0..=4).find(|sf| rating / 10_f64.powi(i32::from(*sf)) <= most).unwrap_or(4)
}

/// A value as a register of this scale has it.
pub fn scaled(value: f64, sf: i16) -> f64 {
    value / 10_f64.powi(i32::from(sf))
}
