//! The agent's connections: one request, one answer each, all on the same keys.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::keys::{Keys, Now};
use crate::domain::agent_protocol::{self as protocol, Failure, Response};
use crate::system::Timed;

/// How long one connection may take.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// How many connections are served at once; more are closed.
pub(super) const MAX_CONNECTIONS: usize = 64;

/// How long the agent waits for its first key.
const FIRST_KEY: Duration = Duration::from_secs(30);

/// Longest sleep. A sleep does not count the time in which the machine slept; the keys' time does.
const WAKE: Duration = Duration::from_secs(5);

/// What the connections share.
pub(super) struct Shared {
    keys: Mutex<Keys>,
    connections: AtomicUsize,
    /// Whether a key has ever come.
    used: AtomicBool,
    /// Ends the sleep of the thread that accepts.
    waker: UnixStream,
}

impl Shared {
    pub(super) fn new(waker: UnixStream) -> Self {
        Self { keys: Mutex::default(), connections: AtomicUsize::new(0), used: AtomicBool::new(false), waker }
    }

    /// Whether there is a key, a request, or still hope for the first key.
    pub(super) fn is_needed(&self, start: Duration, now: Now) -> bool {
        let mut keys = self.keys();
        keys.expire(now);
        keys.next_end(now).is_some()
            || self.connections.load(Ordering::SeqCst) > 0
            || (!self.used.load(Ordering::SeqCst) && now.uptime.saturating_sub(start) < FIRST_KEY)
    }

    pub(super) fn sleep(&self, now: Now) -> Duration {
        self.keys().next_end(now).map_or(WAKE, |end| end.min(WAKE))
    }

    /// Takes a place among the connections, if one is free.
    pub(super) fn enter(&self) -> bool {
        let more = |count| (count < MAX_CONNECTIONS).then_some(count + 1);
        self.connections.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    pub(super) fn leave(&self) {
        self.connections.fetch_sub(1, Ordering::SeqCst);
        // A full pipe wakes as well.
        let _ = (&self.waker).write(&[0]);
    }

    pub(super) fn serve(&self, stream: &UnixStream, now: impl Fn() -> Now) {
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
