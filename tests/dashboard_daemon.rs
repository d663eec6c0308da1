//! The dashboard and the alert rules against a real Prometheus that scrapes the real daemon, a process that runs against
//! simulated devices: every query has an answer, and what it shows is what is really so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    reason = "tests fail by panic; each takes of the support what it needs"
)]

#[path = "support/ask.rs"]
mod ask;
#[path = "support/dashboard.rs"]
mod dashboard;
#[path = "support/process.rs"]
mod process;
#[path = "support/prometheus.rs"]
mod prometheus;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use process::Daemon;
use prometheus::{Prometheus, Sample};
use tokio_util::sync::CancellationToken;
use wattkeeper::bus::Address;
use wattkeeper::clock::{Clock, SiteTime};
use wattkeeper::config::PlantConfig;
use wattkeeper::sim::device::{BatterySize, MeterScope};
use wattkeeper::sim::{AnyFault, Broker, DevicePlan, Fault, Listen, LoadShape, Model, Running, SitePlan, Truth, World};
use wattkeeper::units::{Soc, WattHours, Watts};

/// The demand window of this site: the shortest there is, so that some are complete soon.
const WINDOW: u64 = 60;

/// A site with all that the dashboard shows: PV at noon, two batteries, one of whose registers wear, a broker.
struct Site {
    runtime: tokio::runtime::Runtime,
    running: Running,
    broker: u16,
    clock: Clock,
    stop: CancellationToken,
}

impl Site {
    fn start() -> Self {
        let battery = |soc| BatterySize {
            capacity: WattHours::kwh(50.0),
            charge_max: Watts::kw(20.0),
            discharge_max: Watts::kw(20.0),
            soc: (Soc::from_percent(5.0), Soc::FULL),
            plant: PlantConfig { initial_soc: Soc::from_percent(soc), ..PlantConfig::default() },
        };
        let devices = [
            DevicePlan::new("grid", Model::Sdm630(MeterScope::Grid, false)),
            DevicePlan::new("roof", Model::SunSpecPv(Watts::kw(40.0))),
            DevicePlan::new("hall", Model::SunSpecStorage(battery(60.0), None)),
            DevicePlan::new("office", Model::VictronGx(battery(70.0))),
        ];
        let clock = Clock::system();
        let plan = SitePlan {
            world: World {
                seed: 1,
                time_zone: where_it_is_noon(clock.now().site),
                load_peak: Watts::kw(100.0),
                shape: LoadShape::Constant,
                pace: 1.0,
            },
            window: Duration::from_secs(WINDOW),
            lines: devices.into_iter().map(|device| (Listen::loopback(), vec![device])).collect(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let stop = CancellationToken::new();
        let (running, broker) = runtime.block_on(async {
            let (building, lines) = plan.build(clock.now(), 1.0);
            let broker = Broker::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let port = broker.address().port();
            tokio::spawn(broker.run(stop.clone()));
            (Running::start(building, lines, clock.clone()).await.unwrap(), port)
        });
        Self { runtime, running, broker, clock, stop }
    }

    fn config(&self, folder: &Path) -> String {
        let address = |name| self.running.address(name).map(Address::to_string).unwrap();
        let sunspec = Command::new(env!("CARGO_BIN_EXE_wattkeeper")).args(["profiles", "sunspec", "--toml"]).output();
        // The same device, but for registers that wear, so that there is a budget to show.
        let wearing = String::from_utf8(sunspec.unwrap().stdout).unwrap();
        let wearing = wearing.replacen("id = \"sunspec\"", "id = \"wearing\"", 1);
        let wearing = wearing.replacen("class = \"ram\"", "class = \"flash\"\nbudget = 50000", 1);
        std::fs::create_dir_all(folder.join("profiles")).unwrap();
        std::fs::write(folder.join("profiles/wearing.toml"), wearing).unwrap();
        let mut config = format!(
            "state_dir = \"state\"\n[site]\nname = \"yard\"\ntime_zone = \"UTC\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[mqtt]\nbroker = \"mqtt://127.0.0.1:{}\"\n\
             [control]\nenabled = true\ninterval = \"200 ms\"\nlease = \"2 s\"\n\
             [[rule]]\nkind = \"peak-shaving\"\nlimit = \"50 kW\"\nwindow = \"1 min\"\nhold = \"20 %\"\n\
             [[rule]]\nkind = \"self-consumption\"\n",
            self.broker
        );
        let battery = "capacity = \"50 kWh\"\ncharge_max = \"20 kW\"\ndischarge_max = \"20 kW\"\n";
        for (name, role, profile, more) in [
            ("grid", "grid-meter", "eastron-sdm630", "gap = \"0 ms\"\n"),
            ("roof", "pv", "sunspec", ""),
            ("hall", "battery", "wearing", battery),
            ("office", "battery", "victron-gx", battery),
        ] {
            config += &format!(
                "[[device]]\nname = \"{name}\"\nrole = \"{role}\"\nprofile = \"{profile}\"\naddress = \"{}\"\n\
                 interval = \"200 ms\"\nmax_age = \"2 s\"\n{more}",
                address(name)
            );
        }
        config
    }

    fn truth(&self) -> Truth {
        self.running.truth()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A place where the sun stands high at this moment.
fn where_it_is_noon(now: SiteTime) -> jiff::tz::TimeZone {
    let hour = now.as_second().rem_euclid(86_400) / 3600;
    jiff::tz::TimeZone::fixed(jiff::tz::offset(i8::try_from(12 - hour).unwrap()))
}

/// One scrape of what the comparison needs.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    async fn of(prometheus: &Prometheus) -> Self {
        let samples = prometheus.query("{job=\"wattkeeper\",__name__=~\"wattkeeper_.*\"}").await.unwrap();
        let key = |sample: &Sample| {
            let labels = ["source", "device", "direction", "window"].map(|label| sample.labels.get(label).cloned());
            [sample.labels.get("__name__").cloned(), labels.into_iter().flatten().next()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" ")
        };
        Self(samples.iter().map(|sample| (key(sample), sample.value)).collect())
    }

    fn get(&self, key: &str) -> f64 {
        self.0.get(&format!("wattkeeper_{key}")).copied().unwrap_or(f64::NAN)
    }
}

/// What differs between a scrape and the truth by more than the loop's own speed explains.
fn differences(scrape: &Scrape, truth: &Truth) -> Vec<String> {
    let device = |name: &str| *truth.device(name).unwrap();
    let watts = |key: &str, truth: Watts| (key.to_owned(), truth.watts(), 600.0 + 0.01 * truth.watts().abs());
    // Both devices measure their battery at the cells: 5 % of its power are lost on the way to the busbar.
    let lossy = |key: &str, truth: Watts| (key.to_owned(), truth.watts(), 600.0 + 0.06 * truth.watts().abs());
    let ratio = |key: &str, truth: Soc| (key.to_owned(), truth.ratio(), 0.006);
    let last = truth.with.windows.last().map_or(f64::NAN, |(_, mean)| mean.watts());
    [
        watts("site_power_watts grid", truth.balance.grid),
        watts("site_power_watts pv", truth.balance.pv),
        lossy("site_power_watts battery", truth.balance.battery),
        ("site_power_watts consumption".to_owned(), truth.balance.load.watts(), 600.0 + 0.06 * 40e3),
        watts("pv_power_watts roof", device("roof").pv),
        lossy("battery_power_watts hall", device("hall").battery),
        lossy("battery_power_watts office", device("office").battery),
        ratio("battery_soc_ratio hall", device("hall").soc.unwrap()),
        ratio("battery_soc_ratio office", device("office").soc.unwrap()),
        ("demand_window_last_watts 60".to_owned(), last, 0.02 * last),
    ]
    .into_iter()
    .filter_map(|(key, truth, tolerance)| {
        let shown = scrape.get(&key);
        let near = (shown - truth).abs() <= tolerance;
        (!near).then(|| format!("{key}: {shown} is shown where {truth} is true"))
    })
    .collect()
}

async fn every_rule_is_healthy(prometheus: &Prometheus) {
    for _ in 0..300 {
        let answer = ask::get(prometheus.address, "/api/v1/rules").await;
        let rules: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let rules = rules["data"]["groups"][0]["rules"].as_array().expect("our group of rules").clone();
        assert!(rules.len() > 5 && rules.iter().all(|rule| rule["health"] != "err"), "{rules:#?}");
        if rules.iter().all(|rule| rule["health"] == "ok") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the rules were never evaluated");
}

/// Import counted by the meter, as shown and in truth, in Wh.
async fn imported(prometheus: &Prometheus, site: &Site) -> (f64, f64) {
    let shown = prometheus.value("wattkeeper_energy_joules_total{device=\"grid\",point=\"meter.energy_import\"}").await;
    (shown / 3600.0, site.truth().with.imported.watt_hours())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_shows_the_real_daemon_and_what_is_really_so() {
    let site = std::thread::spawn(Site::start).join().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path(), &site.config(folder.path()));
    daemon.wait_for_control("controlling");
    let prometheus = Prometheus::scraping(&[daemon.http()]).await;
    prometheus.wait_for_scrapes(1).await;
    let (shown_before, true_before) = imported(&prometheus, &site).await;
    every_rule_is_healthy(&prometheus).await;

    // The running window, held against the meter of the simulator from its beginning on.
    let window = Duration::from_secs(WINDOW);
    let left = window
        - Duration::from_nanos(site.clock.now().site.as_nanosecond().rem_euclid(window.as_nanos() as i128) as u64);
    tokio::time::sleep(left).await;
    let begun = site.truth().with.imported;
    tokio::time::sleep(window.mul_f64(0.6)).await;
    let energy = prometheus.value("wattkeeper_demand_window_energy_joules{window=\"60\"}").await / 3600.0;
    let truth = (site.truth().with.imported - begun).watt_hours();
    // A scrape is a second old at most, and the meter a little more: 100 kW over that are 40 Wh.
    assert!((energy - truth).abs() < 0.02 * truth + 40.0, "{energy} Wh are shown, {truth} Wh are true");

    // Its end: the first window that was seen whole.
    for _ in 0..WINDOW {
        if daemon.metric("wattkeeper_demand_window_last_watts{window=\"60\"}").is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let failures = dashboard::failures(&prometheus, &daemon.http().to_string()).await;
    assert!(failures.is_empty(), "{failures:#?}");

    let mut wrong = Vec::new();
    for _ in 0..2 * WINDOW {
        wrong = differences(&Scrape::of(&prometheus).await, &site.truth());
        if wrong.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");

    let (shown, true_now) = imported(&prometheus, &site).await;
    let (shown, truth) = (shown - shown_before, true_now - true_before);
    assert!((shown - truth).abs() < 0.02 * truth + 60.0, "the counter grew by {shown} Wh, {truth} Wh were drawn");

    // Nothing controls without a meter: the alert's own expression becomes true, and the alert pends.
    let silent = "wattkeeper_control_state{state=\"not-controlling\"} == 1";
    assert!(prometheus.query(silent).await.unwrap().is_empty());
    assert!(site.running.fault("grid", AnyFault::Device(Fault::Silent)));
    prometheus.wait_for(silent, |samples| samples.len() == 1).await;
    prometheus.wait_for("ALERTS{alertname=\"WattkeeperNotControlling\"}", |samples| samples.len() == 1).await;
    prometheus.wait_for("wattkeeper_site_power_watts{source=\"grid\"}", |samples| samples.is_empty()).await;
    let devices = prometheus.query("wattkeeper_device_up").await.unwrap();
    assert_eq!(devices.len(), 4, "a device that is away keeps its health");
    // A runtime must not be dropped inside another.
    std::thread::spawn(move || drop((daemon, site))).join().unwrap();
}
