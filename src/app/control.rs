//! The control task: wakes on each new reading of the grid meter, and at the latest every `control.interval`.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Moment, Pulse};
use crate::control::{Decision, Memory, Outcome, Policy, Standing, decide};
use crate::state::{Note, Snapshot};
use crate::units::Watts;

/// What control is given to work with.
pub(super) struct ControlPorts {
    pub(super) snapshot: watch::Receiver<Arc<Snapshot>>,
    pub(super) policy: watch::Receiver<Arc<Policy>>,
    pub(super) memory: watch::Sender<Memory>,
    pub(super) decision: watch::Sender<Arc<Decision>>,
    /// To telemetry; never awaited.
    pub(super) records: mpsc::Sender<Arc<Decision>>,
    pub(super) notes: mpsc::Sender<Note>,
    pub(super) clock: Clock,
    pub(super) pulse: Pulse,
}

/// Decides until it is stopped or the hub is gone.
pub(super) async fn run(mut ports: ControlPorts, stop: CancellationToken) {
    let mut memory = ports.memory.borrow().clone();
    let mut last: Option<Arc<Decision>> = None;
    let mut seen: Option<Moment> = None;
    let mut due = ports.clock.io();
    let mut alarm = ports.clock.alarm();
    loop {
        ports.pulse.mark(ports.clock.io());
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            changed = ports.snapshot.changed() => {
                if changed.is_err() {
                    break;
                }
                let grid = ports.snapshot.borrow_and_update().grid.power.map(|power| power.at());
                if grid == seen {
                    continue;
                }
                seen = grid;
            }
            changed = ports.policy.changed() => if changed.is_err() { break },
            () = alarm.at(due) => {}
        }
        let snapshot = ports.snapshot.borrow().clone();
        let policy = ports.policy.borrow_and_update().clone();
        let now = ports.clock.now();
        due = now.io + policy.interval;
        let decision = Arc::new(decide(&snapshot, &policy, &mut memory, now));
        ports.memory.send_if_modified(|held| {
            let changed = *held != memory;
            if changed {
                held.clone_from(&memory);
            }
            changed
        });
        if last.as_ref().is_none_or(|last| last.standing != decision.standing) {
            say(&decision, &ports.notes);
        }
        if last.as_ref().is_none_or(|last| is_news(last, &decision)) {
            // A full queue is telemetry's matter, and counted there as a gap in the decision's own serial.
            let _full = ports.records.try_send(decision.clone());
        }
        ports.decision.send_replace(decision.clone());
        last = Some(decision);
    }
}

/// Stands for the decision before the first one: serial 0.
pub(super) fn nothing_yet() -> Decision {
    let reason = "nothing is decided yet".to_owned();
    Decision {
        serial: 0,
        at: Moment::default(),
        standing: Standing::NotControlling(reason.clone()),
        outcome: Outcome::None { reason },
        bounds: Vec::new(),
        range: (Watts::new(f64::NEG_INFINITY), Watts::new(f64::INFINITY)),
        demand: None,
        inputs: Vec::new(),
        setpoints: Vec::new(),
    }
}

/// Whether a decision differs from the one before in what it does or why.
fn is_news(last: &Decision, new: &Decision) -> bool {
    let rule = |decision: &Decision| match &decision.outcome {
        Outcome::Target { rule, .. } => rule.clone(),
        Outcome::None { .. } => None,
    };
    last.standing != new.standing
        || rule(last) != rule(new)
        || last.setpoints.len() != new.setpoints.len()
        || last.setpoints.iter().zip(&new.setpoints).any(|(a, b)| a.device != b.device || a.value != b.value)
}

fn say(decision: &Decision, notes: &mpsc::Sender<Note>) {
    let text = match &decision.standing {
        Standing::Controlling => "controlling".to_owned(),
        Standing::DryRun => "dry-run: decides and writes nothing, because [control] enabled = false".to_owned(),
        Standing::NotControlling(reason) => format!("not controlling, because {reason}"),
    };
    match decision.standing {
        Standing::NotControlling(_) => tracing::warn!("{text}"),
        Standing::Controlling | Standing::DryRun => tracing::info!("{text}"),
    }
    let _full = notes.try_send(Note::Event { kind: "control", text, at: decision.at });
}
