//! The store, shared: one task appends, another sends and acknowledges.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{Record, Store, StoreStats};

/// The store that records wait in, shared between the task that makes them and the one that sends them. It outlives both:
/// sequence numbers go on over a reload.
pub struct Outbox {
    inner: Mutex<Inner>,
    appended: Notify,
}

struct Inner {
    store: Box<dyn Store>,
    next: u64,
    /// Records have been dropped since the store was last empty; said once.
    overflowed: bool,
}

impl Outbox {
    /// Around a store. The first record is number 1, or follows what the store already holds.
    pub fn new(store: impl Store + 'static) -> Arc<Self> {
        let next = store.stats().last + 1;
        Arc::new(Self {
            inner: Mutex::new(Inner { store: Box::new(store), next, overflowed: false }),
            appended: Notify::new(),
        })
    }

    /// Appends a record whose text `payload` makes for its sequence number. Never waits for the broker.
    pub fn append(&self, topic: Arc<str>, payload: impl FnOnce(u64) -> Bytes) {
        let mut inner = self.lock();
        let sequence = inner.next;
        inner.next += 1;
        let dropped = inner.store.stats().dropped;
        inner.store.append(Record { sequence, topic, payload: payload(sequence) });
        let first_loss = inner.store.stats().dropped > dropped && !inner.overflowed;
        inner.overflowed |= first_loss;
        drop(inner);
        if first_loss {
            tracing::error!(
                "the telemetry store is full: the oldest records are lost until the broker takes them again"
            );
        }
        self.appended.notify_one();
    }

    /// The oldest `most` records after a sequence number (`None` = from the oldest).
    pub fn after(&self, after: Option<u64>, most: usize) -> Vec<Record> {
        self.lock().store.after(after, most)
    }

    /// The broker has this record.
    pub fn acknowledged(&self, sequence: u64) {
        let mut inner = self.lock();
        inner.store.acknowledged(sequence);
        if inner.store.stats().records == 0 {
            inner.overflowed = false;
        }
    }

    /// How full the store is.
    pub fn stats(&self) -> StoreStats {
        self.lock().store.stats()
    }

    /// Returns once something was appended since the last call. For one waiting task.
    pub async fn notified(&self) {
        self.appended.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the store as it was before or after one call: usable.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
