//! The building's busbar: what each part feeds in, and what is left for the grid.

use std::time::Duration;

use crate::clock::SiteTime;
use crate::units::{Soc, WattHours, Watts};

/// A step of time and what the world does in it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Length on the clock of the devices: ramps, dead times, revert timers.
    pub io: Duration,
    /// Length on the site's clock: energies.
    pub site: Duration,
    /// Site time at its beginning.
    pub at: SiteTime,
    /// The building's load, positive.
    pub load: Watts,
    /// Sun as a share of a PV plant's peak.
    pub sun: f64,
}

/// What a part feeds into the busbar.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Feed {
    /// From PV.
    pub pv: Watts,
    /// From batteries, discharge positive.
    pub battery: Watts,
    /// State of charge, where it has one.
    pub soc: Option<Soc>,
    /// Energy in the battery.
    pub stored: WattHours,
}

/// The busbar over one step: grid = load - pv - battery, always.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Balance {
    /// Import positive.
    pub grid: Watts,
    /// Positive.
    pub load: Watts,
    /// All PV.
    pub pv: Watts,
    /// All batteries, discharge positive.
    pub battery: Watts,
}

/// A device as the busbar knows it.
pub trait Part: Send {
    /// Lets time pass and says what it feeds in meanwhile. It knows the balance of the step before.
    fn act(&mut self, step: &Step) -> Feed;

    /// Shows it the balance of the step: its meters read this.
    fn see(&mut self, balance: &Balance, step: &Step);
}

/// Lets a step pass for all parts of one busbar; returns the balance and what each fed in.
pub fn step<'a>(parts: impl Iterator<Item = &'a mut dyn Part>, step: &Step) -> (Balance, Vec<Feed>) {
    let mut parts: Vec<_> = parts.collect();
    let feeds: Vec<Feed> = parts.iter_mut().map(|part| part.act(step)).collect();
    let pv = feeds.iter().map(|feed| feed.pv).sum();
    let battery = feeds.iter().map(|feed| feed.battery).sum();
    let balance = Balance { grid: step.load - pv - battery, load: step.load, pv, battery };
    for part in parts {
        part.see(&balance, step);
    }
    (balance, feeds)
}
