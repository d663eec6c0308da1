//! peak-shaving: instantaneous and by demand window, fixed and auto; what is kept for peaks.

use std::time::Duration;

use wattkeeper::clock::Moment;
use wattkeeper::config::{DemandPeriod, PeakLimit, Rule};
use wattkeeper::control::Memory;
use wattkeeper::state::WindowMean;
use wattkeeper::units::Watts;

use crate::scene::*;

fn near(value: f64, expected: f64) {
    assert!((value - expected).abs() < 0.002, "{value} is not {expected}");
}

#[test]
fn without_a_window_every_moment_is_held_to_the_limit() {
    let decision = Scene::new(22.0, [peak(10.0, 0)]).decide();
    assert_eq!(powers(&decision), [12.0]);
    assert_eq!(decision.demand, None);
    assert_eq!(reason(&decision), "Holding 10.0 kW at every moment, so the battery gives 12.0 kW");
}

#[test]
fn a_margin_is_taken_off_the_limit() {
    let margin = Rule::PeakShaving {
        limit: PeakLimit::Fixed(kw(10.0)),
        window: None,
        margin: kw(1.0),
        hold: Some(percent(0.0)),
    };
    assert_eq!(Scene::new(22.0, [margin]).one(), 13.0);
}

#[test]
fn what_a_window_has_left_is_spread_over_its_time_left() {
    // 20 kW over half an hour are 10 kWh; 7 are used after 20 min, so 3 kWh may come in 10 min: 18 kW.
    let mut scene = Scene::new(25.0, [peak(20.0, 30)]).window(30, 7.0, 1200, 0);
    let decision = scene.decide();
    assert_eq!(powers(&decision), [7.0]);
    let demand = decision.demand.unwrap();
    near(demand.allowed.watts() / 1000.0, 18.0);
    near(demand.imported.watt_hours() / 1000.0, 7.0);
    near(demand.projection.watts() / 1000.0, (7.0 + 25.0 / 6.0) * 2.0);
    assert_eq!((demand.limit, demand.left), (kw(20.0), seconds(600)));
    assert_eq!(
        reason(&decision),
        "Holding 20.0 kW: 30-min window 7.0 kWh so far, 18.0 kW allowed for the last 10 min, so the battery gives 7.0 kW"
    );
}

#[test]
fn what_was_saved_early_in_the_window_may_be_used_late() {
    assert_eq!(Scene::new(25.0, [peak(20.0, 30)]).window(30, 5.0, 1200, 0).one(), 0.0, "30 kW are allowed");
}

#[test]
fn time_that_nobody_saw_counts_as_if_it_had_run_at_the_limit() {
    // 10 min unseen count 3.33 kWh: after them and 4 kWh in 10 min there are 2.67 kWh left for 10 min: 16 kW.
    assert_eq!(Scene::new(25.0, [peak(20.0, 30)]).window(30, 4.0, 1200, 600).one(), 9.0);
}

#[test]
fn the_last_seconds_of_a_window_ask_for_no_nonsense() {
    // 1 kWh is left with 2 s to go: a floor of a ninetieth of the window (20 s) makes 180 kW of it, not 1800.
    let decision = Scene::new(25.0, [peak(20.0, 30)]).window(30, 9.0, 1798, 0).decide();
    near(decision.demand.unwrap().allowed.watts() / 1000.0, 180.0);
}

#[test]
fn a_window_that_the_site_does_not_know_is_held_at_every_moment() {
    let mut scene = Scene::new(25.0, [peak(20.0, 30)]).window(15, 0.0, 800, 0);
    assert_eq!(scene.one(), 5.0, "only another window runs");
    let mut scene = Scene::new(25.0, [peak(20.0, 30)]).window(30, 0.0, 1200, 0);
    assert_eq!(scene.one(), 0.0);
    scene.snapshot.clock_trusted = false;
    assert_eq!(scene.one(), 5.0, "without a clock nobody knows where the window begins");
}

#[test]
fn a_short_peak_passes_and_a_long_one_does_not() {
    let mut scene = Scene::new(19.0, [peak(20.0, 30)]).window(30, 0.0, 0, 0);
    scene.decide();
    scene.later(seconds(1));
    scene.grid(40.0);
    assert_eq!(scene.one(), 0.0, "one second of 40 kW");
    let mut given = 0.0;
    for _ in 0..180 {
        scene.later(seconds(1));
        given = scene.one();
    }
    assert!(given > 14.0, "three minutes of it: {given}");
}

#[test]
fn late_in_the_window_nothing_passes() {
    let mut scene = Scene::new(20.0, [peak(20.0, 30)]).window(30, 9.7, 1750, 0);
    scene.decide();
    scene.later(seconds(5));
    scene.grid(30.0);
    let late = scene.one();
    // 0.3 kWh in 50 s are 21.6 kW; the mean over 5 s has come to 20 + 10 (1 - 1/e) kW.
    near(late, 26.321 - 21.6);
}

#[test]
fn charging_stays_under_the_limit_too() {
    let charge = charge_window((0, 0), (0, 0), 95.0, Some(15.0));
    assert_eq!(Scene::new(14.0, [peak(20.0, 30), charge]).window(30, 0.0, 0, 0).one(), -6.0);
}

#[test]
fn at_a_site_without_pv_the_battery_is_kept_full_for_peaks() {
    let rule = Rule::PeakShaving { limit: PeakLimit::Fixed(kw(20.0)), window: None, margin: kw(0.0), hold: None };
    let at = |grid, soc| {
        let mut scene = Scene::new(grid, [rule.clone(), self_consumption()])
            .tune(0, |_, state| state.soc = state.soc.map(|soc_now| soc_now.map(|_| percent(soc))));
        scene.policy.has_pv = false;
        scene.one()
    };
    assert_eq!(at(5.0, 50.0), -14.0, "recharged with what the limit leaves, less 5 %");
    assert_eq!(at(5.0, 95.0), 0.0, "full: kept");
    assert_eq!(at(22.0, 95.0), 2.0, "for this");
    assert_eq!(at(22.0, 50.0), 2.0);
    assert_eq!(at(19.5, 50.0), 0.0, "no room to recharge");
}

#[test]
fn at_a_site_with_pv_a_fifth_is_kept_for_peaks() {
    let rule = Rule::PeakShaving { limit: PeakLimit::Fixed(kw(20.0)), window: None, margin: kw(0.0), hold: None };
    let at = |soc| {
        Scene::new(5.0, [rule.clone(), self_consumption()])
            .tune(0, |_, state| state.soc = state.soc.map(|soc_now| soc_now.map(|_| percent(soc))))
            .one()
    };
    assert_eq!((at(50.0), at(20.0), at(15.0)), (5.0, 0.0, -14.0));
}

#[test]
fn what_is_held_is_recharged_from_a_little_below_and_free_again_a_little_above() {
    let mut scene = Scene::new(5.0, [held_peak(20.0, 0, 50.0)]);
    let mut at = |soc: f64| {
        scene.later(seconds(60));
        scene.snapshot.batteries[0].soc = Some(wattkeeper::reading::Reading::good(percent(soc), scene.now));
        scene.one()
    };
    assert_eq!((at(49.8), at(48.5), at(47.9), at(49.8)), (0.0, 0.0, -14.0, -14.0), "recharged from 48 % on");
    assert_eq!((at(50.0), at(49.8), at(52.0)), (0.0, 0.0, 0.0), "held: no swinging about it");
}

#[test]
fn auto_holds_what_is_ordered_but_never_less_than_what_is_billed_already() {
    let at = |order, billed: f64| {
        let mut scene = Scene::new(40.0, [auto_peak(0)]).orders(None, None, order);
        scene.memory.billed.peak = kw(billed);
        scene.one()
    };
    assert_eq!(at(Some(30.0), 10.0), 10.0);
    assert_eq!(at(Some(30.0), 35.0), 5.0);
    assert_eq!(at(None, 35.0), 5.0, "without an order what is billed is held");
    assert_eq!(at(None, 0.0), 0.0, "nothing is known: nothing is held");
}

#[test]
fn a_fixed_limit_stays_what_it_is_whatever_is_billed_or_ordered() {
    let mut scene = Scene::new(40.0, [peak(30.0, 0)]).orders(None, None, Some(20.0));
    scene.memory.billed.peak = kw(35.0);
    assert_eq!(scene.one(), 10.0);
}

#[test]
fn auto_opens_a_period_with_a_share_of_the_last_ones_peak() {
    let mut scene = Scene::new(40.0, [auto_peak(0)]);
    scene.memory.billed.previous = Some(kw(50.0));
    assert_eq!(scene.one(), 10.0, "30 kW are defended");
}

#[test]
fn recharging_does_not_raise_a_limit_that_is_only_what_is_billed() {
    let rule = Rule::PeakShaving {
        limit: PeakLimit::Auto,
        window: Some(seconds(1800)),
        margin: kw(0.0),
        hold: Some(percent(100.0)),
    };
    let at = |order| {
        let mut scene = Scene::new(8.0, [rule.clone()]).window(30, 0.0, 0, 0).orders(None, None, order);
        scene.memory.billed.peak = kw(20.0);
        scene.one()
    };
    assert_eq!((at(None), at(Some(20.0))), (-11.4, -12.0), "3 % below it, up to what was ordered");
}

fn finished(scene: &mut Scene, start: &str, mean: f64) {
    let start = format!("{start}Z").parse().unwrap();
    let last = Some(WindowMean { start, mean: kw(mean), unseen: Duration::ZERO });
    scene.snapshot.windows.iter_mut().for_each(|window| window.last = last);
}

#[test]
fn the_billed_peak_is_the_highest_window_of_the_period_and_starts_from_the_configs() {
    let mut scene = Scene::new(5.0, [auto_peak(30)]).window(30, 0.0, 0, 0);
    scene.policy.billed_peak = Some(kw(12.0));
    let mut billed = |start: &str, mean| {
        finished(&mut scene, start, mean);
        scene.decide();
        scene.memory.billed.peak.watts() / 1000.0
    };
    assert_eq!(billed("2026-03-02T10:00:00", 8.0), 12.0);
    assert_eq!(billed("2026-03-02T10:30:00", 15.0), 15.0);
    assert_eq!(billed("2026-03-02T11:00:00", 9.0), 15.0);
}

#[test]
fn of_a_window_that_was_seen_in_part_only_that_part_is_billed() {
    let mut scene = Scene::new(5.0, [auto_peak(30)]).window(30, 0.0, 0, 0);
    finished(&mut scene, "2026-03-02T11:30:00", 60.0);
    scene.snapshot.windows[0].last.as_mut().unwrap().unseen = seconds(1500);
    scene.decide();
    near(scene.memory.billed.peak.watts() / 1000.0, 10.0);
}

#[test]
fn a_loop_that_decides_seldom_leaves_itself_more_time() {
    let mut scene = Scene::new(25.0, [peak(20.0, 30)]).window(30, 9.0, 1790, 0);
    scene.decide();
    scene.later(seconds(25));
    near(scene.decide().demand.unwrap().allowed.watts() / 1000.0, 72.0);
}

#[test]
fn a_new_period_bills_nothing_yet_and_the_last_window_of_the_old_one_counts_there() {
    let mut scene = Scene::new(5.0, [auto_peak(30)]).window(30, 0.0, 0, 0).at("2026-03-31T23:59:00");
    scene.memory.billed.peak = kw(15.0);
    scene.decide();
    scene = scene.at("2026-04-01T00:00:01");
    finished(&mut scene, "2026-03-31T23:30:00", 18.0);
    scene.decide();
    assert_eq!((scene.memory.billed.peak, scene.memory.billed.previous), (Watts::ZERO, Some(kw(18.0))));
}

#[test]
fn periods_follow_the_sites_clock_and_their_kind() {
    let rolled = |kind, zone: &str, clock| {
        let mut scene = Scene::new(5.0, [auto_peak(30)]).at("2026-12-31T14:59:00");
        (scene.policy.demand_period, scene.policy.time_zone) = (kind, jiff::tz::TimeZone::get(zone).unwrap());
        scene.memory.billed.peak = kw(15.0);
        scene.decide();
        scene = scene.at(clock);
        scene.decide();
        scene.memory.billed.previous.is_some()
    };
    assert!(rolled(DemandPeriod::Month, "Asia/Tokyo", "2026-12-31T15:00:00"), "the new year in Tokyo");
    assert!(!rolled(DemandPeriod::Month, "UTC", "2026-12-31T15:00:00"));
    assert!(rolled(DemandPeriod::Year, "UTC", "2027-01-01T00:00:00"));
    assert!(!rolled(DemandPeriod::Term, "UTC", "2028-01-01T00:00:00"));
}

#[test]
fn nothing_rolls_over_while_the_clock_is_not_trusted() {
    let mut scene = Scene::new(5.0, [auto_peak(30)]);
    scene.memory.billed.peak = kw(15.0);
    scene.decide();
    scene = scene.at("2026-07-01T00:00:00");
    scene.snapshot.clock_trusted = false;
    scene.decide();
    assert_eq!(scene.memory.billed.peak, kw(15.0));
    scene = scene.at("1970-01-01T00:00:00");
    scene.snapshot.clock_trusted = true;
    scene.decide();
    assert_eq!(scene.memory.billed.peak, kw(15.0), "nor does it roll back");
}

#[test]
fn memory_outlives_a_restart_and_an_older_version_of_itself() {
    let mut scene = Scene::new(5.0, [auto_peak(30)]).window(30, 0.0, 0, 0);
    finished(&mut scene, "2026-03-02T11:30:00", 15.0);
    scene.decide();
    let saved = serde_json::to_string(&scene.memory).unwrap();
    let back: Memory = serde_json::from_str(&saved).unwrap();
    assert_eq!((back.billed.clone(), back.serial), (scene.memory.billed.clone(), 1));
    let old: Memory = serde_json::from_str(r#"{"serial": 7, "learnt": {"x": 1}, "billed": {"peak": 9000.0}}"#).unwrap();
    assert_eq!((old.serial, old.billed.peak), (7, kw(9.0)));
}

#[test]
fn a_loop_that_runs_behind_the_clock_leaves_itself_more_time() {
    // The meter was read 30 s of site time ago (a demo's fast clock): the floor is a minute.
    let mut scene = Scene::new(25.0, [peak(20.0, 30)]).window(30, 9.0, 1790, 0);
    let metered = Moment { io: scene.now.io, site: scene.now.site - seconds(30) };
    scene.snapshot.grid.power =
        scene.snapshot.grid.power.map(|reading| wattkeeper::reading::Reading::good(reading.show().unwrap(), metered));
    near(scene.decide().demand.unwrap().allowed.watts() / 1000.0, 60.0);
}

#[test]
fn at_the_soc_that_is_held_pv_that_is_left_over_is_still_stored() {
    let mut scene = Scene::new(5.0, [held_peak(20.0, 0, 50.0), self_consumption()]);
    scene.snapshot.batteries[0].soc = Some(wattkeeper::reading::Reading::good(percent(49.5), scene.now));
    assert_eq!(scene.one(), 0.0, "held");
    scene.later(seconds(60));
    scene.grid(-3.0);
    assert_eq!(scene.one(), -3.0);
}

#[test]
fn what_a_window_has_left_above_its_limit_is_not_for_recharging() {
    // 29 kW may run for the rest of the window; the battery that is below its hold takes nothing at 21 kW, but at 15 kW.
    let at = |grid| Scene::new(grid, [held_peak(20.0, 30, 60.0)]).window(30, 2.0, 800, 0).one();
    assert_eq!((at(21.0), at(15.0)), (0.0, -5.0));
}
