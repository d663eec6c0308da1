//! `wattkeeper simulate`: serves the building that a config describes as Modbus servers.

use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::mpsc;

use super::exit;
use crate::clock::{Clock, IoTime, SiteTime};
use crate::config;
use crate::sim::{AnyFault, OpenLine, Running, Truth, Wanted, moved, site_plan};
use crate::units::Watts;

/// Serves the building that a config describes as Modbus servers: meters, PV, batteries, relays, and a load that changes.
#[derive(Clone, Debug, clap::Args)]
pub struct SimulateArgs {
    /// The site's config.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Serve on this address and the ports after it, one a connection; port 0 takes free ones. Default: the config's own
    /// addresses where they are of this machine's loopback, free ports for the others.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// Serve the config's next serial line on this one (such as one end of a pty pair); once for each line.
    #[arg(long, value_name = "PATH")]
    serial: Vec<PathBuf>,
    /// Print the config with the addresses of the simulated devices on standard output, ready for `wattkeeper run`.
    #[arg(long)]
    print_config: bool,
    /// Let the site's time run so many times faster than the devices' clock.
    #[arg(long, default_value_t = 1.0, value_name = "N", value_parser = speed)]
    speed: f64,
    /// Let the site's time begin here (such as `2026-06-01T12:00:00Z`). Default: now.
    #[arg(long, value_name = "TIME")]
    start: Option<SiteTime>,
    /// Another seed, another day.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// About the highest quarter-hour mean of the load, in kW. Default: somewhat above the peak limit.
    #[arg(long, value_name = "KW")]
    load_peak: Option<f64>,
    /// Peak power of all PV together, in kW. Default: half the load's.
    #[arg(long, value_name = "KW")]
    pv_peak: Option<f64>,
    /// End after this time (such as `10m`). Default: at Ctrl-C.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    for_time: Option<Duration>,
    /// Print the truth this often.
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = time)]
    every: Duration,
    /// Print the truth as JSON, one object a line.
    #[arg(long, conflicts_with = "print_config")]
    json: bool,
    /// Take faults on standard input, a line each: `DEVICE silent`, `late 1500 ms`, `garbled`, `frozen`, `refuse-writes`,
    /// `ignore-writes`, `healthy`; for its connection: `closed`, `one-connection`, `connected`.
    #[arg(long)]
    faults: bool,
}

fn time(text: &str) -> Result<Duration, String> {
    let time: jiff::SignedDuration = text.parse().map_err(|_| format!("`{text}` is no time: write `10m` or `30s`"))?;
    match Duration::try_from(time) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err(format!("`{text}` is not above 0")),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed| (0.1..=100_000.0).contains(speed));
    speed.ok_or_else(|| format!("`{text}` is no number from 0.1 to 100000"))
}

/// Runs the command.
pub fn run(args: &SimulateArgs) -> ExitCode {
    let config = match config::load(&args.config) {
        Ok((config, odd)) => {
            eprint!("{odd}");
            config
        }
        Err(wrong) => {
            eprint!("{wrong}");
            return exit::CONFIG.into();
        }
    };
    let wanted = Wanted {
        listen: args.listen,
        serial: args.serial.clone(),
        load_peak: args.load_peak.map(Watts::kw),
        pv_peak: args.pv_peak.map(Watts::kw),
        seed: args.seed,
    };
    let plan = match site_plan(&config, &wanted) {
        Ok(plan) => plan,
        Err(faults) => {
            for fault in faults {
                eprintln!("error: {}: {fault}", args.config.display());
            }
            return exit::CONFIG.into();
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(serve(args, plan))) {
        Ok(()) => ExitCode::SUCCESS,
        // Who read the truth has left.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wattkeeper: {error}");
            exit::UNAVAILABLE.into()
        }
    }
}

async fn serve(args: &SimulateArgs, plan: crate::sim::SitePlan) -> io::Result<()> {
    let clock = Clock::simulated(args.start.unwrap_or(Clock::system().now().site), args.speed);
    let (building, lines) = plan.build(clock.now(), args.speed);
    let mut running = Running::start(building, lines, clock.clone()).await?;

    let mut out = io::stdout();
    for OpenLine { address, names, line } in &running.lines {
        for (name, unit) in names.iter().zip(line.units()) {
            eprintln!("{name}: {address} unit {}", unit.id);
        }
    }
    if args.print_config {
        let text = std::fs::read_to_string(&args.config)?;
        let text = moved(&text, &running.lines).map_err(io::Error::other)?;
        out.write_all(text.as_bytes())?;
        out.flush()?;
    }

    let mut faults = args.faults.then(faults_on_stdin);
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let end = args.for_time.map(|time| clock.io() + time);
    let mut next = clock.io() + args.every;
    loop {
        tokio::select! {
            () = clock.sleep_until(next) => {
                next = next + args.every;
                let truth = running.truth();
                if args.json {
                    writeln!(out, "{}", json(&truth))?;
                } else if !args.print_config {
                    writeln!(out, "{}", plain(&truth))?;
                }
                out.flush()?;
            }
            () = until(&clock, end) => return Ok(()),
            _ = &mut interrupted => return Ok(()),
            _ = terminated.recv() => return Ok(()),
            () = running.broken() => return Err(io::Error::other("a part of the simulation has ended")),
            Some(order) = next_fault(&mut faults) => match switch(&running, &order) {
                Ok(()) => eprintln!("{order}"),
                Err(error) => eprintln!("error: {error}"),
            },
        }
    }
}

async fn until(clock: &Clock, end: Option<IoTime>) {
    match end {
        Some(end) => clock.sleep_until(end).await,
        None => std::future::pending().await,
    }
}

async fn next_fault(faults: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match faults {
        Some(faults) => faults.recv().await,
        None => None,
    }
}

/// Lines of standard input. A thread, for reading it cannot be given up.
fn faults_on_stdin() -> mpsc::Receiver<String> {
    let (tx, rx) = mpsc::channel(8);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if !line.trim().is_empty() && tx.blocking_send(line).is_err() {
                break;
            }
        }
    });
    rx
}

fn switch(running: &Running, order: &str) -> Result<(), String> {
    let (name, fault) = order.trim().split_once(' ').ok_or_else(|| format!("`{order}`: write `DEVICE FAULT`"))?;
    let fault: AnyFault = fault.parse()?;
    if running.fault(name, fault) { Ok(()) } else { Err(format!("there is no device `{name}`")) }
}

fn plain(truth: &Truth) -> String {
    let balance = &truth.balance;
    let mut text = format!(
        "{} grid {:.1} load {:.1} pv {:.1}",
        truth.at.strftime("%F %TZ"),
        balance.grid,
        balance.load,
        balance.pv
    );
    for (name, feed) in &truth.devices {
        if let Some(soc) = feed.soc {
            text += &format!(" {name} {:.1} at {soc:.1}", feed.battery);
        }
    }
    text + &format!(" peak {:.1}, left to itself {:.1}", truth.with.peak(), truth.without.peak())
}

fn json(truth: &Truth) -> serde_json::Value {
    let balance = &truth.balance;
    let devices: serde_json::Map<_, _> = truth
        .devices
        .iter()
        .map(|(name, feed)| {
            let value = serde_json::json!({ "pv_w": feed.pv, "battery_w": feed.battery, "soc": feed.soc });
            (name.to_string(), value)
        })
        .collect();
    serde_json::json!({
        "at": truth.at.to_string(),
        "grid_w": balance.grid, "load_w": balance.load, "pv_w": balance.pv, "battery_w": balance.battery,
        "imported_wh": truth.with.imported, "exported_wh": truth.with.exported,
        "peak_w": truth.with.peak(), "peak_without_w": truth.without.peak(),
        "devices": devices,
    })
}
