//! A decision as JSON: what came out, which rule, which bounds, on which inputs. The same text as record and as live state.

use super::json::Json;
use crate::control::{Decision, Outcome, Standing};
use crate::units::Watts;

/// Decimals of a power in W.
const POWER: u8 = 1;

/// Writes a decision's members, without its moment and the braces. Powers in W, energies in kWh, times in s; inputs stay in
/// their canonical units (W, ratio).
pub fn write_decision(json: &mut Json, decision: &Decision) {
    json.key("serial").integer(decision.serial);
    let (state, reason) = match &decision.standing {
        Standing::Controlling => ("controlling", None),
        Standing::DryRun => ("dry-run", None),
        Standing::NotControlling(reason) => ("not-controlling", Some(reason)),
    };
    json.key("standing").text(state);
    if let Some(reason) = reason {
        json.key("not_controlling_because").text(reason);
    }
    match &decision.outcome {
        Outcome::Target { rule, wish, target, battery, reason } => {
            json.key("rule");
            match rule {
                Some(rule) => json.text(rule),
                None => json.null(),
            };
            json.key("wish").optional(wish.map(Watts::watts), POWER);
            json.key("target").number(target.watts(), POWER);
            json.key("battery").number(battery.watts(), POWER);
            json.key("reason").text(reason);
        }
        Outcome::None { reason } => {
            json.key("rule").null().key("target").null().key("reason").text(reason);
        }
    }
    let (least, most) = decision.range;
    json.key("range").open().key("least").number(least.watts(), POWER).key("most").number(most.watts(), POWER).close();
    write_lists(json, decision);
    if let Some(demand) = &decision.demand {
        json.key("demand").open();
        json.key("limit").number(demand.limit.watts(), POWER);
        json.key("imported").number(demand.imported.watt_hours() / 1000.0, 4);
        json.key("projection").number(demand.projection.watts(), POWER);
        json.key("allowed").number(demand.allowed.watts(), POWER);
        json.key("left").number(demand.left.as_secs_f64(), 1);
        json.key("billed_peak").number(demand.billed_peak.watts(), POWER).close();
    }
}

fn write_lists(json: &mut Json, decision: &Decision) {
    json.key("bounds").open_list();
    for bound in &decision.bounds {
        json.open().key("rule").text(&bound.rule);
        json.key("least").optional(bound.least.map(Watts::watts), POWER);
        json.key("most").optional(bound.most.map(Watts::watts), POWER);
        json.key("clamped").flag(bound.clamped).key("binding").flag(bound.binding);
        json.key("reason").text(&bound.reason).close();
    }
    json.close_list().key("inputs").open_list();
    for input in &decision.inputs {
        json.open().key("name").text(&input.name).key("value").optional(input.value, 4);
        json.key("age").number(input.age.as_secs_f64(), 3).close();
    }
    json.close_list().key("setpoints").open_list();
    for setpoint in &decision.setpoints {
        json.open().key("device").text(setpoint.device.as_str()).key("control").text(&setpoint.control);
        json.key("value").optional(setpoint.value, POWER).key("reason").text(&setpoint.reason).close();
    }
    json.close_list();
}
