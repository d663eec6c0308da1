//! The daemon as a process and devices that serve one client only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs, dead_code)]

#[path = "support/process.rs"]
mod process;
#[path = "support/yard.rs"]
mod yard;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use process::{Daemon, eventually};
use wattkeeper::bus::Address;
use wattkeeper::sim::LineFault;
use wattkeeper::units::Watts;
use yard::{STOR_CTL_MOD, Yard};

const PEAK_60: &str = "[[rule]]\nkind = \"peak-shaving\"\nlimit = \"60 kW\"\n";

/// The peak is held. It may well be less: what a SunSpec battery is told is the least that it gives.
fn held(grid: Watts) -> Option<()> {
    (grid < Watts::kw(61.5)).then_some(())
}

/// Another client of a device. Reads a register, so that the device has taken it; `None` where it is turned away.
fn other_client(yard: &Yard, device: &str) -> Option<TcpStream> {
    let Address::Tcp { host, port } = yard.address(device) else { panic!("served by Modbus TCP") };
    let mut stream = TcpStream::connect((host, port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&[0, 1, 0, 0, 0, 6, 1, 3, 0x9c, 0x40, 0, 2]).ok()?;
    let mut answer = [0; 13];
    stream.read_exact(&mut answer).ok()?;
    assert_eq!(answer[9..], *b"SunS");
    Some(stream)
}

fn up(daemon: &Daemon, device: &str) -> Option<f64> {
    daemon.metric(&format!("wattkeeper_device_up{{device=\"{device}\"}}"))
}

#[test]
fn of_a_device_that_serves_one_client_only_the_daemon_takes_just_that_one_place() {
    let yard = Yard::new(Watts::kw(80.0));
    ["grid", "hall", "office"].iter().for_each(|device| yard.line_fault(device, LineFault::OneConnection));
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path(), &yard.config(folder.path(), true, PEAK_60));
    eventually("grid power comes down to its limit", || held(yard.grid()));
    eventually("the daemon holds the place", || other_client(&yard, "hall").is_none().then_some(()));
    // A second process asks through the daemon, not beside it.
    let read = Command::new(env!("CARGO_BIN_EXE_wattkeeper"))
        .args(["read", "hall", "battery.soc", "--json", "--config"])
        .arg(folder.path().join("wattkeeper.toml"))
        .output()
        .unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let points: serde_json::Value = serde_json::from_slice(&read.stdout).unwrap();
    assert!((points[0]["value"].as_f64().unwrap() - 0.5).abs() < 0.02, "{points}");
    let before = yard.traffic("hall").requests;
    eventually("it is polled on", || (yard.traffic("hall").requests > before + 20).then_some(()));
    let (status, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("does not answer"), "{log}");
    assert_eq!(yard.storage(STOR_CTL_MOD), 0);
}

#[test]
fn while_another_client_holds_the_only_place_it_is_tried_again_and_the_rest_goes_on() {
    let yard = Yard::new(Watts::kw(80.0));
    yard.line_fault("hall", LineFault::OneConnection);
    let mut holder = other_client(&yard, "hall");
    assert!(holder.is_some());
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path(), &yard.config(folder.path(), true, PEAK_60));
    let errors = || {
        daemon
            .get("/metrics")
            .lines()
            .filter(|line| line.starts_with("wattkeeper_device_errors_total{device=\"hall\""))
            .count()
    };
    let tries = || daemon.metric("wattkeeper_device_requests_total{device=\"hall\"}").unwrap_or(0.0);
    eventually("it is tried more than once", || (tries() >= 3.0).then_some(()));
    assert!(errors() > 0);
    assert_eq!(up(&daemon, "hall"), Some(0.0));
    eventually("the office is told what it can do alone", || held(yard.grid()));
    assert_eq!(daemon.wait_for_control("controlling"), "");
    let log = daemon.log();
    let said = log.lines().filter(|line| line.contains("WARN hall ")).count();
    assert!((1..=2).contains(&said), "said when it changes, not at each try: {log}");

    drop(holder.take());
    eventually("it has its place", || (up(&daemon, "hall") == Some(1.0)).then_some(()));
    eventually("and is told something", || {
        let setpoints = daemon.state()["control"]["setpoints"].as_array()?.clone();
        setpoints.iter().find(|setpoint| setpoint["device"] == "hall")?["value"].is_number().then_some(())
    });
    // Taken away in mid-run, and given back.
    yard.line_fault("hall", LineFault::Closed);
    eventually("it is away", || (up(&daemon, "hall") == Some(0.0)).then_some(()));
    yard.line_fault("hall", LineFault::OneConnection);
    eventually("it comes back", || (up(&daemon, "hall") == Some(1.0)).then_some(()));
    eventually("the peak is held", || held(yard.grid()));
}
