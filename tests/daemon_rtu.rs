//! The daemon as a process on serial lines: a pty pair by socat, with simulated devices or a hostile server at its end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs, dead_code)]
#![allow(clippy::cast_possible_truncation)]

#[path = "support/hostile.rs"]
mod hostile;
#[path = "support/process.rs"]
mod process;
#[path = "support/pty.rs"]
mod pty;
#[path = "support/yard.rs"]
mod yard;

use std::net::SocketAddr;
use std::time::Duration;

use hostile::{Act, Frames, Server, misbehaving};
use process::{Daemon, eventually};
use pty::Cable;
use wattkeeper::sim::device::MeterScope;
use wattkeeper::sim::{DevicePlan, Fault, Framing, Listen, Model};
use wattkeeper::units::Watts;
use yard::{STOR_CTL_MOD, Yard};

const PEAK_60: &str = "[[rule]]\nkind = \"peak-shaving\"\nlimit = \"60 kW\"\n";

/// The peak is held. It may well be less: what a SunSpec battery is told is the least that it gives.
fn held(grid: Watts) -> Option<()> {
    (grid < Watts::kw(61.5)).then_some(())
}

/// The grid meter and a load meter on one serial line, the hall's battery by RTU over TCP, the office by Modbus TCP.
fn wired(cable: &Cable) -> (Yard, tempfile::TempDir, Daemon) {
    let yard = Yard::laid(Watts::kw(80.0), |[grid, hall, office]| {
        let floor = DevicePlan { unit: 2, ..DevicePlan::new("floor", Model::Sdm630(MeterScope::Load, false)) };
        let converter = Listen::Socket(SocketAddr::from(([127, 0, 0, 1], 0)), Framing::Rtu);
        vec![
            (Listen::serial(cable.theirs()), vec![grid, floor]),
            (converter, vec![hall]),
            (Listen::loopback(), vec![office]),
        ]
    });
    let floor = format!(
        "[[device]]\nname = \"floor\"\nrole = \"load-meter\"\nprofile = \"eastron-sdm630\"\naddress = \"{}\"\nunit_id = 2\n\
         interval = \"100 ms\"\nmax_age = \"1 s\"\ngap = \"0 ms\"\ntimeout = \"200 ms\"\n",
        yard.address("floor")
    );
    let folder = tempfile::tempdir().unwrap();
    let config = yard.config(folder.path(), true, &format!("{floor}{PEAK_60}"));
    let (theirs, ours) = (cable.theirs(), cable.ours());
    let config = config.replace(theirs.to_str().unwrap(), &format!("{}?baud=115200", ours.display()));
    let daemon = Daemon::start(folder.path(), &config);
    (yard, folder, daemon)
}

fn up(daemon: &Daemon, device: &str) -> Option<f64> {
    daemon.metric(&format!("wattkeeper_device_up{{device=\"{device}\"}}"))
}

#[test]
fn a_silent_unit_on_the_line_leaves_its_neighbour_polled_and_the_peak_held() {
    let cable = Cable::new();
    let (yard, _folder, daemon) = wired(&cable);
    assert!(yard.address("hall").to_string().starts_with("rtu-tcp:"));
    eventually("grid power comes down to its limit", || held(yard.grid()));
    eventually("all are up", || {
        ["grid", "floor", "hall", "office"].iter().all(|d| up(&daemon, d) == Some(1.0)).then_some(())
    });

    yard.fault("floor", Fault::Silent);
    eventually("the floor is down", || (up(&daemon, "floor") == Some(0.0)).then_some(()));
    let before = yard.traffic("grid").requests;
    eventually("the meter is polled as before", || (yard.traffic("grid").requests > before + 40).then_some(()));
    assert_eq!((up(&daemon, "grid"), up(&daemon, "floor")), (Some(1.0), Some(0.0)));
    assert_eq!(daemon.wait_for_control("controlling"), "");
    eventually("the peak is held", || held(yard.grid()));
    yard.fault("floor", Fault::Healthy);
    eventually("the floor is back", || (up(&daemon, "floor") == Some(1.0)).then_some(()));

    // Over the converter a late answer ends the connection, and the battery is told anew.
    for fault in [Fault::Late(Duration::from_millis(700)), Fault::Garbled] {
        yard.fault("hall", fault);
        eventually("the hall is away", || (up(&daemon, "hall") == Some(0.0)).then_some(()));
        yard.fault("hall", Fault::Healthy);
        eventually("the hall is back", || (up(&daemon, "hall") == Some(1.0)).then_some(()));
    }
    eventually("the peak is held", || held(yard.grid()));
    let (status, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!((yard.storage(STOR_CTL_MOD), yard.grid_setpoint()), (0, 0), "{log}");
}

#[test]
fn a_pulled_cable_is_said_batteries_go_to_their_safe_states_and_it_comes_back() {
    let mut cable = Cable::new();
    let (yard, _folder, daemon) = wired(&cable);
    eventually("grid power comes down to its limit", || held(yard.grid()));
    for _ in 0..2 {
        cable.pull();
        let reason = daemon.wait_for_control("not-controlling");
        assert!(reason.contains("grid"), "{reason}");
        eventually("both meters are down", || {
            ((up(&daemon, "grid"), up(&daemon, "floor")) == (Some(0.0), Some(0.0))).then_some(())
        });
        eventually("the hall is released", || (yard.storage(STOR_CTL_MOD) == 0).then_some(()));
        assert_eq!((up(&daemon, "hall"), up(&daemon, "office")), (Some(1.0), Some(1.0)), "the other buses go on");
        cable.plug();
        daemon.wait_for_control("controlling");
        eventually("the peak is held again", || held(yard.grid()));
    }
}

/// Four groups of one register each: on a line nothing but order tells their answers apart. Register N holds N.
const PROFILE: &str = r#"
[profile]
id = "counted"
name = "A meter that shows which register is which"
kind = "meter"
status = "unconfirmed"
sources = ["this test"]
[bus]
timeout = "150ms"
[groups]
a = { every = "50ms" }
b = { every = "50ms" }
c = { every = "50ms" }
d = { every = "50ms" }
[points]
power = { at = 100, type = "u16", unit = "W", group = "a" }
custom.b = { at = 101, type = "u16", group = "b" }
custom.c = { at = 102, type = "u16", group = "c" }
custom.d = { at = 103, type = "u16", group = "d" }
"#;
const POINTS: [(&str, f64); 4] =
    [("meter.power", 100.0), ("custom.b", 101.0), ("custom.c", 102.0), ("custom.d", 103.0)];

fn counted(address: &str) -> (tempfile::TempDir, Daemon) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("profiles")).unwrap();
    std::fs::write(folder.path().join("profiles/counted.toml"), PROFILE).unwrap();
    let config = format!(
        "state_dir = \"{}\"\n[site]\nname = \"line\"\ntime_zone = \"UTC\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [[device]]\nname = \"meter\"\nrole = \"grid-meter\"\nprofile = \"counted\"\naddress = \"{address}\"\n",
        folder.path().join("state").display()
    );
    let daemon = Daemon::start(folder.path(), &config);
    (folder, daemon)
}

/// Every value that is shown is that of its own register; whether all are good.
fn each_shows_its_own(daemon: &Daemon, when: &str) -> bool {
    let state = daemon.state();
    let points = state["devices"][0]["points"].as_array().cloned().unwrap_or_default();
    let mut good = 0;
    for point in &points {
        let name = point["name"].as_str().unwrap();
        let (_, own) = POINTS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}"));
        if let Some(value) = point["value"].as_f64() {
            assert_eq!(value, *own, "{when}: {point}");
        }
        good += u32::from(point["quality"] == "good");
    }
    good == 4
}

/// A hostile server at the devices' end of the cable, in a thread of its own.
fn serve(cable: &Cable, server: &std::sync::Arc<Server>) -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let port = tokio_serial::new(cable.theirs().to_string_lossy(), 115_200);
    let stream = {
        let _on = runtime.enter();
        tokio_serial::SerialStream::open(&port).unwrap()
    };
    runtime.spawn(server.clone().serve(stream, Frames::Rtu));
    runtime
}

#[test]
fn a_late_answer_on_a_line_never_becomes_the_value_of_another_register() {
    let cable = Cable::new();
    // One answer in three comes when the daemon has given up on it, some of them when it has asked for something else.
    let server = Server::new(|server, asked| {
        let late = [0, 0, 180, 0, 0, 320, 0, 0, 470][asked.n % 9];
        vec![Act::Wait(Duration::from_millis(late)), Act::Send(server.answer(asked))]
    });
    let _serving = serve(&cable, &server);
    let (_folder, daemon) = counted(&format!("rtu:{}?baud=115200", cable.ours().display()));
    eventually("many answers, many of them late", || {
        each_shows_its_own(&daemon, "late");
        (server.seen().len() > 27).then_some(())
    });
    assert!(daemon.metric("wattkeeper_device_errors_total{device=\"meter\",kind=\"timeout\"}") > Some(3.0));
    server.recover();
    eventually("all is well again", || each_shows_its_own(&daemon, "recovered").then_some(()));
}

#[test]
fn whatever_a_line_answers_a_value_is_right_or_none_and_it_comes_back() {
    let cable = Cable::new();
    let server = Server::good();
    let _serving = serve(&cable, &server);
    let (_folder, daemon) = counted(&format!("rtu:{}?baud=115200", cable.ours().display()));
    // All other ways of going wrong are tried on a stream, in simulated time.
    for mode in ["wrong-seal", "wrong-unit", "long", "truncated", "duplicate", "noise-before"] {
        eventually("all is well", || each_shows_its_own(&daemon, mode).then_some(()));
        let bad = misbehaving(mode, Duration::from_millis(150));
        let before = server.seen().len();
        server.become_one_that(move |_, asked| bad.act(asked));
        eventually(mode, || {
            each_shows_its_own(&daemon, mode);
            (server.seen().len() > before + 3).then_some(())
        });
        server.recover();
    }
    eventually("all is well at the end", || each_shows_its_own(&daemon, "the end").then_some(()));
}
