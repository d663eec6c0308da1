//! The local socket: how a second process (`read`, `status`) asks the running daemon. One JSON object a line; reads only.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::bus::{Answer, Ask, Question};
use crate::clock::Clock;
use crate::config::instead;
use crate::profile::{PointSpec, Span, Table, Value};
use crate::reading::DeviceName;

/// Longest question.
const LINE: u64 = 4096;
/// Longest wait for a bus that is busy or whose device is slow.
const PATIENCE: Duration = Duration::from_secs(30);
/// Questions at once.
const CLIENTS: usize = 8;

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask", deny_unknown_fields)]
pub enum SocketAsk {
    /// The state as `/api/v1/state` has it.
    State {},
    /// All points of a device, read now.
    Points {
        /// Its name.
        device: String,
    },
    /// Raw registers of a device, read now.
    Registers {
        /// Its name.
        device: String,
        /// Which table.
        table: Table,
        /// First address.
        start: u16,
        /// How many.
        len: u16,
    },
}

/// One point, read now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadPoint {
    /// Its name.
    pub name: String,
    /// Its unit, as in the profile's canonical units.
    pub unit: String,
    /// Number, text, or nothing where the device gave none.
    pub value: serde_json::Value,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer", content = "content")]
pub enum SocketAnswer {
    /// The state.
    State(serde_json::Value),
    /// Points.
    Points(Vec<ReadPoint>),
    /// Words, and how long it took in seconds.
    Registers(Vec<u16>, f64),
    /// A sentence.
    Error(String),
}

impl From<Answer> for SocketAnswer {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Registers(words, took) => Self::Registers(words, took.as_secs_f64()),
            Answer::Points(specs, values) => {
                Self::Points(values.iter().filter_map(|(i, v)| point(&specs, *i, v)).collect())
            }
            Answer::Error(text) => Self::Error(text),
        }
    }
}

fn point(specs: &[PointSpec], index: usize, value: &Value) -> Option<ReadPoint> {
    let spec = specs.get(index)?;
    let value = match value {
        Value::Number(number) => serde_json::Value::from(*number),
        Value::Text(text) => serde_json::Value::from(&**text),
        Value::Invalid => serde_json::Value::Null,
    };
    Some(ReadPoint { name: spec.name.to_string(), unit: spec.unit.symbol().to_owned(), value })
}

/// Which bus answers for which device. Replaced on reload.
pub type Lines = Arc<RwLock<BTreeMap<DeviceName, mpsc::Sender<Ask>>>>;

/// What the socket is given to work with.
pub(super) struct SocketPorts {
    pub(super) listener: UnixListener,
    pub(super) lines: Lines,
    pub(super) state: Arc<dyn Fn() -> serde_json::Value + Send + Sync>,
    pub(super) clock: Clock,
}

/// Where the socket of a daemon with this state directory is.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("wattkeeper.sock")
}

/// Opens the socket. One that a dead daemon left behind is replaced.
///
/// # Errors
/// As the system gives them.
pub(super) fn bind(path: &Path) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another wattkeeper with this state directory is running",
        ));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(path)
}

/// Answers until it is stopped.
pub(super) async fn run(ports: SocketPorts, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CLIENTS));
    let ports = Arc::new(ports);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = ports.listener.accept() => accepted,
        };
        let (Ok((stream, _)), Ok(place)) = (accepted, places.clone().try_acquire_owned()) else { continue };
        let ports = ports.clone();
        tokio::spawn(async move {
            let served = tokio::time::timeout(PATIENCE * 2, serve(stream, &ports)).await;
            tracing::debug!(?served, "local socket");
            drop(place);
        });
    }
}

async fn serve(stream: UnixStream, ports: &SocketPorts) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reader.take(LINE)).read_line(&mut line).await?;
    let answer = match serde_json::from_str::<SocketAsk>(&line) {
        Ok(ask) => answer(ask, ports).await,
        Err(error) => SocketAnswer::Error(format!("not a question: {error}")),
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    writer.write_all(&text).await
}

async fn answer(ask: SocketAsk, ports: &SocketPorts) -> SocketAnswer {
    let (device, question) = match ask {
        SocketAsk::State {} => return SocketAnswer::State((ports.state)()),
        SocketAsk::Points { device } => (device, Question::Points),
        SocketAsk::Registers { device, table, start, len } => (device, Question::Registers(Span { table, start, len })),
    };
    let device = DeviceName::new(device);
    let line = {
        let lines = ports.lines.read().unwrap_or_else(PoisonError::into_inner);
        let names = lines.keys().map(DeviceName::as_str);
        let meant = || format!("there is no device `{device}`{}", instead(device.as_str(), names));
        lines.get(&device).cloned().ok_or_else(meant)
    };
    let line = match line {
        Ok(line) => line,
        Err(text) => return SocketAnswer::Error(text),
    };
    let (reply, answered) = oneshot::channel();
    let until = ports.clock.io() + PATIENCE;
    if line.send(Ask { device, question, until, reply }).await.is_err() {
        return SocketAnswer::Error("its bus has ended".to_owned());
    }
    match tokio::time::timeout(PATIENCE, answered).await {
        Ok(Ok(answer)) => answer.into(),
        _ => SocketAnswer::Error("no answer from its bus".to_owned()),
    }
}

/// Asks a running daemon; for command-line tools.
///
/// # Errors
/// When there is no daemon at the socket, or it did not answer.
pub fn ask(path: &Path, ask: &SocketAsk) -> io::Result<SocketAnswer> {
    use std::io::{BufRead, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE * 2))?;
    let mut text = serde_json::to_vec(ask)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut line = String::new();
    std::io::BufReader::new(stream).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}
