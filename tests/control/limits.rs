//! grid-limit, export-limit, reserve: they bound, all of them first, top to bottom.

use crate::scene::*;

#[test]
fn an_import_limit_makes_the_battery_give_what_exceeds_it_and_no_more() {
    let mut scene = Scene::new(22.0, [grid_limit(Some(10.0), None)]);
    let decision = scene.decide();
    assert_eq!(powers(&decision), [12.0]);
    assert_eq!(rule(&decision), Some("grid-limit"));
    assert!(bound(&decision, "grid-limit").binding);
    assert_eq!(reason(&decision), "At most 10.0 kW may be imported, so the battery gives 12.0 kW");
}

#[test]
fn an_import_limit_also_bounds_charging() {
    let mut scene = Scene::new(4.0, [grid_limit(Some(10.0), None), charge_window((0, 0), (0, 0), 90.0, Some(15.0))]);
    assert_eq!(scene.one(), -6.0);
}

#[test]
fn below_the_limit_nothing_is_bounded() {
    let decision = Scene::new(9.0, [grid_limit(Some(10.0), Some(10.0))]).decide();
    assert_eq!((powers(&decision)[0], rule(&decision)), (0.0, None));
    assert!(!bound(&decision, "grid-limit").binding);
    assert_eq!(reason(&decision), "No rule asks for anything, so the battery stands by");
}

#[test]
fn an_export_limit_makes_the_battery_take_what_exceeds_it() {
    assert_eq!(Scene::new(-18.0, [grid_limit(None, Some(10.0))]).one(), -8.0);
    let rule = wattkeeper::config::Rule::ExportLimit { limit: kw(10.0) };
    assert_eq!(Scene::new(-18.0, [rule.clone()]).one(), -8.0);
    assert_eq!(Scene::new(-18.0, [rule]).orders(None, Some(5.0), None).one(), -13.0, "an order is stricter");
}

#[test]
fn a_grid_limit_without_numbers_holds_what_is_ordered_and_the_stricter_of_both_counts() {
    assert_eq!(Scene::new(22.0, [grid_limit(None, None)]).one(), 0.0);
    assert_eq!(Scene::new(22.0, [grid_limit(None, None)]).orders(Some(12.0), None, None).one(), 10.0);
    assert_eq!(Scene::new(22.0, [grid_limit(Some(15.0), None)]).orders(Some(12.0), None, None).one(), 10.0);
    assert_eq!(Scene::new(22.0, [grid_limit(Some(15.0), None)]).orders(Some(19.0), None, None).one(), 7.0);
    assert_eq!(Scene::new(-22.0, [grid_limit(None, None)]).orders(None, Some(12.0), None).one(), -10.0);
}

#[test]
fn an_order_ends_when_it_said_even_if_nobody_takes_it_back() {
    let mut scene = Scene::new(22.0, [grid_limit(None, None)]).orders(Some(12.0), None, None);
    scene.later(seconds(59));
    assert_eq!(scene.one(), 10.0);
    scene.snapshot.grid.battery = None;
    scene.later(seconds(1));
    scene.memory = Default::default();
    assert_eq!(scene.one(), 0.0);
}

#[test]
fn a_lower_limit_that_does_not_fit_is_moved_to_the_nearest_edge_and_shown_so() {
    let mut scene = Scene::new(22.0, [grid_limit(Some(10.0), None), reserve(60.0, 0.0)]);
    let decision = scene.decide();
    assert_eq!(powers(&decision), [12.0], "the reserve stands lower: the import limit is kept from it");
    let reserve = bound(&decision, "reserve");
    assert_eq!((reserve.least, reserve.clamped), (Some(kw(10.0)), true));
    assert!(!bound(&decision, "grid-limit").clamped);
}

#[test]
fn a_reserve_that_stands_above_keeps_the_energy_from_a_limit_below() {
    let decision = Scene::new(22.0, [reserve(60.0, 0.0), grid_limit(Some(10.0), None)]).decide();
    assert_eq!(powers(&decision), [0.0]);
    assert!(bound(&decision, "grid-limit").clamped);
}

#[test]
fn below_the_reserve_nothing_is_discharged_and_it_is_charged_back_with_its_power() {
    assert_eq!(Scene::new(5.0, [reserve(60.0, 0.0), self_consumption()]).one(), 0.0);
    assert_eq!(Scene::new(5.0, [reserve(60.0, 4.0), self_consumption()]).one(), -4.0);
    let said = |soc, power| bound(&Scene::new(5.0, [reserve(soc, power)]).decide(), "reserve").reason.clone();
    assert_eq!(said(60.0, 4.0), "SoC 50.0 % is below the reserve of 60 %: charging back with 4.0 kW");
    assert_eq!(said(60.0, 0.0), "SoC 50.0 % is at the reserve of 60 %: no discharge below 65 %");
    assert_eq!(said(40.0, 0.0), "SoC 50.0 % is above the reserve of 40 %");
    assert_eq!(Scene::new(5.0, [reserve(40.0, 4.0), self_consumption()]).one(), 5.0);
    assert_eq!(Scene::new(-8.0, [reserve(60.0, 4.0), self_consumption()]).one(), -8.0, "PV left over charges more");
}

#[test]
fn the_reserve_lets_go_only_above_its_hysteresis() {
    let mut scene = Scene::new(5.0, [reserve(50.0, 4.0), self_consumption()]);
    let mut at = |soc: f64| {
        scene.later(seconds(60));
        scene.snapshot.batteries[0].soc = Some(wattkeeper::reading::Reading::good(percent(soc), scene.now));
        scene.one()
    };
    assert_eq!(at(50.0), 0.0, "at the reserve: held, not charged");
    assert_eq!(at(54.9), 0.0, "still held");
    assert_eq!(at(55.0), 5.0, "free");
    assert_eq!(at(51.0), 5.0, "still free");
    assert_eq!(at(49.9), -4.0);
}

#[test]
fn the_reserve_is_not_undercut_between_two_decisions() {
    // 0.1 % of 30 kWh above the reserve are 30 Wh; a decision holds for an hour here.
    let mut scene = Scene::new(5.0, [reserve(49.9, 0.0), self_consumption()]);
    scene.policy.interval = seconds(3600);
    assert!((scene.one() - 0.030).abs() < 0.0011);
}

#[test]
fn a_reserve_without_a_usable_battery_bounds_nothing() {
    let mut scene = Scene::new(5.0, [reserve(60.0, 4.0), grid_limit(None, Some(5.0))])
        .with_pv(0.0)
        .tune(0, |_, state| state.soc = None);
    let decision = scene.decide();
    assert_eq!((bound(&decision, "reserve").least, powers(&decision)[0].is_nan()), (None, true));
}

#[test]
fn a_reserve_that_a_peak_takes_from_leaves_the_reason_to_the_peak() {
    let mut scene = Scene::new(25.0, [peak(20.0, 0), reserve(60.0, 0.0), self_consumption()]);
    let decision = scene.decide();
    assert_eq!(powers(&decision), [5.0]);
    assert_eq!((rule(&decision), reason(&decision).starts_with("Holding 20.0 kW")), (Some("peak-shaving"), true));
    assert!(bound(&decision, "peak-shaving").binding && bound(&decision, "reserve").clamped, "{decision:?}");
    // Where there is no peak the reserve itself says why.
    scene.grid(10.0);
    scene.later(seconds(60));
    let decision = scene.decide();
    assert_eq!((powers(&decision), rule(&decision)), (vec![0.0], Some("reserve")), "{}", reason(&decision));
}
