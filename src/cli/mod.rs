//! The command line: one file a subcommand.
//!
//! Exit codes follow sysexits(3): 0 well, 1 it did not do what was asked, 64 wrong usage, 65 bad input data, 69 not
//! there, 70 a fault of ours, 73 and 74 a file or the output cannot be written, 78 a config error. Results go to standard
//! output, everything else to standard error.

pub mod check;
mod demo;
pub mod profiles;
mod read;
pub mod replay;
mod run;
mod screen;
mod simulate;
mod status;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// The exit codes.
pub mod exit {
    /// Wrong usage (EX_USAGE).
    pub const USAGE: u8 = 64;
    /// Bad input data (EX_DATAERR).
    pub const DATA: u8 = 65;
    /// Not there: no daemon, no device (EX_UNAVAILABLE).
    pub const UNAVAILABLE: u8 = 69;
    /// A fault of ours (EX_SOFTWARE).
    pub const SOFTWARE: u8 = 70;
    /// A file cannot be written (EX_CANTCREAT).
    pub const CANNOT_CREATE: u8 = 73;
    /// What was to be printed cannot be (EX_IOERR).
    pub const IO: u8 = 74;
    /// A config error (EX_CONFIG): systemd does not start again.
    pub const CONFIG: u8 = 78;
}

/// wattkeeper, an energy-management gateway.
#[derive(Debug, Parser)]
#[command(name = "wattkeeper", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    /// Run the daemon
    Run(run::RunArgs),
    /// Serve a simulated building as Modbus servers
    Simulate(simulate::SimulateArgs),
    /// List the device profiles, or show one
    Profiles(profiles::ProfilesArgs),
    /// Run the control core on recorded data
    Replay(replay::ReplayArgs),
    /// Say whether a config is valid, and what it means
    Check(check::CheckArgs),
    /// Show how the running daemon stands, on one screen
    Status(status::StatusArgs),
    /// Read a device's points or registers, once or again and again
    Read(read::ReadArgs),
}

/// Where the config is.
#[derive(Clone, Debug, Args)]
struct ConfigArg {
    /// The config file
    #[arg(long, short, value_name = "FILE", default_value = "/etc/wattkeeper/wattkeeper.toml")]
    config: PathBuf,
}

/// Parses the command line and runs what it says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let usage = error.use_stderr();
            // Nobody is left to be told that the error cannot be shown.
            let _shown = error.print();
            return if usage { exit::USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Profiles(args) => profiles::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Read(args) => read::run(&args),
    }
}

/// Loads a config for a subcommand; what is wrong with it goes to stderr.
fn load(path: &std::path::Path) -> Result<crate::config::Config, ExitCode> {
    match crate::config::load(path) {
        Ok((config, diagnostics)) => {
            for warning in &diagnostics.warnings {
                eprintln!("{warning}");
            }
            Ok(config)
        }
        Err(diagnostics) => {
            eprint!("{diagnostics}");
            Err(exit::CONFIG.into())
        }
    }
}

/// Prints a result. The error is the exit code to leave with at once: that of success where the reader has left (`| head`).
fn put(text: &str) -> Result<(), ExitCode> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        _ => {
            eprintln!("wattkeeper: cannot print: {error}");
            exit::IO.into()
        }
    })
}

/// The exit code of having printed a result.
fn printed(text: &str) -> ExitCode {
    put(text).err().unwrap_or(ExitCode::SUCCESS)
}

/// The runtime of a subcommand: one thread, as the daemon's.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
