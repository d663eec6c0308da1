//! All that was read from one device.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::bus::{LinkState, SetpointReport};
use crate::clock::Moment;
use crate::config::Role;
use crate::profile::PointSpec;
use crate::reading::{DeviceName, Reading};

/// A point's last value.
#[derive(Clone, Debug, PartialEq)]
pub enum PointValue {
    /// Never read.
    Never,
    /// A number in the point's canonical unit.
    Number(Reading<f64>),
    /// A string, when it was read.
    Text(Arc<str>, Moment),
}

/// One device as the hub knows it.
#[derive(Clone, Debug)]
pub struct DeviceState {
    /// Its name.
    pub name: DeviceName,
    /// What it is to the site.
    pub roles: BTreeSet<Role>,
    /// Profile id; empty for a described device.
    pub profile: Arc<str>,
    /// The link.
    pub link: LinkState,
    /// Since when the link is so.
    pub link_since: Moment,
    /// Last group that was read.
    pub last_success: Option<Moment>,
    /// Poll interval of its fastest group.
    pub interval: Duration,
    /// Its points.
    pub points: Arc<[PointSpec]>,
    /// Their values, by the same index.
    pub values: Vec<PointValue>,
    /// Age limit of each group, by group index: 3 intervals, at most 10 s (slow groups: 3 intervals).
    pub max_age: Arc<[Duration]>,
    /// The last report of each of its controls.
    pub setpoints: Vec<SetpointReport>,
}

impl DeviceState {
    /// The reading of a point by its canonical name.
    pub fn number(&self, name: &str) -> Option<Reading<f64>> {
        let index = self.points.iter().position(|point| &*point.name == name)?;
        match self.values.get(index)? {
            PointValue::Number(reading) => Some(*reading),
            PointValue::Never | PointValue::Text(..) => None,
        }
    }

    /// Age limit of a point.
    pub fn limit_of(&self, point: &PointSpec) -> Duration {
        self.max_age.get(point.group).copied().unwrap_or(Duration::from_secs(10))
    }
}
