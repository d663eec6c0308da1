//! The topics that we publish on, all below one prefix.

use std::sync::Arc;

/// The topics of one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    prefix: Arc<str>,
}

impl Topics {
    /// Below a prefix such as `wattkeeper/SITE`.
    pub fn new(prefix: &str) -> Self {
        let levels: Vec<String> = prefix.trim_matches('/').split('/').map(level).collect();
        Self { prefix: levels.join("/").into() }
    }

    /// `online` or `offline`, retained.
    pub fn status(&self) -> Arc<str> {
        self.below("status")
    }

    /// The site's live state, retained.
    pub fn site_state(&self) -> Arc<str> {
        self.below("state/site")
    }

    /// A device's live state, retained.
    pub fn device_state(&self, device: &str) -> Arc<str> {
        // `state/site` is taken.
        let device = if device == "site" { "site_" } else { device };
        self.below(&format!("state/{}", level(device)))
    }

    /// The decision in force, retained.
    pub fn decision(&self) -> Arc<str> {
        self.below("decision")
    }

    /// What was read from one group of a device's points, record by record.
    pub fn readings(&self, device: &str, group: &str) -> Arc<str> {
        self.below(&format!("telemetry/{}/{}", level(device), level(group)))
    }

    /// Every decision, record by record.
    pub fn decisions(&self) -> Arc<str> {
        self.below("telemetry/decision")
    }

    /// Events, record by record.
    pub fn events(&self) -> Arc<str> {
        self.below("telemetry/event")
    }

    fn below(&self, rest: &str) -> Arc<str> {
        format!("{}/{rest}", self.prefix).into()
    }
}

/// A name as one level of a topic: what MQTT reserves becomes `_`.
fn level(name: &str) -> String {
    name.replace(['/', '+', '#', '\0'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_within_its_level() {
        let topics = Topics::new("wattkeeper/town-hall/");
        assert_eq!(&*topics.status(), "wattkeeper/town-hall/status");
        assert_eq!(&*topics.device_state("a/#"), "wattkeeper/town-hall/state/a__");
        assert_ne!(topics.device_state("site"), topics.site_state());
        assert_eq!(&*topics.readings("grid", "fast"), "wattkeeper/town-hall/telemetry/grid/fast");
    }
}
