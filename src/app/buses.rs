//! Starts and ends buses: one a connection, with all devices on it.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::lock::{BusLock, LockError};
use super::start::{App, Channels, lock_folder};
use super::tasks::{Part, Phase};
use crate::bus::{self, Address, BusDevice, BusPorts, BusSpec};
use crate::config::DeviceConfig;
use crate::profile::{Instance, Profile};
use crate::reading::DeviceName;

/// A bus ends between two exchanges: within the longest time-out of its devices, and this.
const GRACE: Duration = Duration::from_secs(2);

/// One running bus.
pub(super) struct RunningBus {
    pub(super) part: Part,
    pub(super) devices: Vec<DeviceName>,
    /// How long its end may take.
    pub(super) patience: Duration,
    _lock: BusLock,
}

impl App {
    /// All addresses in the config.
    pub(super) fn addresses(&self) -> Vec<Address> {
        let mut addresses: Vec<_> = self.config.devices.iter().filter_map(|device| device.address.clone()).collect();
        addresses.sort();
        addresses.dedup();
        addresses
    }

    /// Starts the bus at an address, with all devices that the config has there.
    pub(super) fn start_bus(&mut self, address: &Address) -> Result<(), LockError> {
        let lock = BusLock::take(&lock_folder(&self.config.state_dir), address)?;
        let on_bus = |device: &&DeviceConfig| device.address.as_ref() == Some(address);
        let configs: Vec<(DeviceConfig, Arc<Profile>)> = self
            .config
            .devices
            .iter()
            .filter(on_bus)
            .filter_map(|device| Some((device.clone(), device.profile.clone()?)))
            .collect();
        let mut devices = Vec::new();
        let mut patience = GRACE;
        let (asks, asked) = Channels::asks();
        for (config, profile) in configs {
            patience += config.overrides.timeout.unwrap_or(profile.manners.timeout) * 2;
            let stats = self.stats.entry(config.name.clone()).or_default().clone();
            let leases = self.channels.leases_of(&config.name);
            self.lines.write().unwrap_or_else(PoisonError::into_inner).insert(config.name.clone(), asks.clone());
            let instance = Instance::new(profile, &config.overrides);
            devices.push(BusDevice { name: config.name, unit: config.unit_id, instance, leases, stats });
        }
        let names = devices.iter().map(|device| device.name.clone()).collect();
        let clock = self.environment.clock.clone();
        let ports = BusPorts {
            events: self.channels.events.clone(),
            asks: asked,
            notebook: self.notebook.clone(),
            pulse: self.vitals.add(pulse_name(address), clock.io()),
            clock,
            stop: CancellationToken::new(),
        };
        let spec = BusSpec { address: address.clone(), devices };
        let part =
            self.tasks.spawn(Phase::Buses, pulse_name(address), |stop| bus::run(spec, BusPorts { stop, ..ports }));
        self.buses.insert(address.clone(), RunningBus { part, devices: names, patience, _lock: lock });
        Ok(())
    }

    /// Ends the bus at an address. Its devices' safe states were ordered before.
    pub(super) async fn end_bus(&mut self, address: &Address) {
        let Some(running) = self.buses.remove(address) else { return };
        self.tasks.end_one(&running.part, running.patience).await;
        self.vitals.remove(&pulse_name(address));
        let mut lines = self.lines.write().unwrap_or_else(PoisonError::into_inner);
        running.devices.iter().for_each(|device| drop(lines.remove(device)));
    }
}

fn pulse_name(address: &Address) -> String {
    format!("bus {address}")
}
