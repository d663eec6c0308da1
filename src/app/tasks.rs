//! The tasks of the daemon: every one has a name, a phase of the end it belongs to, and an end that is noticed.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The phases of the end, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// No decision any more.
    Control,
    /// Every device into its safe state, confirmed.
    Dispatch,
    /// The buses, between two exchanges.
    Buses,
    /// The hub, once nobody talks to it.
    Hub,
    /// What is queued becomes records.
    Telemetry,
    /// `offline`, goodbye.
    Mqtt,
    /// Listeners, the watchdog, and the last save.
    Service,
}

/// One running task.
#[derive(Debug)]
struct Running {
    name: String,
    phase: Phase,
    stop: CancellationToken,
    task: AbortHandle,
}

/// A task that may be ended alone.
#[derive(Clone, Debug)]
pub(super) struct Part {
    id: Id,
    stop: CancellationToken,
}

/// All running tasks.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    set: JoinSet<()>,
    running: HashMap<Id, Running>,
}

impl Tasks {
    /// Starts a task. It ends when its token is cancelled, and not before: an earlier end stops the daemon.
    pub(super) fn spawn<F>(
        &mut self,
        phase: Phase,
        name: impl Into<String>,
        task: impl FnOnce(CancellationToken) -> F,
    ) -> Part
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let handle = self.set.spawn(task(stop.clone()));
        let id = handle.id();
        self.running.insert(id, Running { name: name.into(), phase, stop: stop.clone(), task: handle });
        Part { id, stop }
    }

    /// Waits until a task ends that nobody told to; says which and how.
    pub(super) async fn unexpected_end(&mut self) -> String {
        loop {
            match self.set.join_next_with_id().await {
                Some(ended) => {
                    if let Some(said) = self.note(ended) {
                        return said;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Whether a task still runs.
    pub(super) fn lives(&self, part: &Part) -> bool {
        self.running.contains_key(&part.id)
    }

    /// Tells all tasks of a phase to end, and waits for them. Those that do not end in time are aborted and named.
    pub(super) async fn end(&mut self, phase: Phase, patience: Duration) {
        self.end_where(|_, running| running.phase == phase, patience).await;
    }

    /// Tells one task to end, and waits for it.
    pub(super) async fn end_one(&mut self, part: &Part, patience: Duration) {
        part.stop.cancel();
        self.end_where(|id, _| *id == part.id, patience).await;
    }

    async fn end_where(&mut self, wanted: impl Fn(&Id, &Running) -> bool, patience: Duration) {
        let wanted = |(id, running): &(&Id, &Running)| wanted(id, running);
        self.running.iter().filter(wanted).for_each(|(_, running)| running.stop.cancel());
        let ended = async {
            while self.running.iter().any(|task| wanted(&task)) {
                let Some(ended) = self.set.join_next_with_id().await else { break };
                if let Some(said) = self.note(ended) {
                    tracing::error!("{said} while others were being ended");
                }
            }
        };
        if tokio::time::timeout(patience, ended).await.is_err() {
            let late: Vec<_> = self.running.iter().filter(wanted).map(|(_, running)| &running.name).collect();
            tracing::error!(?late, ?patience, "tasks did not end in time");
            self.running.iter().filter(wanted).for_each(|(_, running)| running.task.abort());
            self.running.retain(|id, running| !wanted(&(id, &*running)));
        }
    }

    /// Books an end; a sentence when it was not asked for.
    fn note(&mut self, ended: Result<(Id, ()), JoinError>) -> Option<String> {
        let (id, how) = match ended {
            Ok((id, ())) => (id, "ended by itself".to_owned()),
            Err(error) => (error.id(), format!("failed: {error}")),
        };
        let running = self.running.remove(&id)?;
        (!running.stop.is_cancelled()).then(|| format!("task {} {how}", running.name))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_end_that_nobody_asked_for_is_noticed_and_named() {
        let mut tasks = Tasks::default();
        let calm = tasks.spawn(Phase::Hub, "calm", |stop| async move { stop.cancelled().await });
        tasks.spawn(Phase::Control, "brittle", |_| async { panic!("broke") });
        let said = tasks.unexpected_end().await;
        assert!(said.contains("brittle") && said.contains("panicked"), "{said}");
        tasks.end_one(&calm, Duration::from_secs(1)).await;
        assert!(tasks.running.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_end_does_not_hold_up_the_end() {
        let mut tasks = Tasks::default();
        let held = Arc::new(());
        let holds = held.clone();
        tasks.spawn(Phase::Buses, "stubborn", |_| async move {
            let _held = holds;
            std::future::pending().await
        });
        tasks.spawn(Phase::Hub, "next", |stop| async move { stop.cancelled().await });
        tasks.end(Phase::Buses, Duration::from_secs(3)).await;
        tasks.end(Phase::Hub, Duration::from_secs(3)).await;
        assert!(tasks.running.is_empty());
        assert_eq!(Arc::strong_count(&held), 1, "it does no more");
    }
}
