//! The task that makes records of what was read, decided and noticed.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::decision::write_decision;
use super::json::Json;
use super::points::Points;
use super::{Outbox, Topics};
use crate::clock::{Moment, SiteTime};
use crate::config::DeviceConfig;
use crate::control::Decision;
use crate::reading::{DeviceName, Quality};
use crate::state::{DeviceState, Note};

/// What the telemetry task works with.
#[derive(Debug)]
pub struct TelemetryPorts {
    /// What things are called; `None` while no broker is configured, and then no record is made.
    pub naming: watch::Receiver<Option<Naming>>,
    /// Where records go.
    pub outbox: Arc<Outbox>,
    /// From the hub.
    pub notes: mpsc::Receiver<Note>,
    /// From control: every decision.
    pub decisions: mpsc::Receiver<Arc<Decision>>,
    /// Ends the task once what is queued has become records.
    pub stop: CancellationToken,
}

/// What things are called in topics. Another one on reload.
#[derive(Clone, Debug)]
pub struct Naming {
    /// Topics of the site.
    pub topics: Topics,
    /// Names of each device's groups, see [`group_names`].
    pub groups: BTreeMap<DeviceName, Vec<Arc<str>>>,
}

/// The names of the groups of each device's profile, by group index.
pub fn group_names(devices: &[DeviceConfig]) -> BTreeMap<DeviceName, Vec<Arc<str>>> {
    let names = |device: &DeviceConfig| {
        let groups = device.profile.iter().flat_map(|profile| &profile.groups);
        (device.name.clone(), groups.map(|group| group.name.clone()).collect())
    };
    devices.iter().map(names).collect()
}

/// Notes and decisions taken at one turn.
const BATCH: usize = 64;

/// Makes records until told to stop, or until nobody is left to send anything.
pub async fn run(mut ports: TelemetryPorts) {
    let mut writer = Writer::of(&mut ports);
    let (mut notes, mut decisions) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
    let (mut notes_open, mut decisions_open) = (true, true);
    let stop = ports.stop.clone();
    let mut stopped = pin!(stop.cancelled());
    while notes_open || decisions_open {
        tokio::select! {
            count = ports.notes.recv_many(&mut notes, BATCH), if notes_open => notes_open = count > 0,
            count = ports.decisions.recv_many(&mut decisions, BATCH), if decisions_open => decisions_open = count > 0,
            Ok(()) = ports.naming.changed() => writer = Writer::of(&mut ports),
            () = &mut stopped => break,
        }
        record(&mut writer, notes.drain(..), decisions.drain(..));
    }
    let notes = std::iter::from_fn(|| ports.notes.try_recv().ok());
    record(&mut writer, notes, std::iter::from_fn(|| ports.decisions.try_recv().ok()));
}

fn record(
    writer: &mut Option<Writer>,
    notes: impl Iterator<Item = Note>,
    decisions: impl Iterator<Item = Arc<Decision>>,
) {
    match writer {
        Some(writer) => {
            notes.for_each(|note| writer.note(&note));
            decisions.for_each(|decision| writer.decision(&decision));
        }
        None => {
            notes.for_each(drop);
            decisions.for_each(drop);
        }
    }
}

/// Turns notes and decisions into records.
pub struct Writer {
    topics: Topics,
    groups: BTreeMap<DeviceName, Vec<Arc<str>>>,
    outbox: Arc<Outbox>,
    shapes: HashMap<DeviceName, BTreeMap<usize, Shape>>,
    json: Json,
}

/// What all records of one group of one device have in common.
struct Shape {
    topic: Arc<str>,
    /// Shared by all devices of one kind.
    points: Arc<Points>,
}

impl Writer {
    fn of(ports: &mut TelemetryPorts) -> Option<Self> {
        let naming = ports.naming.borrow_and_update().clone()?;
        Some(Self::new(naming.topics, naming.groups, ports.outbox.clone()))
    }

    /// A writer that knows no device yet.
    pub fn new(topics: Topics, groups: BTreeMap<DeviceName, Vec<Arc<str>>>, outbox: Arc<Outbox>) -> Self {
        Self { topics, groups, outbox, shapes: HashMap::new(), json: Json::default() }
    }

    /// Makes the record of a note.
    pub fn note(&mut self, note: &Note) {
        match note {
            Note::Polled { device, group, at } => self.polled(device, *group, *at),
            Note::Event { kind, text, at } => {
                let json = &mut self.json;
                self.outbox.append(self.topics.events(), |sequence| {
                    begin(json, at.site, sequence).key("kind").text(kind).key("text").text(text);
                    end(json)
                });
            }
        }
    }

    /// Makes the record of a decision.
    pub fn decision(&mut self, decision: &Decision) {
        let json = &mut self.json;
        self.outbox.append(self.topics.decisions(), |sequence| {
            begin(json, decision.at.site, sequence);
            write_decision(json, decision);
            end(json)
        });
    }

    fn polled(&mut self, device: &DeviceState, group: usize, at: Moment) {
        let known = self.shapes.get(&device.name).and_then(|groups| groups.get(&group));
        if !known.is_some_and(|shape| shape.points.are_of(&device.points)) {
            let shape = self.shape(device, group);
            self.shapes.entry(device.name.clone()).or_default().insert(group, shape);
        }
        let Some(shape) = self.shapes.get(&device.name).and_then(|groups| groups.get(&group)) else { return };
        let json = &mut self.json;
        self.outbox.append(shape.topic.clone(), |sequence| {
            begin(json, at.site, sequence);
            // A point that this poll did not bring is left out: an old value is no new reading.
            let all_good = shape.points.write(json, &device.values, |_, reading| {
                (reading.at().io >= at.io).then(|| reading.quality(at, std::time::Duration::MAX))
            });
            json.key("quality").text(if all_good { Quality::Good.as_str() } else { "partial" });
            end(json)
        });
    }

    fn shape(&self, device: &DeviceState, group: usize) -> Shape {
        let name = self.groups.get(&device.name).and_then(|groups| groups.get(group)).cloned();
        let name = name.unwrap_or_else(|| group.to_string().into());
        let alike = self.shapes.values().filter_map(|groups| groups.get(&group));
        let points = alike.map(|shape| &shape.points).find(|points| points.are_of(&device.points)).cloned();
        Shape {
            topic: self.topics.readings(device.name.as_str(), &name),
            points: points.unwrap_or_else(|| Arc::new(Points::new(&device.points, |point| point.group == group))),
        }
    }
}

fn begin(json: &mut Json, at: SiteTime, sequence: u64) -> &mut Json {
    json.clear().open().key("ts").time(at).key("seq").integer(sequence)
}

fn end(json: &mut Json) -> Bytes {
    Bytes::copy_from_slice(json.close().bytes())
}
