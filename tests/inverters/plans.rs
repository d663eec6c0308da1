//! Which requests each profile's groups become.

use std::fmt::Write as _;

use wattkeeper::bus::reads;
use wattkeeper::profile::{Instance, Overrides};

use crate::decoding::fronius;
use crate::device::{builtin, identify};

/// All but `sunspec` and `victron-gx`, which have tests of their own.
pub const INVERTERS: [&str; 13] = [
    "deye-1p",
    "deye-3p",
    "fronius-gen24",
    "goodwe-et",
    "growatt-tl-xh",
    "huawei-sun2000",
    "kostal-plenticore",
    "sma-sunny-island",
    "sma-tripower-se",
    "sofar-hyd",
    "solaredge-storedge",
    "solis-hybrid",
    "sungrow-sh",
];

#[test]
fn every_inverter_is_read_in_these_requests() {
    let mut text = String::new();
    for id in INVERTERS {
        let mut instance = Instance::new(builtin(id), &Overrides::default());
        if id == "fronius-gen24" {
            identify(&mut instance, &fronius(4)).unwrap();
        }
        let profile = instance.profile().clone();
        writeln!(text, "{id}").unwrap();
        for (index, group) in profile.groups.iter().enumerate() {
            let spans = reads(instance.spans(index), &profile.manners);
            assert!(spans.iter().all(|span| span.len <= profile.manners.max_read), "{id} {}", group.name);
            let spans: Vec<String> =
                spans.iter().map(|span| format!("{:?} {}+{}", span.table, span.start, span.len)).collect();
            writeln!(text, "  {} every {:?}: {}", group.name, group.every, spans.join(", ")).unwrap();
        }
    }
    insta::assert_snapshot!(text);
}
