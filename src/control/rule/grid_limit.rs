//! `grid-limit`: import and export of the connection never above a fixed limit, or above what is ordered from outside.

use super::super::bounds::Bound;
use super::super::site::Site;
use super::{in_force, stricter};
use crate::units::Watts;

pub(in super::super) fn bound(import: Option<Watts>, export: Option<Watts>, site: &Site<'_>) -> Bound {
    let now = site.now.site;
    let orders = &site.snapshot.orders;
    let import = stricter(import, in_force(orders.import_limit, now));
    let export = stricter(export, in_force(orders.export_limit, now));
    let reason = match (import, export) {
        (None, None) => "no limit is ordered".to_owned(),
        (Some(import), None) => format!("at most {import} may be imported"),
        (None, Some(export)) => format!("at most {export} may be exported"),
        (Some(import), Some(export)) => format!("at most {import} may be imported and {export} exported"),
    };
    Bound { least: export.map(|limit| -limit), most: import, curtails: export.is_some(), reason }
}
