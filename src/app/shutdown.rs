//! The end, in phases: no decision any more; every device into its safe state, confirmed; buses between exchanges; hub;
//! telemetry; MQTT `offline`; the last save.

use std::sync::PoisonError;
use std::time::Duration;

use super::notify;
use super::start::App;
use super::tasks::Phase;

/// For a phase that talks to nobody.
pub(super) const SHORT: Duration = Duration::from_secs(2);
/// MQTT sends for 2 s at most, then says goodbye.
pub(super) const GOODBYE: Duration = Duration::from_secs(4);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As asked, and every device confirmed.
    Asked,
    /// As asked, but a device did not confirm its safe state.
    Unconfirmed,
    /// A task ended by itself.
    Broken,
}

impl App {
    /// Shuts down; `broken` says which task ended by itself.
    pub(super) async fn shut_down(mut self, broken: Option<String>) -> Ended {
        notify::stopping();
        match &broken {
            None => tracing::info!("stopping: every device goes to its safe state"),
            Some(said) => tracing::error!("{said}; stopping: every device goes to its safe state"),
        }
        let patience = self.config.stop_bound();
        if broken.is_some() {
            self.revive_buses();
        }
        self.tasks.end(Phase::Control, SHORT).await;
        self.tasks.end(Phase::Dispatch, patience + SHORT).await;
        if self.channels.snapshot.has_changed().is_err() {
            // The hub died: nobody can see the confirmations, so the buses get the time that they may need.
            tokio::time::sleep(patience).await;
        }
        let buses = self.buses.values().map(|bus| bus.patience).max().unwrap_or(SHORT);
        self.tasks.end(Phase::Buses, buses).await;
        self.tasks.end(Phase::Hub, SHORT).await;
        self.tasks.end(Phase::Telemetry, SHORT).await;
        self.tasks.end(Phase::Mqtt, GOODBYE).await;
        self.tasks.end(Phase::Service, SHORT).await;
        let socket = super::socket_path(&self.config.state_dir);
        if let Err(error) = std::fs::remove_file(&socket) {
            tracing::debug!(%error, "socket");
        }
        let unconfirmed = std::mem::take(&mut *self.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner));
        if !unconfirmed.is_empty() {
            let names: Vec<_> = unconfirmed.iter().map(|device| device.as_str()).collect();
            tracing::error!(devices = ?names, "not confirmed in their safe state; what they had is kept and put back at the next start");
        }
        match (broken, unconfirmed.is_empty()) {
            (Some(_), _) => Ended::Broken,
            (None, true) => Ended::Asked,
            (None, false) => Ended::Unconfirmed,
        }
    }

    /// A bus that died cannot write its devices' safe states: it is started once more for that.
    fn revive_buses(&mut self) {
        let dead: Vec<_> =
            self.buses.iter().filter(|(_, bus)| !self.tasks.lives(&bus.part)).map(|(a, _)| a.clone()).collect();
        for address in dead {
            self.buses.remove(&address);
            if let Err(error) = self.start_bus(&address) {
                tracing::error!(%address, %error, "the bus cannot be started again");
            }
        }
        self.rewire(&[]);
    }
}
