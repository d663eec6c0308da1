//! The dispatch task: hands leases to the buses, and at the end sees every device into its safe state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{DispatchPolicy, Ledger};
use crate::bus::{Leases, SetpointState};
use crate::clock::{Clock, Pulse};
use crate::control::Decision;
use crate::reading::DeviceName;
use crate::state::Snapshot;

/// The loop turns at least this often, for the watchdog.
const IDLE: Duration = Duration::from_secs(1);

/// Who is told, and by which channel. Another one on reload.
#[derive(Clone, Debug, Default)]
pub struct Wiring {
    /// To each device's bus.
    pub leases: BTreeMap<DeviceName, watch::Sender<Leases>>,
    /// Lease time and safe states.
    pub policy: DispatchPolicy,
    /// Devices that leave: they go to their safe state and are told nothing any more.
    pub retired: BTreeSet<DeviceName>,
}

/// What dispatch is given to work with.
#[derive(Debug)]
pub struct DispatchPorts {
    /// From control.
    pub decision: watch::Receiver<Arc<Decision>>,
    /// To the buses.
    pub wiring: watch::Receiver<Arc<Wiring>>,
    /// What became of it.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// The clock.
    pub clock: Clock,
    /// Marked at each turn.
    pub pulse: Pulse,
    /// Begins the end.
    pub stop: CancellationToken,
}

/// Runs dispatch until it is stopped or control is gone; then every device that was ever told anything is sent to its
/// exit state, and the names of those that did not confirm it in time are returned.
pub async fn run(mut ports: DispatchPorts) -> Vec<DeviceName> {
    let mut ledger = Ledger::default();
    loop {
        ports.pulse.mark(ports.clock.io());
        tokio::select! {
            biased;
            () = ports.stop.cancelled() => break,
            changed = ports.decision.changed() => if changed.is_err() { break },
            changed = ports.wiring.changed() => if changed.is_err() { break },
            () = tokio::time::sleep(IDLE) => continue,
        }
        let decision = ports.decision.borrow_and_update().clone();
        let wiring = ports.wiring.borrow_and_update().clone();
        ledger.keep(|device| wiring.leases.contains_key(device));
        ledger.decided(&decision, &wiring.policy, &wiring.retired);
        hand_out(&ledger, &wiring);
    }
    let wiring = ports.wiring.borrow().clone();
    ledger.end(&wiring.policy, ports.clock.io());
    hand_out(&ledger, &wiring);
    let confirmed = async {
        while !open(&ledger, &ports.snapshot.borrow_and_update()).is_empty() {
            if ports.snapshot.changed().await.is_err() {
                // The hub is gone and nobody sees what is confirmed. The buses have this time all the same.
                std::future::pending::<()>().await;
            }
        }
    };
    let patience = wiring.policy.patience;
    if tokio::time::timeout(patience, confirmed).await.is_err() {
        tracing::error!(?patience, "not every device confirmed its safe state in time");
    }
    open(&ledger, &ports.snapshot.borrow())
}

fn hand_out(ledger: &Ledger, wiring: &Wiring) {
    for (device, leases) in ledger.devices() {
        if let Some(sender) = wiring.leases.get(device) {
            sender.send_if_modified(|held| {
                let changed = held != leases;
                if changed {
                    held.clone_from(leases);
                }
                changed
            });
        }
    }
}

/// Devices whose safe state is asked for and not confirmed.
fn open(ledger: &Ledger, snapshot: &Snapshot) -> Vec<DeviceName> {
    let devices = ledger.devices().iter().filter(|(device, leases)| !at_rest(snapshot, device, leases));
    devices.map(|(device, _)| device.clone()).collect()
}

/// Whether a device has confirmed the safe state that each of its leases asks for.
pub fn at_rest(snapshot: &Snapshot, device: &DeviceName, leases: &Leases) -> bool {
    let state = snapshot.devices.iter().find(|state| state.name == *device);
    leases.iter().all(|(control, lease)| {
        let report = state.and_then(|state| state.setpoints.iter().find(|report| report.control == *control));
        let confirmed =
            report.is_some_and(|report| report.serial >= lease.serial && report.state == SetpointState::SafeConfirmed);
        lease.value.is_none() && confirmed
    })
}

#[cfg(test)]
mod tests;
