//! What must survive a restart: the rules' memory and the running demand windows, in one small file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, SiteTime};
use crate::control::Memory;
use crate::durable;
use crate::state::{SavedDemand, Snapshot};

/// Written at most this often, for the flash's sake; at once when a window has ended, and at the end.
const EVERY: Duration = Duration::from_secs(60);
const VERSION: u32 = 1;

/// What is saved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Saved {
    pub(super) version: u32,
    /// Wall clock at the time: a clock that is behind it is not to be trusted.
    pub(super) at: SiteTime,
    pub(super) memory: Memory,
    pub(super) windows: SavedDemand,
}

impl Saved {
    /// Reads the file. One that is missing is a first start; one that cannot be read is set aside and said.
    pub(super) fn load(path: &Path) -> Self {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Self::default(),
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "cannot read what was saved; starting without it");
                return Self::default();
            }
        };
        match serde_json::from_slice::<Self>(&text) {
            Ok(saved) if saved.version <= VERSION => saved,
            newer_or_damaged => {
                let aside = path.with_extension("aside");
                let reason = newer_or_damaged.err().map_or("of a newer version".to_owned(), |error| error.to_string());
                tracing::error!(file = %path.display(), aside = %aside.display(), %reason, "saved state set aside; starting without it");
                if let Err(error) = std::fs::rename(path, &aside) {
                    tracing::error!(%error, "cannot set it aside");
                }
                Self::default()
            }
        }
    }
}

/// What the saver is given to work with.
pub(super) struct SavePorts {
    pub(super) path: PathBuf,
    pub(super) memory: watch::Receiver<Memory>,
    pub(super) snapshot: watch::Receiver<Arc<Snapshot>>,
    pub(super) clock: Clock,
    /// A clock that is behind this is not to be trusted, and is not saved.
    pub(super) not_before: SiteTime,
}

/// Writes beside the runtime: a slow card must not hold up a decision.
async fn durably(text: std::io::Result<Vec<u8>>, path: PathBuf) -> std::io::Result<()> {
    let text = text?;
    let writing = tokio::task::spawn_blocking(move || durable::write(&path, &text));
    writing.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// Saves until it is stopped, and once more then.
pub(super) async fn run(mut ports: SavePorts, stop: CancellationToken) {
    let mut failing = false;
    let mut windows = Vec::new();
    let mut due = ports.clock.io() + EVERY;
    let mut alarm = ports.clock.alarm();
    loop {
        let ended = tokio::select! {
            () = stop.cancelled() => true,
            changed = ports.snapshot.changed() => changed.is_err(),
            () = alarm.at(due) => false,
        };
        let now = ports.clock.now();
        let snapshot = ports.snapshot.borrow_and_update().clone();
        let starts: Vec<_> = snapshot.windows.iter().map(|window| window.start).collect();
        let window_ended = starts != windows;
        windows = starts;
        if !(ended || window_ended || now.io >= due) {
            continue;
        }
        due = now.io + EVERY;
        let saved = Saved {
            version: VERSION,
            at: now.site.max(ports.not_before),
            memory: ports.memory.borrow().clone(),
            windows: SavedDemand::of(&snapshot.windows),
        };
        let text = serde_json::to_vec(&saved).map_err(std::io::Error::from);
        match durably(text, ports.path.clone()).await {
            Ok(()) => failing = false,
            // Said once: a full disk must not fill the log, too.
            Err(error) if !std::mem::replace(&mut failing, true) => {
                tracing::error!(file = %ports.path.display(), %error, "cannot save; goes on without, tried again each minute");
            }
            Err(_) => {}
        }
        if ended {
            break;
        }
    }
    stop.cancelled().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_behind_is_not_saved_or_the_next_start_would_trust_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let time = |text: &str| text.parse::<SiteTime>().unwrap();
        let not_before = time("2026-07-01T00:00:00Z");
        for (clock, saved) in
            [("2025-12-01T00:00:00Z", not_before), ("2026-08-01T00:00:00Z", time("2026-08-01T00:00:00Z"))]
        {
            let (_memory, memory) = watch::channel(Memory::default());
            let (_snapshot, snapshot) = watch::channel(Arc::default());
            let clock = Clock::simulated(time(clock), 1.0);
            let stop = CancellationToken::new();
            stop.cancel();
            run(SavePorts { path: path.clone(), memory, snapshot, clock, not_before }, stop).await;
            assert_eq!(Saved::load(&path).at, saved);
        }
    }
}
