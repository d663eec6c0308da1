//! What fills a sheet, by what it is about.

mod control;
mod daemon;
mod devices;
mod site;

use super::sheet::Sheet;
use super::view::View;

/// Everything.
pub(super) fn all(view: &View) -> Sheet {
    let mut sheet = Sheet::default();
    daemon::fill(&mut sheet, view);
    if view.has_snapshot() {
        site::fill(&mut sheet, view);
    }
    devices::fill(&mut sheet, view);
    control::fill(&mut sheet, view);
    sheet
}
