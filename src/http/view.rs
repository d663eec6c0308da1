//! All that can be shown, at one moment.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::{ControlTally, HttpPorts, Sources};
use crate::clock::{Clock, Moment};
use crate::control::Decision;
use crate::state::Snapshot;

/// All that can be shown, at one moment.
pub(super) struct View {
    pub(super) now: Moment,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) decision: Arc<Decision>,
    pub(super) sources: Arc<Sources>,
    pub(super) tally: ControlTally,
}

impl View {
    /// Whether the hub has published yet.
    pub(super) fn has_snapshot(&self) -> bool {
        self.snapshot.at != Moment::default()
    }

    /// Whether control has decided yet.
    pub(super) fn has_decision(&self) -> bool {
        self.decision.serial > 0
    }
}

/// Where views come from. Cheap to clone.
#[derive(Clone)]
pub(super) struct Viewer {
    snapshot: watch::Receiver<Arc<Snapshot>>,
    decision: watch::Receiver<Arc<Decision>>,
    sources: watch::Receiver<Arc<Sources>>,
    clock: Clock,
    tally: Arc<Mutex<ControlTally>>,
}

impl Viewer {
    pub(super) fn new(ports: &HttpPorts) -> Self {
        Self {
            snapshot: ports.snapshot.clone(),
            decision: ports.decision.clone(),
            sources: ports.sources.clone(),
            clock: ports.clock.clone(),
            tally: Arc::new(Mutex::new(ControlTally::new(ports.clock.speed()))),
        }
    }

    /// Counts a decision.
    pub(super) fn observe(&self, decision: &Decision) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).observe(decision);
    }

    /// How things stand.
    pub(super) fn view(&self) -> View {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
        View {
            snapshot: Arc::clone(&self.snapshot.borrow()),
            decision: Arc::clone(&self.decision.borrow()),
            sources: Arc::clone(&self.sources.borrow()),
            tally,
            // Last, so that nothing shown is younger than now.
            now: self.clock.now(),
        }
    }
}
