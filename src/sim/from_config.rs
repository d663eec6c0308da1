//! A site's config to a simulated site: what the daemon would find behind each address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::device::{BatterySize, MeterScope};
use super::running::Listen;
use super::server::Framing;
use super::site::{DevicePlan, Make, Model, SitePlan};
use super::world::{LoadShape, World};
use crate::bus::{Address, SerialLine};
use crate::config::{Config, DeviceConfig, PeakLimit, Role, Rule};
use crate::profile::Kind;
use crate::units::{Soc, WattHours, Watts};

/// What the config does not say.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Serve all lines here, on this port and those after it (0: free ones). Without it: the config's own loopback
    /// addresses, free ports for all others.
    pub listen: Option<SocketAddr>,
    /// Serve the config's serial lines on these, in their order; those left over as RTU over TCP.
    pub serial: Vec<PathBuf>,
    /// About the highest quarter-hour mean of the load; else derived from the peak limit or the batteries.
    pub load_peak: Option<Watts>,
    /// Peak power of all PV; else half the load's.
    pub pv_peak: Option<Watts>,
    /// Another seed, another day.
    pub seed: u64,
}

/// Demand window where no rule names one.
const WINDOW: Duration = Duration::from_secs(900);

/// Plans the site that a config describes.
///
/// # Errors
/// A sentence for each device that cannot be simulated.
pub fn site_plan(config: &Config, wanted: &Wanted) -> Result<SitePlan, Vec<String>> {
    let (limit, window) = config.rules.iter().find_map(|rule| peak_rule(&rule.rule)).unwrap_or_default();
    let battery_power: Watts = config.devices.iter().map(discharge_max).sum();
    let load_peak = wanted
        .load_peak
        .or_else(|| limit.map(|limit| limit + (limit * 0.5).min((battery_power * 0.6).max(limit * 0.2))))
        .unwrap_or_else(|| (battery_power * 2.0).max(Watts::kw(10.0)));
    let plants = config.devices.iter().filter(|device| device.roles.contains(&Role::Pv)).count().max(1);
    let pv_peak = wanted.pv_peak.unwrap_or(load_peak * 0.5) / plants as f64;

    let mut lines: Vec<(Option<&Address>, Vec<DevicePlan>)> = Vec::new();
    let mut faults = Vec::new();
    for device in &config.devices {
        let model = match model(device, pv_peak) {
            Ok(model) => model,
            Err(fault) => {
                faults.push(fault);
                continue;
            }
        };
        let plan = DevicePlan { name: device.name.clone(), unit: device.unit_id, model };
        let address = device.address.as_ref();
        match lines.iter_mut().find(|(known, _)| address.is_some() && *known == address) {
            Some((_, devices)) => devices.push(plan),
            None => lines.push((address, vec![plan])),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut serial = wanted.serial.iter();
    let lines = lines
        .into_iter()
        .enumerate()
        .map(|(nth, (address, devices))| (listen(address, wanted.listen, nth, &mut serial), devices))
        .collect();
    let world = World {
        seed: wanted.seed,
        time_zone: config.site.time_zone.clone(),
        load_peak,
        shape: LoadShape::Factory,
        pace: 1.0,
    };
    Ok(SitePlan { world, window: window.unwrap_or(WINDOW), lines })
}

fn peak_rule(rule: &Rule) -> Option<(Option<Watts>, Option<Duration>)> {
    let Rule::PeakShaving { limit, window, .. } = rule else { return None };
    let limit = if let PeakLimit::Fixed(limit) = limit { Some(*limit) } else { None };
    Some((limit, *window))
}

fn discharge_max(device: &DeviceConfig) -> Watts {
    let default = device.capacity.map_or(Watts::kw(5.0), |capacity| Watts::new(capacity.watt_hours() / 2.0));
    if device.roles.contains(&Role::Battery) { device.discharge_max.unwrap_or(default) } else { Watts::ZERO }
}

/// Makes by the ids of the profiles for them.
const MAKES: [(&str, Make); 7] = [
    ("fronius-gen24", Make::Fronius),
    ("huawei-sun2000", Make::Huawei),
    ("kostal-plenticore", Make::Kostal),
    ("sma-sunny-island", Make::Sma),
    ("sma-tripower-se", Make::Sma),
    ("solaredge-storedge", Make::SolarEdge),
    ("sungrow-sh", Make::Sungrow),
];

fn model(device: &DeviceConfig, pv_peak: Watts) -> Result<Model, String> {
    let scope = if device.roles.contains(&Role::PvMeter) {
        MeterScope::Pv
    } else if device.roles.contains(&Role::LoadMeter) {
        MeterScope::Load
    } else {
        MeterScope::Grid
    };
    let invert = device.overrides.invert;
    let hybrid_pv = device.roles.contains(&Role::Pv).then_some(pv_peak);
    let battery = device.roles.contains(&Role::Battery);
    let (id, kind) = match &device.profile {
        Some(profile) => (&*profile.id, profile.kind),
        None if battery => ("sunspec", Kind::Battery),
        None if hybrid_pv.is_some() => ("sunspec", Kind::Pv),
        None => ("none", Kind::Load),
    };
    if let Some((_, make)) = MAKES.iter().find(|(known, _)| *known == id) {
        return Ok(Model::Hybrid(*make, size(device), hybrid_pv));
    }
    match (id, kind) {
        (id, _) if id.contains("sdm630") => Ok(Model::Sdm630(scope, invert)),
        (id, _) if id.contains("victron") => Ok(Model::VictronGx(size(device))),
        (id, Kind::Meter) if id.starts_with("sunspec") => Ok(Model::SunSpecMeter(scope, invert)),
        (id, _) if id.starts_with("sunspec") && battery => Ok(Model::SunSpecStorage(size(device), hybrid_pv)),
        (id, _) if id.starts_with("sunspec") && hybrid_pv.is_some() => Ok(Model::SunSpecPv(pv_peak)),
        (id, _) if id.starts_with("sunspec") => Ok(Model::SunSpecMeter(scope, invert)),
        (_, Kind::Relay) => Ok(Model::Relay),
        _ => Err(format!(
            "`{}`: there is no simulated device for the profile `{id}`: known are SDM630, SunSpec, Victron GX, {} and relays",
            device.name,
            MAKES.map(|(id, _)| id).join(", ")
        )),
    }
}

/// A battery's size; its own SoC window is a little wider than the site's.
fn size(device: &DeviceConfig) -> BatterySize {
    let discharge_max = discharge_max(device).max(Watts::new(1.0));
    BatterySize {
        capacity: device.capacity.unwrap_or(WattHours::new(discharge_max.watts() * 2.0)),
        charge_max: device.charge_max.unwrap_or(discharge_max),
        discharge_max,
        soc: (
            (device.soc_min - Soc::from_percent(5.0)).max(Soc::EMPTY),
            (device.soc_max + Soc::from_percent(5.0)).min(Soc::FULL),
        ),
        plant: device.plant.clone(),
    }
}

fn listen<'a>(
    address: Option<&Address>,
    base: Option<SocketAddr>,
    nth: usize,
    serial: &mut impl Iterator<Item = &'a PathBuf>,
) -> Listen {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let elsewhere = match base {
        Some(base) if base.port() != 0 => {
            let port = u16::try_from(usize::from(base.port()) + nth).unwrap_or(0);
            SocketAddr::new(base.ip(), port)
        }
        Some(base) => base,
        None => free,
    };
    let own = |host: &str, port| loopback(host).filter(|_| base.is_none()).map(|ip| SocketAddr::new(ip, port));
    match address {
        None => Listen::Socket(elsewhere, Framing::Tcp),
        Some(Address::Tcp { host, port }) => Listen::Socket(own(host, *port).unwrap_or(elsewhere), Framing::Tcp),
        Some(Address::RtuTcp { host, port }) => Listen::Socket(own(host, *port).unwrap_or(elsewhere), Framing::Rtu),
        Some(Address::Rtu(line)) => match serial.next() {
            Some(path) => Listen::Serial(SerialLine { path: path.clone(), ..line.clone() }),
            None => Listen::Socket(elsewhere, Framing::Rtu),
        },
    }
}

fn loopback(host: &str) -> Option<IpAddr> {
    if host == "localhost" {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    host.trim_matches(['[', ']']).parse().ok().filter(IpAddr::is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.into(), port }
    }

    #[test]
    fn the_configs_own_loopback_is_served_and_all_else_moves_to_this_machine() {
        let here = |port| Listen::Socket(SocketAddr::from(([127, 0, 0, 1], port)), Framing::Tcp);
        let mut none = std::iter::empty();
        assert_eq!(listen(Some(&tcp("127.0.0.1", 1502)), None, 0, &mut none), here(1502));
        assert_eq!(listen(Some(&tcp("192.168.1.20", 502)), None, 0, &mut none), here(0));
        let base = Some(SocketAddr::from(([127, 0, 0, 1], 5020)));
        assert_eq!(listen(Some(&tcp("127.0.0.1", 1502)), base, 3, &mut none), here(5023));
    }

    #[test]
    fn a_serial_line_is_served_on_the_given_one_or_over_tcp() {
        let line =
            SerialLine { path: "/dev/ttyUSB0".into(), baud: 19_200, parity: crate::bus::Parity::Even, stop_bits: 1 };
        let address = Address::Rtu(line.clone());
        let paths = [PathBuf::from("/tmp/near")];
        let mut serial = paths.iter();
        let near = SerialLine { path: "/tmp/near".into(), ..line };
        assert_eq!(listen(Some(&address), None, 0, &mut serial), Listen::Serial(near));
        let over_tcp = Listen::Socket(SocketAddr::from(([127, 0, 0, 1], 0)), Framing::Rtu);
        assert_eq!(listen(Some(&address), None, 0, &mut serial), over_tcp);
    }
}
