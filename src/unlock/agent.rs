//! Asking the process that holds the vault key for a while.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::domain::agent_protocol::{self as protocol, Failure, Held, Request, Response};
use crate::domain::{KeyId, VaultId};
use crate::seal::VaultKey;

/// How long the agent may take for one request.
#[cfg(unix)]
const LIMIT: Duration = Duration::from_secs(2);

/// Why the agent could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody else may have put the socket there.
    #[cfg(unix)]
    #[error("the agent's socket is not trusted")]
    Unsafe(#[from] crate::system::UnsafePath),
    /// The process at the other end belongs to somebody else.
    #[error("the agent's socket is served by another user ({uid})")]
    Stranger {
        /// That user.
        uid: u32,
    },
    /// The agent failed, or is of another version.
    #[error("the agent cannot be talked with")]
    Protocol(#[from] protocol::Error),
    /// The agent does not want to.
    #[error(transparent)]
    Refused(Failure),
    /// The answer belongs to another question.
    #[error("the agent's answer makes no sense")]
    Answer,
    /// The agent ended a moment ago.
    #[error("the agent is not running any more")]
    Gone,
}

/// An agent that answers.
#[derive(Debug)]
pub struct Client {
    #[cfg(unix)]
    socket: std::path::PathBuf,
    #[cfg(not(unix))]
    never: std::convert::Infallible,
}

impl Client {
    /// The key of a vault, if it is held.
    ///
    /// # Errors
    ///
    /// If the agent cannot be asked. The key is not yet known to be the right one.
    pub fn get(&self, vault: &VaultId, kid: &KeyId) -> Result<Option<SecretString>, Error> {
        match self.ask(&Request::Get { vault: vault.clone(), kid: kid.clone() })? {
            Response::Key(key) => Ok(Some(key)),
            Response::Nothing => Ok(None),
            other => Err(unexpected(&other)),
        }
    }

    /// Gives the agent a key to hold for `time`; returns until when.
    ///
    /// # Errors
    ///
    /// If the agent cannot be asked, or the time is less than a second or more than 31 days.
    pub fn hold(&self, vault: &VaultId, key: &VaultKey, time: Duration) -> Result<Timestamp, Error> {
        let request = Request::Hold {
            vault: vault.clone(),
            kid: key.id(vault),
            key: key.to_identity_file(),
            seconds: time.as_secs(),
        };
        match self.ask(&request)? {
            Response::Held { until } => Ok(until),
            other => Err(unexpected(&other)),
        }
    }

    /// Makes the agent forget the key of one vault, or all. It ends when it holds none.
    ///
    /// # Errors
    ///
    /// If the agent cannot be asked.
    pub fn forget(&self, vault: Option<&VaultId>) -> Result<(), Error> {
        match self.ask(&Request::Drop { vault: vault.cloned(), kid: None })? {
            Response::Nothing => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Makes the agent forget one key of a vault.
    ///
    /// # Errors
    ///
    /// If the agent cannot be asked.
    pub fn forget_key(&self, vault: &VaultId, kid: &KeyId) -> Result<(), Error> {
        match self.ask(&Request::Drop { vault: Some(vault.clone()), kid: Some(kid.clone()) })? {
            Response::Nothing => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Which keys are held.
    ///
    /// # Errors
    ///
    /// If the agent cannot be asked.
    pub fn status(&self) -> Result<Vec<Held>, Error> {
        match self.ask(&Request::Status)? {
            Response::Status { vaults } => Ok(vaults),
            other => Err(unexpected(&other)),
        }
    }
}

#[cfg(unix)]
mod unix {
    use std::io::ErrorKind;
    use std::os::unix::net::UnixStream;
    use std::path::Path;

    use super::{Client, Error, LIMIT, Request, Response, protocol};
    use crate::system::{Timed, UnsafePath, check_private_dir, check_socket, own_uid, peer_uid};

    impl Client {
        /// The agent whose socket lies in `runtime_dir`; none if there is none, or only the socket
        /// of a dead one.
        ///
        /// # Errors
        ///
        /// If the directory, the socket or the process behind it belongs to somebody else.
        pub fn connect(runtime_dir: &Path) -> Result<Option<Self>, Error> {
            let socket = runtime_dir.join(protocol::SOCKET);
            match check_socket(&socket) {
                Err(UnsafePath::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                    return Ok(None);
                }
                other => other?,
            }
            check_private_dir(runtime_dir)?;
            let client = Self { socket };
            match client.stream() {
                Ok(_) => Ok(Some(client)),
                Err(Error::Gone) => Ok(None),
                Err(error) => Err(error),
            }
        }

        /// A connection to a process of ours. The kernel says whose it is, before a byte is sent.
        fn stream(&self) -> Result<UnixStream, Error> {
            let stream = UnixStream::connect(&self.socket).map_err(|error| match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => Error::Gone,
                _ => Error::Protocol(error.into()),
            })?;
            let uid = peer_uid(&stream).map_err(protocol::Error::Io)?;
            if uid == own_uid() { Ok(stream) } else { Err(Error::Stranger { uid }) }
        }

        pub(super) fn ask(&self, request: &Request) -> Result<Response, Error> {
            let stream = self.stream()?;
            let mut timed = Timed::new(&stream, LIMIT);
            let answer = protocol::write(&mut timed, request).and_then(|()| protocol::read(&mut timed));
            answer.map_err(|error| if is_end(&error) { Error::Gone } else { error.into() })
        }
    }

    /// Whether it ended while we were in its queue. At what point we notice is chance: before we have
    /// written, while it has not read that, or afterwards.
    fn is_end(error: &protocol::Error) -> bool {
        match error {
            protocol::Error::Closed => true,
            protocol::Error::Io(error) => {
                matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
            }
            _ => false,
        }
    }
}

#[cfg(not(unix))]
impl Client {
    /// The agent needs a Unix socket: there is none on this platform.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn connect(_runtime_dir: &std::path::Path) -> Result<Option<Self>, Error> {
        Ok(None)
    }

    fn ask(&self, _: &Request) -> Result<Response, Error> {
        match self.never {}
    }
}

fn unexpected(response: &Response) -> Error {
    match response {
        Response::Failure { reason } => Error::Refused(*reason),
        _ => Error::Answer,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::{Path, PathBuf};
    use std::thread;

    use secrecy::ExposeSecret;

    use super::*;
    use crate::system::UnsafePath;

    fn runtime_dir() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault");
        std::fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        (dir, path)
    }

    /// An agent that gives the same answer to the first `count` requests.
    fn answer(dir: &Path, count: usize, answer: fn() -> Response) {
        let listener = UnixListener::bind(dir.join(protocol::SOCKET)).unwrap();
        thread::spawn(move || {
            let mut answered = 0;
            while answered < count {
                let (stream, _) = listener.accept().unwrap();
                if protocol::read::<Request>(&stream).is_ok() {
                    protocol::write(&stream, &answer()).unwrap();
                    answered += 1;
                }
            }
        });
    }

    fn ids() -> (VaultId, KeyId) {
        (VaultId::from_bytes([1; 16]), KeyId::from_bytes([2; 16]))
    }

    #[test]
    fn no_socket_and_the_socket_of_a_dead_agent_are_no_agent() {
        let (_keep, dir) = runtime_dir();

        assert!(Client::connect(&dir).unwrap().is_none());
        drop(UnixListener::bind(dir.join(protocol::SOCKET)).unwrap());
        assert!(Client::connect(&dir).unwrap().is_none());
        assert!(Client::connect(&dir.join("missing")).unwrap().is_none());
    }

    #[test]
    fn the_agent_gives_the_key_that_it_holds() {
        let (_keep, dir) = runtime_dir();
        answer(&dir, 1, || Response::Key(SecretString::from("canary")));
        let (vault, kid) = ids();

        let key = Client::connect(&dir).unwrap().unwrap().get(&vault, &kid).unwrap().unwrap();

        assert_eq!(key.expose_secret(), "canary");
    }

    #[test]
    fn an_answer_to_another_question_and_a_refusal_are_errors() {
        let (_keep, dir) = runtime_dir();
        answer(&dir, 2, || Response::Failure { reason: Failure::Time });
        let (vault, kid) = ids();
        let client = Client::connect(&dir).unwrap().unwrap();

        assert!(matches!(client.get(&vault, &kid), Err(Error::Refused(Failure::Time))));
        assert!(matches!(client.status(), Err(Error::Refused(Failure::Time))));
        assert!(matches!(client.status(), Err(Error::Gone)));
    }

    #[test]
    fn a_socket_where_others_can_put_one_is_not_trusted() {
        let (_keep, dir) = runtime_dir();
        let _listener = UnixListener::bind(dir.join(protocol::SOCKET)).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).unwrap();

        assert!(matches!(Client::connect(&dir), Err(Error::Unsafe(UnsafePath::Open(_)))));
    }

    #[test]
    fn a_link_and_a_file_in_place_of_the_socket_are_not_trusted() {
        let (_keep, dir) = runtime_dir();
        let socket = dir.join(protocol::SOCKET);
        let _listener = UnixListener::bind(dir.join("real")).unwrap();
        symlink(dir.join("real"), &socket).unwrap();

        assert!(matches!(Client::connect(&dir), Err(Error::Unsafe(UnsafePath::Kind { .. }))));
        std::fs::remove_file(&socket).unwrap();
        std::fs::write(&socket, "").unwrap();
        assert!(matches!(Client::connect(&dir), Err(Error::Unsafe(UnsafePath::Kind { .. }))));
    }
}
