//! Any text is a config or a list of errors, never a panic, and what is accepted is accepted again.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wattkeeper::config::{ProfileSource, Surroundings, parse};

/// The built-in profiles are read once, not for each text; folders are none of this target's business.
static AROUND: LazyLock<Surroundings> = LazyLock::new(|| {
    let known = ProfileSource::default().open(None).expect("the built-in profiles load");
    Surroundings { profiles: ProfileSource::new(move |_| Ok(known.clone())), ..Surroundings::default() }
});

fuzz_target!(|text: &str| {
    match parse(text, "fuzz.toml", &AROUND) {
        Ok(_) => assert!(parse(text, "fuzz.toml", &AROUND).is_ok()),
        Err(found) => assert!(!found.errors.is_empty(), "refused without a reason"),
    }
});
