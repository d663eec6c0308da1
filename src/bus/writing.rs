//! Carries out what a writer asks for: capture, steps, read-back.

use super::job::{Check, Job, Outcome};
use super::link::Link;
use super::notebook::Notebook;
use super::request::Request;
use super::unit::BusUnit;
use super::writer::{Writer, day};
use super::{DeviceStats, ErrorKind};
use crate::clock::Clock;
use crate::profile::{Captured, Class, Span, Step};
use crate::reading::DeviceName;

/// The way to one unit: each exchange kept to its manners and counted.
pub(super) struct Talk<'a, U> {
    pub link: &'a mut Link,
    pub clock: &'a Clock,
    pub name: &'a DeviceName,
    pub id: u8,
    pub unit: &'a mut U,
    pub stats: &'a DeviceStats,
    /// How the last exchange ended.
    pub last: Option<Result<(), ErrorKind>>,
}

/// Why a run of steps broke off.
struct Broken {
    kind: Option<ErrorKind>,
    reason: String,
    wrote: bool,
}

impl From<Broken> for Outcome {
    fn from(broken: Broken) -> Self {
        match broken.kind {
            Some(kind) if busy(kind) => Self::Busy,
            _ => Self::Failed { reason: broken.reason, wrote: broken.wrote },
        }
    }
}

/// Exceptions that ask for time: 5 acknowledge, 6 busy.
pub(super) const fn busy(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Exception(5 | 6))
}

impl<U: BusUnit> Talk<'_, U> {
    /// One exchange.
    pub async fn ask(&mut self, request: Request<'_>) -> Result<Vec<u16>, ErrorKind> {
        let manners = self.unit.manners();
        self.link.rest(manners.gap).await;
        self.stats.request();
        let sent = self.clock.io();
        let result = self.link.exchange(self.id, request, manners.timeout).await;
        match &result {
            Ok(_) => self.stats.answer(self.link.ended().since(sent)),
            Err(kind) => self.stats.error(*kind),
        }
        self.last = Some(result.as_ref().map(|_| ()).map_err(|kind| *kind));
        result
    }

    async fn read(&mut self, span: Span) -> Result<Vec<u16>, Broken> {
        let broken = |kind: Option<ErrorKind>, what: String| Broken {
            kind,
            reason: format!("reading {}: {what}", place(span)),
            wrote: false,
        };
        let request = Request::read(span).ok_or_else(|| broken(None, "no such read".to_owned()))?;
        self.ask(request).await.map_err(|kind| broken(Some(kind), kind.to_string()))
    }

    /// Carries out a job of `writer`.
    pub async fn carry_out(&mut self, writer: &mut Writer, job: Job, notebook: &dyn Notebook) -> Outcome {
        match job {
            Job::Drive(value) => self.drive(writer, value, notebook).await,
            Job::Release => self.release(writer, notebook).await,
            Job::Verify => self.verify(writer.checks()).await,
            Job::Heartbeat => self.beat(writer, notebook).await,
            Job::Look => Outcome::Verified,
        }
    }

    async fn drive(&mut self, writer: &mut Writer, value: f64, notebook: &dyn Notebook) -> Outcome {
        if self.id == 0 {
            return Outcome::Refused("unit 0 speaks to all devices at once; nothing is ever written to it".to_owned());
        }
        let control = writer.control.name.clone();
        let kept = notebook.captured(self.name, &control);
        let settings = match &kept {
            Some(kept) => kept.clone(),
            None => match self.settings(&control).await {
                Ok(settings) => settings,
                Err(broken) => return broken.into(),
            },
        };
        self.unit.captured(&control, &settings);
        self.unit.tick(self.clock.now());
        writer.takes = self.unit.bounds(&control);
        let steps = match self.unit.set(&control, writer.taken(value)) {
            Ok(steps) => steps,
            Err(refusal) => return Outcome::Refused(refusal.to_string()),
        };
        let registers = registers(&steps);
        let today = day(self.clock.now());
        if writer.control.class == Class::Flash {
            // Set aside: what the release will write, the device's own settings included.
            let aside = self::registers(&self.unit.release(&control, &settings));
            let spent = notebook.writes(self.name, &control, today).saturating_add(registers).saturating_add(aside);
            if spent > writer.control.budget.unwrap_or(0) {
                return Outcome::Spent;
            }
        }
        if let Err(error) = self.count(writer, registers, notebook) {
            let reason = format!("flash writes cannot be counted ({error}); nothing is written to it");
            return Outcome::Failed { reason, wrote: false };
        }
        if kept.is_none()
            && let Err(error) = notebook.keep(self.name, &control, &settings)
        {
            let reason = format!("the device's own settings cannot be kept ({error}); nothing is written to it");
            return Outcome::Failed { reason, wrote: false };
        }
        match self.steps(&steps, false).await {
            Ok(checks) => {
                let beat = self.unit.heartbeat(&control).map(|(every, _)| every);
                writer.heartbeat(beat, self.clock.io());
                Outcome::Written(checks)
            }
            Err(broken) => {
                // Nothing was changed: what was kept would be out of date one day.
                if kept.is_none()
                    && !broken.wrote
                    && let Err(error) = notebook.put_back(self.name, &control)
                {
                    tracing::warn!(device = %self.name, %control, %error, "settings are kept that nothing has changed");
                }
                broken.into()
            }
        }
    }

    /// The device's own settings, as they are before our first write.
    async fn settings(&mut self, control: &str) -> Result<Captured, Broken> {
        let mut settings = Captured::new();
        for span in self.unit.captures(control) {
            settings.insert(span, self.read(span).await?);
        }
        Ok(settings)
    }

    async fn release(&mut self, writer: &mut Writer, notebook: &dyn Notebook) -> Outcome {
        if self.unit.identify().is_some() {
            // Its registers are not known: nothing written would pass for a release.
            return Outcome::Failed { reason: "the device is not identified yet".to_owned(), wrote: false };
        }
        let control = writer.control.name.clone();
        let kept = notebook.captured(self.name, &control).unwrap_or_default();
        let steps = self.unit.release(&control, &kept);
        if let Err(error) = self.count(writer, registers(&steps), notebook) {
            tracing::warn!(device = %self.name, %control, %error, "flash writes of a release could not be counted");
        }
        match self.steps(&steps, true).await {
            Ok(checks) => Outcome::Written(checks),
            Err(broken) => broken.into(),
        }
    }

    /// Counts before writing: a crash between must not give writes away.
    fn count(&self, writer: &mut Writer, registers: u32, notebook: &dyn Notebook) -> std::io::Result<()> {
        let today = day(self.clock.now());
        writer.wrote(registers, today);
        match writer.control.class {
            Class::Flash => notebook.count(self.name, &writer.control.name, today, registers),
            // RAM does not wear, and a count on disk would wear our own flash.
            Class::Ram => Ok(()),
        }
    }

    /// Writes steps in one go. A device that refuses one step of a release (`to_the_end`) still gets the others.
    async fn steps(&mut self, steps: &[Step], to_the_end: bool) -> Result<Vec<Check>, Broken> {
        let mut checks: Vec<Check> = Vec::new();
        let mut broken = None;
        for (i, step) in steps.iter().enumerate() {
            match self.step(step).await {
                Ok(()) => {
                    // What is written to the same registers later is what they must read as.
                    let before = checks.iter().position(|check| check.span == step.span).map(|at| checks.remove(at));
                    let words = step.verify.clone().or_else(|| before.map(|_| step.words.clone()));
                    checks.extend(words.map(|words| Check { span: step.span, words, mask: step.mask }));
                }
                Err(mut failure) => {
                    let refused = matches!(failure.kind, Some(ErrorKind::Exception(_)));
                    failure.wrote |= i > 0;
                    if !(to_the_end && refused) {
                        return Err(failure);
                    }
                    broken = broken.or(Some(failure));
                }
            }
        }
        broken.map_or(Ok(checks), Err)
    }

    async fn step(&mut self, step: &Step) -> Result<(), Broken> {
        let words = match step.mask {
            None => step.words.clone(),
            Some(mask) => {
                let there = self.read(step.span).await?;
                there.iter().zip(&step.words).map(|(there, ours)| (there & !mask) | (ours & mask)).collect()
            }
        };
        let at = place(step.span);
        let request = Request::write(step, &words).ok_or_else(|| Broken {
            kind: None,
            reason: format!("writing {at}: no such write"),
            wrote: false,
        })?;
        let answer = self.ask(request).await;
        if !step.wait.is_zero() {
            self.link.rest(step.wait).await;
        }
        match answer {
            Ok(_) => {
                self.stats.wrote(u64::from(step.span.len));
                Ok(())
            }
            Err(kind) => Err(Broken {
                kind: Some(kind),
                reason: format!("writing {at}: {kind}"),
                // Without an answer it may have been taken.
                wrote: !matches!(kind, ErrorKind::Exception(_)),
            }),
        }
    }

    async fn verify(&mut self, checks: &[Check]) -> Outcome {
        for check in checks {
            let read = match self.read(check.span).await {
                Ok(words) => words,
                Err(Broken { kind: Some(kind @ ErrorKind::Exception(_)), reason, .. }) if !busy(kind) => {
                    return Outcome::Differs(reason);
                }
                Err(broken) => return broken.into(),
            };
            let mask = check.mask.unwrap_or(u16::MAX);
            let differing = read.iter().zip(&check.words).position(|(read, wrote)| (read ^ wrote) & mask != 0);
            if let Some(i) = differing {
                let (read, wrote) = (read.get(i).copied().unwrap_or(0), check.words.get(i).copied().unwrap_or(0));
                let at = usize::from(check.span.start) + i;
                return Outcome::Differs(format!("register {at} reads {read}, {wrote} was written"));
            }
        }
        Outcome::Verified
    }

    async fn beat(&mut self, writer: &mut Writer, notebook: &dyn Notebook) -> Outcome {
        let Some((_, step)) = self.unit.heartbeat(&writer.control.name) else { return Outcome::Written(Vec::new()) };
        if let Err(error) = self.count(writer, u32::from(step.span.len), notebook) {
            tracing::warn!(device = %self.name, %error, "a heartbeat could not be counted");
        }
        match self.step(&step).await {
            Ok(()) => Outcome::Written(Vec::new()),
            Err(broken) => broken.into(),
        }
    }
}

fn registers(steps: &[Step]) -> u32 {
    steps.iter().map(|step| u32::from(step.span.len)).sum()
}

fn place(span: Span) -> String {
    match span.len {
        1 => format!("register {}", span.start),
        _ => format!("registers {}..{}", span.start, span.end() - 1),
    }
}
