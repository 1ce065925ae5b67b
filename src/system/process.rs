//! Our own process: who has started it, kept from being dumped, or replaced by another program.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Command;

/// Why a program could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot run {program:?}")]
pub struct Error {
    /// What was to be run.
    pub program: OsString,
    /// Why it was not.
    #[source]
    pub source: io::Error,
}

/// The limit on core dumps before [`harden`], for the programs that we start.
#[cfg(unix)]
static CORE_LIMIT: std::sync::OnceLock<rustix::process::Rlimit> = std::sync::OnceLock::new();

/// Forbids core dumps and reading our memory.
///
/// This is not perfect protection: root, and whatever runs as the same user before this call, can
/// still look. It closes a door. A platform that refuses is not an error.
#[cfg(unix)]
pub fn harden() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let before = *CORE_LIMIT.get_or_init(|| getrlimit(Resource::Core));
    let none = Rlimit { current: Some(0), maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Core, none) {
        log::debug!("core dumps could not be forbidden: {error}");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        log::debug!("the process could not be made undumpable: {error}");
    }
}

/// Forbids core dumps where the platform has them.
#[cfg(not(unix))]
pub fn harden() {}

/// Becomes `command`: same process id, same terminal, same signals. Returns only on failure.
#[cfg(unix)]
pub fn replace_process(mut command: Command) -> Error {
    use std::os::unix::process::CommandExt;

    give_back_core_limit();
    let source = command.exec();
    Error { program: command.get_program().to_owned(), source }
}

/// Gives a program that follows the user's own limit on core dumps: ours is for our secrets. One system call,
/// no memory.
#[cfg(unix)]
pub(super) fn give_back_core_limit() {
    if let Some(limit) = CORE_LIMIT.get() {
        let _ = rustix::process::setrlimit(rustix::process::Resource::Core, *limit);
    }
}

/// Runs `command` and ends with its status, where the platform cannot replace a process.
#[cfg(not(unix))]
#[expect(clippy::exit, reason = "the status of the child is ours, as after an exec")]
pub fn replace_process(mut command: Command) -> Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(source) => Error { program: command.get_program().to_owned(), source },
    }
}

/// The process that has started us, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Its number; none if it lives where we cannot see it, as outside of our container.
    pub pid: Option<u32>,
    /// Its executable; or its name, which it can choose itself, in brackets if the executable may not be known.
    pub program: Option<PathBuf>,
    /// The number of the user as whom we run.
    pub user: Option<u32>,
}

/// Who has started us. Costs two or three system calls.
///
/// A process whose parent has ended belongs to whoever takes care of orphans.
pub fn asker() -> Asker {
    let pid = parent();
    Asker { pid, program: pid.and_then(program), user: user() }
}

#[cfg(unix)]
fn parent() -> Option<u32> {
    rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs())
}

#[cfg(unix)]
fn user() -> Option<u32> {
    Some(super::Disk::user(&super::SystemDisk))
}

#[cfg(not(unix))]
fn parent() -> Option<u32> {
    None
}

#[cfg(not(unix))]
fn user() -> Option<u32> {
    None
}

/// The executable. That of a process which is another user's, or does not let itself be read, is not told:
/// then what it calls itself.
#[cfg(target_os = "linux")]
fn program(pid: u32) -> Option<PathBuf> {
    let executable = std::fs::read_link(format!("/proc/{pid}/exe"));
    executable.ok().or_else(|| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(format!("[{}]", name.trim_end()).into())
    })
}

#[cfg(not(target_os = "linux"))]
fn program(_: u32) -> Option<PathBuf> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn a_hardened_process_leaves_no_core_and_cannot_be_read() {
        harden();

        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
