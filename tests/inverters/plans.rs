//! Which profiles are meant, and what the one whose addresses are found by walking asks for. The requests of the others are
//! pinned in tests/devices.

use wattkeeper::bus::reads;
use wattkeeper::profile::library::Library;
use wattkeeper::profile::{Instance, Kind, Overrides, Span};

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
fn no_hybrid_is_left_out() {
    let library = Library::builtin();
    let hybrids = library.ids().filter(|id| builtin(id).kind == Kind::Hybrid);
    let others: Vec<&str> = hybrids.filter(|id| !INVERTERS.contains(id)).collect();
    assert_eq!(others, ["sunspec", "victron-gx"]);
}

#[test]
fn a_fronius_is_read_where_its_chain_has_the_models() {
    let mut instance = Instance::new(builtin("fronius-gen24"), &Overrides::default());
    identify(&mut instance, &fronius(4)).unwrap();
    let manners = instance.profile().manners.clone();
    let live = reads(instance.spans(0), &manners);
    // 103: voltages and power, the state; 160: modules; 124: state of charge and state.
    let spans = [(40_080, 6), (40_108, 1), (40_154, 78), (40_248, 15)].map(|(start, len)| Span::holding(start, len));
    assert_eq!(live, spans);
}
