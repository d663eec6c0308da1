use super::*;
use crate::bus::SetpointReport;
use crate::clock::{IoTime, SiteTime};
use crate::control::BoundRecord;
use crate::reading::DeviceName;
use crate::sim::{Balance, Ledger, demo_start, demo_tariff};
use crate::state::{GridState, PvState};
use crate::units::WattHours;

const AGE: Duration = Duration::from_secs(1);

fn now() -> Moment {
    let site = demo_start() + Duration::from_secs(8 * 3600 + 12 * 60);
    Moment { io: IoTime::after_start(Duration::from_secs(60)), site }
}

fn kw(value: f64) -> Option<Reading<Watts>> {
    Some(Reading::good(Watts::kw(value), now()))
}

fn battery(name: &str, power: f64, soc: f64, setpoint: Option<(f64, SetpointState)>) -> BatteryState {
    let setpoint = setpoint.map(|(value, state)| SetpointReport {
        control: "battery".into(),
        serial: 1,
        value: Some(value),
        takes: None,
        state,
        at: now(),
        writes_today: 0,
        budget: None,
    });
    BatteryState {
        name: DeviceName::new(name),
        power: kw(power),
        soc: Some(Reading::good(Soc::from_percent(soc), now())),
        max_charge: None,
        max_discharge: None,
        max_age: AGE,
        soc_max_age: AGE,
        limits_max_age: AGE,
        setpoint,
    }
}

fn snapshot() -> Snapshot {
    Snapshot {
        at: now(),
        grid: GridState { power: kw(84.2), feed: kw(30.4), max_age: AGE, ..GridState::default() },
        batteries: vec![
            battery("battery-hall", 23.1, 54.0, Some((23_000.0, SetpointState::Confirmed))),
            battery("battery-office", 0.0, 61.0, None),
        ],
        pv: vec![PvState { name: DeviceName::new("roof"), power: kw(7.3), max_age: AGE, measured: false, limit: None }],
        ..Snapshot::default()
    }
}

fn decision() -> Decision {
    Decision {
        serial: 7,
        at: now(),
        standing: Standing::Controlling,
        outcome: Outcome::Target {
            rule: Some("peak-shaving".into()),
            wish: Some(Watts::ZERO),
            target: Watts::kw(88.0),
            battery: Watts::kw(26.0),
            reason: "88.0 kW at the grid, the most that peak-shaving allows".into(),
        },
        bounds: vec![BoundRecord {
            rule: "peak-shaving".into(),
            least: None,
            most: Some(Watts::kw(88.0)),
            clamped: false,
            binding: true,
            reason: "at most 88.0 kW for the 18 min left of this window".into(),
        }],
        range: (Watts::new(f64::NEG_INFINITY), Watts::kw(88.0)),
        demand: Some(DemandRecord {
            limit: Watts::kw(90.0),
            imported: WattHours::kwh(19.0),
            projection: Watts::kw(88.5),
            allowed: Watts::kw(88.0),
            left: Duration::from_secs(18 * 60),
            billed_peak: Watts::kw(71.0),
        }),
        inputs: Vec::new(),
        setpoints: Vec::new(),
    }
}

fn ledger(peak: f64, imported: f64) -> Ledger {
    let mut ledger = Ledger::new(Duration::from_secs(1800), Duration::ZERO);
    ledger.windows.push((demo_start(), Watts::kw(peak)));
    ledger.imported = WattHours::kwh(imported);
    ledger
}

fn truth() -> Truth {
    Truth {
        at: now().site,
        balance: Balance::default(),
        devices: Vec::new(),
        with: ledger(88.9, 810.0),
        without: ledger(124.5, 850.0),
        bare: ledger(124.5, 940.0),
        stored: WattHours::kwh(60.0),
        stored_without: WattHours::kwh(20.0),
    }
}

fn scene() -> Scene {
    Scene { time_zone: jiff::tz::TimeZone::UTC, progress: 0.34, window: Duration::from_secs(1800) }
}

#[test]
fn the_screen_shows_flow_window_rules_and_reasons() {
    insta::assert_snapshot!(frame(&snapshot(), &decision(), &truth(), &scene()));
}

#[test]
fn without_a_terminal_it_is_a_line() {
    insta::assert_snapshot!(line(&snapshot(), &decision(), &truth(), &scene()));
}

#[test]
fn at_the_end_it_says_what_was_saved() {
    insta::assert_snapshot!(summary(&truth(), &demo_tariff()));
    let mut off = truth();
    off.with = off.without.clone();
    off.stored = off.stored_without;
    assert!(summary(&off, &demo_tariff()).ends_with("Nothing was saved.\n"));
}

#[test]
fn what_is_stale_is_not_shown_as_a_number() {
    let mut snapshot = snapshot();
    snapshot.at.io = snapshot.at.io + Duration::from_secs(5);
    let decision = Decision { standing: Standing::NotControlling("the grid meter is silent".into()), ..decision() };
    insta::assert_snapshot!(line(&snapshot, &decision, &truth(), &scene()));
}

#[test]
fn a_redraw_goes_up_by_what_was_there_and_clears_what_is_left() {
    assert_eq!(redraw("", "a\nb\n"), "a\x1b[K\nb\x1b[K\n\x1b[J");
    assert_eq!(redraw("a\nb\n", "c\n"), "\x1b[2A\rc\x1b[K\n\x1b[J");
}

#[test]
fn times_are_those_of_the_site() {
    let mut truth = truth();
    truth.at = "2026-04-14T22:30:00Z".parse::<SiteTime>().unwrap();
    let scene = Scene { time_zone: jiff::tz::TimeZone::fixed(jiff::tz::offset(9)), ..scene() };
    assert!(line(&snapshot(), &decision(), &truth, &scene).starts_with("07:30"));
}
