//! One file a subcommand.

pub mod profiles;
