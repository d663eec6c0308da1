//! The daemon as a process, against simulated devices on real sockets: what a building would see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs, dead_code)]

#[path = "support/process.rs"]
mod process;
#[path = "support/yard.rs"]
mod yard;

use process::{Daemon, eventually};
use wattkeeper::sim::{Fault, LineFault};
use wattkeeper::units::Watts;
use yard::{RVRT_TMS, STOR_CTL_MOD, Yard};

const PEAK_60: &str = "[[rule]]\nkind = \"peak-shaving\"\nlimit = \"60 kW\"\n";

fn near(grid: Watts, wanted: Watts) -> Option<()> {
    ((grid - wanted).abs() < Watts::kw(3.5)).then_some(())
}

/// A site at 80 kW whose batteries hold 60 kW.
fn shaving() -> (Yard, tempfile::TempDir, Daemon) {
    let yard = Yard::new(Watts::kw(80.0));
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path(), &yard.config(folder.path(), true, PEAK_60));
    eventually("grid power comes down to its limit", || near(yard.grid(), Watts::kw(60.0)));
    (yard, folder, daemon)
}

#[test]
fn from_a_meters_answer_to_a_batterys_setpoint_and_the_reason_can_be_read() {
    let (yard, _folder, daemon) = shaving();
    eventually("the peak rule's bound binds, and says so", || {
        let control = daemon.state()["control"].clone();
        let bound = &control["bounds"][0];
        (control["state"] == "controlling" && bound["rule"] == "peak-shaving" && bound["binding"] == true).then_some(())
    });
    assert!(daemon.metric("wattkeeper_control_state{state=\"controlling\"}") == Some(1.0));
    let both = ["hall", "office"].map(|name| yard.traffic(name).writes.len());
    assert!(both.iter().any(|writes| *writes > 0), "{both:?}");
}

#[test]
fn on_sigterm_every_device_gets_back_what_it_had() {
    let yard = Yard::new(Watts::kw(80.0));
    let had = yard.storage(RVRT_TMS);
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path(), &yard.config(folder.path(), true, PEAK_60));
    eventually("grid power comes down to its limit", || near(yard.grid(), Watts::kw(60.0)));
    let (status, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!((yard.storage(STOR_CTL_MOD), yard.storage(RVRT_TMS)), (0, had), "{log}");
    assert_eq!(yard.grid_setpoint(), 0, "{log}");
}

#[test]
fn after_a_crash_the_next_start_puts_back_what_devices_had_in_dry_run_too() {
    let yard = Yard::new(Watts::kw(80.0));
    let had = yard.storage(RVRT_TMS);
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(folder.path(), &yard.config(folder.path(), true, PEAK_60));
    eventually("the battery is told something", || (yard.storage(STOR_CTL_MOD) != 0).then_some(()));
    daemon.signal("KILL");
    daemon.wait();
    assert_ne!(yard.storage(STOR_CTL_MOD), 0, "a killed daemon could not put it back");
    let next = Daemon::start(folder.path(), &yard.config(folder.path(), false, PEAK_60));
    eventually("what it had is put back", || {
        (yard.storage(STOR_CTL_MOD) == 0 && yard.storage(RVRT_TMS) == had).then_some(())
    });
    next.wait_for_control("dry-run");
}

#[test]
fn dry_run_decides_and_writes_nothing() {
    let yard = Yard::new(Watts::kw(80.0));
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path(), &yard.config(folder.path(), false, PEAK_60));
    eventually("it says what it would do", || {
        let state = daemon.state();
        let setpoints = state["control"]["setpoints"].as_array()?.clone();
        (state["control"]["state"] == "dry-run" && setpoints.iter().any(|s| s["value"].as_f64() > Some(1000.0)))
            .then_some(())
    });
    daemon.stop();
    for name in ["hall", "office"] {
        assert_eq!(yard.traffic(name).writes, [], "{name}");
    }
}

#[test]
fn a_silent_meter_sends_every_battery_to_its_safe_state_and_says_why() {
    let (yard, _folder, daemon) = shaving();
    yard.fault("grid", Fault::Silent);
    let reason = daemon.wait_for_control("not-controlling");
    assert!(reason.contains("grid"), "{reason}");
    // Of two batteries one is released to its own automatic mode, the other stands by.
    eventually("the first is released", || (yard.storage(STOR_CTL_MOD) == 0).then_some(()));
    yard.fault("grid", Fault::Healthy);
    daemon.wait_for_control("controlling");
    eventually("it shaves again", || near(yard.grid(), Watts::kw(60.0)));
}

#[test]
fn a_battery_that_falls_silent_is_told_nothing_and_the_rest_goes_on() {
    let (yard, _folder, daemon) = shaving();
    yard.line_fault("office", LineFault::Closed);
    let told = |state: &serde_json::Value, name: &str| {
        let setpoints = state["control"]["setpoints"].as_array().cloned().unwrap_or_default();
        setpoints.into_iter().find(|setpoint| setpoint["device"] == name)
    };
    eventually("the office is away and told nothing", || {
        let state = daemon.state();
        let up = daemon.metric("wattkeeper_device_up{device=\"office\"}");
        (up == Some(0.0) && told(&state, "office").is_none_or(|setpoint| setpoint["value"].is_null())).then_some(())
    });
    assert_eq!(daemon.wait_for_control("controlling"), "");
    assert!(told(&daemon.state(), "hall").unwrap()["value"].is_number());
    yard.line_fault("office", LineFault::Healthy);
    eventually("it is told something again", || told(&daemon.state(), "office")?["value"].is_number().then_some(()));
}

#[test]
fn a_battery_that_refuses_its_setpoint_is_left_out_and_the_other_takes_over() {
    let yard = Yard::new(Watts::kw(70.0));
    for name in ["hall", "office"] {
        yard.fault(name, Fault::RefuseWrites(wattkeeper::sim::Exception::Address));
    }
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path(), &yard.config(folder.path(), true, PEAK_60));
    let reason = eventually("no battery obeys, and that is said", || {
        let state = daemon.state();
        let reason = state["control"]["reason"].as_str()?.to_owned();
        (state["control"]["state"] == "not-controlling" && reason.contains("setpoint")).then_some(reason)
    });
    assert!(reason.contains("hall") || reason.contains("office"), "{reason}");
}

#[test]
fn late_and_garbled_answers_never_become_values_and_the_neighbours_go_on() {
    let (yard, _folder, daemon) = shaving();
    for fault in [Fault::Late(std::time::Duration::from_millis(700)), Fault::Garbled] {
        yard.fault("hall", fault);
        eventually("it is seen as away", || {
            (daemon.metric("wattkeeper_device_up{device=\"hall\"}") == Some(0.0)).then_some(())
        });
        let state = daemon.state();
        let hall = state["devices"].as_array().unwrap().iter().find(|d| d["name"] == "hall").unwrap().clone();
        let absurd = |point: &serde_json::Value| {
            point["quality"] == "good"
                && point["name"] == "battery.soc"
                && !(0.0..=1.0).contains(&point["value"].as_f64().unwrap())
        };
        assert!(!hall["points"].as_array().unwrap().iter().any(absurd), "{hall}");
        assert_eq!(daemon.metric("wattkeeper_device_up{device=\"office\"}"), Some(1.0));
        yard.fault("hall", Fault::Healthy);
        eventually("it is back", || {
            (daemon.metric("wattkeeper_device_up{device=\"hall\"}") == Some(1.0)).then_some(())
        });
    }
}

#[test]
fn a_bad_reload_is_refused_and_a_good_one_restarts_only_what_changed() {
    let (yard, folder, daemon) = shaving();
    let path = folder.path().join("wattkeeper.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, good.replace("60 kW", "60")).unwrap();
    daemon.signal("HUP");
    eventually("the bad config is refused", || daemon.log().contains("reload refused").then_some(()));
    assert!(daemon.log().contains("60 kW\"") || daemon.log().contains("limit"), "{}", daemon.log());
    eventually("the old config runs on", || near(yard.grid(), Watts::kw(60.0)));

    std::fs::write(&path, good.replace("60 kW", "65 kW")).unwrap();
    daemon.signal("HUP");
    eventually("the new limit holds", || near(yard.grid(), Watts::kw(65.0)));
    assert!(!daemon.log().contains("device down"), "no bus was restarted: {}", daemon.log());
    assert_ne!(yard.storage(STOR_CTL_MOD), 0, "the battery was not released meanwhile");
}

#[test]
fn a_device_that_a_reload_removes_is_released_first() {
    let (yard, folder, daemon) = shaving();
    let path = folder.path().join("wattkeeper.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let hall = text.find("[[device]]\nname = \"hall\"").unwrap();
    let office = text.find("[[device]]\nname = \"office\"").unwrap();
    std::fs::write(&path, format!("{}{}", &text[..hall], &text[office..])).unwrap();
    daemon.signal("HUP");
    eventually("the hall is released", || (yard.storage(STOR_CTL_MOD) == 0).then_some(()));
    eventually("the office goes on alone", || near(yard.grid(), Watts::kw(60.0)));
    eventually("it is gone", || (daemon.state()["devices"].as_array()?.len() == 2).then_some(()));
}

#[test]
fn a_config_error_ends_with_78_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wattkeeper.toml");
    std::fs::write(&path, "[site]\nname = \"x\"\n[[rule]]\nkind = \"peak-shavin\"\n").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_wattkeeper"))
        .args(["run", "--config"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("wattkeeper.toml:4") && said.contains("peak-shaving"), "{said}");
}

#[test]
fn status_and_read_ask_the_running_daemon_whatever_has_become_of_its_config() {
    let (yard, folder, _daemon) = shaving();
    let config = folder.path().join("wattkeeper.toml");
    let broken = format!("{}\nbroken = 1\n", std::fs::read_to_string(&config).unwrap());
    std::fs::write(&config, broken).unwrap();
    let ask = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wattkeeper"));
        let output = command.args(arguments).arg("--config").arg(&config).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let screen = ask(&["status"]);
    let powers = screen.lines().find(|line| line.starts_with("grid ")).unwrap();
    assert!(powers.matches('W').count() >= 3, "grid, battery, consumption: {screen}");
    let bound = screen.lines().find(|line| line.trim_start().starts_with("peak-shaving")).unwrap();
    assert!(bound.contains("most "), "{screen}");
    let read = || ask(&["read", "grid", "meter.power"]).split_whitespace().nth(1).unwrap().parse().unwrap();
    eventually("what is read is what the meter shows", || near(Watts::new(read()), yard.grid()));
}
