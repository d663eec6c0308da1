//! A config as it was understood, for people: what `check` prints.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::written::shown;
use super::{Config, DeviceConfig, Role};
use crate::bus::{Address, Parity, SafeState};

/// Promised where every device that may be told something answers within half a second.
const QUICK: Duration = Duration::from_secs(3);
const QUICK_TIMEOUT: Duration = Duration::from_millis(500);
/// Exchanges that a safe state may take: the last write in flight, the release, the read-back.
const EXCHANGES: u32 = 3;

impl DeviceConfig {
    /// Longest wait for an answer, as configured, else as its profile has it.
    pub fn timeout(&self) -> Duration {
        let profile = self.profile.as_ref().map(|profile| profile.manners.timeout);
        self.overrides.timeout.or(profile).unwrap_or(Duration::from_secs(1))
    }

    /// Whether control may tell it something.
    pub fn is_told(&self) -> bool {
        let acts = self
            .roles
            .iter()
            .any(|role| matches!(role, Role::Battery | Role::Pv | Role::Charger | Role::HeatPump | Role::Relay));
        acts && self.address.is_some() && self.profile.as_ref().is_some_and(|profile| !profile.controls.is_empty())
    }
}

impl Config {
    /// The devices bus by bus. Those without an address are under `None`.
    pub fn buses(&self) -> BTreeMap<Option<&Address>, Vec<&DeviceConfig>> {
        let mut buses: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for device in &self.devices {
            buses.entry(device.address.as_ref()).or_default().push(device);
        }
        buses
    }

    /// The longest that a stop may take until every device is in its safe state, confirmed. Buses work side by side;
    /// the units of one bus one after the other: its exchange in flight, then for each device the writes, the settling,
    /// the read-back. `TimeoutStopSec` of the service must lie above it.
    pub fn stop_bound(&self) -> Duration {
        let of_bus = |devices: &Vec<&DeviceConfig>| {
            if devices.iter().all(|device| device.timeout() <= QUICK_TIMEOUT) {
                return QUICK;
            }
            let in_flight = devices.iter().map(|device| device.timeout()).max().unwrap_or_default();
            let told = devices.iter().filter(|device| device.is_told());
            let each = told.map(|device| {
                let settle = device.profile.iter().flat_map(|profile| &profile.controls).map(|control| control.settle);
                settle.sum::<Duration>() + device.timeout() * EXCHANGES
            });
            in_flight + each.sum::<Duration>()
        };
        let buses = self.buses();
        let told = buses.values().filter(|devices| devices.iter().any(|device| device.is_told()));
        told.map(of_bus).max().unwrap_or_default().max(QUICK)
    }

    /// The site as understood: bus by bus, rule by rule, then the services.
    pub fn describe(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_all(&mut out);
        out
    }

    fn write_all(&self, out: &mut String) -> std::fmt::Result {
        let zone = self.site.time_zone.iana_name().unwrap_or("UTC");
        writeln!(out, "site {}, time zone {zone}", self.site.name)?;
        self.write_devices(out)?;
        self.write_rules(out)?;
        match &self.mqtt {
            None => writeln!(out, "mqtt: off, nothing is published")?,
            Some(mqtt) => {
                let scheme = if mqtt.tls.is_some() { "mqtts" } else { "mqtt" };
                let user = mqtt.username.as_ref().map_or(String::new(), |user| format!(" as {user}"));
                let topics = &mqtt.topic_prefix;
                writeln!(out, "mqtt: {scheme}://{}:{}{user}, topics {topics}/…", mqtt.host, mqtt.port)?;
            }
        }
        match &self.http {
            None => writeln!(out, "http: off")?,
            Some(http) => writeln!(out, "http: http://{}/metrics", http.listen)?,
        }
        writeln!(out, "telemetry: at most {:.1} MB wait for the broker", self.telemetry.buffer as f64 / 1e6)?;
        writeln!(out, "state: {}", self.state_dir.display())?;
        if self.devices.iter().any(DeviceConfig::is_told) {
            writeln!(out, "at a stop every device is in its safe state within {}", shown(self.stop_bound()))
        } else {
            writeln!(out, "no device can be told anything: at a stop there is no safe state to wait for")
        }
    }

    fn write_devices(&self, out: &mut String) -> std::fmt::Result {
        if self.devices.is_empty() {
            return writeln!(out, "no devices yet");
        }
        let name = self.devices.iter().map(|device| device.name.as_str().len()).max().unwrap_or_default();
        for (address, devices) in self.buses() {
            match address {
                None => writeln!(out, "described, for replay and simulate; not contacted")?,
                Some(Address::Rtu(line)) => {
                    let parity = match line.parity {
                        Parity::None => 'N',
                        Parity::Even => 'E',
                        Parity::Odd => 'O',
                    };
                    writeln!(out, "bus rtu:{} at {} 8{parity}{}", line.path.display(), line.baud, line.stop_bits)?;
                }
                Some(address) => writeln!(out, "bus {address}")?,
            }
            for device in devices {
                let unit = device.address.as_ref().map_or(String::new(), |_| format!("unit {:>3}  ", device.unit_id));
                writeln!(out, "  {unit}{:name$}  {}", device.name, device_line(device))?;
            }
        }
        Ok(())
    }

    fn write_rules(&self, out: &mut String) -> std::fmt::Result {
        let on = if self.control.enabled {
            "on"
        } else {
            "off: decides and shows, but writes nothing until `enabled = true`"
        };
        writeln!(out, "control {on}")?;
        if self.rules.is_empty() {
            return writeln!(out, "no rules: devices are only read");
        }
        writeln!(out, "rules: limits bound, all of them first; then the topmost wish")?;
        for (index, rule) in self.rules.iter().enumerate() {
            let sort = if rule.rule.is_limit() { "limit" } else { "wish" };
            writeln!(out, "  {}. {} ({sort}): {}", index + 1, rule.rule.kind(), rule.rule)?;
        }
        Ok(())
    }
}

fn device_line(device: &DeviceConfig) -> String {
    let mut parts = Vec::new();
    let roles: Vec<_> = device.roles.iter().map(ToString::to_string).collect();
    match &device.measures {
        Some(target) if roles.is_empty() => parts.push(format!("measures {target}")),
        Some(target) => parts.push(format!("{} of {target}", roles.join(", "))),
        None => parts.push(roles.join(", ")),
    }
    if let Some(profile) = &device.profile {
        let mut groups: Vec<_> = profile.groups.iter().map(|group| (group.every, group.name.as_ref())).collect();
        groups.sort_unstable();
        if let (Some(interval), Some(fastest)) = (device.overrides.interval, groups.first_mut()) {
            fastest.0 = interval;
        }
        let groups: Vec<_> = groups.iter().map(|(every, name)| format!("{name} every {}", shown(*every))).collect();
        parts.push(format!("profile {}", profile.id));
        parts.extend((!groups.is_empty()).then(|| groups.join(", ")));
        parts.push(format!("time-out {}", shown(device.timeout())));
    }
    if device.overrides.invert {
        parts.push("sign turned".to_owned());
    }
    if device.roles.contains(&Role::Battery) {
        let most =
            |power: Option<crate::units::Watts>| power.map_or("what it reports".to_owned(), |power| power.to_string());
        parts.extend(device.capacity.map(|capacity| capacity.to_string()));
        parts.push(format!("charges {}, discharges {}", most(device.charge_max), most(device.discharge_max)));
        parts.push(format!("{:.0} to {}", device.soc_min.percent(), device.soc_max));
    }
    if device.is_told() {
        let safe = match device.safe_state {
            SafeState::Release => "release",
            SafeState::Standby => "standby",
        };
        parts.push(format!("safe state {safe}"));
    }
    parts.join("; ")
}
