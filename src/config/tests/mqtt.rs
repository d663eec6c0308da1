//! `[mqtt]` and its files.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::super::*;
use super::around;

fn with(folder: &Path, keys: &str) -> Result<(Config, Diagnostics), Diagnostics> {
    let around = Surroundings { folder: folder.to_owned(), ..around() };
    parse(&format!("[site]\nname = \"a\"\n[mqtt]\n{keys}"), "site.toml", &around)
}

fn secret(folder: &Path, name: &str, mode: u32) {
    let path = folder.join(name);
    std::fs::write(&path, "s3cret\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
}

const USER: &str = "broker = \"mqtts://broker.example\"\nusername = \"u\"\npassword_file = \"pw\"\n";

#[test]
fn a_password_is_read_from_its_file_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    secret(folder.path(), "pw", 0o640);
    let (config, _) = with(folder.path(), USER).unwrap();
    let mqtt = config.mqtt.unwrap();
    assert_eq!(mqtt.password.as_ref().unwrap().reveal(), "s3cret");
    assert!(!format!("{mqtt:?}").contains("s3cret"));
}

#[test]
fn the_credentials_directory_goes_first_and_its_modes_are_systemds_matter() {
    let (folder, credentials) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    secret(credentials.path(), "pw", 0o444);
    let around =
        Surroundings { folder: folder.path().to_owned(), credentials: Some(credentials.path().to_owned()), ..around() };
    let text = format!("[site]\nname = \"a\"\n[mqtt]\n{USER}");
    assert!(parse(&text, "site.toml", &around).unwrap().0.mqtt.unwrap().password.is_some());
}

#[test]
fn the_units_store_is_looked_up_last() {
    let (folder, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let around = Surroundings { folder: folder.path().to_owned(), store: Some(store.path().to_owned()), ..around() };
    let text = format!("[site]\nname = \"a\"\n[mqtt]\n{USER}");
    let password = || parse(&text, "site.toml", &around).unwrap().0.mqtt.unwrap().password.unwrap();
    std::fs::write(store.path().join("wattkeeper.pw"), "stored").unwrap();
    std::fs::set_permissions(store.path().join("wattkeeper.pw"), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(password().reveal(), "stored");
    secret(folder.path(), "pw", 0o600);
    assert_eq!(password().reveal(), "s3cret");
}

#[test]
fn a_secret_that_everybody_can_read_is_refused_with_the_command_to_run() {
    let folder = tempfile::tempdir().unwrap();
    secret(folder.path(), "pw", 0o644);
    let refused = with(folder.path(), USER).unwrap_err().to_string();
    assert!(refused.contains("run `chmod o= ") && !refused.contains("s3cret"), "{refused}");
}

#[test]
fn a_missing_file_is_an_error_at_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let refused = with(folder.path(), USER).unwrap_err().to_string();
    assert!(refused.contains("site.toml:6:17") && refused.contains("cannot be read"), "{refused}");
}

#[test]
fn unencrypted_ways_are_free_at_home_warned_by_name_and_refused_abroad() {
    let folder = Path::new("");
    for host in ["127.0.0.1", "localhost", "192.168.1.5:1884", "[fd00::5]"] {
        let (_, said) = with(folder, &format!("broker = \"mqtt://{host}\"")).unwrap();
        assert!(said.warnings.is_empty(), "{host}: {said}");
    }
    let (_, said) = with(folder, "broker = \"mqtt://broker.example\"").unwrap();
    assert_eq!(said.warnings.len(), 1);
    assert!(with(folder, "broker = \"mqtt://8.8.8.8\"").is_err());
    assert!(with(folder, "broker = \"mqtt://8.8.8.8\"\nallow_plaintext = true").is_ok());
}

#[test]
fn a_broker_with_a_password_in_it_is_refused_without_repeating_it() {
    let refused = with(Path::new(""), "broker = \"mqtts://u:hunter2@broker\"").unwrap_err().to_string();
    assert!(!refused.contains("hunter2"), "{refused}");
    let refused = with(Path::new(""), "broker = \"u:hunter2@broker\"").unwrap_err().to_string();
    assert!(!refused.contains("hunter2"), "{refused}");
}
