//! A unit that the tests own, and a bus with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use wattkeeper::bus::*;
use wattkeeper::clock::{Clock, IoTime, Moment, Pulse};
use wattkeeper::profile::*;
use wattkeeper::reading::DeviceName;

use super::hostile::{Frames, Server};

pub const MODE: u16 = 500;
pub const POWER: u16 = 501;
pub const OWN: u16 = 510;
pub const ALIVE: u16 = 520;

/// Each span is a point whose value is its first word. Its control `battery` writes MODE 1 and POWER, keeps and puts
/// back OWN, and is released with MODE 0.
#[derive(Clone, Debug)]
pub struct Fake {
    pub manners: Manners,
    pub groups: Vec<(Duration, Vec<Span>)>,
    pub control: Control,
    pub beat: Option<Duration>,
    /// Bits of MODE that are written.
    pub mask: Option<u16>,
    /// Must be read and hold its own number before the unit is known.
    pub identity: Option<u16>,
    pub identified: bool,
    points: Arc<[PointSpec]>,
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Fake {
    /// With one group a list of registers.
    pub fn polling(every: Duration, groups: &[&[u16]]) -> Self {
        let groups = groups.iter().map(|group| (every, group.iter().map(|at| Span::holding(*at, 1)).collect()));
        let groups: Vec<(Duration, Vec<Span>)> = groups.collect();
        let point = |(group, span): (usize, &Span)| PointSpec {
            name: format!("custom.r{}", span.start).into(),
            unit: Unit::None,
            group,
            counter: None,
            wrap: None,
        };
        let points =
            groups.iter().enumerate().flat_map(|(g, (_, spans))| spans.iter().map(move |span| point((g, span))));
        Self {
            manners: Manners { timeout: ms(500), ..Manners::default() },
            points: points.collect(),
            groups,
            control: Control {
                name: "battery".into(),
                kind: ControlKind::BatteryPower(BatteryControl::Exact),
                status: Status::Confirmed,
                step: 10.0,
                deadband: 50.0,
                min_on: 0.0,
                class: Class::Ram,
                budget: None,
                refresh: Some(secs(20)),
                revert: None,
                settle: secs(2),
                effect: None,
            },
            beat: None,
            mask: None,
            identity: None,
            identified: false,
        }
    }

    fn write(at: u16, word: u16, verify: bool) -> Step {
        let span = Span::holding(at, 1);
        Step {
            span,
            verify: verify.then(|| vec![word]),
            words: vec![word],
            function: WriteFunction::SingleRegister,
            mask: None,
            wait: Duration::ZERO,
        }
    }
}

impl BusUnit for Fake {
    fn manners(&self) -> &Manners {
        &self.manners
    }
    fn groups(&self) -> usize {
        self.groups.len()
    }
    fn controls(&self) -> &[Control] {
        std::slice::from_ref(&self.control)
    }
    fn points(&self) -> &Arc<[PointSpec]> {
        &self.points
    }
    fn identify(&self) -> Option<Span> {
        self.identity.filter(|_| !self.identified).map(|at| Span::holding(at, 1))
    }
    fn identified(&mut self, words: Option<&[u16]>) -> Result<(), String> {
        self.identified = words == self.identity.as_ref().map(std::slice::from_ref);
        if self.identified { Ok(()) } else { Err("another device".into()) }
    }
    fn forget(&mut self) {
        self.identified = false;
    }
    fn every(&self, group: usize) -> Option<Duration> {
        self.groups.get(group).map(|(every, _)| *every)
    }
    fn spans(&self, group: usize) -> Vec<Span> {
        self.groups[group].1.clone()
    }
    fn decode(&mut self, group: usize, image: &Image, _now: Moment) -> Vec<(usize, Value)> {
        let before: usize = self.groups[..group].iter().map(|(_, spans)| spans.len()).sum();
        let value = |span: &Span| image.get(*span).map_or(Value::Invalid, |words| Value::Number(words[0].into()));
        self.groups[group].1.iter().enumerate().map(|(i, span)| (before + i, value(span))).collect()
    }
    fn captures(&self, _control: &str) -> Vec<Span> {
        vec![Span::holding(OWN, 1)]
    }
    fn captured(&mut self, _control: &str, _settings: &Captured) {}
    fn tick(&mut self, _now: Moment) {}
    fn set(&self, _control: &str, p: f64) -> Result<Vec<Step>, Refusal> {
        if p.abs() > 30_000.0 {
            return Err(Refusal::Range { value: p, address: POWER });
        }
        let mode = Step { mask: self.mask, ..Self::write(MODE, 1, true) };
        Ok(vec![mode, Self::write(POWER, p as i16 as u16, true)])
    }
    fn release(&self, _control: &str, captured: &Captured) -> Vec<Step> {
        let own = captured.get(&Span::holding(OWN, 1)).map(|words| Self::write(OWN, words[0], false));
        [Some(Self::write(MODE, 0, true)), own].into_iter().flatten().collect()
    }
    fn heartbeat(&self, _control: &str) -> Option<(Duration, Step)> {
        self.beat.map(|every| (every, Self::write(ALIVE, 0x55AA, false)))
    }
}

/// A bus that runs, seen from outside.
pub struct Bus {
    pub clock: Clock,
    pub events: mpsc::Receiver<BusEvent>,
    pub asks: mpsc::Sender<Ask>,
    pub leases: Vec<Option<watch::Sender<Leases>>>,
    pub stats: Vec<Arc<DeviceStats>>,
    pub pulse: Pulse,
    pub stop: CancellationToken,
    pub task: tokio::task::JoinHandle<()>,
    serial: u64,
}

pub fn name(unit: u8) -> DeviceName {
    DeviceName::new(format!("unit-{unit}"))
}

impl Bus {
    /// Over sockets or a port.
    pub fn at(address: Address, units: Vec<(u8, Fake)>) -> Self {
        Self::start(None, address, units, Arc::new(MemoryNotebook::default()))
    }

    /// Over in-memory streams to `server`, which are refused while `away` is set.
    pub fn on(server: &Arc<Server>, frames: Frames, away: &Arc<AtomicBool>, units: Vec<(u8, Fake)>) -> Self {
        Self::with(server, frames, away, units, Arc::new(MemoryNotebook::default()))
    }

    pub fn with(
        server: &Arc<Server>,
        frames: Frames,
        away: &Arc<AtomicBool>,
        units: Vec<(u8, Fake)>,
        notebook: Arc<dyn Notebook>,
    ) -> Self {
        let framing = match frames {
            Frames::Tcp => Framing::Tcp,
            Frames::Rtu => Framing::Rtu { gap: ms(2), character: Duration::ZERO },
        };
        let (server, away) = (server.clone(), away.clone());
        let dial: Dial = Box::new(move || {
            let (server, away) = (server.clone(), away.clone());
            Box::pin(async move {
                if away.load(SeqCst) {
                    return Err(std::io::ErrorKind::ConnectionRefused.into());
                }
                let (ours, theirs) = tokio::io::duplex(4096);
                tokio::spawn(server.serve(theirs, frames));
                Ok(Box::new(ours) as Box<dyn Stream>)
            })
        });
        let nowhere = Address::Tcp { host: String::new(), port: 0 };
        Self::start(Some((framing, dial)), nowhere, units, notebook)
    }

    fn start(
        way: Option<(Framing, Dial)>,
        address: Address,
        units: Vec<(u8, Fake)>,
        notebook: Arc<dyn Notebook>,
    ) -> Self {
        let (clock, pulse, stop) = (Clock::system(), Pulse::default(), CancellationToken::new());
        let (events_in, events) = mpsc::channel(256);
        let (asks, asks_out) = mpsc::channel(8);
        let (mut leases, mut stats, mut devices) = (Vec::new(), Vec::new(), Vec::new());
        for (unit, instance) in units {
            let (sender, receiver) = watch::channel(Leases::new());
            leases.push(Some(sender));
            stats.push(Arc::new(DeviceStats::default()));
            devices.push(BusDevice {
                name: name(unit),
                unit,
                instance,
                leases: receiver,
                stats: stats[stats.len() - 1].clone(),
            });
        }
        let spec = BusSpec { address, devices };
        let ports = BusPorts {
            clock: clock.clone(),
            events: events_in,
            asks: asks_out,
            notebook,
            pulse: pulse.clone(),
            stop: stop.clone(),
        };
        let task = match way {
            Some(way) => tokio::spawn(run_over(way, spec, ports)),
            None => tokio::spawn(run(spec, ports)),
        };
        Self { clock, events, asks, leases, stats, pulse, stop, task, serial: 0 }
    }

    /// Gives the first device's battery a setpoint for so long.
    pub fn lease(&mut self, value: Option<f64>, holds: Duration, safe: SafeState) -> u64 {
        self.serial += 1;
        let lease = Lease { serial: self.serial, value, valid_until: self.clock.io() + holds, safe };
        self.leases[0].as_ref().unwrap().send_replace(Leases::from([("battery".into(), lease)]));
        self.serial
    }

    /// All events until `time` has passed.
    pub async fn during(&mut self, time: Duration) -> Vec<BusEvent> {
        let end = self.clock.io() + time;
        let (clock, mut events) = (self.clock.clone(), Vec::new());
        loop {
            tokio::select! {
                biased;
                event = self.events.recv() => events.push(event.expect("the bus runs")),
                () = clock.sleep_until(end) => return events,
            }
        }
    }

    /// Events up to the first that fits; at most 30 s of them.
    pub async fn until(&mut self, fits: impl Fn(&BusEvent) -> bool) -> Vec<BusEvent> {
        let mut events = Vec::new();
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("the bus runs");
                events.push(event.clone());
                if fits(&event) {
                    return;
                }
            }
        };
        let found = tokio::time::timeout(secs(30), wait).await;
        assert!(found.is_ok(), "not seen among {events:#?}");
        events
    }
}

pub fn polled(event: &BusEvent, unit: u8) -> Option<(IoTime, Vec<(usize, Value)>)> {
    match event {
        BusEvent::Polled { device, sent, values, .. } if *device == name(unit) => Some((sent.io, values.clone())),
        _ => None,
    }
}

pub fn setpoints(events: &[BusEvent]) -> Vec<(u64, Option<f64>, SetpointState)> {
    let report = |event: &BusEvent| match event {
        BusEvent::Setpoint { report, .. } => Some((report.serial, report.value, report.state.clone())),
        _ => None,
    };
    events.iter().filter_map(report).collect()
}

pub fn links(events: &[BusEvent], unit: u8) -> Vec<LinkState> {
    let state = |event: &BusEvent| match event {
        BusEvent::Link { device, state, .. } if *device == name(unit) => Some(state.clone()),
        _ => None,
    };
    events.iter().filter_map(state).collect()
}

pub fn failures(events: &[BusEvent], unit: u8) -> Vec<ErrorKind> {
    let kind = |event: &BusEvent| match event {
        BusEvent::Failed { device, kind, .. } if *device == name(unit) => Some(*kind),
        _ => None,
    };
    events.iter().filter_map(kind).collect()
}
