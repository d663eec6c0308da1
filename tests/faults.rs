//! What the machine around the daemon may do to it; and the table of all faults, which must name tests that there are.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs, dead_code)]

#[path = "support/process.rs"]
mod process;
#[path = "support/yard.rs"]
mod yard;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use process::{Daemon, eventually};
use wattkeeper::units::Watts;
use yard::{STOR_CTL_MOD, Yard};

const PEAK_60: &str = "[[rule]]\nkind = \"peak-shaving\"\nlimit = \"60 kW\"\n";

fn near(grid: Watts, wanted: Watts) -> Option<()> {
    ((grid - wanted).abs() < Watts::kw(3.5)).then_some(())
}

#[test]
fn a_disk_that_takes_nothing_keeps_a_device_from_being_driven_and_nothing_else() {
    let yard = Yard::new(Watts::kw(80.0));
    let folder = tempfile::tempdir().unwrap();
    // Neither the settings of a device nor the state can be written below a plain file, whoever we are.
    fs::create_dir_all(folder.path().join("state/state.json.new")).unwrap();
    fs::write(folder.path().join("state/devices"), "").unwrap();
    let daemon = Daemon::start(folder.path(), &yard.config(folder.path(), true, PEAK_60));
    let reason = eventually("it is said why the battery is not driven", || {
        let state = daemon.state();
        let hall = state["devices"].as_array()?.iter().find(|device| device["name"] == "hall")?.clone();
        hall["setpoints"].as_array()?.iter().find_map(|setpoint| setpoint["detail"].as_str().map(str::to_owned))
    });
    assert!(reason.contains("kept") || reason.contains("keep"), "{reason}");
    assert_eq!(yard.storage(STOR_CTL_MOD), 0, "nothing was written");
    eventually("readings go on", || daemon.metric("wattkeeper_device_up{device=\"hall\"}").filter(|up| *up == 1.0));
    let (status, log) = daemon.stop();
    assert!(status.code().is_some(), "{log}");
}

#[test]
fn damaged_state_files_are_set_aside_and_the_daemon_starts() {
    let yard = Yard::new(Watts::kw(80.0));
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    fs::create_dir_all(state.join("devices")).unwrap();
    fs::write(state.join("state.json"), b"{\"version\":1,\"at\":\xff").unwrap();
    fs::write(state.join("devices/hall@battery.json"), b"\0\0\0\0").unwrap();
    let daemon = Daemon::start(folder.path(), &yard.config(folder.path(), true, PEAK_60));
    eventually("it shaves", || near(yard.grid(), Watts::kw(60.0)));
    assert!(state.join("state.aside").exists() && state.join("devices/hall@battery.aside").exists());
    assert_eq!(daemon.stop().0.code(), Some(0));
    assert!(serde_json::from_slice::<serde_json::Value>(&fs::read(state.join("state.json")).unwrap()).is_ok());
}

#[test]
fn a_broker_that_never_answers_is_noticed_by_neither_polling_nor_control_nor_the_stop() {
    let yard = Yard::new(Watts::kw(80.0));
    let folder = tempfile::tempdir().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mqtt = format!("{PEAK_60}[mqtt]\nbroker = \"mqtt://{}\"\n", silent.local_addr().unwrap());
    let daemon = Daemon::start(folder.path(), &yard.config(folder.path(), true, &mqtt));
    eventually("it shaves", || near(yard.grid(), Watts::kw(60.0)));
    eventually("records wait", || daemon.metric("wattkeeper_telemetry_records").filter(|records| *records > 20.0));
    assert_eq!(daemon.metric("wattkeeper_telemetry_dropped_total"), Some(0.0));
    let (status, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(yard.storage(STOR_CTL_MOD), 0, "{log}");
}

fn all_names(folder: &Path, names: &mut BTreeSet<String>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            all_names(&path, names);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let named = |line: &str| {
                let line = line.trim();
                line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?.split('(').next().map(str::to_owned)
            };
            names.extend(text.lines().filter_map(named));
        }
    }
}

#[test]
fn every_fault_of_the_table_names_a_test_that_there_is() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    all_names(&top.join("tests"), &mut names);
    all_names(&top.join("src"), &mut names);
    let page = fs::read_to_string(top.join("docs/faults.md")).unwrap();
    let rows: Vec<&str> =
        page.lines().filter(|line| line.starts_with("| ") && line.matches('|').count() == 4).collect();
    assert!(rows.len() > 20, "{}", rows.len());
    for row in rows.iter().filter(|row| !row.starts_with("| fault ")) {
        let proof = row.split('|').nth(3).unwrap();
        let named: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty() || proof.contains("**not tried**"), "no proof and not marked: {row}");
        for name in named {
            assert!(names.contains(name) || top.join(name).exists(), "no test and no script `{name}`: {row}");
        }
    }
}
