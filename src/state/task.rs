//! The hub's task: waits on the buses, awaits nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Hub, Note, Publish, SavedDemand, SiteSpec, Snapshot};
use crate::bus::BusEvent;
use crate::clock::{Clock, IoTime, Pulse};

/// Without a reading of the grid meter, at most 10 snapshots a second.
const SOON: Duration = Duration::from_millis(100);
/// Without any event the loop turns this often, for the watchdog and so that ages show.
const IDLE: Duration = Duration::from_secs(1);

/// What the hub is given to work with.
#[derive(Debug)]
pub struct HubPorts {
    /// From all buses.
    pub events: mpsc::Receiver<BusEvent>,
    /// The site; another one on reload.
    pub spec: watch::Receiver<Arc<SiteSpec>>,
    /// Demand windows as they were saved.
    pub saved: SavedDemand,
    /// To everybody.
    pub snapshot: watch::Sender<Arc<Snapshot>>,
    /// To telemetry; never awaited.
    pub notes: mpsc::Sender<Note>,
    /// Notes that telemetry had no room for.
    pub dropped: Arc<AtomicU64>,
    /// The clock.
    pub clock: Clock,
    /// Marked at each turn.
    pub pulse: Pulse,
    /// Ends the task.
    pub stop: CancellationToken,
}

/// Runs the hub until it is stopped or all buses and their makers are gone.
pub async fn run(mut ports: HubPorts) {
    let mut hub = Hub::new(ports.spec.borrow_and_update().clone());
    hub.restore(&ports.saved);
    let mut published = IoTime::START;
    let mut waiting = true;
    let mut alarm = ports.clock.alarm();
    loop {
        let now = ports.clock.io();
        ports.pulse.mark(now);
        let until = published + if waiting { SOON } else { IDLE };
        let publish = tokio::select! {
            biased;
            () = ports.stop.cancelled() => break,
            event = ports.events.recv() => {
                let Some(event) = event else { break };
                let mut publish = hub.apply(event);
                // What has come meanwhile belongs into the same snapshot.
                while publish == Publish::Soon && let Ok(event) = ports.events.try_recv() {
                    publish = hub.apply(event);
                }
                waiting = true;
                publish == Publish::Now || ports.clock.io() >= until
            }
            changed = ports.spec.changed() => {
                if changed.is_err() {
                    break;
                }
                hub.reload(ports.spec.borrow_and_update().clone());
                true
            }
            () = alarm.at(until) => true,
        };
        // Whoever decides is woken before whoever reports.
        if publish {
            let now = ports.clock.now();
            ports.snapshot.send_replace(Arc::new(hub.snapshot(now)));
            published = now.io;
            waiting = false;
        }
        for note in hub.notes() {
            if ports.notes.try_send(note).is_err() {
                ports.dropped.fetch_add(1, Relaxed);
            }
        }
    }
}
