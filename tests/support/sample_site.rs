//! A site with something of everything, and a server that shows it: for tests of what is shown.

#![allow(dead_code, reason = "each test uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wattkeeper::bus::{DeviceStats, ErrorKind, LinkState, SetpointReport, SetpointState};
use wattkeeper::clock::{Clock, Moment, Pulse};
use wattkeeper::config::{HttpConfig, Role};
use wattkeeper::control::{BoundRecord, Decision, DemandRecord, InputRecord, Outcome, Setpoint, Standing};
use wattkeeper::http::{self, HttpPorts, Listener, Loop, MqttFigures, Reload, Sources};
use wattkeeper::profile::{Counter, PointSpec, Unit};
use wattkeeper::reading::{DeviceName, Reading};
use wattkeeper::state::{
    BatteryState, DemandWindow, DeviceState, GridState, LoadState, PointValue, PvState, Snapshot, WindowMean,
};
use wattkeeper::telemetry::StoreStats;
use wattkeeper::units::{Soc, WattHours, Watts};

/// Grid import.
pub const GRID: f64 = 61_500.0;
/// PV generation.
pub const PV: f64 = 12_000.0;
/// Battery discharge.
pub const BATTERY: f64 = 8_000.0;
/// State of charge.
pub const SOC: f64 = 0.625;
/// The peak limit.
pub const LIMIT: f64 = 80_000.0;

const MAX_AGE: Duration = Duration::from_secs(10);

fn spec(name: &str, unit: Unit) -> PointSpec {
    let counter = (unit == Unit::WattHours).then_some(Counter::Total);
    PointSpec { name: name.into(), unit, group: 0, counter, wrap: None }
}

fn device(name: &str, role: Role, profile: &str, at: Moment, points: Vec<(PointSpec, PointValue)>) -> DeviceState {
    let (points, values): (Vec<_>, Vec<_>) = points.into_iter().unzip();
    DeviceState {
        name: DeviceName::new(name),
        roles: BTreeSet::from([role]),
        profile: profile.into(),
        link: LinkState::Up,
        link_since: at,
        last_success: Some(at),
        interval: Duration::from_secs(1),
        points: points.into(),
        values,
        max_age: Arc::new([MAX_AGE]),
        setpoints: Vec::new(),
    }
}

fn number(name: &str, unit: Unit, value: f64, at: Moment) -> (PointSpec, PointValue) {
    (spec(name, unit), PointValue::Number(Reading::good(value, at)))
}

fn text(name: &str, value: &str, at: Moment) -> (PointSpec, PointValue) {
    (spec(name, Unit::None), PointValue::Text(value.into(), at))
}

fn battery_report(at: Moment) -> SetpointReport {
    SetpointReport {
        control: "battery".into(),
        serial: 7,
        value: Some(BATTERY),
        takes: None,
        state: SetpointState::Confirmed,
        at,
        writes_today: 40,
        budget: Some(200),
    }
}

fn devices(at: Moment) -> Vec<Arc<DeviceState>> {
    let grid = vec![
        number("meter.power", Unit::Watts, GRID, at),
        number("meter.voltage_l1", Unit::Volts, 231.5, at),
        number("meter.current_l1", Unit::Amperes, 88.0, at),
        number("meter.frequency", Unit::Hertz, 50.01, at),
        number("meter.reactive_power", Unit::Vars, 1200.0, at),
        number("meter.apparent_power", Unit::VoltAmperes, 62_000.0, at),
        number("meter.power_factor", Unit::None, 0.98, at),
        number("meter.energy_import", Unit::WattHours, 1_234_500.0, at),
        number("meter.energy_export", Unit::WattHours, 10_000.0, at),
        text("meter.serial", "SN \"7\"", at),
        (spec("meter.never", Unit::None), PointValue::Never),
    ];
    let battery = vec![
        number("battery.power", Unit::Watts, BATTERY, at),
        number("battery.soc", Unit::Ratio, SOC, at),
        number("battery.temperature", Unit::Celsius, 24.0, at),
        (PointSpec { counter: None, ..spec("battery.energy", Unit::WattHours) }, number("", Unit::None, 19e3, at).1),
        (spec("battery.reported_nothing", Unit::Watts), PointValue::Number(Reading::invalid(at))),
    ];
    let pv = vec![number("pv.power", Unit::Watts, PV, at)];
    let mut battery = device("battery", Role::Battery, "sunspec", at, battery);
    battery.setpoints = vec![battery_report(at)];
    let mut away = device("charger", Role::Charger, "generic", at, vec![number("charger.power", Unit::Watts, 5e3, at)]);
    away.link = LinkState::Down { reason: "no answer".into() };
    vec![
        Arc::new(device("grid", Role::GridMeter, "eastron-sdm630", at, grid)),
        Arc::new(battery),
        Arc::new(device("roof", Role::Pv, "sunspec", at, pv)),
        Arc::new(away),
    ]
}

/// The site as read at `at`.
pub fn snapshot(at: Moment) -> Snapshot {
    let mut site = Snapshot {
        at,
        grid: GridState {
            meter: Some(DeviceName::new("grid")),
            power: Some(Reading::good(Watts::new(GRID), at)),
            battery: Some(Reading::good(Watts::new(BATTERY), at)),
            feed: Some(Reading::good(Watts::new(PV + BATTERY), at)),
            imported: Some(Reading::good(WattHours::new(1_234_500.0), at)),
            exported: Some(Reading::good(WattHours::new(10_000.0), at)),
            max_age: MAX_AGE,
        },
        batteries: vec![BatteryState {
            name: DeviceName::new("battery"),
            power: Some(Reading::good(Watts::new(BATTERY), at)),
            soc: Some(Reading::good(Soc::new(SOC), at)),
            max_charge: None,
            max_discharge: None,
            max_age: MAX_AGE,
            soc_max_age: MAX_AGE,
            limits_max_age: MAX_AGE,
            setpoint: Some(battery_report(at)),
        }],
        pv: vec![PvState {
            name: DeviceName::new("roof"),
            power: Some(Reading::good(Watts::new(PV), at)),
            max_age: MAX_AGE,
            measured: false,
            limit: None,
        }],
        loads: vec![LoadState {
            name: DeviceName::new("charger"),
            power: Some(Reading::good(Watts::new(5e3), at)),
            max_age: MAX_AGE,
        }],
        windows: vec![DemandWindow {
            length: Duration::from_secs(1800),
            start: at.site,
            imported: WattHours::kwh(20.0),
            unseen: Duration::from_secs(3),
            elapsed: Duration::from_secs(900),
            counter_at_start: None,
            last: Some(WindowMean { start: at.site, mean: Watts::kw(71.0), unseen: Duration::ZERO }),
        }],
        devices: devices(at),
        ..Snapshot::default()
    };
    site.clock_trusted = true;
    site
}

/// A decision at `at`: a wish, cut by the peak rule.
pub fn decision(serial: u64, at: Moment) -> Decision {
    let bound = |rule: &str, least: Option<f64>, most: Option<f64>, binding| BoundRecord {
        rule: rule.into(),
        least: least.map(Watts::new),
        most: most.map(Watts::new),
        clamped: false,
        binding,
        reason: "because".into(),
    };
    Decision {
        serial,
        at,
        standing: Standing::Controlling,
        outcome: Outcome::Target {
            rule: Some("peak-shaving".into()),
            wish: Some(Watts::kw(95.0)),
            target: Watts::kw(77.0),
            battery: Watts::new(BATTERY),
            reason: "peak-shaving holds the window".into(),
        },
        bounds: vec![
            bound("grid-limit", Some(-30e3), Some(120e3), false),
            bound("grid-limit", None, Some(110e3), false),
            bound("peak-shaving", None, Some(77e3), true),
        ],
        range: (Watts::kw(-30.0), Watts::kw(77.0)),
        demand: Some(DemandRecord {
            limit: Watts::new(LIMIT),
            imported: WattHours::kwh(20.0),
            projection: Watts::kw(76.0),
            allowed: Watts::kw(79.0),
            left: Duration::from_secs(900),
            billed_peak: Watts::kw(64.0),
        }),
        inputs: vec![InputRecord { name: "grid.power".into(), value: Some(GRID), age: Duration::from_millis(20) }],
        setpoints: vec![Setpoint {
            device: DeviceName::new("battery"),
            control: "battery".into(),
            value: Some(BATTERY),
            reason: "its share".into(),
        }],
    }
}

/// Before anything was decided.
pub fn no_decision() -> Decision {
    Decision {
        serial: 0,
        at: Moment::default(),
        standing: Standing::NotControlling("starting".into()),
        outcome: Outcome::None { reason: "starting".into() },
        bounds: Vec::new(),
        range: (Watts::new(f64::NEG_INFINITY), Watts::new(f64::INFINITY)),
        demand: None,
        inputs: Vec::new(),
        setpoints: Vec::new(),
    }
}

/// Counters, MQTT, store, loops.
pub fn sources(clock: &Clock) -> Sources {
    let stats = |errors: usize| {
        let stats = DeviceStats::default();
        (0..100).for_each(|n| {
            stats.request();
            stats.answer(Duration::from_millis(n));
        });
        (0..errors).for_each(|_| stats.error(ErrorKind::Timeout));
        stats.wrote(40);
        Arc::new(stats)
    };
    let now = clock.now();
    let pulse = Pulse::default();
    pulse.mark(now.io);
    Sources {
        site: "town-hall".into(),
        rules: ["grid-limit", "peak-shaving", "self-consumption"].map(Into::into).into(),
        stats: BTreeMap::from([
            (DeviceName::new("grid"), stats(0)),
            (DeviceName::new("battery"), stats(3)),
            (DeviceName::new("roof"), stats(0)),
            (DeviceName::new("charger"), stats(9)),
        ]),
        store: Some(Arc::new(|| StoreStats { records: 12, bytes: 3400, dropped: 0, last: 512 })),
        mqtt: Some(Arc::new(|| MqttFigures {
            connected: true,
            connects: 2,
            published: 505,
            acknowledged: 500,
            refused: 0,
            inflight: 5,
            last_error: None,
        })),
        loops: vec![Loop { name: "hub".into(), pulse, limit: Duration::from_secs(3600) }],
        reload: Reload { successful: true, at: now.site },
    }
}

/// A server on loopback and the ends that feed it.
pub struct Shown {
    pub address: SocketAddr,
    pub clock: Clock,
    pub snapshot: watch::Sender<Arc<Snapshot>>,
    pub decision: watch::Sender<Arc<Decision>>,
    pub sources: watch::Sender<Arc<Sources>>,
    pub stop: CancellationToken,
    pub server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Shown {
    /// Shows nothing yet: no snapshot, no decision, no figures.
    pub async fn empty() -> Self {
        Self::with(|_| {}).await
    }

    /// Shows nothing yet, with changes to the listener.
    pub async fn with(change: impl FnOnce(&mut Listener)) -> Self {
        let clock = Clock::system();
        let config = HttpConfig { listen: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let mut listener = http::bind(&config).await.unwrap();
        change(&mut listener);
        let address = listener.address();
        let (snapshot, snapshots) = watch::channel(Arc::new(Snapshot::default()));
        let (decision, decisions) = watch::channel(Arc::new(no_decision()));
        let (sources, all_sources) = watch::channel(Arc::new(Sources::default()));
        let stop = CancellationToken::new();
        let ports = HttpPorts {
            snapshot: snapshots,
            decision: decisions,
            sources: all_sources,
            clock: clock.clone(),
            stop: stop.clone(),
        };
        let server = tokio::spawn(http::run(listener, ports));
        Self { address, clock, snapshot, decision, sources, stop, server }
    }

    /// Shows the whole sample.
    pub async fn full() -> Self {
        let shown = Self::empty().await;
        // Readings lie a little after the clock's start, so that a snapshot of that time is none of the first moment.
        tokio::time::sleep(Duration::from_millis(5)).await;
        shown.sources.send_replace(Arc::new(sources(&shown.clock)));
        shown.refresh(1).await;
        shown
    }

    /// New readings and a new decision, as of now.
    pub async fn refresh(&self, serial: u64) {
        let now = self.clock.now();
        self.snapshot.send_replace(Arc::new(snapshot(now)));
        self.decision.send_replace(Arc::new(decision(serial, now)));
        // The server counts decisions as they come.
        tokio::task::yield_now().await;
    }
}
