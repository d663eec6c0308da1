//! How the broker's side is doing: written by the MQTT task, read by metrics and status.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Counters since start. Shared; never blocks.
#[derive(Debug, Default)]
pub struct MqttStats {
    connected: AtomicBool,
    connects: AtomicU64,
    published: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    in_flight: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl MqttStats {
    /// Whether the broker has accepted us and the session stands.
    pub fn connected(&self) -> bool {
        self.connected.load(Relaxed)
    }

    /// Sessions that the broker accepted.
    pub fn connects(&self) -> u64 {
        self.connects.load(Relaxed)
    }

    /// Messages given to the connection, repeats included.
    pub fn published(&self) -> u64 {
        self.published.load(Relaxed)
    }

    /// Records that the broker has acknowledged (QoS 0: that were written to the socket).
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Relaxed)
    }

    /// Messages that the broker refused for good, or that are larger than it takes.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Messages on their way, not acknowledged yet.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// Why the last session ended or could not begin; `None` while connected.
    pub fn last_error(&self) -> Option<String> {
        self.error().clone()
    }

    pub(super) fn begun(&self) {
        self.connected.store(true, Relaxed);
        self.connects.fetch_add(1, Relaxed);
        *self.error() = None;
    }

    pub(super) fn ended(&self, why: Option<String>) {
        self.connected.store(false, Relaxed);
        self.in_flight.store(0, Relaxed);
        *self.error() = why;
    }

    pub(super) fn publish(&self, in_flight: usize) {
        self.published.fetch_add(1, Relaxed);
        self.flying(in_flight);
    }

    pub(super) fn flying(&self, in_flight: usize) {
        self.in_flight.store(in_flight as u64, Relaxed);
    }

    pub(super) fn acknowledge(&self) {
        self.acknowledged.fetch_add(1, Relaxed);
    }

    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    fn error(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
