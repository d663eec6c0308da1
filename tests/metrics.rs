//! What /metrics shows, seen from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panic"
)]

#[path = "support/ask.rs"]
mod ask;
#[path = "support/sample_site.rs"]
mod sample_site;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ask::get;
use sample_site::Shown;
use wattkeeper::bus::LinkState;
use wattkeeper::clock::{IoTime, Moment};

/// What promtool has to say about an exposition; nothing, when all is well.
fn promtool_check(exposition: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed");
    promtool.stdin.take().unwrap().write_all(exposition.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    format!("{}{}", if output.status.success() { "" } else { "failed: " }, String::from_utf8_lossy(&said))
}

fn series<'a>(exposition: &'a str, start: &str) -> Vec<&'a str> {
    exposition.lines().filter(|line| line.starts_with(start)).collect()
}

fn value(exposition: &str, series_name: &str) -> f64 {
    let line = series(exposition, &format!("{series_name} "));
    assert_eq!(line.len(), 1, "{series_name}: {line:?} in\n{exposition}");
    line[0].rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn promtool_has_nothing_to_say_about_a_full_site_nor_about_an_empty_one() {
    let empty = get(Shown::empty().await.address, "/metrics").await;
    assert_eq!((empty.status, promtool_check(&empty.body).as_str()), (200, ""), "{}", empty.body);
    let full = get(Shown::full().await.address, "/metrics").await;
    assert!(full.head.contains("text/plain; version=0.0.4"), "{}", full.head);
    assert_eq!((full.status, promtool_check(&full.body).as_str()), (200, ""), "{}", full.body);
}

#[tokio::test]
async fn every_family_of_the_table_appears_for_a_full_site() {
    let body = get(Shown::full().await.address, "/metrics").await.body;
    for row in wattkeeper::http::FAMILIES {
        assert!(body.contains(&format!("# TYPE {} {}\n", row.name, row.kind.as_str())), "{} is missing", row.name);
    }
    assert!(body.contains("process_resident_memory_bytes"));
}

#[tokio::test]
async fn values_come_in_base_units_with_the_sign_of_the_busbar() {
    let body = get(Shown::full().await.address, "/metrics").await.body;
    let is = |name: &str, wanted: f64| assert_eq!(value(&body, name), wanted, "{name}");
    is("wattkeeper_site_power_watts{source=\"grid\"}", sample_site::GRID);
    is("wattkeeper_site_power_watts{source=\"consumption\"}", 81_500.0);
    is("wattkeeper_battery_soc_ratio{device=\"battery\"}", 0.625);
    is(
        "wattkeeper_energy_joules_total{device=\"grid\",point=\"meter.energy_import\",direction=\"import\"}",
        1_234_500.0 * 3600.0,
    );
    is("wattkeeper_device_errors_total{device=\"battery\",kind=\"timeout\"}", 3.0);
    is("wattkeeper_device_errors_total{device=\"grid\",kind=\"protocol\"}", 0.0);
    is("wattkeeper_device_request_duration_seconds_bucket{device=\"grid\",le=\"0.05\"}", 51.0);
    is("wattkeeper_device_request_duration_seconds_bucket{device=\"grid\",le=\"+Inf\"}", 100.0);
    is("wattkeeper_control_state{state=\"controlling\"}", 1.0);
    is("wattkeeper_control_state{state=\"not-controlling\"}", 0.0);
    is("wattkeeper_control_rule_active{rule=\"peak-shaving\"}", 1.0);
    is("wattkeeper_control_rule_active{rule=\"self-consumption\"}", 0.0);
    is("wattkeeper_rule_bound_seconds_total{rule=\"grid-limit\"}", 0.0);
    is("wattkeeper_setpoint_write_budget{device=\"battery\",control=\"battery\"}", 200.0);
    // Of two rules of one kind the tighter bound is shown, once.
    is("wattkeeper_control_bound_watts{rule=\"grid-limit\",side=\"most\"}", 110e3);
    // A text may hold anything.
    assert!(body.contains(r#"serial="SN \"7\"""#), "{body}");
}

#[tokio::test]
async fn a_dead_device_loses_its_values_and_keeps_its_health() {
    let shown = Shown::full().await;
    let before = get(shown.address, "/metrics").await.body;
    assert_eq!(series(&before, "wattkeeper_power_watts{device=\"grid\"").len(), 1);

    let mut site = (**shown.snapshot.borrow()).clone();
    let mut grid = (*site.devices[0]).clone();
    grid.link = LinkState::Down { reason: "no answer".into() };
    site.devices[0] = Arc::new(grid);
    shown.snapshot.send_replace(Arc::new(site));

    let after = get(shown.address, "/metrics").await.body;
    for family in ["power_watts", "voltage_volts", "energy_joules_total", "point_value"] {
        let left = series(&after, &format!("wattkeeper_{family}{{device=\"grid\""));
        assert!(left.is_empty(), "{left:?}");
    }
    assert_eq!(value(&after, "wattkeeper_device_up{device=\"grid\"}"), 0.0);
    assert_eq!(value(&after, "wattkeeper_device_link{device=\"grid\",state=\"down\"}"), 1.0);
    assert!(value(&after, "wattkeeper_device_last_success_timestamp_seconds{device=\"grid\"}") > 1e9);
    assert_eq!(value(&after, "wattkeeper_device_requests_total{device=\"grid\"}"), 100.0);
    // Others stay.
    assert_eq!(value(&after, "wattkeeper_battery_soc_ratio{device=\"battery\"}"), sample_site::SOC);
}

#[tokio::test]
async fn a_hub_that_hangs_lets_every_value_disappear() {
    let shown = Shown::full().await;
    // A snapshot whose readings are older than any limit, as when the hub has published nothing for a minute.
    let old = Moment { io: IoTime::START, ..shown.clock.now() };
    let mut site = sample_site::snapshot(old);
    site.at = shown.clock.now();
    site.grid.max_age = Duration::ZERO;
    let limits = Arc::new([Duration::ZERO]);
    for device in &mut site.devices {
        let mut stale = (**device).clone();
        stale.max_age = limits.clone();
        *device = Arc::new(stale);
    }
    shown.snapshot.send_replace(Arc::new(site));
    let body = get(shown.address, "/metrics").await.body;
    assert!(series(&body, "wattkeeper_power_watts").is_empty(), "{body}");
    assert!(series(&body, "wattkeeper_site_power_watts{source=\"consumption\"}").is_empty());
    assert_eq!(series(&body, "wattkeeper_device_up").len(), 4);
}

#[tokio::test]
async fn time_and_energy_that_a_bound_moved_add_up_over_decisions() {
    let shown = Shown::full().await;
    for (serial, second) in [(2, 100), (3, 110), (4, 120)] {
        let at = Moment { io: IoTime::after_start(Duration::from_secs(second)), ..shown.clock.now() };
        shown.decision.send_replace(Arc::new(sample_site::decision(serial, at)));
        // Each is seen: the request after it is answered later.
        get(shown.address, "/healthz").await;
    }
    let body = get(shown.address, "/metrics").await.body;
    let seconds = value(&body, "wattkeeper_rule_bound_seconds_total{rule=\"peak-shaving\"}");
    let joules = value(&body, "wattkeeper_rule_bound_energy_joules_total{rule=\"peak-shaving\"}");
    // The first one stood for at most 15 s, of which nothing more is known here.
    assert!((20.0..=35.1).contains(&seconds), "{seconds}");
    assert!((joules - seconds * 18_000.0).abs() < 1.0, "{joules} in {seconds} s");
}

#[test]
fn the_page_of_metrics_is_the_table_of_the_collector() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, wattkeeper::http::reference()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == wattkeeper::http::reference(), "docs/metrics.md is out of date: run the tests with UPDATE_DOCS=1");
}
