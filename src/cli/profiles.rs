//! `wattkeeper profiles`: which device profiles there are, and what one says.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::profile::library::Library;
use crate::profile::{BatteryControl, Control, ControlKind, Profile};

/// EX_CONFIG of sysexits.h: a profile of the folder is faulty.
const EXIT_CONFIG: u8 = 78;

/// Lists the device profiles, or shows one: its points, registers, controls and sources.
#[derive(Clone, Debug, clap::Args)]
pub struct ProfilesArgs {
    /// The profile to show; without it all are listed
    pub id: Option<String>,
    /// Folder with profiles of your own (*.toml); they win over those compiled in
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// As JSON
    #[arg(long, conflicts_with = "toml")]
    pub json: bool,
    /// The profile's own text, to copy and change
    #[arg(long, requires = "id")]
    pub toml: bool,
}

/// Runs the command: 0, 1 for a profile that is not there, 78 for faults in the folder.
pub fn run(args: &ProfilesArgs) -> ExitCode {
    let library = match args.folder.as_deref().map_or_else(|| Ok(Library::builtin()), Library::with_folder) {
        Ok(library) => library,
        Err(errors) => {
            for error in errors {
                eprintln!("{error}");
            }
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let Some(id) = &args.id else {
        let all: Vec<Arc<Profile>> = library.ids().filter_map(|id| library.get(id)).collect();
        return print(&if args.json {
            json(&all.iter().map(|profile| summary(profile)).collect())
        } else {
            list(&all)
        });
    };
    let Some(profile) = library.get(id) else {
        let near = library.ids().max_by(|a, b| strsim::jaro_winkler(id, a).total_cmp(&strsim::jaro_winkler(id, b)));
        eprintln!("error: there is no profile `{id}`; did you mean `{}`?", near.unwrap_or("generic"));
        return ExitCode::FAILURE;
    };
    print(&match (args.toml, args.json) {
        (true, _) => profile.source().to_owned(),
        (_, true) => json(&whole(&profile)),
        _ => show(&profile),
    })
}

/// A reader who has seen enough (`| head`) is no error.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn json(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

fn summary(profile: &Profile) -> serde_json::Value {
    serde_json::json!({
        "id": profile.id, "name": profile.name, "kind": profile.kind, "status": profile.status, "sources": profile.sources,
        "checked": profile.checked,
    })
}

fn whole(profile: &Profile) -> serde_json::Value {
    let mut all = summary(profile);
    let seconds = |time: std::time::Duration| time.as_secs_f64();
    let control = |control: &Control| {
        serde_json::json!({
            "name": control.name, "kind": control.kind, "status": control.status, "class": control.class,
            "budget": control.budget, "refresh_s": control.refresh.map(seconds), "revert_s": control.revert.map(seconds),
            "writes": profile.written_by(&control.name),
        })
    };
    let groups =
        profile.groups.iter().map(|group| serde_json::json!({ "name": group.name, "every_s": seconds(group.every) }));
    if let Some(all) = all.as_object_mut() {
        all.insert("groups".to_owned(), groups.collect());
        all.insert("points".to_owned(), serde_json::json!(profile.point_lines()));
        all.insert("controls".to_owned(), profile.controls.iter().map(control).collect());
    }
    all
}

fn list(profiles: &[Arc<Profile>]) -> String {
    let mut text = String::new();
    let width = profiles.iter().map(|profile| profile.id.len()).max().unwrap_or(0);
    for profile in profiles {
        let controls: Vec<&str> = profile.controls.iter().map(|control| &*control.name).collect();
        let sets = if controls.is_empty() { String::new() } else { format!(" (sets {})", controls.join(", ")) };
        let _ = writeln!(text, "{:width$}  {}{sets}", profile.id, profile.name);
    }
    text
}

fn show(profile: &Profile) -> String {
    let mut text = String::new();
    let lower = |value: String| value.to_lowercase();
    let _ = writeln!(text, "{}: {}", profile.id, profile.name);
    let _ = writeln!(
        text,
        "{}, register map {}",
        lower(format!("{:?}", profile.kind)),
        lower(format!("{:?}", profile.status))
    );
    let manners = &profile.manners;
    let _ = writeln!(
        text,
        "unit {}, reads of at most {} registers, {:?} between requests, time-out {:?}",
        manners.unit, manners.max_read, manners.gap, manners.timeout
    );
    let lines = profile.point_lines();
    let width = lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
    for group in &profile.groups {
        let _ = writeln!(text, "\n{} (each {:?})", group.name, group.every);
        for line in lines.iter().filter(|line| *line.group == *group.name) {
            let doubt = if line.unconfirmed { "  (unconfirmed)" } else { "" };
            let _ = writeln!(text, "  {:width$}  {:5}  {}{doubt}", line.name, line.unit, line.source);
        }
    }
    for control in &profile.controls {
        let _ = writeln!(text, "\ncontrol {}: {}", control.name, kind(control.kind));
        let _ = writeln!(text, "  {}", conditions(control));
        for write in profile.written_by(&control.name) {
            let _ = writeln!(text, "  writes {write}");
        }
    }
    if !profile.checked.is_empty() {
        let _ = writeln!(text, "\nchecked against\n  {}", profile.checked.join("\n  "));
    }
    let _ = writeln!(text, "\nsources");
    for source in &profile.sources {
        let _ = writeln!(text, "  {source}");
    }
    text
}

const fn kind(kind: ControlKind) -> &'static str {
    match kind {
        ControlKind::BatteryPower(BatteryControl::Exact) => "battery power in W, as told",
        ControlKind::BatteryPower(BatteryControl::Window) => "battery power in W, at least or at most",
        ControlKind::BatteryPower(BatteryControl::GridPoint) => "battery power in W, by the power at the grid point",
        ControlKind::BatteryPower(BatteryControl::AcTotal) => "battery and PV power together in W",
        ControlKind::PowerLimit => "upper limit of the power in W",
        ControlKind::Switch => "a contact: 1 closed, 0 open",
        ControlKind::CurrentLimit => "upper limit of the current in A",
        ControlKind::Mode => "the way it runs, by number",
    }
}

fn conditions(control: &Control) -> String {
    let mut text = match control.budget {
        Some(budget) => format!("stored in flash, at most {budget} register writes a day"),
        None => "kept in RAM".to_owned(),
    };
    if let Some(refresh) = control.refresh {
        let _ = write!(text, ", written again each {refresh:?}");
    }
    if let Some(revert) = control.revert {
        let _ = write!(text, ", the device takes its own way after {revert:?}");
    }
    text
}
