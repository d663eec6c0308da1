//! What the hub knows of the site beforehand.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::SiteTime;
use crate::config::{Config, DeviceConfig, Role, Rule};
use crate::profile::Instance;
use crate::reading::DeviceName;

/// Readings are stale after this many poll intervals …
const INTERVALS: u32 = 3;
/// … and at the latest after this time, unless the interval itself is slower.
const MOST: Duration = Duration::from_secs(10);
/// A reading may be this old however fast the poll: a busy machine's scheduler is no silence of a device.
const LEAST: Duration = Duration::from_millis(100);

/// What the hub knows of the site beforehand.
#[derive(Clone, Debug)]
pub struct SiteSpec {
    /// Devices that are read, in config order.
    pub devices: Vec<DeviceSpec>,
    /// Lengths of the demand windows that rules ask for.
    pub windows: Vec<Duration>,
    /// Windows are aligned to its clock.
    pub time_zone: jiff::tz::TimeZone,
    /// Longest time, on the site's clock, for which a reading of grid power vouches in a demand window.
    pub longest_gap: Duration,
    /// Before this the wall clock is not to be trusted.
    pub not_before: SiteTime,
}

/// One device beforehand.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceSpec {
    /// Its name.
    pub name: DeviceName,
    /// What it is to the site.
    pub roles: BTreeSet<Role>,
    /// Profile id.
    pub profile: Arc<str>,
    /// Poll interval of its fastest group.
    pub interval: Duration,
    /// Age limit by group.
    pub max_age: Arc<[Duration]>,
    /// A PV meter of the site measures what it feeds in.
    pub measured: bool,
}

impl SiteSpec {
    /// From the config. `speed` is [`crate::clock::Clock::speed`].
    pub fn new(config: &Config, not_before: SiteTime, speed: f64) -> Self {
        let mut windows: Vec<Duration> = config
            .rules
            .iter()
            .filter_map(|rule| match rule.rule {
                Rule::PeakShaving { window, .. } => window,
                _ => None,
            })
            .collect();
        windows.sort();
        windows.dedup();
        let devices: Vec<DeviceSpec> =
            config.devices.iter().filter_map(|device| DeviceSpec::new(device, config)).collect();
        let grid = devices.iter().find(|device| device.roles.contains(&Role::GridMeter));
        let vouches = grid.and_then(|grid| grid.max_age.iter().min().copied()).unwrap_or(MOST);
        Self {
            devices,
            longest_gap: vouches.mul_f64(speed),
            windows,
            time_zone: config.site.time_zone.clone(),
            not_before,
        }
    }
}

impl DeviceSpec {
    /// `None` for a device that nobody reads.
    fn new(device: &DeviceConfig, config: &Config) -> Option<Self> {
        let profile = device.profile.as_ref()?;
        device.address.as_ref()?;
        let instance = Instance::new(profile.clone(), &device.overrides);
        let every: Vec<Duration> = (0..profile.groups.len()).filter_map(|group| instance.every(group)).collect();
        let measures = |meter: &DeviceConfig| meter.measures.as_ref() == Some(&device.name);
        Some(Self {
            measured: config.devices.iter().any(|meter| meter.roles.contains(&Role::PvMeter) && measures(meter)),
            name: device.name.clone(),
            roles: device.roles.clone(),
            profile: profile.id.clone(),
            interval: every.iter().min().copied().unwrap_or(MOST),
            max_age: every.iter().map(|every| device.max_age.unwrap_or_else(|| age_limit(*every))).collect(),
        })
    }
}

/// Three intervals, at most 10 s; a group slower than that is given two of its own intervals.
fn age_limit(every: Duration) -> Duration {
    (every * INTERVALS).clamp(LEAST, MOST).max(every * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_lives_three_intervals_and_ten_seconds_at_most() {
        let seconds = Duration::from_secs;
        assert_eq!(age_limit(seconds(1)), seconds(3));
        assert_eq!(age_limit(seconds(4)), seconds(10));
        assert_eq!(age_limit(seconds(60)), seconds(120), "a slow group is not stale by its own pace");
        assert_eq!(
            age_limit(Duration::from_millis(1)),
            Duration::from_millis(100),
            "nor a fast one by the scheduler's"
        );
    }
}
