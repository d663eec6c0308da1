//! What a bus does next. Pure: events and `now` in, an action out.
//!
//! Order: writes; the rest of a group that is half read; questions, at most every other time; then whatever has been due
//! the longest, over all units, so that nothing starves however full the bus is. A silent unit is tried ever more rarely,
//! and all silent units together take at most a fifth of the bus's time.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::clock::IoTime;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// What a unit's leases ask for.
    Write(usize),
    /// One step of getting to know a unit.
    Identify(usize),
    /// One exchange of a group of a unit.
    Poll(usize, usize),
    /// One exchange for a question to a unit.
    Answer(usize),
    /// Nothing before then.
    Wait(IoTime),
}

/// A silent unit is tried at least this often.
const SILENT_CAP: Duration = Duration::from_secs(30);
/// After a vain try the bus has this many times its cost for the other units.
const OTHERS_SHARE: u32 = 4;
/// Wait at most so long; whoever calls has a pulse to mark.
const REST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Schedule {
    units: Vec<UnitTimes>,
    /// Nothing goes out before: no connection, its first silence, or a line in doubt.
    open_from: IoTime,
    /// No silent unit is tried before.
    probe_from: IoTime,
    /// The last action was an answer.
    answered: bool,
}

#[derive(Debug)]
struct UnitTimes {
    known: bool,
    /// It is left alone until then: its gap, or it is busy.
    from: IoTime,
    /// Set while it is silent: the next try.
    retry_at: Option<IoTime>,
    backoff: Backoff,
    identify_at: IoTime,
    write_at: Option<IoTime>,
    asked_at: Option<IoTime>,
    reading: Option<usize>,
    groups: Vec<GroupTimes>,
}

#[derive(Clone, Copy, Debug)]
struct GroupTimes {
    every: Duration,
    due: IoTime,
}

impl UnitTimes {
    /// The earliest time at which it may be talked to.
    fn free_at(&self, probe_from: IoTime) -> IoTime {
        self.retry_at.map_or(self.from, |retry| self.from.max(retry).max(probe_from))
    }

    /// Its group that has been due the longest.
    fn oldest(&self) -> Option<(usize, IoTime)> {
        self.groups.iter().enumerate().map(|(group, times)| (group, times.due)).min_by_key(|(_, due)| *due)
    }
}

impl Schedule {
    /// For units with the poll intervals of their groups; everything is due at `now`.
    pub fn new(units: impl IntoIterator<Item = Vec<Duration>>, now: IoTime) -> Self {
        let unit = |intervals: Vec<Duration>| {
            let fastest = intervals.iter().min().copied().unwrap_or(REST);
            UnitTimes {
                known: false,
                from: now,
                retry_at: None,
                // A single lost answer shall not cost a fast poll many of its turns.
                backoff: Backoff::new(fastest.clamp(Duration::from_millis(100), REST), SILENT_CAP),
                identify_at: now,
                write_at: None,
                asked_at: None,
                reading: None,
                groups: intervals.into_iter().map(|every| GroupTimes { every, due: now }).collect(),
            }
        };
        let units = units.into_iter().map(unit).collect();
        Self { units, open_from: now, probe_from: now, answered: false }
    }

    /// What to do at `now`.
    pub fn next(&mut self, now: IoTime) -> Action {
        if now < self.open_from {
            return Action::Wait(self.open_from.min(now + REST));
        }
        let mut rest = now + REST;
        let mut best: Option<(u8, IoTime, Action)> = None;
        for (i, unit) in self.units.iter().enumerate() {
            let free = unit.free_at(self.probe_from);
            for (class, at, action) in unit_work(i, unit, self.answered) {
                // A question tries a silent unit at once, if the others' share allows it.
                let start = if action == Action::Answer(i) {
                    at.max(unit.from).max(self.probe_from.min(free))
                } else {
                    at.max(free)
                };
                if start > now {
                    rest = rest.min(start);
                } else if best.is_none_or(|(c, t, _)| (class, at) < (c, t)) {
                    best = Some((class, at, action));
                }
            }
        }
        let action = best.map_or(Action::Wait(rest), |(_, _, action)| action);
        self.answered = matches!(action, Action::Answer(_));
        action
    }

    fn unit(&mut self, unit: usize) -> Option<&mut UnitTimes> {
        self.units.get_mut(unit)
    }

    /// Nothing goes out before `until`.
    pub fn hold(&mut self, until: IoTime) {
        self.open_from = until;
    }

    /// Whether a unit is known; until then it is only identified.
    pub fn known(&mut self, unit: usize, known: bool) {
        if let Some(unit) = self.unit(unit) {
            unit.known = known;
        }
    }

    /// The next step of identification is due at `at`.
    pub fn identify_at(&mut self, unit: usize, at: IoTime) {
        if let Some(unit) = self.unit(unit) {
            unit.identify_at = at;
        }
    }

    /// When a unit's leases next ask for something.
    pub fn write_at(&mut self, unit: usize, at: Option<IoTime>) {
        if let Some(unit) = self.unit(unit) {
            unit.write_at = at;
        }
    }

    /// Since when a question to a unit waits.
    pub fn asked(&mut self, unit: usize, since: Option<IoTime>) {
        if let Some(unit) = self.unit(unit) {
            unit.asked_at = since;
        }
    }

    /// The first read of a group goes out at `now`: it is due again an interval after it was due, or later where that has passed.
    pub fn started(&mut self, unit: usize, group: usize, now: IoTime) {
        let Some(unit) = self.unit(unit) else { return };
        unit.reading = Some(group);
        let Some(times) = unit.groups.get_mut(group) else { return };
        times.due = following(times.due, times.every, now);
    }

    /// A group is read to its end, or given up.
    pub fn finished(&mut self, unit: usize) {
        if let Some(unit) = self.unit(unit) {
            unit.reading = None;
        }
    }

    /// The unit asks for time: this group again at `at`.
    pub fn again(&mut self, unit: usize, group: usize, at: IoTime) {
        let Some(unit) = self.unit(unit) else { return };
        unit.reading = None;
        if let Some(times) = unit.groups.get_mut(group) {
            times.due = at;
        }
    }

    /// A unit answered at `now` and wants `gap` of silence.
    pub fn heard(&mut self, unit: usize, now: IoTime, gap: Duration) {
        let Some(unit) = self.unit(unit) else { return };
        unit.from = now + gap;
        unit.retry_at = None;
        unit.backoff.reset();
    }

    /// A unit did not answer; `cost` is what that took of the bus.
    pub fn silent(&mut self, unit: usize, now: IoTime, cost: Duration) {
        let Some(times) = self.unit(unit) else { return };
        let was_silent = times.retry_at.is_some();
        times.reading = None;
        times.retry_at = Some(now + times.backoff.fail());
        if was_silent {
            self.probe_from = now + cost * OTHERS_SHARE;
        }
    }

    /// A unit is back at `now`: what it said before is out of date, so all its groups are due, but for the one being read.
    pub fn back(&mut self, unit: usize, now: IoTime) {
        let Some(unit) = self.unit(unit) else { return };
        let reading = unit.reading;
        for (_, times) in unit.groups.iter_mut().enumerate().filter(|(group, _)| reading != Some(*group)) {
            times.due = times.due.min(now);
        }
    }

    /// The groups that are due at `now` without a connection: each is passed over once.
    pub fn pass_over(&mut self, now: IoTime) -> Vec<(usize, usize)> {
        let mut passed = Vec::new();
        for (u, unit) in self.units.iter_mut().enumerate() {
            unit.reading = None;
            for (g, times) in unit.groups.iter_mut().enumerate().filter(|(_, times)| times.due <= now) {
                times.due = following(times.due, times.every, now);
                passed.push((u, g));
            }
        }
        passed
    }
}

/// What a unit could be asked for: class, since when, action.
fn unit_work(i: usize, unit: &UnitTimes, answered: bool) -> impl Iterator<Item = (u8, IoTime, Action)> {
    let write = unit.write_at.map(|at| match unit.known {
        true => (0, at, Action::Write(i)),
        false => (0, at.max(unit.identify_at), Action::Identify(i)),
    });
    let rest = unit.reading.map(|group| (1, unit.from, Action::Poll(i, group)));
    // An answer follows an answer only where nothing else waits.
    let answer = unit.asked_at.map(|at| (if answered { 4 } else { 2 }, at, Action::Answer(i)));
    let poll = match (unit.known, unit.reading) {
        (false, _) => Some((3, unit.identify_at, Action::Identify(i))),
        (true, None) => unit.oldest().map(|(group, due)| (3, due, Action::Poll(i, group))),
        (true, Some(_)) => None,
    };
    [write, rest, answer, poll].into_iter().flatten()
}

/// The first time after `now` on the grid of `due` and `every`.
fn following(due: IoTime, every: Duration, now: IoTime) -> IoTime {
    let every = every.max(Duration::from_nanos(1));
    let next = due + every;
    if next > now {
        return next;
    }
    let late = now.since(due).as_nanos();
    let missed = late % every.as_nanos();
    // Less than an interval of nanoseconds: fits.
    now + (every - Duration::from_nanos(u64::try_from(missed).unwrap_or(0)))
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
