//! What replay promises: causal, repeatable, what comes out adds up, and every fault names its line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use wattkeeper::cli::replay::{ReplayArgs, run};
use wattkeeper::sim::replay::{Event, EventKind, Input};
use wattkeeper::units::Watts;

const SITE: &str = r#"
[site]
name = "site"
time_zone = "Europe/Berlin"

[[device]]
name = "battery"
role = "battery"
capacity = "20 kWh"
charge_max = "10 kW"
discharge_max = "10 kW"
soc_min = "10 %"
soc_max = "90 %"
[device.plant]
charge_efficiency = "90 %"
discharge_efficiency = "90 %"
standby = "100 W"
response_delay = "300 ms"
ramp = "5 kW/s"
initial_soc = "50 %"
"#;

/// A folder with the files of one run.
struct Run {
    folder: tempfile::TempDir,
}

impl Run {
    fn new(config: &str, input: &str, events: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("site.toml"), config).unwrap();
        std::fs::write(folder.path().join("in.csv"), input).unwrap();
        if let Some(events) = events {
            std::fs::write(folder.path().join("events.csv"), events).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self) -> ExitCode {
        let events = self.path("events.csv");
        run(&ReplayArgs {
            config: self.path("site.toml"),
            input: self.path("in.csv"),
            events: events.exists().then_some(events),
            output: Some(self.path("out.csv")),
            summary: Some(self.path("summary.json")),
            json: true,
        })
    }

    fn output(&self) -> String {
        assert_eq!(self.run(), ExitCode::SUCCESS);
        std::fs::read_to_string(self.path("out.csv")).unwrap()
    }

    fn rows(&self) -> Vec<BTreeMap<String, String>> {
        rows(&self.output())
    }

    fn summary(&self) -> serde_json::Value {
        self.output();
        serde_json::from_str(&std::fs::read_to_string(self.path("summary.json")).unwrap()).unwrap()
    }
}

/// The rows by column; the reason, the last column, may hold commas.
fn rows(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines
        .map(|line| {
            names.iter().map(|name| (*name).to_owned()).zip(line.splitn(names.len(), ',').map(str::to_owned)).collect()
        })
        .collect()
}

fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column}: {:?}", row[column]))
}

fn quarters(loads: &[(f64, f64)]) -> String {
    let mut text = "timestamp,load_kw,pv_kw\n".to_owned();
    let start: wattkeeper::clock::SiteTime = "2026-03-02T06:00:00Z".parse().unwrap();
    for (index, (load, pv)) in loads.iter().enumerate() {
        text.push_str(&format!("{},{load},{pv}\n", start + Duration::from_secs(900 * index as u64)));
    }
    text
}

fn seconds(load: impl Fn(u64) -> f64, count: u64) -> String {
    let mut text = "timestamp,load_kw,pv_kw\n".to_owned();
    let start: wattkeeper::clock::SiteTime = "2026-03-02T06:00:00Z".parse().unwrap();
    for second in 0..count {
        text.push_str(&format!("{},{},0\n", start + Duration::from_secs(second), load(second)));
    }
    text
}

fn with(rules: &str) -> String {
    format!("{SITE}\n{rules}")
}

fn peak(limit: &str) -> String {
    with(&format!("[[rule]]\nkind = \"peak-shaving\"\nlimit = \"{limit}\"\nwindow = \"15 min\"\nhold = \"50 %\"\n"))
}

fn day() -> String {
    let load = |quarter: usize| 5.0 + 12.0 * (quarter as f64 / 7.0).sin().abs() + (quarter % 3) as f64;
    let sun = |quarter: usize| (15.0 * (quarter as f64 / 30.0).sin()).max(0.0);
    quarters(&(0..96).map(|quarter| (load(quarter), sun(quarter))).collect::<Vec<_>>())
}

const ALL: &str = "[tariff]\nimport = \"0.3 EUR/kWh\"\nexport = \"0.1 EUR/kWh\"\ndemand_charge = \"10 EUR/kW\"\n\
    [[rule]]\nkind = \"export-limit\"\nlimit = \"2 kW\"\n\
    [[rule]]\nkind = \"peak-shaving\"\nlimit = \"9 kW\"\nwindow = \"15 min\"\n\
    [[rule]]\nkind = \"self-consumption\"\n";

#[test]
fn every_row_balances_and_soc_and_powers_stay_in_their_bounds() {
    for row in Run::new(&with(ALL), &day(), None).rows() {
        let sum = number(&row, "grid_kw") + number(&row, "pv_kw") + number(&row, "battery_kw");
        assert!((sum - number(&row, "load_kw") - 0.1).abs() < 0.003, "{row:?}");
        assert!((10.0..=90.0).contains(&number(&row, "soc_percent")) && number(&row, "battery_kw").abs() <= 10.0);
        assert!((number(&row, "battery_kw") - number(&row, "setpoint_kw")).abs() < 0.002, "asked is what is possible");
        assert!(number(&row, "grid_kw") >= -2.0005, "PV is curtailed in time: {row:?}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes_and_no_row_depends_on_later_ones() {
    let input = day();
    let whole = Run::new(&with(ALL), &input, None).output();
    assert_eq!(whole, Run::new(&with(ALL), &input, None).output());
    let cut: String = input.lines().take(40).flat_map(|line| [line, "\n"]).collect();
    let part = Run::new(&with(ALL), &cut, None).output();
    assert!(part.lines().eq(whole.lines().take(40)));
}

#[test]
fn a_peak_is_held_and_recharged_below_the_limit() {
    let rows = Run::new(&peak("8 kW"), &quarters(&[(12.0, 0.0), (12.0, 0.0), (3.0, 0.0), (3.0, 0.0)]), None).rows();
    let grid: Vec<f64> = rows.iter().map(|row| number(row, "grid_kw")).collect();
    assert_eq!(grid[..3], [8.0, 8.0, 8.0], "two quarters shaved, one recharging");
    assert!(
        rows[0]["reason"].contains("Holding 8.0 kW: 15-min window 0 Wh so far, 8.0 kW allowed for the last 15 min")
    );
    assert_eq!(rows[0]["rule"], "peak-shaving");
}

#[test]
fn losses_standby_and_the_soc_are_booked() {
    let rule = with("[[rule]]\nkind = \"self-consumption\"\ntarget = \"0 W\"\n");
    let rows = Run::new(&rule, &quarters(&[(3.5, 0.0), (0.0, 4.1)]), None).rows();
    // 3.6 kW with standby for a quarter of an hour are 0.9 kWh, 1 kWh stored: 5 % of 20. Then 4 kW store 0.9 kWh.
    assert_eq!((number(&rows[0], "battery_kw"), number(&rows[0], "soc_percent")), (3.6, 45.0));
    assert_eq!((number(&rows[1], "battery_kw"), number(&rows[1], "soc_percent")), (-4.0, 49.5));
}

#[test]
fn the_bill_is_what_a_reader_would_reckon() {
    let rules = with(
        "[tariff]\nimport = \"0.3 EUR/kWh\"\nexport = \"0.1 EUR/kWh\"\ndemand_charge = \"10 EUR/kW\"\n\
         [[rule]]\nkind = \"peak-shaving\"\nlimit = \"8 kW\"\nwindow = \"15 min\"\nhold = \"0 %\"\n",
    );
    let summary = Run::new(&rules, &quarters(&[(12.0, 0.0), (4.0, 8.0), (0.0, 0.0)]), None).summary();
    let near = |value: &serde_json::Value, expected: f64| {
        assert!((value.as_f64().unwrap() - expected).abs() < 1e-6, "{value} is not {expected}: {summary:#}");
    };
    let without = &summary["without_battery"];
    near(&without["import_kwh"], 3.0);
    near(&without["export_kwh"], 1.0);
    near(&without["demand_cost"], 120.0);
    near(&without["bill"], 0.9 + 120.0 - 0.1);
    let with = &summary["with_battery"];
    // 8 kW, then 0.1 kW of standby less of export, then 0.1 kW.
    near(&with["import_kwh"], 2.025);
    near(&with["export_kwh"], 0.975);
    near(&with["bill"], 0.6075 + 80.0 - 0.0975);
    near(&summary["peaks"][0]["with_battery_kw"], 8.0);
    near(&summary["peaks"][0]["without_battery_kw"], 12.0);
    assert_eq!(summary["peaks"][0]["period"], "2026-03");
    near(&summary["saved"], 120.8 - 80.51);
    assert_eq!(summary["broken"], serde_json::json!([]));
    near(&summary["rule_seconds"]["peak-shaving"], 900.0);
    near(&summary["rule_seconds"]["none"], 1800.0);
}

#[test]
fn prices_of_the_input_come_before_the_tariffs() {
    let rules = with("[tariff]\nimport = \"0.3 EUR/kWh\"\n[[rule]]\nkind = \"self-consumption\"\n");
    let input = "timestamp,load_kw,pv_kw,import_price\n2026-03-02T06:00:00Z,4,0,1\n2026-03-02T06:15:00Z,4,0,2\n";
    let summary = Run::new(&rules, input, None).summary();
    assert!((summary["without_battery"]["bill"].as_f64().unwrap() - 3.0).abs() < 1e-9);
}

#[test]
fn a_message_is_unknown_before_it_was_announced() {
    let rules = with("[[rule]]\nkind = \"peak-shaving\"\nlimit = \"auto\"\nwindow = \"15 min\"\nhold = \"0 %\"\n");
    let input = quarters(&[(12.0, 0.0); 6]);
    let event = "kind,announced,start,end,limit_kw\n\
                 peak-limit,2026-03-02T06:30:00Z,2026-03-02T06:00:00Z,2026-03-02T07:15:00Z,9\n";
    let grid = |run: Run| run.rows().iter().map(|row| number(row, "grid_kw")).collect::<Vec<_>>();
    // Nothing is billed at first, and then 12.1 kW are: the order comes too late to be below that.
    assert_eq!(grid(Run::new(&rules, &input, Some(event))), grid(Run::new(&rules, &input, None)));
    let early = event.replace("06:30:00Z", "06:00:00Z");
    let held = grid(Run::new(&rules, &input, Some(&early)));
    assert_eq!(held[..4], [9.0, 9.0, 9.0, 9.0]);
}

#[test]
fn an_order_in_the_input_is_kept_by_a_grid_limit_rule() {
    let rules = with("[[rule]]\nkind = \"grid-limit\"\n");
    let input = "timestamp,load_kw,pv_kw,import_limit_kw\n\
                 2026-03-02T06:00:00Z,9,0,nan\n2026-03-02T06:15:00Z,9,0,4\n2026-03-02T06:30:00Z,9,0,\n2026-03-02T06:45:00Z,30,0,4\n";
    let run = Run::new(&rules, input, None);
    let grid: Vec<f64> = run.rows().iter().map(|row| number(row, "grid_kw")).collect();
    assert_eq!(grid, [9.1, 4.0, 9.1, 20.1]);
    let broken = &run.summary()["broken"][0];
    assert_eq!((&broken["limit"], &broken["why"]), (&"import".into(), &"more than the batteries have".into()));
}

#[test]
fn in_a_blackout_the_battery_carries_the_building_as_far_as_it_can() {
    let rules = with("[[rule]]\nkind = \"self-consumption\"\n");
    let input = "timestamp,load_kw,pv_kw,grid_available\n\
                 2026-03-02T06:00:00Z,5,0,0\n2026-03-02T06:15:00Z,16,0,0\n2026-03-02T06:30:00Z,0,30,0\n2026-03-02T06:45:00Z,1,0,1\n";
    let run = Run::new(&rules, input, None);
    let rows = run.rows();
    let column = |name| rows.iter().map(|row| number(row, name)).collect::<Vec<_>>();
    assert_eq!(column("grid_kw")[..3], [0.0, 0.0, 0.0]);
    assert_eq!(column("battery_kw")[..3], [5.1, 10.0, -10.0]);
    assert_eq!(column("pv_kw")[2], 10.1, "what the battery cannot take is not made");
    assert!(rows[0]["reason"].starts_with("Blackout"));
    assert!((run.summary()["unserved_kwh"].as_f64().unwrap() - 6.1 / 4.0).abs() < 1e-6);
}

#[test]
fn several_batteries_have_a_column_each() {
    let second = SITE[SITE.find("[[device]]").unwrap()..].replace("\"battery\"\nrole", "\"cellar\"\nrole");
    let rules = format!("{SITE}{second}[[rule]]\nkind = \"self-consumption\"\ntarget = \"0 W\"\n");
    let rows = Run::new(&rules, &quarters(&[(15.0, 0.0), (2.0, 0.0)]), None).rows();
    assert_eq!(number(&rows[0], "battery_kw"), 15.2);
    assert_eq!((number(&rows[0], "battery_kw_battery"), number(&rows[0], "battery_kw_cellar")), (7.6, 7.6));
    let small = (number(&rows[1], "battery_kw_battery"), number(&rows[1], "battery_kw_cellar"));
    assert!(small == (2.2, 0.0) || small == (0.0, 2.2), "a small power needs one only: {small:?}");
}

#[test]
fn in_steps_of_a_second_the_meter_is_late_and_the_battery_has_dead_time_and_ramp() {
    let rules = with("[[rule]]\nkind = \"grid-limit\"\nimport = \"5 kW\"\n");
    let rows = Run::new(&rules, &seconds(|second| if second < 10 { 4.9 } else { 14.9 }, 20), None).rows();
    let battery: Vec<f64> = rows.iter().map(|row| number(row, "battery_kw")).collect();
    // The load jumps in second 10, is read at 11, told then, and acts from 12 on, 5 kW a second.
    assert_eq!(battery[..15], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 10.0, 10.0]);
    assert_eq!(number(&rows[11], "setpoint_kw"), 10.0);
}

#[test]
fn a_demand_window_is_held_second_by_second() {
    let load = |second: u64| if (second / 20).is_multiple_of(2) { 4.0 } else { 14.0 };
    let rules = peak("8 kW").replace("hold = \"50 %\"", "hold = \"0 %\"");
    let summary = Run::new(&rules, &seconds(load, 1800), None).summary();
    let peak = summary["peaks"][0]["with_battery_kw"].as_f64().unwrap();
    assert!((7.8..8.16).contains(&peak), "{peak}");
}

fn fault(input: &str) -> String {
    Input::parse(input, "in.csv").unwrap_err().to_string()
}

#[test]
fn every_fault_of_the_input_names_its_line_and_what_to_write() {
    let head = "timestamp,load_kw,pv_kw\n2026-03-02T06:00:00Z,1,0\n";
    for (input, expected) in [
        ("timestamp,laod_kw,pv_kw\n".to_owned(), "in.csv:1: unknown column `laod_kw`; did you mean `load_kw`?"),
        ("timestamp,load_kw\n".to_owned(), "in.csv:1: no column `pv_kw`; needed are timestamp, load_kw, pv_kw"),
        ("timestamp,load_kw,pv_kw,pv_kw\n".to_owned(), "in.csv:1: column `pv_kw` stands there twice"),
        (String::new(), "in.csv:1: empty; a header comes first: timestamp,load_kw,pv_kw"),
        (head.to_owned(), "in.csv:1: at least two rows are needed: the step is their distance"),
        (format!("{head}2026-03-02T06:15:00Z,x,0\n"), "in.csv:3: load_kw is `x`, not a number"),
        (format!("{head}2026-03-02T06:15:00Z,,0\n"), "in.csv:3: load_kw is empty; write a number"),
        (format!("{head}2026-03-02T06:15:00Z,nan,0\n"), "in.csv:3: load_kw is empty; write a number"),
        (format!("{head}2026-03-02T06:15:00Z,inf,0\n"), "in.csv:3: load_kw is `inf`, not a number"),
        (format!("{head}2026-03-02T06:15:00Z,1\n"), "in.csv:3: 2 fields, the header has 3"),
        (
            format!("{head}2026-03-02 06:15,1,0\n"),
            "in.csv:3: timestamp is `2026-03-02 06:15`, not a time with an offset, as in 2026-03-02T06:00:00Z or …+01:00",
        ),
        (
            format!("{head}2026-03-02T06:15:00Z,1,0\n2026-03-02T06:45:00Z,1,0\n"),
            "in.csv:4: 1800s after the row before, where the step is 900s",
        ),
        (
            format!("{head}2026-03-02T05:15:00Z,1,0\n"),
            "in.csv:3: 2026-03-02T05:15:00Z does not come after 2026-03-02T06:00:00Z",
        ),
        (format!("{head}2026-03-02T08:00:00Z,1,0\n"), "in.csv:3: steps of 7200s; they may be 1 s to 1 h long"),
        (
            "timestamp,load_kw,pv_kw,grid_available\n2026-03-02T06:00:00Z,1,0,2\n".to_owned(),
            "in.csv:2: grid_available is 2; write 0 or 1",
        ),
        (
            "timestamp,load_kw,pv_kw,import_limit_kw\n2026-03-02T06:00:00Z,1,0,-2\n".to_owned(),
            "in.csv:2: import_limit_kw is -2; a limit is positive",
        ),
    ] {
        assert_eq!(fault(&input), expected);
    }
}

#[test]
fn offsets_line_ends_and_blank_lines_are_taken_as_they_come() {
    let text =
        "\u{feff}timestamp, load_kw ,pv_kw\r\n2026-03-02T07:00:00+01:00,1.5,0\r\n\r\n2026-03-02T06:15:00Z,2,0\r\n";
    let input = Input::parse(text, "in.csv").unwrap();
    assert_eq!((input.step, input.rows.len()), (Duration::from_secs(900), 2));
    assert_eq!(input.rows[0].load, Watts::kw(1.5));
}

#[test]
fn every_fault_of_the_events_names_its_line() {
    let fault = |row: &str| {
        Event::parse(&format!("kind,announced,start,end,limit_kw\n{row}\n"), "events.csv").unwrap_err().to_string()
    };
    let times = "2026-03-02T06:00:00Z,2026-03-02T06:00:00Z,2026-03-02T07:00:00Z";
    assert_eq!(
        fault(&format!("peak-limt,{times},4")),
        "events.csv:2: unknown kind `peak-limt`; did you mean `peak-limit`?"
    );
    assert_eq!(fault(&format!("peak-limit,{times},")), "events.csv:2: limit_kw is ``; write a positive number");
    let twice = "2026-03-02T06:00:00Z,2026-03-02T06:00:00Z,2026-03-02T06:00:00Z";
    assert_eq!(fault(&format!("outage-warning,{twice},")), "events.csv:2: end does not come after start");
    let good = format!("kind,announced,start,end,limit_kw\nimport-limit,{times},4.5\noutage-warning,{times},\n");
    let events = Event::parse(&good, "events.csv").unwrap();
    assert_eq!(events[0].kind, EventKind::ImportLimit(Watts::kw(4.5)));
    assert_eq!(events[1].kind, EventKind::OutageWarning);
}

#[test]
fn bad_data_and_a_bad_config_have_their_exit_codes() {
    let good = quarters(&[(1.0, 0.0), (1.0, 0.0)]);
    assert_eq!(Run::new(&peak("8 kW"), "timestamp\n", None).run(), ExitCode::from(65));
    assert_eq!(Run::new(&peak("8 kW"), &good, Some("kind\n")).run(), ExitCode::from(65));
    assert_eq!(Run::new(&peak("8"), &good, None).run(), ExitCode::from(78));
    let mut lost = Run::new(&peak("8 kW"), &good, None);
    std::fs::remove_file(lost.path("in.csv")).unwrap();
    assert_eq!(lost.run(), ExitCode::from(65));
    lost = Run::new(&peak("8 kW"), &good, None);
    std::fs::create_dir(lost.path("out.csv")).unwrap();
    assert_eq!(lost.run(), ExitCode::from(73));
}
