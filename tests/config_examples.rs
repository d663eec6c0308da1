//! The configs that come with the program are valid, and what the reference shows in comments is too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![expect(clippy::expect_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use wattkeeper::config::{Config, Diagnostics, Surroundings, parse};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn read(text: &str) -> Result<(Config, Diagnostics), Diagnostics> {
    let around = Surroundings::default();
    parse(text, "wattkeeper.toml", &around)
}

fn examples() -> Vec<(String, String)> {
    let files = std::fs::read_dir(folder().join("examples")).expect("config/examples");
    let files = files.map(|file| file.expect("a file").path());
    files.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).expect("text"))).collect()
}

#[test]
fn every_example_is_valid_without_a_warning_and_controls_nothing_by_itself() {
    let examples = examples();
    assert!(examples.len() >= 5);
    for (path, text) in examples {
        let (config, said) = read(&text).unwrap_or_else(|said| panic!("{path}\n{said}"));
        assert!(said.warnings.is_empty(), "{path}\n{said}");
        assert!(!config.control.enabled, "{path}");
        assert!(text.starts_with("# "), "{path} says what it is for");
    }
}

#[test]
fn the_installed_config_starts_with_no_devices() {
    let text = std::fs::read_to_string(folder().join("wattkeeper.toml")).expect("the reference");
    let (config, said) = read(&text).unwrap_or_else(|said| panic!("{said}"));
    assert!(said.warnings.is_empty(), "{said}");
    assert!(config.devices.is_empty() && config.rules.is_empty() && config.mqtt.is_none() && !config.control.enabled);
}

#[test]
fn what_the_reference_shows_in_comments_is_valid_but_for_files_that_are_not_there() {
    let text = std::fs::read_to_string(folder().join("wattkeeper.toml")).expect("the reference");
    let all: String = text.lines().map(|line| format!("{}\n", without_comment(line))).collect();
    let said = match read(&all) {
        Ok((_, said)) => said,
        Err(said) => said,
    };
    let other: Vec<_> = said.errors.iter().filter(|error| !error.contains("cannot be read")).collect();
    let expected = ["`measures`", "there is no other device `sun`", "`profiles` names profiles, which is no folder"];
    for error in other {
        assert!(expected.iter().any(|known| error.contains(known)), "{error}");
    }
}

/// Turns `# key = value   # why` and `# [table]` into TOML; leaves prose alone.
fn without_comment(line: &str) -> &str {
    let bare = line.strip_prefix("# ").unwrap_or(line);
    let key = bare.split(" = ").next().unwrap_or_default();
    let is_key = bare.contains(" = ") && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if bare.starts_with('[') || is_key { bare } else { line }
}
