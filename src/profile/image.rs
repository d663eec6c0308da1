//! Registers as they were read.

use super::Table;

/// A run of registers (or bits) in one table. Addresses are those of the wire (0-based).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Which table.
    pub table: Table,
    /// First address.
    pub start: u16,
    /// How many, at least 1; `start + len` is at most 65536.
    pub len: u16,
}

impl Span {
    /// One past the last address.
    pub const fn end(self) -> u32 {
        self.start as u32 + self.len as u32
    }

    /// Whether all of `other` lies inside.
    pub fn contains(self, other: Self) -> bool {
        self.table == other.table && self.start <= other.start && other.end() <= self.end()
    }

    /// Whether any address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.table == other.table && u32::from(self.start) < other.end() && u32::from(other.start) < self.end()
    }
}

/// What one round of reads brought: blocks of words. Bits (coils, discrete inputs) are words of 0 and 1.
#[derive(Clone, Debug, Default)]
pub struct Image {
    blocks: Vec<(Span, Vec<u16>)>,
}

impl Image {
    /// Adds a block that was read. Words beyond the span are ignored, missing ones make it shorter.
    pub fn insert(&mut self, span: Span, words: Vec<u16>) {
        self.blocks.push((span, words));
    }

    /// The words of a span, if one block has them all.
    pub fn get(&self, span: Span) -> Option<&[u16]> {
        self.blocks.iter().find(|(block, _)| block.contains(span)).and_then(|(block, words)| {
            let from = usize::from(span.start - block.start);
            words.get(from..from + usize::from(span.len))
        })
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Forgets all blocks and keeps the memory.
    pub fn clear(&mut self) {
        self.blocks.clear();
    }
}
