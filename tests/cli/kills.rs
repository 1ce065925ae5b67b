//! A command that is killed at every system call it makes, from the first that touches the vault on.
//!
//! strace numbers calls by name and thread, and the threads share the names. So the main thread is
//! traced alone, where it can be met at each of its calls; the helper threads are met at those calls
//! that the main thread has not made as often before. What was really met stands in strace's log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::expiry::Snapshot;
use crate::home::{Home, Run, VAULT};
use crate::injection::is_there;

/// Where a call is looked for that was not met: the main thread wakes a helper by a `write` only if
/// that sleeps already, and this shifts the numbers of the writes that follow.
const SHIFTS: [isize; 9] = [0, 1, -1, 2, 0, 1, -1, 2, -2];

/// Calls that change what others can see: files, what was sent, and what a server learns of a reader. Locks
/// are none: they go with the process that has taken them.
const CHANGES: [&str; 18] = [
    "openat",
    "open",
    "mkdir",
    "write",
    "ftruncate",
    "fsync",
    "fdatasync",
    "rename",
    "renameat2",
    "rmdir",
    "unlink",
    "chmod",
    "connect",
    "writev",
    "sendto",
    "recvfrom",
    "shutdown",
    "exit_group",
];

/// The folders of a home that a command writes to.
const FOLDERS: [&str; 3] = ["data", "state", "cache"];

/// A command, and the state in which each of its runs begins.
pub struct Subject<'a> {
    /// Whose command it is.
    pub home: &'a Home,
    /// Its arguments.
    pub arguments: &'a [&'a str],
    /// Makes the state in which each run begins.
    pub prepare: &'a dyn Fn(),
    /// Runs it to its end.
    pub run: fn(Command, &[&str]) -> Run,
}

/// How a command is run that asks nobody.
pub fn alone(mut command: Command, arguments: &[&str]) -> Run {
    Run::of(arguments, command.output().unwrap())
}

/// How a command is run whose user consents.
pub fn with_consent(command: Command, arguments: &[&str]) -> Run {
    Home::consent_to(command, arguments)
}

/// What tells the states apart that kills leave: which files and folders there are, which files have another
/// content than `before`, and which of them were made and not yet written. What is random makes no other state:
/// ids, and what is sealed.
pub fn outline(before: &Snapshot, home: &Home) -> BTreeSet<(String, bool, bool)> {
    let now = Snapshot::of(home);
    let files = now.files.iter().map(|(path, bytes)| {
        let is_written = bytes.iter().any(|byte| *byte != 0);
        (path, before.get(path) != Some(bytes.as_slice()), is_written)
    });
    let folders = now.folders.iter().map(|path| (path, false, false));
    let name = |part: &std::ffi::OsStr| without_ids(part.to_str().unwrap());
    files
        .chain(folders)
        .map(|(path, is_new, is_written)| {
            (path.iter().map(name).collect::<Vec<_>>().join("/"), is_new, is_written)
        })
        .collect()
}

/// One call of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// Whether the main thread makes it.
    pub is_main: bool,
    /// The system call.
    pub name: String,
    /// Counted from 1, for each thread and name on its own.
    pub number: usize,
    /// The file in the home that it touches, with `*` for every id.
    pub file: Option<String>,
    /// Counted from 1, for each thread, name and file on its own.
    pub number_at_file: usize,
    /// Whether it changes what is outside of the process.
    pub is_change: bool,
}

/// What a kill loop has done.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many runs were killed.
    pub killed: usize,
    /// How many calls of the helper threads cannot be told from calls of the main thread.
    pub hidden: usize,
}

impl Subject<'_> {
    /// Kills a run at each of its calls, and hands over what is left; `None` where strace does not
    /// work.
    pub fn kill_everywhere(&self, after: impl FnMut(&Step)) -> Option<Tally> {
        self.kill_where(|_| true, after)
    }

    /// The same at the calls that change what is outside of the process, and at its end. A kill at any
    /// other call leaves what the kill at the next one of these leaves.
    pub fn kill_at_changes(&self, after: impl FnMut(&Step)) -> Option<Tally> {
        self.kill_where(|step| step.is_change, after)
    }

    fn kill_where(&self, which: impl Fn(&Step) -> bool, mut after: impl FnMut(&Step)) -> Option<Tally> {
        if !is_there() {
            return None;
        }
        let mut steps = self.steps();
        steps.retain(which);
        let mut tally = Tally::default();
        let mut missing: BTreeSet<Step> = steps.iter().filter(|step| step.file.is_some()).cloned().collect();
        for step in &steps {
            if !step.is_main && is_hidden(step, &steps) {
                assert_eq!(step.file, None, "a helper thread touches the vault");
                tally.hidden += 1;
                continue;
            }
            self.kill_at(step, &mut missing, &mut tally, &mut after);
        }
        for shift in SHIFTS {
            for step in missing.clone() {
                let number = step.number.saturating_add_signed(shift).max(1);
                self.kill_at(&Step { number, ..step }, &mut missing, &mut tally, &mut after);
            }
        }
        assert!(missing.is_empty(), "never met: {missing:#?}");
        Some(tally)
    }

    /// The calls of a good run, from the first that touches the vault directory on.
    fn steps(&self) -> Vec<Step> {
        (self.prepare)();
        let run = (self.run)(self.strace(&["-f", "-e", "trace=all"]), self.arguments);
        let _ = run.expect_code(0);
        let steps = parse(&self.log(), self.home);
        let vault = "data/vault";
        let begin =
            steps.iter().position(|step| step.file.as_ref().is_some_and(|file| file.starts_with(vault)));
        steps[begin.expect("every command looks at the vault")..].to_vec()
    }

    fn kill_at(
        &self,
        step: &Step,
        missing: &mut BTreeSet<Step>,
        tally: &mut Tally,
        after: &mut impl FnMut(&Step),
    ) {
        (self.prepare)();
        let trace = format!("trace={}", step.name);
        let inject = format!("inject={}:signal=KILL:when={}", step.name, step.number);
        let threads: &[&str] = if step.is_main { &[] } else { &["-f"] };
        let run =
            (self.run)(self.strace(&[threads, &["-e", &trace, "-e", &inject]].concat()), self.arguments);

        if run.code != 128 + 9 {
            // Threads wake one another up as often as it happens to be necessary.
            assert_eq!(run.code, 0, "{step:?}: {run:?}");
            return;
        }
        tally.killed += 1;
        if let Some(mut met) = parse(&self.log(), self.home).pop() {
            // In a log of few calls nobody can tell which thread came first.
            met.is_main = step.is_main;
            missing.retain(|it| !is_same(it, &met));
        }
        after(step);
    }

    fn strace(&self, options: &[&str]) -> Command {
        let mut command = Command::new("strace");
        self.home.prepare(&mut command);
        command.args(["-qq", "-y", "-s", "0", "-o"]).arg(self.home.path("trace")).args(options);
        command.arg(VAULT).args(self.arguments);
        command
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.path("trace")).unwrap()
    }
}

/// The number is that of its name and so may differ; the one at the file may not.
fn is_same(wanted: &Step, met: &Step) -> bool {
    let what = |step: &Step| (step.is_main, step.name.clone(), step.file.clone(), step.number_at_file);
    what(wanted) == what(met)
}

/// Whether the main thread makes a call of the same name and number before.
fn is_hidden(helper: &Step, steps: &[Step]) -> bool {
    let before = steps.iter().take_while(|step| *step != helper);
    before.filter(|step| step.is_main && step.name == helper.name).any(|step| step.number >= helper.number)
}

/// The calls in a log of strace, in order.
fn parse(log: &str, home: &Home) -> Vec<Step> {
    let mut counts = BTreeMap::<(Option<&str>, &str, Option<String>), usize>::new();
    let mut main = None;
    let mut steps = Vec::new();
    for line in log.lines() {
        let (thread, call) = split_thread(line);
        // A call that was resumed was counted when it began; a signal is no call.
        let Some((name, rest)) = call.split_once('(') else { continue };
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            continue;
        }
        main = main.or(Some(thread));
        let file = file_in(rest, home.path("").to_str().unwrap());
        let mut count = |file| {
            let count = counts.entry((thread, name, file)).or_default();
            *count += 1;
            *count
        };
        let number = count(None);
        let number_at_file = file.clone().map_or(0, |file| count(Some(file)));
        let (is_main, is_change, name) = (main == Some(thread), is_change(name, rest), name.to_owned());
        steps.push(Step { is_main, name, number, file, number_at_file, is_change });
    }
    steps
}

/// Whether a call with these arguments changes what is outside of the process. To open a file that is there
/// does not, and neither does a `write` that wakes a thread.
fn is_change(name: &str, arguments: &str) -> bool {
    let is_idle = match name {
        "open" | "openat" => !arguments.contains("O_CREAT") && !arguments.contains("O_TRUNC"),
        "write" => arguments.contains("<anon_inode:"),
        _ => false,
    };
    CHANGES.contains(&name) && !is_idle
}

/// With `-f`, each line begins with the id of its thread.
fn split_thread(line: &str) -> (Option<&str>, &str) {
    match line.split_once(' ') {
        Some((thread, call)) if thread.bytes().all(|b| b.is_ascii_digit()) => {
            (Some(thread), call.trim_start())
        }
        _ => (None, line),
    }
}

/// The first file below `home` that the arguments of a call name, or that a descriptor stands for.
fn file_in(arguments: &str, home: &str) -> Option<String> {
    let start = arguments.find(home)? + home.len();
    let path = arguments[start..].split(['"', '>']).next()?;
    if !FOLDERS.iter().any(|folder| path.starts_with(folder)) {
        return None;
    }
    let path = Path::new(path).components().map(|part| without_ids(part.as_os_str().to_str().unwrap()));
    Some(path.collect::<Vec<_>>().join("/"))
}

/// Ids are random, and 32 hex digits long.
fn without_ids(name: &str) -> String {
    let is_id = |part: &str| part.len() == 32 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let parts = name.split_inclusive(['.', '-']);
    parts
        .map(|part| {
            let bare = part.trim_end_matches(['.', '-']);
            if is_id(bare) { part.replace(bare, "*") } else { part.to_owned() }
        })
        .collect()
}
