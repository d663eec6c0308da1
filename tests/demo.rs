//! `wattkeeper demo` as a new user has it: one command, real `curl` and `mosquitto_sub` beside it, an end in order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "support/shell.rs"]
mod shell;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shell::{command, ended, signal, wattkeeper};

/// A running demo. Killed when dropped.
struct Demo {
    child: Option<Child>,
    out: Arc<Mutex<Vec<String>>>,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let arguments = [&["demo"], arguments].concat();
        let mut child = command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, out) = (BufReader::new(child.stdout.take().unwrap()), Arc::new(Mutex::new(Vec::new())));
        let kept = out.clone();
        std::thread::spawn(move || {
            lines.lines().map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line))
        });
        let demo = Self { child: Some(child), out };
        demo.word("curl");
        demo
    }

    /// The first line with this in it.
    fn line(&self, wanted: &str) -> String {
        for _ in 0..3000 {
            if let Some(line) = self.out.lock().unwrap().iter().find(|line| line.contains(wanted)) {
                return line.clone();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("`{wanted}` was never said: {:#?}", self.out.lock().unwrap());
    }

    /// The word after another.
    fn word(&self, before: &str) -> String {
        let line = self.line(before);
        let mut words = line.split_whitespace().skip_while(|word| *word != before);
        words.nth(1).unwrap_or_else(|| panic!("nothing after {before} in {line}")).to_owned()
    }

    fn http(&self) -> String {
        self.word("curl").trim_end_matches("/metrics").to_owned()
    }

    /// Its first plain line from a time of day on: on a busy machine one comes late.
    fn at(&self, time: &str) -> String {
        let of_time = |line: &&String| line.get(2..3) == Some(":") && line.as_str() >= time;
        for _ in 0..3000 {
            if let Some(line) = self.out.lock().unwrap().iter().find(of_time) {
                return line.clone();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("no {time} in {:#?}", self.out.lock().unwrap());
    }

    /// All that it said, its exit code, and standard error.
    fn end(mut self) -> (Vec<String>, Option<i32>, String) {
        let (code, err) = ended(self.child.take().unwrap());
        // The reader is through when the last line is there.
        std::thread::sleep(Duration::from_millis(100));
        (self.out.lock().unwrap().clone(), code, err)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn curl(url: &str) -> String {
    let output = Command::new("curl").args(["-sS", "-f", "-m", "10", url]).output().expect("curl is installed");
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn mosquitto_sub(port: &str, arguments: &[&str]) -> String {
    let output = Command::new("mosquitto_sub")
        .args(["-h", "127.0.0.1", "-p", port, "-W", "20"])
        .args(arguments)
        .output()
        .expect("mosquitto_sub is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn off_a_terminal_it_prints_plain_lines_and_real_clients_are_served_meanwhile() {
    let demo = Demo::start(&["--hours", "2"]);
    let (http, port) = (demo.http(), demo.word("-p"));
    demo.at("00:1");

    let metrics = curl(&format!("{http}/metrics"));
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed");
    check.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    for wanted in
        ["control_state{state=\"controlling\"} 1", "battery_soc_ratio{device=\"battery-hall\"}", "mqtt_connected 1"]
    {
        assert!(metrics.contains(&format!("wattkeeper_{wanted}")), "{wanted} is missing");
    }
    let state: serde_json::Value = serde_json::from_str(&curl(&format!("{http}/api/v1/state"))).unwrap();
    assert_eq!((&state["site"]["name"], &state["control"]["state"]), (&"demo".into(), &"controlling".into()));
    assert_eq!(curl(&format!("{http}/readyz")), "ok\n");

    // The default of mosquitto_sub is 3.1.1.
    for version in [&[][..], &["-V", "mqttv5"]] {
        let sub = |arguments: &[&str]| mosquitto_sub(&port, &[version, arguments].concat());
        assert_eq!(sub(&["-t", "wattkeeper/demo/status", "-C", "1", "-F", "%r %p"]), "1 online\n");
        let retained = sub(&["-t", "wattkeeper/demo/state/#", "-C", "5", "-F", "%t"]);
        for device in ["site", "grid", "roof", "battery-hall", "battery-office"] {
            assert!(retained.contains(&format!("/{device}\n")), "{device} is not among\n{retained}");
        }
        let decision = sub(&["-t", "wattkeeper/demo/decision", "-C", "1"]);
        assert!(decision.contains("reason"), "{decision}");
        let telemetry = sub(&["-t", "wattkeeper/demo/telemetry/grid/+", "-C", "20"]);
        let sequence: Vec<u64> = telemetry
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap())
            .collect();
        assert!(sequence.is_sorted_by(|a, b| a < b) && sequence.len() == 20, "{sequence:?}");
    }

    let (lines, code, err) = demo.end();
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let text = lines.join("\n");
    assert!(!text.contains('\x1b'), "{text}");
    let plain: Vec<_> = lines.iter().filter(|line| line.get(2..3) == Some(":")).collect();
    assert!((4..=8).contains(&plain.len()), "one each quarter of an hour: {text}");
    for line in plain {
        for wanted in ["load ", "pv ", "batteries ", "grid ", " kW", " %", "  | "] {
            assert!(line.contains(wanted), "{wanted} is not in {line}");
        }
    }
    assert!(text.contains("By the simulator's own meters"), "{text}");
}

#[test]
fn two_at_once_do_not_mind_each_other() {
    let demos = [Demo::start(&["--hours", "1"]), Demo::start(&["--hours", "1"])];
    let ports: Vec<_> = demos.iter().map(|demo| (demo.http(), demo.word("-p"))).collect();
    assert!(ports[0].0 != ports[1].0 && ports[0].1 != ports[1].1, "{ports:?}");
    for (http, port) in &ports {
        assert!(curl(&format!("{http}/metrics")).contains("wattkeeper_build_info"));
        assert_eq!(mosquitto_sub(port, &["-t", "wattkeeper/demo/status", "-C", "1"]), "online\n");
    }
    for demo in demos {
        let (_, code, err) = demo.end();
        assert_eq!((code, err.as_str()), (Some(0), ""));
    }
}

#[test]
fn the_config_that_it_keeps_is_valid_and_a_second_demo_there_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    for _ in 0..2 {
        let demo = Demo::start(&["--hours", "0.8", "--keep", kept.to_str().unwrap()]);
        assert!(demo.word("config").ends_with("kept/wattkeeper.toml"));
        // The demand window runs: the clock does not lie before what the first demo saved.
        assert!(demo.at("00:3").contains("window"), "{}", demo.at("00:3"));
        assert_eq!(demo.end().1, Some(0));
        let check = wattkeeper(&["check", "-c", kept.join("wattkeeper.toml").to_str().unwrap()]);
        assert_eq!((check.code, check.err.as_str()), (Some(0), ""), "{check:?}");
        assert!(check.out.contains("battery-hall") && check.out.contains("is valid"), "{}", check.out);
    }
    assert!(kept.join("state").is_dir() && !kept.join("kept").exists());
}

#[test]
fn a_relative_folder_is_kept_too() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        command(&["demo", "--hours", "0.2", "--keep", "here/it/is"]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(folder.path().join("here/it/is/state").is_dir());
    assert!(!folder.path().join("here/it/is/here").exists());
}

#[test]
fn nothing_stays_behind_where_nothing_shall_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(&["demo", "--hours", "0.2"]).env("TMPDIR", folder.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn with_control_off_nothing_is_saved() {
    let demo = Demo::start(&["--hours", "1.1", "--dry-run"]);
    assert!(demo.at("00:3").contains("dry run, nothing is written: "), "{}", demo.at("00:3"));
    let (lines, code, _) = demo.end();
    assert_eq!(code, Some(0));
    let row = |name: &str| {
        let line = lines.iter().find(|line| line.trim_start().starts_with(name)).unwrap();
        let numbers: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        assert_eq!(numbers.len(), 2, "{line}");
        numbers
    };
    for name in ["highest 30-min window", "imported", "exported", "left in the batteries"] {
        assert_eq!(row(name)[0], row(name)[1], "{name}");
    }
    assert!(row("highest 30-min window")[0] > 0.0);
    assert_eq!(lines.last().unwrap(), "Nothing was saved.");
}

#[test]
fn ctrl_c_and_sigterm_end_it_in_order_with_the_summary() {
    for name in ["INT", "TERM"] {
        let demo = Demo::start(&[]);
        demo.at("00:1");
        signal(demo.child.as_ref().unwrap(), name);
        let (lines, code, err) = demo.end();
        assert_eq!((code, err.as_str()), (Some(0), ""), "{name}: {lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("By the simulator's own meters")), "{name}: {lines:#?}");
    }
}

/// As much of a terminal as the demo needs: 80 columns, 24 rows, everything that has scrolled out above them.
#[derive(Default)]
struct Terminal {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Terminal {
    fn show(&mut self, text: &str) {
        let mut text = text.chars().peekable();
        while let Some(c) = text.next() {
            match c {
                '\x1b' => {
                    assert_eq!(text.next(), Some('['));
                    let mut number = String::new();
                    while text.peek().is_some_and(char::is_ascii_digit) {
                        number.push(text.next().unwrap());
                    }
                    match text.next() {
                        Some('A') => {
                            let top = self.rows.len().saturating_sub(24);
                            self.row = self.row.saturating_sub(number.parse().unwrap()).max(top);
                        }
                        Some('K') => self.erase(),
                        Some('J') => {
                            self.erase();
                            self.rows.truncate(self.row + 1);
                        }
                        other => panic!("an unknown sequence: {number}{other:?}"),
                    }
                }
                '\r' => self.column = 0,
                '\n' => {
                    self.row += 1;
                    self.line();
                }
                c => {
                    if self.column == 80 {
                        (self.row, self.column) = (self.row + 1, 0);
                    }
                    let column = self.column;
                    let line = self.line();
                    line.resize(line.len().max(column + 1), ' ');
                    line[column] = c;
                    self.column += 1;
                }
            }
        }
    }

    fn erase(&mut self) {
        let column = self.column;
        self.line().truncate(column);
    }

    fn line(&mut self) -> &mut Vec<char> {
        self.rows.resize(self.rows.len().max(self.row + 1), Vec::new());
        &mut self.rows[self.row]
    }

    fn lines(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.iter().collect()).collect()
    }
}

#[test]
fn on_a_terminal_of_80_by_24_every_frame_is_drawn_over_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let inner = format!("stty rows 24 cols 80; exec {} demo --hours 1.2", env!("CARGO_BIN_EXE_wattkeeper"));
    let output = Command::new("script")
        .args(["-qec", &inner, "/dev/null"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("script is installed");
    assert!(output.status.success(), "{output:?}");
    let written = String::from_utf8(output.stdout).unwrap();
    let frames = written.matches("wattkeeper demo  ").count();
    assert!(frames > 10, "{frames} frames");

    let mut terminal = Terminal::default();
    terminal.show(&written);
    let lines = terminal.lines();
    let text = lines.join("\n");
    let count = |wanted: &str| lines.iter().filter(|line| line.contains(wanted)).count();
    for once in [
        "A simulated workshop",
        "wattkeeper demo  ",
        "  load ",
        "  battery-office ",
        "  grid ",
        "demand window [",
        "  left to itself  ",
        "By the simulator's own",
    ] {
        assert_eq!(count(once), if once == "  left to itself  " { 2 } else { 1 }, "`{once}` in\n{text}");
    }
    assert!(count("100 %") >= 1 && count("= ") == 1, "{text}");
    assert!(!text.contains("refused") && !text.contains("failed"), "{text}");
}
