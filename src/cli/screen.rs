//! The demo's screen as text: functions of what the daemon knows, what it decided and what is really so.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::bus::SetpointState;
use crate::clock::Moment;
use crate::config::Tariff;
use crate::control::{Decision, DemandRecord, Outcome, Standing};
use crate::reading::{Quality, Reading};
use crate::sim::Truth;
use crate::state::{BatteryState, SitePower, Snapshot};
use crate::units::{Soc, Watts};

/// Width of bars.
const BAR: usize = 40;
/// Width of a reason: with the rule's name before it, it fits into 80 columns.
const REASON: usize = 58;

/// What stands around the numbers.
#[derive(Clone, Debug)]
pub struct Scene {
    /// For times of day.
    pub time_zone: jiff::tz::TimeZone,
    /// How far the day is, 0..1.
    pub progress: f64,
    /// Demand window of the peak rule.
    pub window: Duration,
}

/// One screen: power flow, demand window, rules and reasons, progress.
pub fn frame(snapshot: &Snapshot, decision: &Decision, truth: &Truth, scene: &Scene) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_frame(&mut text, snapshot, decision, truth, scene);
    text
}

/// One screen over the one before: to be written instead of [`frame`] on a terminal. `before` is the last frame.
pub fn redraw(before: &str, frame: &str) -> String {
    let up = before.lines().count();
    let home = if up > 0 { format!("\x1b[{up}A\r") } else { String::new() };
    let lines: String = frame.lines().map(|line| format!("{line}\x1b[K\n")).collect();
    format!("{home}{lines}\x1b[J")
}

/// One plain line, where there is no terminal.
pub fn line(snapshot: &Snapshot, decision: &Decision, truth: &Truth, scene: &Scene) -> String {
    let flow = SitePower::of(snapshot, snapshot.at);
    let time = scene.time_zone.to_datetime(truth.at).strftime("%H:%M").to_string();
    let socs: Vec<String> = snapshot.batteries.iter().map(|battery| soc(battery, snapshot.at)).collect();
    let mut text = format!(
        "{time}  load {:>8}  pv {:>7}  batteries {:>8} ({})  grid {:>8}",
        Kw(flow.consumption),
        Kw(flow.pv),
        Kw(flow.battery),
        socs.join(", "),
        Kw(flow.grid),
    );
    if let Some(demand) = &decision.demand {
        let _ = write!(text, "  window {:>7} of {}", Kw(Some(demand.projection)), Kw(Some(demand.limit)));
    }
    let _ = write!(text, "  | {}", why(decision));
    text
}

/// What came of the day, by the simulator's own meters.
pub fn summary(truth: &Truth, tariff: &Tariff) -> String {
    let mut text = String::new();
    let _ = write_summary(&mut text, truth, tariff);
    text
}

fn good(reading: Option<Reading<Watts>>, now: Moment, limit: Duration) -> Option<Watts> {
    let reading = reading?;
    if reading.quality(now, limit) == Quality::Stale { None } else { reading.show() }
}

/// A power in kW, so that columns read well, or a dash.
struct Kw(Option<Watts>);

impl fmt::Display for Kw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // Adding zero turns -0 into 0.
            Some(power) => f.pad(&format!("{:.1} kW", (power.watts() / 100.0).round() / 10.0 + 0.0)),
            None => f.pad("-"),
        }
    }
}

/// What the sign of a power means, where it is more than noise.
fn way(power: Option<Watts>, positive: &'static str, negative: &'static str) -> &'static str {
    match power.map_or(0.0, Watts::watts) {
        100.0.. => positive,
        ..-100.0 => negative,
        _ => "",
    }
}

fn write_frame(
    out: &mut String,
    snapshot: &Snapshot,
    decision: &Decision,
    truth: &Truth,
    scene: &Scene,
) -> fmt::Result {
    let flow = SitePower::of(snapshot, snapshot.at);
    let time = scene.time_zone.to_datetime(truth.at).strftime("%a %H:%M");
    writeln!(out, "wattkeeper demo  {time}  [{}] {:3.0} %", bar(scene.progress, None), 100.0 * scene.progress)?;
    writeln!(out)?;
    writeln!(out, "  {:<16}{:>9}", "load", Kw(flow.consumption))?;
    for pv in &snapshot.pv {
        writeln!(out, "  {:<16}{:>9}", pv.name, Kw(good(pv.power, snapshot.at, pv.max_age)))?;
    }
    for battery in &snapshot.batteries {
        let power = good(battery.power, snapshot.at, battery.max_age);
        let (soc, told, way) = (soc(battery, snapshot.at), told(battery), way(power, "gives", "takes"));
        writeln!(out, "  {:<16}{:>9}  {way:<7} {soc:>5}  {told}", battery.name, Kw(power))?;
    }
    writeln!(out, "  {:<16}{:>9}  {}", "grid", Kw(flow.grid), way(flow.grid, "import", "export"))?;
    writeln!(out)?;
    match &decision.demand {
        Some(demand) => write_window(out, demand, scene.window)?,
        None => writeln!(out, "  no demand window yet\n")?,
    }
    writeln!(out)?;
    write_windows(out, truth)?;
    writeln!(out)?;
    for bound in &decision.bounds {
        write_rule(out, if bound.binding { '>' } else { ' ' }, &bound.rule, &bound.reason)?;
    }
    let rule = if let Outcome::Target { rule: Some(rule), .. } = &decision.outcome { rule } else { "" };
    write_rule(out, '=', rule, &why(decision))
}

/// A rule and what it says, in lines that fit a terminal: one that the terminal broke would not be drawn over.
fn write_rule(out: &mut String, mark: char, rule: &str, reason: &str) -> fmt::Result {
    let mut lines = vec![String::new()];
    for word in reason.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= REASON => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    let mut head = (mark, rule);
    for line in lines {
        writeln!(out, "{} {:<18}{line}", head.0, head.1)?;
        head = (' ', "");
    }
    Ok(())
}

fn write_window(out: &mut String, demand: &DemandRecord, window: Duration) -> fmt::Result {
    let full = demand.limit.over(window).watt_hours().max(1.0);
    // The bar is the window's energy at the limit; the mark is where a steady import at the limit would stand now.
    let passed = 1.0 - demand.left.as_secs_f64() / window.as_secs_f64().max(1.0);
    let share = demand.imported.watt_hours() / full;
    writeln!(out, "  demand window [{}] {:3.0} % of its energy", bar(share, Some(passed)), 100.0 * share)?;
    let minutes = demand.left.as_secs_f64() / 60.0;
    let DemandRecord { limit, projection, allowed, .. } = *demand;
    // What the last minutes of a quiet window would allow says nothing any more.
    let allowed = if allowed < limit * 3.0 { Kw(Some(allowed)).to_string() } else { "plenty".to_owned() };
    let (limit, projection) = (Kw(Some(limit)), Kw(Some(projection)));
    writeln!(out, "  limit {limit}, heads for {projection}, allowed {allowed} for the {minutes:.0} min left")
}

/// The demand windows of the day so far and the highest: as they would have been, and as they are.
fn write_windows(out: &mut String, truth: &Truth) -> fmt::Result {
    let (with, without) = (&truth.with, &truth.without);
    let most = with.peak().max(without.peak()).max(Watts::new(1.0));
    for (name, ledger) in [("left to itself", without), ("with wattkeeper", with)] {
        let windows: String = ledger.windows.iter().map(|(_, mean)| column(mean.watts() / most.watts())).collect();
        writeln!(out, "  {name:<16}{windows:<48}{:>9}", Kw(Some(ledger.peak())))?;
    }
    Ok(())
}

/// A column of a chart, 0..1.
fn column(share: f64) -> char {
    const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let eighth = (share.clamp(0.0, 1.0) * 8.0).ceil() as usize;
    EIGHTHS.get(eighth.saturating_sub(1)).copied().unwrap_or(' ')
}

/// `####....` with a mark.
fn bar(share: f64, mark: Option<f64>) -> String {
    let place = |share: f64| (share.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    let (full, mark) = (place(share), mark.map(|mark| place(mark).min(BAR - 1)));
    (0..BAR)
        .map(|at| match at {
            _ if Some(at) == mark => '|',
            _ if at < full => '#',
            _ => '.',
        })
        .collect()
}

fn soc(battery: &BatteryState, now: Moment) -> String {
    let soc = battery.soc.filter(|soc| soc.quality(now, battery.soc_max_age) != Quality::Stale);
    soc.and_then(|soc: Reading<Soc>| soc.show()).map_or_else(|| "-".to_owned(), |soc| soc.to_string())
}

fn told(battery: &BatteryState) -> String {
    let Some(report) = &battery.setpoint else { return "left to itself".to_owned() };
    let value = report.value.map_or_else(|| "its own way".to_owned(), |value| Kw(Some(Watts::new(value))).to_string());
    match &report.state {
        SetpointState::Written => format!("told {value}"),
        SetpointState::Confirmed => format!("told {value}, confirmed"),
        SetpointState::Refused(why) => format!("refused: {why}"),
        SetpointState::Failed(why) => format!("failed: {why}"),
        SetpointState::SafeWritten => format!("to its safe state: {value}"),
        SetpointState::SafeConfirmed => format!("in its safe state: {value}"),
    }
}

fn why(decision: &Decision) -> String {
    let reason = match &decision.outcome {
        Outcome::Target { reason, .. } | Outcome::None { reason } => reason,
    };
    match &decision.standing {
        Standing::Controlling => reason.clone(),
        Standing::DryRun => format!("dry run, nothing is written: {reason}"),
        Standing::NotControlling(because) => format!("not controlling, because {because}"),
    }
}

fn write_summary(out: &mut String, truth: &Truth, tariff: &Tariff) -> fmt::Result {
    let Truth { with, without, .. } = truth;
    let minutes = with.window.as_secs() / 60;
    let currency = tariff.currency.as_deref().unwrap_or("");
    let energy = |amount: f64, price: Option<f64>| price.unwrap_or(0.0) * amount / 1000.0;
    let demand = energy(truth.peak_saved().watts(), tariff.demand_charge);
    let unbilled = |ledger: &crate::sim::Ledger| {
        energy(ledger.imported.watt_hours(), tariff.import) - energy(ledger.exported.watt_hours(), tariff.export)
    };
    // What is left in the batteries is worth what it saves later.
    let left = energy((truth.stored - truth.stored_without).watt_hours(), tariff.import);
    let day = unbilled(without) - unbilled(with) + left;

    writeln!(out, "{:<40}{:>15}{:>17}", "By the simulator's own meters", "left to itself", "with wattkeeper")?;
    let mut row = |name: &str, a: &dyn fmt::Display, b: &dyn fmt::Display| {
        writeln!(out, "  {name:<38}{:>15}{:>17}", a.to_string(), b.to_string())
    };
    row(&format!("highest {minutes}-min window"), &without.peak(), &with.peak())?;
    row("imported", &without.imported, &with.imported)?;
    row("exported", &without.exported, &with.exported)?;
    row("left in the batteries", &truth.stored_without, &truth.stored)?;
    if demand.abs() < 0.005 && day.abs() < 0.005 {
        return writeln!(out, "Nothing was saved.");
    }
    if demand > 0.0 {
        write!(out, "Saved: {demand:.2} {currency} of demand charge each billing period; ")?;
    } else {
        // A higher window below the limit may come of charging at night; by the evening it is not the highest any more.
        write!(out, "No demand charge is saved yet; ")?;
    }
    if day < 0.0 {
        // Losses, and room in the batteries that was kept for peaks.
        writeln!(out, "it took {:.2} {currency} of energy.", -day)
    } else {
        writeln!(out, "saved {day:.2} {currency} of energy.")
    }
}

#[cfg(test)]
mod tests;
