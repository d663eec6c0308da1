//! The daemon as a user has it: a process with a config file, asked over HTTP, told by signals.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// Longest wait for anything that must happen; a test never waits without it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon. Killed when dropped.
pub struct Daemon {
    child: Child,
    /// Its folder: config, state.
    pub folder: PathBuf,
    log: Arc<Mutex<String>>,
    http: Option<SocketAddr>,
}

impl Daemon {
    /// Starts `wattkeeper run` on this config in `folder` and waits until it says that it runs.
    pub fn start(folder: &Path, config: &str) -> Self {
        let path = folder.join("wattkeeper.toml");
        std::fs::write(&path, config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_wattkeeper"))
            .args(["run", "--log", "text", "--config"])
            .arg(&path)
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()), log.clone());
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let mut daemon = Self { child, folder: folder.to_owned(), log, http: None };
        let said = eventually("the daemon runs", || {
            daemon.log().lines().find(|line| line.contains("runs") && line.contains("http=")).map(str::to_owned)
        });
        let address = said.split("http=Some(").nth(1).and_then(|rest| rest.split(')').next()?.parse().ok());
        daemon.http = address;
        daemon
    }

    /// All that it logged.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Where it serves HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http.expect("the config has HTTP on")
    }

    /// The body of a page.
    pub fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.http()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// `/api/v1/state`.
    pub fn state(&self) -> Value {
        serde_json::from_str(&self.get("/api/v1/state")).unwrap()
    }

    /// One value of /metrics, by the whole text before it.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let metrics = self.get("/metrics");
        metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    /// Waits until control is in a state; returns its reason.
    pub fn wait_for_control(&self, wanted: &str) -> String {
        eventually(&format!("control is {wanted}"), || {
            let state = self.state();
            let control = state.get("control")?;
            (control.get("state")?.as_str()? == wanted)
                .then(|| control.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned())
        })
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the daemon ends", || self.child.try_wait().unwrap())
    }

    /// SIGTERM, and its end.
    pub fn stop(mut self) -> (ExitStatus, String) {
        self.signal("TERM");
        let status = self.wait();
        (status, self.log())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the daemon's log\n{}", self.log());
        }
    }
}

/// Asks again and again until there is an answer.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let step = Duration::from_millis(20);
    for _ in 0..PATIENCE.as_millis() / step.as_millis() {
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::sleep(step);
    }
    panic!("not within {PATIENCE:?}: {what}");
}
