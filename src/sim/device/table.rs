//! Any device as a table of registers, with behaviours beside it: the watchdog of a charger, a command that is no value.
//!
//! What a maker documents is written down as rows and a few lines of behaviour, where a device needs no plant behind it.

use std::time::Duration;

use crate::sim::bank::{Exception, RegisterBank, Registers, Table};
use crate::sim::busbar::{Balance, Feed, Part, Step};

/// What a device does besides remembering.
pub trait Behaviour: Send {
    /// A request came, whatever it asks for.
    fn asked(&mut self, _registers: &mut Registers) {}

    /// A write came. `None` leaves it to the table; it may have looked, and changed registers of its own.
    fn write(
        &mut self,
        _registers: &mut Registers,
        _table: Table,
        _start: u16,
        _words: &[u16],
    ) -> Option<Result<(), Exception>> {
        None
    }

    /// Time passes.
    fn pass(&mut self, _registers: &mut Registers, _time: Duration) {}
}

/// The device.
#[derive(Default)]
pub struct TableDevice {
    registers: Registers,
    /// What a write may change: table, first, count.
    takes: Vec<(Table, u16, u16)>,
    /// Rows, for devices where each value is read alone.
    rows: Vec<(Table, u16, usize)>,
    alone: bool,
    most: Option<u16>,
    behaviours: Vec<Box<dyn Behaviour>>,
}

impl TableDevice {
    /// Holds these words, to be read. A second row at an address replaces the first.
    #[must_use]
    pub fn holds(mut self, table: Table, start: u16, words: &[u16]) -> Self {
        self.registers.put(table, start, words);
        self.rows.push((table, start, words.len()));
        self
    }

    /// Takes writes to these registers, which it also holds or keeps to itself.
    #[must_use]
    pub fn takes(mut self, table: Table, start: u16, count: u16) -> Self {
        self.takes.push((table, start, count));
        self
    }

    /// Each row is read alone: no other read is answered.
    #[must_use]
    pub fn one_value_a_read(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Refuses longer reads.
    #[must_use]
    pub fn reads_at_most(mut self, most: u16) -> Self {
        self.most = Some(most);
        self
    }

    /// Does this, too.
    #[must_use]
    pub fn behaves(mut self, behaviour: impl Behaviour + 'static) -> Self {
        self.behaviours.push(Box::new(behaviour));
        self
    }

    /// Time passes.
    pub fn pass(&mut self, time: Duration) {
        for behaviour in &mut self.behaviours {
            behaviour.pass(&mut self.registers, time);
        }
    }

    /// A register past all manners.
    pub fn get(&self, table: Table, at: u16) -> Option<u16> {
        self.registers.get(table, at)
    }

    /// Changes registers past all manners.
    pub fn put(&mut self, table: Table, start: u16, words: &[u16]) {
        self.registers.put(table, start, words);
    }

    fn asked(&mut self) {
        for behaviour in &mut self.behaviours {
            behaviour.asked(&mut self.registers);
        }
    }
}

impl RegisterBank for TableDevice {
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        self.asked();
        if self.most.is_some_and(|most| count > most) {
            return Err(Exception::Value);
        }
        if self.alone && !self.rows.contains(&(table, start, count.into())) {
            return Err(Exception::Address);
        }
        self.registers.read(table, start, count)
    }

    fn write(&mut self, table: Table, start: u16, words: &[u16]) -> Result<(), Exception> {
        self.asked();
        for behaviour in &mut self.behaviours {
            if let Some(done) = behaviour.write(&mut self.registers, table, start, words) {
                return done;
            }
        }
        let inside = |&(t, first, count): &(Table, u16, u16)| {
            t == table && first <= start && usize::from(start - first) + words.len() <= usize::from(count)
        };
        if !self.takes.iter().any(inside) {
            return Err(Exception::Address);
        }
        self.registers.put(table, start, words);
        Ok(())
    }
}

impl Part for TableDevice {
    fn act(&mut self, step: &Step) -> Feed {
        self.pass(step.io);
        Feed::default()
    }

    fn see(&mut self, _: &Balance, _: &Step) {}
}

/// What keeps a watchdog quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// Any request.
    ByRequests,
    /// Any write.
    ByWrites,
    /// A write to this register.
    ByWritesTo(Table, u16),
}

/// A timer that ends what it was told when nobody feeds it.
pub struct Watchdog<T, E> {
    fed: Fed,
    time: T,
    ends: E,
    silent: Duration,
    over: bool,
}

impl<T, E> Watchdog<T, E>
where
    T: Fn(&Registers) -> Option<Duration> + Send,
    E: FnMut(&mut Registers) + Send,
{
    /// After `time` (none: it sleeps) without food, `ends` once.
    pub fn new(fed: Fed, time: T, ends: E) -> Self {
        Self { fed, time, ends, silent: Duration::ZERO, over: false }
    }

    fn eat(&mut self) {
        (self.silent, self.over) = (Duration::ZERO, false);
    }
}

impl<T, E> Behaviour for Watchdog<T, E>
where
    T: Fn(&Registers) -> Option<Duration> + Send,
    E: FnMut(&mut Registers) + Send,
{
    fn asked(&mut self, _: &mut Registers) {
        if self.fed == Fed::ByRequests {
            self.eat();
        }
    }

    fn write(&mut self, _: &mut Registers, table: Table, start: u16, _: &[u16]) -> Option<Result<(), Exception>> {
        if self.fed == Fed::ByWrites || self.fed == Fed::ByWritesTo(table, start) {
            self.eat();
        }
        None
    }

    fn pass(&mut self, registers: &mut Registers, time: Duration) {
        self.silent += time;
        let late = (self.time)(registers).is_some_and(|most| self.silent > most);
        if late && !self.over {
            self.over = true;
            (self.ends)(registers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u16 = 10;

    fn device() -> TableDevice {
        let time = |registers: &Registers| registers.get(Table::Holding, 11).map(|s| Duration::from_secs(s.into()));
        TableDevice::default()
            .holds(Table::Holding, LIMIT, &[16])
            .holds(Table::Holding, 11, &[30])
            .holds(Table::Input, 0, &[0, 230])
            .takes(Table::Holding, LIMIT, 1)
            .reads_at_most(4)
            .behaves(Watchdog::new(Fed::ByWritesTo(Table::Holding, LIMIT), time, |registers| {
                registers.put(Table::Holding, LIMIT, &[6]);
            }))
    }

    #[test]
    fn it_holds_and_takes_what_its_table_says() {
        let mut device = device();
        assert_eq!(device.read(Table::Input, 0, 2), Ok(vec![0, 230]));
        assert_eq!(device.read(Table::Input, 0, 5), Err(Exception::Value));
        assert_eq!(device.read(Table::Input, 1, 2), Err(Exception::Address));
        assert_eq!(device.write(Table::Holding, LIMIT, &[10]), Ok(()));
        assert_eq!(device.write(Table::Holding, LIMIT, &[10, 10]), Err(Exception::Address));
        assert_eq!(device.write(Table::Holding, 11, &[1]), Err(Exception::Address));
        let mut alone = self::device().one_value_a_read();
        assert_eq!(alone.read(Table::Holding, LIMIT, 2), Err(Exception::Address));
        assert_eq!(alone.read(Table::Holding, LIMIT, 1), Ok(vec![16]));
    }

    #[test]
    fn a_watchdog_ends_once_what_it_was_told_and_starts_anew_when_it_is_fed() {
        let mut device = device();
        device.write(Table::Holding, LIMIT, &[12]).unwrap();
        device.pass(Duration::from_secs(29));
        device.read(Table::Holding, LIMIT, 1).unwrap();
        assert_eq!(device.get(Table::Holding, LIMIT), Some(12));
        device.pass(Duration::from_secs(2));
        assert_eq!(device.get(Table::Holding, LIMIT), Some(6), "reads do not feed this one");
        device.write(Table::Holding, LIMIT, &[8]).unwrap();
        device.pass(Duration::from_secs(20));
        assert_eq!(device.get(Table::Holding, LIMIT), Some(8));
    }
}
