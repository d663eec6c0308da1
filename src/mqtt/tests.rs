//! Live state: what is said of the site, when, and when not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Capacities;
use super::live::{Live, Message};
use crate::bus::{LinkState, SetpointReport, SetpointState};
use crate::clock::{IoTime, Moment};
use crate::control::{Decision, Outcome, Standing};
use crate::profile::{PointSpec, Unit};
use crate::reading::{DeviceName, Reading};
use crate::state::{BatteryState, DeviceState, GridState, PointValue, PvState, Snapshot};
use crate::telemetry::Topics;
use crate::units::{Soc, WattHours, Watts};

const LIMIT: Duration = Duration::from_secs(3);

fn at(seconds: u64) -> Moment {
    let start: crate::clock::SiteTime = "2026-03-02T12:00:00Z".parse().unwrap();
    let elapsed = Duration::from_secs(seconds);
    Moment { io: IoTime::after_start(elapsed), site: start + elapsed }
}

fn device(name: &str, power: f64, now: Moment) -> Arc<DeviceState> {
    Arc::new(DeviceState {
        name: DeviceName::new(name),
        roles: BTreeSet::new(),
        profile: "p".into(),
        link: LinkState::Up,
        link_since: at(0),
        last_success: Some(now),
        interval: Duration::from_secs(1),
        points: [PointSpec { name: "battery.power".into(), unit: Unit::Watts, group: 0, counter: None, wrap: None }]
            .into(),
        values: vec![PointValue::Number(Reading::good(power, now))],
        max_age: [LIMIT].into(),
        setpoints: vec![SetpointReport {
            control: "battery".into(),
            serial: 3,
            value: Some(1500.0),
            takes: None,
            state: SetpointState::Refused("over the budget".to_owned()),
            at: now,
            writes_today: 4,
            budget: None,
        }],
    })
}

fn battery(name: &str, power: f64, soc: f64, now: Moment) -> BatteryState {
    BatteryState {
        name: DeviceName::new(name),
        power: Some(Reading::good(Watts::new(power), now)),
        soc: Some(Reading::good(Soc::from_percent(soc), now)),
        max_charge: None,
        max_discharge: None,
        max_age: LIMIT,
        soc_max_age: LIMIT,
        limits_max_age: LIMIT,
        setpoint: None,
    }
}

fn snapshot(now: Moment) -> Snapshot {
    Snapshot {
        at: now,
        grid: GridState {
            meter: Some(DeviceName::new("grid")),
            power: Some(Reading::good(Watts::new(5000.0), now)),
            feed: Some(Reading::good(Watts::new(2500.0), now)),
            imported: Some(Reading::good(WattHours::kwh(12.5), now)),
            max_age: LIMIT,
            ..GridState::default()
        },
        batteries: vec![battery("a", 1000.0, 100.0, now), battery("b", -500.0, 25.0, now)],
        pv: vec![PvState {
            name: DeviceName::new("pv"),
            power: Some(Reading::good(Watts::new(2000.0), now)),
            max_age: LIMIT,
            measured: false,
            limit: None,
        }],
        devices: vec![device("a", 1000.0, now), device("b", -500.0, now)],
        ..Snapshot::default()
    }
}

fn decision(serial: u64) -> Decision {
    Decision {
        serial,
        at: at(0),
        standing: Standing::DryRun,
        outcome: Outcome::None { reason: "no rule".to_owned() },
        bounds: Vec::new(),
        range: (Watts::ZERO, Watts::ZERO),
        demand: None,
        inputs: Vec::new(),
        setpoints: Vec::new(),
    }
}

fn live() -> Live {
    let sizes = [("a", 10.0), ("b", 30.0)].map(|(name, size)| (DeviceName::new(name), WattHours::kwh(size)));
    Live::new(Topics::new("p"), Capacities::from(sizes))
}

fn round(live: &mut Live, snapshot: &Snapshot, serial: u64, now: Moment) -> Vec<Message> {
    live.begin_round();
    std::iter::from_fn(|| live.next(snapshot, &decision(serial), now)).take(100).collect()
}

/// So many rounds that each device is looked at.
fn rounds(live: &mut Live, snapshot: &Snapshot, serial: u64, now: Moment) -> Vec<Message> {
    (0..5).flat_map(|_| round(live, snapshot, serial, now)).collect()
}

fn topics(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| &*message.topic).collect()
}

fn json(message: &Message) -> serde_json::Value {
    serde_json::from_slice(&message.payload).unwrap()
}

#[test]
fn the_site_is_summed_from_fresh_values_in_watts_kwh_and_percent() {
    let messages = round(&mut live(), &snapshot(at(5)), 0, at(6));
    let site = json(&messages[0]);
    assert_eq!(site["ts"], "2026-03-02T12:00:06.000Z");
    assert_eq!(site["grid"], serde_json::json!({"power": 5000, "imported": 12.5, "exported": null}));
    assert_eq!(site["pv"]["power"], 2000);
    assert_eq!(site["battery"], serde_json::json!({"power": 500, "soc": 43.75}), "by the batteries' sizes");
    assert_eq!(site["consumption"]["power"], 7500);
}

#[test]
fn what_is_stale_is_null_and_no_sum_is_made_of_it() {
    let mut silent = snapshot(at(5));
    silent.batteries[1] = battery("b", -500.0, 25.0, at(1));
    silent.grid.feed = None;
    let messages = round(&mut live(), &silent, 0, at(6));
    let site = json(&messages[0]);
    assert_eq!(site["grid"]["power"], 5000);
    assert!(site["battery"]["power"].is_null() && site["battery"]["soc"].is_null());
    assert!(site["consumption"]["power"].is_null());
}

#[test]
fn a_device_shows_its_values_link_and_setpoints() {
    let messages = round(&mut live(), &snapshot(at(5)), 0, at(6));
    assert_eq!(topics(&messages), ["p/state/site", "p/state/a", "p/state/b"]);
    assert_eq!(
        json(&messages[1]),
        serde_json::json!({
            "ts": "2026-03-02T12:00:06.000Z", "last_success": "2026-03-02T12:00:05.000Z",
            "link": "up", "link_since": "2026-03-02T12:00:00.000Z",
            "values": {"battery.power": 1000},
            "setpoints": [{"control": "battery", "value": 1500, "state": "refused", "detail": "over the budget", "writes_today": 4}],
        })
    );
}

#[test]
fn only_what_changed_is_said_again_and_a_value_that_grew_stale_has_changed() {
    let mut live = live();
    let first = snapshot(at(5));
    round(&mut live, &first, 7, at(6));
    assert_eq!(rounds(&mut live, &first, 7, at(7)), []);
    let mut second = snapshot(at(5));
    second.devices[1] = device("b", -600.0, at(7));
    assert_eq!(topics(&rounds(&mut live, &second, 8, at(7))), ["p/decision", "p/state/b"]);
    let late = rounds(&mut live, &second, 8, at(9));
    assert_eq!(topics(&late), ["p/state/site", "p/state/a"]);
    assert_eq!(json(&late[1])["bad"], serde_json::json!({"battery.power": "stale"}));
}

#[test]
fn a_lost_link_is_said_in_the_next_round() {
    let mut live = live();
    let mut site = snapshot(at(5));
    round(&mut live, &site, 0, at(5));
    for seconds in 6..12 {
        for index in 0..2 {
            let mut lost = DeviceState::clone(&site.devices[index]);
            lost.link = LinkState::Down { reason: "no answer".to_owned() };
            lost.link_since = at(seconds);
            site.devices[index] = Arc::new(lost);
        }
        assert_eq!(topics(&round(&mut live, &site, 0, at(7))), ["p/state/a", "p/state/b"]);
    }
}

#[test]
fn a_new_session_is_told_all_of_it() {
    let mut live = live();
    round(&mut live, &snapshot(at(5)), 7, at(6));
    live.forget();
    assert_eq!(round(&mut live, &snapshot(at(5)), 7, at(6)).len(), 4);
}

#[test]
fn a_device_that_is_gone_is_taken_away() {
    let mut live = live();
    round(&mut live, &snapshot(at(5)), 0, at(6));
    let mut fewer = snapshot(at(5));
    fewer.devices.remove(0);
    let gone = rounds(&mut live, &fewer, 0, at(6));
    assert_eq!(topics(&gone), ["p/state/a"]);
    assert!(gone[0].payload.is_empty());
    assert_eq!(rounds(&mut live, &fewer, 0, at(6)), []);
}

#[test]
fn a_slow_link_is_told_the_latest_not_the_history() {
    let mut live = live();
    live.begin_round();
    assert!(live.next(&snapshot(at(5)), &decision(1), at(5)).is_some(), "room for one");
    (0..20).for_each(|_| live.begin_round());
    let message = live.next(&snapshot(at(20)), &decision(20), at(20)).unwrap();
    assert_eq!((&*message.topic, json(&message)["serial"].as_u64()), ("p/decision", Some(20)));
}
