//! Batteries that do not do what they are told: left out for a while, so that the others take over, then tried again.

use std::time::Duration;

use super::Memory;
use crate::bus::SetpointState;
use crate::clock::Moment;
use crate::state::BatteryState;

/// Left out so long after the first time; twice as long after each further one …
const FIRST: Duration = Duration::from_secs(5);
/// … and so long at most.
const MOST: Duration = Duration::from_secs(60);
/// What is longer ago does not count.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// A setpoint that was not kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// When the bus said so.
    pub at: Moment,
    /// How often in a row.
    pub times: u32,
    /// Why, as the bus said it.
    pub why: String,
}

/// Why a battery is left out although its values are fresh.
pub(super) fn left_out(memory: &mut Memory, battery: &BatteryState, now: Moment) -> Option<String> {
    let name = battery.name.as_str();
    let known = memory.troubles.get(name);
    if let Some(report) = &battery.setpoint {
        let why = match &report.state {
            SetpointState::Refused(why) => Some(format!("refused its setpoint: {why}")),
            SetpointState::Failed(why) => Some(format!("failed to take its setpoint: {why}")),
            _ => None,
        };
        match why {
            Some(why) if known.is_none_or(|known| known.at != report.at) => {
                let before = known.filter(|known| known.at.age(now) < FORGOTTEN).map_or(0, |known| known.times);
                memory.troubles.insert(name.to_owned(), Trouble { at: report.at, times: before + 1, why });
            }
            None if report.state == SetpointState::Confirmed => _ = memory.troubles.remove(name),
            _ => {}
        }
    }
    let trouble = memory.troubles.get(name)?;
    let pause = FIRST.saturating_mul(1 << (trouble.times - 1).min(10)).min(MOST);
    (trouble.at.age(now) < pause).then(|| trouble.why.clone())
}
