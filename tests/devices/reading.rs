//! What is read, in which requests, and what it means.

use std::fmt::Write as _;

use wattkeeper::bus::reads;
use wattkeeper::profile::{Instance, Overrides, Table as Kind, Value};
use wattkeeper::sim::Table;
use wattkeeper::sim::device::TableDevice;

use crate::bench::{Bench, LIBRARY, profile, secs};
use crate::reference::{REFERENCES, Reference, Want};

/// Addresses are known without asking, so reads can be planned here.
fn plain(id: &str) -> bool {
    Instance::new(profile(id), &Overrides::default()).points().iter().any(|_| true)
        && !profile(id).source().contains("\n[sunspec]")
}

#[test]
fn each_profile_reads_its_groups_in_these_requests() {
    let mut text = String::new();
    for id in LIBRARY.ids().filter(|id| plain(id)) {
        let instance = Instance::new(profile(id), &Overrides::default());
        let profile = instance.profile();
        for (index, group) in profile.groups.iter().enumerate() {
            let planned = reads(instance.spans(index), &profile.manners);
            let spans = planned.iter().map(|span| {
                let table = match span.table {
                    Kind::Coil => "coil",
                    Kind::DiscreteInput => "discrete",
                    Kind::Holding => "holding",
                    Kind::Input => "input",
                };
                format!("{table} {}+{}", span.start, span.len)
            });
            let spans: Vec<String> = spans.collect();
            writeln!(text, "{id} {} {:?}: {}", group.name, group.every, spans.join(", ")).unwrap();
        }
    }
    insta::assert_snapshot!(text);
}

/// The device: zeros wherever the plan reads across, and the rows.
fn device(reference: &Reference) -> TableDevice {
    let instance = Instance::new(profile(reference.id), &Overrides::default());
    let mut device = TableDevice::default();
    for group in 0..instance.profile().groups.len() {
        for span in reads(instance.spans(group), &instance.profile().manners) {
            let table = match span.table {
                Kind::Coil => Table::Coil,
                Kind::DiscreteInput => Table::Discrete,
                Kind::Holding => Table::Holding,
                Kind::Input => Table::Input,
            };
            device = device.holds(table, span.start, &vec![0; span.len.into()]);
        }
    }
    reference.rows.iter().fold(device, |device, (_, table, start, words, _)| device.holds(*table, *start, words))
}

#[tokio::test(start_paused = true)]
async fn registers_as_the_sources_state_them_are_read_over_the_bus_as_what_they_mean() {
    for reference in REFERENCES {
        let (id, source) = (reference.id, reference.source);
        let mut bench = Bench::new(id, device(reference));
        bench.during(secs(20)).await;
        assert_eq!(bench.failures, 0, "{id}");
        let rows = reference.rows.iter().filter(|(_, _, _, _, want)| !matches!(want, Want::Part));
        let mut named = Vec::new();
        for (name, .., want) in rows {
            named.push((*name).to_owned());
            let value = bench.values.get(*name).unwrap_or_else(|| panic!("{id} has no point {name}"));
            let fits = match (value, want) {
                (Value::Number(value), Want::Number(want)) => (value - want).abs() <= 1e-5 * want.abs().max(1e-3),
                (Value::Text(text), Want::Text(want)) => &**text == *want,
                (Value::Invalid, Want::Nothing) => true,
                _ => false,
            };
            assert!(fits, "{id} {name} is {value:?}, and {source} says {want:?}");
        }
        named.sort();
        assert_eq!(bench.values.keys().cloned().collect::<Vec<_>>(), named, "{id}: a row a point");
        bench.crash();
    }
}

#[test]
fn each_profile_has_rows_or_tests_of_its_own() {
    // SunSpec and Victron are read in tests/profiles, other hybrids in tests/inverters; `generic` is a form.
    let elsewhere = |id: &str| id == "generic" || profile(id).kind == wattkeeper::profile::Kind::Hybrid;
    for id in LIBRARY.ids().filter(|id| plain(id) && !elsewhere(id)) {
        assert!(REFERENCES.iter().any(|reference| reference.id == id), "no reference for {id}");
    }
}

#[test]
fn each_profile_names_its_sources() {
    for id in LIBRARY.ids() {
        let profile = profile(id);
        let least = if profile.status == wattkeeper::profile::Status::Confirmed { 2 } else { 1 };
        assert!(profile.sources.len() >= least, "{id} is {:?} by {:?}", profile.status, profile.sources);
    }
}
