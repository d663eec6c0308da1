//! What holds for every snapshot, however odd.

use proptest::prelude::*;
use wattkeeper::clock::Moment;
use wattkeeper::config::Rule;
use wattkeeper::control::{Decision, Outcome};
use wattkeeper::reading::Reading;
use wattkeeper::units::{Soc, Watts};

use crate::scene::*;

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        (0.0..60.0, 0.0..60.0).prop_map(|(import, export)| grid_limit(Some(import), Some(export))),
        (0.0..30.0).prop_map(|limit| Rule::ExportLimit { limit: kw(limit) }),
        (0.0..100.0, 0.0..20.0).prop_map(|(soc, recharge)| reserve(soc, recharge)),
        (0.0..60.0, prop_oneof![Just(0_u64), Just(15), Just(30)], 0.0..100.0)
            .prop_map(|(limit, window, hold)| held_peak(limit, window, hold)),
        Just(auto_peak(30)),
        (0.0..100.0, prop::option::of(0.1..20.0)).prop_map(|(soc, power)| charge_window((8, 0), (20, 0), soc, power)),
        (-1.0..1.0).prop_map(|target| Rule::SelfConsumption { target: kw(target) }),
    ]
}

/// A battery: power, SoC, least power, ramp, dead band; how old its readings are.
fn battery() -> impl Strategy<Value = (f64, f64, f64, Option<f64>, f64, u64)> {
    (
        -15.0..15.0,
        0.0..100.0,
        prop_oneof![Just(0.0), 0.1..6.0],
        prop::option::of(0.2..20.0),
        prop_oneof![Just(0.0), Just(0.3)],
        prop_oneof![4 => 0_u64..10, 1 => 11_u64..100],
    )
}

fn scene() -> impl Strategy<Value = Scene> {
    let windows = (0.0..20.0, 0_u64..1800, 0.0..1.0);
    let pv = prop::option::of(0.0..40.0);
    let age = prop_oneof![9 => 0_u64..10, 1 => 11_u64..100];
    let made =
        (prop::collection::vec(rule(), 0..5), prop::collection::vec(battery(), 0..4), -60.0..60.0, windows, pv, age);
    made.prop_map(|(rules, batteries, grid, (imported, elapsed, unseen), pv, age)| {
        let unseen = (elapsed as f64 * unseen) as u64;
        let mut scene = Scene::new(grid, rules).without_battery().window(30, imported, elapsed, unseen);
        if let Some(pv) = pv {
            scene = scene.with_pv(pv);
        }
        let now = scene.now;
        let before = |age| Moment { io: now.io - seconds(age), site: now.site - seconds(age) };
        scene.snapshot.grid.power = Some(Reading::good(kw(grid), before(age)));
        for (index, (power, soc, least, ramp, deadband, age)) in batteries.into_iter().enumerate() {
            scene = scene.with_battery(power, soc).tune(index, |policy, state| {
                policy.min_power = kw(least);
                policy.ramp = ramp.map(kw);
                policy.deadband = kw(deadband);
                state.power = Some(Reading::good(kw(power), before(age)));
                state.soc = Some(Reading::good(percent(soc), before(age)));
            });
        }
        scene
    })
}

fn fresh(scene: &Scene, index: usize) -> bool {
    let battery = &scene.snapshot.batteries[index];
    battery.power.is_some_and(|reading| reading.fresh(scene.now, AGE).is_ok())
        && battery.soc.is_some_and(|reading| reading.fresh(scene.now, AGE).is_ok())
}

fn values(scene: &Scene, decision: &Decision) -> Vec<Option<f64>> {
    let told = |name| decision.setpoints.iter().find(|s| s.device == name && &*s.control == "battery");
    scene.policy.batteries.iter().map(|unit| told(unit.name.clone()).and_then(|setpoint| setpoint.value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn powers_soc_least_powers_and_freshness_hold(mut scene in scene()) {
        let decision = scene.decide();
        let values = values(&scene, &decision);
        let grid_fresh = scene.snapshot.grid.power.unwrap().fresh(scene.now, AGE).is_ok();
        for (index, value) in values.iter().enumerate() {
            let unit = &scene.policy.batteries[index];
            let Some(value) = value else { continue };
            prop_assert!(grid_fresh && fresh(&scene, index), "a stale input was used");
            prop_assert!(value.is_finite() && value.abs() <= 15_000.0 + 1e-6);
            let soc = scene.snapshot.batteries[index].soc.unwrap().show().unwrap();
            prop_assert!(*value <= 0.0 || soc > unit.soc_min);
            prop_assert!(*value >= 0.0 || soc < unit.soc_max);
            prop_assert!(*value == 0.0 || value.abs() >= unit.min_power.watts() - 1e-6, "{value} below its least power");
        }
        let sum: f64 = values.iter().flatten().sum();
        prop_assert!(values.iter().flatten().all(|value| value * sum >= 0.0), "one charges another: {values:?}");
        if let Outcome::Target { battery, .. } = decision.outcome {
            prop_assert!((battery.watts() - sum).abs() < 1e-6);
        }
    }

    #[test]
    fn the_same_input_gives_the_same_decision(scene in scene()) {
        let (mut one, mut other) = (scene.clone(), scene);
        prop_assert_eq!(one.decide(), other.decide());
        prop_assert_eq!(one.memory, other.memory);
    }

    #[test]
    fn a_stale_battery_changes_nothing_whatever_it_said_last(mut scene in scene(), power in -15.0..15.0, soc in 0.0..100.0) {
        let mut other = scene.clone();
        for index in 0..scene.policy.batteries.len() {
            if !fresh(&scene, index) {
                let (was, soc_was) = (scene.snapshot.batteries[index].power.unwrap(), scene.snapshot.batteries[index].soc.unwrap());
                other.snapshot.batteries[index].power = Some(was.map(|_| kw(power)));
                other.snapshot.batteries[index].soc = Some(soc_was.map(|_| percent(soc)));
            }
        }
        prop_assert_eq!(scene.decide(), other.decide());
    }

    #[test]
    fn the_ramp_is_kept_between_decisions(mut scene in scene(), nets in prop::collection::vec(-60.0..60.0, 1..8)) {
        let mut last: Option<Vec<Option<f64>>> = None;
        for net in nets {
            let battery: f64 = last.iter().flatten().flatten().sum();
            scene.later(seconds(1));
            scene.grid(net - battery / 1000.0);
            let decision = scene.decide();
            let now = values(&scene, &decision);
            for (index, (before, after)) in last.iter().flatten().zip(&now).enumerate() {
                let unit = &scene.policy.batteries[index];
                let (Some(before), Some(after), Some(ramp)) = (before, after, unit.ramp) else { continue };
                let least = unit.min_power.watts();
                // Between 0 and the least power there is nothing: that much is jumped.
                let jump = if *before == 0.0 || *after == 0.0 { least } else { 0.0 };
                prop_assert!((after - before).abs() <= ramp.watts().max(jump) + 1e-6, "{before} -> {after}, ramp {ramp}");
            }
            scene.obey(&decision);
            last = Some(now);
        }
    }

    #[test]
    fn no_bound_is_broken_that_the_batteries_could_keep(mut scene in scene()) {
        // Without ramps and dead bands: what the sum can reach it reaches.
        scene.policy.batteries.iter_mut().for_each(|unit| (unit.ramp, unit.deadband) = (None, Watts::ZERO));
        scene.policy.batteries.iter_mut().for_each(|unit| unit.min_power = Watts::ZERO);
        let decision = scene.decide();
        let Outcome::Target { battery, .. } = decision.outcome else { return Ok(()) };
        let (mut charge, mut discharge) = (0.0, 0.0);
        let mut ours = 0.0;
        for index in (0..scene.policy.batteries.len()).filter(|index| fresh(&scene, *index)) {
            let soc = scene.snapshot.batteries[index].soc.unwrap().show().unwrap();
            // 30 kWh, a decision a second.
            let room = |share: Soc| (share.ratio().max(0.0) * 30_000.0 * 3600.0).min(15_000.0);
            charge += room(percent(95.0) - soc);
            discharge += room(soc - percent(10.0));
            ours += scene.snapshot.batteries[index].power.unwrap().show().unwrap().watts();
        }
        let net = scene.snapshot.grid.power.unwrap().show().unwrap().watts() + ours;
        let grid = net - battery.watts();
        let (least, most) = (decision.range.0.watts(), decision.range.1.watts());
        let reach = (net - discharge - 1.0, net + charge + 1.0);
        prop_assert!(grid >= least - 1.0 || grid >= reach.1 - 2.0, "{grid} under {least}, reach {reach:?}");
        prop_assert!(grid <= most + 1.0 || grid <= reach.0 + 2.0, "{grid} over {most}, reach {reach:?}");
    }

    #[test]
    fn bounds_are_nested_in_order(mut scene in scene()) {
        let decision = scene.decide();
        let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
        for record in &decision.bounds {
            for value in [record.least, record.most].into_iter().flatten() {
                prop_assert!(value.watts() >= low - 1e-9 && value.watts() <= high + 1e-9);
            }
            low = record.least.map_or(low, |least| low.max(least.watts()));
            high = record.most.map_or(high, |most| high.min(most.watts()));
        }
        prop_assert!(low <= high + 1e-9);
        if !decision.bounds.is_empty() {
            prop_assert_eq!((decision.range.0.watts(), decision.range.1.watts()), (low, high));
        }
    }
}
