//! The task that owns one bus.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::dial::{self, Dial, Framing};
use super::job::Job;
use super::link::Link;
use super::lookout::Lookout;
use super::request::Request;
use super::schedule::{Action, Schedule};
use super::station::{Polling, Station};
use super::unit::BusUnit;
use super::writing::Talk;
use super::{Address, Ask, BusEvent, DeviceStats, ErrorKind, Leases, LinkState, Notebook};
use crate::backoff::Backoff;
use crate::clock::{Clock, IoTime, Pulse};
use crate::profile::Instance;
use crate::reading::DeviceName;

/// One bus: where it is and which devices are on it.
#[derive(Debug)]
pub struct BusSpec<U = Instance> {
    /// The connection.
    pub address: Address,
    /// The units on it.
    pub devices: Vec<BusDevice<U>>,
}

/// One device on a bus.
#[derive(Debug)]
pub struct BusDevice<U = Instance> {
    /// Its name.
    pub name: DeviceName,
    /// Modbus unit id.
    pub unit: u8,
    /// Its profile, bound.
    pub instance: U,
    /// What it shall do. A closed channel (nobody can renew a lease) means: the safe state of every lease, now.
    pub leases: watch::Receiver<Leases>,
    /// Its counters.
    pub stats: Arc<DeviceStats>,
}

/// What a bus is given to work with.
pub struct BusPorts {
    /// The clock.
    pub clock: Clock,
    /// To the hub; awaited. A closed channel (the hub is gone: nobody sees what becomes of a lease) means: the safe state
    /// of every lease, now.
    pub events: mpsc::Sender<BusEvent>,
    /// Questions from outside the flow.
    pub asks: mpsc::Receiver<Ask>,
    /// What must survive us.
    pub notebook: Arc<dyn Notebook>,
    /// Marked at each turn of the loop, whether devices answer or not.
    pub pulse: Pulse,
    /// Ends the task between two exchanges, once every device that answers is in its safe state.
    pub stop: CancellationToken,
}

/// Runs a bus until it is stopped.
pub async fn run<U: BusUnit>(spec: BusSpec<U>, ports: BusPorts) {
    let way = dial::to(&spec.address);
    run_over(way, spec, ports).await;
}

/// [`run`] over streams of the caller's, whatever the address says.
pub async fn run_over<U: BusUnit>(way: (Framing, Dial), spec: BusSpec<U>, ports: BusPorts) {
    let clients = spec.devices.iter().map(|device| device.instance.manners().clients).filter(|n| *n > 0).min();
    Box::pin(Bus::new(way, spec, ports, clients).run()).await;
}

/// Questions that wait in the bus; more wait in their channel.
const ASKS: usize = 16;
/// Failures in a row after which a device counts as down: one lost answer is none.
const DOWN: u32 = 2;
/// A connection that is not to be held is closed when nothing is due for this long.
const LINGER: Duration = Duration::from_millis(200);

struct Bus<U> {
    clock: Clock,
    events: mpsc::Sender<BusEvent>,
    asks: mpsc::Receiver<Ask>,
    asks_closed: bool,
    notebook: Arc<dyn Notebook>,
    pulse: Pulse,
    stop: CancellationToken,
    /// Stopped, and the leases that were left are ended.
    ending: bool,
    link: Link,
    schedule: Schedule,
    lookout: Lookout,
    stations: Vec<Station<U>>,
    reconnect: Backoff,
    /// The device serves one client only.
    single: bool,
    hold: bool,
    connect_delay: Duration,
}

impl<U: BusUnit> Bus<U> {
    fn new(way: (Framing, Dial), spec: BusSpec<U>, ports: BusPorts, clients: Option<u8>) -> Self {
        let BusPorts { clock, events, asks, notebook, pulse, stop } = ports;
        let now = clock.now();
        let stations: Vec<Station<U>> =
            spec.devices.into_iter().map(|device| Station::new(device, notebook.as_ref(), now)).collect();
        let manners = || stations.iter().map(|station| station.unit.manners());
        let slowest = manners().map(|manners| manners.timeout).max().unwrap_or_default();
        let single = clients == Some(1);
        let first = Duration::from_secs(if single { 5 } else { 1 });
        Self {
            link: Link::new(way, slowest, clock.clone(), pulse.clone()),
            schedule: Schedule::new(stations.iter().map(Station::intervals), now.io),
            lookout: Lookout::new(stations.iter().map(Station::watched)),
            reconnect: Backoff::new(first, Duration::from_secs(60)),
            single,
            hold: manners().all(|manners| manners.hold),
            connect_delay: manners().map(|manners| manners.connect_delay).max().unwrap_or_default(),
            stations,
            clock,
            events,
            asks,
            asks_closed: false,
            notebook,
            pulse,
            stop,
            ending: false,
        }
    }

    async fn run(mut self) {
        let stop = self.stop.clone();
        let mut stopped = std::pin::pin!(stop.cancelled());
        for i in 0..self.stations.len() {
            self.introduce(i).await;
        }
        while !self.ended() {
            self.take_leases().await;
            let now = self.clock.io();
            self.pulse.mark(now);
            while self.stations.iter().map(|station| station.asks.len()).sum::<usize>() < ASKS
                && let Ok(ask) = self.asks.try_recv()
            {
                self.take(ask, now);
            }
            let action = self.schedule.next(now);
            if let Action::Wait(until) = action {
                if !self.hold && now + LINGER < until {
                    self.link.close();
                }
                tokio::select! {
                    biased;
                    () = &mut stopped, if !self.ending => {}
                    () = self.lookout.changed() => {}
                    ask = self.asks.recv(), if !self.asks_closed => match ask {
                        Some(ask) => self.take(ask, self.clock.io()),
                        None => self.asks_closed = true,
                    },
                    () = self.clock.sleep_until(until) => {}
                }
            } else if self.link.is_open() {
                self.act(action).await;
            } else {
                tokio::select! {
                    biased;
                    () = &mut stopped, if !self.ending => {}
                    () = self.connect() => {}
                }
            }
        }
    }

    /// Whether it was stopped and no device that answers is owed its safe state. In an orderly stop dispatch has seen to
    /// that before; what it left, because it died, hangs or had too little time, is seen to here.
    fn ended(&mut self) -> bool {
        if !self.stop.is_cancelled() {
            return false;
        }
        let now = self.clock.now();
        if !std::mem::replace(&mut self.ending, true) {
            for (i, station) in self.stations.iter_mut().enumerate() {
                station.end(now);
                self.schedule.write_at(i, station.write_at(now));
            }
        }
        !self.stations.iter().any(|station| station.is_owed(now))
    }

    /// Says which points a device has, once it is known.
    async fn introduce(&mut self, i: usize) {
        let Some(station) = self.stations.get_mut(i) else { return };
        if station.unit.identify().is_some() {
            return;
        }
        station.replan();
        self.schedule.known(i, true);
        let event = BusEvent::Identified { device: station.name.clone(), points: station.unit.points().clone() };
        self.tell(event).await;
    }

    async fn tell(&mut self, event: BusEvent) {
        // Nobody may take events any more; what that means for the leases is seen in `take_leases`.
        _ = self.events.send(event).await;
    }

    fn take(&mut self, ask: Ask, now: IoTime) {
        let Some((i, station)) = self.stations.iter_mut().enumerate().find(|(_, station)| station.name == ask.device)
        else {
            return;
        };
        station.asks.push_back(ask);
        self.schedule.asked(i, Some(now));
    }

    async fn take_leases(&mut self) {
        let alone = self.ending || self.events.is_closed();
        for i in 0..self.stations.len() {
            let Some(station) = self.stations.get_mut(i) else { continue };
            let Some(reports) = station.take_leases(alone, &self.clock) else { continue };
            self.schedule.write_at(i, station.write_at(self.clock.now()));
            let device = station.name.clone();
            for report in reports {
                self.tell(BusEvent::Setpoint { device: device.clone(), report }).await;
            }
        }
    }

    /// Opens the connection, or tells everybody that there is none.
    async fn connect(&mut self) {
        match self.link.open().await {
            Ok(()) => {
                self.reconnect.reset();
                let now = self.clock.now();
                self.schedule.hold((now.io + self.connect_delay).max(self.link.silent_until()));
                for (i, station) in self.stations.iter_mut().enumerate() {
                    station.warmup = station.unit.manners().warmup;
                    // A write that was computed before the connection stood may have ended meanwhile.
                    self.schedule.write_at(i, station.write_at(now));
                }
            }
            Err(error) => self.unreachable(&error).await,
        }
    }

    async fn unreachable(&mut self, error: &std::io::Error) {
        let now = self.clock.now();
        let pause = self.reconnect.fail();
        self.schedule.hold(now.io + pause);
        let reason = format!("cannot connect: {error}{}", self.hint());
        for i in 0..self.stations.len() {
            let Some(station) = self.stations.get_mut(i) else { continue };
            station.drop_reading();
            station.stats.error(ErrorKind::Connect);
            self.down(i, reason.clone()).await;
        }
        for (i, group) in self.schedule.pass_over(now.io) {
            let Some(station) = self.stations.get(i) else { continue };
            let device = station.name.clone();
            self.tell(BusEvent::Failed { device, group, kind: ErrorKind::Connect, at: now }).await;
        }
    }

    /// The likeliest reason why a device that serves one client does not serve us.
    const fn hint(&self) -> &'static str {
        if self.single { " (it serves one client: does another one hold it?)" } else { "" }
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Wait(_) => {}
            Action::Identify(i) => self.identify(i).await,
            Action::Poll(i, group) => self.poll(i, group).await,
            Action::Answer(i) => self.answer(i).await,
            Action::Write(i) => self.write(i).await,
        }
    }

    /// One exchange with a unit.
    async fn ask(&mut self, i: usize, span: crate::profile::Span) -> Result<Vec<u16>, ErrorKind> {
        let Some(station) = self.stations.get_mut(i) else { return Err(ErrorKind::Protocol) };
        let Some(request) = Request::read(span) else { return Err(ErrorKind::Protocol) };
        talk(&mut self.link, &self.clock, station).ask(request).await
    }

    async fn identify(&mut self, i: usize) {
        let Some(span) = self.stations.get(i).and_then(|station| station.unit.identify()) else {
            return self.introduce(i).await;
        };
        let sent = self.clock.io();
        let result = self.ask(i, span).await;
        let now = self.clock.io();
        self.schedule.identify_at(i, now);
        self.settle(i, result.as_ref().err().copied(), sent).await;
        let Some(station) = self.stations.get_mut(i) else { return };
        let told = match &result {
            Ok(words) => station.unit.identified(Some(words)),
            Err(kind) if silence(*kind) => return,
            Err(kind) if super::writing::busy(*kind) => {
                self.schedule.identify_at(i, now + Duration::from_secs(1));
                return;
            }
            Err(_) => station.unit.identified(None),
        };
        if let Err(reason) = told {
            station.stats.error(ErrorKind::Identity);
            let pause = station.mistaken.fail();
            self.schedule.identify_at(i, now + pause);
            let (device, at) = (station.name.clone(), self.clock.now());
            self.down(i, reason).await;
            return self.tell(BusEvent::Failed { device, group: 0, kind: ErrorKind::Identity, at }).await;
        }
        if station.unit.identify().is_none() {
            station.mistaken.reset();
            self.introduce(i).await;
            self.up(i).await;
        }
    }

    async fn poll(&mut self, i: usize, group: usize) {
        let now = self.clock.now();
        let Some(station) = self.stations.get_mut(i) else { return };
        let resumed = station.is_reading(group);
        let span = station.next_read(group, now);
        if !resumed {
            self.schedule.started(i, group, now.io);
        }
        let Some(span) = span else {
            self.schedule.finished(i);
            return;
        };
        let result = self.ask(i, span).await;
        self.settle(i, result.as_ref().err().copied(), now.io).await;
        let at = self.clock.now();
        let Some(station) = self.stations.get_mut(i) else { return };
        let device = station.name.clone();
        let event = match station.read(result, at) {
            Polling::More => return,
            Polling::Done(None) => {
                self.schedule.finished(i);
                return;
            }
            Polling::Later(pause) => {
                self.schedule.again(i, group, at.io + pause);
                return;
            }
            Polling::Done(Some((sent, values))) => {
                station.writers.iter_mut().for_each(|writer| writer.follow(at.io));
                self.schedule.write_at(i, station.write_at(at));
                BusEvent::Polled { device, group, sent, values }
            }
            Polling::Failed(kind) => BusEvent::Failed { device, group, kind, at },
        };
        self.schedule.finished(i);
        self.tell(event).await
    }

    async fn answer(&mut self, i: usize) {
        // Points are read a group at a time: a poll between two of its reads would start the group anew.
        loop {
            let now = self.clock.now();
            let Some(station) = self.stations.get_mut(i) else { return };
            let Some(span) = station.next_answer(now) else { break };
            let result = self.ask(i, span).await;
            self.settle(i, result.as_ref().err().copied(), now.io).await;
            let at = self.clock.now();
            let Some(station) = self.stations.get_mut(i) else { return };
            if !station.answer(result, at.io.since(now.io), at) || !self.link.is_open() {
                break;
            }
        }
        let Some(station) = self.stations.get(i) else { return };
        let waiting = (!station.asks.is_empty()).then(|| self.clock.io());
        self.schedule.asked(i, waiting);
    }

    async fn write(&mut self, i: usize) {
        let now = self.clock.now();
        let Some(station) = self.stations.get_mut(i) else { return };
        let mut report = None;
        let mut last = None;
        if let Some((w, job)) = station.write_due(now) {
            let mut writers = std::mem::take(&mut station.writers);
            if let Some(writer) = writers.get_mut(w) {
                if job == Job::Look {
                    report = writer.settle(now);
                } else {
                    let touched = writer.touched();
                    let mut talk = talk(&mut self.link, &self.clock, station);
                    let outcome = talk.carry_out(writer, job, self.notebook.as_ref()).await;
                    last = talk.last;
                    report = writer.done(job, outcome, self.clock.now());
                    if touched && !writer.touched() {
                        self.put_back(i, w, &writers);
                    }
                }
            }
            let Some(station) = self.stations.get_mut(i) else { return };
            station.writers = writers;
        } else {
            // Woken by the end of a lease or of a pause.
            report = station.writers.iter_mut().find_map(|writer| writer.settle(now));
        }
        if let Some(result) = last {
            self.settle(i, result.err(), now.io).await;
        }
        let Some(station) = self.stations.get(i) else { return };
        self.schedule.write_at(i, station.write_at(self.clock.now()));
        let device = station.name.clone();
        if let Some(report) = report {
            self.tell(BusEvent::Setpoint { device, report }).await;
        }
    }

    /// The device has its own settings again: they need not be kept.
    fn put_back(&self, i: usize, writer: usize, writers: &[super::writer::Writer]) {
        let (Some(station), Some(writer)) = (self.stations.get(i), writers.get(writer)) else { return };
        if let Err(error) = self.notebook.put_back(&station.name, &writer.control.name) {
            tracing::warn!(device = %station.name, control = %writer.control.name, %error,
                "settings were put back but are still kept; the next start puts them back once more");
        }
    }

    /// Draws the consequences of an exchange that began at `sent`.
    async fn settle(&mut self, i: usize, error: Option<ErrorKind>, sent: IoTime) {
        let now = self.link.ended().max(sent);
        let Some(station) = self.stations.get_mut(i) else { return };
        match error.filter(|kind| silence(*kind)) {
            None => {
                station.failures = 0;
                self.schedule.heard(i, now, station.unit.manners().gap);
                if station.unit.identify().is_none() {
                    self.up(i).await;
                }
            }
            Some(kind) => {
                station.failures += 1;
                let failures = station.failures;
                let quiet = self.link.silent_until();
                self.schedule.hold(quiet);
                self.schedule.silent(i, now, now.since(sent) + quiet.since(now));
                let hint = if kind == ErrorKind::Transport { self.hint() } else { "" };
                if failures >= DOWN {
                    self.down(i, format!("{kind}{hint}")).await;
                }
            }
        }
    }

    async fn up(&mut self, i: usize) {
        let at = self.clock.now();
        let Some(station) = self.stations.get_mut(i) else { return };
        if station.link == LinkState::Up {
            return;
        }
        station.link = LinkState::Up;
        station.writers.iter_mut().for_each(super::writer::Writer::awake);
        self.schedule.write_at(i, station.write_at(at));
        self.schedule.back(i, at.io);
        let event = BusEvent::Link { device: station.name.clone(), state: LinkState::Up, at };
        self.tell(event).await
    }

    async fn down(&mut self, i: usize, reason: String) {
        let at = self.clock.now();
        let Some(station) = self.stations.get_mut(i) else { return };
        let state = station.away(reason);
        if std::mem::discriminant(&station.link) == std::mem::discriminant(&state) {
            return;
        }
        // Another device, or another firmware, may come back.
        station.unit.forget();
        station.replan();
        self.schedule.known(i, station.unit.identify().is_none());
        self.schedule.finished(i);
        station.link = state.clone();
        let event = BusEvent::Link { device: station.name.clone(), state, at };
        self.tell(event).await
    }
}

/// Whether a failure says that the unit gave no answer of its own: exceptions 0x0A and 0x0B come from a gateway before it.
const fn silence(kind: ErrorKind) -> bool {
    !matches!(kind, ErrorKind::Exception(code) if code != 0x0A && code != 0x0B)
}

fn talk<'a, U: BusUnit>(link: &'a mut Link, clock: &'a Clock, station: &'a mut Station<U>) -> Talk<'a, U> {
    let Station { name, id, unit, stats, .. } = station;
    Talk { link, clock, name, id: *id, unit, stats, last: None }
}
