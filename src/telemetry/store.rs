//! The store: the only queue between us and the broker. In memory for now; the disk journal will be another [`Store`].

use std::collections::VecDeque;

use super::Record;

/// Where records wait for the broker.
pub trait Store: Send {
    /// Appends a record; drops the oldest, counted, where it would not fit.
    fn append(&mut self, record: Record);

    /// The oldest `most` records after sequence number `after` (`None` = from the oldest), oldest first.
    fn after(&self, after: Option<u64>, most: usize) -> Vec<Record>;

    /// The broker has this record: it leaves the store.
    fn acknowledged(&mut self, sequence: u64);

    /// How full it is.
    fn stats(&self) -> StoreStats;
}

/// How full a store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Records waiting.
    pub records: usize,
    /// Bytes waiting (topics and payloads).
    pub bytes: usize,
    /// Records dropped since start because the store was full.
    pub dropped: u64,
    /// Sequence number of the last record appended.
    pub last: u64,
}

/// Bounded, in memory.
#[derive(Debug)]
pub struct MemoryStore {
    records: VecDeque<Record>,
    limit: usize,
    stats: StoreStats,
}

impl MemoryStore {
    /// Holds at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { records: VecDeque::new(), limit, stats: StoreStats::default() }
    }
}

fn size(record: &Record) -> usize {
    record.topic.len() + record.payload.len()
}

impl Store for MemoryStore {
    fn append(&mut self, record: Record) {
        self.stats.last = record.sequence;
        self.stats.bytes += size(&record);
        self.records.push_back(record);
        while self.stats.bytes > self.limit {
            let Some(oldest) = self.records.pop_front() else { break };
            self.stats.bytes -= size(&oldest);
            self.stats.dropped += 1;
        }
        self.stats.records = self.records.len();
    }

    fn after(&self, after: Option<u64>, most: usize) -> Vec<Record> {
        let from = after.map_or(0, |after| self.records.partition_point(|record| record.sequence <= after));
        self.records.range(from..).take(most).cloned().collect()
    }

    fn acknowledged(&mut self, sequence: u64) {
        // Acknowledgements come nearly in order: the record is at or near the front.
        let at = self.records.partition_point(|record| record.sequence < sequence);
        if self.records.get(at).is_some_and(|record| record.sequence == sequence)
            && let Some(record) = self.records.remove(at)
        {
            self.stats.bytes -= size(&record);
            self.stats.records = self.records.len();
        }
    }

    fn stats(&self) -> StoreStats {
        self.stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence: u64) -> Record {
        Record { sequence, topic: "t".into(), payload: bytes::Bytes::from_static(b"123456789") }
    }

    #[test]
    fn a_record_leaves_on_its_acknowledgement_alone_in_any_order() {
        let mut store = MemoryStore::new(1000);
        (1..=4).for_each(|n| store.append(record(n)));
        assert_eq!(store.after(None, 2).len(), 2);
        store.acknowledged(2);
        store.acknowledged(2);
        store.acknowledged(9);
        let left: Vec<u64> = store.after(None, 9).iter().map(|r| r.sequence).collect();
        assert_eq!(left, [1, 3, 4]);
        assert_eq!(store.after(Some(3), 9).len(), 1);
        assert_eq!(store.stats(), StoreStats { records: 3, bytes: 30, dropped: 0, last: 4 });
    }

    #[test]
    fn a_full_store_drops_the_oldest_and_counts() {
        let mut store = MemoryStore::new(30);
        (1..=5).for_each(|n| store.append(record(n)));
        assert_eq!(store.after(None, 9).first().map(|r| r.sequence), Some(3));
        assert_eq!(store.stats(), StoreStats { records: 3, bytes: 30, dropped: 2, last: 5 });
    }
}
