//! A user whose vault key is held by the process of `vault unlock`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::home::{Home, Run};

/// A home with a vault, whose agent ends with it.
pub struct Holder {
    /// The home.
    pub home: Home,
}

impl Holder {
    /// A home with a new vault.
    pub fn new() -> Self {
        let home = Home::new();
        home.run(&["init"]).expect_code(0);
        Self { home }
    }

    /// A home that has a vault.
    pub fn of(home: Home) -> Self {
        Self { home }
    }

    /// `vault unlock` for this long.
    pub fn unlock(&self, time: &str) -> Run {
        self.home.run(&["unlock", "--for", time])
    }

    /// A command that needs the vault key and asks nobody.
    pub fn verify(&self) -> Run {
        self.home.run(&["verify", "--no-input"])
    }

    /// Takes away what else would unlock.
    pub fn hide_identity(&self) {
        std::fs::rename(self.home.path("identity.txt"), self.home.path("hidden.txt")).unwrap();
    }

    /// When the key will be forgotten.
    pub fn held_until(&self) -> String {
        let status: Value = serde_json::from_str(&self.home.run(&["unlocked", "--json"]).answer()).unwrap();
        status["held_until"].as_str().unwrap().to_owned()
    }

    /// The path of the socket.
    pub fn socket(&self) -> PathBuf {
        self.home.path("run/vault").join(vault::domain::agent_protocol::SOCKET)
    }

    /// The process id of the agent: the process that names our runtime directory.
    pub fn agent(&self) -> Option<String> {
        let folder = self.home.path("run/vault");
        let is_ours = |id: &String| {
            let call = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let mut words = call.split(|byte| *byte == 0).skip(1);
            words.next() == Some(b"agent-process") && words.next() == folder.to_str().map(str::as_bytes)
        };
        let processes = std::fs::read_dir("/proc").unwrap();
        processes.filter_map(|entry| entry.unwrap().file_name().into_string().ok()).find(is_ours)
    }

    /// Kills the agent, which cannot tidy up then.
    pub fn kill_agent(&self) {
        let id = self.agent().expect("the agent runs");
        kill(&id).unwrap();
        wait_until("the agent to be gone", || self.agent().is_none());
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if let Some(id) = self.agent() {
            // It may have ended by itself since.
            let _ = kill(&id);
        }
    }
}

fn kill(id: &str) -> rustix::io::Result<()> {
    kill_process(Pid::from_raw(id.parse().unwrap()).unwrap(), Signal::KILL)
}

/// Waits until it is so; fails after a time that no machine needs.
#[track_caller]
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
