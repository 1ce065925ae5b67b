//! Waits on this machine for the browser to come back (RFC 8252, 7.3).
//!
//! The default redirect URI is `http://127.0.0.1:PORT/`, on a port that the system chooses. The path
//! is the plain root: Google's downloaded clients say `http://localhost`, and there are providers
//! that allow any port on this machine but compare the path (RFC 8252, 7.3 frees the port only).
//! An unguessable path would keep nobody out who could not guess the state as well; the state and
//! the verifier guard the flow. Who wants another path registers it and names the redirect URI.

mod connection;
mod head;
mod page;
mod socket;

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::Error;
use super::authorization::Flow;
use crate::domain::RedirectUri;
use crate::system::{Seats, http};
use socket::Sockets;

pub use crate::system::http::Refusal;
pub use head::judge;
pub use page::Outcome;

/// How many browsers may talk to us at once. More of them push out the one that has been silent for
/// longest, so that nobody can keep the right one waiting.
const MAX_CONNECTIONS: usize = 16;

/// How often the listener looks for new connections, the deadline and a cancel. Short enough that
/// nobody notices, long enough to cost nothing.
const TICK: Duration = Duration::from_millis(20);

/// Ends a wait from elsewhere: another thread, or a signal handler.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Ends the wait, also one that begins later.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits for nothing but that, until `deadline`.
    ///
    /// # Errors
    ///
    /// Always: [`Error::Cancelled`], or [`Error::TimedOut`].
    pub fn wait(&self, deadline: Instant) -> Result<Callback, Error> {
        while !self.is_cancelled() {
            if Instant::now() >= deadline {
                return Err(Error::TimedOut);
            }
            thread::sleep(TICK);
        }
        Err(Error::Cancelled)
    }

    /// The flag itself, for `signal_hook::flag::register`.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// A port on this machine that is open for one login. Dropping it closes the port.
#[derive(Debug)]
pub struct Listener {
    sockets: Sockets,
    redirect_uri: RedirectUri,
}

/// The browser has come back.
#[derive(Debug)]
pub struct Callback {
    /// The code, or why there is none.
    pub answer: Result<SecretString, Error>,
    /// The browser, which waits to be told how it ended.
    pub responder: Responder,
}

impl Listener {
    /// Opens the port: exactly that of `redirect`, or any free one if there is none, or if its port
    /// is 0.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] if `redirect` is not plain HTTP on this machine. [`Error::Listen`] if its port
    /// is taken: another port would not be the one that is registered.
    pub fn bind(redirect: Option<&RedirectUri>) -> Result<Self, Error> {
        let (sockets, redirect_uri) = match redirect {
            Some(redirect) => socket::fixed(redirect)?,
            None => socket::anywhere()?,
        };
        Ok(Self { sockets, redirect_uri })
    }

    /// Where the browser must be sent back to.
    pub fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    /// Waits for the answer to `flow`. Whatever else comes gets an error page and changes nothing.
    /// The port is closed when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] at `deadline`, [`Error::Cancelled`] after [`Cancel::cancel`].
    pub fn wait(self, flow: &Flow, deadline: Instant, cancel: &Cancel) -> Result<Callback, Error> {
        let open = Seats::new(MAX_CONNECTIONS);
        thread::scope(|scope| {
            let result = self.accept_until(flow, deadline, cancel, &open, scope);
            open.close_all();
            result
        })
    }

    fn accept_until<'scope>(
        &'scope self,
        flow: &'scope Flow,
        deadline: Instant,
        cancel: &Cancel,
        open: &'scope Seats,
        scope: &'scope thread::Scope<'scope, '_>,
    ) -> Result<Callback, Error> {
        let (sender, arrivals) = mpsc::channel();
        loop {
            for stream in self.sockets.accept() {
                let Some(seat) = open.admit(&stream) else { continue };
                let sender = sender.clone();
                let serve = move || {
                    // Sent after the seat is given up, so that closing the others does not close this one.
                    let callback = connection::serve(stream, flow);
                    drop(seat);
                    if let Some(callback) = callback {
                        // Whoever comes second is dropped here, and told nothing in particular.
                        let _ = sender.send(callback);
                    }
                };
                // Without a thread the connection is dropped, and the browser tries again.
                let _ = thread::Builder::new().spawn_scoped(scope, serve);
            }
            match arrivals.recv_timeout(TICK) {
                Ok(callback) => return Ok(callback),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            if Instant::now() >= deadline {
                return Err(Error::TimedOut);
            }
        }
    }
}

/// A browser that waits to be told how its login ended. Dropped without a word, it says that the
/// terminal knows.
#[derive(Debug)]
pub struct Responder {
    stream: Option<TcpStream>,
}

impl Responder {
    fn new(stream: TcpStream) -> Self {
        Self { stream: Some(stream) }
    }

    /// Shows the last page. Call it once the login is saved, or has failed for good.
    pub fn finish(mut self, outcome: &Outcome) {
        self.show(&page::last(outcome));
    }

    fn show(&mut self, reply: &[u8]) {
        if let Some(stream) = self.stream.take() {
            http::reply(stream, reply);
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.show(&page::neutral());
    }
}

#[cfg(test)]
mod tests;
