//! Listens, records, lets each request meet its fault, and answers.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::config::Config;
use super::http::{Request, Response};
use super::script::{Endpoint, Fault, Gate, amend, html_page};
use super::state::State;
use super::tls::Tls;
use super::wire::Wire;
use super::{authorize, device, metadata, resource, revoke, service_account, token, userinfo};

/// No HTTP: the beginning of a TLS handshake, and bytes that are no text.
const GARBAGE: &[u8] = b"\x16\x03\x01\x02\x00\x01\xff\xfe garbage \x00\r\n\r\n";

/// What all connections share.
pub(super) struct Shared {
    state: Mutex<State>,
    arrived: Condvar,
    pub(super) gate: Gate,
    tls: Mutex<Option<Tls>>,
    received: Arc<AtomicU64>,
}

/// Starts listening and returns at once.
pub(super) fn start(
    config: Config,
    tls: Option<Tls>,
    here: IpAddr,
) -> io::Result<(Arc<Shared>, SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind((here, 0))?;
    widen_backlog(&listener)?;
    let address = listener.local_addr()?;
    let base = match &tls {
        None => format!("http://{address}"),
        Some(tls) => format!("https://{}:{}", tls.host, address.port()),
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(State::new(config, base)),
        arrived: Condvar::new(),
        gate: Gate::default(),
        tls: Mutex::new(tls),
        received: Arc::default(),
    });
    let acceptor = thread::spawn({
        let shared = Arc::clone(&shared);
        move || accept(&listener, &shared)
    });
    Ok((shared, address, acceptor))
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.gate.is_stopped() {
            return;
        }
        // An accept fails for one connection (reset meanwhile, no descriptor left), not for all.
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        thread::spawn(move || shared.serve(stream));
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn present(&self, tls: Option<Tls>) {
        *self.tls.lock().unwrap() = tls;
    }

    pub(super) fn bytes_received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(super) fn wait_for(&self, endpoint: Endpoint, count: usize, timeout: Duration) -> bool {
        let fewer = |state: &mut State| state.count(endpoint) < count;
        let waited = self.arrived.wait_timeout_while(self.state(), timeout, fewer);
        !waited.unwrap().1.timed_out()
    }

    pub(super) fn stop(&self, address: SocketAddr) {
        self.gate.stop();
        // Wakes the acceptor; if nobody listens any more, it is awake already.
        let _ = TcpStream::connect(address);
    }

    fn serve(&self, stream: TcpStream) {
        let mut stream = Wire::new(stream, self.tls.lock().unwrap().as_ref(), self.received.clone());
        // A client that has gone away is no concern of the server.
        let _ = match Request::read(&mut stream) {
            Ok(request) => self.meet(stream, request),
            Err(why) if why.kind() == io::ErrorKind::InvalidData => {
                send(stream, &Response::text(400, &why.to_string()))
            }
            Err(_) => Ok(()),
        };
    }

    fn meet(&self, stream: Wire, mut request: Request) -> io::Result<()> {
        let fault = self.record(&mut request);
        match fault {
            Fault::Pass => send(stream, &self.answer(&request)),
            Fault::Delay(time) => {
                self.gate.sleep(time);
                send(stream, &self.answer(&request))
            }
            Fault::Hold => {
                self.gate.hold();
                send(stream, &self.answer(&request))
            }
            Fault::ResetBefore => stream.reset(),
            Fault::Garbage => stream.finish(GARBAGE),
            Fault::Redirect(location) => send(stream, &see_other(&location)),
            Fault::Respond { status, headers, body } => send(stream, &as_scripted(status, headers, body)),
            after => self.spoil(stream, self.answer(&request), after),
        }
    }

    /// Records an arrival, with the endpoint filled in, and takes the fault that waits for it.
    fn record(&self, request: &mut Request) -> Fault {
        let mut state = self.state();
        request.endpoint = state.endpoint(&request.path);
        state.requests.push(request.clone());
        let fault = state.take_fault(request.endpoint);
        self.arrived.notify_all();
        fault
    }

    fn answer(&self, request: &Request) -> Response {
        let mut state = self.state();
        let mut response = match request.endpoint {
            Endpoint::OpenidConfiguration => metadata::openid(&state),
            Endpoint::OauthMetadata => metadata::oauth(&state),
            Endpoint::Authorize => authorize::answer(&mut state, request),
            Endpoint::Token => token::answer(&mut state, request),
            Endpoint::Userinfo => userinfo::answer(&state, request),
            Endpoint::Revoke => revoke::answer(&mut state, request),
            Endpoint::Jwks => metadata::jwks(&state),
            Endpoint::DeviceAuthorization => device::authorize(&mut state, request),
            Endpoint::DevicePage => device::page(&mut state, request),
            Endpoint::Api => resource::answer(&state, request),
            Endpoint::Iam => service_account::impersonate(&mut state, request),
            Endpoint::Elsewhere => Response::text(404, "nothing here\n"),
        };
        for (endpoint, patch) in &state.config.amendments {
            if *endpoint == request.endpoint && response.status == 200 {
                amend(&mut response, patch);
            }
        }
        response
    }

    /// The work is done; what the client gets to see of it is up to the fault.
    fn spoil(&self, stream: Wire, mut answer: Response, fault: Fault) -> io::Result<()> {
        match fault {
            Fault::CommitThenReset => return stream.reset(),
            Fault::CommitThenClose => return Ok(()),
            Fault::CommitThenTruncate(bytes) => return truncate(stream, &answer, bytes),
            Fault::CommitThenCut(bytes) => return cut(stream, &answer, bytes),
            Fault::CommitThenBytes(bytes) => return stream.finish(&bytes),
            Fault::CommitThenEndAt(bytes) => return end_at(stream, &answer, bytes),
            Fault::CommitThenFlood(mebibytes) => return flood(stream, answer, mebibytes),
            Fault::CommitThenStop(bytes) => return self.stop_at(stream, &answer, bytes),
            Fault::CommitThenLength(more) => {
                let length = answer.body.len().checked_add_signed(more).expect("a length that can be");
                answer = answer.with("Content-Length", &length.to_string());
            }
            Fault::CommitThenAdd(fields) => answer.headers.extend(fields),
            Fault::CommitThenGarbage => return stream.finish(GARBAGE),
            Fault::DripBytes(pause) => return self.drip(stream, &answer, pause),
            Fault::CommitThenDelay(time) => self.gate.sleep(time),
            Fault::CommitThenHold => self.gate.hold(),
            Fault::CommitThenAmend(patch) => amend(&mut answer, &patch),
            Fault::CommitThenStatus(status) => {
                answer = Response::new(status, "text/html", html_page(status));
            }
            Fault::CommitThenRespond { status, headers, body } => answer = as_scripted(status, headers, body),
            before => unreachable!("{before:?} is played before the work"),
        }
        send(stream, &answer)
    }

    fn stop_at(&self, mut stream: Wire, answer: &Response, bytes: usize) -> io::Result<()> {
        stream.write_all(&answer.to_bytes()[..answer.head().len() + bytes])?;
        stream.flush()?;
        self.gate.hold();
        Ok(())
    }

    fn drip(&self, mut stream: Wire, answer: &Response, pause: Duration) -> io::Result<()> {
        for byte in answer.to_bytes() {
            self.gate.sleep(pause);
            stream.write_all(&[byte])?;
        }
        Ok(())
    }
}

fn as_scripted(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Response {
    Response { status, headers, body }
}

/// 307 keeps method and body, so that a client that follows it hands over its secrets.
fn see_other(location: &str) -> Response {
    Response::text(307, "").with("Location", location)
}

fn send(stream: Wire, response: &Response) -> io::Result<()> {
    stream.finish(&response.to_bytes())
}

fn cut(stream: Wire, answer: &Response, bytes: usize) -> io::Result<()> {
    let all = answer.to_bytes();
    stream.finish(&all[..bytes.min(all.len())])
}

fn end_at(stream: Wire, answer: &Response, bytes: usize) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
    stream.finish(&[head.as_bytes(), &answer.body[..bytes.min(answer.body.len())]].concat())
}

fn flood(mut stream: Wire, answer: Response, mebibytes: usize) -> io::Result<()> {
    let length = (mebibytes << 20).to_string();
    stream.write_all(answer.with("Content-Length", &length).head().as_bytes())?;
    for _ in 0..mebibytes {
        stream.write_all(&[b' '; 1 << 20])?;
    }
    Ok(())
}

fn truncate(stream: Wire, answer: &Response, bytes: usize) -> io::Result<()> {
    let end = answer.head().len() + bytes.min(answer.body.len());
    stream.finish(&answer.to_bytes()[..end])
}

/// The standard library asks for a queue of 128 connections: too short for a hundred programs
/// that start in one moment, and a connection that finds no place waits a second.
fn widen_backlog(listener: &TcpListener) -> io::Result<()> {
    #[cfg(unix)]
    rustix::net::listen(listener, 1024)?;
    let _ = listener;
    Ok(())
}
