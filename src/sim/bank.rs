//! What a Modbus server serves: tables of words. Knows nothing of the daemon's codec.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Modbus tables ("Modbus Application Protocol V1.1b3", section 4.3). Bits are words of 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Bits, fn 1, 5, 15.
    Coil,
    /// Bits, fn 2.
    Discrete,
    /// Words, fn 3, 6, 16.
    Holding,
    /// Words, fn 4.
    Input,
}

/// Modbus exceptions (section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exception {
    /// Not a function of this device.
    Function = 1,
    /// No such register, or not writable.
    Address = 2,
    /// Quantity or value refused.
    Value = 3,
    /// The device failed.
    Failure = 4,
    /// Busy; later.
    Busy = 6,
    /// A gateway: that unit does not answer.
    NoUnit = 11,
}

/// A device's registers.
pub trait RegisterBank: Send {
    /// Reads `count` words from `start`; the server has checked count and range.
    ///
    /// # Errors
    /// The exception that the device answers.
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception>;

    /// Writes words. A single coil arrives as 1 or 0, or as the raw word where a device takes others (fn 5).
    ///
    /// # Errors
    /// The exception that the device answers; then nothing was written.
    fn write(&mut self, table: Table, start: u16, words: &[u16]) -> Result<(), Exception>;
}

/// A bank that a server and whoever drives the device share.
pub type SharedBank = Arc<Mutex<dyn RegisterBank>>;

/// Locks; a panic elsewhere does not stop the simulation.
pub(super) fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Plain memory: what was put in can be read and written, all else is exception 2.
#[derive(Clone, Debug, Default)]
pub struct Registers(BTreeMap<(Table, u16), u16>);

impl Registers {
    /// Puts words into a table.
    #[must_use]
    pub fn with(mut self, table: Table, start: u16, words: &[u16]) -> Self {
        self.put(table, start, words);
        self
    }

    /// One word, where there is one.
    pub fn get(&self, table: Table, at: u16) -> Option<u16> {
        self.0.get(&(table, at)).copied()
    }

    /// Puts words into a table.
    pub fn put(&mut self, table: Table, start: u16, words: &[u16]) {
        self.0.extend((start..=u16::MAX).zip(words).map(|(at, word)| ((table, at), *word)));
    }
}

impl RegisterBank for Registers {
    fn read(&mut self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        (start..=u16::MAX)
            .take(count.into())
            .map(|at| self.0.get(&(table, at)).copied().ok_or(Exception::Address))
            .collect()
    }

    fn write(&mut self, table: Table, start: u16, words: &[u16]) -> Result<(), Exception> {
        self.read(table, start, u16::try_from(words.len()).map_err(|_| Exception::Value)?)?;
        self.put(table, start, words);
        Ok(())
    }
}
