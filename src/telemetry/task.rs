//! The task that makes records of what was read, decided and noticed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
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
    /// Topics of the site.
    pub topics: Topics,
    /// Names of each device's groups, see [`group_names`].
    pub groups: BTreeMap<DeviceName, Vec<Arc<str>>>,
    /// Where records go.
    pub outbox: Arc<Outbox>,
    /// From the hub.
    pub notes: mpsc::Receiver<Note>,
    /// From control: every decision.
    pub decisions: mpsc::Receiver<Arc<Decision>>,
    /// Ends the task once what is queued has become records.
    pub stop: CancellationToken,
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
    let mut writer = Writer::new(ports.topics, ports.groups, ports.outbox);
    let (mut notes, mut decisions) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
    let (mut notes_open, mut decisions_open) = (true, true);
    while notes_open || decisions_open {
        tokio::select! {
            count = ports.notes.recv_many(&mut notes, BATCH), if notes_open => notes_open = count > 0,
            count = ports.decisions.recv_many(&mut decisions, BATCH), if decisions_open => decisions_open = count > 0,
            () = ports.stop.cancelled() => break,
        }
        notes.drain(..).for_each(|note| writer.note(&note));
        decisions.drain(..).for_each(|decision| writer.decision(&decision));
    }
    while let Ok(note) = ports.notes.try_recv() {
        writer.note(&note);
    }
    while let Ok(decision) = ports.decisions.try_recv() {
        writer.decision(&decision);
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
    points: Points,
}

impl Writer {
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
        Shape {
            topic: self.topics.readings(device.name.as_str(), &name),
            points: Points::new(&device.points, |point| point.group == group),
        }
    }
}

fn begin(json: &mut Json, at: SiteTime, sequence: u64) -> &mut Json {
    json.clear().open().key("ts").time(at).key("seq").integer(sequence)
}

fn end(json: &mut Json) -> Bytes {
    Bytes::copy_from_slice(json.close().bytes())
}
