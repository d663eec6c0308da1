//! One file a subcommand.

pub mod screen;
pub mod simulate;
