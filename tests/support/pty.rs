//! A serial cable: a pty pair by socat, which can be pulled out and put in again.

#![allow(dead_code)]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::process::eventually;

pub struct Cable {
    folder: tempfile::TempDir,
    socat: Option<Child>,
}

impl Cable {
    pub fn new() -> Self {
        let mut cable = Self { folder: tempfile::tempdir().unwrap(), socat: None };
        cable.plug();
        cable
    }

    /// The daemon's end.
    pub fn ours(&self) -> PathBuf {
        self.folder.path().join("ours")
    }

    /// The devices' end.
    pub fn theirs(&self) -> PathBuf {
        self.folder.path().join("theirs")
    }

    pub fn plug(&mut self) {
        let end = |path: PathBuf| format!("pty,raw,echo=0,link={}", path.display());
        let socat = Command::new("socat").args([end(self.ours()), end(self.theirs())]).stderr(Stdio::null()).spawn();
        self.socat = Some(socat.expect("install socat"));
        eventually("the cable is in", || (self.ours().exists() && self.theirs().exists()).then_some(()));
    }

    /// Both ends hang up, and their device files are gone.
    pub fn pull(&mut self) {
        let Some(mut socat) = self.socat.take() else { return };
        let _ = socat.kill();
        let _ = socat.wait();
        let _ = std::fs::remove_file(self.ours());
        let _ = std::fs::remove_file(self.theirs());
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.pull();
    }
}
