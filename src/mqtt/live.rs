//! Live state: the latest of the site, of each device and of the decision, retained, sent when it changed and at most once
//! a round (a device's values: every fifth). Never queued: what is sent is what holds when the connection has room for it.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;

use super::site::{Capacities, write_site};
use crate::clock::Moment;
use crate::control::Decision;
use crate::reading::DeviceName;
use crate::state::{DeviceState, Snapshot};
use crate::telemetry::{Json, Points, Topics, write_decision};

/// A retained message; an empty payload takes the topic away.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: Arc<str>,
    pub(super) payload: Bytes,
}

/// What the broker has been told, and what is to be told in this round.
pub(super) struct Live {
    topics: Topics,
    capacities: Capacities,
    site: Told,
    decision: Told,
    devices: BTreeMap<DeviceName, Device>,
    round: u64,
    next: Step,
    body: Json,
    message: Json,
}

/// What the broker has been told on one topic, as a hash.
struct Told {
    topic: Arc<str>,
    hash: Option<u64>,
}

struct Device {
    told: Told,
    /// Shared by all devices of one kind.
    points: Arc<Points>,
    link_since: Moment,
    /// The last round in which the device was there.
    round: u64,
}

/// A device is looked at each so many rounds, at once when its link has changed: with hundreds of devices the live state
/// would else cost as much as the records.
const DEVICE_ROUNDS: u64 = 5;

/// Where a round stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Site,
    Decision,
    Device(usize),
    Gone,
    Done,
}

impl Live {
    pub(super) fn new(topics: Topics, capacities: Capacities) -> Self {
        Self {
            site: Told { topic: topics.site_state(), hash: None },
            decision: Told { topic: topics.decision(), hash: None },
            devices: BTreeMap::new(),
            topics,
            capacities,
            round: 0,
            next: Step::Done,
            body: Json::default(),
            message: Json::default(),
        }
    }

    /// A new session: the broker may have forgotten all of it.
    pub(super) fn forget(&mut self) {
        self.site.hash = None;
        self.decision.hash = None;
        self.devices.values_mut().for_each(|device| device.told.hash = None);
        self.next = Step::Done;
    }

    /// Begins a round, unless the last one still waits for room.
    pub(super) fn begin_round(&mut self) {
        if self.next == Step::Done {
            self.round += 1;
            self.next = Step::Site;
        }
    }

    /// Nothing is to be said before the next round.
    pub(super) fn is_done(&self) -> bool {
        self.next == Step::Done
    }

    /// The next message of this round, as things stand `now`; `None` when the round is done.
    pub(super) fn next(&mut self, snapshot: &Snapshot, decision: &Decision, now: Moment) -> Option<Message> {
        loop {
            let step = self.next;
            self.next = match step {
                Step::Site => Step::Decision,
                Step::Decision => Step::Device(0),
                Step::Device(index) if index < snapshot.devices.len() => Step::Device(index + 1),
                Step::Device(_) => Step::Gone,
                Step::Gone | Step::Done => step,
            };
            let message = match step {
                Step::Site => self.tell_site(snapshot, now),
                Step::Decision => self.tell_decision(decision),
                Step::Device(index) => {
                    snapshot.devices.get(index).and_then(|device| self.tell_device(index, device, now))
                }
                Step::Gone => {
                    let gone = self.gone();
                    if gone.is_none() {
                        self.next = Step::Done;
                    }
                    gone
                }
                Step::Done => return None,
            };
            if message.is_some() {
                return message;
            }
        }
    }

    fn tell_site(&mut self, snapshot: &Snapshot, now: Moment) -> Option<Message> {
        write_site(self.body.clear(), snapshot, &self.capacities, now);
        self.message.clear().open().key("ts").time(now.site);
        changed(&mut self.site, &self.body, &mut self.message)
    }

    fn tell_decision(&mut self, decision: &Decision) -> Option<Message> {
        if decision.serial == 0 {
            return None; // Nothing was decided yet.
        }
        write_decision(self.body.clear(), decision);
        self.message.clear().open().key("ts").time(decision.at.site);
        changed(&mut self.decision, &self.body, &mut self.message)
    }

    fn tell_device(&mut self, index: usize, state: &DeviceState, now: Moment) -> Option<Message> {
        if !self.devices.get(&state.name).is_some_and(|known| known.points.are_of(&state.points)) {
            let hash = self.devices.get(&state.name).and_then(|known| known.told.hash);
            let told = Told { topic: self.topics.device_state(state.name.as_str()), hash };
            let alike = self.devices.values().map(|device| &device.points).find(|points| points.are_of(&state.points));
            let points = alike.cloned().unwrap_or_else(|| Arc::new(Points::new(&state.points, |_| true)));
            self.devices
                .insert(state.name.clone(), Device { told, points, link_since: state.link_since, round: self.round });
        }
        let device = self.devices.get_mut(&state.name)?;
        device.round = self.round;
        let due = (self.round + index as u64).is_multiple_of(DEVICE_ROUNDS);
        if !due && device.told.hash.is_some() && device.link_since == state.link_since {
            return None;
        }
        device.link_since = state.link_since;
        write_device(self.body.clear(), state, &device.points, now);
        self.message.clear().open().key("ts").time(now.site);
        if let Some(read) = state.last_success {
            self.message.key("last_success").time(read.site);
        }
        changed(&mut device.told, &self.body, &mut self.message)
    }

    /// A device that is no longer there: its topic must not go on showing its last state.
    fn gone(&mut self) -> Option<Message> {
        let round = self.round;
        let name = self.devices.iter().find(|(_, device)| device.round != round).map(|(name, _)| name.clone())?;
        let device = self.devices.remove(&name)?;
        Some(Message { topic: device.told.topic, payload: Bytes::new() })
    }
}

/// `message` holds what changes always (times), `body` what makes a message worth sending.
fn changed(told: &mut Told, body: &Json, message: &mut Json) -> Option<Message> {
    let mut hasher = DefaultHasher::new();
    body.bytes().hash(&mut hasher);
    let hash = Some(hasher.finish());
    if told.hash == hash {
        return None;
    }
    told.hash = hash;
    message.members(body.bytes()).close();
    Some(Message { topic: told.topic.clone(), payload: Bytes::copy_from_slice(message.bytes()) })
}

fn write_device(json: &mut Json, state: &DeviceState, points: &Points, now: Moment) {
    use crate::bus::{LinkState, SetpointState};
    let (link, reason) = match &state.link {
        LinkState::Starting => ("starting", None),
        LinkState::Up => ("up", None),
        LinkState::Down { reason } => ("down", Some(reason)),
        LinkState::Asleep => ("asleep", None),
    };
    json.key("link").text(link).key("link_since").time(state.link_since.site);
    if let Some(reason) = reason {
        json.key("link_reason").text(reason);
    }
    points.write(json, &state.values, |spec, reading| Some(reading.quality(now, state.limit_of(spec))));
    json.key("setpoints").open_list();
    for report in &state.setpoints {
        let (word, detail) = match &report.state {
            SetpointState::Written => ("written", None),
            SetpointState::Confirmed => ("confirmed", None),
            SetpointState::Refused(why) => ("refused", Some(why)),
            SetpointState::Failed(why) => ("failed", Some(why)),
            SetpointState::SafeWritten => ("safe-written", None),
            SetpointState::SafeConfirmed => ("safe-confirmed", None),
        };
        json.open().key("control").text(&report.control).key("value").optional(report.value, 1);
        json.key("state").text(word);
        if let Some(detail) = detail {
            json.key("detail").text(detail);
        }
        json.key("writes_today").integer(u64::from(report.writes_today)).close();
    }
    json.close_list();
}
