//! What one control of a device is to be told next: a lease kept, refreshed, verified, and ended in its safe state. Pure.
//!
//! The writer knows what the device was last told, what it shall be told by the lease, and so which job is next and when.
//! The task carries jobs out (`writing`) and says how they went. A control that was told anything is `touched` until a
//! release is through: whatever fails, the way leads there, and the release is tried for ever.

use std::time::Duration;

use super::job::{Check, Job, Outcome};
use super::{Lease, SafeState, SetpointReport, SetpointState};
use crate::backoff::Backoff;
use crate::clock::{IoTime, Moment};
use crate::profile::{BatteryControl, Class, Control, ControlKind};

/// What the device was last told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    /// Nothing, or its release is written.
    Release,
    /// To do `value`, written at that time.
    Drive { value: f64, at: IoTime },
    /// Something that broke off: it must be released.
    Unclear,
}

/// How far what was told has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Written,
    Confirmed,
    Differs,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Goal {
    Rest,
    Drive(f64),
    Release,
}

/// A setpoint that is held without refresh is read back again this often: firmware and clouds take things back.
const RECHECK: Duration = Duration::from_secs(120);
/// A wish that could not be encoded is looked at again after so long.
const REFUSED_AGAIN: Duration = Duration::from_secs(1);
/// Tries of a busy device, after 1, 2, 4 and 8 s.
const BUSY_TRIES: u32 = 4;

pub(super) struct Writer {
    pub control: Control,
    /// What the device takes at present: (least, most).
    pub takes: Option<(f64, f64)>,
    lease: Option<Lease>,
    touched: bool,
    told: Told,
    stage: Stage,
    checks: Vec<Check>,
    verify_at: Option<IoTime>,
    /// How often the device wants a sign of life, and when it last had one.
    heartbeat: Option<(Duration, IoTime)>,
    /// No job before.
    not_before: IoTime,
    /// No new drive before: one broke off.
    drive_from: IoTime,
    backoff: Backoff,
    drives: Backoff,
    busy: u32,
    /// The UTC day whose budget is spent.
    spent: Option<i64>,
    /// Registers written on a day.
    writes: (i64, u32),
    /// Why the last drive came to nothing.
    trouble: Option<SetpointState>,
    /// Lease of which was last reported, and whether as a safe state.
    reported: Option<(u64, bool)>,
    /// The last report.
    last: Option<SetpointReport>,
}

impl Writer {
    /// `touched`: the device still holds what a former run of ours told it.
    pub fn new(control: Control, touched: bool, writes: (i64, u32)) -> Self {
        let told = if touched { Told::Unclear } else { Told::Release };
        Self {
            control,
            takes: None,
            lease: None,
            touched,
            told,
            stage: Stage::Confirmed,
            checks: Vec::new(),
            verify_at: None,
            heartbeat: None,
            not_before: IoTime::START,
            drive_from: IoTime::START,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            drives: Backoff::new(Duration::from_secs(4), Duration::from_secs(60)),
            busy: 0,
            spent: None,
            writes,
            trouble: None,
            reported: None,
            last: None,
        }
    }

    /// The lease as it is now. One that is gone, like all when `orphaned` (nobody can renew them), ends now.
    pub fn lease(&mut self, lease: Option<Lease>, orphaned: bool, now: IoTime) {
        self.lease = lease.or(self.lease);
        if let Some(held) = &mut self.lease
            && (lease.is_none() || orphaned)
        {
            held.valid_until = held.valid_until.min(now);
        }
    }

    /// Whether nothing is left to do for the goal: it is written, and read back where it can be.
    pub fn at_rest(&self, now: Moment) -> bool {
        match (self.goal(now), self.told) {
            (Goal::Rest, _) => true,
            (Goal::Drive(value), Told::Drive { value: told, .. }) => {
                self.same(told, value) && (self.stage == Stage::Confirmed || self.verify_at.is_none())
            }
            _ => false,
        }
    }

    /// Whether the device's own settings are kept already, to be put back one day.
    pub const fn touched(&self) -> bool {
        self.touched
    }

    /// What was written last and can be read back.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Registers written on `day`.
    pub const fn writes(&self, day: i64) -> u32 {
        if self.writes.0 == day { self.writes.1 } else { 0 }
    }

    /// Registers are being written.
    pub const fn wrote(&mut self, registers: u32, day: i64) {
        self.writes = (day, self.writes(day).saturating_add(registers));
    }

    /// The device answers again after it was away: what had to wait is tried at once.
    pub const fn awake(&mut self) {
        self.not_before = IoTime::START;
    }

    /// New values of the device were read: a control that is told the grid point works its setpoint out of them, so it is
    /// told anew.
    pub fn follow(&mut self, now: IoTime) {
        if let (ControlKind::BatteryPower(BatteryControl::GridPoint), Told::Drive { at, .. }, Some(refresh)) =
            (self.control.kind, &mut self.told, self.control.refresh)
        {
            *at = (*at).min(now - refresh);
        }
    }

    /// How often the device wants a sign of life while it is driven.
    pub fn heartbeat(&mut self, every: Option<Duration>, now: IoTime) {
        let last = self.heartbeat.map(|(_, last)| last);
        self.heartbeat = every.map(|every| (every, last.unwrap_or(now - every)));
    }

    /// A sign of life was given.
    pub fn beat(&mut self, now: IoTime) {
        if let Some((_, last)) = &mut self.heartbeat {
            *last = now;
        }
    }

    /// The lease is kept: its own value is in force, not the safe state.
    fn live(&self, now: IoTime) -> Option<f64> {
        self.lease.filter(|lease| now < lease.valid_until).and_then(|lease| lease.value)
    }

    /// Nothing is driven for now: a drive broke off, or the budget of the day is spent.
    fn paused(&self, now: Moment) -> bool {
        self.spent == Some(day(now)) || now.io < self.drive_from
    }

    fn goal(&self, now: Moment) -> Goal {
        let release = if self.touched { Goal::Release } else { Goal::Rest };
        let Some(lease) = self.lease else { return release };
        if self.paused(now) {
            return release;
        }
        match (self.live(now.io), lease.safe) {
            (Some(value), _) => Goal::Drive(self.step(value)),
            (None, SafeState::Standby) => Goal::Drive(0.0),
            (None, SafeState::Release) => release,
        }
    }

    /// `value` in whole steps of the control, towards zero: never beyond what was asked.
    fn step(&self, value: f64) -> f64 {
        let step = self.control.step;
        if step <= 0.0 {
            return value;
        }
        let steps = value / step;
        let nearest = steps.round();
        // A whole number of steps but for rounding stays what it is.
        step * if (steps - nearest).abs() < 1e-6 { nearest } else { steps.trunc() }
    }

    /// What is next, and when; `None` while nothing is to be done until the lease changes.
    pub fn due(&self, now: Moment) -> Option<(IoTime, Job)> {
        let verify = self.verify_at.map(|at| (at, Job::Verify));
        let (at, job) = match self.goal(now) {
            Goal::Rest => (None, Job::Look),
            Goal::Release if self.told == Told::Release => (self.verify_at, Job::Verify),
            Goal::Release => (Some(now.io), Job::Release),
            Goal::Drive(value) => match self.told {
                Told::Drive { value: told, at } if self.stage != Stage::Differs && self.same(told, value) => {
                    let refresh = self.control.refresh.map(|every| (at + every, Job::Drive(told)));
                    let beat = self.heartbeat.map(|(every, last)| (last + every, Job::Heartbeat));
                    let next = [refresh, beat, verify].into_iter().flatten().min_by_key(|(at, _)| *at);
                    next.map_or((None, Job::Look), |(at, job)| (Some(at), job))
                }
                // What broke off is released first; `drive_from` sees to that, and here the next drive takes over.
                _ => (Some(now.io), Job::Drive(value)),
            },
        };
        let job = at.map(|at| (at.max(self.not_before), job));
        // The lease's end and the end of a pause change the goal.
        let turns = [self.lease.map(|lease| lease.valid_until), Some(self.drive_from)];
        let turn = turns.into_iter().flatten().filter(|at| *at > now.io).min().map(|at| (at, Job::Look));
        let midnight =
            self.spent.filter(|spent| *spent == day(now)).map(|_| (now.io + Duration::from_secs(60), Job::Look));
        [job, turn, midnight].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// A power or current as near as the device takes it, never beyond what was asked: a stop stays a stop. A mode or a
    /// contact has no neighbour: one that the device does not know is left for it to be refused.
    pub fn taken(&self, value: f64) -> f64 {
        match (self.takes, self.control.kind) {
            (None, _) | (_, ControlKind::Switch | ControlKind::Mode) => value,
            (Some((_, most)), _) if value > 0.0 => value.min(most.max(0.0)),
            (Some((least, _)), _) => value.max(least.min(0.0)),
        }
    }

    /// Whether a device that was told `told` need not be told `value`.
    fn same(&self, told: f64, value: f64) -> bool {
        told == value || (value != 0.0 && (told - value).abs() <= self.control.deadband)
    }

    /// A job was carried out. What is to be reported.
    pub fn done(&mut self, job: Job, outcome: Outcome, now: Moment) -> Option<SetpointReport> {
        if outcome != Outcome::Busy {
            self.busy = 0;
        }
        match outcome {
            Outcome::Written(checks) => self.written(job, checks, now),
            Outcome::Verified => self.verified(now),
            Outcome::Differs(reason) => {
                self.stage = Stage::Differs;
                self.verify_at = None;
                self.not_before = now.io + self.backoff.fail();
                if self.told == Told::Release {
                    self.told = Told::Unclear;
                }
                self.report(SetpointState::Failed(reason), now)
            }
            Outcome::Busy => {
                self.busy += 1;
                if self.busy > BUSY_TRIES {
                    let reason = "busy for too long".to_owned();
                    return self.done(job, Outcome::Failed { reason, wrote: matches!(job, Job::Drive(_)) }, now);
                }
                self.not_before = now.io + Duration::from_secs(1 << (self.busy - 1));
                None
            }
            Outcome::Spent => {
                self.spent = Some(day(now));
                let budget = self.control.budget.unwrap_or(0);
                let reason =
                    format!("the budget of {budget} flash writes a day is spent; released until tomorrow (UTC)");
                self.troubled(SetpointState::Refused(reason), now)
            }
            Outcome::Refused(reason) => {
                // Nothing went over the wire, and the value that was missing may be read any moment.
                self.drive_from = now.io + REFUSED_AGAIN;
                self.troubled(SetpointState::Refused(reason), now)
            }
            Outcome::Failed { reason, wrote } => self.failed(job, reason, wrote, now),
        }
    }

    fn failed(&mut self, job: Job, reason: String, wrote: bool, now: Moment) -> Option<SetpointReport> {
        match job {
            Job::Drive(_) => {
                self.drive_from = now.io + self.drives.fail();
                if wrote {
                    self.told = Told::Unclear;
                    self.touched = true;
                }
            }
            Job::Release => self.not_before = now.io + self.backoff.fail(),
            // Neither changes what the device was told: once more.
            Job::Verify => {
                self.verify_at = Some(now.io + self.backoff.fail());
                return None;
            }
            Job::Heartbeat | Job::Look => {
                self.beat(now.io);
                return None;
            }
        }
        self.troubled(SetpointState::Failed(reason), now)
    }

    /// The lease is not kept: said until a drive succeeds, also for the leases that come meanwhile.
    fn troubled(&mut self, state: SetpointState, now: Moment) -> Option<SetpointReport> {
        self.trouble = Some(state.clone());
        self.report(state, now)
    }

    fn written(&mut self, job: Job, checks: Vec<Check>, now: Moment) -> Option<SetpointReport> {
        // Whether a setpoint has its effect shows once it settled; whether the safe state was taken is asked at once.
        let settled = if self.live(now.io).is_some() { now.io + self.control.settle } else { now.io };
        match job {
            Job::Drive(value) => {
                let refreshed = matches!(self.told, Told::Drive { value: told, .. } if told == value)
                    && self.stage != Stage::Differs;
                self.told = Told::Drive { value, at: now.io };
                self.touched = true;
                self.trouble = None;
                let verify = self.verify_at.filter(|_| refreshed).unwrap_or(settled);
                self.verify_at = (!checks.is_empty()).then_some(verify);
                if checks.is_empty() {
                    self.drives.reset();
                }
                self.checks = checks;
                if refreshed {
                    // Nothing new, but that flash has worn.
                    let worn = self.control.class == Class::Flash;
                    return if worn { self.report_stage(now) } else { self.settle(now) };
                }
                self.stage = Stage::Written;
                self.report_stage(now)
            }
            Job::Release => {
                self.told = Told::Release;
                self.stage = Stage::Written;
                self.verify_at = (!checks.is_empty()).then_some(settled);
                if checks.is_empty() {
                    // The echoes are all that this device can confirm.
                    self.stage = Stage::Confirmed;
                    self.released();
                }
                self.checks = checks;
                self.report_stage(now)
            }
            Job::Heartbeat => {
                self.beat(now.io);
                None
            }
            Job::Verify | Job::Look => None,
        }
    }

    fn verified(&mut self, now: Moment) -> Option<SetpointReport> {
        self.backoff.reset();
        self.drives.reset();
        let news = self.stage != Stage::Confirmed;
        self.stage = Stage::Confirmed;
        match self.told {
            Told::Release => self.released(),
            _ => self.verify_at = Some(now.io + RECHECK),
        }
        if news { self.report_stage(now) } else { None }
    }

    fn released(&mut self) {
        self.touched = false;
        self.verify_at = None;
        self.backoff.reset();
    }

    /// What there is to report without anything written: a new lease that what was told satisfies already.
    pub fn settle(&mut self, now: Moment) -> Option<SetpointReport> {
        let lease = self.lease?;
        if self.paused(now)
            && self.live(now.io).is_some()
            && let Some(trouble) = self.trouble.clone()
        {
            let said = self.reported.is_some_and(|(serial, _)| serial == lease.serial);
            return if said { None } else { self.report(trouble, now) };
        }
        let fits = match (self.goal(now), self.told) {
            // A live lease at rest is one that waits for its next try; without one, rest is the safe state.
            (Goal::Rest, _) => self.live(now.io).is_none() || now.io >= self.drive_from,
            (Goal::Drive(value), Told::Drive { value: told, .. }) => self.same(told, value),
            _ => false,
        };
        let safe = self.live(now.io).is_none();
        let known = self.reported.is_some_and(|reported| reported == (lease.serial, safe));
        if fits && !known && self.stage != Stage::Differs { self.report_stage(now) } else { None }
    }

    fn report_stage(&mut self, now: Moment) -> Option<SetpointReport> {
        let live = self.live(now.io).is_some();
        if live
            && self.told == Told::Release
            && let Some(trouble) = self.trouble.clone()
        {
            // It rests because the lease cannot be kept, not because that has ended.
            return self.report(trouble, now);
        }
        let safe = self.told == Told::Release || !live;
        let state = match (safe, self.stage) {
            (false, Stage::Confirmed) => SetpointState::Confirmed,
            (false, _) => SetpointState::Written,
            (true, Stage::Confirmed) => SetpointState::SafeConfirmed,
            (true, _) => SetpointState::SafeWritten,
        };
        self.report(state, now)
    }

    /// A report, unless it would say what the last one said.
    fn report(&mut self, state: SetpointState, now: Moment) -> Option<SetpointReport> {
        let serial = self.lease.map_or(0, |lease| lease.serial);
        self.reported = Some((serial, self.live(now.io).is_none()));
        let value = match self.told {
            Told::Drive { value, .. } => Some(self.taken(value)),
            Told::Release | Told::Unclear => None,
        };
        let flash = self.control.class == Class::Flash;
        let report = SetpointReport {
            control: self.control.name.clone(),
            serial,
            value,
            takes: self.takes,
            state,
            at: now,
            writes_today: self.writes(day(now)),
            budget: self.control.budget.filter(|_| flash),
        };
        let same = self.last.as_ref().is_some_and(|last| {
            (last.serial, last.value, last.takes, &last.state) == (serial, value, self.takes, &report.state)
                && !(flash && last.writes_today != report.writes_today)
        });
        self.last = Some(report.clone());
        (!same).then_some(report)
    }
}

/// Days since 1970, UTC.
pub(super) fn day(now: Moment) -> i64 {
    now.site.as_second().div_euclid(86_400)
}
