//! A building in motion: its clock ticks, its servers answer.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::bank::{SharedBank, locked};
use super::building::{Building, Truth};
use super::fault::AnyFault;
use super::line::{Line, Unit};
use super::server::{Framing, listen, serve_rtu};
use crate::bus::{Address, Parity, SerialLine};
use crate::clock::Clock;
use crate::reading::DeviceName;

/// How often the building moves.
const TICK: Duration = Duration::from_millis(10);

/// Where a line is to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Modbus TCP, or RTU over TCP; port 0 takes a free one.
    Socket(SocketAddr, Framing),
    /// A serial line or pty.
    Serial(SerialLine),
}

/// A line to be served.
pub struct LinePlan {
    /// Where.
    pub listen: Listen,
    /// Its devices: name, unit id, registers.
    pub units: Vec<(DeviceName, u8, SharedBank)>,
}

/// A line that is served.
pub struct OpenLine {
    /// Where the daemon finds it.
    pub address: Address,
    /// Its devices.
    pub names: Vec<DeviceName>,
    /// Its units, in the same order, and its faults.
    pub line: Line,
}

/// A building in motion. Dropping it ends all its servers.
pub struct Running {
    building: Arc<Mutex<Building>>,
    /// What is served.
    pub lines: Vec<OpenLine>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Opens all lines and lets the time run.
    ///
    /// # Errors
    /// Where a line could not be opened.
    pub async fn start(building: Building, plans: Vec<LinePlan>, clock: Clock) -> io::Result<Self> {
        let building = Arc::new(Mutex::new(building));
        let (mut lines, mut tasks) = (Vec::new(), JoinSet::new());
        for plan in plans {
            let (names, units) = plan.units.into_iter().map(|(name, id, bank)| (name, Unit::new(id, bank))).unzip();
            let line = Line::new(units);
            let address = match plan.listen {
                Listen::Socket(wanted, framing) => {
                    let listener = TcpListener::bind(wanted).await.map_err(|e| at(&wanted.to_string(), &e))?;
                    let (host, port) = (wanted.ip().to_string(), listener.local_addr()?.port());
                    tasks.spawn(listen(listener, framing, line.clone()));
                    match framing {
                        Framing::Tcp => Address::Tcp { host, port },
                        Framing::Rtu => Address::RtuTcp { host, port },
                    }
                }
                Listen::Serial(settings) => {
                    let stream = open(&settings).map_err(|e| at(&settings.path.display().to_string(), &e))?;
                    tasks.spawn(serve_serial(stream, settings.clone(), line.clone()));
                    Address::Rtu(settings)
                }
            };
            lines.push(OpenLine { address, names, line });
        }
        tasks.spawn(tick(building.clone(), clock));
        Ok(Self { building, lines, tasks })
    }

    /// The truth now.
    pub fn truth(&self) -> Truth {
        locked(&self.building).truth().clone()
    }

    /// Where a device is served.
    pub fn address(&self, name: &str) -> Option<&Address> {
        self.unit(name).map(|(line, _)| &line.address)
    }

    /// Its unit, for its traffic and registers.
    pub fn unit(&self, name: &str) -> Option<(&OpenLine, &Unit)> {
        self.lines.iter().find_map(|line| {
            let nth = line.names.iter().position(|device| device.as_str() == name)?;
            Some((line, line.line.units().get(nth)?))
        })
    }

    /// Switches a fault of a device or of its line; `false` where no device has that name.
    pub fn fault(&self, name: &str, fault: AnyFault) -> bool {
        let Some((line, unit)) = self.unit(name) else { return false };
        match fault {
            AnyFault::Device(fault) => unit.set_fault(fault),
            AnyFault::Line(fault) => line.line.set_fault(fault),
        }
        true
    }

    /// Ends when a task of the simulation ends, which none does unless it panics.
    pub async fn broken(&mut self) {
        self.tasks.join_next().await;
    }
}

async fn tick(building: Arc<Mutex<Building>>, clock: Clock) {
    loop {
        locked(&building).advance(clock.now());
        clock.sleep_until(clock.io() + TICK).await;
    }
}

fn open(settings: &SerialLine) -> io::Result<tokio_serial::SerialStream> {
    let parity = match settings.parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    };
    let stop_bits = if settings.stop_bits == 2 { tokio_serial::StopBits::Two } else { tokio_serial::StopBits::One };
    let port = tokio_serial::new(settings.path.to_string_lossy(), settings.baud).parity(parity).stop_bits(stop_bits);
    Ok(tokio_serial::SerialStream::open(&port)?)
}

/// Serves a serial line; opens it again when it breaks.
async fn serve_serial(stream: tokio_serial::SerialStream, settings: SerialLine, line: Line) {
    let mut stream = Some(stream);
    loop {
        if let Some(stream) = stream.take().or_else(|| open(&settings).ok()) {
            let _ = serve_rtu(stream, &line).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn at(place: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot serve {place}: {error}"))
}

impl Listen {
    /// A serial line at 9600 8N1.
    pub fn serial(path: impl Into<PathBuf>) -> Self {
        Self::Serial(SerialLine { path: path.into(), baud: 9600, parity: Parity::None, stop_bits: 1 })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::sim::{DEMO_SPEED, Fault, demo_site, demo_start};

    /// Reads the meter's first voltage, raw.
    async fn voltage(stream: &mut TcpStream) -> io::Result<f32> {
        stream.write_all(&[0, 1, 0, 0, 0, 6, 1, 4, 0, 0, 0, 2]).await?;
        let mut answer = [0; 13];
        stream.read_exact(&mut answer).await?;
        Ok(f32::from_be_bytes([answer[9], answer[10], answer[11], answer[12]]))
    }

    #[tokio::test]
    async fn the_demos_devices_answer_on_sockets_of_their_own_and_time_passes() {
        let clock = Clock::simulated(demo_start(), DEMO_SPEED);
        let (building, lines) = demo_site(1).build(clock.now(), DEMO_SPEED);
        let running = Running::start(building, lines, clock).await.unwrap();
        assert_eq!(running.lines.len(), 4);
        let Some(Address::Tcp { host, port }) = running.address("grid") else { panic!() };
        let mut stream = TcpStream::connect((host.as_str(), *port)).await.unwrap();
        let mut volts = 0.0;
        for _ in 0..500 {
            volts = voltage(&mut stream).await.unwrap();
            if volts > 0.0 && running.truth().with.imported.watt_hours() > 0.0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!((220.0..240.0).contains(&volts), "{volts}");
        assert!(running.truth().at > demo_start());
        assert!(running.unit("grid").unwrap().1.traffic().requests > 0);
        assert!(running.fault("grid", "refuse-writes".parse().unwrap()));
        assert!(running.fault("grid", AnyFault::Device(Fault::Healthy)));
        assert!(!running.fault("nobody", AnyFault::Device(Fault::Healthy)));
        assert!("broken".parse::<AnyFault>().unwrap_err().contains("one-connection"));
        drop(running);
        let ended = async { while voltage(&mut stream).await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(10), ended).await.expect("dropping it ends its servers");
    }
}
