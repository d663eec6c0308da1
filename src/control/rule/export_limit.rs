//! `export-limit`: export never above a limit. Where the batteries cannot take the rest, PV is curtailed.

use super::super::bounds::Bound;
use super::super::site::Site;
use super::in_force;
use crate::units::Watts;

pub(in super::super) fn bound(limit: Watts, site: &Site<'_>) -> Bound {
    let ordered = in_force(site.snapshot.orders.export_limit, site.now.site);
    let limit = ordered.map_or(limit, |order| limit.min(order));
    let reason = format!("at most {limit} may be exported");
    Bound { least: Some(-limit), most: None, curtails: true, reason }
}
