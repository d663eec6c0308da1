//! What a bus must know of a device to talk to it.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::profile::{Captured, Control, Image, Instance, Manners, PointSpec, Refusal, Span, Step, Value};

/// The part of an [`Instance`] that a bus works with. Tests bring units of their own.
pub trait BusUnit: Send + Sync + 'static {
    /// How to behave towards it, overrides applied.
    fn manners(&self) -> &Manners;
    /// How many groups it has.
    fn groups(&self) -> usize;
    /// What it can be told.
    fn controls(&self) -> &[Control];
    /// See [`Instance::points`].
    fn points(&self) -> &Arc<[PointSpec]>;
    /// See [`Instance::identify`].
    fn identify(&self) -> Option<Span>;
    /// See [`Instance::identified`].
    ///
    /// # Errors
    /// A sentence when the device is not what the profile describes.
    fn identified(&mut self, words: Option<&[u16]>) -> Result<(), String>;
    /// See [`Instance::forget`].
    fn forget(&mut self);
    /// See [`Instance::every`].
    fn every(&self, group: usize) -> Option<Duration>;
    /// See [`Instance::spans`].
    fn spans(&self, group: usize) -> Vec<Span>;
    /// See [`Instance::decode`].
    fn decode(&mut self, group: usize, image: &Image, now: Moment) -> Vec<(usize, Value)>;
    /// See [`Instance::captures`].
    fn captures(&self, control: &str) -> Vec<Span>;
    /// See [`Instance::captured`].
    fn captured(&mut self, control: &str, settings: &Captured);
    /// See [`Instance::tick`].
    fn tick(&mut self, now: Moment);
    /// See [`Instance::bounds`]; `None` where they are not known.
    fn bounds(&self, _control: &str) -> Option<(f64, f64)> {
        None
    }
    /// See [`Instance::set`].
    ///
    /// # Errors
    /// [`Refusal`]; then nothing may be written.
    fn set(&self, control: &str, p: f64) -> Result<Vec<Step>, Refusal>;
    /// See [`Instance::release`].
    fn release(&self, control: &str, captured: &Captured) -> Vec<Step>;
    /// See [`Instance::heartbeat`].
    fn heartbeat(&self, control: &str) -> Option<(Duration, Step)>;
}

impl BusUnit for Instance {
    fn manners(&self) -> &Manners {
        &self.profile().manners
    }
    fn groups(&self) -> usize {
        self.profile().groups.len()
    }
    fn controls(&self) -> &[Control] {
        &self.profile().controls
    }
    fn points(&self) -> &Arc<[PointSpec]> {
        self.points()
    }
    fn identify(&self) -> Option<Span> {
        self.identify()
    }
    fn identified(&mut self, words: Option<&[u16]>) -> Result<(), String> {
        self.identified(words)
    }
    fn forget(&mut self) {
        self.forget();
    }
    fn every(&self, group: usize) -> Option<Duration> {
        self.every(group)
    }
    fn spans(&self, group: usize) -> Vec<Span> {
        self.spans(group)
    }
    fn decode(&mut self, group: usize, image: &Image, now: Moment) -> Vec<(usize, Value)> {
        self.decode(group, image, now)
    }
    fn captures(&self, control: &str) -> Vec<Span> {
        self.captures(control)
    }
    fn captured(&mut self, control: &str, settings: &Captured) {
        self.captured(control, settings);
    }
    fn tick(&mut self, now: Moment) {
        self.tick(now);
    }
    fn bounds(&self, control: &str) -> Option<(f64, f64)> {
        self.bounds(control).ok().filter(|(min, max)| min <= max)
    }
    fn set(&self, control: &str, p: f64) -> Result<Vec<Step>, Refusal> {
        self.set(control, p)
    }
    fn release(&self, control: &str, captured: &Captured) -> Vec<Step> {
        self.release(control, captured)
    }
    fn heartbeat(&self, control: &str) -> Option<(Duration, Step)> {
        self.heartbeat(control)
    }
}
