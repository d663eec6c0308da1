//! `wattkeeper demo`: a simulated building, a small broker, and the real daemon between them, over real sockets; a day in
//! three minutes. Needs no root, no service, no config, and touches nothing but a temporary folder.

use std::fmt;
use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::screen::{self, Scene};
use super::{exit, put};
use crate::app::{App, Ended, Environment, LogFormat, Request, StartError, View, start_logging};
use crate::clock::{Clock, SiteTime};
use crate::config;
use crate::sim::{Broker, DEMO_DAY, DEMO_SPEED, DemoConfig, Running, Truth, demo_site, demo_start, demo_tariff};

/// Where HTTP is served if nobody else does there.
const HTTP: u16 = 9810;
/// Where the broker is if nobody else is there: mosquitto's port with a 1 before it.
const BROKER: u16 = 11883;
/// How often a terminal is drawn.
const FRAME: Duration = Duration::from_millis(500);
/// How often it is looked whether a plain line is due.
const LOOK: Duration = Duration::from_millis(50);
/// How often one is printed, in site time.
const LINE: Duration = Duration::from_secs(900);

/// Watch the real daemon shave a simulated building's peak: a day in three minutes
///
/// Needs no root, no service, no config. Everything listens on loopback and ends with the demo.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Leave the config and the state in this folder, to read them
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Decide and show, but write nothing to the devices: then nothing is saved
    #[arg(long)]
    dry_run: bool,
    /// Another seed, another day
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End after so many hours of the simulated day
    #[arg(long, value_name = "N", default_value_t = 24.0, value_parser = hours)]
    hours: f64,
}

fn hours(text: &str) -> Result<f64, String> {
    let hours: f64 = text.parse().map_err(|_| format!("`{text}` is no number of hours"))?;
    if hours > 0.0 && hours <= 24.0 { Ok(hours) } else { Err("write a number of hours above 0, at most 24".to_owned()) }
}

/// Runs the demo.
pub(super) fn run(args: &DemoArgs) -> ExitCode {
    start_logging(LogFormat::Text, "error");
    let folder = args
        .keep
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("wattkeeper-demo-{}", std::process::id())));
    let result = super::runtime().map_err(Trouble::from).and_then(|runtime| runtime.block_on(play(args, &folder)));
    if args.keep.is_none() {
        // What cannot be removed from a temporary folder is removed with it.
        let _ = std::fs::remove_dir_all(&folder);
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("wattkeeper: {trouble}");
            exit::SOFTWARE.into()
        }
    }
}

/// Why the demo could not be played.
#[derive(Debug)]
struct Trouble(String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl Trouble {
    /// Said of a file or folder.
    fn with(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self(format!("cannot write {}: {error}", path.display()))
    }
}

async fn play(args: &DemoArgs, folder: &Path) -> Result<(), Trouble> {
    // Before anything is told anything, so that no Ctrl-C leaves a device as it is.
    let mut interrupt = Interrupt::new()?;
    std::fs::create_dir_all(folder).map_err(Trouble::with(folder))?;
    // What an earlier demo in this folder saved lies in this one's future. Most often there is none.
    let _ = std::fs::remove_file(folder.join("state/state.json"));
    let clock = Clock::simulated(demo_start(), DEMO_SPEED);
    let (building, lines) = demo_site(args.seed).build(clock.now(), DEMO_SPEED);
    let site = Running::start(building, lines, clock.clone()).await?;

    let stop = CancellationToken::new();
    let broker = match Broker::bind(loopback(BROKER)).await {
        Ok(broker) => broker,
        Err(_) => Broker::bind(loopback(0)).await?,
    };
    let broker_address = broker.address();
    let broker_task = tokio::spawn(broker.run(stop.clone()));

    let path = folder.join("wattkeeper.toml");
    let start = async |http| {
        let text = DemoConfig { broker: broker_address, http, enabled: !args.dry_run };
        std::fs::write(&path, text.text(&site)).map_err(Trouble::with(&path))?;
        let (config, _warnings) = config::load(&path).map_err(|diagnostics| Trouble(diagnostics.to_string()))?;
        Ok::<_, Trouble>(App::start(config, Environment { clock: clock.clone(), config: Some(path.clone()) }).await)
    };
    let app = match start(loopback(HTTP)).await? {
        Err(StartError::Listen(_)) => start(loopback(0)).await??,
        started => started?,
    };
    let view = app.view();
    let (requests, asked) = mpsc::channel(1);
    let daemon = tokio::spawn(app.run(asked));

    let _ = put(&introduction(&view, broker_address, args.keep.as_ref().map(|_| path.as_path())));
    let truth = watch(args, &clock, &site, &view, &mut interrupt).await;
    let _told = requests.send(Request::Stop).await;
    let ended = daemon.await?;
    stop.cancel();
    let _ended = broker_task.await;
    let _ = put(&format!("\n{}", screen::summary(&truth, &demo_tariff())));
    match ended {
        Ended::Asked => Ok(()),
        Ended::Unconfirmed => Err(Trouble("a device did not confirm its safe state".to_owned())),
        Ended::Broken => Err(Trouble("a task of the daemon ended by itself".to_owned())),
    }
}

/// SIGINT and SIGTERM, heard from the beginning on.
struct Interrupt(Signal, Signal);

impl Interrupt {
    fn new() -> std::io::Result<Self> {
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    async fn heard(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn introduction(view: &View, broker: SocketAddr, kept: Option<&Path>) -> String {
    let mut lines = vec![
        "A simulated workshop: meter, PV inverter, two batteries; a day in three minutes. Ctrl-C ends it.".to_owned(),
    ];
    if let Some(http) = view.http {
        lines.push(format!("  metrics  curl http://{http}/metrics"));
        lines.push(format!("  state    curl http://{http}/api/v1/state"));
    }
    lines.push(format!("  MQTT     mosquitto_sub -h {} -p {} -t 'wattkeeper/demo/#' -v", broker.ip(), broker.port()));
    lines.extend(kept.map(|path| format!("  config   {}", path.display())));
    lines.join("\n") + "\n\n"
}

/// Shows the day until it is over, somebody ends it, or nobody reads it any more; returns the truth at its end.
async fn watch(args: &DemoArgs, clock: &Clock, site: &Running, view: &View, interrupt: &mut Interrupt) -> Truth {
    let terminal = std::io::stdout().is_terminal();
    let day = DEMO_DAY.mul_f64(args.hours / 24.0);
    let end: SiteTime = demo_start() + day;
    let mut before = String::new();
    let mut next_line = demo_start() + LINE;
    let mut frames = tokio::time::interval(if terminal { FRAME } else { LOOK });
    loop {
        tokio::select! {
            _ = frames.tick() => {}
            () = interrupt.heard() => return site.truth(),
        }
        let (now, truth) = (clock.now().site, site.truth());
        let passed = Duration::try_from(now.duration_since(demo_start())).unwrap_or_default();
        let scene = Scene {
            time_zone: jiff::tz::TimeZone::UTC,
            progress: (passed.as_secs_f64() / day.as_secs_f64()).min(1.0),
            window: Duration::from_secs(1800),
        };
        let (snapshot, decision) = (view.snapshot.borrow().clone(), view.decision.borrow().clone());
        let mut shown = Ok(());
        if terminal {
            let frame = screen::frame(&snapshot, &decision, &truth, &scene);
            shown = put(&screen::redraw(&before, &frame));
            before = frame;
        } else if now >= next_line {
            shown = put(&format!("{}\n", screen::line(&snapshot, &decision, &truth, &scene)));
            while next_line <= now {
                next_line += LINE;
            }
        }
        if now >= end || shown.is_err() {
            return truth;
        }
    }
}
