//! One file a subcommand.

pub mod check;
pub mod replay;
