//! Any text is a config or a list of errors, never a panic, and what is accepted is accepted again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wattkeeper::config::{Surroundings, parse};

fuzz_target!(|text: &str| {
    let around = Surroundings::default();
    match parse(text, "fuzz.toml", &around) {
        Ok(_) => assert!(parse(text, "fuzz.toml", &around).is_ok()),
        Err(found) => assert!(!found.errors.is_empty(), "refused without a reason"),
    }
});
