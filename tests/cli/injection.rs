//! strace, which lets a system call of the real program be its last, or fail.
//!
//! `inject=SYSCALL:FATE:when=N` meets the Nth call of this name. strace counts for each thread on
//! its own, and only the calls that it looks at: with [`Tracer::at`] those that touch certain files,
//! so that the numbers do not depend on anything else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::expiry::{beside, second, state_dir};
use crate::home::{Home, Run, VAULT};
use crate::outside::leave_out;

/// strace around the program in one home.
pub struct Tracer<'a> {
    home: &'a Home,
    calls: String,
    paths: Vec<PathBuf>,
}

/// The `number`th call of this `name` that the tracer looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The system call.
    pub name: String,
    /// Counted from 1, for each name on its own.
    pub number: usize,
}

/// What befalls a call, and which ones.
#[derive(Clone, Copy, Debug)]
pub struct Fate<'a> {
    /// In strace's words: `signal=KILL`, `error=EIO`, `retval=7`.
    pub what: &'a str,
    /// Whether all later calls of the same name meet it too.
    pub lasts: bool,
}

impl Fate<'static> {
    /// The process ends at the beginning of the call, which is not carried out.
    pub const KILL: Self = Self { what: "signal=KILL", lasts: false };
}

impl<'a> Tracer<'a> {
    /// Looks at these calls: names with commas between them, or `all`.
    pub fn new(home: &'a Home, calls: &str) -> Self {
        Self { home, calls: calls.to_owned(), paths: Vec::new() }
    }

    /// Looks only at calls that touch one of these files, which need not exist yet.
    pub fn at(self, paths: Vec<PathBuf>) -> Self {
        Self { paths, ..self }
    }

    /// Runs the program to its good end and gives back the lines of strace, each `TID CALL(…) = …`;
    /// `None` on a machine where strace does not work, which is a failure where nothing may be left
    /// out.
    pub fn trace(&self, options: &[&str], arguments: &[&str]) -> Option<Vec<String>> {
        if !is_there() {
            return None;
        }
        let trace = self.home.path("trace");
        let mut command = self.strace();
        command.args(options).arg("-o").arg(&trace).arg(VAULT).args(arguments);
        let _ = Run::of(arguments, command.output().unwrap()).expect_code(0);
        Some(std::fs::read_to_string(trace).unwrap().lines().map(str::to_owned).collect())
    }

    /// Every call that the program makes with these arguments.
    pub fn calls(&self, arguments: &[&str]) -> Option<Vec<Call>> {
        let mut counts = BTreeMap::<_, usize>::new();
        for line in self.trace(&[], arguments)? {
            *counts.entry(name(&line)?.to_owned()).or_default() += 1;
        }
        let numbered = |(name, count): (String, usize)| {
            (1..=count).map(move |number| Call { name: name.clone(), number })
        };
        Some(counts.into_iter().flat_map(numbered).collect())
    }

    /// Runs the program, in which this call meets its fate.
    #[must_use = "say what is expected of it"]
    pub fn run(&self, call: &Call, fate: Fate<'_>, arguments: &[&str]) -> Run {
        Run::of(arguments, self.command(call, fate, arguments).output().unwrap())
    }

    /// The same with the lines of strace, in which descriptors have the names of their files.
    pub fn run_traced(&self, call: &Call, fate: Fate<'_>, arguments: &[&str]) -> (Run, Vec<String>) {
        let mut command = self.traced(&["-e", &inject(call, fate)], arguments);
        (Run::of(arguments, command.output().unwrap()), self.lines())
    }

    /// The program, not started yet, whose calls will be in [`Self::lines`] with the names of files.
    pub fn traced(&self, options: &[&str], arguments: &[&str]) -> Command {
        let mut command = self.strace();
        command.arg("-y").args(options).arg("-o").arg(self.home.path("trace")).arg(VAULT).args(arguments);
        command
    }

    /// What strace has written of the last program that was traced.
    pub fn lines(&self) -> Vec<String> {
        let trace = std::fs::read_to_string(self.home.path("trace")).unwrap();
        trace.lines().map(str::to_owned).collect()
    }

    /// The same, not started yet.
    pub fn command(&self, call: &Call, fate: Fate<'_>, arguments: &[&str]) -> Command {
        let mut command = self.strace();
        command.args(["-o", "/dev/null", "-e", &inject(call, fate), VAULT]).args(arguments);
        command
    }

    fn strace(&self) -> Command {
        let mut command = Command::new("strace");
        self.home.prepare(&mut command);
        command.args(["-f", "-qq", "-e", &format!("trace={}", self.calls)]);
        for path in &self.paths {
            command.arg("-P").arg(path);
        }
        command
    }
}

fn inject(call: &Call, fate: Fate<'_>) -> String {
    let from = if fate.lasts { "+" } else { "" };
    format!("inject={}:{}:when={}{from}", call.name, fate.what, call.number)
}

/// Whether strace works on this machine. That it does not is a failure where nothing may be left out.
pub fn is_there() -> bool {
    if Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status().is_ok_and(|it| it.success()) {
        return true;
    }
    leave_out("strace does not work here");
    false
}

/// The system call of a line of strace.
pub fn name(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(' ')?.1.trim_start().split_once('(')?;
    Some(name)
}

/// Every file that a refresh of `work` reads or writes, and its lock; some are not there yet.
pub fn files_of_the_grant(home: &Home) -> Vec<PathBuf> {
    let (beside, second, document) = (beside(home), second(home), home.profile("work"));
    let id = serde_json::from_slice::<Value>(&std::fs::read(&document).unwrap()).unwrap()["id"].clone();
    let of_id = |folder: &Path, end: &str| folder.join(format!("{}{end}", id.as_str().unwrap()));
    let (marks, cache) = (state_dir(home).join("marks"), home.files("cache").pop().unwrap());
    let cache = cache.parent().unwrap();
    vec![
        of_id(&home.vault_dir().join("locks"), ".lock"),
        beside.parent().unwrap().to_owned(),
        second.parent().unwrap().to_owned(),
        beside,
        second,
        document,
        of_id(&marks, ".json"),
        state_dir(home).join("fact.tmp"),
        of_id(cache, ".json"),
        of_id(cache, ".json.tmp"),
    ]
}
