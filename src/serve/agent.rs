//! The agent: a small process that holds vault keys for a while. Nothing depends on it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::keys::{Keys, Now};
use crate::domain::agent_protocol::{self as protocol, Failure, Request, Response, SOCKET};
use crate::system::{
    Clock, SystemClock, Timed, UnsafePath, check_private_dir, check_socket, own_uid, peer_uid,
};

/// How long one connection may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How many connections are served at once; more are closed.
const MAX_CONNECTIONS: usize = 64;

/// How long the agent waits for its first key.
const FIRST_KEY: Duration = Duration::from_secs(30);

/// Longest sleep. A sleep does not count the time in which the machine slept; the keys' time does.
const WAKE: Duration = Duration::from_secs(5);

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
    let mut command = Command::new(exe);
    command.arg("agent-process").arg(runtime_dir).current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(Error::NotStarted)?;
    wait_for(&runtime_dir.join(SOCKET), &mut child)
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
        let socket = runtime_dir.join(SOCKET);
        if socket.as_os_str().as_bytes().len() >= MAX_PATH {
            return Err(Error::TooLong(socket));
        }
        make_dir(runtime_dir)?;
        let only = only_one(runtime_dir)?;
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

/// What the connections share.
struct Shared {
    keys: Mutex<Keys>,
    connections: AtomicUsize,
    /// Whether a key has ever come.
    used: AtomicBool,
    /// Ends the sleep of the thread that accepts.
    waker: UnixStream,
}

impl Shared {
    fn new(waker: UnixStream) -> Self {
        Self { keys: Mutex::default(), connections: AtomicUsize::new(0), used: AtomicBool::new(false), waker }
    }

    /// Whether there is a key, a request, or still hope for the first key.
    fn is_needed(&self, start: Duration, now: Now) -> bool {
        let mut keys = self.keys();
        keys.expire(now);
        keys.next_end(now).is_some()
            || self.connections.load(Ordering::SeqCst) > 0
            || (!self.used.load(Ordering::SeqCst) && now.uptime.saturating_sub(start) < FIRST_KEY)
    }

    fn sleep(&self, now: Now) -> Duration {
        self.keys().next_end(now).map_or(WAKE, |end| end.min(WAKE))
    }

    /// Takes a place among the connections, if one is free.
    fn enter(&self) -> bool {
        let more = |count| (count < MAX_CONNECTIONS).then_some(count + 1);
        self.connections.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    fn leave(&self) {
        self.connections.fetch_sub(1, Ordering::SeqCst);
        // A full pipe wakes as well.
        let _ = (&self.waker).write(&[0]);
    }

    fn serve(&self, stream: &UnixStream, now: impl Fn() -> Now) {
        if let Err(error) = self.talk(stream, now) {
            // Only its kind: what was received is repeated nowhere.
            log::debug!("a request came to nothing: {error}");
        }
        self.leave();
    }

    /// One request, one answer.
    fn talk(&self, stream: &UnixStream, now: impl Fn() -> Now) -> Result<(), protocol::Error> {
        // Some systems hand down that the listener does not wait.
        stream.set_nonblocking(false)?;
        let mut timed = Timed::new(stream, LIMIT);
        let response = match protocol::read(&mut timed) {
            Ok(request) => self.keys().answer(request, now()),
            Err(protocol::Error::Garbage | protocol::Error::Version { .. }) => {
                Response::Failure { reason: Failure::NotUnderstood }
            }
            Err(error) => return Err(error),
        };
        if let Response::Held { .. } = response {
            self.used.store(true, Ordering::SeqCst);
        }
        protocol::write(&mut timed, &response)
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        // No key is half held, whatever happened to the thread that had them.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
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

fn make_dir(dir: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Error::Socket { path: dir.to_owned(), source });
        }
        _ => {}
    }
    Ok(check_private_dir(dir)?)
}

/// The lock that one agent holds as long as it lives. Its file is never removed: two could then
/// hold a lock of that name.
fn only_one(dir: &Path) -> Result<File, Error> {
    let path = dir.join("agent.lock");
    let failed = |source| Error::Socket { path: path.clone(), source };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    let file = options.open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Running),
        Err(TryLockError::Error(source)) => Err(failed(source)),
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
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use secrecy::{ExposeSecret, SecretString};

    use super::*;
    use crate::domain::{KeyId, VaultId};

    /// A machine whose clocks stand until a test moves them.
    #[derive(Default)]
    struct StillMachine(Mutex<Duration>);

    impl StillMachine {
        fn sleep_for(&self, seconds: u64) {
            *self.0.lock().unwrap() += Duration::from_secs(seconds);
        }
    }

    impl Uptime for StillMachine {
        fn uptime(&self) -> Duration {
            *self.0.lock().unwrap()
        }
    }

    impl Clock for StillMachine {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(1_800_000_000).unwrap() + self.uptime()
        }
    }

    struct Fixture {
        dir: tempfile::TempDir,
        machine: Arc<StillMachine>,
        agent: Option<thread::JoinHandle<()>>,
    }

    impl Fixture {
        fn start() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let agent = Agent::bind(&dir.path().join("vault")).unwrap();
            let machine = Arc::new(StillMachine::default());
            let clock = Arc::clone(&machine);
            let agent = thread::spawn(move || agent.serve(&*clock, &*clock));
            Self { dir, machine, agent: Some(agent) }
        }

        fn socket(&self) -> PathBuf {
            self.dir.path().join("vault").join(SOCKET)
        }

        fn stream(&self) -> UnixStream {
            let stream = UnixStream::connect(self.socket()).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream
        }

        fn ask(&self, request: &Request) -> Response {
            let stream = self.stream();
            protocol::write(&stream, request).unwrap();
            protocol::read(&stream).unwrap()
        }

        fn hold(&self, seconds: u64) {
            let key = SecretString::from("canary");
            let response = self.ask(&Request::Hold { vault: vault(), kid: kid(), key, seconds });
            assert!(matches!(response, Response::Held { .. }), "{response:?}");
        }

        fn get(&self) -> Option<String> {
            match self.ask(&Request::Get { vault: vault(), kid: kid() }) {
                Response::Key(key) => Some(key.expose_secret().to_owned()),
                _ => None,
            }
        }

        fn forget(&self) {
            self.ask(&Request::Drop { vault: None });
        }

        fn ends(&mut self) {
            self.agent.take().unwrap().join().unwrap();
            assert!(!self.socket().exists());
        }
    }

    fn vault() -> VaultId {
        VaultId::from_bytes([1; 16])
    }

    fn kid() -> KeyId {
        KeyId::from_bytes([2; 16])
    }

    #[test]
    fn a_key_that_is_held_can_be_had_until_it_is_dropped_and_then_the_agent_ends() {
        let mut agent = Fixture::start();
        agent.hold(60);

        assert_eq!(agent.get().as_deref(), Some("canary"));
        agent.forget();
        agent.ends();
    }

    #[test]
    fn a_key_is_gone_when_the_machine_wakes_after_its_time() {
        let mut agent = Fixture::start();
        agent.hold(60);

        agent.machine.sleep_for(61);

        assert_eq!(agent.get(), None);
        agent.ends();
    }

    #[test]
    fn the_socket_is_ours_alone() {
        let mut agent = Fixture::start();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;

        assert_eq!(mode(&agent.socket()), 0o600);
        assert_eq!(mode(agent.socket().parent().unwrap()), 0o700);
        agent.hold(1);
        agent.forget();
        agent.ends();
    }

    #[test]
    fn a_second_agent_is_refused_and_a_dead_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault");
        let first = Agent::bind(&path).unwrap();
        let second = Agent::bind(&path);

        assert!(matches!(second, Err(Error::Running)));
        assert!(answers_nobody(&first));
        drop(first);
        assert!(path.join(SOCKET).exists(), "a killed agent leaves its socket");
        assert!(Agent::bind(&path).is_ok());
    }

    /// Whether a connection can still be made to the agent, which does not serve yet.
    fn answers_nobody(agent: &Agent) -> bool {
        UnixStream::connect(&agent.socket).is_ok()
    }

    #[test]
    fn what_is_in_the_way_and_no_dead_socket_of_ours_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault");
        DirBuilder::new().mode(0o700).create(&path).unwrap();
        std::fs::write(path.join(SOCKET), "precious").unwrap();

        assert!(matches!(Agent::bind(&path), Err(Error::Unsafe(UnsafePath::Kind { .. }))));
        assert_eq!(std::fs::read(path.join(SOCKET)).unwrap(), b"precious");
    }

    #[test]
    fn a_directory_that_others_can_enter_or_that_is_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (open, link) = (dir.path().join("open"), dir.path().join("link"));
        DirBuilder::new().mode(0o700).create(&open).unwrap();
        std::fs::set_permissions(&open, Permissions::from_mode(0o750)).unwrap();
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();

        assert!(matches!(Agent::bind(&open), Err(Error::Unsafe(UnsafePath::Open(_)))));
        assert!(matches!(Agent::bind(&link), Err(Error::Unsafe(UnsafePath::Kind { .. }))));
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_named() {
        let path = PathBuf::from("/tmp").join("x".repeat(MAX_PATH));

        assert!(matches!(Agent::bind(&path), Err(Error::TooLong(_))));
    }

    #[test]
    fn garbage_is_answered_without_being_repeated_and_harms_nobody() {
        let mut agent = Fixture::start();
        agent.hold(60);
        let frame = |version: u8, body: &[u8]| {
            let mut bytes = u32::try_from(body.len() + 1).unwrap().to_be_bytes().to_vec();
            bytes.push(version);
            bytes.extend_from_slice(body);
            bytes
        };
        let garbage = [
            vec![0, 0, 0, 0],
            vec![0xff; 5],
            (256 * 1024 + 1_u32).to_be_bytes().to_vec(),
            frame(1, br#"{"canary":{}}"#),
            frame(1, br#""status" "status""#),
            frame(1, br#"{"get":{"vault":"canary","kid":"x"}}"#),
            frame(1, b"\xff\xfe"),
            frame(1, b""),
            frame(9, br#""status""#),
        ];

        for bytes in garbage {
            let stream = agent.stream();
            (&stream).write_all(&bytes).unwrap();
            let mut answer = Vec::new();
            let _ = (&stream).read_to_end(&mut answer);
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.contains("not_understood"), "{answer}");
            assert!(!answer.contains("canary"), "{answer}");
        }

        assert_eq!(agent.get().as_deref(), Some("canary"));
        agent.forget();
        agent.ends();
    }

    #[test]
    fn silent_and_broken_connections_keep_nobody_waiting() {
        let mut agent = Fixture::start();
        agent.hold(60);

        let silent: Vec<UnixStream> = (0..MAX_CONNECTIONS - 1).map(|_| agent.stream()).collect();
        (&silent[0]).write_all(&[0, 0]).unwrap();
        for _ in 0..10 {
            protocol::write(agent.stream(), &Request::Status).unwrap();
        }
        let start = Instant::now();
        while agent.stream().peek_is_closed() {
            assert!(start.elapsed() < Duration::from_secs(10), "the agent does not recover");
        }

        assert_eq!(agent.get().as_deref(), Some("canary"));
        drop(silent);
        agent.forget();
        agent.ends();
    }

    trait PeekIsClosed {
        fn peek_is_closed(&self) -> bool;
    }

    impl PeekIsClosed for UnixStream {
        /// Asks for the status; closed if there is no answer.
        fn peek_is_closed(&self) -> bool {
            protocol::write(self, &Request::Status).is_err() || protocol::read::<Response>(self).is_err()
        }
    }
}
