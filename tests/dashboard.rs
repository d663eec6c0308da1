//! The dashboard and the alert rules, against a real Prometheus that scrapes our server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panic"
)]

#[path = "support/ask.rs"]
mod ask;
#[path = "support/dashboard.rs"]
mod dashboard;
#[path = "support/prometheus.rs"]
mod prometheus;
#[path = "support/sample_site.rs"]
mod sample_site;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use prometheus::Prometheus;
use sample_site::{BATTERY, GRID, LIMIT, PV, SOC, Shown};

/// Feeds the server as hub, control and buses would, until dropped.
async fn feed(shown: &Shown) {
    for serial in 2_u64.. {
        tokio::time::sleep(Duration::from_millis(300)).await;
        for stats in shown.sources.borrow().stats.values() {
            stats.request();
            stats.answer(Duration::from_millis(12));
        }
        shown.refresh(serial).await;
    }
}

#[tokio::test]
async fn every_query_of_the_dashboard_has_an_answer_and_it_is_the_sites_truth() {
    let shown = Shown::full().await;
    let instance = shown.address.to_string();
    let asking = async {
        let prometheus = Prometheus::scraping(&[shown.address]).await;
        prometheus.wait_for_scrapes(1).await;
        let failures = dashboard::failures(&prometheus, &instance).await;
        assert!(failures.is_empty(), "{failures:#?}");
        for (query, truth) in [
            ("wattkeeper_site_power_watts{source=\"grid\"}", GRID),
            ("wattkeeper_site_power_watts{source=\"pv\"}", PV),
            ("wattkeeper_site_power_watts{source=\"battery\"}", BATTERY),
            ("wattkeeper_site_power_watts{source=\"consumption\"}", GRID + PV + BATTERY),
            ("wattkeeper_battery_soc_ratio", SOC),
            ("wattkeeper_demand_limit_watts", LIMIT),
            ("wattkeeper_setpoint_watts", BATTERY),
            ("wattkeeper_control_rule_active == 1", 1.0),
            ("sum(wattkeeper_device_link{state=\"down\"})", 1.0),
        ] {
            assert_eq!(prometheus.value(query).await, truth, "{query}");
        }
        let p99 = "histogram_quantile(0.99, sum by (le) (rate(wattkeeper_device_request_duration_seconds_bucket[1m])))";
        let p99 = prometheus.value(p99).await;
        assert!((0.01..=0.025).contains(&p99), "12 ms lie in the bucket up to 25 ms: {p99}");
        every_rule_is_healthy(&prometheus).await;
    };
    tokio::select! {
        () = asking => {}
        () = feed(&shown) => unreachable!("it feeds for ever"),
    }
}

async fn every_rule_is_healthy(prometheus: &Prometheus) {
    let answer = ask::get(prometheus.address, "/api/v1/rules").await;
    let rules: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    for rule in rules["data"]["groups"][0]["rules"].as_array().expect("our group of rules") {
        assert_ne!(rule["health"], "err", "{rule}");
    }
}

#[tokio::test]
async fn a_device_that_dies_leaves_the_graphs_within_a_scrape() {
    let shown = Shown::full().await;
    let prometheus = Prometheus::scraping(&[shown.address]).await;
    prometheus.wait_for("wattkeeper_power_watts{device=\"grid\"}", |samples| samples.len() == 1).await;
    // Nobody feeds the server any more: after their age limit the readings are gone.
    prometheus.wait_for("wattkeeper_power_watts{device=\"grid\"}", |samples| samples.is_empty()).await;
    assert_eq!(prometheus.query("wattkeeper_device_up").await.unwrap().len(), 4);
}

#[test]
fn every_panel_has_unit_description_and_the_data_source_of_the_variable() {
    let dashboard = dashboard::dashboard();
    let mut ids = BTreeSet::new();
    for panel in dashboard::panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is used twice");
        assert!(panel["description"].as_str().is_some_and(|text| text.len() > 20), "{title}: no description");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}: no unit");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{title}: off the grid");
        for target in panel["targets"].as_array().unwrap() {
            assert!(target["expr"].as_str().unwrap().contains("instance=\"$instance\""), "{title}: all sites at once");
        }
    }
    assert!(ids.len() > 20);
}

#[test]
fn dashboard_and_rules_ask_only_for_metrics_that_there_are() {
    let rules =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/grafana/prometheus/wattkeeper.rules.yml"));
    let queries: Vec<String> =
        dashboard::queries(&dashboard::dashboard()).into_iter().map(|(_, query)| query).chain(rules).collect();
    let known: BTreeSet<&str> = wattkeeper::http::FAMILIES.iter().map(|row| row.name).collect();
    for query in &queries {
        let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| word.starts_with("wattkeeper_")) {
            assert!(known.contains(word.trim_end_matches("_bucket")), "{word} in {query}");
        }
    }
}

#[test]
fn promtool_agrees_with_rules_their_tests_and_the_scrape_config() {
    for arguments in [
        ["check", "rules", "wattkeeper.rules.yml"],
        ["test", "rules", "wattkeeper.rules.test.yml"],
        ["check", "config", "scrape.yml"],
    ] {
        let output = Command::new("promtool")
            .args(arguments)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/grafana/prometheus"))
            .output()
            .expect("promtool is installed");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
}
