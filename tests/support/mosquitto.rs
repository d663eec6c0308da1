//! A real mosquitto, and the gateway's MQTT side against it.

#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wattkeeper::clock::{Clock, Moment};
use wattkeeper::config::MqttConfig;
use wattkeeper::control::{Decision, Outcome, Standing};
use wattkeeper::mqtt::{Capacities, MqttPorts, MqttStats, Retry};
use wattkeeper::state::Snapshot;
use wattkeeper::telemetry::{MemoryStore, Outbox};
use wattkeeper::units::Watts;

/// A running mosquitto, killed when dropped.
pub struct Mosquitto {
    child: Child,
    pub port: u16,
    pub folder: tempfile::TempDir,
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn tool(name: &str) -> PathBuf {
    let installed =
        ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/opt/homebrew/sbin"].map(|at| Path::new(at).join(name));
    installed.into_iter().find(|path| path.exists()).unwrap_or_else(|| panic!("install {name} (apt install mosquitto)"))
}

impl Mosquitto {
    /// With these config lines; `FOLDER` in them is its own folder, which `prepare` may fill.
    pub async fn start(lines: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let port = free_port();
        let lines = lines.replace("FOLDER", folder.path().to_str().unwrap());
        let config = format!("listener {port} 127.0.0.1\npersistence false\nuser root\nlog_type error\n{lines}\n");
        std::fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
        let child = Command::new(tool("mosquitto"))
            .arg("-c")
            .arg(folder.path().join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let broker = Self { child, port, folder };
        for _ in 0..400 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return broker;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("mosquitto does not listen");
    }

    /// Open to all.
    pub async fn open() -> Self {
        Self::start("allow_anonymous true", |_| ()).await
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Adds a user to a password file.
pub fn add_user(file: &Path, user: &str, password: &str) {
    let mut command = Command::new(tool("mosquitto_passwd"));
    if !file.exists() {
        command.arg("-c");
    }
    assert!(command.arg("-b").arg(file).args([user, password]).status().unwrap().success());
}

pub fn config(port: u16) -> MqttConfig {
    MqttConfig {
        host: "127.0.0.1".to_owned(),
        port,
        tls: None,
        username: None,
        password: None,
        client_id: "wattkeeper-x".to_owned(),
        topic_prefix: "wattkeeper/x".to_owned(),
        keep_alive: Duration::from_secs(5),
        telemetry_qos: 1,
    }
}

pub fn decision(serial: u64) -> Decision {
    Decision {
        serial,
        at: Moment::default(),
        standing: Standing::NotControlling("the grid meter is silent".to_owned()),
        outcome: Outcome::None { reason: format!("decision {serial}") },
        bounds: Vec::new(),
        range: (Watts::new(f64::NEG_INFINITY), Watts::new(f64::INFINITY)),
        demand: None,
        inputs: Vec::new(),
        setpoints: Vec::new(),
    }
}

/// The gateway's MQTT side, running.
pub struct Gateway {
    pub outbox: Arc<Outbox>,
    pub status: Arc<MqttStats>,
    pub snapshot: watch::Sender<Arc<Snapshot>>,
    pub decision: watch::Sender<Arc<Decision>>,
    pub stop: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Gateway {
    pub fn start(config: MqttConfig) -> Self {
        let outbox = Outbox::new(MemoryStore::new(16 << 20));
        let status = Arc::new(MqttStats::default());
        let (snapshot, snapshot_rx) = watch::channel(Arc::new(Snapshot::default()));
        let (decision, decision_rx) = watch::channel(Arc::new(decision(0)));
        let stop = CancellationToken::new();
        let retry = Retry {
            first: Duration::from_millis(20),
            most: Duration::from_millis(200),
            taken_over: Duration::from_secs(600),
            steady: Duration::from_secs(10),
        };
        let task = tokio::spawn(wattkeeper::mqtt::run(MqttPorts {
            config,
            capacities: Capacities::new(),
            retry,
            clock: Clock::system(),
            outbox: outbox.clone(),
            snapshot: snapshot_rx,
            decision: decision_rx,
            status: status.clone(),
            stop: stop.clone(),
        }));
        Self { outbox, status, snapshot, decision, stop, task }
    }

    /// Appends records whose payload is their sequence number.
    pub fn append(&self, topic: &str, count: usize) {
        for _ in 0..count {
            self.outbox.append(topic.into(), |sequence| sequence.to_string().into());
        }
    }

    /// Waits until something holds; panics when it does not come to hold.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..2000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}; last error {:?}, {:?}", self.status.last_error(), self.outbox);
    }

    pub async fn until_empty(&self) {
        self.until("the store is empty", |gateway| gateway.outbox.stats().records == 0).await;
    }

    /// The error that the status comes to show.
    pub async fn until_error(&self, part: &str) -> String {
        let has = |gateway: &Self| gateway.status.last_error().is_some_and(|error| error.contains(part));
        self.until(part, has).await;
        self.status.last_error().unwrap_or_default()
    }

    /// Clean end, within its bound.
    pub async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.task).await.expect("it ends").unwrap();
    }
}
