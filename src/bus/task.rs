//! The task that owns one bus.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Address, Ask, BusEvent, DeviceStats, Leases, Notebook};
use crate::clock::{Clock, Pulse};
use crate::profile::Instance;
use crate::reading::DeviceName;

/// One bus: where it is and which devices are on it.
#[derive(Debug)]
pub struct BusSpec {
    /// The connection.
    pub address: Address,
    /// The units on it.
    pub devices: Vec<BusDevice>,
}

/// One device on a bus.
#[derive(Debug)]
pub struct BusDevice {
    /// Its name.
    pub name: DeviceName,
    /// Modbus unit id.
    pub unit: u8,
    /// Its profile, bound.
    pub instance: Instance,
    /// What it shall do. A closed channel (dispatch is gone) means: the safe state of every lease, now.
    pub leases: watch::Receiver<Leases>,
    /// Its counters.
    pub stats: Arc<DeviceStats>,
}

/// What a bus is given to work with.
pub struct BusPorts {
    /// The clock.
    pub clock: Clock,
    /// To the hub; awaited.
    pub events: mpsc::Sender<BusEvent>,
    /// Questions from outside the flow.
    pub asks: mpsc::Receiver<Ask>,
    /// What must survive us.
    pub notebook: Arc<dyn Notebook>,
    /// Marked at each turn of the loop, whether devices answer or not.
    pub pulse: Pulse,
    /// Ends the task between two exchanges. Safe states were written before, by lease.
    pub stop: CancellationToken,
}

/// Runs a bus until it is stopped. Ends early only when the hub is gone.
pub async fn run(_spec: BusSpec, ports: BusPorts) {
    ports.stop.cancelled().await;
}
