//! Whether the loops turn: fed to systemd and to /healthz. A loop turns even when no device answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, IoTime, Pulse};
use crate::http::Loop;

/// A loop that has not turned for so long hangs. Every loop turns at least once a second, a slow exchange on a bus included.
const HANGS: Duration = Duration::from_secs(15);

/// The pulses of all loops, by name.
#[derive(Clone, Debug, Default)]
pub struct Vitals(Arc<Mutex<BTreeMap<String, Pulse>>>);

impl Vitals {
    /// A pulse for a loop that begins now.
    pub fn add(&self, name: impl Into<String>, now: IoTime) -> Pulse {
        let pulse = Pulse::default();
        pulse.mark(now);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), pulse.clone());
        pulse
    }

    /// A loop was ended on purpose.
    pub fn remove(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// The loops that hang.
    pub fn hanging(&self, now: IoTime) -> Vec<String> {
        let pulses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pulses.iter().filter(|(_, pulse)| now.since(pulse.last()) > HANGS).map(|(name, _)| name.clone()).collect()
    }

    /// All loops, for metrics and health.
    pub fn loops(&self) -> Vec<Loop> {
        let pulses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pulses
            .iter()
            .map(|(name, pulse)| Loop { name: name.as_str().into(), pulse: pulse.clone(), limit: HANGS })
            .collect()
    }
}

/// Feeds systemd's watchdog while all loops turn.
pub(super) async fn run(vitals: Vitals, clock: Clock, stop: CancellationToken) {
    let Some(interval) = sd_notify::watchdog_enabled() else { return stop.cancelled().await };
    let mut said = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(interval / 3) => {}
        }
        let hanging = vitals.hanging(clock.io());
        if hanging.is_empty() {
            said = false;
            super::notify::watchdog();
        } else if !std::mem::replace(&mut said, true) {
            tracing::error!(?hanging, "loops hang: the watchdog is not fed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_does_not_turn_is_named() {
        let vitals = Vitals::default();
        let at = |seconds| IoTime::after_start(Duration::from_secs(seconds));
        let hub = vitals.add("hub", at(0));
        vitals.add("control", at(0));
        hub.mark(at(14));
        assert!(vitals.hanging(at(15)).is_empty());
        assert_eq!(vitals.hanging(at(16)), ["control"]);
        vitals.remove("control");
        assert!(vitals.hanging(at(16)).is_empty());
    }
}
