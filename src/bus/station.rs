//! One unit on the bus as the task sees it: its plans, the group that is half read, its writers, how its link stands.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::job::Job;
use super::plan::{Block, plan};
use super::unit::BusUnit;
use super::writer::{Writer, day};
use super::writing::busy;
use super::{Answer, Ask, BusDevice, DeviceStats, ErrorKind, Leases, LinkState, Notebook, Question, SetpointReport};
use crate::backoff::Backoff;
use crate::clock::{Clock, IoTime, Moment};
use crate::profile::{Image, Span, Value};
use crate::reading::DeviceName;

/// Exception 2, "illegal data address".
const NO_SUCH_REGISTER: ErrorKind = ErrorKind::Exception(2);
/// A register that was refused is asked again after this long, unless the profile forbids it.
const REFUSAL_LASTS: Duration = Duration::from_secs(600);
/// Tries of a group of a busy device, after 1, 2, 4 and 8 s.
const BUSY_TRIES: u32 = 4;

pub(super) struct Station<U> {
    pub name: DeviceName,
    pub id: u8,
    pub unit: U,
    pub stats: Arc<DeviceStats>,
    pub writers: Vec<Writer>,
    pub asks: VecDeque<Ask>,
    pub link: LinkState,
    /// Exchanges without an answer in a row.
    pub failures: u32,
    /// Pauses after the device turned out to be another one.
    pub mistaken: Backoff,
    /// Polls still to be thrown away.
    pub warmup: u32,
    leases: watch::Receiver<Leases>,
    /// Nobody can renew its leases.
    orphaned: bool,
    plans: Vec<Option<Vec<Planned>>>,
    reading: Option<Reading>,
    /// The image's memory, between polls.
    image: Image,
    busy: u32,
    /// Where the first question stands: group, read.
    answering: (usize, usize),
    answers: Vec<(usize, Value)>,
}

struct Planned {
    block: Block,
    refused_at: Option<IoTime>,
}

/// A group that is half read.
struct Reading {
    group: usize,
    at: usize,
    sent: Moment,
    image: Image,
}

/// How far a poll has come.
pub(super) enum Polling {
    /// Another read belongs to it.
    More,
    /// All was read: when the first request was sent, and the values; `None` where they are thrown away.
    Done(Option<(Moment, Vec<(usize, Value)>)>),
    /// The device wants time.
    Later(Duration),
    /// Given up.
    Failed(ErrorKind),
}

impl<U: BusUnit> Station<U> {
    pub fn new(device: BusDevice<U>, notebook: &dyn Notebook, now: Moment) -> Self {
        let BusDevice { name, unit: id, instance: unit, mut leases, stats } = device;
        // What stands in the channel already counts, too.
        leases.mark_changed();
        let writer = |control: &crate::profile::Control| {
            let touched = notebook.captured(&name, &control.name).is_some();
            let today = day(now);
            Writer::new(control.clone(), touched, (today, notebook.writes(&name, &control.name, today)))
        };
        let writers = unit.controls().iter().map(writer).collect();
        let groups = unit.groups();
        Self {
            name,
            id,
            unit,
            stats,
            writers,
            asks: VecDeque::new(),
            link: LinkState::Starting,
            failures: 0,
            mistaken: Backoff::new(Duration::from_secs(5), Duration::from_secs(60)),
            warmup: 0,
            leases,
            orphaned: false,
            plans: std::iter::repeat_with(|| None).take(groups).collect(),
            reading: None,
            image: Image::default(),
            busy: 0,
            answering: (0, 0),
            answers: Vec::new(),
        }
    }

    /// Poll intervals of its groups.
    pub fn intervals(&self) -> Vec<Duration> {
        (0..self.unit.groups()).map(|group| self.unit.every(group).unwrap_or(Duration::from_secs(3600))).collect()
    }

    /// A receiver to wait on.
    pub fn watched(&self) -> watch::Receiver<Leases> {
        self.leases.clone()
    }

    /// The unit was identified, or forgotten: its registers may be elsewhere.
    pub fn replan(&mut self) {
        self.plans.iter_mut().for_each(|plan| *plan = None);
        self.reading = None;
        self.answering = (0, 0);
        self.answers.clear();
    }

    /// Takes over new leases, if there are any; what is to be reported at once. `alone`: nobody but the bus sees to them.
    pub fn take_leases(&mut self, alone: bool, clock: &Clock) -> Option<Vec<SetpointReport>> {
        let changed = self.leases.has_changed();
        let orphaned = alone || changed.is_err();
        if orphaned == self.orphaned && !changed.unwrap_or(false) {
            return None;
        }
        let now = clock.now();
        self.orphaned = orphaned;
        let leases = self.leases.borrow_and_update();
        let mut reports = Vec::new();
        self.unit.tick(now);
        for writer in &mut self.writers {
            writer.takes = self.unit.bounds(&writer.control.name);
            writer.lease(leases.get(&writer.control.name).copied(), orphaned, now.io);
            reports.extend(writer.settle(now));
        }
        for (control, lease) in leases.iter() {
            if !self.writers.iter().any(|writer| writer.control.name == *control) {
                reports.push(SetpointReport {
                    control: control.clone(),
                    serial: lease.serial,
                    value: None,
                    takes: None,
                    state: super::SetpointState::Refused(format!("the profile has no control `{control}`")),
                    at: now,
                    writes_today: 0,
                    budget: None,
                });
            }
        }
        Some(reports)
    }

    /// The bus ends: so do all leases.
    pub fn end(&mut self, now: Moment) {
        self.writers.iter_mut().for_each(|writer| writer.lease(None, true, now.io));
    }

    /// Whether it answers and is not in its safe state.
    pub fn is_owed(&self, now: Moment) -> bool {
        self.link == LinkState::Up && !self.writers.iter().all(|writer| writer.at_rest(now))
    }

    /// When its writers next have something to do.
    pub fn write_at(&self, now: Moment) -> Option<IoTime> {
        self.writers.iter().filter_map(|writer| writer.due(now)).map(|(at, _)| at).min()
    }

    /// The writer with the job that has been due the longest, and the job.
    pub fn write_due(&self, now: Moment) -> Option<(usize, Job)> {
        let due = |(i, writer): (usize, &Writer)| writer.due(now).map(|(at, job)| (at, i, job));
        let (_, i, job) = self
            .writers
            .iter()
            .enumerate()
            .filter_map(due)
            .filter(|(at, ..)| *at <= now.io)
            .min_by_key(|(at, ..)| *at)?;
        Some((i, job))
    }

    /// Whether this group is half read.
    pub fn is_reading(&self, group: usize) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.group == group)
    }

    /// Drops a half read group.
    pub fn drop_reading(&mut self) {
        if let Some(reading) = self.reading.take() {
            self.image = reading.image;
        }
    }

    /// The next read of a group; `None` when the group has nothing to read.
    pub fn next_read(&mut self, group: usize, now: Moment) -> Option<Span> {
        if self.reading.as_ref().is_none_or(|reading| reading.group != group) {
            self.drop_reading();
            self.make_plan(group, now.io);
            let mut image = std::mem::take(&mut self.image);
            image.clear();
            self.reading = Some(Reading { group, at: 0, sent: now, image });
        }
        let span = self.reading.as_mut().and_then(|reading| {
            let plan = self.plans.get(group)?.as_ref()?;
            reading.at += plan.iter().skip(reading.at).take_while(|planned| planned.refused_at.is_some()).count();
            plan.get(reading.at).map(|planned| planned.block.span)
        });
        if span.is_none() {
            self.drop_reading();
        }
        span
    }

    fn make_plan(&mut self, group: usize, now: IoTime) {
        let Some(slot) = self.plans.get_mut(group) else { return };
        let manners = self.unit.manners();
        let plan = slot.get_or_insert_with(|| {
            let blocks = plan(self.unit.spans(group), manners);
            blocks.into_iter().map(|block| Planned { block, refused_at: None }).collect()
        });
        // Where nothing at all is left the whole group is asked again.
        let all = plan.iter().all(|planned| planned.refused_at.is_some());
        for planned in plan.iter_mut() {
            let lasts = |at: IoTime| manners.strict_holes || now.since(at) < REFUSAL_LASTS;
            planned.refused_at = planned.refused_at.filter(|at| !all && lasts(*at));
        }
    }

    /// What the read that [`Self::next_read`] asked for brought.
    pub fn read(&mut self, result: Result<Vec<u16>, ErrorKind>, now: Moment) -> Polling {
        let Some(mut reading) = self.reading.take() else { return Polling::Failed(ErrorKind::Protocol) };
        let Some(Some(plan)) = self.plans.get_mut(reading.group) else { return Polling::Failed(ErrorKind::Protocol) };
        let Some(planned) = plan.get_mut(reading.at) else { return Polling::Failed(ErrorKind::Protocol) };
        match result {
            Ok(words) => {
                reading.image.insert(planned.block.span, words);
                reading.at += 1;
            }
            Err(NO_SUCH_REGISTER) => match planned.block.split() {
                Some(smaller) => {
                    let smaller = smaller.into_iter().map(|block| Planned { block, refused_at: None });
                    plan.splice(reading.at..=reading.at, smaller);
                }
                None => {
                    planned.refused_at = Some(now.io);
                    reading.at += 1;
                }
            },
            Err(kind) => {
                self.image = reading.image;
                if busy(kind) && self.busy < BUSY_TRIES {
                    self.busy += 1;
                    return Polling::Later(Duration::from_secs(1 << (self.busy - 1)));
                }
                self.busy = 0;
                return Polling::Failed(kind);
            }
        }
        self.busy = 0;
        if plan.iter().skip(reading.at).any(|planned| planned.refused_at.is_none()) {
            self.reading = Some(reading);
            return Polling::More;
        }
        let done = if reading.image.is_empty() {
            Polling::Failed(NO_SUCH_REGISTER)
        } else if self.warmup > 0 {
            self.warmup -= 1;
            Polling::Done(None)
        } else {
            let values = self.unit.decode(reading.group, &reading.image, now);
            Polling::Done(Some((reading.sent, values)))
        };
        self.image = reading.image;
        done
    }

    /// The next read for the first question that is still wanted; answers those that need none.
    pub fn next_answer(&mut self, now: Moment) -> Option<Span> {
        loop {
            let ask = self.asks.front()?;
            if ask.until <= now.io || ask.reply.is_closed() {
                self.reply(Answer::Error(format!("{} does not answer", self.name)));
                continue;
            }
            match ask.question {
                Question::Registers(span) if super::request::Request::read(span).is_some() => return Some(span),
                Question::Registers(span) => {
                    let error = format!("no read can fetch {} registers from {}", span.len, span.start);
                    self.reply(Answer::Error(error));
                }
                Question::Points if self.unit.identify().is_some() => {
                    self.reply(Answer::Error(format!("{} is not identified yet", self.name)));
                }
                Question::Points => {
                    let (group, _) = self.answering;
                    if group >= self.unit.groups() {
                        let values = std::mem::take(&mut self.answers);
                        let points = self.unit.points().clone();
                        self.reply(Answer::Points(points, values));
                        continue;
                    }
                    // A question takes the place of a poll of the group: the same reads, the same memory.
                    match self.next_read(group, now) {
                        Some(span) => return Some(span),
                        None => self.answering.0 += 1,
                    }
                }
            }
        }
    }

    /// What the read that [`Self::next_answer`] asked for brought, and how long it took. Whether the group wants more.
    pub fn answer(&mut self, result: Result<Vec<u16>, ErrorKind>, took: Duration, now: Moment) -> bool {
        match (self.asks.front().map(|ask| ask.question), result) {
            (Some(Question::Registers(_)), Ok(words)) => self.reply(Answer::Registers(words, took)),
            (Some(Question::Registers(_)), Err(kind)) => self.reply(Answer::Error(kind.to_string())),
            (Some(Question::Points), result) => match self.read(result, now) {
                Polling::More => return true,
                Polling::Done(values) => {
                    self.answers.extend(values.into_iter().flat_map(|(_, values)| values));
                    self.answering.0 += 1;
                }
                Polling::Failed(kind @ ErrorKind::Exception(_)) if !busy(kind) => self.answering.0 += 1,
                Polling::Failed(kind) => self.reply(Answer::Error(kind.to_string())),
                Polling::Later(_) => self.reply(Answer::Error("the device is busy".to_owned())),
            },
            (None, _) => {}
        }
        false
    }

    fn reply(&mut self, answer: Answer) {
        self.answering = (0, 0);
        self.answers.clear();
        if let Some(ask) = self.asks.pop_front() {
            // Whoever asked may have gone.
            _ = ask.reply.send(answer);
        }
    }

    /// The state of a link that gives no answers.
    pub fn away(&self, reason: String) -> LinkState {
        if self.unit.manners().sleeps { LinkState::Asleep } else { LinkState::Down { reason } }
    }
}
