//! `wattkeeper profiles`, by its exit codes.

use std::process::ExitCode;

use wattkeeper::cli::profiles::{ProfilesArgs, run};

fn args(id: Option<&str>) -> ProfilesArgs {
    ProfilesArgs { id: id.map(str::to_owned), folder: None, json: false, toml: false }
}

/// `ExitCode` compares only by its words.
fn code(args: &ProfilesArgs) -> String {
    format!("{:?}", run(args))
}

#[test]
fn what_is_there_is_shown_and_what_is_not_is_an_error() {
    let success = format!("{:?}", ExitCode::SUCCESS);
    assert_eq!(code(&args(None)), success);
    assert_eq!(code(&args(Some("sunspec"))), success);
    assert_eq!(code(&ProfilesArgs { json: true, ..args(Some("victron-gx")) }), success);
    assert_eq!(code(&ProfilesArgs { toml: true, ..args(Some("generic")) }), success);
    assert_eq!(code(&args(Some("sunspek"))), format!("{:?}", ExitCode::from(69)));
}

#[test]
fn a_faulty_folder_is_a_config_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.toml"), "[profile]\nid = \"other\"\n").unwrap();
    let args = ProfilesArgs { folder: Some(folder.path().to_owned()), ..args(None) };
    assert_eq!(code(&args), format!("{:?}", ExitCode::from(78)));
}
