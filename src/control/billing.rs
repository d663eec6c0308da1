//! The peak that the bill of the running period already holds.

use std::time::Duration;

use super::Policy;
use crate::clock::SiteTime;
use crate::config::DemandPeriod;
use crate::state::Snapshot;
use crate::units::Watts;

/// The highest demand of the running billing period and of the one before.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Billed {
    /// Which period: year x 12 + month, or the year, or 0 for a term.
    pub period: Option<i32>,
    /// Highest window of it so far.
    pub peak: Watts,
    /// Highest window of the period before.
    pub previous: Option<Watts>,
    /// Start of the last window that was counted.
    pub counted: Option<SiteTime>,
    /// `billed_peak` of the config as last taken over.
    pub configured: Option<Watts>,
}

impl Billed {
    /// Takes in what the snapshot's completed windows say. The longest window length that a rule asks for is the one
    /// that is billed. Rolls over to a new period only while the wall clock may be trusted.
    pub fn update(&mut self, policy: &Policy, snapshot: &Snapshot, now: SiteTime) {
        if self.configured != policy.billed_peak {
            self.configured = policy.billed_peak;
            self.peak = self.peak.max(policy.billed_peak.unwrap_or_default());
        }
        if !snapshot.clock_trusted {
            return;
        }
        let longest = snapshot.windows.iter().max_by_key(|window| window.length);
        let last = longest.and_then(|window| window.last);
        if let Some(last) = last
            && self.counted.is_none_or(|counted| counted < last.start)
        {
            self.roll(period(policy, last.start));
            self.counted = Some(last.start);
            // Where a part of the window was not seen, the part that was seen is billed at the least.
            let length = longest.map_or(Duration::ZERO, |window| window.length);
            let seen = length.saturating_sub(last.unseen);
            self.peak = self.peak.max(last.mean.over(seen).per(length));
        }
        self.roll(period(policy, now));
    }

    /// A later period begins with nothing billed. An earlier one is a clock that was wrong: it changes nothing.
    fn roll(&mut self, period: i32) {
        match self.period {
            None => self.period = Some(period),
            Some(known) if known < period => {
                self.previous = Some(self.peak);
                self.peak = Watts::ZERO;
                self.period = Some(period);
            }
            Some(_) => {}
        }
    }
}

/// The billing period that a moment lies in, on the site's calendar.
fn period(policy: &Policy, at: SiteTime) -> i32 {
    let local = policy.time_zone.to_datetime(at);
    match policy.demand_period {
        DemandPeriod::Month => i32::from(local.year()) * 12 + i32::from(local.month()),
        DemandPeriod::Year => i32::from(local.year()),
        DemandPeriod::Term => 0,
    }
}
