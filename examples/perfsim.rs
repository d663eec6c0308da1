//! A fast Modbus TCP simulator for `benches/bench.py`: many devices in one process, and stamps of what they saw.
//!
//! `perfsim BASE_PORT DEVICES [plant]`: device `i` listens on 127.0.0.1:BASE_PORT+i and has 512 registers (tables holding
//! and input alike). With `plant`, device 0 is a grid meter (i32 W at 0) and device 1 a battery (state of charge in % at 0,
//! i32 W at 1, setpoint i32 W at 200, discharge positive) behind it: meter = load - battery, at once.
//!
//! Lines on stdin, one JSON line each on stdout: `reset`, `stats`, `load WATTS`, `drop` (ends all connections), `quit`.
//! A poll is a read that covers register 0. A reaction is the time from the answer that first carried a new load to the
//! arrival of the next write to device 1.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench tool may stop at a bad argument")]

use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const REGISTERS: usize = 512;
const SETPOINT: usize = 200;

struct Device {
    registers: Vec<u16>,
    polled: Option<Instant>,
}

struct World {
    devices: Vec<Device>,
    plant: bool,
    since: Instant,
    requests: u64,
    polls: u64,
    first_poll: Option<Duration>,
    /// When all devices had been polled.
    all_polled: Option<Duration>,
    gaps: Vec<Duration>,
    load: i32,
    /// A new load was set: seen in an answer at that instant, once it was.
    armed: Option<Option<Instant>>,
    reactions: Vec<Duration>,
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> Instant {
    Instant::now()
}

impl World {
    fn new(devices: usize, plant: bool) -> Self {
        let device = |n: usize| Device {
            registers: (0..REGISTERS).map(|address| ((address * 7 + n * 13) % 10_000) as u16).collect(),
            polled: None,
        };
        let mut world = Self {
            devices: (0..devices).map(device).collect(),
            plant,
            since: now(),
            requests: 0,
            polls: 0,
            first_poll: None,
            all_polled: None,
            gaps: Vec::new(),
            load: 0,
            armed: None,
            reactions: Vec::new(),
        };
        if plant {
            world.devices[1].registers[..3].copy_from_slice(&[50, 0, 0]);
            world.put(1, SETPOINT, 0);
            world.balance();
        }
        world
    }

    fn put(&mut self, device: usize, at: usize, value: i32) {
        let [a, b, c, d] = value.to_be_bytes();
        self.devices[device].registers[at] = u16::from_be_bytes([a, b]);
        self.devices[device].registers[at + 1] = u16::from_be_bytes([c, d]);
    }

    fn balance(&mut self) {
        let setpoint = &self.devices[1].registers[SETPOINT..];
        let battery = (u32::from(setpoint[0]) << 16 | u32::from(setpoint[1])).cast_signed();
        self.put(1, 1, battery);
        self.put(0, 0, self.load - battery);
    }

    fn reset(&mut self) {
        self.since = now();
        (self.requests, self.polls, self.first_poll, self.all_polled) = (0, 0, None, None);
        self.gaps.clear();
        self.reactions.clear();
        self.devices.iter_mut().for_each(|device| device.polled = None);
    }

    /// The answer to a request PDU.
    fn answer(&mut self, n: usize, pdu: &[u8]) -> Vec<u8> {
        self.requests += 1;
        let word = |at: usize| pdu.get(at..at + 2).map_or(0, |two| usize::from(u16::from_be_bytes([two[0], two[1]])));
        let (function, start, count) = (pdu[0], word(1), word(3));
        match function {
            3 | 4 if (1..=125).contains(&count) && start + count <= REGISTERS => {
                if start == 0 {
                    self.polled(n);
                }
                let mut out = vec![function, (count * 2) as u8];
                self.devices[n].registers[start..start + count].iter().for_each(|w| out.extend(w.to_be_bytes()));
                out
            }
            6 if start < REGISTERS => {
                self.devices[n].registers[start] = count as u16;
                self.written(n);
                pdu[..5].to_vec()
            }
            16 if (1..=123).contains(&count) && start + count <= REGISTERS && pdu.len() == 6 + count * 2 => {
                (0..count).for_each(|i| self.devices[n].registers[start + i] = word(6 + i * 2) as u16);
                self.written(n);
                pdu[..5].to_vec()
            }
            3 | 4 | 6 | 16 => vec![function | 0x80, 2],
            _ => vec![function | 0x80, 1],
        }
    }

    fn polled(&mut self, n: usize) {
        let now = now();
        self.polls += 1;
        if let Some(before) = self.devices[n].polled.replace(now) {
            self.gaps.push(now - before);
        } else if self.all_polled.is_none() && self.devices.iter().all(|device| device.polled.is_some()) {
            self.all_polled = Some(now - self.since);
        }
        self.first_poll.get_or_insert(now - self.since);
        if n == 0 && self.armed == Some(None) {
            self.armed = Some(Some(now));
        }
    }

    fn written(&mut self, n: usize) {
        if n == 1 && self.plant {
            if let Some(Some(answered)) = self.armed {
                self.reactions.push(now() - answered);
                self.armed = None;
            }
            self.balance();
        }
    }

    fn stats(&mut self) -> String {
        self.gaps.sort_unstable();
        self.reactions.sort_unstable();
        let at = |times: &[Duration], share: f64| {
            let index = (times.len().saturating_sub(1) as f64 * share).round() as usize;
            times.get(index).map(|time| time.as_secs_f64() * 1e3)
        };
        let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
        serde_json::json!({
            "requests": self.requests, "polls": self.polls, "gaps": self.gaps.len(),
            "gap_p50_ms": at(&self.gaps, 0.5), "gap_p99_ms": at(&self.gaps, 0.99), "gap_max_ms": at(&self.gaps, 1.0),
            "first_poll_ms": millis(self.first_poll), "all_polled_ms": millis(self.all_polled),
            "reactions": self.reactions.len(), "reaction_p50_ms": at(&self.reactions, 0.5),
            "reaction_p99_ms": at(&self.reactions, 0.99), "reaction_max_ms": at(&self.reactions, 1.0),
        })
        .to_string()
    }
}

type Shared = Arc<Mutex<World>>;

async fn serve(mut stream: TcpStream, n: usize, world: Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut head = [0; 7];
        stream.read_exact(&mut head).await?;
        let length = usize::from(u16::from_be_bytes([head[4], head[5]])).clamp(2, 254);
        let mut pdu = vec![0; length - 1];
        stream.read_exact(&mut pdu).await?;
        let answer = world.lock().unwrap().answer(n, &pdu);
        let mut out = head.to_vec();
        out[4..6].copy_from_slice(&(answer.len() as u16 + 1).to_be_bytes());
        out.extend(answer);
        stream.write_all(&out).await?;
    }
}

async fn listen(listener: TcpListener, n: usize, world: Shared, drops: watch::Receiver<u64>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (world, mut drops) = (world.clone(), drops.clone());
        drops.mark_unchanged();
        tokio::spawn(async move {
            tokio::select! {
                _ = serve(stream, n, world) => {}
                _ = drops.changed() => {}
            }
        });
    }
}

/// One line of the harness; `None` ends the program.
fn obey(line: &str, world: &Shared, drop: &watch::Sender<u64>) -> Option<String> {
    let mut world = world.lock().unwrap();
    match line.split_once(' ').unwrap_or((line, "")) {
        ("reset", _) => world.reset(),
        ("stats", _) => return Some(world.stats()),
        ("load", watts) => {
            let load = watts.trim().parse().unwrap();
            // Toward the limit control is fast, back it may take its time: only the way up is stamped.
            world.armed = (load > world.load).then_some(None);
            world.load = load;
            world.balance();
        }
        ("drop", _) => drop.send_modify(|count| *count += 1),
        _ => return None,
    }
    Some("{}".to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let base: u16 = arguments[0].parse().unwrap();
    let devices: u16 = arguments[1].parse().unwrap();
    let plant = arguments.get(2).is_some_and(|word| word == "plant");
    assert!(!plant || devices > 1, "a plant has two devices");
    let world = Arc::new(Mutex::new(World::new(usize::from(devices), plant)));
    let (drop, drops) = watch::channel(0);
    for n in 0..devices {
        let listener = TcpListener::bind(("127.0.0.1", base + n)).await?;
        tokio::spawn(listen(listener, usize::from(n), world.clone(), drops.clone()));
    }
    println!("{{}}");
    let commands = tokio::task::spawn_blocking(move || {
        for line in std::io::stdin().lock().lines() {
            let Some(answer) = line.ok().and_then(|line| obey(line.trim(), &world, &drop)) else { break };
            println!("{answer}");
            let _ = std::io::stdout().flush();
        }
    });
    commands.await?;
    Ok(())
}
