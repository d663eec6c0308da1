//! One decision.

use super::{Decision, Memory, Outcome, Policy, Standing};
use crate::clock::Moment;
use crate::state::Snapshot;
use crate::units::Watts;

/// Decides what every battery and inverter shall do now. Pure: the same input gives the same decision.
pub fn decide(_snapshot: &Snapshot, policy: &Policy, memory: &mut Memory, now: Moment) -> Decision {
    memory.serial += 1;
    let reason = "no rule".to_owned();
    Decision {
        serial: memory.serial,
        at: now,
        standing: if policy.enabled { Standing::NotControlling(reason.clone()) } else { Standing::DryRun },
        outcome: Outcome::None { reason },
        bounds: Vec::new(),
        range: (Watts::new(f64::NEG_INFINITY), Watts::new(f64::INFINITY)),
        demand: None,
        inputs: Vec::new(),
        setpoints: Vec::new(),
    }
}
