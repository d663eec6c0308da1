//! The site dashboard as Grafana would ask it: its panels, and all of its queries against a Prometheus.

#![allow(dead_code, reason = "each test uses its part")]

use serde_json::Value;

use super::prometheus::Prometheus;

/// The dashboard in `grafana/`.
pub fn dashboard() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/grafana/wattkeeper-site.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// All panels that show something, those in rows too.
pub fn panels(dashboard: &Value) -> Vec<&Value> {
    let top = dashboard["panels"].as_array().unwrap();
    let nested = top.iter().filter_map(|panel| panel["panels"].as_array()).flatten();
    top.iter().chain(nested).filter(|panel| panel["type"] != "row").collect()
}

/// Title of the panel and query, for every query.
pub fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let of = |panel: &Value| -> Vec<(String, String)> {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().unwrap();
        targets.iter().map(|target| (title.to_owned(), target["expr"].as_str().unwrap().to_owned())).collect()
    };
    panels(dashboard).into_iter().flat_map(of).collect()
}

/// Runs every variable's and every panel's query for one instance; returns what failed or came back without a number.
pub async fn failures(prometheus: &Prometheus, instance: &str) -> Vec<String> {
    let dashboard = dashboard();
    let mut failures = Vec::new();
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if variable["type"] != "query" {
            continue;
        }
        let definition = variable["definition"].as_str().unwrap();
        let inner = definition.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (matching, label) = inner.and_then(|inner| inner.rsplit_once(", ")).expect("label_values(series, label)");
        match prometheus.label_values(label, matching).await {
            Ok(values) if values.iter().any(|value| value == instance) => {}
            other => failures.push(format!("variable {}: {other:?}", variable["name"])),
        }
    }
    for (title, expression) in queries(&dashboard) {
        let asked = expression.replace("$instance", instance).replace("$__rate_interval", "1m");
        assert!(!asked.contains('$'), "{title}: unknown variable in {asked}");
        match prometheus.query(&asked).await {
            Ok(samples) if samples.is_empty() => failures.push(format!("{title}: nothing for {asked}")),
            Ok(samples) if samples.iter().all(|sample| sample.value.is_nan()) => {
                failures.push(format!("{title}: no number for {asked}"));
            }
            Ok(_) => {}
            Err(error) => failures.push(format!("{title}: {error} for {asked}")),
        }
    }
    failures
}
