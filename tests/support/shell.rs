//! wattkeeper as a user calls it: arguments in, exit code and two streams out.

#![allow(dead_code, reason = "each test uses its part")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longest wait for anything that must happen; a test never waits without it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a command came to.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// The command, not yet started: nothing on standard input, no systemd around it.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wattkeeper"));
    command.args(arguments).stdin(Stdio::null()).env_remove("NOTIFY_SOCKET").env_remove("STATE_DIRECTORY");
    command.env("COLUMNS", "100");
    command
}

/// Runs it to its end.
pub fn wattkeeper(arguments: &[&str]) -> Said {
    let output = command(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs it with a reader that leaves after the first line, as `| head -1` does, or before any with `lines` = 0.
pub fn head(arguments: &[&str], lines: usize) -> Said {
    let mut child = command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::with_capacity(1, child.stdout.take().unwrap());
    let mut out = String::new();
    for _ in 0..lines {
        reader.read_line(&mut out).unwrap();
    }
    drop(reader);
    let (code, err) = ended(child);
    Said { code, out, err }
}

/// Waits for a child's end; its exit code and standard error.
pub fn ended(mut child: Child) -> (Option<i32>, String) {
    let step = Duration::from_millis(20);
    for _ in 0..PATIENCE.as_millis() / step.as_millis() {
        if let Some(status) = child.try_wait().unwrap() {
            let mut err = String::new();
            if let Some(mut stream) = child.stderr.take() {
                stream.read_to_string(&mut err).unwrap();
            }
            return (status.code(), err);
        }
        std::thread::sleep(step);
    }
    let _ = child.kill();
    panic!("it did not end within {PATIENCE:?}");
}

/// Sends a signal by name.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}
