//! What is shown besides snapshot and decision, and the ports that all of it comes through.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::bus::DeviceStats;
use crate::clock::{Clock, Moment, Pulse, SiteTime};
use crate::control::Decision;
use crate::reading::DeviceName;
use crate::state::Snapshot;
use crate::telemetry::StoreStats;

/// What the server is given to work with.
pub struct HttpPorts {
    /// The site; before the first one, [`Snapshot::default`].
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// The last decision; before the first one, one with serial 0.
    pub decision: watch::Receiver<Arc<Decision>>,
    /// All else; replaced as a whole on reload.
    pub sources: watch::Receiver<Arc<Sources>>,
    /// The clock.
    pub clock: Clock,
    /// Ends the server: no new connection, running answers are finished.
    pub stop: CancellationToken,
}

/// Where to ask for the numbers that no snapshot carries.
#[derive(Clone, Default)]
pub struct Sources {
    /// The site's name.
    pub site: Arc<str>,
    /// Kinds of the configured rules, top to bottom: their counters start at 0.
    pub rules: Vec<Arc<str>>,
    /// Counters of the buses.
    pub stats: BTreeMap<DeviceName, Arc<DeviceStats>>,
    /// How full the telemetry store is; `None` without MQTT.
    pub store: Option<Figures<StoreStats>>,
    /// How MQTT stands; `None` without MQTT.
    pub mqtt: Option<Figures<MqttFigures>>,
    /// The loops that must turn.
    pub loops: Vec<Loop>,
    /// The last time a config was read.
    pub reload: Reload,
}

/// Asks for present numbers. Cheap, and never blocks for long.
pub type Figures<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// How MQTT stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct MqttFigures {
    /// A session stands.
    pub connected: bool,
    /// Sessions that the broker accepted.
    pub connects: u64,
    /// Messages sent, repeats included.
    pub published: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Messages that the broker refused.
    pub refused: u64,
    /// Messages sent and not yet acknowledged.
    pub inflight: u64,
    /// Why the last session ended or could not begin; `None` while connected.
    pub last_error: Option<String>,
}

/// A loop that must turn.
#[derive(Clone, Debug)]
pub struct Loop {
    /// `hub`, `control`, `bus tcp://…`.
    pub name: Arc<str>,
    /// Its mark.
    pub pulse: Pulse,
    /// It is stuck when it has not turned for so long.
    pub limit: Duration,
}

impl Loop {
    /// Time since it last turned.
    pub(super) fn age(&self, now: Moment) -> Duration {
        now.io.since(self.pulse.last())
    }

    /// It should have turned by now.
    pub(super) fn is_stuck(&self, now: Moment) -> bool {
        self.age(now) > self.limit
    }
}

/// The last time a config was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// It was taken; otherwise the one before runs on.
    pub successful: bool,
    /// When.
    pub at: SiteTime,
}

impl Default for Reload {
    fn default() -> Self {
        Self { successful: true, at: SiteTime::default() }
    }
}

/// Version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Source revision of this build, where it was given at build time as `WATTKEEPER_REVISION`.
pub const REVISION: &str = match option_env!("WATTKEEPER_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};
