//! What must survive us: the settings that a device had before our first write, and the flash writes of the day.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use crate::profile::Captured;
use crate::reading::DeviceName;

/// Kept on disk by the daemon, in memory by tests. Calls are short and rare (a fsync at most), so they may block.
pub trait Notebook: Send + Sync {
    /// The settings kept for a control of a device: there is something to put back.
    fn captured(&self, device: &DeviceName, control: &str) -> Option<Captured>;

    /// Keeps settings, durably, before the first write of a control.
    ///
    /// # Errors
    /// When they could not be made durable; then nothing may be written to the device.
    fn keep(&self, device: &DeviceName, control: &str, settings: &Captured) -> io::Result<()>;

    /// The settings were put back.
    ///
    /// # Errors
    /// When the file could not be removed: they are put back once more at the next start, which does no harm.
    fn put_back(&self, device: &DeviceName, control: &str) -> io::Result<()>;

    /// Register writes counted on `day` (days since 1970, UTC).
    fn writes(&self, device: &DeviceName, control: &str, day: i64) -> u32;

    /// Counts register writes on `day`, durably; earlier days are forgotten.
    ///
    /// # Errors
    /// When the count could not be made durable.
    fn count(&self, device: &DeviceName, control: &str, day: i64, registers: u32) -> io::Result<()>;
}

type Key = (DeviceName, String);

/// A notebook that lasts as long as the process.
#[derive(Debug, Default)]
pub struct MemoryNotebook {
    captured: Mutex<BTreeMap<Key, Captured>>,
    writes: Mutex<BTreeMap<Key, (i64, u32)>>,
}

impl Notebook for MemoryNotebook {
    fn captured(&self, device: &DeviceName, control: &str) -> Option<Captured> {
        let key = (device.clone(), control.to_owned());
        self.captured.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn keep(&self, device: &DeviceName, control: &str, settings: &Captured) -> io::Result<()> {
        let key = (device.clone(), control.to_owned());
        self.captured.lock().unwrap_or_else(PoisonError::into_inner).insert(key, settings.clone());
        Ok(())
    }

    fn put_back(&self, device: &DeviceName, control: &str) -> io::Result<()> {
        let key = (device.clone(), control.to_owned());
        self.captured.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        Ok(())
    }

    fn writes(&self, device: &DeviceName, control: &str, day: i64) -> u32 {
        let key = (device.clone(), control.to_owned());
        match self.writes.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            Some((counted, writes)) if *counted == day => *writes,
            _ => 0,
        }
    }

    fn count(&self, device: &DeviceName, control: &str, day: i64, registers: u32) -> io::Result<()> {
        let before = self.writes(device, control, day);
        let key = (device.clone(), control.to_owned());
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.insert(key, (day, before.saturating_add(registers)));
        Ok(())
    }
}
