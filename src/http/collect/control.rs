//! Control: standing, the rule that decides, bounds, demand window, setpoints asked for.

use std::collections::{BTreeMap, BTreeSet};

use crate::control::{BoundRecord, DemandRecord, Outcome, Standing};
use crate::http::family::*;
use crate::http::sheet::Sheet;
use crate::http::view::View;
use crate::units::Watts;

pub(super) fn fill(sheet: &mut Sheet, view: &View) {
    let decision = &view.decision;
    let present = match decision.standing {
        Standing::Controlling => "controlling",
        Standing::DryRun => "dry-run",
        Standing::NotControlling(_) => "not-controlling",
    };
    for state in ["controlling", "dry-run", "not-controlling"] {
        sheet.put_bool(&CONTROL_STATE, [state], state == present);
    }
    sheet.put(&DECISIONS, [], decision.serial as f64);
    fill_rules(sheet, view);
    if !view.has_decision() {
        return;
    }
    sheet.put(&DECISION_TIME, [], decision.at.site.as_duration().as_secs_f64());
    if let Outcome::Target { wish, target, battery, .. } = &decision.outcome {
        sheet.put_some(&WISH, [], wish.map(Watts::watts));
        sheet.put(&TARGET, [], target.watts());
        sheet.put(&BATTERY_TARGET, [], battery.watts());
    }
    let (least, most) = decision.range;
    sheet.put(&RANGE, ["least"], least.watts());
    sheet.put(&RANGE, ["most"], most.watts());
    fill_bounds(sheet, &decision.bounds);
    if let Some(demand) = &decision.demand {
        fill_demand(sheet, demand);
    }
    for setpoint in &decision.setpoints {
        sheet.put_some(&SETPOINT, [setpoint.device.as_str(), &setpoint.control], setpoint.value);
    }
}

/// Who decides, and what each rule's bound moved: every configured rule from 0 on.
fn fill_rules(sheet: &mut Sheet, view: &View) {
    let active = match &view.decision.outcome {
        Outcome::Target { rule: Some(rule), .. } => Some(&**rule),
        _ => None,
    };
    let configured = view.sources.rules.iter().map(|rule| &**rule);
    let rules: BTreeSet<&str> = configured.chain(active).chain(view.tally.rules().map(|(rule, _)| rule)).collect();
    for rule in rules {
        sheet.put_bool(&RULE_ACTIVE, [rule], active == Some(rule));
        let moved = view.tally.of(rule);
        sheet.put(&BOUND_SECONDS, [rule], moved.time.as_secs_f64());
        sheet.put(&BOUND_ENERGY, [rule], moved.energy.joules());
    }
}

/// Two rules of one kind are shown as one: the tighter of their bounds.
fn fill_bounds(sheet: &mut Sheet, bounds: &[BoundRecord]) {
    let mut by_rule: BTreeMap<&str, BoundRecord> = BTreeMap::new();
    for bound in bounds {
        by_rule
            .entry(&bound.rule)
            .and_modify(|seen| {
                seen.least = tighter(seen.least, bound.least, Watts::max);
                seen.most = tighter(seen.most, bound.most, Watts::min);
                seen.clamped |= bound.clamped;
                seen.binding |= bound.binding;
            })
            .or_insert_with(|| bound.clone());
    }
    for (rule, bound) in by_rule {
        sheet.put_some(&BOUND, [rule, "least"], bound.least.map(Watts::watts));
        sheet.put_some(&BOUND, [rule, "most"], bound.most.map(Watts::watts));
        sheet.put_bool(&BINDING, [rule], bound.binding);
        sheet.put_bool(&CLAMPED, [rule], bound.clamped);
    }
}

fn tighter(a: Option<Watts>, b: Option<Watts>, choose: impl Fn(Watts, Watts) -> Watts) -> Option<Watts> {
    match (a, b) {
        (Some(a), Some(b)) => Some(choose(a, b)),
        (one, other) => one.or(other),
    }
}

fn fill_demand(sheet: &mut Sheet, demand: &DemandRecord) {
    sheet.put(&DEMAND_LIMIT, [], demand.limit.watts());
    sheet.put(&DEMAND_ENERGY, [], demand.imported.joules());
    sheet.put(&DEMAND_PROJECTION, [], demand.projection.watts());
    sheet.put(&DEMAND_ALLOWED, [], demand.allowed.watts());
    sheet.put(&DEMAND_LEFT, [], demand.left.as_secs_f64());
    sheet.put(&DEMAND_PEAK, [], demand.billed_peak.watts());
}
