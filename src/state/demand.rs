//! Placeholder until the demand meter lands.
use super::DemandWindow;
use crate::clock::{Moment, SiteTime};
use crate::units::{WattHours, Watts};
use std::time::Duration;
/// x
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct SavedWindow {}
/// x
#[derive(Debug)]
pub struct DemandMeter {
    length: Duration,
}
impl DemandMeter {
    /// x
    pub fn new(length: Duration, _zone: jiff::tz::TimeZone) -> Self {
        Self { length }
    }
    /// x
    pub fn length(&self) -> Duration {
        self.length
    }
    /// x
    pub fn observe(&mut self, _p: Watts, _c: Option<WattHours>, _at: Moment, _hold: Duration, _trusted: bool) {}
    /// x
    pub fn window(&self, _now: SiteTime) -> Option<DemandWindow> {
        None
    }
}
