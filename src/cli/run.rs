//! `wattkeeper run`: the daemon.

use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::{ConfigArg, exit, load};
use crate::app::{App, Ended, Environment, LogFormat, Request, start_logging};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// How the log looks
    #[arg(long, value_enum, default_value_t)]
    log: LogFormat,
}

/// Runs the daemon until SIGTERM or SIGINT; SIGHUP reads the config again.
pub(super) fn run(args: &RunArgs) -> ExitCode {
    start_logging(args.log, "info");
    let config = match load(&args.config.config) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("wattkeeper: cannot start: {error}");
            return exit::SOFTWARE.into();
        }
    };
    runtime.block_on(async {
        let (requests, asked) = mpsc::channel(4);
        if let Err(error) = listen(requests) {
            eprintln!("wattkeeper: cannot listen for signals: {error}");
            return exit::SOFTWARE.into();
        }
        let environment = Environment::of_process(args.config.config.clone());
        match App::start(config, environment).await {
            Ok(app) => match app.run(asked).await {
                Ended::Asked => ExitCode::SUCCESS,
                Ended::Unconfirmed | Ended::Broken => exit::SOFTWARE.into(),
            },
            Err(error) => {
                tracing::error!("{error}");
                exit::UNAVAILABLE.into()
            }
        }
    })
}

/// Turns signals into requests.
fn listen(requests: mpsc::Sender<Request>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            let request = tokio::select! {
                _ = terminate.recv() => Request::Stop,
                _ = interrupt.recv() => Request::Stop,
                _ = hang_up.recv() => Request::Reload,
            };
            if requests.send(request).await.is_err() {
                break;
            }
        }
    });
    Ok(())
}
