//! `/api/v1/state`: the site, every device, the last decision and why, as JSON (`docs/api.md`).

use std::sync::Arc;

use serde::Serialize;

use super::HttpPorts;
use super::sources::{MqttFigures, REVISION, VERSION};
use super::view::{View, Viewer};
use crate::bus::{LinkState, SetpointReport};
use crate::clock::{Moment, SiteTime};
use crate::config::Role;
use crate::control::{BoundRecord, Decision, DemandRecord, InputRecord, Outcome, Setpoint, Standing};
use crate::state::{DemandWindow, DeviceState, PointValue, SitePower};
use crate::units::{WattHours, Watts};

#[derive(Serialize)]
struct State<'a> {
    version: &'static str,
    revision: &'static str,
    site: Site<'a>,
    devices: Vec<Device<'a>>,
    control: Option<Control<'a>>,
    demand: Option<DemandRecord>,
    windows: Vec<Window>,
    mqtt: Option<MqttFigures>,
    telemetry: Option<Telemetry>,
    loops: Vec<Turning<'a>>,
}

#[derive(Serialize)]
struct Site<'a> {
    name: &'a str,
    now: SiteTime,
    clock_trusted: bool,
    snapshot_age_seconds: Option<f64>,
    power: SitePower,
}

#[derive(Serialize)]
struct Device<'a> {
    name: &'a str,
    roles: Vec<Role>,
    profile: &'a str,
    link: &'a LinkState,
    link_since: SiteTime,
    last_success: Option<SiteTime>,
    points: Vec<Point<'a>>,
    setpoints: &'a [SetpointReport],
}

#[derive(Serialize)]
struct Point<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    unit: &'static str,
    value: Option<Shown>,
    quality: &'static str,
    age_seconds: Option<f64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Shown {
    Number(f64),
    Text(Arc<str>),
}

#[derive(Serialize)]
struct Control<'a> {
    serial: u64,
    at: SiteTime,
    age_seconds: f64,
    #[serde(flatten)]
    standing: &'a Standing,
    outcome: Came<'a>,
    range: Range,
    bounds: &'a [BoundRecord],
    inputs: &'a [InputRecord],
    setpoints: &'a [Setpoint],
}

/// What came out.
#[derive(Serialize)]
struct Came<'a> {
    rule: Option<&'a str>,
    wish_watts: Option<Watts>,
    target_watts: Option<Watts>,
    battery_watts: Option<Watts>,
    reason: &'a str,
}

/// An open side is `null`.
#[derive(Serialize)]
struct Range {
    least_watts: Option<f64>,
    most_watts: Option<f64>,
}

#[derive(Serialize)]
struct Window {
    length_seconds: f64,
    start: SiteTime,
    elapsed_seconds: f64,
    unseen_seconds: f64,
    imported_watt_hours: WattHours,
    last_mean_watts: Option<Watts>,
}

#[derive(Serialize)]
struct Telemetry {
    records: usize,
    bytes: usize,
    dropped: u64,
    last_sequence: u64,
}

#[derive(Serialize)]
struct Turning<'a> {
    name: &'a str,
    age_seconds: f64,
}

/// The whole state, for the local socket.
pub fn state_source(ports: &HttpPorts) -> Arc<dyn Fn() -> serde_json::Value + Send + Sync> {
    let viewer = Viewer::new(ports);
    let shown = move || state(&viewer.view()).and_then(|text| serde_json::from_str(&text));
    Arc::new(move || shown().unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() })))
}

/// The whole state.
///
/// # Errors
/// Those of the serialiser.
pub(super) fn state(view: &View) -> serde_json::Result<String> {
    let (now, snapshot, sources) = (view.now, &view.snapshot, &view.sources);
    let age = view.has_snapshot().then(|| snapshot.at.age(now).as_secs_f64());
    serde_json::to_string(&State {
        version: VERSION,
        revision: REVISION,
        site: Site {
            name: &sources.site,
            now: now.site,
            clock_trusted: snapshot.clock_trusted,
            snapshot_age_seconds: age,
            power: SitePower::of(snapshot, now),
        },
        devices: snapshot.devices.iter().map(|device| Device::new(device, now)).collect(),
        control: view.has_decision().then(|| Control::new(&view.decision, now)),
        demand: view.decision.demand,
        windows: snapshot.windows.iter().map(Window::new).collect(),
        mqtt: sources.mqtt.as_ref().map(|figures| figures()),
        telemetry: sources.store.as_ref().map(|figures| figures()).map(|store| Telemetry {
            records: store.records,
            bytes: store.bytes,
            dropped: store.dropped,
            last_sequence: store.last,
        }),
        loops: sources
            .loops
            .iter()
            .map(|watched| Turning { name: &watched.name, age_seconds: watched.age(now).as_secs_f64() })
            .collect(),
    })
}

impl<'a> Device<'a> {
    fn new(device: &'a DeviceState, now: Moment) -> Self {
        let point = |(index, value): (usize, &'a PointValue)| Point::new(device, index, value, now);
        Self {
            name: device.name.as_str(),
            roles: device.roles.iter().copied().collect(),
            profile: &device.profile,
            link: &device.link,
            link_since: device.link_since.site,
            last_success: device.last_success.map(|at| at.site),
            points: device.values.iter().enumerate().filter_map(point).collect(),
            setpoints: &device.setpoints,
        }
    }
}

impl<'a> Point<'a> {
    fn new(device: &'a DeviceState, index: usize, value: &PointValue, now: Moment) -> Option<Self> {
        let point = device.points.get(index)?;
        let (value, quality, at) = match value {
            PointValue::Never => (None, "never", None),
            PointValue::Number(reading) => {
                let quality = reading.quality(now, device.limit_of(point)).as_str();
                (reading.show().map(Shown::Number), quality, Some(reading.at()))
            }
            PointValue::Text(text, at) => (Some(Shown::Text(Arc::clone(text))), "good", Some(*at)),
        };
        let age_seconds = at.map(|at| at.age(now).as_secs_f64());
        Some(Self { name: &point.name, unit: point.unit.symbol(), value, quality, age_seconds })
    }
}

impl<'a> Control<'a> {
    fn new(decision: &'a Decision, now: Moment) -> Self {
        let finite = |power: Watts| Some(power.watts()).filter(|watts| watts.is_finite());
        Self {
            serial: decision.serial,
            at: decision.at.site,
            age_seconds: decision.at.age(now).as_secs_f64(),
            standing: &decision.standing,
            outcome: Came::new(&decision.outcome),
            range: Range { least_watts: finite(decision.range.0), most_watts: finite(decision.range.1) },
            bounds: &decision.bounds,
            inputs: &decision.inputs,
            setpoints: &decision.setpoints,
        }
    }
}

impl<'a> Came<'a> {
    fn new(outcome: &'a Outcome) -> Self {
        match outcome {
            Outcome::Target { rule, wish, target, battery, reason } => Self {
                rule: rule.as_deref(),
                wish_watts: *wish,
                target_watts: Some(*target),
                battery_watts: Some(*battery),
                reason,
            },
            Outcome::None { reason } => {
                Self { rule: None, wish_watts: None, target_watts: None, battery_watts: None, reason }
            }
        }
    }
}

impl Window {
    fn new(window: &DemandWindow) -> Self {
        Self {
            length_seconds: window.length.as_secs_f64(),
            start: window.start,
            elapsed_seconds: window.elapsed.as_secs_f64(),
            unseen_seconds: window.unseen.as_secs_f64(),
            imported_watt_hours: window.imported,
            last_mean_watts: window.last.map(|last| last.mean),
        }
    }
}
