//! From wishes to writes: `set`, `release`, heartbeats, and the settings that a device had before us.

use std::time::Duration;

use super::bind::Located;
use super::define::{Capture, ControlDef, StepDef, Verify};
use super::expr::{Expr, Lookup};
use super::{Captured, Instance, Refusal, Span, Step, Table, WriteFunction};

/// A wish may pass a bound by so much of it: the maths that made it rounds.
const SLACK: f64 = 1e-6;

impl Instance {
    /// What the device can be told at present, in the control's unit: (min, max).
    ///
    /// # Errors
    /// [`Refusal`] when the control or a point it needs is missing.
    pub fn bounds(&self, control: &str) -> Result<(f64, f64), Refusal> {
        let def = self.control(control)?;
        let known = |index: usize| self.known(index);
        let min = self.eval(&def.min, None, &known)?;
        let max = self.eval(&def.max, None, &known)?;
        Ok((min, max.max(min)))
    }

    /// Spans to read and keep on disk before the first write of a control. Tell them to [`Instance::captured`] too.
    pub fn captures(&self, control: &str) -> Vec<Span> {
        let Ok(def) = self.control(control) else { return Vec::new() };
        def.capture
            .iter()
            .filter_map(|capture| self.place().target(&capture.target))
            .map(|found| found.value())
            .collect()
    }

    /// The settings that were captured (now, or before a restart): some controls keep inside a limit that the device
    /// already had, and refuse to set anything while they do not know it.
    pub fn captured(&mut self, control: &str, settings: &Captured) {
        let Ok(def) = self.control(control) else { return };
        let told: Vec<(usize, Option<f64>)> =
            def.capture.iter().filter_map(|capture| Some((capture.value?, self.setting(capture, settings)))).collect();
        let now = self.now;
        for (index, value) in told {
            if let Some(memory) = self.memory.get_mut(index) {
                memory.keep(value, now);
            }
        }
    }

    /// The writes that make a control do `p` (canonical unit and sign), revert timer included.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing may be written.
    pub fn set(&self, control: &str, p: f64) -> Result<Vec<Step>, Refusal> {
        let (min, max) = self.bounds(control)?;
        let def = self.control(control)?;
        let slack = |bound: f64| SLACK * bound.abs().max(1.0);
        if !(min - slack(min)..=max + slack(max)).contains(&p) {
            return Err(Refusal::Bounds { wanted: p, min, max });
        }
        let p = achievable(def, p.clamp(min, max));
        let known = |index: usize| self.known(index);
        for need in &def.need {
            let asked = match &need.when {
                Some(when) => self.eval(when, Some(p), &known)? != 0.0,
                None => true,
            };
            if asked && self.eval(&need.is, Some(p), &known)? == 0.0 {
                return Err(Refusal::Need(need.sentence.clone()));
            }
        }
        let mut steps = Vec::with_capacity(def.set.len() + 1);
        for step in &def.set {
            steps.extend(self.encode(step, Some(p), &known)?);
        }
        if let Some(revert) = &def.revert
            && let Some(step) = self.encode(revert, Some(p), &known)?
        {
            steps.insert(steps.len().saturating_sub(1), step);
        }
        Ok(steps)
    }

    /// The writes that give the device back to itself, with its own settings put back. A step whose scale was never read
    /// is left out; empty for a SunSpec device that is not identified.
    pub fn release(&self, control: &str, captured: &Captured) -> Vec<Step> {
        let Ok(def) = self.control(control) else { return Vec::new() };
        // Age does not matter here: giving back must work when nothing else does.
        let known = |index: usize| {
            let own = def.capture.iter().find(|capture| capture.value == Some(index));
            match own {
                Some(capture) => self.setting(capture, captured),
                None => self.memory.get(index).and_then(super::plausible::Memory::last),
            }
        };
        let mut steps: Vec<Step> = Vec::new();
        for step in &def.release {
            steps.extend(self.encode(step, None, &known).ok().flatten());
        }
        for capture in def.capture.iter().filter(|capture| capture.back) {
            let Some(found) = self.place().target(&capture.target) else { continue };
            let Some(words) = captured.get(&found.value()) else { continue };
            let last = steps.iter().rev().find(|step| step.span == found.value());
            // Already so, or "not implemented" as it was read.
            if last.is_some_and(|step| step.words == *words) || found.encoding.raw(words).is_none() {
                continue;
            }
            steps.push(self.plain(found.value(), words.clone()));
        }
        steps
    }

    /// A write that keeps the device listening, and how often (W6 of the quirk catalogue).
    pub fn heartbeat(&self, control: &str) -> Option<(Duration, Step)> {
        let (every, step) = self.control(control).ok()?.heartbeat.as_ref()?;
        let step = self.encode(step, None, &|index| self.known(index)).ok()??;
        Some((*every, step))
    }

    /// The control, if this device has all it needs.
    fn control(&self, name: &str) -> Result<&ControlDef, Refusal> {
        let none = || Refusal::NoControl(name.to_owned());
        let def = self.profile.definition.controls.iter().find(|control| *control.name == *name).ok_or_else(none)?;
        if self.profile.definition.sunspec.is_some() && self.chain.is_none() {
            return Err(Refusal::Missing("the SunSpec chain of models".to_owned()));
        }
        let steps = def.set.iter().chain(&def.release);
        let whole = steps.filter(|step| !step.optional).all(|step| self.place().target(&step.target).is_some());
        if whole { Ok(def) } else { Err(none()) }
    }

    fn eval(&self, expr: &Expr, p: Option<f64>, known: Lookup<'_>) -> Result<f64, Refusal> {
        expr.eval(p, known).ok_or_else(|| {
            let missing = expr.first_missing(known).and_then(|index| self.profile.definition.values.get(index));
            Refusal::Missing(missing.map_or("a result".to_owned(), |value| value.name.to_string()))
        })
    }

    /// A captured setting as a number.
    fn setting(&self, capture: &Capture, captured: &Captured) -> Option<f64> {
        let found = self.place().target(&capture.target)?;
        found.encoding.number(captured.get(&found.value())?, self.exponent(capture.scale).ok()?)
    }

    /// The scale that this session (or the one before) read.
    fn exponent(&self, scale: Option<usize>) -> Result<i16, Refusal> {
        let Some(index) = scale else { return Ok(0) };
        let value = self.memory.get(index).and_then(super::plausible::Memory::last);
        #[expect(clippy::cast_possible_truncation, reason = "read from an i16; the codec checks its range")]
        let exponent = value.and_then(|value| super::codec::exponent((value as i16).cast_unsigned()));
        exponent.ok_or_else(|| {
            let name = self.profile.definition.values.get(index).map_or("a scale", |value| &*value.name);
            Refusal::Missing(name.to_owned())
        })
    }

    /// One step with its words; `None` where it does not apply.
    fn encode(&self, def: &StepDef, p: Option<f64>, known: Lookup<'_>) -> Result<Option<Step>, Refusal> {
        if let Some(when) = &def.when
            && self.eval(when, p, known)? == 0.0
        {
            return Ok(None);
        }
        let absent = def.probe.is_some_and(|probe| self.memory.get(probe).is_none_or(|memory| memory.last().is_none()));
        let Some(found) = self.place().target(&def.target).filter(|_| !absent) else { return Ok(None) };
        let at = found.value();
        let value = self.eval(&def.value, p, known)?;
        let mut words = fit(&found, value, self.exponent(def.scale)?, at.start)?;
        for (encoding, value) in &def.block {
            let value = self.eval(value, p, known)?;
            let more = encoding.words_for(value, 0).map_err(|value| Refusal::Range { value, address: at.start })?;
            words.extend(more);
        }
        let len = u16::try_from(words.len()).unwrap_or(at.len);
        let verify = match &def.verify {
            Verify::No => None,
            Verify::Written => Some(words.clone()),
            Verify::Reads(value) => {
                let mut read = fit(&found, self.eval(value, p, known)?, self.exponent(def.scale)?, at.start)?;
                read.extend(words.iter().skip(read.len()));
                Some(read)
            }
        };
        let step = self.plain(Span { len, ..at }, words);
        let function = def.function.unwrap_or(step.function);
        Ok(Some(Step { function, mask: def.mask, wait: def.wait, verify, ..step }))
    }

    /// A write by the function that fits.
    fn plain(&self, span: Span, words: Vec<u16>) -> Step {
        let function = match (span.table, span.len) {
            (Table::Coil | Table::DiscreteInput, 1) => WriteFunction::SingleCoil,
            (Table::Coil | Table::DiscreteInput, _) => WriteFunction::Coils,
            (_, 1) => self.profile.definition.one_register,
            _ => WriteFunction::Registers,
        };
        Step { span, words, function, mask: None, wait: Duration::ZERO, verify: None }
    }
}

/// The nearest setpoint toward 0 that the device can do.
fn achievable(def: &ControlDef, p: f64) -> f64 {
    let stepped = if def.step > 0.0 { (p / def.step * (1.0 + f64::EPSILON)).trunc() * def.step } else { p };
    if stepped.abs() < def.min_on { 0.0 } else { stepped }
}

fn fit(found: &Located, value: f64, exponent: i16, address: u16) -> Result<Vec<u16>, Refusal> {
    let words = found.encoding.words_for(value, exponent);
    words.map_err(|value| Refusal::Range { value, address })
}
