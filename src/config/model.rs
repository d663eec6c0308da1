//! A valid config: what the daemon runs on.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::RuleConfig;
use crate::bus::{Address, SafeState};
use crate::profile::{Overrides, Profile};
use crate::reading::DeviceName;
use crate::units::{Soc, WattHours, Watts};

/// The whole config. Equal parts need no restart on reload.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[site]`.
    pub site: Site,
    /// `[[device]]`, in the order of the file. Devices with the same address share a bus.
    pub devices: Vec<DeviceConfig>,
    /// `[[rule]]`, top to bottom.
    pub rules: Vec<RuleConfig>,
    /// `[tariff]`.
    pub tariff: Tariff,
    /// `[control]`.
    pub control: ControlConfig,
    /// `[mqtt]`; without it nothing is published.
    pub mqtt: Option<MqttConfig>,
    /// `[http]`; `listen = "off"` turns it off.
    pub http: Option<HttpConfig>,
    /// `[telemetry]`.
    pub telemetry: TelemetryConfig,
    /// Where state is kept: `state_dir`, else systemd's STATE_DIRECTORY, else `/var/lib/wattkeeper`.
    pub state_dir: PathBuf,
    /// Folder of the site's own profiles, where there is one.
    pub profile_folder: Option<PathBuf>,
}

/// `[site]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Its name; part of topics and client ids, so letters, digits, `-`, `_` and `.` only.
    pub name: Arc<str>,
    /// Windows, months and days of tariffs are reckoned in it.
    pub time_zone: jiff::tz::TimeZone,
}

/// What a device is to the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The meter at the connection point; at most one.
    GridMeter,
    /// Measures PV.
    PvMeter,
    /// Measures loads.
    LoadMeter,
    /// A PV inverter.
    Pv,
    /// A battery.
    Battery,
    /// An EV charger.
    Charger,
    /// A heat pump.
    HeatPump,
    /// Contacts.
    Relay,
}

impl Role {
    /// All, with the words of the config.
    pub const ALL: [(&'static str, Self); 8] = [
        ("grid-meter", Self::GridMeter),
        ("pv-meter", Self::PvMeter),
        ("load-meter", Self::LoadMeter),
        ("pv", Self::Pv),
        ("battery", Self::Battery),
        ("charger", Self::Charger),
        ("heat-pump", Self::HeatPump),
        ("relay", Self::Relay),
    ];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::ALL.iter().find(|(_, role)| role == self).map_or("", |(name, _)| name))
    }
}

/// One `[[device]]`.
#[derive(Clone, Debug)]
pub struct DeviceConfig {
    /// Unique name.
    pub name: DeviceName,
    /// What it is to the site.
    pub roles: BTreeSet<Role>,
    /// Its profile; `None` only for a described device without an address.
    pub profile: Option<Arc<Profile>>,
    /// Where it is; `None` for a described device (replay, simulate, demo run it as a plant).
    pub address: Option<Address>,
    /// Modbus unit id.
    pub unit_id: u8,
    /// For a meter: the device whose power it measures, so that nothing counts twice.
    pub measures: Option<DeviceName>,
    /// Changes to the profile.
    pub overrides: Overrides,
    /// Usable size of a battery between 0 and 100 % SoC.
    pub capacity: Option<WattHours>,
    /// Most charging power, as a positive number.
    pub charge_max: Option<Watts>,
    /// Most discharging power.
    pub discharge_max: Option<Watts>,
    /// Least power of a battery other than 0.
    pub min_power: Watts,
    /// Discharged to here at the least.
    pub soc_min: Soc,
    /// Charged to here at the most.
    pub soc_max: Soc,
    /// Fastest change of the setpoint, in W a second; `None` = at once.
    pub ramp: Option<Watts>,
    /// Where it goes when nobody may tell it anything.
    pub safe_state: SafeState,
    /// Readings older than this are stale; default 3 poll intervals, at most 10 s.
    pub max_age: Option<Duration>,
    /// How replay, simulate and demo model it.
    pub plant: PlantConfig,
}

impl DeviceConfig {
    /// A described device with the defaults of every key.
    pub fn new(name: impl Into<Arc<str>>, roles: impl IntoIterator<Item = Role>) -> Self {
        Self {
            name: DeviceName::new(name),
            roles: roles.into_iter().collect(),
            profile: None,
            address: None,
            unit_id: 1,
            measures: None,
            overrides: Overrides::default(),
            capacity: None,
            charge_max: None,
            discharge_max: None,
            min_power: Watts::ZERO,
            soc_min: Soc::from_percent(10.0),
            soc_max: Soc::FULL,
            ramp: None,
            safe_state: SafeState::Release,
            max_age: None,
            plant: PlantConfig::default(),
        }
    }
}

/// `[device.plant]`.
#[derive(Clone, Debug, PartialEq)]
pub struct PlantConfig {
    /// Share of the charged AC energy that is stored, 0..1.
    pub charge_efficiency: f64,
    /// Share of the stored energy that comes out, 0..1.
    pub discharge_efficiency: f64,
    /// Own consumption, always.
    pub standby: Watts,
    /// Dead time of a setpoint.
    pub response_delay: Duration,
    /// Fastest change of power, W a second; `None` = at once.
    pub ramp: Option<Watts>,
    /// SoC at the start.
    pub initial_soc: Soc,
}

impl Default for PlantConfig {
    fn default() -> Self {
        Self {
            charge_efficiency: 0.95,
            discharge_efficiency: 0.95,
            standby: Watts::ZERO,
            response_delay: Duration::from_millis(300),
            ramp: None,
            initial_soc: Soc::from_percent(50.0),
        }
    }
}

/// `[tariff]`. Prices are per kWh and kW in the site's own currency.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tariff {
    /// Price of an imported kWh.
    pub import: Option<f64>,
    /// Price paid for an exported kWh.
    pub export: Option<f64>,
    /// Price of a kW of each period's highest demand window.
    pub demand_charge: Option<f64>,
    /// How long a billed peak counts.
    pub demand_period: DemandPeriod,
    /// What this period's bill already holds, when installed in mid-period.
    pub billed_peak: Option<Watts>,
    /// Currency, from the price's unit.
    pub currency: Option<Arc<str>>,
}

/// How long a billed peak counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DemandPeriod {
    /// Calendar month of the site's time zone.
    #[default]
    Month,
    /// Calendar year.
    Year,
    /// For good.
    Term,
}

/// `[control]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlConfig {
    /// Off: decides, logs and publishes what it would do, and writes nothing.
    pub enabled: bool,
    /// Decides at the latest this often, so that silence is decided on too. Default 1 s.
    pub interval: Duration,
    /// How long a setpoint holds without a new decision. Default 15 s.
    pub lease: Duration,
}

/// `[mqtt]`.
#[derive(Clone, Debug, PartialEq)]
pub struct MqttConfig {
    /// Host name or IP.
    pub host: String,
    /// Port; 1883, or 8883 with TLS.
    pub port: u16,
    /// TLS (`mqtts://`).
    pub tls: Option<MqttTls>,
    /// User.
    pub username: Option<String>,
    /// Password, read from its file.
    pub password: Option<Secret>,
    /// Default `wattkeeper-SITE`.
    pub client_id: String,
    /// Default `wattkeeper/SITE`.
    pub topic_prefix: String,
    /// Keep-alive, at least 5 s.
    pub keep_alive: Duration,
    /// QoS of telemetry: 0 or 1.
    pub telemetry_qos: u8,
}

/// Files of a TLS connection.
#[derive(Clone, Debug, PartialEq)]
pub struct MqttTls {
    /// CA certificates (PEM); without it the system's.
    pub ca_file: Option<PathBuf>,
    /// Client certificate chain and key (PEM).
    pub client: Option<(PathBuf, PathBuf)>,
}

/// `[http]`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpConfig {
    /// Default `127.0.0.1:9810`.
    pub listen: SocketAddr,
}

/// `[telemetry]`.
#[derive(Clone, Debug, PartialEq)]
pub struct TelemetryConfig {
    /// Most bytes that wait for the broker; beyond it the oldest are dropped, counted.
    pub buffer: usize,
}

/// A secret: never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// From a secret file's content, without its line end.
    pub fn new(text: &str) -> Self {
        Self(text.trim_end_matches(['\n', '\r']).to_owned())
    }

    /// For the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
