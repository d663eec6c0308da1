//! One master a bus: many devices serve one client, and a serial line has one master. Whoever opens a bus holds its lock.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use crate::bus::Address;

/// The lock of one bus; given back when dropped.
#[derive(Debug)]
pub struct BusLock {
    _file: File,
}

/// Why a bus was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another wattkeeper has it.
    #[error("another wattkeeper has {0}")]
    Held(Address),
    /// The lock file could not be made.
    #[error("cannot make a lock file in {folder}: {error}")]
    Io {
        /// Where.
        folder: String,
        /// What the system said.
        error: io::Error,
    },
}

impl BusLock {
    /// Takes the lock of a bus; lock files lie in `folder`.
    ///
    /// # Errors
    /// When another process has it, or the file cannot be made.
    pub fn take(folder: &Path, address: &Address) -> Result<Self, LockError> {
        let failed = |error| LockError::Io { folder: folder.display().to_string(), error };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = address.to_string().chars().map(plain).collect();
        let file = File::create(folder.join(format!("{name}.lock"))).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(address.clone())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_has_one_master() {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::Tcp { host: "a".into(), port: 502 };
        let lock = BusLock::take(folder.path(), &address).unwrap();
        assert!(matches!(BusLock::take(folder.path(), &address), Err(LockError::Held(_))));
        drop(lock);
        assert!(BusLock::take(folder.path(), &address).is_ok());
    }
}
