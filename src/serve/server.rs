//! One listener on this machine, for one profile.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::Desk;
use super::doors::{exchange, metadata, refresh};
use super::reply::Reply;
use super::teller::Teller;
use super::visit::{Denial, Pass, Route, Visit, Visitor};
use crate::domain::{Profile, ProfileName};
use crate::system::http::{self, Refusal};
use crate::system::{Clock, Seat, Seats, SystemClock, random_bytes};

/// How many visitors may sit here without having said what they want. More of them push out the one that has
/// been silent for longest, so that nobody can keep the others waiting.
const MAX_SILENT: usize = 64;

/// How many may wait for an answer.
const MAX_WAITING: usize = 512;

/// What whoever asks before sending its body waits for (RFC 9110, 15.2.1).
const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A port on this machine that is open for one profile. Dropping it closes the port.
pub struct Server {
    profile: ProfileName,
    listener: TcpListener,
    port: u16,
    pass: Pass,
    /// What is known of the profile before anybody asks.
    facts: Option<Profile>,
    is_stopped: AtomicBool,
}

impl Server {
    /// Opens `port` of 127.0.0.1, or any free one for 0, and makes the secret that must be brought there.
    ///
    /// # Errors
    ///
    /// If the port is taken, or there are no random numbers.
    pub fn bind(profile: ProfileName, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        let port = listener.local_addr()?.port();
        let pass = Pass(SecretString::from(hex::encode(random_bytes::<16>())));
        Ok(Self { profile, listener, port, pass, facts: None, is_stopped: AtomicBool::new(false) })
    }

    /// The same, with the verified facts of the profile: a program learns that somebody is here, and then why it
    /// gets no token, even if the vault is locked before the first of them asks.
    #[must_use]
    pub fn knowing(self, facts: Profile) -> Self {
        Self { facts: Some(facts), ..self }
    }

    /// Where a program renews a token that it was told to (RFC 6749, 6). It holds the secret.
    pub fn token_url(&self) -> SecretString {
        format!("http://127.0.0.1:{}/{}/token", self.port, self.secret().expose_secret()).into()
    }

    /// Whose tokens are given out here.
    pub fn profile(&self) -> &ProfileName {
        &self.profile
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The secret of this run: 128 random bits, in lower-case hexadecimal digits.
    pub fn secret(&self) -> &SecretString {
        &self.pass.0
    }

    /// Serves until [`Server::stop`]. An answer that is under way by then is still given; who waits for another
    /// one is told that it is too late.
    pub fn run(&self, desk: &dyn Desk) {
        self.run_by(desk, &SystemClock);
    }

    fn run_by(&self, desk: &dyn Desk, clock: &dyn Clock) {
        let hall = Hall {
            teller: Teller::new(desk, clock, self.profile.clone(), self.facts.clone(), &self.is_stopped),
            seats: Seats::new(MAX_SILENT),
            waiting: AtomicUsize::new(0),
        };
        thread::scope(|scope| {
            while let Some(stream) = self.next() {
                let hall = &hall;
                let serve = move || self.serve(stream, hall);
                // Without a thread the connection is dropped, and the program tries again.
                if let Err(error) = thread::Builder::new().spawn_scoped(scope, serve) {
                    log::warn!("a connection cannot be served: {error}");
                }
            }
            hall.seats.close_all();
        });
    }

    /// Ends [`Server::run`], also one that begins later.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        http::wake(&self.listener);
    }

    fn next(&self) -> Option<TcpStream> {
        loop {
            let accepted = self.listener.accept();
            if self.is_stopped.load(Ordering::SeqCst) {
                return None;
            }
            match accepted {
                Ok((stream, _)) => return Some(stream),
                Err(error) => {
                    log::warn!("a connection was lost: {error}");
                    // Without a free file descriptor the same would happen again at once.
                    thread::sleep(Duration::from_millis(50));
                }
            }
        }
    }

    /// One request, one reply, and the end.
    fn serve(&self, mut stream: TcpStream, hall: &Hall<'_>) {
        let mut seat = hall.seats.admit(&stream);
        if seat.is_none() {
            return;
        }
        let (label, reply, _place) = match self.attend(&mut stream, hall, &mut seat) {
            Ok(answer) => answer,
            Err(Some((refusal, why))) => ("refused", Reply::refused(refusal, why), None),
            Err(None) => return,
        };
        log::info!("{}: {label}: {}", self.profile, reply.status());
        http::reply(stream, &reply.bytes());
    }

    /// Hears what is wanted, gives up the seat for a place among those who wait, and answers.
    fn attend<'h>(
        &self,
        stream: &mut TcpStream,
        hall: &'h Hall<'_>,
        seat: &mut Option<Seat<'_>>,
    ) -> Result<(&'static str, Reply, Option<Place<'h>>), Option<Denial>> {
        let visitor = visitor(stream).map_err(|error| {
            log::debug!("{}: a connection of nobody knows whom was refused: {error}", self.profile);
            None
        })?;
        if let Visitor::Stranger(uid) = visitor {
            log::warn!("{}: a connection of the user {uid} was refused", self.profile);
            return Err(Some((Refusal::Forbidden, "this server is for another user")));
        }
        let received = http::read_head(stream).map_err(in_words)?;
        let mut fields = http::no_fields();
        let request = http::parse(received.head(), &mut fields).map_err(|refusal| in_words(Some(refusal)))?;
        let visit = Visit::of(&request, visitor, self.port, &self.pass)?;
        if visit.is_waiting && received.rest().is_empty() {
            stream.write_all(GO_ON).map_err(|_| None)?;
        }
        let body = http::read_body(stream, received.rest(), visit.length).map_err(in_words)?;
        *seat = None;
        let place = hall.enter().ok_or((Refusal::TooMany, "too many wait for an answer"))?;
        Ok((visit.route.label(), self.answer(&visit, &body, &hall.teller), Some(place)))
    }

    fn answer(&self, visit: &Visit<'_>, body: &[u8], teller: &Teller<'_>) -> Reply {
        match visit.route {
            Route::Ping => metadata::ping(visit),
            Route::Exchange => exchange::answer(teller, &self.pass, visit.format, body),
            Route::Refresh => refresh::answer(teller, visit.format, body),
            Route::Metadata(key) => metadata::answer(teller, visit, key),
        }
    }
}

/// What all visitors share.
struct Hall<'a> {
    teller: Teller<'a>,
    seats: Seats,
    waiting: AtomicUsize,
}

/// A place among those who wait for an answer, for as long as it is held.
struct Place<'a>(&'a AtomicUsize);

impl Hall<'_> {
    fn enter(&self) -> Option<Place<'_>> {
        let more = |count| (count < MAX_WAITING).then_some(count + 1);
        self.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(Place(&self.waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Who is at the other end, where the system says so.
#[cfg(unix)]
fn visitor(stream: &TcpStream) -> io::Result<Visitor> {
    Ok(match crate::system::tcp_peer_uid(stream)? {
        None => Visitor::Unknown,
        Some(uid) if uid == crate::system::own_uid() => Visitor::Ours,
        Some(uid) => Visitor::Stranger(uid),
    })
}

#[cfg(not(unix))]
fn visitor(_: &TcpStream) -> io::Result<Visitor> {
    Ok(Visitor::Unknown)
}

fn in_words(refusal: Option<Refusal>) -> Option<Denial> {
    let why = match refusal? {
        Refusal::Timeout => "the request did not arrive in time",
        Refusal::UriTooLong => "the path is too long",
        Refusal::FieldsTooLarge => "the head of the request is too large",
        _ => "the request is malformed",
    };
    refusal.map(|refusal| (refusal, why))
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod guard_tests;
