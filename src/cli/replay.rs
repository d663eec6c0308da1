//! `wattkeeper replay`: the control core on recorded data.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};

use super::{exit, printed};
use crate::config;
use crate::sim::BatteryPlant;
use crate::sim::replay::{Book, Event, Input, Replay, Row, Side, Step, Summary};
use crate::units::Watts;

/// Runs a config on recorded data: what would have been decided, and what it would have saved.
///
/// Nothing is contacted: the batteries are modelled as [device.plant] describes them. Exit code 0: done; 65: the data
/// are not usable; 78: the config is not valid.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplayArgs {
    /// The config file.
    #[arg(long, short, value_name = "PATH")]
    pub config: PathBuf,
    /// Recorded data: CSV with timestamp,load_kw,pv_kw (and import_price, export_price, import_limit_kw, export_limit_kw,
    /// grid_available).
    #[arg(long, value_name = "PATH")]
    pub input: PathBuf,
    /// Messages that came ahead of time: CSV with kind,announced,start,end,limit_kw.
    #[arg(long, value_name = "PATH")]
    pub events: Option<PathBuf>,
    /// Each step's powers, setpoints and reason, as CSV.
    #[arg(long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// What it came to, as JSON.
    #[arg(long, value_name = "PATH")]
    pub summary: Option<PathBuf>,
    /// The summary as JSON on standard output instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// A sentence for standard error, and the exit code.
type Failure = (u8, String);

/// Runs the command.
pub fn run(args: &ReplayArgs) -> ExitCode {
    match replayed(args) {
        Ok(summary) => printed(&if args.json { json(&summary) } else { table(&summary) }),
        Err((code, what)) => {
            eprintln!("{}", what.trim_end());
            ExitCode::from(code)
        }
    }
}

fn replayed(args: &ReplayArgs) -> Result<Summary, Failure> {
    let (config, warnings) = config::load(&args.config).map_err(|errors| (exit::CONFIG, errors.to_string()))?;
    for warning in &warnings.warnings {
        eprintln!("{warning}\n");
    }
    let bad = |fault: crate::sim::replay::Fault| (exit::DATA, fault.to_string());
    let input = Input::parse(&read(&args.input)?, &args.input.display().to_string()).map_err(bad)?;
    let events = match &args.events {
        Some(path) => Event::parse(&read(path)?, &path.display().to_string()).map_err(bad)?,
        None => Vec::new(),
    };
    let mut replay = Replay::new(&config, events, input.step).map_err(|what| (exit::CONFIG, what))?;
    let usable = replay.plants().map(BatteryPlant::usable).sum();
    let mut book = Book::new(&config, input.step, usable);
    let mut output = args.output.as_deref().map(|path| Output::create(path, &replay)).transpose()?;

    let bar = progress(input.rows.len());
    for (index, row) in input.rows.iter().enumerate() {
        let step = replay.step(row);
        book.add(row, &step);
        if let Some(output) = &mut output {
            output.write(row, &step, &replay)?;
        }
        if index % 64 == 0 {
            bar.set_position(index as u64);
        }
    }
    bar.finish_and_clear();
    if let Some(output) = output {
        output.finish()?;
    }
    let summary = book.close(input.rows.last());
    if let Some(path) = &args.summary {
        std::fs::write(path, json(&summary)).map_err(|error| cannot_write(path, &error))?;
    }
    Ok(summary)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| (exit::DATA, format!("{}: {error}", path.display())))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    (exit::CANNOT_CREATE, format!("{}: {error}", path.display()))
}

/// Drawn on a terminal only.
fn progress(steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {eta} left");
    let bar = ProgressBar::new(steps as u64);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The rows as they come.
struct Output {
    path: PathBuf,
    file: BufWriter<std::fs::File>,
    several: bool,
}

impl Output {
    fn create(path: &Path, replay: &Replay) -> Result<Self, Failure> {
        let file = std::fs::File::create(path).map_err(|error| cannot_write(path, &error))?;
        let several = replay.names().count() > 1;
        let mut output = Self { path: path.to_owned(), file: BufWriter::new(file), several };
        let mut header = "timestamp,grid_kw,load_kw,pv_kw,battery_kw".to_owned();
        if several {
            replay.names().for_each(|name| header.push_str(&format!(",battery_kw_{name}")));
        }
        header.push_str(",setpoint_kw,soc_percent,pv_limit_kw,rule,reason");
        output.line(&header)?;
        Ok(output)
    }

    fn write(&mut self, row: &Row, step: &Step, replay: &Replay) -> Result<(), Failure> {
        let battery: Watts = step.batteries.iter().map(|(_, power)| *power).sum();
        // A battery that was told nothing does what it does.
        let setpoint: Watts = step.batteries.iter().map(|(told, power)| told.unwrap_or(*power)).sum();
        let mut line = row.stamp.to_string();
        for power in [step.grid, row.load, step.pv, battery] {
            line.push(',');
            line.push_str(&kw(power));
        }
        if self.several {
            step.batteries.iter().for_each(|(_, power)| line.push_str(&format!(",{}", kw(*power))));
        }
        let (stored, size) = replay.plants().fold((0.0, 0.0), |(stored, size), plant| {
            let capacity = plant.capacity.watt_hours();
            (stored + plant.soc().ratio() * capacity, size + capacity)
        });
        let soc = if size > 0.0 { format!("{:.2}", 100.0 * stored / size) } else { String::new() };
        let cap = step.cap.map(kw).unwrap_or_default();
        let rule = step.rule.as_deref().unwrap_or("");
        line.push_str(&format!(",{},{soc},{cap},{rule},{}", kw(setpoint), quoted(&step.reason)));
        self.line(&line)
    }

    fn line(&mut self, text: &str) -> Result<(), Failure> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|error| cannot_write(&self.path, &error))
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.file.flush().map_err(|error| cannot_write(&self.path, &error))
    }
}

/// kW with watts as the last digit; never `-0.000`.
fn kw(power: Watts) -> String {
    format!("{:.3}", power.watts().round() / 1000.0 + 0.0)
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn json(summary: &Summary) -> String {
    // The summary has no map with other keys than strings and no number that JSON lacks.
    serde_json::to_string_pretty(summary).unwrap_or_default() + "\n"
}

fn table(summary: &Summary) -> String {
    let currency = summary.currency.as_deref().unwrap_or("");
    let (with, without) = (&summary.with_battery, &summary.without_battery);
    let mut text = format!("{:<28}{:>14}{:>14}\n", "", "with battery", "without");
    let mut line = |name: &str, unit: &str, of: fn(&Side) -> f64| {
        text.push_str(&format!("{:<28}{:>14.1}{:>14.1}  {unit}\n", name, of(with), of(without)));
    };
    line("imported", "kWh", |side| side.import_kwh);
    line("exported", "kWh", |side| side.export_kwh);
    line("energy", currency, |side| side.energy_cost);
    line("feed-in", currency, |side| -side.feed_in);
    line("demand", currency, |side| side.demand_cost);
    line("bill", currency, |side| side.bill);
    for peak in &summary.peaks {
        let name = format!("peak {}", peak.period);
        text.push_str(&format!("{name:<28}{:>14.1}{:>14.1}  kW\n", peak.with_battery_kw, peak.without_battery_kw));
    }
    text.push_str(&format!("{:<28}{:>14.1}{:>14}  {currency}\n", "saved", summary.saved, ""));
    let mut share = |name: &str, value: Option<f64>| {
        if let Some(value) = value {
            text.push_str(&format!("{name:<28}{:>14.1}{:>14}  %\n", value * 100.0, ""));
        }
    };
    share("self-consumption", summary.self_consumption);
    share("self-sufficiency", summary.self_sufficiency);
    text.push_str(&format!("{:<28}{:>14.1}\n", "cycles", summary.cycles));
    if summary.pv_curtailed_kwh > 0.0 {
        text.push_str(&format!("{:<28}{:>14.1}{:>14}  kWh\n", "PV curtailed", summary.pv_curtailed_kwh, ""));
    }
    if summary.unserved_kwh > 0.0 {
        text.push_str(&format!("{:<28}{:>14.1}{:>14}  kWh\n", "not served", summary.unserved_kwh, ""));
    }
    for (rule, seconds) in &summary.rule_seconds {
        let name = if rule == "none" { "no rule".to_owned() } else { format!("rule {rule}") };
        text.push_str(&format!("{name:<28}{:>14.1}{:>14}  h\n", seconds / 3600.0, ""));
    }
    for broken in &summary.broken {
        text.push_str(&format!(
            "{} limit broken for {:.0} s, by at most {:.2} kW and {:.2} kWh: {}\n",
            broken.limit, broken.seconds, broken.most_kw, broken.energy_kwh, broken.why
        ));
    }
    text
}
