//! A device on a bus of its own, in simulated time.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use wattkeeper::bus::{
    Address, BusDevice, BusEvent, BusPorts, BusSpec, DeviceStats, Dial, Framing, Lease, Leases, MemoryNotebook,
    SafeState, SetpointState, Stream, run_over,
};
use wattkeeper::clock::{Clock, Pulse};
use wattkeeper::profile::library::Library;
use wattkeeper::profile::{Instance, Overrides, PointSpec, Profile, Value};
use wattkeeper::reading::DeviceName;
use wattkeeper::sim::device::TableDevice;
use wattkeeper::sim::{Line, Table, Unit, Written, serve_tcp};

pub static LIBRARY: LazyLock<Library> = LazyLock::new(Library::builtin);

/// How finely the device's time goes.
const TICK: Duration = Duration::from_millis(500);

pub fn profile(id: &str) -> Arc<Profile> {
    LIBRARY.get(id).expect("built in")
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The device, the bus that talks to it, and what was seen.
pub struct Bench {
    pub device: Arc<Mutex<TableDevice>>,
    pub values: BTreeMap<String, Value>,
    /// Polls that failed.
    pub failures: usize,
    unit: Unit,
    clock: Clock,
    events: mpsc::Receiver<BusEvent>,
    leases: watch::Sender<Leases>,
    points: Arc<[PointSpec]>,
    task: tokio::task::JoinHandle<()>,
    serial: u64,
}

impl Bench {
    pub fn new(id: &str, device: TableDevice) -> Self {
        Self::with(id, &Overrides::default(), device)
    }

    pub fn with(id: &str, overrides: &Overrides, device: TableDevice) -> Self {
        let profile = profile(id);
        let instance = Instance::new(profile.clone(), overrides);
        let device = Arc::new(Mutex::new(device));
        let unit = Unit::new(profile.manners.unit, device.clone());
        let line = Line::new(vec![unit.clone()]);
        let dial: Dial = Box::new(move || {
            let line = line.clone();
            let (ours, theirs) = tokio::io::duplex(4096);
            tokio::spawn(async move { serve_tcp(theirs, &line).await });
            Box::pin(async move { Ok(Box::new(ours) as Box<dyn Stream>) })
        });
        let ticking = device.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(TICK).await;
                ticking.lock().unwrap().pass(TICK);
            }
        });
        let (clock, (events_in, events)) = (Clock::system(), mpsc::channel(256));
        let (leases, leases_out) = watch::channel(Leases::new());
        let points = instance.points().clone();
        let stats = Arc::new(DeviceStats::default());
        let name = DeviceName::new("device");
        let spec = BusSpec {
            address: Address::Tcp { host: String::new(), port: 0 },
            devices: vec![BusDevice { name, unit: profile.manners.unit, instance, leases: leases_out, stats }],
        };
        let ports = BusPorts {
            clock: clock.clone(),
            events: events_in,
            asks: mpsc::channel(1).1,
            notebook: Arc::new(MemoryNotebook::default()),
            pulse: Pulse::default(),
            stop: CancellationToken::new(),
        };
        let task = tokio::spawn(run_over((Framing::Tcp, dial), spec, ports));
        let values = BTreeMap::new();
        Self { device, values, failures: 0, unit, clock, events, leases, points, task, serial: 0 }
    }

    /// A setpoint for so long, with the given end.
    pub fn lease(&mut self, control: &str, value: f64, holds: Duration, safe: SafeState) {
        self.serial += 1;
        let lease = Lease { serial: self.serial, value: Some(value), valid_until: self.clock.io() + holds, safe };
        self.leases.send_modify(|leases| _ = leases.insert(control.into(), lease));
    }

    /// A setpoint for an hour that ends in a release.
    pub fn drive(&mut self, control: &str, value: f64) {
        self.lease(control, value, secs(3600), SafeState::Release);
    }

    /// Takes back all setpoints.
    pub fn release(&mut self) {
        self.leases.send_replace(Leases::new());
    }

    /// The gateway dies, without a word.
    pub fn crash(&self) {
        self.task.abort();
    }

    /// Lets time pass; the states that setpoints went through.
    pub async fn during(&mut self, time: Duration) -> Vec<SetpointState> {
        let end = self.clock.io() + time;
        let (clock, mut states) = (self.clock.clone(), Vec::new());
        loop {
            tokio::select! {
                biased;
                event = self.events.recv(), if !self.task.is_finished() => match event {
                    Some(BusEvent::Identified { points, .. }) => self.points = points,
                    Some(BusEvent::Polled { values, .. }) => {
                        let name = |point: usize| self.points[point].name.to_string();
                        self.values.extend(values.into_iter().map(|(point, value)| (name(point), value)));
                    }
                    Some(BusEvent::Setpoint { report, .. }) => states.push(report.state),
                    Some(BusEvent::Failed { .. }) => self.failures += 1,
                    _ => {}
                },
                () = clock.sleep_until(end) => return states,
            }
        }
    }

    /// A register of the device.
    pub fn register(&self, table: Table, at: u16) -> u16 {
        self.device.lock().unwrap().get(table, at).expect("a register")
    }

    /// All writes so far that reached it: first address and words.
    pub fn writes(&self) -> Vec<(u16, Vec<u16>)> {
        self.unit.traffic().writes.into_iter().map(|Written { start, words, .. }| (start, words)).collect()
    }

    /// Writes since `seen` of them.
    pub fn writes_since(&self, seen: usize) -> Vec<(u16, Vec<u16>)> {
        self.writes().split_off(seen)
    }
}
