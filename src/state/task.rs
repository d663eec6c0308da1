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
                let mut publish = take(&mut hub, event, &mut ports.spec);
                // What has come meanwhile belongs into the same snapshot.
                while publish == Publish::Soon && let Ok(event) = ports.events.try_recv() {
                    publish = take(&mut hub, event, &mut ports.spec);
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

/// Takes an event. A reload starts its buses after it has told us of the devices on them: what was told before the event
/// counts before it, or the first words of a new device would be lost.
fn take(hub: &mut Hub, event: BusEvent, spec: &mut watch::Receiver<Arc<SiteSpec>>) -> Publish {
    if spec.has_changed().unwrap_or(false) {
        hub.reload(spec.borrow_and_update().clone());
    }
    hub.apply(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::DeviceName;
    use crate::state::DeviceSpec;

    #[tokio::test(start_paused = true)]
    async fn the_first_words_of_a_device_that_a_reload_brought_are_heard() {
        let spec = |names: &[&str]| {
            let device = |name: &&str| DeviceSpec {
                name: DeviceName::new(*name),
                roles: Default::default(),
                profile: "p".into(),
                interval: IDLE,
                max_age: [IDLE].into(),
                measured: false,
            };
            Arc::new(SiteSpec {
                devices: names.iter().map(device).collect(),
                windows: Vec::new(),
                time_zone: jiff::tz::TimeZone::UTC,
                longest_gap: IDLE,
                not_before: Default::default(),
            })
        };
        let (events, said) = mpsc::channel(8);
        let (notes, _noted) = mpsc::channel(8);
        let (site, spec_of) = watch::channel(spec(&["old"]));
        let (snapshot, mut seen) = watch::channel(Arc::new(Snapshot::default()));
        let stop = CancellationToken::new();
        let hub = tokio::spawn(run(HubPorts {
            events: said,
            spec: spec_of,
            saved: SavedDemand::default(),
            snapshot,
            notes,
            dropped: Arc::default(),
            clock: Clock::system(),
            pulse: Pulse::default(),
            stop: stop.clone(),
        }));
        tokio::task::yield_now().await;
        // Both before the hub turns again, as on another thread.
        site.send_replace(spec(&["old", "new"]));
        let point = crate::profile::PointSpec {
            name: "meter.power".into(),
            unit: crate::profile::Unit::Watts,
            group: 0,
            counter: None,
            wrap: None,
        };
        events.try_send(BusEvent::Identified { device: DeviceName::new("new"), points: [point].into() }).unwrap();
        let known = seen.wait_for(|site| site.devices.iter().any(|device| !device.points.is_empty()));
        assert!(tokio::time::timeout(Duration::from_secs(10), known).await.is_ok());
        stop.cancel();
        hub.await.unwrap();
    }
}
