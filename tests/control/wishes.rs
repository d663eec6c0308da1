//! charge-window and self-consumption: the topmost wish wins, inside the bounds.

use wattkeeper::config::{Rule, TimeOfDay, Weekdays};

use crate::scene::*;

#[test]
fn self_consumption_takes_what_is_left_over_and_gives_what_is_needed() {
    assert_eq!(Scene::new(6.0, [self_consumption()]).one(), 6.0);
    assert_eq!(Scene::new(-6.0, [self_consumption()]).one(), -6.0);
    let target = Rule::SelfConsumption { target: kw(0.5) };
    assert_eq!(Scene::new(6.0, [target.clone()]).one(), 5.5, "a little import is left");
    assert_eq!(Scene::new(0.3, [target.clone()]).one(), 0.0, "within it nothing moves");
    assert_eq!(Scene::new(-6.0, [target]).one(), -6.0, "but nothing is bought to be stored");
    let export = Rule::SelfConsumption { target: kw(-0.5) };
    assert_eq!(Scene::new(6.0, [export.clone()]).one(), 6.0, "what was stored is not sold");
    assert_eq!(Scene::new(-6.0, [export]).one(), -5.5, "a little export is left");
}

#[test]
fn a_wish_works_below_a_peak_limit() {
    let decision = Scene::new(6.0, [peak(10.0, 0), self_consumption()]).decide();
    assert_eq!((powers(&decision)[0], rule(&decision)), (6.0, Some("self-consumption")));
    assert_eq!(reason(&decision), "The building needs 6.0 kW, so the battery gives 6.0 kW");
}

#[test]
fn the_topmost_wish_wins() {
    let window = charge_window((11, 0), (13, 0), 90.0, Some(5.0));
    assert_eq!(Scene::new(6.0, [window.clone(), self_consumption()]).one(), -5.0);
    assert_eq!(Scene::new(6.0, [self_consumption(), window]).one(), 6.0);
}

#[test]
fn no_charge_window_opens_while_nobody_knows_what_time_it_is() {
    let mut scene = Scene::new(3.0, [charge_window((11, 0), (13, 0), 90.0, Some(5.0))]);
    scene.snapshot.clock_trusted = false;
    assert_eq!(scene.one(), 0.0);
}

#[test]
fn a_charge_window_charges_evenly_over_what_is_left_of_it() {
    // 40 % of 30 kWh are missing: 12 kWh in the two hours from 12 to 14 o'clock.
    let mut scene = Scene::new(3.0, [charge_window((11, 0), (14, 0), 90.0, None)]);
    let decision = scene.decide();
    assert_eq!(powers(&decision), [-6.0]);
    assert_eq!(target(&decision), 9.0);
    assert_eq!(reason(&decision), "Charging to 90 % by 14:00 with 6.0 kW, so the battery takes 6.0 kW");
}

#[test]
fn a_charge_window_never_asks_for_more_than_the_battery_takes() {
    assert_eq!(Scene::new(3.0, [charge_window((11, 0), (12, 10), 90.0, None)]).one(), -15.0);
    assert_eq!(Scene::new(3.0, [charge_window((11, 0), (13, 0), 90.0, Some(40.0))]).one(), -15.0);
}

#[test]
fn a_charge_window_is_over_at_its_end_and_not_begun_before_its_start() {
    let at =
        |clock| Scene::new(6.0, [charge_window((11, 0), (13, 0), 90.0, Some(5.0)), self_consumption()]).at(clock).one();
    assert_eq!(at("2026-03-02T10:59:59"), 6.0);
    assert_eq!(at("2026-03-02T11:00:00"), -5.0);
    assert_eq!(at("2026-03-02T12:59:59"), -5.0);
    assert_eq!(at("2026-03-02T13:00:00"), 6.0);
}

#[test]
fn a_charge_window_over_midnight_belongs_to_the_day_it_began() {
    let rule = Rule::ChargeWindow {
        from: TimeOfDay(22 * 60),
        to: TimeOfDay(6 * 60),
        days: Weekdays(0b1),
        soc: percent(90.0),
        power: Some(kw(5.0)),
    };
    let at = |clock| Scene::new(6.0, [rule.clone()]).at(clock).one();
    assert_eq!(at("2026-03-02T23:00:00"), -5.0, "Monday night");
    assert_eq!(at("2026-03-03T05:59:00"), -5.0, "Tuesday early belongs to Monday");
    assert_eq!(at("2026-03-03T23:00:00"), 0.0, "Tuesday night");
    assert_eq!(at("2026-03-02T05:00:00"), 0.0, "Monday early belongs to Sunday");
}

#[test]
fn a_charge_window_runs_on_the_clock_of_the_site() {
    let mut scene = Scene::new(6.0, [charge_window((21, 0), (22, 0), 90.0, Some(5.0))]);
    scene.policy.time_zone = jiff::tz::TimeZone::get("Asia/Tokyo").unwrap();
    assert_eq!(scene.one(), -5.0, "12:00 UTC is 21:00 in Tokyo");
}

#[test]
fn a_charge_window_that_has_reached_its_soc_keeps_what_is_there_and_still_takes_pv() {
    let at = |grid| Scene::new(grid, [charge_window((11, 0), (13, 0), 50.0, Some(5.0)), self_consumption()]).one();
    assert_eq!(at(6.0), 0.0);
    assert_eq!(at(-6.0), -6.0);
}

#[test]
fn the_battery_powers_of_the_moment_are_part_of_the_building() {
    let mut scene = Scene::new(2.0, [self_consumption()]).tune(0, |_, state| {
        state.power = state.power.map(|reading| reading.map(|_| kw(4.0)));
    });
    assert_eq!(scene.one(), 6.0, "2 kW from the grid and 4 kW from the battery are used");
}
