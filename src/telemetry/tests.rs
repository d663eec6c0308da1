//! What a record looks like, and that none is lost on the way to the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::bus::LinkState;
use crate::clock::{IoTime, Moment};
use crate::control::{BoundRecord, Decision, InputRecord, Outcome, Setpoint, Standing};
use crate::profile::{PointSpec, Unit};
use crate::reading::{DeviceName, Reading};
use crate::state::{DeviceState, Note, PointValue};
use crate::units::Watts;

fn at(seconds: u64) -> Moment {
    let start: crate::clock::SiteTime = "2026-03-02T12:00:00Z".parse().unwrap();
    let elapsed = Duration::from_secs(seconds);
    Moment { io: IoTime::after_start(elapsed), site: start + elapsed }
}

fn device(values: Vec<PointValue>) -> Arc<DeviceState> {
    let point = |name: &str, unit, group| PointSpec { name: name.into(), unit, group, counter: None, wrap: None };
    Arc::new(DeviceState {
        name: DeviceName::new("battery"),
        roles: BTreeSet::new(),
        profile: "p".into(),
        link: LinkState::Up,
        link_since: at(0),
        last_success: Some(at(0)),
        interval: Duration::from_secs(1),
        points: [
            point("battery.power", Unit::Watts, 0),
            point("battery.soc", Unit::Ratio, 0),
            point("battery.energy", Unit::WattHours, 0),
            point("battery.serial", Unit::None, 1),
        ]
        .into(),
        values,
        max_age: [Duration::from_secs(3)].into(),
        setpoints: Vec::new(),
    })
}

fn writer() -> (Writer, Arc<Outbox>) {
    let outbox = Outbox::new(MemoryStore::new(1 << 20));
    let groups = BTreeMap::from([(DeviceName::new("battery"), vec!["fast".into(), "slow".into()])]);
    (Writer::new(Topics::new("wattkeeper/x"), groups, outbox.clone()), outbox)
}

fn only(outbox: &Outbox) -> (String, String) {
    let records = outbox.after(None, 9);
    assert_eq!(records.len(), 1);
    (records[0].topic.to_string(), String::from_utf8(records[0].payload.to_vec()).unwrap())
}

#[test]
fn a_poll_is_one_record_in_the_units_of_its_readers() {
    let (mut writer, outbox) = writer();
    let number = |value| PointValue::Number(Reading::good(value, at(5)));
    let device = device(vec![number(-1234.5), number(0.625), number(12_345_678.0), PointValue::Never]);
    writer.note(&Note::Polled { device, group: 0, at: at(5) });
    let (topic, payload) = only(&outbox);
    assert_eq!(topic, "wattkeeper/x/telemetry/battery/fast");
    assert_eq!(
        payload,
        r#"{"ts":"2026-03-02T12:00:05.000Z","seq":1,"values":{"battery.power":-1234.5,"battery.soc":62.5,"battery.energy":12345.678},"quality":"good"}"#
    );
}

#[test]
fn a_value_that_is_none_is_named_and_an_old_one_left_out() {
    let (mut writer, outbox) = writer();
    let device = device(vec![
        PointValue::Number(Reading::invalid(at(5))),
        PointValue::Number(Reading::substituted(0.0, at(5))),
        PointValue::Number(Reading::good(5.0, at(1))),
        PointValue::Never,
    ]);
    writer.note(&Note::Polled { device, group: 0, at: at(5) });
    let (_, payload) = only(&outbox);
    assert_eq!(
        payload,
        r#"{"ts":"2026-03-02T12:00:05.000Z","seq":1,"values":{"battery.soc":0},"bad":{"battery.power":"invalid","battery.soc":"substituted"},"quality":"partial"}"#
    );
}

#[test]
fn new_points_of_a_device_replace_the_old_ones() {
    let (mut writer, outbox) = writer();
    let first = device(vec![PointValue::Number(Reading::good(1.0, at(1)))]);
    let mut second = DeviceState::clone(&first);
    second.points =
        [PointSpec { name: "battery.current".into(), unit: Unit::Amperes, group: 0, counter: None, wrap: None }].into();
    writer.note(&Note::Polled { device: first, group: 0, at: at(1) });
    writer.note(&Note::Polled { device: Arc::new(second), group: 0, at: at(1) });
    let records = outbox.after(None, 9);
    assert!(String::from_utf8_lossy(&records[1].payload).contains(r#"{"battery.current":1}"#));
}

#[test]
fn a_text_point_is_a_string() {
    let (mut writer, outbox) = writer();
    let mut values = vec![PointValue::Never; 3];
    values.push(PointValue::Text("SN \"7\"".into(), at(5)));
    writer.note(&Note::Polled { device: device(values), group: 1, at: at(5) });
    let (topic, payload) = only(&outbox);
    assert_eq!(topic, "wattkeeper/x/telemetry/battery/slow");
    assert!(payload.contains(r#""values":{"battery.serial":"SN \"7\""}"#), "{payload}");
}

#[test]
fn a_decision_says_why() {
    let (mut writer, outbox) = writer();
    writer.decision(&Decision {
        serial: 7,
        at: at(9),
        standing: Standing::NotControlling("the grid meter is silent".to_owned()),
        outcome: Outcome::Target {
            rule: Some("peak-shaving".into()),
            wish: Some(Watts::ZERO),
            target: Watts::kw(80.0),
            battery: Watts::new(1500.26),
            reason: "held at 80 kW".to_owned(),
        },
        bounds: vec![BoundRecord {
            rule: "peak-shaving".into(),
            least: None,
            most: Some(Watts::kw(80.0)),
            clamped: false,
            binding: true,
            reason: "limit".to_owned(),
        }],
        range: (Watts::new(f64::NEG_INFINITY), Watts::kw(80.0)),
        demand: None,
        inputs: vec![InputRecord { name: "grid.power".into(), value: Some(81_500.0), age: Duration::from_millis(120) }],
        setpoints: vec![Setpoint {
            device: DeviceName::new("battery"),
            control: "battery".into(),
            value: None,
            reason: "silent".to_owned(),
        }],
    });
    let (topic, payload) = only(&outbox);
    assert_eq!(topic, "wattkeeper/x/telemetry/decision");
    let value: serde_json::Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(
        value,
        serde_json::json!({
            "ts": "2026-03-02T12:00:09.000Z", "seq": 1, "serial": 7,
            "standing": "not-controlling", "not_controlling_because": "the grid meter is silent",
            "rule": "peak-shaving", "wish": 0, "target": 80000, "battery": 1500.3, "reason": "held at 80 kW",
            "range": {"least": null, "most": 80000},
            "bounds": [{"rule": "peak-shaving", "least": null, "most": 80000, "clamped": false, "binding": true, "reason": "limit"}],
            "inputs": [{"name": "grid.power", "value": 81500, "age": 0.12}],
            "setpoints": [{"device": "battery", "control": "battery", "value": null, "reason": "silent"}],
        })
    );
}

#[tokio::test]
async fn what_is_queued_at_the_end_still_becomes_records() {
    let outbox = Outbox::new(MemoryStore::new(1 << 20));
    let (notes, note_rx) = mpsc::channel(100);
    let (_decisions, decision_rx) = mpsc::channel(10);
    let stop = CancellationToken::new();
    for n in 0..100 {
        notes.try_send(Note::Event { kind: "test", text: n.to_string(), at: at(n) }).unwrap();
    }
    stop.cancel();
    run(TelemetryPorts {
        naming: tokio::sync::watch::channel(Some(crate::telemetry::Naming {
            topics: Topics::new("p"),
            groups: BTreeMap::new(),
        }))
        .1,
        outbox: outbox.clone(),
        notes: note_rx,
        decisions: decision_rx,
        stop,
    })
    .await;
    let records = outbox.after(None, 200);
    assert_eq!(records.iter().map(|record| record.sequence).collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
    assert!(records[99].payload.ends_with(br#""kind":"test","text":"99"}"#));
}
