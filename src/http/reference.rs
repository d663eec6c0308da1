//! `docs/metrics.md`, from the table that the collector fills.

use std::fmt::Write;

use super::family::FAMILIES;

const HEAD: &str = "\
# Metrics

Generated from the table that the collector fills (`src/http/family.rs`); a test keeps the two alike.

Served at `/metrics`, by default on `127.0.0.1:9810`. Base units; power into the building's busbar is positive (grid
import, PV, battery discharge). **A value that is not fresh has no series**: the powers of a dead device disappear
from graphs instead of standing still, while `wattkeeper_device_up` and `wattkeeper_device_last_success_timestamp_seconds`
stay. `point` is the point's name in the device's profile. Counters start at 0 with all their labels.

| name | type | labels | what it says |
|---|---|---|---|
";

const TAIL: &str = "
Besides these `process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_virtual_memory_bytes`,
`process_open_fds`, `process_max_fds`, `process_threads` and `process_start_time_seconds` of the daemon.

A scrape config, alert rules with their tests and a dashboard lie in `grafana/`.
";

/// The page.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    for row in FAMILIES {
        let labels: Vec<String> = row.labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| `{}` | {} | {} | {} |", row.name, row.kind.as_str(), labels.join(", "), row.help);
    }
    page + TAIL
}
