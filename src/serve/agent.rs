//! The agent: a small process that holds vault keys for a while. Nothing depends on it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::connections::{LIMIT, MAX_CONNECTIONS, Shared};
use super::keys::Now;
use crate::domain::agent_protocol::{self as protocol, Request, Response, SOCKET};
use crate::system::{
    Clock, SystemClock, Timed, UnsafePath, check_private_dir, check_socket, own_uid, peer_uid,
};

/// How long a new agent may take until it answers.
const START: Duration = Duration::from_secs(5);

/// Longest path of a socket in bytes, one of which ends it: `sun_path` in unix(7).
const MAX_PATH: usize = if cfg!(target_os = "linux") { 108 } else { 104 };

/// Why there is no agent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody else could be in the way.
    #[error("the agent's socket has no safe place")]
    Unsafe(#[from] UnsafePath),
    /// The system's limit for the path of a socket.
    #[error("{} is too long for a socket: at most {} bytes", .0.display(), MAX_PATH - 1)]
    TooLong(PathBuf),
    /// There is one already.
    #[error("an agent is running already")]
    Running,
    /// The socket could not be made.
    #[error("cannot make the agent's socket {}", path.display())]
    Socket {
        /// The file that could not be made.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The process could not be started.
    #[error("the agent cannot be started")]
    NotStarted(#[source] io::Error),
    /// The process ended at once.
    #[error("the agent ended at once ({0})")]
    Ended(ExitStatus),
    /// The process did not begin to answer.
    #[error("the agent did not answer within {} seconds", START.as_secs())]
    Silent,
}

/// Says how long the machine has been running.
pub trait Uptime: Send + Sync {
    /// Since the start of the machine, its sleep included. Never goes back.
    fn uptime(&self) -> Duration;
}

/// The clock of the machine that counts its sleep too.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemUptime;

impl Uptime for SystemUptime {
    fn uptime(&self) -> Duration {
        // On macOS the monotonic clock goes on while the machine sleeps; on Linux that is another one.
        #[cfg(target_os = "linux")]
        const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

        let time = rustix::time::clock_gettime(CLOCK);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

/// Starts `exe agent-process RUNTIME_DIR`, detached, and waits until it answers. Both paths are absolute.
///
/// # Errors
///
/// If it does not start, or does not answer within five seconds. That another agent is running
/// already is fine.
pub fn spawn(exe: &Path, runtime_dir: &Path) -> Result<(), Error> {
    let socket = place(runtime_dir)?;
    let mut command = Command::new(exe);
    command.arg("agent-process").arg(runtime_dir).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(Error::NotStarted)?;
    wait_for(&socket, &mut child)
}

fn wait_for(socket: &Path, child: &mut Child) -> Result<(), Error> {
    let deadline = Instant::now() + START;
    loop {
        let ended = child.try_wait().map_err(Error::NotStarted)?;
        if answers(socket) {
            return Ok(());
        }
        if let Some(status) = ended {
            return Err(Error::Ended(status));
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::Silent);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn answers(socket: &Path) -> bool {
    let Ok(stream) = UnixStream::connect(socket) else { return false };
    let mut timed = Timed::new(&stream, START);
    protocol::write(&mut timed, &Request::Status).is_ok() && protocol::read::<Response>(&mut timed).is_ok()
}

/// Becomes the agent: returns when the last key has been forgotten.
///
/// # Errors
///
/// If the socket cannot be made, or another agent is running.
pub fn run(runtime_dir: &Path) -> Result<(), Error> {
    crate::system::harden();
    // Out of the session of the terminal, whose end would end us. That we lead one already is fine.
    let _ = rustix::process::setsid();
    Agent::bind(runtime_dir)?.serve(&SystemClock, &SystemUptime);
    Ok(())
}

/// An agent whose socket is there.
pub struct Agent {
    listener: UnixListener,
    socket: PathBuf,
    /// Held as long as we live: what says that there is only one.
    _only: File,
}

impl Agent {
    /// Makes the socket in `runtime_dir`, and the directory if it is missing.
    ///
    /// # Errors
    ///
    /// If the place is not safe, or another agent is running.
    pub fn bind(runtime_dir: &Path) -> Result<Self, Error> {
        let socket = place(runtime_dir)?;
        let only = only_one(&socket)?;
        remove_dead(&socket)?;
        let failed = |source| Error::Socket { path: socket.clone(), source };
        let listener = UnixListener::bind(&socket).map_err(failed)?;
        // Until here, the directory alone keeps others out.
        std::fs::set_permissions(&socket, Permissions::from_mode(0o600)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, socket, _only: only })
    }

    /// Serves until the last key has been forgotten, or none has come.
    pub fn serve(self, clock: &dyn Clock, uptime: &dyn Uptime) {
        let now = || Now { uptime: uptime.uptime(), wall: clock.now() };
        let (wake, waker) = match UnixStream::pair() {
            Ok(pair) => pair,
            Err(error) => return log::error!("the agent cannot wait for requests: {error}"),
        };
        for end in [&wake, &waker] {
            if let Err(error) = end.set_nonblocking(true) {
                return log::error!("the agent cannot wait for requests: {error}");
            }
        }
        let shared = Shared::new(waker);
        thread::scope(|scope| {
            let start = now().uptime;
            while shared.is_needed(start, now()) {
                wait(&self.listener, &wake, shared.sleep(now()));
                while let Some(stream) = self.accept(&shared) {
                    let shared = &shared;
                    let serve = move || shared.serve(&stream, now);
                    if let Err(error) = thread::Builder::new().spawn_scoped(scope, serve) {
                        log::warn!("a connection cannot be served: {error}");
                        shared.leave();
                    }
                }
            }
            // Nobody may come while we wait for the last ones.
            let _ = std::fs::remove_file(&self.socket);
        });
    }

    /// The next connection of ours; those of other users are closed before a byte is read.
    fn accept(&self, shared: &Shared) -> Option<UnixStream> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => {
                    log::warn!("a connection was lost: {error}");
                    // Without a free file descriptor the same would happen again at once.
                    thread::sleep(Duration::from_millis(50));
                    return None;
                }
            };
            match peer_uid(&stream) {
                Ok(uid) if uid == own_uid() => {}
                Ok(uid) => {
                    log::warn!("a connection of the user {uid} was refused");
                    continue;
                }
                Err(error) => {
                    log::warn!("a connection of an unknown user was refused: {error}");
                    continue;
                }
            }
            if shared.enter() {
                return Some(stream);
            }
            log::warn!("more than {MAX_CONNECTIONS} connections; one was closed");
        }
    }
}

/// Sleeps until somebody connects, a connection has ended, or the time is over.
fn wait(listener: &UnixListener, wake: &UnixStream, time: Duration) {
    let mut fds = [PollFd::new(listener, PollFlags::IN), PollFd::new(wake, PollFlags::IN)];
    // A millisecond more, so that what is due then is over.
    let time = Timespec::try_from(time + Duration::from_millis(1)).ok();
    if let Err(error) = poll(&mut fds, time.as_ref())
        && error != rustix::io::Errno::INTR
    {
        log::warn!("waiting for requests failed: {error}");
        thread::sleep(Duration::from_millis(50));
    }
    let mut bytes = [0; 256];
    while (&*wake).read(&mut bytes).is_ok_and(|count| count > 0) {}
}

/// Where the socket goes: a directory that only we may enter, made if it is missing.
fn place(dir: &Path) -> Result<PathBuf, Error> {
    let socket = dir.join(SOCKET);
    if socket.as_os_str().as_bytes().len() >= MAX_PATH {
        return Err(Error::TooLong(socket));
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Error::Socket { path: dir.to_owned(), source });
        }
        _ => {}
    }
    check_private_dir(dir)?;
    Ok(socket)
}

/// The lock that one agent holds as long as it lives. Its file is never removed: two could then
/// hold a lock of that name.
fn only_one(socket: &Path) -> Result<File, Error> {
    let path = socket.with_extension("lock");
    let failed = |source| Error::Socket { path: path.clone(), source };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    let file = options.open(&path).map_err(failed)?;
    let deadline = Instant::now() + LIMIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            // One that has removed its socket is about to end.
            Err(TryLockError::WouldBlock) if !socket.exists() && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => return Err(Error::Running),
        }
    }
}

/// Removes the socket of an agent that is dead, as the lock that we hold says, and was ours.
fn remove_dead(socket: &Path) -> Result<(), Error> {
    match check_socket(socket) {
        Err(UnsafePath::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    std::fs::remove_file(socket).map_err(|source| Error::Socket { path: socket.to_owned(), source })
}

#[cfg(test)]
mod tests;
