//! Any text is a profile or a list of errors; a profile that is accepted binds and plans without a panic.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use wattkeeper::profile::{Instance, Overrides, parse};

fuzz_target!(|text: &str| match parse(text, "fuzz.toml") {
    Ok(profile) => {
        let instance = Instance::new(Arc::new(profile), &Overrides::default());
        for group in 0..instance.profile().groups.len() {
            assert!(instance.every(group).is_some());
            for span in instance.spans(group) {
                assert!(span.end() <= 65_536, "{span:?} passes the end of the table");
            }
        }
    }
    Err(found) => assert!(!found.is_empty(), "refused without a reason"),
});
