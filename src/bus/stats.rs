//! Counters of a device's exchanges: written by the bus, read by /metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper edges of the latency histogram's buckets in seconds; the last, open one is not listed.
pub const LATENCY_BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// What went wrong with an exchange, by what the bus does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ErrorKind {
    /// No connection: back off and try again.
    #[error("cannot connect")]
    Connect,
    /// No answer in time: the connection is dropped (TCP) or stays silent and repeats (RTU).
    #[error("no answer")]
    Timeout,
    /// The connection broke: connect again.
    #[error("connection lost")]
    Transport,
    /// An answer that is none: wrong length, echo, unit or function. Treated like a time-out.
    #[error("garbled answer")]
    Protocol,
    /// The device refused (Modbus exception code). The connection is sound.
    #[error("exception {0}")]
    Exception(u8),
    /// The device is not what its profile says.
    #[error("not the device that its profile describes")]
    Identity,
}

impl ErrorKind {
    /// All label values, for counters that start at 0.
    pub const LABELS: [&'static str; 6] = ["connect", "timeout", "transport", "protocol", "exception", "identity"];

    /// Its place in [`Self::LABELS`].
    pub const fn index(self) -> usize {
        match self {
            Self::Connect => 0,
            Self::Timeout => 1,
            Self::Transport => 2,
            Self::Protocol => 3,
            Self::Exception(_) => 4,
            Self::Identity => 5,
        }
    }
}

/// Counters of one device.
#[derive(Debug, Default)]
pub struct DeviceStats {
    /// Requests sent.
    requests: AtomicU64,
    /// Failures by kind.
    errors: [AtomicU64; ErrorKind::LABELS.len()],
    /// Answers by latency; the last bucket is open.
    latency: [AtomicU64; LATENCY_BUCKETS.len() + 1],
    /// Sum of latencies in µs.
    latency_sum: AtomicU64,
    /// Registers written.
    writes: AtomicU64,
}

impl DeviceStats {
    /// Counts a request.
    pub fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Counts an answer and its latency.
    pub fn answer(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = LATENCY_BUCKETS.iter().position(|edge| seconds <= *edge).unwrap_or(LATENCY_BUCKETS.len());
        if let Some(count) = self.latency.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.latency_sum.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Counts a failure.
    pub fn error(&self, kind: ErrorKind) {
        if let Some(count) = self.errors.get(kind.index()) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Counts registers written.
    pub fn wrote(&self, registers: u64) {
        self.writes.fetch_add(registers, Relaxed);
    }

    /// Requests sent so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Failures so far, in the order of [`ErrorKind::LABELS`].
    pub fn errors(&self) -> [u64; ErrorKind::LABELS.len()] {
        std::array::from_fn(|i| self.errors.get(i).map_or(0, |count| count.load(Relaxed)))
    }

    /// Answers by latency bucket (not cumulative).
    pub fn latency(&self) -> [u64; LATENCY_BUCKETS.len() + 1] {
        std::array::from_fn(|i| self.latency.get(i).map_or(0, |count| count.load(Relaxed)))
    }

    /// Sum of all latencies.
    pub fn latency_sum(&self) -> Duration {
        Duration::from_micros(self.latency_sum.load(Relaxed))
    }

    /// Registers written so far.
    pub fn writes(&self) -> u64 {
        self.writes.load(Relaxed)
    }
}
