//! Reads the config again: a bad one changes nothing; of a good one only what changed is started anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::start::App;
use super::{services, shutdown};
use crate::config::{self, DeviceConfig, Difference};
use crate::control::Policy;
use crate::dispatch::at_rest;
use crate::http::Reload;
use crate::reading::DeviceName;
use crate::state::{SiteSpec, Snapshot};

impl App {
    /// Reads the config's file again.
    pub(super) async fn reload(&mut self) {
        let Some(path) = self.environment.config.clone() else { return };
        let at = self.environment.clock.now().site;
        match config::load(&path) {
            Ok((new, diagnostics)) => {
                diagnostics.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
                let successful = self.take(new).await;
                self.reload = Reload { successful, at };
            }
            Err(diagnostics) => {
                diagnostics.errors.iter().for_each(|error| tracing::error!("{error}"));
                tracing::error!("reload refused: the config before runs on");
                self.reload = Reload { successful: false, at };
            }
        }
        self.publish_sources();
    }

    /// Takes a valid config. `false` when a part of it could not be put to work (said in the log).
    async fn take(&mut self, new: config::Config) -> bool {
        let diff = Difference::between(&self.config, &new);
        if diff.is_empty() {
            tracing::info!("reloaded: nothing changed");
            return true;
        }
        // The new listener first: a taken port must not cost anything else.
        let listener = if diff.http {
            match services::listen(new.http.as_ref()).await {
                Ok(listener) => listener,
                Err(error) => {
                    tracing::error!(%error, "reload refused: the config before runs on");
                    return false;
                }
            }
        } else {
            None
        };

        if diff.state_dir || diff.telemetry {
            tracing::warn!("a new `state_dir` or telemetry buffer takes a restart; all else is taken now");
        }
        // Whoever is on a bus that changes goes to its safe state first; the old config still knows how.
        let leaving: Vec<DeviceName> = self
            .buses
            .iter()
            .filter(|(address, _)| diff.buses.contains(*address))
            .flat_map(|(_, bus)| bus.devices.clone())
            .collect();
        self.rewire(&leaving);
        let patience = self.config.stop_bound();
        let is_left = self.is_left();
        if !self.wait_for(patience, |snapshot| leaving.iter().all(|device| is_left(snapshot, device))).await {
            tracing::error!(?leaving, "not every device that leaves confirmed its safe state in time");
        }
        for address in &diff.buses {
            self.end_bus(address).await;
        }

        let not_before = self.channels.site.borrow().not_before;
        self.config = new;
        let present: BTreeSet<_> = self.config.devices.iter().map(|device| device.name.clone()).collect();
        self.channels.leases.retain(|device, _| present.contains(device));
        self.stats.retain(|device, _| present.contains(device));
        self.channels.site.send_replace(Arc::new(SiteSpec::new(
            &self.config,
            not_before,
            self.environment.clock.speed(),
        )));
        self.channels.policy.send_replace(Arc::new(Policy::new(&self.config)));
        let mut whole = true;
        for address in self.addresses() {
            if !self.buses.contains_key(&address)
                && let Err(error) = self.start_bus(&address)
            {
                tracing::error!(%address, %error, "the bus cannot be started");
                whole = false;
            }
        }
        self.rewire(&[]);

        self.channels.naming.send_replace(services::naming(&self.config));
        if diff.mqtt {
            if let Some((part, _)) = self.mqtt.take() {
                self.tasks.end_one(&part, shutdown::GOODBYE).await;
            }
            self.start_mqtt();
        }
        if diff.http {
            if let Some((part, _)) = self.http.take() {
                self.tasks.end_one(&part, shutdown::SHORT).await;
            }
            self.start_http(listener);
        }
        tracing::info!(buses = diff.buses.len(), mqtt = diff.mqtt, http = diff.http, policy = diff.policy, "reloaded");
        whole
    }

    /// Whether a device is left as its owner wishes: what this run told it is confirmed to be over, and what a former run
    /// told it is put back.
    fn is_left(&self) -> impl Fn(&Snapshot, &DeviceName) -> bool + use<> {
        let (leases, notebook) = (self.channels.leases.clone(), self.notebook.clone());
        let controls = |device: &DeviceConfig| {
            let profile = device.profile.iter().flat_map(|profile| &profile.controls);
            (device.name.clone(), profile.map(|control| control.name.clone()).collect::<Vec<_>>())
        };
        let controls: BTreeMap<_, _> = self.config.devices.iter().map(controls).collect();
        move |snapshot, device| {
            let leases = leases.get(device).map(|leases| leases.borrow().clone()).unwrap_or_default();
            let own = |control: &Arc<str>| leases.contains_key(control) || notebook.captured(device, control).is_none();
            at_rest(snapshot, device, &leases) && controls.get(device).is_none_or(|controls| controls.iter().all(own))
        }
    }
}
