//! The rules, a file each. A limit rule returns a [`Bound`], a wish rule a [`Wish`]; both at the grid point.

pub(super) mod charge_window;
pub(super) mod export_limit;
pub(super) mod grid_limit;
mod hold;
pub(super) mod peak_shaving;
pub(super) mod reserve;
pub(super) mod self_consumption;

use super::bounds::Bound;
use super::site::Site;
use super::{DemandRecord, Memory};
use crate::clock::SiteTime;
use crate::config::Rule;
use crate::state::Order;
use crate::units::Watts;

/// What a wish rule wants at the grid point.
pub(super) struct Wish {
    pub kind: &'static str,
    pub target: Watts,
    pub reason: String,
}

/// The bound of a limit rule; `None` for a wish rule. A peak rule with a window says where it stands, too.
pub(super) fn bound(rule: &Rule, site: &Site<'_>, memory: &mut Memory) -> Option<(Bound, Option<DemandRecord>)> {
    match rule {
        Rule::GridLimit { import, export } => Some((grid_limit::bound(*import, *export, site), None)),
        Rule::ExportLimit { limit } => Some((export_limit::bound(*limit, site), None)),
        Rule::Reserve { soc, hysteresis, recharge } => {
            Some((reserve::bound(*soc, *hysteresis, *recharge, site, memory), None))
        }
        Rule::PeakShaving { limit, window, margin, hold } => {
            Some(peak_shaving::bound(*limit, *window, *margin, *hold, site, memory))
        }
        _ => None,
    }
}

/// The wish of a wish rule, where it has one now.
pub(super) fn wish(rule: &Rule, site: &Site<'_>) -> Option<Wish> {
    match rule {
        Rule::ChargeWindow { from, to, days, soc, power } => charge_window::wish(*from, *to, *days, *soc, *power, site),
        Rule::SelfConsumption { target } => Some(self_consumption::wish(*target, site)),
        _ => None,
    }
}

/// The limit of an order that has not ended.
fn in_force(order: Option<Order>, now: SiteTime) -> Option<Watts> {
    order.filter(|order| now < order.until).map(|order| order.limit)
}

/// The stricter of two limits.
fn stricter(one: Option<Watts>, other: Option<Watts>) -> Option<Watts> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
