//! The sheet that one scrape fills: samples by family.

use std::collections::BTreeMap;

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::family::{Family, Kind};

/// Samples by family. Families without a sample do not appear.
#[derive(Debug, Default)]
pub(super) struct Sheet(BTreeMap<&'static str, MetricFamily>);

/// A histogram's counts by bucket (the last is open) under their upper edges.
pub(super) struct Buckets<'a> {
    pub(super) edges: &'a [f64],
    pub(super) counts: &'a [u64],
    pub(super) sum: f64,
}

impl Sheet {
    /// Adds a sample. A number that is none (an open bound) is left out.
    pub(super) fn put<const N: usize>(&mut self, family: &'static Family<N>, labels: [&str; N], value: f64) {
        if !value.is_finite() {
            return;
        }
        let mut metric = Metric::from_label(pairs(family, labels));
        match family.kind {
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Kind::Gauge | Kind::Histogram => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        self.add(family, metric);
    }

    /// Adds a sample if there is one.
    pub(super) fn put_some<const N: usize>(
        &mut self,
        family: &'static Family<N>,
        labels: [&str; N],
        value: Option<f64>,
    ) {
        if let Some(value) = value {
            self.put(family, labels, value);
        }
    }

    /// Adds a truth as 1 or 0.
    pub(super) fn put_bool<const N: usize>(&mut self, family: &'static Family<N>, labels: [&str; N], value: bool) {
        self.put(family, labels, f64::from(u8::from(value)));
    }

    /// Adds a histogram.
    pub(super) fn put_histogram<const N: usize>(
        &mut self,
        family: &'static Family<N>,
        labels: [&str; N],
        buckets: &Buckets<'_>,
    ) {
        let mut count = 0;
        let mut cumulative = Vec::with_capacity(buckets.edges.len());
        for (edge, n) in buckets.edges.iter().zip(buckets.counts) {
            count += n;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*edge);
            bucket.set_cumulative_count(count);
            cumulative.push(bucket);
        }
        let mut histogram = Histogram::default();
        histogram.set_bucket(cumulative);
        histogram.set_sample_count(buckets.counts.iter().sum());
        histogram.set_sample_sum(buckets.sum);
        let mut metric = Metric::from_label(pairs(family, labels));
        metric.set_histogram(histogram);
        self.add(family, metric);
    }

    /// All families with a sample, by name.
    pub(super) fn into_families(self) -> Vec<MetricFamily> {
        self.0.into_values().collect()
    }

    fn add<const N: usize>(&mut self, family: &'static Family<N>, metric: Metric) {
        let entry = self.0.entry(family.name).or_insert_with(|| {
            let mut made = MetricFamily::default();
            made.set_name(family.name.to_owned());
            made.set_help(family.help.to_owned());
            made.set_field_type(match family.kind {
                Kind::Gauge => MetricType::GAUGE,
                Kind::Counter => MetricType::COUNTER,
                Kind::Histogram => MetricType::HISTOGRAM,
            });
            made
        });
        entry.mut_metric().push(metric);
    }
}

fn pairs<const N: usize>(family: &Family<N>, values: [&str; N]) -> Vec<LabelPair> {
    let pair = |(name, value): (&&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    family.labels.iter().zip(values).map(pair).collect()
}
