//! A board of eight relays on coils (Waveshare protocol V3): coils 0..7; 0x00ff all; 0x0200 + n closes for value x 100 ms;
//! 0x0400 + n opens for so long. Holding 0x4000 is its address, 0x8000 its version.

use std::time::Duration;

use crate::sim::bank::{Exception, RegisterBank, Table};
use crate::sim::busbar::{Balance, Feed, Part, Step};

/// The board.
#[derive(Clone, Debug, Default)]
pub struct RelayBoard {
    closed: [bool; 8],
    /// Time left until it switches back.
    flash: [Option<Duration>; 8],
}

impl RelayBoard {
    /// All contacts, closed or not.
    pub const fn contacts(&self) -> [bool; 8] {
        self.closed
    }

    fn switch(&mut self, nth: usize, closed: bool, back: Option<Duration>) -> Result<(), Exception> {
        *self.closed.get_mut(nth).ok_or(Exception::Address)? = closed;
        *self.flash.get_mut(nth).ok_or(Exception::Address)? = back;
        Ok(())
    }
}

impl RegisterBank for RelayBoard {
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        match (table, start, count) {
            (Table::Coil, ..) => {
                let bits = self.closed.iter().map(|closed| u16::from(*closed));
                let bits: Vec<u16> = bits.skip(start.into()).take(count.into()).collect();
                if bits.len() == usize::from(count) { Ok(bits) } else { Err(Exception::Address) }
            }
            (Table::Holding, 0x4000, 1) => Ok(vec![1]),
            (Table::Holding, 0x8000, 1) => Ok(vec![200]),
            (Table::Holding, ..) => Err(Exception::Address),
            (Table::Discrete | Table::Input, ..) => Err(Exception::Function),
        }
    }

    fn write(&mut self, table: Table, start: u16, words: &[u16]) -> Result<(), Exception> {
        if table != Table::Coil {
            return Err(Exception::Address);
        }
        let nth = usize::from(start & 0xff);
        match (start, words) {
            (0x00ff, [value @ 0..=1]) => (0..8).try_for_each(|nth| self.switch(nth, *value == 1, None)),
            (0x0000..=0x0007, [0x5500]) => self.switch(nth, !self.closed.get(nth).copied().unwrap_or(false), None),
            (0x0000..=0x0007, _) => {
                if nth + words.len() > 8 {
                    return Err(Exception::Address);
                }
                if words.iter().any(|word| *word > 1) {
                    return Err(Exception::Value);
                }
                (nth..).zip(words).try_for_each(|(nth, word)| self.switch(nth, *word == 1, None))
            }
            (0x0200..=0x0207 | 0x0400..=0x0407, [tenths @ 1..=u16::MAX]) => {
                let back = Duration::from_millis(100 * u64::from(*tenths));
                self.switch(nth, start < 0x0400, Some(back))
            }
            _ => Err(Exception::Address),
        }
    }
}

impl Part for RelayBoard {
    fn act(&mut self, step: &Step) -> Feed {
        for (closed, flash) in self.closed.iter_mut().zip(&mut self.flash) {
            *flash = flash.map(|left| left.saturating_sub(step.io));
            if *flash == Some(Duration::ZERO) {
                *closed = !*closed;
                *flash = None;
            }
        }
        Feed::default()
    }

    fn see(&mut self, _: &Balance, _: &Step) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SiteTime;
    use crate::units::Watts;

    #[test]
    fn contacts_switch_alone_together_and_for_a_while() {
        let mut board = RelayBoard::default();
        board.write(Table::Coil, 2, &[1]).unwrap();
        board.write(Table::Coil, 5, &[1, 0, 1]).unwrap();
        assert_eq!(board.read(Table::Coil, 0, 8).unwrap(), [0, 0, 1, 0, 0, 1, 0, 1]);
        board.write(Table::Coil, 0xff, &[0]).unwrap();
        assert_eq!(board.contacts(), [false; 8]);
        board.write(Table::Coil, 0x0203, &[7]).unwrap();
        let io = Duration::from_millis(350);
        let step = Step { io, site: io, at: SiteTime::default(), load: Watts::ZERO, sun: 0.0 };
        board.act(&step);
        assert!(board.contacts()[3]);
        board.act(&step);
        assert!(!board.contacts()[3], "it opened by itself after 700 ms");
        assert_eq!(board.write(Table::Coil, 7, &[1, 1]), Err(Exception::Address));
        assert_eq!(board.write(Table::Coil, 1, &[9]), Err(Exception::Value));
        assert_eq!(board.read(Table::Coil, 4, 8), Err(Exception::Address));
    }
}
