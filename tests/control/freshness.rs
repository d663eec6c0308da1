//! A stale input is never used, and whatever keeps it from controlling is said.

use wattkeeper::bus::{SetpointReport, SetpointState};
use wattkeeper::control::{Outcome, Standing};
use wattkeeper::reading::Reading;
use wattkeeper::units::Watts;

use crate::scene::*;

#[test]
fn a_stale_grid_meter_sends_every_device_to_its_safe_state() {
    let mut scene = Scene::new(20.0, [peak(10.0, 0), self_consumption()]);
    scene.now.io = scene.now.io + seconds(12);
    let decision = scene.decide();
    assert_eq!(decision.standing, Standing::NotControlling("grid meter grid: power older than 10 s".into()));
    assert!(matches!(decision.outcome, Outcome::None { .. }));
    assert_eq!(decision.setpoints.iter().map(|s| s.value).collect::<Vec<_>>(), [None]);
    assert_eq!((decision.inputs[0].value, decision.inputs[0].age), (None, seconds(12)));
}

#[test]
fn a_grid_meter_that_is_just_fresh_enough_is_used() {
    let mut scene = Scene::new(20.0, [peak(10.0, 0)]);
    scene.now.io = scene.now.io + AGE;
    assert_eq!(scene.one(), 10.0);
}

#[test]
fn a_grid_meter_never_read_or_without_a_valid_value_controls_nothing() {
    let mut scene = Scene::new(20.0, [peak(10.0, 0)]);
    scene.snapshot.grid.power = None;
    assert!(reason(&scene.decide()).ends_with("never read"));
    scene.snapshot.grid.power = Some(Reading::invalid(scene.now));
    assert!(reason(&scene.decide()).ends_with("without a valid value"));
    assert!(scene.one().is_nan());
}

#[test]
fn a_battery_with_a_stale_power_is_left_out_and_its_last_power_is_not_used() {
    // 20 kW at the grid with the silent one's last word 9 kW: its 9 kW are not added to what the building draws.
    let mut scene = Scene::new(20.0, [peak(10.0, 0)]).with_battery(9.0, 50.0).tune(1, |_, _| ());
    let old = scene.now;
    scene.later(seconds(11));
    scene.snapshot.batteries[1].power = Some(Reading::good(kw(9.0), old));
    scene.align();
    assert_eq!(scene.snapshot.grid.battery, None);
    let decision = scene.decide();
    assert_eq!(powers(&decision)[0], 10.0);
    let silent = setpoint(&decision, "battery-2");
    assert_eq!((silent.value, silent.reason.as_str()), (None, "left out: power older than 10 s"));
}

#[test]
fn a_battery_with_a_stale_soc_is_left_out_and_counts_as_a_load_or_source_that_is_not_ours() {
    let mut scene = Scene::new(20.0, [peak(10.0, 0)]).with_battery(9.0, 50.0);
    let old = scene.now;
    scene.later(seconds(11));
    scene.snapshot.batteries[1].soc = Some(Reading::good(percent(50.0), old));
    let decision = scene.decide();
    assert_eq!(powers(&decision)[0], 10.0, "20 kW are drawn with its 9 kW, and it is not ours to change them");
    assert!(setpoint(&decision, "battery-2").reason.starts_with("left out: SoC older than 10 s"));
}

#[test]
fn with_every_battery_silent_nothing_is_controlled() {
    let mut scene = Scene::new(20.0, [peak(10.0, 0)]).tune(0, |_, state| state.soc = None);
    let decision = scene.decide();
    assert_eq!(decision.standing, Standing::NotControlling("battery-1: SoC never read".into()));
}

#[test]
fn a_battery_that_the_snapshot_does_not_know_is_left_out() {
    let mut scene = Scene::new(20.0, [peak(10.0, 0)]).with_battery(0.0, 50.0);
    scene.snapshot.batteries.pop();
    let decision = scene.decide();
    assert_eq!(powers(&decision)[0], 10.0);
    assert_eq!(setpoint(&decision, "battery-2").reason, "left out: never read");
}

#[test]
fn a_limit_that_the_device_reported_too_long_ago_is_not_used() {
    let limited = |age| {
        let mut scene = Scene::new(20.0, [peak(10.0, 0)]);
        let reported = scene.now;
        scene.later(seconds(age));
        scene.snapshot.batteries[0].max_discharge = Some(Reading::good(kw(4.0), reported));
        scene.one()
    };
    assert_eq!(limited(10), 4.0);
    assert_eq!(limited(11), 10.0, "the configured limit stands");
}

#[test]
fn a_battery_whose_limits_nobody_knows_stands_by() {
    let mut scene = Scene::new(20.0, [peak(10.0, 0)]).tune(0, |policy, _| policy.discharge_max = None);
    assert_eq!(scene.one(), 0.0);
    scene.snapshot.batteries[0].max_discharge = Some(Reading::good(kw(6.0), scene.now));
    assert_eq!(scene.one(), 6.0, "the device says it itself");
}

#[test]
fn a_dry_run_decides_the_same_and_says_so_whatever_else_is_wrong() {
    let mut scene = Scene::new(20.0, [peak(10.0, 0)]);
    scene.policy.enabled = false;
    let decision = scene.decide();
    assert_eq!((&decision.standing, target(&decision)), (&Standing::DryRun, 10.0));
    scene.snapshot.grid.power = None;
    assert_eq!(scene.decide().standing, Standing::DryRun);
}

#[test]
fn without_a_rule_or_a_device_it_says_why_it_does_nothing() {
    assert_eq!(reason(&Scene::new(20.0, []).decide()), "no rule is configured");
    let mut alone = Scene::new(20.0, [peak(10.0, 0)]).without_battery();
    assert_eq!(reason(&alone.decide()), "no battery and no inverter that can be told anything");
}

#[test]
fn inputs_are_recorded_with_their_ages() {
    let mut scene = Scene::new(20.0, [self_consumption()]);
    scene.now.io = scene.now.io + seconds(2);
    let decision = scene.decide();
    let inputs: Vec<_> = decision.inputs.iter().map(|i| (&*i.name, i.value, i.age)).collect();
    assert_eq!(
        inputs,
        [
            ("grid.power", Some(20_000.0), seconds(2)),
            ("battery-1.power", Some(0.0), seconds(2)),
            ("battery-1.soc", Some(0.5), seconds(2)),
            ("grid.battery", Some(0.0), seconds(2))
        ]
    );
}

#[test]
fn without_an_aligned_sum_the_fresh_batteries_own_powers_count() {
    let mut scene = Scene::new(20.0, [peak(10.0, 0)]).tune(0, |_, _| ());
    scene.snapshot.batteries[0].power = Some(Reading::good(kw(3.0), scene.now));
    scene.snapshot.grid.battery = None;
    assert_eq!(scene.one(), 13.0);
    scene.snapshot.grid.battery = Some(Reading::good(Watts::kw(5.0), scene.now));
    scene.memory = Default::default();
    assert_eq!(scene.one(), 15.0, "the aligned sum is better than their own powers");
}

fn said(scene: &mut Scene, battery: usize, state: SetpointState) {
    let (at, value) = (scene.now, None);
    let report = SetpointReport {
        control: "battery".into(),
        serial: 1,
        value,
        takes: None,
        state,
        at,
        writes_today: 0,
        budget: None,
    };
    scene.snapshot.batteries[battery].setpoint = Some(report);
}

#[test]
fn a_battery_that_fails_to_take_its_setpoint_is_left_out_and_the_others_take_over() {
    let mut scene = Scene::new(20.0, [peak(10.0, 0)]).with_battery(0.0, 40.0);
    assert_eq!(scene.powers(), [10.0, 0.0]);
    said(&mut scene, 0, SetpointState::Failed("no answer".into()));
    let decision = scene.decide();
    assert_eq!(powers(&decision)[1], 10.0);
    let failed = setpoint(&decision, "battery-1");
    assert_eq!((failed.value, &*failed.reason), (None, "left out: failed to take its setpoint: no answer"));
    // The bus has released it, which is no reason to try at once.
    said(&mut scene, 0, SetpointState::SafeConfirmed);
    scene.later(seconds(4));
    assert!(scene.powers()[0].is_nan());
    scene.later(seconds(1));
    assert!(!scene.powers()[0].is_nan(), "tried again");
}

#[test]
fn a_battery_that_fails_again_and_again_is_tried_ever_more_rarely_until_it_does_as_told() {
    let mut scene = Scene::new(20.0, [peak(10.0, 0)]).with_battery(0.0, 40.0);
    for pause in [5, 10, 20, 40, 60, 60] {
        said(&mut scene, 0, SetpointState::Refused("no".into()));
        scene.later(seconds(pause - 1));
        assert!(scene.powers()[0].is_nan(), "{pause}");
        scene.later(seconds(1));
        assert!(!scene.powers()[0].is_nan(), "{pause}");
    }
    said(&mut scene, 0, SetpointState::Confirmed);
    assert!(!scene.powers()[0].is_nan());
    said(&mut scene, 0, SetpointState::Refused("no".into()));
    scene.later(seconds(5));
    assert!(!scene.powers()[0].is_nan(), "all is forgiven");
}

#[test]
fn with_every_battery_refused_nothing_is_controlled_and_the_reason_stands() {
    let mut scene = Scene::new(20.0, [peak(10.0, 0)]).with_pv(5.0);
    said(&mut scene, 0, SetpointState::Refused("the ESS mode is wrong".into()));
    let reason = "battery-1: refused its setpoint: the ESS mode is wrong";
    assert_eq!(scene.decide().standing, Standing::NotControlling(reason.into()));
    said(&mut scene, 0, SetpointState::SafeConfirmed);
    scene.later(seconds(4));
    assert_eq!(scene.decide().standing, Standing::NotControlling(reason.into()), "no to and fro");
}
