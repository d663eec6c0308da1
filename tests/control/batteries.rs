//! Several batteries, their limits, and how setpoints move.

use wattkeeper::profile::BatteryControl;
use wattkeeper::reading::Reading;
use wattkeeper::units::Watts;

use crate::scene::*;

fn soc(scene: &mut Scene, index: usize, value: f64) {
    scene.snapshot.batteries[index].soc = Some(Reading::good(percent(value), scene.now));
}

#[test]
fn a_battery_stops_at_its_soc_window() {
    let mut scene = Scene::new(9.0, [self_consumption()]);
    soc(&mut scene, 0, 10.0);
    let decision = scene.decide();
    assert_eq!(powers(&decision), [0.0]);
    assert_eq!(setpoint(&decision, "battery-1").reason, "stands by: it cannot give more at 10.0 %");
    let mut scene = Scene::new(-9.0, [self_consumption()]);
    soc(&mut scene, 0, 95.0);
    let decision = scene.decide();
    assert_eq!(powers(&decision), [0.0]);
    assert_eq!(setpoint(&decision, "battery-1").reason, "stands by: it cannot take more at 95.0 %");
    assert_eq!(setpoint(&Scene::new(0.0, [self_consumption()]).decide(), "battery-1").reason, "stands by");
    soc(&mut scene, 0, 94.0);
    assert_eq!(scene.one(), -9.0);
}

#[test]
fn the_soc_window_is_not_left_between_two_decisions() {
    let mut scene = Scene::new(9.0, [self_consumption()]);
    scene.policy.interval = seconds(3600);
    soc(&mut scene, 0, 12.0);
    assert_eq!(scene.one(), 0.6, "2 % of 30 kWh in an hour");
    let mut scene = Scene::new(-9.0, [self_consumption()]);
    scene.policy.interval = seconds(3600);
    soc(&mut scene, 0, 94.0);
    assert_eq!(scene.one(), -0.3);
}

#[test]
fn more_than_the_battery_has_is_not_asked_and_the_rest_is_said() {
    let mut scene = Scene::new(40.0, [peak(10.0, 0)]);
    let decision = scene.decide();
    assert_eq!(powers(&decision), [15.0]);
    assert_eq!(
        reason(&decision),
        "Holding 10.0 kW at every moment, so the battery gives 15.0 kW, though 30.0 kW would be needed"
    );
    assert_eq!(Scene::new(-40.0, [self_consumption()]).one(), -15.0);
    assert_eq!(
        reason(&Scene::new(-40.0, [grid_limit(None, Some(10.0))]).decide()),
        "At most 10.0 kW may be exported, so the battery takes 15.0 kW, though 30.0 kW would have to be taken"
    );
}

#[test]
fn the_stricter_of_configured_and_reported_limits_counts() {
    let mut scene = Scene::new(9.0, [self_consumption()]);
    scene.snapshot.batteries[0].max_discharge = Some(Reading::good(kw(4.0), scene.now));
    assert_eq!(scene.one(), 4.0);
    let mut scene = Scene::new(-9.0, [self_consumption()]);
    scene.snapshot.batteries[0].max_charge = Some(Reading::good(kw(3.0), scene.now));
    assert_eq!(scene.one(), -3.0);
    scene.snapshot.batteries[0].max_charge = Some(Reading::good(kw(99.0), scene.now));
    scene.later(seconds(60));
    assert_eq!(scene.one(), -9.0);
}

#[test]
fn a_small_power_wakes_one_battery_only_and_the_fuller_one() {
    let mut scene = Scene::new(5.0, [self_consumption()]).with_battery(0.0, 80.0);
    assert_eq!(scene.powers(), [0.0, 5.0]);
    let mut scene = Scene::new(-5.0, [self_consumption()]).with_battery(0.0, 80.0);
    assert_eq!(scene.powers(), [-5.0, 0.0], "the emptier one charges");
}

#[test]
fn a_battery_at_work_goes_on_until_another_is_a_tenth_fuller() {
    let mut scene = Scene::new(5.0, [self_consumption()]).with_battery(0.0, 52.0);
    let decision = scene.decide();
    assert_eq!(powers(&decision), [0.0, 5.0]);
    scene.obey(&decision);
    scene.later(seconds(60));
    soc(&mut scene, 1, 45.0);
    assert_eq!(scene.powers(), [0.0, 5.0], "5 % emptier is not worth a change");
    soc(&mut scene, 1, 35.0);
    scene.later(seconds(60));
    assert_eq!(scene.powers(), [5.0, 0.0]);
}

#[test]
fn a_large_power_is_shared_by_the_energy_there_is() {
    let mut scene = Scene::new(20.0, [self_consumption()]).with_battery(0.0, 90.0);
    // 40 % and 80 % of 30 kWh above empty: one part to two, but none above its 15 kW.
    assert_eq!(scene.powers(), [6.667, 13.333]);
    let mut scene = Scene::new(27.0, [self_consumption()]).with_battery(0.0, 90.0);
    assert_eq!(scene.powers(), [12.0, 15.0]);
}

#[test]
fn one_full_one_silent_one_below_its_least_power() {
    let mut scene = Scene::new(-2.0, [self_consumption()])
        .with_battery(0.0, 95.0)
        .with_battery(0.0, 50.0)
        .with_battery(0.0, 50.0)
        .tune(2, |_, state| state.soc = None)
        .tune(3, |policy, _| policy.min_power = kw(5.0));
    let told = scene.powers();
    assert_eq!((told[0], told[1], told[3]), (-2.0, 0.0, 0.0));
    assert!(told[2].is_nan());
}

#[test]
fn below_its_least_power_a_battery_stands_by_unless_a_limit_needs_it() {
    let weak = |rules: Vec<_>, grid| Scene::new(grid, rules).tune(0, |policy, _| policy.min_power = kw(4.0)).one();
    assert_eq!(weak(vec![self_consumption()], 1.0), 0.0);
    assert_eq!(weak(vec![self_consumption()], 3.5), 4.0, "nearly its least");
    assert_eq!(weak(vec![peak(10.0, 0)], 11.0), 4.0, "the limit needs 1 kW");
    assert_eq!(weak(vec![grid_limit(None, Some(10.0))], -11.0), -4.0);
    assert_eq!(weak(vec![grid_limit(Some(10.0), Some(0.0)), self_consumption()], 1.0), 0.0, "and not against one");
}

#[test]
fn a_battery_at_its_least_power_goes_on_at_half_of_it_but_does_not_begin_there() {
    let mut scene = Scene::new(2.5, [self_consumption()]).tune(0, |policy, _| policy.min_power = kw(4.0));
    assert_eq!(scene.one(), 0.0, "does not begin");
    scene.later(seconds(60));
    scene.grid(6.0);
    let decision = scene.decide();
    assert_eq!(powers(&decision), [6.0]);
    scene.obey(&decision);
    scene.later(seconds(60));
    scene.grid(-3.5);
    assert_eq!(scene.one(), 4.0, "2.5 kW are needed: it goes on");
    scene.grid(-4.5);
    scene.later(seconds(60));
    assert_eq!(scene.one(), 0.0);
}

#[test]
fn a_least_power_above_what_the_device_can_do_now_leaves_it_out() {
    let mut scene = Scene::new(9.0, [self_consumption()]).tune(0, |policy, _| policy.min_power = kw(4.0));
    scene.snapshot.batteries[0].max_discharge = Some(Reading::good(kw(3.0), scene.now));
    assert_eq!(scene.one(), 0.0);
}

#[test]
fn the_ramp_holds_both_ways_and_through_zero() {
    let mut scene =
        Scene::new(12.0, [grid_limit(Some(0.0), Some(0.0))]).tune(0, |policy, _| policy.ramp = Some(kw(2.0)));
    let mut told = Vec::new();
    for net in [12.0, 12.0, 12.0, -12.0, -12.0, -12.0, -12.0, -12.0] {
        let battery = told.last().copied().unwrap_or(0.0);
        scene.later(seconds(1));
        scene.grid(net - battery);
        scene.snapshot.batteries[0].power = Some(Reading::good(kw(battery), scene.now));
        scene.align();
        told.push(scene.one());
    }
    assert_eq!(told, [2.0, 4.0, 6.0, 4.0, 2.0, 0.0, -2.0, -4.0]);
}

#[test]
fn no_battery_charges_another_while_it_comes_back_along_its_ramp() {
    let mut scene =
        Scene::new(9.0, [self_consumption()]).with_battery(0.0, 60.0).tune(1, |policy, _| policy.ramp = Some(kw(3.0)));
    for _ in 0..5 {
        scene.later(seconds(10));
        let decision = scene.decide();
        scene.obey(&decision);
    }
    assert_eq!(scene.powers(), [0.0, 9.0]);
    scene.later(seconds(1));
    scene.grid(-20.0);
    let told = scene.powers();
    assert_eq!(told, [0.0, 6.0], "11 kW are left over, but the second still gives");
}

#[test]
fn nor_does_one_discharge_into_another_that_still_charges() {
    let mut scene =
        Scene::new(-9.0, [self_consumption()]).with_battery(0.0, 40.0).tune(1, |policy, _| policy.ramp = Some(kw(3.0)));
    for _ in 0..5 {
        scene.later(seconds(10));
        let decision = scene.decide();
        scene.obey(&decision);
    }
    assert_eq!(scene.powers(), [0.0, -9.0]);
    scene.later(seconds(1));
    scene.grid(20.0);
    assert_eq!(scene.powers(), [0.0, -6.0], "11 kW are needed, but the second still charges");
}

#[test]
fn a_charging_battery_goes_on_until_another_is_a_tenth_emptier() {
    let mut scene = Scene::new(-5.0, [self_consumption()]).with_battery(0.0, 48.0);
    let decision = scene.decide();
    assert_eq!(powers(&decision), [0.0, -5.0]);
    scene.obey(&decision);
    scene.later(seconds(60));
    soc(&mut scene, 1, 55.0);
    assert_eq!(scene.powers(), [0.0, -5.0]);
    soc(&mut scene, 1, 65.0);
    scene.later(seconds(60));
    assert_eq!(scene.powers(), [-5.0, 0.0]);
}

#[test]
fn a_ramp_jumps_over_the_least_power_and_stops_above_it_on_the_way_down() {
    let mut scene = Scene::new(9.0, [grid_limit(Some(0.0), None)]).tune(0, |policy, _| {
        (policy.min_power, policy.ramp) = (kw(5.0), Some(kw(3.0)));
    });
    let mut told = Vec::new();
    for net in [9.0, 9.0, 9.0, 0.0, 0.0, 0.0, -9.0] {
        let battery = told.last().copied().unwrap_or(0.0);
        scene.later(seconds(1));
        scene.grid(net - battery);
        scene.snapshot.batteries[0].power = Some(Reading::good(kw(battery), scene.now));
        scene.align();
        told.push(scene.one());
    }
    assert_eq!(told, [5.0, 8.0, 9.0, 6.0, 5.0, 0.0, 0.0]);
}

#[test]
fn the_battery_that_was_read_last_long_ago_tells_how_sure_the_sum_is() {
    let mut scene = Scene::new(20.0, [peak(10.0, 0)]).with_battery(0.0, 80.0);
    assert_eq!(scene.powers(), [0.0, 10.0]);
    let told = scene.now;
    scene.later(seconds(3));
    // The grid shows the 10 kW; the second battery was last read before it had them.
    scene.grid(10.0);
    scene.snapshot.batteries[1].power = Some(Reading::good(kw(0.0), told));
    assert_eq!(scene.powers(), [0.0, 10.0], "still 20 kW are drawn");
}

#[test]
fn toward_a_limit_it_jumps_and_back_it_takes_its_time() {
    let mut scene = Scene::new(22.0, [peak(10.0, 0)]);
    let decision = scene.decide();
    assert_eq!(powers(&decision), [12.0], "at once");
    scene.obey(&decision);
    scene.later(seconds(1));
    scene.grid(-7.0);
    assert_eq!(scene.one(), 4.5, "5 kW are needed no more: a quarter of 30 kW in a second");
    scene.later(seconds(1));
    scene.snapshot.batteries[0].power = Some(Reading::good(kw(4.5), scene.now));
    scene.align();
    assert_eq!(scene.one(), 0.0);
}

#[test]
fn charging_eases_off_slowly_too() {
    let mut scene = Scene::new(-12.0, [self_consumption()]);
    let decision = scene.decide();
    assert_eq!(powers(&decision), [-12.0], "at once");
    scene.obey(&decision);
    scene.later(seconds(1));
    scene.grid(10.0);
    assert_eq!(scene.one(), -4.5);
}

#[test]
fn a_change_within_the_dead_band_is_not_made_unless_a_limit_needs_it() {
    let mut scene = Scene::new(6.0, [peak(10.0, 0), self_consumption()]).tune(0, |policy, _| policy.deadband = kw(0.5));
    let decision = scene.decide();
    assert_eq!(powers(&decision), [6.0]);
    scene.obey(&decision);
    scene.later(seconds(60));
    scene.grid(0.4);
    assert_eq!(scene.one(), 6.0, "0.4 kW more are not worth it");
    scene.later(seconds(60));
    scene.grid(0.6);
    assert_eq!(scene.one(), 6.6);
    let mut scene = Scene::new(16.0, [peak(10.0, 0)]).tune(0, |policy, _| policy.deadband = kw(0.5));
    let decision = scene.decide();
    scene.obey(&decision);
    scene.later(seconds(60));
    scene.grid(10.4);
    assert_eq!(scene.one(), 6.4, "the limit needs it");
}

#[test]
fn a_device_that_is_told_battery_and_pv_together_gets_both() {
    let mut scene = Scene::new(6.0, [self_consumption()]).with_pv(3.0).tune(0, |policy, state| {
        policy.control = BatteryControl::AcTotal;
        policy.name = wattkeeper::reading::DeviceName::new("pv-1");
        state.name = policy.name.clone();
    });
    assert_eq!(scene.one(), 9.0);
    scene.snapshot.pv[0].power = None;
    assert!(scene.one().is_nan(), "without its PV power the sum cannot be told");
}

#[test]
fn a_measured_battery_that_cannot_be_told_anything_is_not_counted_as_ours() {
    let mut scene = Scene::new(20.0, [peak(10.0, 0)]).with_battery(5.0, 50.0);
    scene.policy.batteries.pop();
    assert_eq!(scene.powers(), [10.0]);
}

#[test]
fn nine_batteries_are_used_in_order() {
    let mut scene = Scene::new(40.0, [self_consumption()]);
    for index in 1..9 {
        scene = scene.with_battery(0.0, 50.0 + f64::from(index));
    }
    let told = scene.powers();
    assert!((told.iter().sum::<f64>() - 40.0).abs() < 0.01);
    assert_eq!(told.iter().filter(|power| **power > 0.0).count(), 3, "the three fullest: {told:?}");
}

#[test]
fn what_the_batteries_do_now_is_the_start_after_a_restart() {
    let mut scene = Scene::new(-4.0, [self_consumption()]).tune(0, |policy, state| {
        policy.ramp = Some(kw(1.0));
        state.power = state.power.map(|reading| reading.map(|_| Watts::kw(10.0)));
    });
    assert_eq!(scene.one(), 9.0, "10 kW now, 6 are needed, the ramp takes 1");
}

#[test]
fn a_battery_that_does_not_take_its_setpoint_is_left_out_for_a_while_and_the_others_take_over() {
    use wattkeeper::bus::{SetpointReport, SetpointState};
    let mut scene = Scene::new(9.0, [self_consumption()]).with_battery(0.0, 50.0);
    scene.snapshot.batteries[0].setpoint = Some(SetpointReport {
        control: "battery".into(),
        serial: 1,
        value: None,
        state: SetpointState::Failed("register 2716 reads 0".to_owned()),
        at: scene.now,
        writes_today: 0,
        budget: None,
    });
    let decision = scene.decide();
    let told = powers(&decision);
    assert!(told[0].is_nan() && (told[1] - 9.0).abs() < 1e-9, "{told:?}");
    assert!(setpoint(&decision, "battery-1").reason.contains("register 2716 reads 0"));
    // Released meanwhile, it reports well again: it is left out all the same for a while, and then another chance.
    scene.snapshot.batteries[0].setpoint = None;
    scene.later(seconds(14));
    assert!(scene.powers()[0].is_nan());
    scene.later(seconds(2));
    assert!(!scene.powers()[0].is_nan());
}
