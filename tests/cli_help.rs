//! What the command line says of itself, and how it takes wrong usage.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "support/shell.rs"]
mod shell;

use shell::wattkeeper;

const COMMANDS: [&str; 8] = ["demo", "run", "simulate", "profiles", "replay", "check", "status", "read"];

#[test]
fn every_command_has_help_on_standard_output() {
    let mut text = wattkeeper(&["--help"]).out;
    for command in COMMANDS {
        let said = wattkeeper(&[command, "--help"]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{command}");
        text += &format!("\n=== {command}\n{}", said.out);
        assert!(said.out.lines().all(|line| line.chars().count() <= 100), "{command} is too wide:\n{}", said.out);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_help_of_all_names_every_command() {
    let all = wattkeeper(&["--help"]);
    for command in COMMANDS {
        let own = all.out.lines().any(|line| line.split_whitespace().next() == Some(command));
        assert!(own, "{command} is missing in\n{}", all.out);
    }
}

#[test]
fn wrong_usage_is_64_and_goes_to_standard_error() {
    for arguments in [
        &["dema"][..],
        &[],
        &["demo", "--hours", "25"],
        &["demo", "--hours", "nan"],
        &["read"],
        &["read", "grid", "--registers", "holding"],
        &["read", "grid", "--registers", "holding:0:126"],
        &["read", "grid", "--registers", "holding:65535:2"],
        &["read", "grid", "--watch=0"],
        &["read", "grid", "meter.power", "--registers", "holding:0:1"],
        &["simulate"],
        &["simulate", "--config", "x", "--every", "0s"],
        &["profiles", "--toml"],
        &["run", "--log", "loud"],
    ] {
        let said = wattkeeper(arguments);
        assert_eq!(said.code, Some(64), "{arguments:?}: {said:?}");
        assert!(said.out.is_empty() && !said.err.is_empty(), "{arguments:?}: {said:?}");
    }
    let near = wattkeeper(&["dema"]).err;
    assert!(near.contains("demo"), "{near}");
}

#[test]
fn the_version_is_the_packages() {
    let said = wattkeeper(&["--version"]);
    assert_eq!((said.code, said.out), (Some(0), format!("wattkeeper {}\n", env!("CARGO_PKG_VERSION"))));
}
