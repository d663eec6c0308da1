//! A profile bound to one device.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::bind::{Binding, Bound, Place};
use super::define::When;
use super::identify::Stage;
use super::plausible::Memory;
use super::sunspec::Chain;
use super::{PointSpec, Profile, Span, Table, WordOrder, names};
use crate::clock::{IoTime, Moment};

/// What the config of one device changes about its profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// Turns the sign of the measured power (a CT mounted the wrong way round) and swaps the two energy counters.
    pub invert: bool,
    /// Word order, where it is a setting of the device.
    pub words: Option<WordOrder>,
    /// Longest read.
    pub max_read: Option<u16>,
    /// Least silence between exchanges.
    pub gap: Option<Duration>,
    /// Longest wait for an answer.
    pub timeout: Option<Duration>,
    /// Interval of the profile's fastest group.
    pub interval: Option<Duration>,
    /// How long until a setpoint shows its effect.
    pub settle: Option<Duration>,
    /// It does not sleep, whatever its profile says: unreachable is a fault.
    pub sleepless: bool,
}

/// How a register is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFunction {
    /// Fn 5.
    SingleCoil,
    /// Fn 6.
    SingleRegister,
    /// Fn 15.
    Coils,
    /// Fn 16.
    Registers,
}

/// One write of a sequence, encoded. `set` and `release` are such steps, run in one go with nothing between.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where.
    pub span: Span,
    /// What, one word a register (or 0/1 a coil).
    pub words: Vec<u16>,
    /// By which function.
    pub function: WriteFunction,
    /// Bits that are ours; the others are read first and kept.
    pub mask: Option<u16>,
    /// Silence after it.
    pub wait: Duration,
    /// What it must read as after the control's settling time, one word a register: mostly what was written, but some
    /// devices show a state where they take a command.
    pub verify: Option<Vec<u16>>,
}

/// Why a wish could not be encoded. Nothing was written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The profile has no such control.
    #[error("the profile has no control `{0}`")]
    NoControl(String),
    /// A point that the sequence needs has no value.
    #[error("needs {0}, which has no value")]
    Missing(String),
    /// The value does not fit the register.
    #[error("{value} does not fit register {address}")]
    Range {
        /// Scaled value.
        value: f64,
        /// Register address.
        address: u16,
    },
    /// A condition that only the owner can fulfil.
    #[error("{0}")]
    Need(String),
    /// Outside what the control takes.
    #[error("{wanted} is outside {min}..{max}")]
    Bounds {
        /// What was asked.
        wanted: f64,
        /// Lower end.
        min: f64,
        /// Upper end.
        max: f64,
    },
}

/// The device's own settings as they were before our first write, by span. Kept on disk until they are put back.
pub type Captured = BTreeMap<Span, Vec<u16>>;

/// A profile bound to one device: decodes what was read, encodes what is wished, remembers the last values that its
/// expressions and plausibility checks need.
#[derive(Clone, Debug)]
pub struct Instance {
    /// With the device's overrides in its manners and groups.
    pub(super) profile: Arc<Profile>,
    pub(super) overrides: Overrides,
    pub(super) mapping: Mapping,
    pub(super) stage: Stage,
    /// Word order that the device said it has.
    pub(super) words: Option<WordOrder>,
    /// Models found, and the sub-device meant.
    pub(super) chain: Option<(Chain, usize)>,
    pub(super) memory: Vec<Memory>,
    /// Polls of each group since the device was identified.
    pub(super) polls: Vec<u32>,
    /// The latest moment it was told of.
    pub(super) now: IoTime,
}

/// A profile's values with their addresses, and the points that others see of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mapping {
    pub(super) binding: Arc<Binding>,
    points: Arc<[PointSpec]>,
    /// Index of a value in `points`, and whether its sign is turned.
    public: Arc<[Option<(usize, f64)>]>,
}

impl Instance {
    /// Binds a profile. A SunSpec profile knows its addresses only after [`Instance::identify`].
    pub fn new(profile: Arc<Profile>, overrides: &Overrides) -> Self {
        let profile = if *overrides == Overrides::default() { profile } else { overridden(&profile, overrides) };
        let definition = profile.definition.clone();
        let mut instance = Self {
            mapping: Mapping::default(),
            profile,
            overrides: overrides.clone(),
            stage: Stage::Known,
            words: None,
            chain: None,
            memory: vec![Memory::default(); definition.values.len()],
            polls: vec![0; definition.groups.len()],
            now: IoTime::START,
        };
        instance.bind();
        instance.forget();
        instance
    }

    /// The profile, with the device's overrides in its manners and intervals.
    pub fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    /// All points, by index. Shared, so that readers of a reading need not copy names.
    pub fn points(&self) -> &Arc<[PointSpec]> {
        &self.mapping.points
    }

    /// Poll interval of a group, overrides applied.
    pub fn every(&self, group: usize) -> Option<Duration> {
        self.profile.groups.get(group).map(|group| group.every)
    }

    /// The registers that a group needs: a span per value that must not be torn. The planner merges them. Empty until
    /// the device is identified.
    pub fn spans(&self, group: usize) -> Vec<Span> {
        self.mapping.binding.groups.get(group).map(|group| group.spans.clone()).unwrap_or_default()
    }

    /// Tells the time where nothing was decoded, so that values which a sequence needs grow old. Call it before
    /// [`Instance::set`].
    pub fn tick(&mut self, now: Moment) {
        self.now = self.now.max(now.io);
    }

    /// Gives every value its address, and every point that this device has its index. What is known without asking is
    /// made once and shared: a site may have hundreds of one device.
    pub(super) fn bind(&mut self) {
        let asked = self.chain.is_some() || self.words.is_some();
        self.mapping = if asked { self.map() } else { self.profile.mapping.get_or_init(|| self.map()).clone() };
    }

    fn map(&self) -> Mapping {
        let definition = &self.profile.definition;
        let binding = Binding::new(&self.profile, self.place());
        let known = definition.sunspec.is_none() || self.chain.is_some();
        let mut points = Vec::new();
        let mut public = Vec::with_capacity(definition.values.len());
        let mut specs = self.profile.points.iter().cloned();
        for (index, value) in definition.values.iter().enumerate() {
            let spec = if value.public { specs.next() } else { None };
            let absent = known && matches!(binding.values.get(index), Some(Bound::Absent) | None);
            let Some(mut spec) = spec.filter(|_| !absent) else {
                public.push(None);
                continue;
            };
            let mut sign = 1.0;
            if self.overrides.invert {
                if let Some(turned) = names::turned(&spec.name) {
                    spec.name = turned.into();
                }
                if names::signed_by_direction(&spec.name) {
                    sign = -1.0;
                }
            }
            public.push(Some((points.len(), sign)));
            points.push(spec);
        }
        Mapping { binding: Arc::new(binding), points: points.into(), public: public.into() }
    }

    /// What addresses depend on.
    pub(super) fn place(&self) -> Place<'_> {
        Place {
            words: self.overrides.words.or(self.words),
            max_read: self.profile.manners.max_read,
            chain: self.chain.as_ref().map(|(chain, device)| (chain, *device)),
        }
    }

    /// Index and sign of a published value.
    pub(super) fn public(&self, value: usize) -> Option<(usize, f64)> {
        self.mapping.public.get(value).copied().flatten()
    }

    /// A value as sequences and expressions see it: no older than three intervals of its group.
    pub(super) fn known(&self, index: usize) -> Option<f64> {
        let memory = self.memory.get(index)?;
        match self.profile.definition.values.get(index)?.when {
            When::Session | When::Told => memory.last(),
            When::Group(group) => memory.since(self.now - self.every(group)?.saturating_mul(3).max(LEAST_AGE)),
        }
    }
}

/// Even of a fast group, values may be this old when a sequence uses them.
const LEAST_AGE: Duration = Duration::from_secs(3);

fn overridden(profile: &Profile, overrides: &Overrides) -> Arc<Profile> {
    let mut profile = Profile { mapping: std::sync::OnceLock::new(), ..profile.clone() };
    let manners = &mut profile.manners;
    manners.max_read = overrides.max_read.unwrap_or(manners.max_read).clamp(1, 125);
    manners.gap = overrides.gap.unwrap_or(manners.gap);
    manners.timeout = overrides.timeout.unwrap_or(manners.timeout);
    manners.sleeps &= !overrides.sleepless;
    if let Some(settle) = overrides.settle {
        profile.controls.iter_mut().for_each(|control| control.settle = settle);
    }
    if let (Some(interval), Some(fastest)) = (overrides.interval, profile.groups.iter().map(|group| group.every).min())
    {
        profile.groups.iter_mut().filter(|group| group.every == fastest).for_each(|group| group.every = interval);
    }
    Arc::new(profile)
}

impl Span {
    /// A span of holding registers.
    pub const fn holding(start: u16, len: u16) -> Self {
        Self { table: Table::Holding, start, len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::library::Library;

    #[test]
    fn devices_of_one_profile_share_what_is_known_of_it_and_one_mounted_the_other_way_does_not() {
        let profile = Library::builtin().get("eastron-sdm630").unwrap();
        let one = Instance::new(profile.clone(), &Overrides::default());
        let other = Instance::new(profile.clone(), &Overrides::default());
        let turned = Instance::new(profile, &Overrides { invert: true, ..Overrides::default() });
        assert!(Arc::ptr_eq(one.points(), other.points()));
        assert!(!Arc::ptr_eq(one.points(), turned.points()));
        let names = |instance: &Instance| instance.points().iter().map(|point| point.name.clone()).collect::<Vec<_>>();
        assert_ne!(names(&one), names(&turned), "import and export have changed places");
    }
}
