//! The collector: a scrape's samples are made from the view of that moment, so that nothing outlives its device.

use std::collections::HashMap;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TextEncoder};

use super::collect;
use super::family::FAMILIES;
use super::view::Viewer;

/// Content type of [`Metrics::render`].
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything `/metrics` shows.
#[derive(Clone)]
pub(super) struct Metrics(Registry);

impl Metrics {
    /// Registers the site and the process in a registry of its own.
    ///
    /// # Errors
    /// When the table of families contradicts itself; a test sees to it that it does not.
    pub(super) fn new(viewer: Viewer) -> prometheus::Result<Self> {
        let registry = Registry::new();
        registry.register(Box::new(SiteCollector::new(viewer)?))?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self(registry))
    }

    /// In the text format.
    ///
    /// # Errors
    /// Those of the encoder.
    pub(super) fn render(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.0.gather())
    }
}

struct SiteCollector {
    viewer: Viewer,
    descriptions: Vec<Desc>,
}

impl SiteCollector {
    fn new(viewer: Viewer) -> prometheus::Result<Self> {
        let describe = |row: &super::family::Row| {
            let labels = row.labels.iter().map(|label| (*label).to_owned()).collect();
            Desc::new(row.name.to_owned(), row.help.to_owned(), labels, HashMap::new())
        };
        let descriptions = FAMILIES.iter().map(describe).collect::<prometheus::Result<_>>()?;
        Ok(Self { viewer, descriptions })
    }
}

impl Collector for SiteCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        collect::all(&self.viewer.view()).into_families()
    }
}
