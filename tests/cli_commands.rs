//! `status`, `read`, `check`, `profiles`, `simulate`, `replay` as a user has them: processes, exit codes, two streams.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs, dead_code)]

#[path = "support/process.rs"]
mod process;
#[path = "support/shell.rs"]
mod shell;
#[path = "support/yard.rs"]
mod yard;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use process::{Daemon, eventually};
use serde_json::Value;
use shell::{command, ended, head, signal, wattkeeper};
use tempfile::TempDir;
use wattkeeper::app::{BusLock, lock_folder};
use wattkeeper::units::Watts;
use yard::Yard;

const PEAK_60: &str = "[[rule]]\nkind = \"peak-shaving\"\nlimit = \"60 kW\"\n";

/// A simulated site and its config in a folder, with nobody running.
struct Site {
    yard: Yard,
    folder: TempDir,
    config: String,
}

impl Site {
    fn new() -> Self {
        let (yard, folder) = (Yard::new(Watts::kw(80.0)), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("wattkeeper.toml"), yard.config(folder.path(), true, PEAK_60)).unwrap();
        let config = folder.path().join("wattkeeper.toml").to_str().unwrap().to_owned();
        Self { yard, folder, config }
    }

    fn daemon(&self) -> Daemon {
        Daemon::start(self.folder.path(), &self.yard.config(self.folder.path(), true, PEAK_60))
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The first number that `read` gives of a point.
    fn read(&self, device: &str, point: &str) -> f64 {
        let said = wattkeeper(&["read", "-c", &self.config, device, point]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.out.starts_with(point), "{said:?}");
        said.out.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

#[test]
fn status_shows_the_running_daemon_on_one_screen_and_as_json() {
    let site = Site::new();
    let daemon = site.daemon();
    daemon.wait_for_control("controlling");
    eventually("the batteries are told something", || (site.yard.grid() < Watts::kw(62.0)).then_some(()));
    let said = wattkeeper(&["status", "-c", &site.config]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    for wanted in
        ["yard · wattkeeper", "controlling", "peak-shaving", "grid", "hall", "office", "SoC 50 %", "told battery"]
    {
        assert!(said.out.contains(wanted), "{wanted} is missing in\n{}", said.out);
    }
    assert!(said.out.lines().count() < 24, "one screen:\n{}", said.out);

    let said = wattkeeper(&["status", "-c", &site.config, "--json"]);
    let state: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(state["site"]["name"], "yard");
    assert!(state["site"]["power"]["grid_watts"].is_number());

    let socket = site.state().join("wattkeeper.sock");
    let elsewhere = wattkeeper(&["status", "--socket", socket.to_str().unwrap()]);
    assert_eq!(elsewhere.code, Some(0), "{elsewhere:?}");
}

#[test]
fn without_a_daemon_status_says_so_and_gives_69() {
    let site = Site::new();
    let said = wattkeeper(&["status", "-c", &site.config]);
    assert_eq!((said.code, said.out.as_str()), (Some(69), ""), "{said:?}");
    assert!(said.err.contains("no running daemon") && said.err.contains("wattkeeper.sock"), "{}", said.err);
}

#[test]
fn read_goes_through_the_daemon_where_there_is_one() {
    let site = Site::new();
    let daemon = site.daemon();
    daemon.wait_for_control("controlling");
    eventually("what is read is what the meter shows", || {
        ((site.read("grid", "meter.power") - site.yard.grid().watts()).abs() < 1500.0).then_some(())
    });
    let all = wattkeeper(&["read", "-c", &site.config, "hall", "--json"]);
    let points: Value = serde_json::from_str(&all.out).unwrap();
    let soc = points.as_array().unwrap().iter().find(|point| point["name"] == "battery.soc").unwrap();
    assert!((soc["value"].as_f64().unwrap() - 0.5).abs() < 0.05, "{soc}");
    // One master a bus: the meter was asked by the daemon alone.
    assert!(BusLock::take(&lock_folder(&site.state()), &site.yard.address("grid")).is_err());
}

#[test]
fn read_opens_the_bus_itself_where_nobody_runs() {
    let site = Site::new();
    let near = |watts: f64| ((watts - site.yard.grid().watts()).abs() < 500.0).then_some(());
    eventually("what is read is what the meter shows", || near(site.read("grid", "meter.power")));
    assert!((site.read("office", "battery.soc") - 0.5).abs() < 0.05);
    // Raw, as on the wire: the meter's total power is a float at input register 52.
    let raw = || {
        let said = wattkeeper(&["read", "-c", &site.config, "grid", "--registers", "input:52:2", "--json"]);
        let answer: Value = serde_json::from_str(&said.out).unwrap();
        let word = |nth: usize| answer["words"][nth].as_u64().unwrap() as u32;
        f32::from_bits(word(0) << 16 | word(1)).into()
    };
    eventually("the registers hold it too", || near(raw()));
    let plain = wattkeeper(&["read", "-c", &site.config, "grid", "--registers", "input:52:2"]);
    assert!(plain.out.starts_with("   52  0x") && plain.out.lines().count() == 2, "{plain:?}");
}

#[test]
fn a_bus_that_another_process_holds_is_left_alone() {
    let site = Site::new();
    let _held = BusLock::take(&lock_folder(&site.state()), &site.yard.address("grid")).unwrap();
    let said = wattkeeper(&["read", "-c", &site.config, "grid"]);
    assert_eq!((said.code, said.out.as_str()), (Some(69), ""), "{said:?}");
    assert!(said.err.contains("another wattkeeper has tcp://127.0.0.1:"), "{}", said.err);
    assert_eq!(site.yard.traffic("grid").requests, 0, "nothing was sent");
}

#[test]
fn names_that_are_not_there_get_the_nearest_with_and_without_a_daemon() {
    let site = Site::new();
    let ask = || {
        let device = wattkeeper(&["read", "-c", &site.config, "offise"]);
        assert_eq!((device.code, device.out.as_str()), (Some(69), ""), "{device:?}");
        assert!(device.err.contains("no device `offise`; did you mean `office`?"), "{}", device.err);
        let point = wattkeeper(&["read", "-c", &site.config, "grid", "meter.powr", "meter.frequency"]);
        assert_eq!(point.code, Some(69), "{point:?}");
        assert!(point.out.starts_with("meter.frequency"), "what is there is shown: {}", point.out);
        assert!(point.err.contains("no point `meter.powr`; did you mean `meter.power`?"), "{}", point.err);
    };
    ask();
    let _daemon = site.daemon();
    ask();
}

#[test]
fn a_device_that_does_not_answer_gives_69_and_a_sentence() {
    let site = Site::new();
    site.yard.line_fault("grid", wattkeeper::sim::LineFault::Closed);
    let said = wattkeeper(&["read", "-c", &site.config, "grid"]);
    assert_eq!((said.code, said.out.as_str()), (Some(69), ""), "{said:?}");
    assert!(said.err.starts_with("wattkeeper: ") && said.err.lines().count() == 1, "{}", said.err);
}

#[test]
fn watch_reads_again_and_again_until_its_reader_leaves() {
    let site = Site::new();
    let _daemon = site.daemon();
    let said = head(&["read", "-c", &site.config, "grid", "meter.power", "--watch=0.1"], 3);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert_eq!(said.out.lines().filter(|line| line.starts_with("meter.power")).count(), 3);
}

#[test]
fn no_command_minds_a_reader_that_leaves() {
    let site = Site::new();
    let _daemon = site.daemon();
    let config = site.config.as_str();
    let (csv, replayed) = recorded(site.folder.path());
    for arguments in [
        &["profiles"][..],
        &["profiles", "sunspec"],
        &["profiles", "--json"],
        &["check", "-c", config],
        &["check", "-c", config, "--json"],
        &["status", "-c", config],
        &["status", "-c", config, "--json"],
        &["read", "-c", config, "grid"],
        &["read", "-c", config, "grid", "--json"],
        &["replay", "--config", &replayed, "--input", &csv],
        &["simulate", "-c", config, "--listen", "127.0.0.1:0", "--every", "100ms"],
        &["simulate", "-c", config, "--listen", "127.0.0.1:0", "--print-config", "--for", "1s"],
        &["--help"],
        &["demo", "--hours", "0.5"],
    ] {
        for lines in [0, 1] {
            let said = head(arguments, lines);
            assert_eq!(said.code, Some(0), "{arguments:?} | head -{lines}: {said:?}");
            assert!(!said.err.contains("panicked") && !said.err.contains("roken pipe"), "{arguments:?}: {}", said.err);
        }
    }
}

/// Recorded data and a config for them.
fn recorded(folder: &Path) -> (String, String) {
    let rows: String = (0..96).map(|n| format!("2026-03-02T{:02}:{:02}:00Z,20,0\n", n / 4, n % 4 * 15)).collect();
    let (csv, config) = (folder.join("day.csv"), folder.join("replay.toml"));
    std::fs::write(&csv, format!("timestamp,load_kw,pv_kw\n{rows}")).unwrap();
    let text = "[site]\nname = \"a\"\ntime_zone = \"UTC\"\n[[device]]\nname = \"battery\"\nrole = \"battery\"\n\
        capacity = \"10 kWh\"\ncharge_max = \"5 kW\"\ndischarge_max = \"5 kW\"\n[[rule]]\nkind = \"self-consumption\"\n";
    std::fs::write(&config, text).unwrap();
    (csv.to_str().unwrap().to_owned(), config.to_str().unwrap().to_owned())
}

#[test]
fn progress_is_drawn_on_a_terminal_only() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, config) = recorded(folder.path());
    let said = wattkeeper(&["replay", "--config", &config, "--input", &csv]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(!said.out.contains('\x1b') && said.out.contains("imported"), "{}", said.out);
}

#[test]
fn each_kind_of_trouble_has_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, config) = recorded(folder.path());
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let bad = file("bad.toml", "[site]\nname = \"x\"\n[[rule]]\nkind = \"peak-shavin\"\n");
    let garbage = file("garbage.csv", "timestamp,load_kw,pv_kw\nyesterday,much,none\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let http = file("http.toml", &format!("state_dir = \"s\"\n[site]\nname = \"x\"\n[http]\nlisten = \"{port}\"\n"));
    let meter = "[[device]]\nname = \"grid\"\nrole = \"grid-meter\"\nprofile = \"eastron-sdm630\"\naddress = \"tcp://10.0.0.1\"\n";
    let one = file("one.toml", &format!("[site]\nname = \"x\"\n{meter}"));
    let nowhere = folder.path().join("no/such/out.csv").to_str().unwrap().to_owned();
    for (code, arguments, sentence) in [
        (78, &["check", "-c", &bad][..], "peak-shaving"),
        (78, &["check", "-c", "/nowhere.toml"], "/nowhere.toml"),
        (78, &["run", "-c", &bad], "peak-shaving"),
        (78, &["simulate", "-c", &bad], "peak-shaving"),
        (78, &["replay", "--config", &bad, "--input", &csv], "peak-shaving"),
        (78, &["read", "-c", &bad, "grid"], "peak-shaving"),
        (65, &["replay", "--config", &config, "--input", &garbage], "garbage.csv"),
        (65, &["replay", "--config", &config, "--input", "/nowhere.csv"], "/nowhere.csv"),
        (73, &["replay", "--config", &config, "--input", &csv, "--output", &nowhere], "out.csv"),
        (69, &["run", "-c", &http], &port),
        (69, &["simulate", "-c", &one, "--listen", &port], &port),
        (69, &["profiles", "sunspek"], "`sunspec`"),
        (70, &["demo", "--keep", "/proc/nowhere"], "/proc/nowhere"),
    ] {
        let said = wattkeeper(arguments);
        assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains(sentence), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn check_says_what_the_config_means_and_as_json_too() {
    let site = Site::new();
    let said = wattkeeper(&["check", "-c", &site.config]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    for wanted in ["yard", "grid", "hall", "office", "peak-shaving", "is valid"] {
        assert!(said.out.contains(wanted), "{wanted} is missing in\n{}", said.out);
    }
    let said = wattkeeper(&["check", "-c", &site.config, "--json"]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&report["valid"], &report["site"]["control_enabled"]), (&Value::from(true), &Value::from(true)));

    std::fs::write(&site.config, "[site]\nname = \"x\"\n[mqtt]\nbrokr = \"mqtt://a\"\n").unwrap();
    let said = wattkeeper(&["check", "-c", &site.config, "--json"]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &report["valid"]), (Some(78), &Value::from(false)));
    assert!(said.out.contains("broker"), "{}", said.out);
}

#[test]
fn profiles_lists_and_shows() {
    let list = wattkeeper(&["profiles"]);
    assert_eq!((list.code, list.err.as_str()), (Some(0), ""));
    for id in ["eastron-sdm630", "sunspec", "victron-gx", "generic"] {
        assert!(list.out.lines().any(|line| line.starts_with(id)), "{id} is missing in\n{}", list.out);
    }
    let toml = wattkeeper(&["profiles", "generic", "--toml"]);
    assert!(toml.out.parse::<toml::Table>().is_ok(), "{}", toml.out);
    assert!(serde_json::from_str::<Value>(&wattkeeper(&["profiles", "sunspec", "--json"]).out).is_ok());
}

#[test]
fn simulate_serves_what_another_modbus_client_can_read() {
    let site = Site::new();
    let arguments = ["simulate", "-c", &site.config, "--listen", "127.0.0.1:0", "--json", "--every", "200ms"];
    let mut child = command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    let port = line.split([' ', ':']).find_map(|word| word.parse::<u16>().ok()).unwrap_or_else(|| panic!("{line}"));
    let mut truth = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut truth).unwrap();
    let truth: Value = serde_json::from_str(&truth).unwrap();

    let port = port.to_string();
    let asked = Command::new("mbpoll")
        .args([
            "-m",
            "tcp",
            "-p",
            &port,
            "-a",
            "1",
            "-t",
            "3:float",
            "-B",
            "-0",
            "-r",
            "52",
            "-c",
            "1",
            "-1",
            "-q",
            "127.0.0.1",
        ])
        .output()
        .expect("mbpoll is installed");
    let answer = String::from_utf8(asked.stdout).unwrap();
    let value = answer.lines().find_map(|line| line.strip_prefix("[52]:")).unwrap_or_else(|| panic!("{answer}"));
    let (read, truth): (f64, f64) = (value.trim().parse().unwrap(), truth["grid_w"].as_f64().unwrap());
    assert!((read - truth).abs() < 0.2 * truth.abs(), "{read} W is read where {truth} W are drawn");

    signal(&child, "INT");
    let (code, err) = ended(child);
    assert_eq!(code, Some(0), "{err}");
}
