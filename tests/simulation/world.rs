//! One machine with its processes, of which one runs at a time: who goes on is drawn at every request
//! to the disk, the network or the clock.

use std::io;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;

use crate::commands::Keyring;
use crate::disk::Disk;
use crate::fate::{Act, Fate, Verdict};
use crate::keys::Keys;
use crate::ledger::Ledger;
use crate::server::Server;

/// Most processes at one time.
pub(crate) const MOST: usize = 6;

/// Where the documents are.
const VAULT: &str = "/home/vault";

/// Where the lock files of the vault are.
const LOCKS: &str = "/home/vault/locks";

/// How long one request to the system takes.
const TICK: Duration = Duration::from_micros(50);

/// Thrown through a process that is killed.
pub(crate) struct Killed;

/// Everything that is simulated.
pub(crate) struct World {
    pub(crate) state: Mutex<State>,
    turns: [Condvar; MOST],
}

pub(crate) struct State {
    pub(crate) random: Rng,
    pub(crate) disk: Disk,
    pub(crate) keyring: Keyring,
    pub(crate) server: Server,
    pub(crate) ledger: Ledger,
    /// Time since the beginning, which does not go back.
    pub(crate) time: Duration,
    /// How far the clock on the wall is off, in seconds.
    pub(crate) wall_offset: i64,
    /// Whether it was ever set.
    pub(crate) clock_was_set: bool,
    /// How likely it is that another process goes on.
    pub(crate) restlessness: f32,
    /// How likely it is that the network or the server does something odd.
    pub(crate) trouble: f32,
    /// What has happened, for people.
    pub(crate) trace: Vec<String>,
    processes: Vec<Process>,
    running: usize,
    opened: u64,
}

struct Process {
    fate: Fate,
    is_killed: bool,
    is_done: bool,
    wakes_at: Duration,
}

impl State {
    pub(crate) fn new(random: Rng, disk: Disk, server: Server) -> Self {
        Self {
            random,
            disk,
            keyring: Keyring::default(),
            server,
            ledger: Ledger::default(),
            time: Duration::ZERO,
            wall_offset: 0,
            clock_was_set: false,
            restlessness: 0.0,
            trouble: 0.0,
            trace: Vec::new(),
            processes: Vec::new(),
            running: 0,
            opened: 0,
        }
    }

    /// A number for something that was opened.
    pub(crate) fn next_opened(&mut self) -> u64 {
        self.opened += 1;
        self.opened
    }

    pub(crate) fn note(&mut self, process: usize, what: &str) {
        let line = format!("{:>12.6} {process}: {what}", self.time.as_secs_f64());
        self.trace.push(line);
    }

    /// The keychain has other keys than before.
    pub(crate) fn keys_have_changed(&mut self) {
        if let Some(reader) = &mut self.ledger.reader {
            reader.keys = self.keyring.vault_keys().cloned().collect();
        }
        self.check_reach();
    }

    /// Another file stands at `path`, or none.
    pub(crate) fn has_changed(&mut self, path: &Path) {
        if path.starts_with(VAULT) && path.extension().is_some_and(|end| end == "json") {
            self.check_reach();
        }
    }

    /// At every moment everything opens with the keys that can be had, and would if the power failed now.
    pub(crate) fn check_reach(&mut self) {
        let Some(reader) = &self.ledger.reader else { return };
        if self.keyring.all_keys().len() < 2 {
            return;
        }
        let keys = Keys { vault: &reader.vault, keyring: &self.keyring };
        let lost = keys.out_of_reach(self.disk.seen()).or_else(|| keys.out_of_reach(self.disk.durable()));
        if let Some(lost) = lost {
            self.ledger.violated(lost);
        }
    }

    /// Nothing that is about to be replaced comes back under an older key.
    pub(crate) fn check_succession(&mut self, from: &Path, to: &Path) {
        let Some(reader) = self.ledger.reader.as_ref().filter(|_| to.starts_with(VAULT)) else { return };
        let content = |path| Some(self.disk.content(self.disk.open(path).ok()?));
        let (Some(old), Some(new)) = (content(to), content(from)) else { return };
        if (Keys { vault: &reader.vault, keyring: &self.keyring }).goes_back(old, new) {
            self.ledger.violated(format!("{} goes back to an older key", to.display()));
        }
    }

    /// A rotation says that it is through.
    pub(crate) fn check_rotated(&mut self) {
        let Some(reader) = &self.ledger.reader else { return };
        let keys = Keys { vault: &reader.vault, keyring: &self.keyring };
        let may_be_left = self.ledger.has_keychain_failed;
        let in_keychain = || if may_be_left { None } else { keys.left_in_keychain(self.disk.seen()) };
        if let Some(left) = keys.left_undone(self.disk.seen()).or_else(in_keychain) {
            self.ledger.violated(format!("rotated, and {left}"));
        }
    }

    /// What happens to `process` at `act`.
    fn judge(&mut self, process: usize, act: &Act<'_>) -> Verdict {
        let answered = self.ledger.acts_since_answer(process);
        let verdict = self.processes[process].fate.judge(act, answered);
        // Those who wait try again and again.
        if !matches!(act, Act::Lock(_) | Act::OpenLock(_)) || verdict != Verdict::Pass {
            self.note(process, &format!("{act}{}", verdict.describe()));
        }
        self.ledger.count_act(process, act, self.time);
        if matches!(verdict, Verdict::Fail(_) | Verdict::Lie) {
            self.ledger.has_failed(process, act, verdict);
        }
        verdict
    }

    /// Who goes on after `process`, which may have nothing more to do.
    fn choose(&mut self, process: usize) -> Option<usize> {
        let lives = |state: &Self, number: usize| !state.processes[number].is_done;
        let earliest = (0..self.processes.len())
            .filter(|number| lives(self, *number))
            .map(|number| self.processes[number].wakes_at)
            .min()?;
        self.time = self.time.max(earliest);
        let awake: Vec<usize> = (0..self.processes.len())
            .filter(|number| lives(self, *number) && self.processes[*number].wakes_at <= self.time)
            .collect();
        if awake.contains(&process) && self.random.f32() >= self.restlessness {
            return Some(process);
        }
        Some(awake[self.random.usize(..awake.len())])
    }

    fn kill(&mut self, process: usize) {
        self.end(process);
        self.ledger.killed(process, &self.disk);
    }

    /// Whatever is running ends, and the disk has what a power loss leaves.
    pub(crate) fn lose_power(&mut self) {
        let mut random = Rng::with_seed(self.random.u64(..));
        self.ledger.power_fails(&self.disk);
        self.disk.lose_power(&mut random);
        self.ledger.power_is_back(&self.disk);
        self.check_reach();
        for process in 0..self.processes.len() {
            if !self.processes[process].is_done {
                self.end(process);
                self.ledger.lost_power(process, &self.disk);
            }
        }
    }

    fn end(&mut self, process: usize) {
        let process = &mut self.processes[process];
        process.is_killed = true;
        process.wakes_at = Duration::ZERO;
    }
}

impl World {
    pub(crate) fn new(state: State) -> Self {
        Self { state: Mutex::new(state), turns: Default::default() }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Prepares a round of as many processes as there are fates.
    pub(crate) fn begin(&self, fates: Vec<Fate>) {
        let mut state = self.state();
        assert!(fates.len() <= MOST);
        state.processes = fates
            .into_iter()
            .map(|fate| Process { fate, is_killed: false, is_done: false, wakes_at: Duration::ZERO })
            .collect();
        let count = state.processes.len();
        let first = state.random.usize(..count);
        state.running = first;
    }

    /// Waits until it is the turn of `process` for the first time.
    pub(crate) fn join(&self, process: usize) {
        drop(self.wait(process, self.state()));
    }

    /// `process` has ended; somebody else goes on.
    pub(crate) fn leave(&self, process: usize) {
        let mut state = self.state();
        state.processes[process].is_done = true;
        if let Some(next) = state.choose(process) {
            state.running = next;
            self.turns[next].notify_one();
        }
    }

    /// Lets the others have their turn, then goes on with `process`, unless it was killed.
    fn turn(&self, process: usize) -> MutexGuard<'_, State> {
        let mut state = self.state();
        let next = state.choose(process).expect("this one is alive");
        if next != process {
            state.running = next;
            self.turns[next].notify_one();
            state = self.wait(process, state);
        }
        state.time += TICK;
        if state.processes[process].is_killed {
            drop(state);
            die();
        }
        state
    }

    fn wait<'a>(&self, process: usize, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.turns[process].wait_while(state, |state| state.running != process).unwrap()
    }

    /// Lets `time` pass for `process`.
    pub(crate) fn sleep(&self, process: usize, time: Duration) {
        let mut state = self.state();
        state.processes[process].wakes_at = state.time + time;
        drop(state);
        drop(self.turn(process));
    }

    /// One request of `process` to the system. `act` does it, as a whole or as far as one gets that
    /// fails.
    pub(crate) fn step<R>(
        &self,
        process: usize,
        act: Act<'_>,
        work: impl FnOnce(&mut State, Extent) -> io::Result<R>,
    ) -> io::Result<R> {
        if std::thread::panicking() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let mut state = self.turn(process);
        let verdict = state.judge(process, &act);
        match verdict {
            Verdict::Pass => work(&mut state, Extent::Whole),
            Verdict::Lie => work(&mut state, Extent::Part),
            Verdict::DeleteLocks => {
                state.disk.remove_all_in(Path::new(LOCKS));
                work(&mut state, Extent::Whole)
            }
            Verdict::Stall(time) => {
                state.processes[process].wakes_at = state.time + time;
                drop(state);
                work(&mut self.turn(process), Extent::Whole)
            }
            Verdict::Fail(error) => {
                let _ = work(&mut state, Extent::Failed);
                Err(error.into())
            }
            Verdict::Kill => {
                let _ = work(&mut state, Extent::Part);
                state.kill(process);
                drop(state);
                die()
            }
            Verdict::LosePower => {
                let _ = work(&mut state, Extent::Part);
                state.lose_power();
                drop(state);
                die()
            }
        }
    }
}

/// How far a request to the system gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// Some of it, or nothing: nobody is left to be told.
    Part,
    /// The same, and whoever has asked is told.
    Failed,
}

fn die() -> ! {
    std::panic::resume_unwind(Box::new(Killed))
}
