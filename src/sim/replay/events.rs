//! Messages that reached the site ahead of time.

use super::Fault;
use super::table::{Table, nearest};
use crate::clock::SiteTime;
use crate::units::Watts;

/// What a message was about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EventKind {
    /// A grid operator's order: import at most so much.
    ImportLimit(Watts),
    /// A blackout is coming.
    OutageWarning,
    /// The peak rule's limit.
    PeakLimit(Watts),
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// Unknown to control before.
    pub announced: SiteTime,
    /// From.
    pub start: SiteTime,
    /// To.
    pub end: SiteTime,
}

const KINDS: [&str; 3] = ["import-limit", "outage-warning", "peak-limit"];

impl Event {
    /// From CSV text (`kind,announced,start,end,limit_kw`); `file` names it in faults.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn parse(text: &str, file: &str) -> Result<Vec<Self>, Fault> {
        let table = Table::new(text, file, &["kind", "announced", "start", "end", "limit_kw"], &[])?;
        let mut events = Vec::new();
        for row in table.rows() {
            let row = row?;
            let limit = || match row.some_number("limit_kw")? {
                Some(number) if number >= 0.0 => Ok(Watts::kw(number)),
                _ => Err(row.fault(format!("limit_kw is `{}`; write a positive number", row.text("limit_kw")))),
            };
            let kind = match row.text("kind") {
                "import-limit" => EventKind::ImportLimit(limit()?),
                "peak-limit" => EventKind::PeakLimit(limit()?),
                "outage-warning" => EventKind::OutageWarning,
                other => {
                    let near = nearest(other, KINDS.into_iter()).map_or_else(
                        || format!("known are {}", KINDS.join(", ")),
                        |near| format!("did you mean `{near}`?"),
                    );
                    return Err(row.fault(format!("unknown kind `{other}`; {near}")));
                }
            };
            let event =
                Self { kind, announced: row.time("announced")?, start: row.time("start")?, end: row.time("end")? };
            if event.end <= event.start {
                return Err(row.fault("end does not come after start"));
            }
            events.push(event);
        }
        Ok(events)
    }

    /// Known and in force.
    pub fn in_force(&self, now: SiteTime) -> bool {
        self.announced <= now && self.start <= now && now < self.end
    }
}
