//! The MQTT task: session after session, for ever.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::live::{Live, Message};
use super::retry::{Pauses, Retry};
use super::{Capacities, MqttStats, session};
use crate::clock::Clock;
use crate::config::MqttConfig;
use crate::control::Decision;
use crate::state::Snapshot;
use crate::telemetry::{Outbox, Topics};

/// What the MQTT task works with.
#[derive(Debug)]
pub struct MqttPorts {
    /// `[mqtt]`.
    pub config: MqttConfig,
    /// Sizes of the batteries, for the SoC of all of them.
    pub capacities: Capacities,
    /// How long to wait between sessions.
    pub retry: Retry,
    /// The clock.
    pub clock: Clock,
    /// Where records wait.
    pub outbox: Arc<Outbox>,
    /// Latest state.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// Latest decision; serial 0 = none yet.
    pub decision: watch::Receiver<Arc<Decision>>,
    /// For metrics and status.
    pub status: Arc<MqttStats>,
    /// Ends the task: what waits is sent for 2 s at most, then `offline`.
    pub stop: CancellationToken,
}

/// What outlives a session.
pub(super) struct Shared {
    pub(super) config: MqttConfig,
    pub(super) topics: Topics,
    pub(super) clock: Clock,
    pub(super) outbox: Arc<Outbox>,
    pub(super) live: Live,
    pub(super) status: Arc<MqttStats>,
    pub(super) stop: CancellationToken,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    decision: watch::Receiver<Arc<Decision>>,
    said_refused: BTreeSet<Arc<str>>,
}

/// Topics whose refusal is remembered, so that it is said once.
const SAID_MOST: usize = 1000;
/// So many sessions in a row that end within seconds look like two clients with one id.
const SUSPICIOUS: u32 = 4;

/// Keeps a session with the broker until told to stop. Never fails: a broker that is away is tried for ever.
pub async fn run(ports: MqttPorts) {
    let topics = Topics::new(&ports.config.topic_prefix);
    let mut pauses = Pauses::new(ports.retry);
    let mut last_said = None;
    let mut shared = Shared {
        live: Live::new(topics.clone(), ports.capacities),
        config: ports.config,
        topics,
        clock: ports.clock,
        outbox: ports.outbox,
        status: ports.status,
        stop: ports.stop,
        snapshot: ports.snapshot,
        decision: ports.decision,
        said_refused: BTreeSet::new(),
    };
    while !shared.stop.is_cancelled() {
        shared.live.forget();
        let Err(failure) = session::run(&mut shared).await else { break };
        if failure.held.is_some() {
            last_said = None; // It stood meanwhile: the loss is news, whatever the cause.
        }
        let wait = pauses.next(failure.held.unwrap_or_default(), failure.taken_over);
        say(&shared.config, &failure, pauses.failures(), wait, &mut last_said);
        shared.status.ended(Some(failure.why));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shared.stop.cancelled() => {}
        }
    }
    shared.status.ended(shared.status.last_error());
    let left = shared.outbox.stats().records;
    if left > 0 {
        tracing::warn!(records = left, "stopped with records that the broker has not acknowledged");
    }
}

/// One line for each change: a broker that stays away for the same reason is said once.
fn say(config: &MqttConfig, failure: &Failure, failures: u32, wait: Duration, last_said: &mut Option<String>) {
    let broker = format!("{}:{}", config.host, config.port);
    let wait = format!("{:.1} s", wait.as_secs_f64());
    let suspicious = failure.held.is_some() && failures >= SUSPICIOUS && !failure.taken_over;
    let hint = if suspicious { "; does another client use the same client id?" } else { "" };
    let text = format!("{}{hint}", failure.why);
    if last_said.as_ref() == Some(&text) {
        tracing::debug!(broker, wait, "MQTT still: {text}");
    } else if failure.taken_over {
        tracing::error!(broker, wait, "MQTT: {text}");
    } else {
        tracing::warn!(broker, wait, "MQTT: {text}; trying for ever, records wait");
    }
    *last_said = Some(text);
}

impl Shared {
    pub(super) fn accepted(&mut self) {
        self.status.begun();
        let waiting = self.outbox.stats().records;
        tracing::info!(
            broker = format!("{}:{}", self.config.host, self.config.port),
            client_id = self.config.client_id,
            waiting,
            "MQTT connected"
        );
    }

    pub(super) fn refused(&mut self, topic: &Arc<str>, why: &str) {
        self.status.refuse();
        if self.said_refused.len() < SAID_MOST && self.said_refused.insert(topic.clone()) {
            tracing::error!(topic = &**topic, "MQTT message dropped: {why}");
        }
    }

    pub(super) fn next_live(&mut self) -> Option<Message> {
        if self.live.is_done() {
            return None;
        }
        let snapshot = self.snapshot.borrow().clone();
        let decision = self.decision.borrow().clone();
        self.live.next(&snapshot, &decision, self.clock.now())
    }
}
