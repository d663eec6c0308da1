//! `wattkeeper check`: is the config valid, and what does it mean?

use std::path::PathBuf;
use std::process::ExitCode;

use super::{exit, printed};
use crate::config::{self, Config, Diagnostics};

/// Reads a config, says all that is wrong with it, and prints the site as understood.
///
/// Nothing is contacted. Exit code 0: valid; 78: not.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// The config file.
    #[arg(long, short, value_name = "FILE", default_value = "/etc/wattkeeper/wattkeeper.toml")]
    pub config: PathBuf,
    /// One JSON object on standard output instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &CheckArgs) -> ExitCode {
    let result = config::load(&args.config);
    let (config, diagnostics) = match &result {
        Ok((config, diagnostics)) => (Some(config), diagnostics),
        Err(diagnostics) => (None, diagnostics),
    };
    let answer = if args.json {
        format!("{:#}\n", report(config, diagnostics))
    } else {
        for text in diagnostics.errors.iter().chain(&diagnostics.warnings) {
            eprintln!("{text}\n");
        }
        match config {
            Some(config) => format!("{}{} is valid\n", config.describe(), args.config.display()),
            None => {
                eprintln!("{} is not valid: {}", args.config.display(), count(diagnostics.errors.len()));
                String::new()
            }
        }
    };
    let printed = printed(&answer);
    if config.is_some() { printed } else { exit::CONFIG.into() }
}

fn count(errors: usize) -> String {
    if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") }
}

fn report(config: Option<&Config>, diagnostics: &Diagnostics) -> serde_json::Value {
    let site = config.map(|config| {
        let buses: Vec<_> = config
            .buses()
            .into_iter()
            .map(|(address, devices)| {
                let devices: Vec<_> = devices
                    .iter()
                    .map(|device| {
                        serde_json::json!({
                            "name": device.name,
                            "roles": device.roles,
                            "profile": device.profile.as_ref().map(|profile| &profile.id),
                            "unit_id": device.unit_id,
                            "timeout_seconds": device.timeout().as_secs_f64(),
                        })
                    })
                    .collect();
                serde_json::json!({ "address": address.map(ToString::to_string), "devices": devices })
            })
            .collect();
        let rules: Vec<_> = config
            .rules
            .iter()
            .map(|rule| serde_json::json!({ "kind": rule.rule.kind(), "line": rule.line, "does": rule.rule.to_string() }))
            .collect();
        serde_json::json!({
            "name": config.site.name,
            "time_zone": config.site.time_zone.iana_name(),
            "control_enabled": config.control.enabled,
            "buses": buses,
            "rules": rules,
            "safe_state_bound_seconds": config.stop_bound().as_secs_f64(),
        })
    });
    serde_json::json!({
        "valid": config.is_some(),
        "errors": diagnostics.errors,
        "warnings": diagnostics.warnings,
        "site": site,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> ExitCode {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("site.toml");
        std::fs::write(&config, text).unwrap();
        run(&CheckArgs { config, json: true })
    }

    #[test]
    fn the_exit_code_says_whether_the_config_is_valid() {
        assert_eq!(check("[site]\nname = \"a\"\n"), ExitCode::SUCCESS);
        assert_eq!(check("[site]\nname = 1\n"), ExitCode::from(exit::CONFIG));
        let args = CheckArgs { config: "/nowhere/site.toml".into(), json: false };
        assert_eq!(run(&args), ExitCode::from(exit::CONFIG));
    }
}
