//! `self-consumption`: the batteries take what PV leaves over and give what the building needs.

use super::super::site::Site;
use super::Wish;
use crate::units::Watts;

pub(in super::super) fn wish(target: Watts, site: &Site<'_>) -> Wish {
    let reason = if site.net < target {
        format!("{} of PV left over", target - site.net)
    } else {
        format!("the building needs {}", site.net)
    };
    Wish { kind: "self-consumption", target, reason }
}
