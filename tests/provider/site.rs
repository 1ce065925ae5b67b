//! Servers of a test's own, for real clients that take their token there: the test says what they answer.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::http::{Request, Response};
use super::tls::{HOST, Tls};
use super::wire::Wire;

/// A server on 127.0.0.1 and a free port, one thread per connection; dropping it stops it.
pub struct Site {
    address: SocketAddr,
    host: String,
    is_stopped: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Site {
    /// A server of any protocol: each connection is `serve`d, under TLS if there is some.
    pub fn of(tls: Option<Tls>, serve: impl Fn(Wire) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("this machine has a free port");
        let address = listener.local_addr().expect("it is bound");
        let host = if tls.is_some() { HOST.to_owned() } else { address.ip().to_string() };
        let is_stopped = Arc::<AtomicBool>::default();
        let serve = Arc::new(serve);
        let acceptor = thread::spawn({
            let is_stopped = is_stopped.clone();
            move || {
                for stream in listener.incoming() {
                    if is_stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    let (serve, tls) = (serve.clone(), tls.clone());
                    // A client that has gone away is no concern of the server.
                    thread::spawn(move || serve(Wire::new(stream, tls.as_ref(), Arc::default())));
                }
            }
        });
        Self { address, host, is_stopped, acceptor: Some(acceptor) }
    }

    /// A server of HTTP, and the requests that it has got, in order of arrival.
    pub fn http(
        tls: Option<Tls>,
        answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> (Self, Arc<Mutex<Vec<Request>>>) {
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let seen = requests.clone();
        let site = Self::of(tls, move |mut wire| {
            let request = Request::read(&mut wire)?;
            seen.lock().unwrap().push(request.clone());
            wire.finish(&answer(&request).to_bytes())
        });
        (site, requests)
    }

    /// The host by which clients know it, without the port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Host and port.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}
