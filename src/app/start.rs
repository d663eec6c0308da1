//! Makes all channels and starts all tasks: the one file to check the picture of the flow against.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::buses::RunningBus;
use super::control::ControlPorts;
use super::lock::LockError;
use super::save::{SavePorts, Saved};
use super::socket::{self, Lines};
use super::tasks::{Part, Phase, Tasks};
use super::watchdog::Vitals;
use super::{control, save, watchdog};
use crate::bus::{Address, Ask, BusEvent, DeviceStats, Leases, Notebook};
use crate::clock::{Clock, SiteTime};
use crate::config::Config;
use crate::control::{Decision, Memory, Policy};
use crate::dispatch::{self, DispatchPolicy, DispatchPorts, FileNotebook, Wiring};
use crate::http::{Reload, Sources};
use crate::mqtt::MqttStats;
use crate::reading::DeviceName;
use crate::state::{self, HubPorts, Note, SiteSpec, Snapshot};
use crate::telemetry::{self, MemoryStore, Naming, Outbox, TelemetryPorts};

/// What buses may have told the hub and it has not taken yet.
const EVENTS: usize = 1024;
/// What telemetry may have to catch up with: 30 s of a hundred devices at 1 s.
const NOTES: usize = 4096;
/// Questions to one bus at once.
const ASKS: usize = 8;
/// No wall clock is right that lies before this program was written.
const WRITTEN: SiteTime = SiteTime::constant(1_764_000_000, 0);

/// What the process gives the daemon besides its config.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The clock.
    pub clock: Clock,
    /// Where the config is read again on reload; without it nothing is reloaded.
    pub config: Option<PathBuf>,
}

impl Environment {
    /// The machine's clock and the config's file.
    pub fn of_process(config: PathBuf) -> Self {
        Self { clock: Clock::system(), config: Some(config) }
    }
}

/// Why the daemon did not start. Nothing was written to any device.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory cannot be used.
    #[error("cannot use the state directory {0}: {1}; set `state_dir` to one that this user may write")]
    State(PathBuf, io::Error),
    /// A listener cannot be opened.
    #[error("cannot listen: {0}")]
    Listen(io::Error),
    /// A bus belongs to somebody else.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// The running daemon.
pub struct App {
    pub(super) config: Config,
    pub(super) environment: Environment,
    pub(super) tasks: Tasks,
    pub(super) vitals: Vitals,
    pub(super) channels: Channels,
    pub(super) buses: BTreeMap<Address, RunningBus>,
    pub(super) stats: BTreeMap<DeviceName, Arc<DeviceStats>>,
    pub(super) lines: Lines,
    pub(super) notebook: Arc<dyn Notebook>,
    pub(super) outbox: Arc<Outbox>,
    /// Notes of the hub that telemetry had no room for.
    pub(super) dropped: Arc<AtomicU64>,
    pub(super) mqtt: Option<(Part, Arc<MqttStats>)>,
    pub(super) http: Option<(Part, SocketAddr)>,
    pub(super) reload: Reload,
    /// Devices that did not confirm their safe state at the end.
    pub(super) unconfirmed: Arc<Mutex<Vec<DeviceName>>>,
}

/// The ends of the channels that outlive their tasks.
pub(super) struct Channels {
    /// Buses to hub.
    pub(super) events: mpsc::Sender<BusEvent>,
    /// Dispatch to each device's bus.
    pub(super) leases: BTreeMap<DeviceName, watch::Sender<Leases>>,
    /// The config's parts to their tasks.
    pub(super) site: watch::Sender<Arc<SiteSpec>>,
    pub(super) policy: watch::Sender<Arc<Policy>>,
    pub(super) wiring: watch::Sender<Arc<Wiring>>,
    pub(super) naming: watch::Sender<Option<Naming>>,
    pub(super) sources: watch::Sender<Arc<Sources>>,
    /// Hub and control to everybody.
    pub(super) snapshot: watch::Receiver<Arc<Snapshot>>,
    pub(super) decision: watch::Receiver<Arc<Decision>>,
}

/// What others may watch of a running daemon.
#[derive(Clone, Debug)]
pub struct View {
    /// The site.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// What is decided.
    pub decision: watch::Receiver<Arc<Decision>>,
    /// Where HTTP is served.
    pub http: Option<SocketAddr>,
}

impl Channels {
    /// A device's leases: the channel lives as long as the daemon, its bus may come and go.
    pub(super) fn leases_of(&mut self, device: &DeviceName) -> watch::Receiver<Leases> {
        self.leases.entry(device.clone()).or_insert_with(|| watch::channel(Leases::new()).0).subscribe()
    }

    /// A bus's questions.
    pub(super) fn asks() -> (mpsc::Sender<Ask>, mpsc::Receiver<Ask>) {
        mpsc::channel(ASKS)
    }
}

/// Where the locks of the buses lie.
pub fn lock_folder(state_dir: &Path) -> PathBuf {
    state_dir.join("locks")
}

impl App {
    /// Starts everything. It returns when the listeners stand, not when devices answer.
    ///
    /// # Errors
    /// When the state directory, a listener or a bus is not to be had; then nothing was written to any device.
    pub async fn start(config: Config, environment: Environment) -> Result<Self, StartError> {
        let state_dir = config.state_dir.clone();
        let unusable = |error| StartError::State(state_dir.clone(), error);
        std::fs::create_dir_all(&state_dir).map_err(unusable)?;
        let socket_listener = socket::bind(&socket::path(&state_dir)).map_err(StartError::Listen)?;
        let http_listener = super::services::listen(config.http.as_ref()).await.map_err(StartError::Listen)?;

        let clock = environment.clock.clone();
        let saved_path = state_dir.join("state.json");
        let saved = Saved::load(&saved_path);
        let not_before = saved.at.max(WRITTEN);

        let (events, said) = mpsc::channel(EVENTS);
        let (notes, noted) = mpsc::channel::<Note>(NOTES);
        let (records, recorded) = mpsc::channel(NOTES);
        let (snapshots, snapshot) = watch::channel(Arc::new(Snapshot::default()));
        let (decisions, decision) = watch::channel(Arc::new(super::control::nothing_yet()));
        let (memories, memory) = watch::channel::<Memory>(saved.memory);
        let site = watch::channel(Arc::new(SiteSpec::new(&config, not_before, clock.speed()))).0;
        let policy = watch::channel(Arc::new(Policy::new(&config))).0;
        let wiring = watch::channel(Arc::new(Wiring::default())).0;
        let naming = watch::channel(super::services::naming(&config)).0;
        let sources = watch::channel(Arc::new(Sources::default())).0;

        let mut tasks = Tasks::default();
        let vitals = Vitals::default();
        let now = clock.io();

        let dropped = Arc::new(AtomicU64::new(0));
        let hub = HubPorts {
            events: said,
            spec: site.subscribe(),
            saved: saved.windows,
            snapshot: snapshots,
            notes: notes.clone(),
            dropped: dropped.clone(),
            clock: clock.clone(),
            pulse: vitals.add("hub", now),
            stop: CancellationToken::new(),
        };
        tasks.spawn(Phase::Hub, "hub", |stop| state::run(HubPorts { stop, ..hub }));

        let ports = ControlPorts {
            snapshot: snapshot.clone(),
            policy: policy.subscribe(),
            memory: memories,
            decision: decisions,
            records,
            notes,
            clock: clock.clone(),
            pulse: vitals.add("control", now),
        };
        tasks.spawn(Phase::Control, "control", |stop| control::run(ports, stop));

        let unconfirmed = Arc::new(Mutex::new(Vec::new()));
        let ports = DispatchPorts {
            decision: decision.clone(),
            wiring: wiring.subscribe(),
            snapshot: snapshot.clone(),
            clock: clock.clone(),
            pulse: vitals.add("dispatch", now),
            stop: CancellationToken::new(),
        };
        let left = unconfirmed.clone();
        tasks.spawn(Phase::Dispatch, "dispatch", |stop| async move {
            let names = dispatch::run(DispatchPorts { stop, ..ports }).await;
            *left.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = names;
        });

        let outbox = Outbox::new(MemoryStore::new(config.telemetry.buffer));
        let ports = TelemetryPorts {
            naming: naming.subscribe(),
            outbox: outbox.clone(),
            notes: noted,
            decisions: recorded,
            stop: CancellationToken::new(),
        };
        tasks.spawn(Phase::Telemetry, "telemetry", |stop| telemetry::run(TelemetryPorts { stop, ..ports }));

        let ports =
            SavePorts { path: saved_path, memory, snapshot: snapshot.clone(), clock: clock.clone(), not_before };
        tasks.spawn(Phase::Service, "save", |stop| save::run(ports, stop));
        let watched = vitals.clone();
        let watching = clock.clone();
        tasks.spawn(Phase::Service, "watchdog", |stop| watchdog::run(watched, watching, stop));

        let channels =
            Channels { events, leases: BTreeMap::new(), site, policy, wiring, naming, sources, snapshot, decision };
        let notebook = Arc::new(FileNotebook::open(&state_dir.join("devices")));
        let mut app = Self {
            config,
            environment,
            tasks,
            vitals,
            channels,
            buses: BTreeMap::new(),
            stats: BTreeMap::new(),
            lines: Lines::default(),
            notebook,
            outbox,
            dropped,
            mqtt: None,
            http: None,
            reload: Reload { successful: true, at: clock.now().site },
            unconfirmed,
        };
        let addresses = app.addresses();
        for address in addresses {
            app.start_bus(&address)?;
        }
        app.rewire(&[]);
        app.start_mqtt();
        app.start_http(http_listener);
        app.start_socket(socket_listener);
        app.publish_sources();
        Ok(app)
    }

    /// What others may watch.
    pub fn view(&self) -> View {
        View {
            snapshot: self.channels.snapshot.clone(),
            decision: self.channels.decision.clone(),
            http: self.http.as_ref().map(|(_, address)| *address),
        }
    }

    /// Tells dispatch who there is; `retired` devices go to their safe state and are told nothing any more.
    pub(super) fn rewire(&self, retired: &[DeviceName]) {
        self.channels.wiring.send_replace(Arc::new(Wiring {
            leases: self.channels.leases.clone(),
            policy: DispatchPolicy::new(&self.config),
            retired: retired.iter().cloned().collect(),
        }));
    }

    /// Waits, for at most `patience`, until something holds of the site.
    pub(super) async fn wait_for(&mut self, patience: Duration, holds: impl FnMut(&Arc<Snapshot>) -> bool) -> bool {
        matches!(tokio::time::timeout(patience, self.channels.snapshot.wait_for(holds)).await, Ok(Ok(_)))
    }
}
