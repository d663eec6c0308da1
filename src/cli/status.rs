//! `wattkeeper status`: how the running daemon stands, on one screen.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{ConfigArg, exit};
use crate::app::{SocketAnswer, SocketAsk, ask_socket, socket_path};
use crate::config;
use crate::units::{Soc, WattHours, Watts};

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// The daemon's socket, where it is not the config's
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// The whole state as JSON
    #[arg(long)]
    json: bool,
}

/// Asks the daemon and prints.
pub(super) fn run(args: &StatusArgs) -> ExitCode {
    let socket = args.socket.clone().unwrap_or_else(|| socket_path(&config::state_dir(&args.config.config)));
    let state = match ask_socket(&socket, &SocketAsk::State {}) {
        Ok(SocketAnswer::State(state)) => state,
        Ok(other) => {
            eprintln!("wattkeeper: unexpected answer: {other:?}");
            return exit::SOFTWARE.into();
        }
        Err(error) => {
            eprintln!("wattkeeper: no running daemon at {}: {error}", socket.display());
            return exit::UNAVAILABLE.into();
        }
    };
    if args.json {
        println!("{state:#}")
    } else {
        print!("{}", screen(&state))
    }
    ExitCode::SUCCESS
}

/// The state in about twenty lines.
fn screen(state: &Value) -> String {
    let mut out = String::new();
    let text = |pointer: &str| state.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
    let number = |pointer: &str| state.pointer(pointer).and_then(Value::as_f64);
    let watts = |pointer: &str| number(pointer).map_or("-".to_owned(), |w| Watts::new(w).to_string());
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!("{} · wattkeeper {} · {}", text("/site/name"), text("/version"), text("/site/now")));
    let standing = match text("/control/state").as_str() {
        "controlling" => "controlling".to_owned(),
        "dry-run" => "dry-run: decides and writes nothing, because [control] enabled = false".to_owned(),
        "not-controlling" => format!("not controlling, because {}", text("/control/reason")),
        _ => "no decision yet".to_owned(),
    };
    line(standing);
    line(format!(
        "grid {}   pv {}   battery {}   consumption {}",
        watts("/site/power/grid_watts"),
        watts("/site/power/pv_watts"),
        watts("/site/power/battery_watts"),
        watts("/site/power/consumption_watts"),
    ));
    if let (Some(imported), Some(left)) = (number("/demand/imported"), number("/demand/left")) {
        line(format!(
            "demand window: {} so far, {left:.0} s left, heads for {}, limit {}, {} allowed; billed peak {}",
            WattHours::new(imported),
            watts("/demand/projection"),
            watts("/demand/limit"),
            watts("/demand/allowed"),
            watts("/demand/billed_peak"),
        ));
    }
    line(format!("decided: {}", text("/control/outcome/reason")));
    for bound in list(state, "/control/bounds") {
        let side = |name: &str| bound.get(name).and_then(Value::as_f64).map(|w| format!("{name} {}", Watts::new(w)));
        let sides: Vec<_> = [side("least"), side("most")].into_iter().flatten().collect();
        let binding = if bound.get("binding").and_then(Value::as_bool) == Some(true) { " ◀ binds" } else { "" };
        line(format!("  {:<16} {:<28}{binding}", field(bound, "rule"), sides.join(", ")));
    }
    line(String::new());
    for device in list(state, "/devices") {
        let point = |name: &str| {
            let mut points = device.get("points").and_then(Value::as_array).into_iter().flatten();
            points
                .find(|p| p.get("name").and_then(Value::as_str) == Some(name) && field(p, "quality") == "good")?
                .get("value")?
                .as_f64()
        };
        let link = device.pointer("/link/state").and_then(Value::as_str).unwrap_or("-");
        let reason =
            device.pointer("/link/reason").and_then(Value::as_str).map(|r| format!(": {r}")).unwrap_or_default();
        let mut shown = Vec::new();
        for name in ["meter.power", "grid.power", "inverter.power", "pv.power", "battery.power"] {
            shown.extend(point(name).map(|w| format!("{name} {}", Watts::new(w))));
        }
        shown.extend(point("battery.soc").map(|soc| format!("SoC {}", Soc::new(soc))));
        for setpoint in device.get("setpoints").and_then(Value::as_array).into_iter().flatten() {
            let value = setpoint
                .get("value")
                .and_then(Value::as_f64)
                .map_or("released".to_owned(), |w| Watts::new(w).to_string());
            shown.push(format!("told {} {value} ({})", field(setpoint, "control"), field(setpoint, "state")));
        }
        line(format!("{:<20} {link}{reason}   {}", field(device, "name"), shown.join(", ")));
    }
    match state.pointer("/mqtt/connected").and_then(Value::as_bool) {
        Some(connected) => line(format!(
            "mqtt {}, {} records wait, {} dropped",
            if connected { "connected" } else { "not connected" },
            number("/telemetry/records").unwrap_or(0.0),
            number("/telemetry/dropped").unwrap_or(0.0),
        )),
        None => line("mqtt not configured".to_owned()),
    }
    out
}

fn list<'a>(state: &'a Value, pointer: &str) -> &'a [Value] {
    state.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("-")
}
