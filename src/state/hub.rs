//! The hub: takes what the buses say, one event at a time, and makes the snapshot of it. Pure but for its task.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::counter::{Counted, CounterTrack};
use super::demand::{DemandMeter, SavedDemand};
use super::spec::{DeviceSpec, SiteSpec};
use super::track::PowerTrack;
use super::{BatteryState, DeviceState, GridState, LoadState, Note, PointValue, PvState, Snapshot};
use crate::bus::{BusEvent, LinkState, SetpointReport};
use crate::clock::{Moment, SiteTime};
use crate::config::Role;
use crate::device::{BatteryPoints, Binding, Signed};
use crate::profile::{PointSpec, Value};
use crate::reading::{DeviceName, Reading};
use crate::units::{Soc, WattHours, Watts};

/// What an event asks of the hub's task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publish {
    /// The grid meter was read: publish at once.
    Now,
    /// Something changed: publish soon.
    Soon,
}

/// The single writer of the site's image.
#[derive(Debug)]
pub struct Hub {
    spec: Arc<SiteSpec>,
    slots: Vec<Slot>,
    index: HashMap<DeviceName, usize>,
    demand: DemandMeter,
    /// When the grid meter was last read.
    last_grid: SiteTime,
    notes: Vec<Note>,
}

/// One device in the hub.
#[derive(Debug)]
struct Slot {
    spec: DeviceSpec,
    state: Arc<DeviceState>,
    binding: Binding,
    /// Of its battery.
    battery: PowerTrack,
    /// Of what it feeds in.
    feed: PowerTrack,
    counters: Vec<(usize, CounterTrack)>,
}

impl Slot {
    fn new(spec: DeviceSpec) -> Self {
        let state = Arc::new(DeviceState {
            name: spec.name.clone(),
            roles: spec.roles.clone(),
            profile: spec.profile.clone(),
            link: LinkState::Starting,
            link_since: Moment::default(),
            last_success: None,
            interval: spec.interval,
            points: Arc::from([]),
            values: Vec::new(),
            max_age: spec.max_age.clone(),
            setpoints: Vec::new(),
        });
        Self {
            spec,
            state,
            binding: Binding::default(),
            battery: PowerTrack::default(),
            feed: PowerTrack::default(),
            counters: Vec::new(),
        }
    }

    fn identify(&mut self, points: Arc<[PointSpec]>) {
        self.binding = Binding::new(&self.spec.roles, &points);
        let counts = |(index, point): (usize, &PointSpec)| {
            point.counter.map(|_| (index, CounterTrack::new(point.wrap.map(WattHours::new))))
        };
        self.counters = points.iter().enumerate().filter_map(counts).collect();
        let state = Arc::make_mut(&mut self.state);
        state.values = vec![PointValue::Never; points.len()];
        state.points = points;
    }

    fn number(&self, point: usize) -> Option<Reading<f64>> {
        match self.state.values.get(point)? {
            PointValue::Number(reading) => Some(*reading),
            PointValue::Never | PointValue::Text(..) => None,
        }
    }

    fn watts(&self, point: Signed) -> Option<Reading<Watts>> {
        self.number(point.point).map(|reading| reading.map(|value| Watts::new(value * point.factor)))
    }

    fn limit(&self, point: Option<usize>) -> Duration {
        let spec = point.and_then(|point| self.state.points.get(point));
        spec.map_or(Duration::from_secs(10), |spec| self.state.limit_of(spec))
    }

    /// Its powers as read at `sent`, for adding to others of that time.
    fn follow(&mut self, sent: Moment) {
        let battery = self.binding.battery.and_then(|battery| self.number(battery.power?));
        if let Some(power) = battery.filter(|power| power.at() == sent).and_then(|power| power.show()) {
            self.battery.push(sent.io, Watts::new(power));
        }
        let feed = || self.binding.feed.into_iter().flatten();
        let part = |point: Signed| self.watts(point)?.fresh(sent, self.limit(Some(point.point))).ok();
        let read = feed().any(|point| self.number(point.point).is_some_and(|reading| reading.at() == sent));
        if let Some(power) = feed().map(part).sum::<Option<Watts>>().filter(|_| read) {
            self.feed.push(sent.io, power);
        }
    }

    /// Whether it should feed the busbar and counts. One that is not identified yet might.
    fn feeds(&self) -> bool {
        let feeding = [Role::Pv, Role::PvMeter, Role::Battery];
        !self.spec.measured && feeding.iter().any(|role| self.spec.roles.contains(role))
    }

    fn report(&self, wanted: impl Fn(&SetpointReport) -> bool) -> Option<SetpointReport> {
        self.state.setpoints.iter().find(|report| wanted(report)).cloned()
    }
}

impl Hub {
    /// A hub that has seen nothing yet.
    pub fn new(spec: Arc<SiteSpec>) -> Self {
        let mut hub = Self {
            spec: spec.clone(),
            slots: Vec::new(),
            index: HashMap::new(),
            demand: demand_meter(&spec),
            last_grid: SiteTime::default(),
            notes: Vec::new(),
        };
        hub.reload(spec);
        hub
    }

    /// Takes another site: devices and windows that are in both keep what is known of them.
    pub fn reload(&mut self, spec: Arc<SiteSpec>) {
        let mut old: HashMap<DeviceName, Slot> =
            std::mem::take(&mut self.slots).into_iter().map(|slot| (slot.spec.name.clone(), slot)).collect();
        let keep = |device: &DeviceSpec| match old.remove(&device.name) {
            Some(slot) if slot.spec == *device => slot,
            _ => Slot::new(device.clone()),
        };
        self.slots = spec.devices.iter().map(keep).collect();
        self.index = self.slots.iter().enumerate().map(|(i, slot)| (slot.spec.name.clone(), i)).collect();
        let running = SavedDemand::of(&self.demand.windows(self.last_grid));
        let same_clock = self.spec.time_zone == spec.time_zone;
        self.demand = demand_meter(&spec);
        if same_clock {
            self.demand.restore(&running);
        }
        self.spec = spec;
    }

    /// Goes on with the windows that were saved.
    pub fn restore(&mut self, saved: &SavedDemand) {
        self.demand.restore(saved);
    }

    /// Takes an event.
    pub fn apply(&mut self, event: BusEvent) -> Publish {
        match event {
            BusEvent::Identified { device, points } => {
                if let Some(slot) = self.slot(&device) {
                    slot.identify(points);
                }
            }
            BusEvent::Polled { device, group, sent, values } => return self.polled(&device, group, sent, values),
            BusEvent::Failed { .. } => {}
            BusEvent::Link { device, state, at } => self.link(&device, state, at),
            BusEvent::Setpoint { device, report } => self.report(&device, report),
        }
        Publish::Soon
    }

    /// What was worth a record since the last call.
    pub fn notes(&mut self) -> std::vec::Drain<'_, Note> {
        self.notes.drain(..)
    }

    fn slot(&mut self, device: &DeviceName) -> Option<&mut Slot> {
        self.slots.get_mut(*self.index.get(device)?)
    }

    fn polled(&mut self, device: &DeviceName, group: usize, sent: Moment, values: Vec<(usize, Value)>) -> Publish {
        let Some(slot) = self.index.get(device).and_then(|i| self.slots.get_mut(*i)) else { return Publish::Soon };
        let state = Arc::make_mut(&mut slot.state);
        state.last_success = Some(sent);
        for (point, value) in values {
            let Some(place) = state.values.get_mut(point) else { continue };
            *place = match value {
                Value::Number(number) => PointValue::Number(Reading::good(number, sent)),
                Value::Text(text) => PointValue::Text(text, sent),
                Value::Invalid => PointValue::Number(Reading::invalid(sent)),
            };
        }
        for (point, track) in &mut slot.counters {
            let Some(PointValue::Number(reading)) = state.values.get(*point) else { continue };
            let (Some(value), true) = (reading.show(), reading.at() == sent) else { continue };
            if let Counted::Reset { from, to } = track.observe(WattHours::new(value)) {
                let name = state.points.get(*point).map(|spec| spec.name.clone()).unwrap_or_default();
                let text = format!("{device}: counter {name} fell from {from:.1} to {to:.1}: reset or replaced");
                tracing::warn!(%device, point = %name, %from, %to, "counter reset");
                self.notes.push(Note::Event { kind: "counter-reset", text, at: sent });
            }
        }
        self.notes.push(Note::Polled { device: slot.state.clone(), group, at: sent });
        let grid = slot.binding.grid.and_then(|grid| slot.number(grid.power)).filter(|power| power.at() == sent);
        slot.follow(sent);
        let imported =
            slot.binding.grid.and_then(|grid| slot.number(grid.imported?)).filter(|counter| counter.at() == sent);
        if let Some(counter) = imported.and_then(|counter| counter.show()) {
            self.demand.count(sent.site, WattHours::new(counter));
        }
        let Some(power) = grid.and_then(|power| power.show()) else { return Publish::Soon };
        self.last_grid = sent.site;
        self.demand.observe(sent.site, Watts::new(power));
        Publish::Now
    }

    fn link(&mut self, device: &DeviceName, state: LinkState, at: Moment) {
        let Some(slot) = self.slot(device) else { return };
        if slot.state.link == state {
            return;
        }
        let (kind, text) = match &state {
            LinkState::Down { reason } => ("device-down", format!("{device} does not answer: {reason}")),
            LinkState::Up => ("device-up", format!("{device} answers")),
            LinkState::Asleep => ("device-asleep", format!("{device} sleeps")),
            LinkState::Starting => ("device-starting", format!("{device} is being started")),
        };
        match &state {
            LinkState::Down { .. } => tracing::warn!("{text}"),
            LinkState::Up | LinkState::Asleep | LinkState::Starting => tracing::info!("{text}"),
        }
        let slot = Arc::make_mut(&mut slot.state);
        slot.link = state;
        slot.link_since = at;
        self.notes.push(Note::Event { kind, text, at });
    }

    fn report(&mut self, device: &DeviceName, report: SetpointReport) {
        let Some(slot) = self.slot(device) else { return };
        let state = Arc::make_mut(&mut slot.state);
        match state.setpoints.iter_mut().find(|known| known.control == report.control) {
            Some(known) => *known = report,
            None => state.setpoints.push(report),
        }
    }

    /// The site as it is known at `now`.
    pub fn snapshot(&self, now: Moment) -> Snapshot {
        let mut snapshot = Snapshot {
            at: now,
            devices: self.slots.iter().map(|slot| slot.state.clone()).collect(),
            windows: self.demand.windows(now.site),
            clock_trusted: now.site >= self.spec.not_before,
            ..Snapshot::default()
        };
        for slot in &self.slots {
            if let Some(grid) = slot.binding.grid {
                let energy = |point: Option<usize>| slot.number(point?).map(|reading| reading.map(WattHours::new));
                snapshot.grid = GridState {
                    meter: Some(slot.spec.name.clone()),
                    power: slot.number(grid.power).map(|reading| reading.map(Watts::new)),
                    battery: None,
                    feed: None,
                    imported: energy(grid.imported),
                    exported: energy(grid.exported),
                    max_age: slot.limit(Some(grid.power)),
                };
            } else if slot.spec.roles.contains(&Role::GridMeter) {
                snapshot.grid.meter = Some(slot.spec.name.clone());
                snapshot.grid.max_age = slot.spec.max_age.iter().min().copied().unwrap_or_default();
            }
            if slot.spec.roles.contains(&Role::Battery) {
                snapshot.batteries.push(battery(slot));
            }
            if slot.spec.roles.contains(&Role::Pv) || slot.spec.roles.contains(&Role::PvMeter) {
                snapshot.pv.push(pv(slot, now));
            }
            if let Some(load) = slot.binding.load {
                let max_age = slot.limit(Some(load.point));
                snapshot.loads.push(LoadState { name: slot.spec.name.clone(), power: slot.watts(load), max_age });
            }
        }
        if let Some(at) = snapshot.grid.power.map(|power| power.at()) {
            snapshot.grid.battery = self.battery_at(at);
            snapshot.grid.feed = self.feed_at(at);
        }
        snapshot
    }

    /// The batteries' power at the moment of the grid reading. A battery that is away adds nothing; one that is up and
    /// has no power of that time leaves the sum unknown.
    fn battery_at(&self, at: Moment) -> Option<Reading<Watts>> {
        let mut sum = Watts::ZERO;
        for slot in &self.slots {
            let Some(BatteryPoints { power: Some(point), .. }) = slot.binding.battery else { continue };
            match (slot.battery.at(at.io, slot.limit(Some(point))), &slot.state.link) {
                (Some(power), _) => sum += power,
                (None, LinkState::Up) => return None,
                (None, _) => {}
            }
        }
        Some(Reading::good(sum, at))
    }

    /// What feeds the busbar besides the grid, at the moment of the grid reading. A part without a power of that time
    /// leaves the sum unknown; one that sleeps in the dark makes nothing.
    fn feed_at(&self, at: Moment) -> Option<Reading<Watts>> {
        let part = |slot: &Slot| match slot.state.link {
            LinkState::Asleep => Some(Watts::ZERO),
            _ => slot.feed.at(at.io, slot.limit(slot.binding.feed.iter().flatten().next().map(|fed| fed.point))),
        };
        let sum = self.slots.iter().filter(|slot| slot.feeds()).map(part).sum::<Option<Watts>>()?;
        Some(Reading::good(sum, at))
    }
}

fn demand_meter(spec: &SiteSpec) -> DemandMeter {
    DemandMeter::new(spec.windows.iter().copied(), spec.time_zone.clone(), spec.longest_gap)
}

fn battery(slot: &Slot) -> BatteryState {
    let points =
        slot.binding.battery.unwrap_or(BatteryPoints { power: None, soc: None, max_charge: None, max_discharge: None });
    let watts = |point: Option<usize>| slot.number(point?).map(|reading| reading.map(Watts::new));
    BatteryState {
        name: slot.spec.name.clone(),
        power: watts(points.power),
        soc: points.soc.and_then(|soc| slot.number(soc)).map(|reading| reading.map(Soc::new)),
        max_charge: watts(points.max_charge),
        max_discharge: watts(points.max_discharge),
        max_age: slot.limit(points.power),
        soc_max_age: slot.limit(points.soc),
        limits_max_age: slot.limit(points.max_charge.or(points.max_discharge)),
        setpoint: slot.report(|report| &*report.control == "battery"),
    }
}

fn pv(slot: &Slot, now: Moment) -> PvState {
    let measured = slot.binding.pv.and_then(|pv| slot.watts(pv));
    PvState {
        name: slot.spec.name.clone(),
        // Asleep in the dark: it makes nothing, and that is known without asking.
        power: if slot.state.link == LinkState::Asleep {
            Some(Reading::substituted(Watts::ZERO, now))
        } else {
            measured
        },
        max_age: slot.limit(slot.binding.pv.map(|pv| pv.point)),
        measured: slot.spec.measured,
        limit: slot.report(|report| &*report.control == "pv"),
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
