//! `wattkeeper read`: points or raw registers of one device. Through the running daemon where there is one; else it opens
//! the bus itself, under the bus's lock.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{ConfigArg, exit, load};
use crate::app::{BusLock, ReadPoint, SocketAnswer, SocketAsk, ask_socket, lock_folder, socket_path};
use crate::bus::{self, Ask, BusDevice, BusPorts, BusSpec, DeviceStats, MemoryNotebook, Question};
use crate::clock::{Clock, Pulse};
use crate::config::{self, Config, DeviceConfig};
use crate::profile::{Instance, Span, Table};
use crate::reading::DeviceName;

/// Longest wait for an answer when no daemon runs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Arguments of `read`.
#[derive(Debug, Args)]
pub(super) struct ReadArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// The device's name in the config
    device: String,
    /// Points to show; all without any
    points: Vec<String>,
    /// Raw registers instead: TABLE:START:COUNT, as in holding:100:10 (addresses from 0, as on the wire)
    #[arg(long, value_name = "SPAN", value_parser = span, conflicts_with = "points")]
    registers: Option<Span>,
    /// Read again and again, this often (a number of seconds)
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1")]
    watch: Option<f64>,
    /// One JSON object a read
    #[arg(long)]
    json: bool,
}

fn span(text: &str) -> Result<Span, String> {
    let wrong = || {
        format!("`{text}` is no TABLE:START:COUNT; write it like holding:100:10 (coil, discrete-input, holding, input)")
    };
    let mut parts = text.split(':');
    let table = match parts.next() {
        Some("coil") => Table::Coil,
        Some("discrete-input") => Table::DiscreteInput,
        Some("holding") => Table::Holding,
        Some("input") => Table::Input,
        _ => return Err(wrong()),
    };
    let start: u16 = parts.next().and_then(|part| part.parse().ok()).ok_or_else(wrong)?;
    let len: u16 = parts.next().map_or(Ok(1), str::parse).map_err(|_| wrong())?;
    let span = Span { table, start, len };
    if parts.next().is_some() || len == 0 || len > 125 || span.end() > 65_536 {
        return Err(wrong());
    }
    Ok(span)
}

/// Reads and prints.
pub(super) fn run(args: &ReadArgs) -> ExitCode {
    let socket = socket_path(&config::state_dir(&args.config.config));
    let ask = match args.registers {
        None => SocketAsk::Points { device: args.device.clone() },
        Some(Span { table, start, len }) => SocketAsk::Registers { device: args.device.clone(), table, start, len },
    };
    loop {
        let answer = match ask_socket(&socket, &ask) {
            Ok(answer) => answer,
            // Nobody runs: the config says how the device is reached.
            Err(_) => match load(&args.config.config) {
                Ok(config) => alone(&config, args).unwrap_or_else(SocketAnswer::Error),
                Err(code) => return code,
            },
        };
        if !print(args, &answer) {
            return exit::UNAVAILABLE.into();
        }
        match args.watch {
            Some(seconds) if seconds > 0.0 && seconds.is_finite() => {
                std::thread::sleep(Duration::from_secs_f64(seconds))
            }
            _ => return ExitCode::SUCCESS,
        }
    }
}

/// Reads without a daemon: runs the bus for one question.
fn alone(config: &Config, args: &ReadArgs) -> Result<SocketAnswer, String> {
    let Some(device) = config.devices.iter().find(|device| device.name.as_str() == args.device) else {
        let names: Vec<_> = config.devices.iter().map(|device| device.name.as_str()).collect();
        return Err(format!("the config has no device `{}`; it has: {}", args.device, names.join(", ")));
    };
    let (Some(profile), Some(address)) = (&device.profile, &device.address) else {
        return Err(format!("device `{}` has no address", args.device));
    };
    let _lock = BusLock::take(&lock_folder(&config.state_dir), address).map_err(|error| error.to_string())?;
    let runtime = super::runtime().map_err(|error| error.to_string())?;
    let question = args.registers.map_or(Question::Points, Question::Registers);
    let instance = Instance::new(profile.clone(), &device.overrides);
    runtime.block_on(once(device, address, instance, question))
}

async fn once(
    device: &DeviceConfig,
    address: &bus::Address,
    instance: Instance,
    question: Question,
) -> Result<SocketAnswer, String> {
    let clock = Clock::system();
    let (_leases, leases) = watch::channel(BTreeMap::new());
    let (events, mut said) = mpsc::channel(64);
    let (asks, asked) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let name: DeviceName = device.name.clone();
    let spec = BusSpec {
        address: address.clone(),
        devices: vec![BusDevice {
            name: name.clone(),
            unit: device.unit_id,
            instance,
            leases,
            stats: Arc::new(DeviceStats::default()),
        }],
    };
    let ports = BusPorts {
        clock: clock.clone(),
        events,
        asks: asked,
        notebook: Arc::new(MemoryNotebook::default()),
        pulse: Pulse::default(),
        stop: stop.clone(),
    };
    let task = tokio::spawn(bus::run(spec, ports));
    let drain = tokio::spawn(async move { while said.recv().await.is_some() {} });
    let (reply, answered) = oneshot::channel();
    let ask = Ask { device: name, question, until: clock.io() + PATIENCE, reply };
    asks.send(ask).await.map_err(|_| "the bus ended".to_owned())?;
    let answer = tokio::time::timeout(PATIENCE, answered).await;
    stop.cancel();
    let _ended = tokio::time::timeout(PATIENCE, task).await;
    drain.abort();
    match answer {
        Ok(Ok(answer)) => Ok(answer.into()),
        _ => Err(format!("{address} did not answer within {PATIENCE:?}")),
    }
}

/// Prints an answer; `false` when it was an error.
fn print(args: &ReadArgs, answer: &SocketAnswer) -> bool {
    match answer {
        SocketAnswer::Error(text) => {
            eprintln!("wattkeeper: {text}");
            false
        }
        SocketAnswer::Points(points) => {
            let wanted = |point: &&ReadPoint| args.points.is_empty() || args.points.contains(&point.name);
            let shown: Vec<_> = points.iter().filter(wanted).collect();
            if args.json {
                println!("{}", serde_json::json!(shown));
            } else {
                shown.iter().for_each(|point| println!("{:<28} {} {}", point.name, plain(&point.value), point.unit));
            }
            let missing: Vec<_> =
                args.points.iter().filter(|name| !points.iter().any(|point| point.name == **name)).collect();
            if !missing.is_empty() {
                let names: Vec<_> = points.iter().map(|point| point.name.as_str()).collect();
                eprintln!("wattkeeper: no point {missing:?}; there are: {}", names.join(", "));
            }
            missing.is_empty()
        }
        SocketAnswer::Registers(words, seconds) => {
            let start = args.registers.map_or(0, |span| span.start);
            if args.json {
                println!("{}", serde_json::json!({ "start": start, "words": words, "seconds": seconds }));
            } else {
                for (address, word) in (u32::from(start)..).zip(words) {
                    println!("{address:>5}  0x{word:04x}  {word:>5}  {:>6}", word.cast_signed());
                }
            }
            true
        }
        SocketAnswer::State(state) => {
            println!("{state}");
            true
        }
    }
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "no value".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
