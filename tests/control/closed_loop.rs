//! The loop closed over a plant with dead time and ramp, a late and noisy meter, and a load that jumps every few seconds.

use std::collections::VecDeque;

use wattkeeper::clock::Moment;
use wattkeeper::config::PlantConfig;
use wattkeeper::reading::Reading;
use wattkeeper::sim::BatteryPlant;
use wattkeeper::state::DemandMeter;
use wattkeeper::units::{Soc, WattHours, Watts};

use crate::scene::*;

/// Repeatable noise in -1..1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    }
}

/// Dead time, how late grid and battery readings are (in tenths of a second).
#[derive(Clone, Copy, Debug)]
struct Lag {
    dead: u64,
    grid: usize,
    battery: usize,
}

/// How time passes: a tick of the plant, how often there is a decision, how fast the site's time runs.
#[derive(Clone, Copy)]
struct Beat {
    tick: std::time::Duration,
    every: u64,
    speed: u32,
}

/// Tenths of a second, a decision a second.
const LIVE: Beat = Beat { tick: std::time::Duration::from_millis(100), every: 10, speed: 1 };
/// A day in three minutes: ten decisions a second are one in 45 s of the site's time.
const DEMO: Beat = Beat { tick: std::time::Duration::from_millis(20), every: 5, speed: 450 };

/// Runs the loop for some windows of 30 min. Returns the windows' means and how far the battery moved.
fn run(scene: &mut Scene, lag: Lag, windows: u64, load: impl FnMut(u64) -> f64) -> (Vec<f64>, f64) {
    run_at(LIVE, scene, lag, windows, load)
}

fn run_at(beat: Beat, scene: &mut Scene, lag: Lag, windows: u64, mut load: impl FnMut(u64) -> f64) -> (Vec<f64>, f64) {
    let Beat { tick: io_tick, every, speed } = beat;
    let tick = io_tick * speed;
    let ticks = 1_800_000 / u64::try_from(tick.as_millis()).unwrap();
    let plant = PlantConfig {
        response_delay: tick * u32::try_from(lag.dead).unwrap(),
        ramp: Some(kw(20.0) / f64::from(speed)),
        initial_soc: Soc::from_percent(90.0),
        ..PlantConfig::default()
    };
    let mut plant = BatteryPlant::new(
        plant,
        WattHours::kwh(60.0),
        (kw(50.0), kw(50.0)),
        (Soc::from_percent(5.0), Soc::from_percent(95.0)),
    );
    scene.policy.batteries[0].capacity = Some(WattHours::kwh(60.0));
    scene.policy.batteries[0].charge_max = Some(kw(50.0));
    scene.policy.batteries[0].discharge_max = Some(kw(50.0));
    scene.policy.batteries[0].settle = io_tick * (u32::try_from(lag.dead + every).unwrap());
    let mut meter = DemandMeter::new([seconds(1800)], jiff::tz::TimeZone::UTC, seconds(10) * speed);
    let mut truth = DemandMeter::new([seconds(1800)], jiff::tz::TimeZone::UTC, seconds(10) * speed);
    let (mut means, mut moved, mut noise) = (Vec::new(), 0.0, Noise(7));
    let mut past: VecDeque<(Moment, f64, f64)> = VecDeque::new();
    let start = scene.now;
    for step in 0..windows * ticks + 1 {
        let now = Moment { io: start.io + io_tick * step as u32, site: start.site + tick * step as u32 };
        let before = plant.power();
        let battery = plant.step(tick, true).watts();
        moved += (battery - before.watts()).abs() / 1000.0;
        let grid = load(step * tick.as_millis() as u64 / 1000) * 1000.0 - battery;
        truth.observe(now.site, Watts::new(grid));
        if step % ticks == 0
            && let Some(last) = truth.windows(now.site)[0].last
        {
            means.push(last.mean.watts() / 1000.0);
        }
        past.push_front((now, grid, battery));
        past.truncate(64);
        if step % every != 0 {
            continue;
        }
        let (at, grid, _) = past[lag.grid.min(past.len() - 1)];
        let (battery_at, _, battery) = past[lag.battery.min(past.len() - 1)];
        let grid = Watts::new(grid * (1.0 + 0.003 * noise.next()));
        meter.observe(at.site, grid);
        scene.now = now;
        scene.snapshot.grid.power = Some(Reading::good(grid, at));
        scene.snapshot.grid.battery = Some(Reading::good(Watts::new(battery), at));
        scene.snapshot.batteries[0].power = Some(Reading::good(Watts::new(battery), battery_at));
        scene.snapshot.batteries[0].soc = Some(Reading::good(plant.soc(), battery_at));
        scene.snapshot.windows = meter.windows(now.site);
        if let Some(value) = scene.decide().setpoints[0].value {
            plant.command(Watts::new(value));
        }
    }
    (means, moved)
}

const LAGS: [Lag; 5] = [
    Lag { dead: 0, grid: 0, battery: 0 },
    Lag { dead: 3, grid: 10, battery: 10 },
    Lag { dead: 20, grid: 10, battery: 10 },
    Lag { dead: 10, grid: 0, battery: 9 },
    Lag { dead: 20, grid: 9, battery: 0 },
];

/// Jumps every few seconds between 10 and 110 kW, 60 kW in the mean.
fn jumping(second: u64) -> f64 {
    let mut noise = Noise(second / 7 * 977 + 13);
    noise.next();
    60.0 + 50.0 * noise.next()
}

#[test]
fn where_the_limit_can_be_held_no_window_passes_it_by_more_than_two_per_cent() {
    for lag in LAGS {
        let (means, _) = run(&mut Scene::new(0.0, [held_peak(50.0, 30, 50.0)]), lag, 3, jumping);
        assert_eq!(means.len(), 3);
        assert!(means.iter().all(|mean| *mean < 50.0 * 1.02), "{lag:?}: {means:?}");
        assert!(means[0] > 45.0, "and it is used: {means:?}");
    }
}

#[test]
fn a_demo_whose_days_last_minutes_holds_it_too() {
    for lag in [
        Lag { dead: 0, grid: 0, battery: 0 },
        Lag { dead: 5, grid: 2, battery: 2 },
        Lag { dead: 10, grid: 2, battery: 5 },
    ] {
        let slow = |second: u64| jumping(second / 40);
        let (means, _) = run_at(DEMO, &mut Scene::new(0.0, [held_peak(58.0, 30, 100.0)]), lag, 6, slow);
        assert!(means.iter().all(|mean| *mean < 58.0 * 1.02), "{lag:?}: {means:?}");
    }
}

#[test]
fn a_peak_at_the_windows_end_is_caught() {
    // 20 kW for 25 min, then 90 kW: the battery's 50 kW are enough.
    for lag in LAGS {
        let load = |second: u64| if second % 1800 < 1500 { 40.0 } else { 90.0 };
        let (means, _) = run(&mut Scene::new(0.0, [held_peak(42.0, 30, 50.0)]), lag, 2, load);
        assert!(means.iter().all(|mean| *mean < 42.0 * 1.02), "{lag:?}: {means:?}");
    }
}

#[test]
fn an_instantaneous_limit_does_not_swing() {
    // The load stands still but for the meter's noise: so must the battery, whatever the lags.
    for lag in LAGS {
        let (_, moved) =
            run(&mut Scene::new(0.0, [peak(50.0, 0)]), lag, 1, |second| if second < 60 { 40.0 } else { 70.0 });
        assert!(moved < 700.0, "{lag:?}: moved {moved} kW in half an hour");
    }
}

#[test]
fn self_consumption_does_not_swing_either() {
    for lag in LAGS {
        let (_, moved) =
            run(
                &mut Scene::new(0.0, [self_consumption()]),
                lag,
                1,
                |second| if second % 300 < 150 { 5.0 } else { 25.0 },
            );
        assert!(moved < 12.0 * 20.0 * 1.5, "{lag:?}: moved {moved} kW, 240 are needed");
    }
}
