//! Alive and ready. Alive: every loop turns (turns, not: gets answers). Ready: there is something to show.

use super::view::View;

/// One line for each thing that is wrong; empty = well.
pub(super) type Faults = Vec<String>;

/// What keeps the process from being alive.
pub(super) fn alive(view: &View) -> Faults {
    let stuck = view.sources.loops.iter().filter(|watched| watched.is_stuck(view.now));
    stuck.map(|watched| format!("{} has not turned for {:.1?}", watched.name, watched.age(view.now))).collect()
}

/// What is still missing. The config is valid and the listeners stand, else nobody could ask.
pub(super) fn ready(view: &View) -> Faults {
    let mut missing = alive(view);
    if !view.has_snapshot() {
        missing.push("no snapshot of the site yet".to_owned());
    }
    if !view.has_decision() {
        missing.push("no decision yet".to_owned());
    }
    missing
}
