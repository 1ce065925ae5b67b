//! An HTTP server on this machine that answers as a test says, and remembers what it was asked.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::provider::Tls;

/// A request, as far as the tests are concerned.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// The path with its query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The first header field of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The path without its query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&*self.target, |(path, _)| path)
    }
}

/// An answer: status, header fields, body.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The server; it ends with the test.
pub struct Loopback {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Loopback {
    /// Starts it on 127.0.0.1 and a free port, which `answer` is told first.
    pub fn start<A>(answer: impl FnOnce(u16) -> A) -> Self
    where
        A: Fn(&Request) -> Answer + Send + Sync + 'static,
    {
        Self::listen(None, answer)
    }

    /// The same over https, as the host of `tls`.
    pub fn start_https<A>(tls: &Tls, answer: impl FnOnce(u16) -> A) -> Self
    where
        A: Fn(&Request) -> Answer + Send + Sync + 'static,
    {
        Self::listen(Some(tls.config()), answer)
    }

    fn listen<A>(tls: Option<Arc<ServerConfig>>, answer: impl FnOnce(u16) -> A) -> Self
    where
        A: Fn(&Request) -> Answer + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let (seen, answer) = (requests.clone(), Arc::new(answer(address.port())));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer, tls) = (seen.clone(), answer.clone(), tls.clone());
                // Whoever leaves in the middle harms nobody.
                thread::spawn(move || match tls {
                    None => serve(stream, &seen, &*answer),
                    Some(tls) => {
                        let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
                        let mut stream = StreamOwned::new(connection, stream);
                        serve(&mut stream, &seen, &*answer)?;
                        stream.conn.send_close_notify();
                        stream.flush()
                    }
                });
            }
        });
        Self { address, requests }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The values of `Authorization` so far, of the requests that had one.
    pub fn authorizations(&self) -> Vec<String> {
        self.requests().iter().filter_map(|it| it.header("authorization").map(str::to_owned)).collect()
    }
}

/// One request for each connection.
fn serve(
    mut stream: impl Read + Write,
    seen: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&Request) -> Answer,
) -> io::Result<()> {
    let request = read(&mut stream)?;
    seen.lock().unwrap().push(request.clone());
    let answer = answer(&request);
    let mut head = format!("HTTP/1.1 {} Status\r\nConnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", answer.body.len()));
    stream.write_all(head.as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&answer.body)?;
    }
    stream.flush()
}

fn read(stream: &mut (impl Read + Write)) -> io::Result<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = stream.read(&mut buffer)?;
        bytes.extend_from_slice(&buffer[..length]);
        let mut slots = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut slots);
        match head.parse(&bytes).map_err(io::Error::other)? {
            httparse::Status::Complete(end) => {
                let mut request = of_head(&head);
                request.body = bytes.split_off(end);
                return with_body(request, stream);
            }
            httparse::Status::Partial if length == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            httparse::Status::Partial => {}
        }
    }
}

fn of_head(head: &httparse::Request<'_, '_>) -> Request {
    let field = |it: &httparse::Header<'_>| {
        (it.name.to_ascii_lowercase(), String::from_utf8_lossy(it.value).into_owned())
    };
    Request {
        method: head.method.unwrap_or_default().to_owned(),
        target: head.path.unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(field).collect(),
        body: Vec::new(),
    }
}

fn with_body(mut request: Request, stream: &mut (impl Read + Write)) -> io::Result<Request> {
    let length: usize = request.header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    assert_eq!(request.header("transfer-encoding"), None, "no test sends so much");
    if request.header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let missing = length.saturating_sub(request.body.len());
    stream.take(missing as u64).read_to_end(&mut request.body)?;
    Ok(request)
}
