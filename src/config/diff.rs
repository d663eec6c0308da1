//! What a reload touches: only that is restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Config, DeviceConfig, Rule};
use crate::bus::Address;
use crate::profile::{Overrides, Profile};
use crate::reading::DeviceName;

/// The difference between the config that runs and a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Buses to stop (where they run) and to start (where the new config has them). All others run on untouched.
    pub buses: BTreeSet<Address>,
    /// Devices to release before their bus stops: gone, or another unit from now on.
    pub release: Vec<DeviceName>,
    /// The set of devices, or what they are to the site: the hub must know.
    pub devices: bool,
    /// Rules, tariff, control, time zone, or what control knows of a device: swapped without a restart.
    pub policy: bool,
    /// The MQTT session must be made anew.
    pub mqtt: bool,
    /// The HTTP listener must be made anew.
    pub http: bool,
    /// The bound of the telemetry store.
    pub telemetry: bool,
    /// The folder of state: takes a restart of the program.
    pub state_dir: bool,
}

impl Difference {
    /// From the running config to a new one.
    pub fn between(old: &Config, new: &Config) -> Self {
        let name = old.site.name != new.site.name;
        Self {
            buses: buses(old, new),
            release: old
                .devices
                .iter()
                .filter(|device| is_lost(device, new))
                .map(|device| device.name.clone())
                .collect(),
            devices: known(old) != known(new) || !all_pairs(old, new, |a, b| same_profile(&a.profile, &b.profile)),
            policy: policy(old, new),
            mqtt: name || old.mqtt != new.mqtt,
            http: old.http != new.http,
            telemetry: old.telemetry != new.telemetry,
            state_dir: old.state_dir != new.state_dir,
        }
    }

    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a bus task is made of.
type OnBus<'a> = BTreeMap<&'a DeviceName, (u8, &'a Option<Arc<Profile>>, &'a Overrides)>;

fn buses(old: &Config, new: &Config) -> BTreeSet<Address> {
    let (old, new) = (by_address(old), by_address(new));
    let addresses: BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
    addresses.into_iter().filter(|address| !same_bus(old.get(address), new.get(address))).cloned().collect()
}

fn by_address(config: &Config) -> BTreeMap<&Address, OnBus<'_>> {
    let mut found: BTreeMap<_, OnBus<'_>> = BTreeMap::new();
    for device in &config.devices {
        if let Some(address) = &device.address {
            let device_on_bus = (device.unit_id, &device.profile, &device.overrides);
            found.entry(address).or_default().insert(&device.name, device_on_bus);
        }
    }
    found
}

fn same_bus(old: Option<&OnBus<'_>>, new: Option<&OnBus<'_>>) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return false };
    old.len() == new.len()
        && old.iter().zip(new).all(|((old_name, old), (new_name, new))| {
            old_name == new_name && old.0 == new.0 && old.2 == new.2 && same_profile(old.1, new.1)
        })
}

/// By content, not by place: a profile file may have changed under the same id. What a profile keeps to itself shows in
/// its `Debug`; this runs once a reload.
fn same_profile(old: &Option<Arc<Profile>>, new: &Option<Arc<Profile>>) -> bool {
    match (old, new) {
        (None, None) => true,
        (Some(old), Some(new)) => {
            Arc::ptr_eq(old, new) || (old.id == new.id && format!("{old:?}") == format!("{new:?}"))
        }
        _ => false,
    }
}

fn is_lost(device: &DeviceConfig, new: &Config) -> bool {
    let Some(address) = &device.address else { return false };
    let told = device.profile.as_ref().is_some_and(|profile| !profile.controls.is_empty());
    told && !new.devices.iter().any(|next| {
        next.name == device.name
            && next.address.as_ref() == Some(address)
            && next.unit_id == device.unit_id
            && next.roles.is_superset(&device.roles)
            && next.profile.as_ref().map(|profile| &profile.id) == device.profile.as_ref().map(|profile| &profile.id)
    })
}

/// What the hub knows of the devices.
fn known(config: &Config) -> Vec<impl PartialEq + '_> {
    let of = |device: &DeviceConfig| {
        (device.name.clone(), device.roles.clone(), device.measures.clone(), device.max_age, device.overrides.interval)
    };
    config.devices.iter().map(of).collect()
}

fn all_pairs(old: &Config, new: &Config, same: impl Fn(&DeviceConfig, &DeviceConfig) -> bool) -> bool {
    old.devices.len() == new.devices.len() && old.devices.iter().zip(&new.devices).all(|(a, b)| same(a, b))
}

fn policy(old: &Config, new: &Config) -> bool {
    fn rules(config: &Config) -> Vec<&Rule> {
        config.rules.iter().map(|rule| &rule.rule).collect()
    }
    rules(old) != rules(new)
        || old.tariff != new.tariff
        || old.control != new.control
        || old.site.time_zone != new.site.time_zone
        || !all_pairs(old, new, same_limits)
}

/// What control knows of a device beforehand.
fn same_limits(a: &DeviceConfig, b: &DeviceConfig) -> bool {
    let of = |device: &DeviceConfig| {
        (
            (device.name.clone(), device.roles.clone(), device.safe_state),
            (device.capacity, device.charge_max, device.discharge_max, device.min_power),
            (device.soc_min, device.soc_max, device.ramp, device.plant.response_delay),
        )
    };
    of(a) == of(b) && same_profile(&a.profile, &b.profile)
}
