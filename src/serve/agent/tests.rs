//! The agent over a real socket, on a machine whose clocks stand still.

use std::io::Write;
use std::sync::{Arc, Mutex};

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

    fn instant(&self) -> Instant {
        unreachable!("the agent measures time by the uptime of the machine")
    }

    fn sleep(&self, _: Duration) {
        unreachable!("the agent sleeps while the machine stands still")
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
        self.ask(&Request::Drop { vault: None, kid: None });
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
fn more_connections_than_can_be_served_are_closed_until_one_ends() {
    let mut agent = Fixture::start();
    agent.hold(60);
    // The connection of the request above may not have been counted out yet.
    thread::sleep(Duration::from_millis(50));

    let mut silent: Vec<UnixStream> = (0..MAX_CONNECTIONS).map(|_| agent.stream()).collect();
    let one_more = is_answered(&agent.stream());
    silent.clear();
    let start = Instant::now();
    while !is_answered(&agent.stream()) {
        assert!(start.elapsed() < Duration::from_secs(10), "the agent does not recover");
    }

    assert!(!one_more);
    thread::sleep(Duration::from_millis(50));
    agent.forget();
    agent.ends();
}

#[test]
fn a_client_that_leaves_in_the_middle_harms_nobody() {
    let mut agent = Fixture::start();
    agent.hold(60);

    for bytes in [&b""[..], &[0], &[0, 0, 0, 50, 1], b"\0\0\0\x09\x01\"status\""] {
        (&agent.stream()).write_all(bytes).unwrap();
    }

    assert_eq!(agent.get().as_deref(), Some("canary"));
    agent.forget();
    agent.ends();
}

fn is_answered(stream: &UnixStream) -> bool {
    protocol::write(stream, &Request::Status).is_ok() && protocol::read::<Response>(stream).is_ok()
}
