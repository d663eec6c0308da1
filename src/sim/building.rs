//! The simulated building: a world, devices on a busbar, and the truth about them.
//!
//! Beside the real building stands its twin: the same devices in the same world, which nobody ever tells anything. The
//! difference between the two is what control did, no more: with control off they are the same to the last bit.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::bank::{RegisterBank, SharedBank, locked};
use super::busbar::{self, Balance, Feed, Part, Step};
use super::ledger::Ledger;
use super::world::World;
use crate::clock::{Moment, SiteTime};
use crate::reading::DeviceName;
use crate::units::{Soc, WattHours, Watts};

/// Longest step on the devices' clock: shorter than any lag that matters.
const STEP: Duration = Duration::from_millis(5);
/// After a pause of the process the steps get longer rather than more.
const STEPS_AT_ONCE: u32 = 2000;

/// The building.
pub struct Building {
    world: World,
    /// How many times faster than the devices' clock the site's runs.
    speed: f64,
    start: Moment,
    passed: Duration,
    parts: Vec<(DeviceName, Arc<Mutex<dyn Part>>)>,
    twins: Vec<Box<dyn Part>>,
    truth: Truth,
}

/// What is really so, whatever the devices say.
#[derive(Clone, Debug)]
pub struct Truth {
    /// Site time.
    pub at: SiteTime,
    /// The busbar now.
    pub balance: Balance,
    /// What each device feeds in now, in the order they were added.
    pub devices: Vec<(DeviceName, Feed)>,
    /// The connection point as it was.
    pub with: Ledger,
    /// As it would have been with the same devices left to themselves.
    pub without: Ledger,
    /// As it would have been with the PV and no battery at all.
    pub bare: Ledger,
    /// Energy in all batteries now.
    pub stored: WattHours,
    /// Energy in the twin's batteries now.
    pub stored_without: WattHours,
}

impl Building {
    /// A building without devices. `window` is that of the demand charge.
    pub fn new(world: World, start: Moment, speed: f64, window: Duration) -> Self {
        let zone = world.time_zone.to_offset(start.site).seconds();
        let ledger = Ledger::new(window, Duration::from_secs(u64::try_from(zone + 86_400).unwrap_or(0)));
        let truth = Truth {
            at: start.site,
            balance: Balance::default(),
            devices: Vec::new(),
            with: ledger.clone(),
            without: ledger.clone(),
            bare: ledger,
            stored: WattHours::ZERO,
            stored_without: WattHours::ZERO,
        };
        Self { world, speed, start, passed: Duration::ZERO, parts: Vec::new(), twins: Vec::new(), truth }
    }

    /// How many times faster than the devices' clock the site's runs.
    pub const fn speed(&self) -> f64 {
        self.speed
    }

    /// Adds a device; the bank is what a server serves of it.
    pub fn add(&mut self, name: DeviceName, device: impl Part + RegisterBank + Clone + 'static) -> SharedBank {
        self.twins.push(Box::new(device.clone()));
        let device = Arc::new(Mutex::new(device));
        self.truth.devices.push((name.clone(), Feed::default()));
        self.parts.push((name, device.clone()));
        device
    }

    /// Lets time pass until `now`.
    pub fn advance(&mut self, now: Moment) {
        let until = now.io.since(self.start.io);
        let left = until.saturating_sub(self.passed);
        let io = STEP.max(left / STEPS_AT_ONCE);
        while self.passed < until {
            let io = io.min(until - self.passed);
            self.step(io);
        }
    }

    /// The truth now.
    pub const fn truth(&self) -> &Truth {
        &self.truth
    }

    fn step(&mut self, io: Duration) {
        let at = self.site_at(self.passed);
        self.passed += io;
        let site = Duration::try_from(self.site_at(self.passed).duration_since(at)).unwrap_or_default();
        let middle = at + site / 2;
        let step = Step { io, site, at, load: self.world.load(middle), sun: self.world.sun(middle) };

        let mut parts: Vec<_> = self.parts.iter().map(|(_, part)| locked(part)).collect();
        let (balance, feeds) = busbar::step(parts.iter_mut().map(|part| &mut **part as &mut dyn Part), &step);
        drop(parts);
        let (twin, twins) = busbar::step(self.twins.iter_mut().map(|part| &mut **part as &mut dyn Part), &step);

        let stored = |feeds: &[Feed]| feeds.iter().map(|feed| feed.stored).sum();
        let truth = &mut self.truth;
        truth.at = at + site;
        truth.balance = balance;
        truth.stored = stored(&feeds);
        truth.stored_without = stored(&twins);
        truth.with.add(at, site, balance.grid);
        truth.without.add(at, site, twin.grid);
        truth.bare.add(at, site, twin.grid + twin.battery);
        for ((_, known), feed) in truth.devices.iter_mut().zip(feeds) {
            *known = feed;
        }
    }

    fn site_at(&self, passed: Duration) -> SiteTime {
        self.start.site + passed.mul_f64(self.speed)
    }
}

impl Truth {
    /// State of charge of a device.
    pub fn soc(&self, name: &str) -> Option<Soc> {
        self.device(name)?.soc
    }

    /// What a device feeds in.
    pub fn device(&self, name: &str) -> Option<&Feed> {
        self.devices.iter().find(|(device, _)| device.as_str() == name).map(|(_, feed)| feed)
    }

    /// Site time that has passed since `start`.
    pub fn peak_saved(&self) -> Watts {
        self.without.peak() - self.with.peak()
    }
}
