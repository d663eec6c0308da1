//! PV is limited only where the batteries cannot keep an export limit.

use wattkeeper::config::Rule;
use wattkeeper::reading::Reading;

use crate::scene::*;

fn export_limit(limit: f64) -> Rule {
    Rule::ExportLimit { limit: kw(limit) }
}

#[test]
fn while_the_battery_can_take_it_pv_is_free_and_not_even_mentioned() {
    let decision = Scene::new(-18.0, [export_limit(5.0)]).with_pv(20.0).decide();
    assert_eq!((powers(&decision), caps(&decision)), (vec![-13.0], vec![]));
}

#[test]
fn what_the_battery_cannot_take_is_curtailed() {
    let decision = Scene::new(-25.0, [export_limit(5.0)]).with_pv(30.0).decide();
    assert_eq!((powers(&decision), caps(&decision)), (vec![-15.0], vec![Some(25.0)]));
    assert_eq!(reason(&decision), "At most 5.0 kW may be exported, so the battery takes 15.0 kW, and PV is curtailed");
    assert_eq!(setpoint(&decision, "pv-1").reason, "curtailed to 25.0 kW: more would be exported than is allowed");
}

#[test]
fn inverters_share_the_curtailment_by_what_they_give() {
    let decision = Scene::new(-25.0, [export_limit(5.0)]).with_pv(20.0).with_pv(10.0).decide();
    let caps = caps(&decision);
    assert_eq!(caps, [Some(16.667), Some(8.333)]);
}

#[test]
fn a_cap_is_eased_slowly_and_released_when_it_is_not_needed() {
    let mut scene = Scene::new(-25.0, [export_limit(5.0)]).with_pv(30.0);
    let decision = scene.decide();
    scene.obey(&decision);
    scene.snapshot.pv[0].power = Some(Reading::good(kw(25.0), scene.now));
    scene.later(seconds(60));
    scene.grid(5.0);
    scene.later(seconds(1));
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(caps(&scene.decide())[0]);
        scene.later(seconds(1));
    }
    for _ in 0..60 {
        scene.later(seconds(1));
        scene.decide();
    }
    assert_eq!(caps(&scene.decide()), [None], "free, and said so");
}

#[test]
fn a_cap_that_is_just_right_stays() {
    let mut scene = Scene::new(-25.0, [export_limit(5.0)]).with_pv(30.0);
    let decision = scene.decide();
    scene.obey(&decision);
    for _ in 0..5 {
        scene.later(seconds(10));
        scene.grid(-5.0);
        scene.snapshot.pv[0].power = Some(Reading::good(kw(25.0), scene.now));
        assert_eq!(caps(&scene.decide()), [Some(25.0)]);
    }
}

#[test]
fn before_a_cap_is_kept_the_battery_is_charged() {
    // The cap stands at 25 kW with the battery taking 15. It is told to take only 10 (SoC limits): then it may take 15 again.
    let mut scene = Scene::new(-25.0, [export_limit(5.0)]).with_pv(30.0);
    scene.snapshot.batteries[0].max_charge = Some(Reading::good(kw(10.0), scene.now));
    let decision = scene.decide();
    assert_eq!(caps(&decision), [Some(20.0)]);
    scene.obey(&decision);
    scene.later(seconds(5));
    scene.grid(-5.0);
    scene.snapshot.pv[0].power = Some(Reading::good(kw(20.0), scene.now));
    scene.snapshot.batteries[0].max_charge = Some(Reading::good(kw(15.0), scene.now));
    assert_eq!(caps(&scene.decide()), [Some(23.0)], "2 % of 30 kW a second, for 5 s");
}

#[test]
fn a_recharge_that_the_battery_cannot_make_is_no_reason_to_curtail() {
    let mut scene = Scene::new(-5.0, [reserve(60.0, 15.0)]).with_pv(30.0);
    scene.snapshot.batteries[0].max_charge = Some(Reading::good(kw(1.0), scene.now));
    assert_eq!(caps(&scene.decide()), []);
}

#[test]
fn a_silent_inverter_keeps_its_cap_and_gets_none_it_never_had() {
    let mut scene = Scene::new(-25.0, [export_limit(5.0)]).with_pv(30.0);
    let first = scene.decide();
    scene.obey(&first);
    scene.later(seconds(20));
    scene.snapshot.pv[0].power = Some(Reading::good(kw(30.0), wattkeeper::clock::Moment::default()));
    assert_eq!(caps(&scene.decide()), [Some(25.0)]);
    let mut fresh = Scene::new(-25.0, [export_limit(5.0)]).with_pv(30.0);
    fresh.snapshot.pv[0].power = None;
    assert_eq!(caps(&fresh.decide()), []);
}

#[test]
fn with_a_stale_meter_a_cap_that_was_set_goes_to_its_safe_state() {
    let mut scene = Scene::new(-25.0, [export_limit(5.0)]).with_pv(30.0);
    scene.decide();
    scene.snapshot.grid.power = None;
    assert_eq!(caps(&scene.decide()), [None]);
}

#[test]
fn pv_alone_is_controlled_too() {
    let decision = Scene::new(-25.0, [export_limit(5.0)]).without_battery().with_pv(30.0).decide();
    assert_eq!(caps(&decision), [Some(10.0)]);
}
