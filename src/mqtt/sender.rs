//! What is on its way to the broker: the window over the store. Pure.
//!
//! Publishes are given to the connection in order, and it numbers them in that order: a written publish's packet id
//! belongs to the oldest that has none yet. Nothing here outlives its session; the store does.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::clock::IoTime;

/// A publish on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flying {
    /// Where to.
    pub(super) topic: Arc<str>,
    /// What it was.
    pub(super) kind: Kind,
    /// At QoS 0: done once written.
    pub(super) at_most_once: bool,
}

/// What a publish on its way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A record of the store.
    Record(u64),
    /// Live state.
    Live,
    /// `online` or `offline`.
    Status,
}

/// Everything on its way in one session.
#[derive(Debug)]
pub(super) struct Window {
    unwritten: VecDeque<Flying>,
    written: HashMap<u16, Flying>,
    records: usize,
    live: usize,
    /// Last record of the store that was given to this session.
    pub(super) cursor: Option<u64>,
    /// When something last moved: a publish given to an idle connection, one written at QoS 0, or one acknowledged.
    moved: IoTime,
}

/// Most records on their way.
pub(super) const RECORDS: usize = 64;
/// Most live messages on their way, so that a long backlog does not hold the present up.
pub(super) const LIVE: usize = 16;

impl Window {
    pub(super) fn new(now: IoTime) -> Self {
        Self { unwritten: VecDeque::new(), written: HashMap::new(), records: 0, live: 0, cursor: None, moved: now }
    }

    /// How many records may be added.
    pub(super) fn room_for_records(&self) -> usize {
        RECORDS.saturating_sub(self.records)
    }

    /// Whether a live message may be added.
    pub(super) fn room_for_live(&self) -> bool {
        self.live < LIVE
    }

    /// All that is on its way.
    pub(super) fn len(&self) -> usize {
        self.unwritten.len() + self.written.len()
    }

    /// Given to the connection.
    pub(super) fn add(&mut self, flying: Flying, now: IoTime) {
        if self.len() == 0 {
            self.moved = now;
        }
        match flying.kind {
            Kind::Record(sequence) => {
                self.records += 1;
                self.cursor = Some(sequence);
            }
            Kind::Live => self.live += 1,
            Kind::Status => {}
        }
        self.unwritten.push_back(flying);
    }

    /// The connection wrote a publish under this packet id (0 at QoS 0). Returns it if that is all there is to it.
    pub(super) fn written(&mut self, id: u16, now: IoTime) -> Option<Flying> {
        let flying = self.unwritten.pop_front()?;
        if flying.at_most_once {
            return Some(self.done(flying, now));
        }
        self.written.insert(id, flying);
        None
    }

    /// The broker acknowledged this packet id.
    pub(super) fn acknowledged(&mut self, id: u16, now: IoTime) -> Option<Flying> {
        let flying = self.written.remove(&id)?;
        Some(self.done(flying, now))
    }

    /// Something is on its way and nothing has moved since this time.
    pub(super) fn stuck_since(&self) -> Option<IoTime> {
        (self.len() > 0).then_some(self.moved)
    }

    fn done(&mut self, flying: Flying, now: IoTime) -> Flying {
        self.moved = now;
        match flying.kind {
            Kind::Record(_) => self.records -= 1,
            Kind::Live => self.live -= 1,
            Kind::Status => {}
        }
        flying
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn record(sequence: u64, at_most_once: bool) -> Flying {
        Flying { topic: "t".into(), kind: Kind::Record(sequence), at_most_once }
    }

    fn at(seconds: u64) -> IoTime {
        IoTime::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn acknowledgements_out_of_order_find_their_records() {
        let mut window = Window::new(at(0));
        (1..=3).for_each(|n| window.add(record(n, false), at(0)));
        assert_eq!(window.written(7, at(0)), None);
        assert_eq!(window.written(9, at(0)), None);
        let kinds = [9, 7, 7].map(|id| window.acknowledged(id, at(1)).map(|flying| flying.kind));
        assert_eq!(kinds, [Some(Kind::Record(2)), Some(Kind::Record(1)), None]);
        assert_eq!((window.len(), window.cursor), (1, Some(3)));
        assert_eq!(window.room_for_records(), RECORDS - 1);
    }

    #[test]
    fn at_qos_0_a_record_is_done_when_written() {
        let mut window = Window::new(at(0));
        window.add(record(1, true), at(0));
        window.add(Flying { topic: "l".into(), kind: Kind::Live, at_most_once: false }, at(0));
        assert_eq!(window.written(0, at(1)).map(|flying| flying.kind), Some(Kind::Record(1)));
        assert_eq!(window.written(1, at(1)), None);
        assert_eq!(window.acknowledged(1, at(2)).map(|flying| flying.kind), Some(Kind::Live));
        assert_eq!(window.len(), 0);
    }

    #[test]
    fn silence_counts_from_the_last_movement() {
        let mut window = Window::new(at(0));
        assert_eq!(window.stuck_since(), None);
        window.add(record(1, false), at(10));
        window.add(record(2, false), at(12));
        assert_eq!(window.stuck_since(), Some(at(10)));
        window.written(1, at(13));
        window.acknowledged(1, at(15));
        assert_eq!(window.stuck_since(), Some(at(15)));
    }
}
