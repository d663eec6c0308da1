//! A simulated device behind a real socket, driven by a real bus with the real profile, in steps of simulated time.
//!
//! Time stands still but where the rig moves it: a blocking task is held open, and while there is one, a paused clock does
//! not run ahead. Between two steps all tasks get many turns, and what passes over a loopback socket is there at once. So a
//! day passes in no time, and no slow machine makes a request late.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use wattkeeper::bus::{
    Address, BusDevice, BusEvent, BusPorts, BusSpec, DeviceStats, Lease, Leases, LinkState, MemoryNotebook, Notebook,
    SafeState, SetpointReport, SetpointState, run,
};
use wattkeeper::clock::{Clock, Pulse, SiteTime};
use wattkeeper::config::PlantConfig;
use wattkeeper::profile::library::Library;
use wattkeeper::profile::{Instance, Overrides, PointSpec, Value};
use wattkeeper::reading::DeviceName;
use wattkeeper::sim::device::BatterySize;
use wattkeeper::sim::{Balance, Framing, Line, Part, RegisterBank, Step, Table, Unit, listen};
use wattkeeper::units::{Soc, WattHours, Watts};

/// 5 kW each way, half full, and so large that it stays so.
pub fn battery() -> BatterySize {
    BatterySize {
        capacity: WattHours::kwh(1000.0),
        charge_max: Watts::kw(5.0),
        discharge_max: Watts::kw(5.0),
        soc: (Soc::from_percent(5.0), Soc::FULL),
        plant: PlantConfig::default(),
    }
}

/// A device that acts on a busbar and has registers.
pub trait Device: Part + RegisterBank + 'static {}
impl<D: Part + RegisterBank + 'static> Device for D {}

/// The bus of one life of the daemon.
struct Life {
    events: mpsc::Receiver<BusEvent>,
    leases: watch::Sender<Leases>,
    task: tokio::task::JoinHandle<()>,
    serial: u64,
}

pub struct Rig {
    profile: &'static str,
    device: Arc<Mutex<dyn Part>>,
    pub unit: Unit,
    pub load: Watts,
    pub sun: f64,
    /// What battery and PV feed in now.
    pub battery: f64,
    pub pv: f64,
    pub reports: Vec<SetpointReport>,
    pub links: Vec<LinkState>,
    points: Arc<[PointSpec]>,
    values: std::collections::BTreeMap<String, Value>,
    notebook: Arc<MemoryNotebook>,
    clock: Clock,
    address: Address,
    life: Option<Life>,
    _server: tokio::task::JoinHandle<()>,
    _still: std::sync::mpsc::Sender<()>,
}

pub fn name() -> DeviceName {
    DeviceName::new("inverter".to_owned())
}

impl Rig {
    /// Serves a device and starts a bus that knows it by `profile`. To be called on a paused clock.
    pub async fn new(profile: &'static str, unit: u8, device: impl Device) -> Self {
        let (still, held) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || held.recv());
        let device = Arc::new(Mutex::new(device));
        let unit = Unit::new(unit, device.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(listen(listener, Framing::Tcp, Line::new(vec![unit.clone()])));
        let mut rig = Self {
            profile,
            device,
            unit,
            load: Watts::new(2000.0),
            sun: 0.0,
            battery: 0.0,
            pv: 0.0,
            reports: Vec::new(),
            links: Vec::new(),
            points: Arc::from([]),
            values: std::collections::BTreeMap::new(),
            notebook: Arc::default(),
            clock: Clock::system(),
            address: Address::Tcp { host: "127.0.0.1".to_owned(), port },
            life: None,
            _server: server,
            _still: still,
        };
        rig.start();
        rig
    }

    /// Starts a bus, with the settings that an earlier one kept.
    pub fn start(&mut self) {
        let profile = Library::builtin().get(self.profile).expect("built in");
        let (leases, leases_out) = watch::channel(Leases::new());
        let (events_in, events) = mpsc::channel(256);
        let (_, asks) = mpsc::channel(1);
        let device = BusDevice {
            name: name(),
            unit: self.unit.id,
            instance: Instance::new(profile, &Overrides::default()),
            leases: leases_out,
            stats: Arc::new(DeviceStats::default()),
        };
        let ports = BusPorts {
            clock: self.clock.clone(),
            events: events_in,
            asks,
            notebook: self.notebook.clone(),
            pulse: Pulse::default(),
            stop: CancellationToken::new(),
        };
        let task = tokio::spawn(run(BusSpec { address: self.address.clone(), devices: vec![device] }, ports));
        let serial = self.life.as_ref().map_or(0, |life| life.serial);
        self.life = Some(Life { events, leases, task, serial });
    }

    /// The daemon dies on the spot: nothing is released.
    pub fn die(&mut self) {
        let life = self.life.as_mut().expect("alive");
        life.task.abort();
    }

    /// Gives the battery a setpoint for so long.
    pub fn lease(&mut self, watts: f64, holds: Duration) {
        let valid_until = self.clock.io() + holds;
        let life = self.life.as_mut().expect("alive");
        life.serial += 1;
        let lease = Lease { serial: life.serial, value: Some(watts), valid_until, safe: SafeState::Release };
        life.leases.send_replace(Leases::from([("battery".into(), lease)]));
    }

    /// Lets time pass, a quarter of a second at a time (a whole one when there is much of it).
    pub async fn pass(&mut self, time: Duration) {
        let tick = if time > Duration::from_secs(120) { Duration::from_secs(1) } else { Duration::from_millis(250) };
        let ticks = time.as_millis() / tick.as_millis();
        for _ in 0..ticks {
            self.step(tick);
            tokio::time::advance(tick).await;
            for _ in 0..40 {
                tokio::task::yield_now().await;
            }
            self.listen();
        }
    }

    fn step(&mut self, io: Duration) {
        let step = Step { io, site: io, at: SiteTime::default(), load: self.load, sun: self.sun };
        let mut device = self.device.lock().unwrap();
        let feed = device.act(&step);
        let grid = self.load - feed.pv - feed.battery;
        device.see(&Balance { grid, load: self.load, pv: feed.pv, battery: feed.battery }, &step);
        (self.battery, self.pv) = (feed.battery.watts(), feed.pv.watts());
    }

    fn listen(&mut self) {
        let Some(life) = &mut self.life else { return };
        while let Ok(event) = life.events.try_recv() {
            match event {
                BusEvent::Identified { points, .. } => self.points = points,
                BusEvent::Polled { values, .. } => {
                    for (index, value) in values {
                        self.values.insert(self.points[index].name.to_string(), value);
                    }
                }
                BusEvent::Setpoint { report, .. } => self.reports.push(report),
                BusEvent::Link { state, .. } => self.links.push(state),
                BusEvent::Failed { .. } => {}
            }
        }
    }

    /// A value as the bus read it last.
    pub fn value(&self, point: &str) -> f64 {
        match self.values.get(point) {
            Some(Value::Number(number)) => *number,
            other => panic!("{point} is {other:?}; {:?}; links {:?}", self.values, self.links),
        }
    }

    /// Registers of the device, past the bus.
    pub fn peek(&self, start: u16, count: u16) -> Vec<u16> {
        self.unit.peek(Table::Holding, start, count).unwrap_or_else(|error| panic!("{start}: {error:?}"))
    }

    /// All of these settings.
    pub fn settings(&self, spans: &[(u16, u16)]) -> Vec<Vec<u16>> {
        spans.iter().map(|(start, count)| self.peek(*start, *count)).collect()
    }

    /// The state that was reported last.
    pub fn state(&self) -> Option<&SetpointState> {
        self.reports.last().map(|report| &report.state)
    }

    /// Whether settings are still kept, to be put back.
    pub fn keeps_settings(&self) -> bool {
        self.notebook.captured(&name(), "battery").is_some()
    }
}

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[track_caller]
pub fn near(found: f64, wanted: f64) {
    assert!((found - wanted).abs() <= 0.02 * wanted.abs() + 30.0, "{found} W, not {wanted} W");
}
