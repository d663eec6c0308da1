//! The daemon's main loop: waits for requests and for ends that nobody asked for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::notify;
use super::shutdown::Ended;
use super::start::App;
use crate::bus::LinkState;
use crate::control::Standing;
use crate::state::Snapshot;

/// How often systemd is told how things stand.
const STATUS: Duration = Duration::from_secs(10);

/// What a running daemon may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Read the config again.
    Reload,
    /// End in order.
    Stop,
}

impl App {
    /// Runs until asked to stop, or until a task ends by itself; then every device is sent to its safe state.
    pub async fn run(mut self, mut requests: mpsc::Receiver<Request>) -> Ended {
        notify::ready();
        tracing::info!(
            site = %self.config.site.name,
            devices = self.config.devices.len(),
            buses = self.buses.len(),
            rules = self.config.rules.len(),
            http = ?self.view().http,
            "wattkeeper {} runs",
            env!("CARGO_PKG_VERSION"),
        );
        let mut status = tokio::time::interval(STATUS);
        let broken = loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some(Request::Reload) => self.reload().await,
                    Some(Request::Stop) | None => break None,
                },
                said = self.tasks.unexpected_end() => break Some(said),
                _ = status.tick() => notify::status(&self.status()),
            }
        };
        self.shut_down(broken).await
    }

    /// One line: how many devices answer, the broker, control.
    fn status(&self) -> String {
        let snapshot: Arc<Snapshot> = self.channels.snapshot.borrow().clone();
        let up = snapshot.devices.iter().filter(|device| device.link == LinkState::Up).count();
        let mqtt = match &self.mqtt {
            None => "no MQTT",
            Some((_, stats)) if stats.connected() => "MQTT connected",
            Some(_) => "MQTT away",
        };
        let control = match &self.channels.decision.borrow().standing {
            Standing::Controlling => "controlling".to_owned(),
            Standing::DryRun => "dry-run".to_owned(),
            Standing::NotControlling(reason) => format!("not controlling, because {reason}"),
        };
        match snapshot.devices.len() {
            0 => format!("no devices configured yet, {mqtt}"),
            all => format!("{up}/{all} devices, {mqtt}, {control}"),
        }
    }
}
