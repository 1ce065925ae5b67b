//! The network itself, for bodies that flow.
//!
//! The blocking client of `reqwest` loses the answer of a server that refuses a long body before its end, and
//! knows no limit on silence. So its other client is driven from here, on a runtime in this thread that
//! moves only while somebody waits for it: what is not read is not fetched either.

use std::io::{self, ErrorKind, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::timeout;
use url::Url;
use zeroize::Zeroizing;

use super::https::{self, Https, check_url, classify, flowing, is_loopback};
use super::resource::{Answer, Body, Limits, Request, Resources};
use super::{Cause, TransportError};

/// How much of a body is read at once, in bytes. A few such pieces are all that is held in memory.
const PIECE: usize = 64 * 1024;

impl Resources for Https {
    fn exchange(&self, request: Request) -> Result<Answer, TransportError> {
        // That plain HTTP to this machine is wanted was checked before; that it leaves this machine is
        // refused here once more.
        check_url(&request.url, true).map_err(|e| TransportError::Refused { what: e.to_string() })?;
        let host = https::host(&request.url);
        let no_runtime = |error: io::Error| lost(&host, Cause::of(&error));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_runtime)?;
        let client = client(&request.url).map_err(|e| https::unreachable(&host, &e))?;
        let (url, limits) = (request.url.clone(), request.limits);
        let (request, upload) = prepare(&client, request)?;

        let answer = runtime.block_on(head(request, &upload, limits)).map_err(|why| match why {
            NoHead::Failed(error) => match upload.failure() {
                Some(read) => lost(&host, Cause::from(&*format!("the body could not be read: {read}"))),
                None => classify(&host, error),
            },
            NoHead::Silence => lost(&host, Cause::from("it has said nothing for too long")),
            NoHead::Late => lost(&host, Cause::from("the time was over")),
        })?;
        let (status, version, headers) = (answer.status(), answer.version(), answer.headers().clone());
        let body = Flow { runtime, answer, piece: Bytes::new(), limits };
        Ok(Answer::new(status, version, url, headers, Box::new(body)))
    }
}

fn client(url: &Url) -> Result<Client, reqwest::Error> {
    let builder = flowing::strict(Client::builder());
    match (is_loopback(url), url.scheme()) {
        (true, "http") => flowing::plain(builder),
        (true, _) => flowing::local(builder),
        (false, _) => builder,
    }
    .build()
}

fn prepare(client: &Client, request: Request) -> Result<(RequestBuilder, Arc<Upload>), TransportError> {
    let method = request.method.as_str().parse().expect("the name of a method is one");
    let mut headers = HeaderMap::new();
    for header in request.headers {
        headers.append(header.name, header.value);
    }
    for (name, value) in &request.secret_headers {
        let name =
            HeaderName::from_bytes(name.as_bytes()).expect("the header fields of a provider are checked");
        headers.insert(name, secret_value("", value)?);
    }
    if let Some(token) = &request.bearer {
        headers.insert(AUTHORIZATION, secret_value("Bearer ", token)?);
    }
    let upload = Arc::<Upload>::default();
    let builder = client.request(method, request.url).headers(headers);
    let builder = match request.body {
        Some(body) => builder.body(reqwest::Body::wrap(Pieces::of(body, upload.clone()))),
        None => builder,
    };
    Ok((builder, upload))
}

fn secret_value(before: &str, secret: &SecretString) -> Result<HeaderValue, TransportError> {
    let text = Zeroizing::new(format!("{before}{}", secret.expose_secret()));
    let value = HeaderValue::from_str(&text);
    let what = "a secret has characters that no header can hold".to_owned();
    let mut value = value.map_err(|_| TransportError::Refused { what })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Why there is no head of an answer.
enum NoHead {
    Failed(reqwest::Error),
    Silence,
    Late,
}

/// Sends, and waits for the head. A body that moves is no silence, nor is one that is waited for.
async fn head(request: RequestBuilder, upload: &Upload, limits: Limits) -> Result<reqwest::Response, NoHead> {
    let mut sending = Box::pin(request.send());
    let mut moved = upload.moved();
    loop {
        let Some(wait) = next_wait(limits) else { return Err(NoHead::Late) };
        if let Ok(done) = timeout(wait, &mut sending).await {
            return done.map_err(NoHead::Failed);
        }
        let now = upload.moved();
        if next_wait(limits).is_none() {
            return Err(NoHead::Late);
        }
        if now == moved && !upload.is_waiting() {
            return Err(NoHead::Silence);
        }
        moved = now;
    }
}

/// How long to wait for the next sign of life; nothing if the time is over.
fn next_wait(limits: Limits) -> Option<Duration> {
    let Some(deadline) = limits.deadline else { return Some(limits.idle) };
    let left = deadline.saturating_duration_since(Instant::now());
    (!left.is_zero()).then(|| left.min(limits.idle))
}

fn lost(host: &str, cause: Cause) -> TransportError {
    TransportError::Lost { host: host.to_owned(), cause }
}

/// The body of an answer, fetched as it is read.
struct Flow {
    runtime: Runtime,
    answer: reqwest::Response,
    piece: Bytes,
    limits: Limits,
}

impl Read for Flow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.next()? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

impl Flow {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let late = |why| io::Error::new(ErrorKind::TimedOut, why);
        let wait = next_wait(self.limits).ok_or_else(|| late("the time is over"))?;
        let answer = &mut self.answer;
        let next = self.runtime.block_on(async { timeout(wait, answer.chunk()).await });
        match next {
            Ok(piece) => piece.map_err(|error| {
                io::Error::new(ErrorKind::UnexpectedEof, Cause::of(&error.without_url()).to_string())
            }),
            Err(_) if next_wait(self.limits).is_none() => Err(late("the time is over")),
            Err(_) => Err(late("the server has said nothing for too long")),
        }
    }
}

/// How far a body has come.
#[derive(Default)]
struct Upload {
    moved: AtomicU64,
    is_waiting: AtomicBool,
    failure: std::sync::Mutex<Option<String>>,
}

impl Upload {
    fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Whether the next piece is not there yet: then it is not the server that keeps us waiting.
    fn is_waiting(&self) -> bool {
        self.is_waiting.load(Ordering::Relaxed)
    }

    fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

/// A body in pieces, read by a thread of its own: what is read, such as standard input, may keep us waiting.
struct Pieces {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    left: Option<u64>,
    upload: Arc<Upload>,
}

impl Pieces {
    fn of(body: Body, upload: Arc<Upload>) -> Self {
        let (sender, pieces) = mpsc::channel(1);
        let left = body.length;
        // Not waited for: where nobody wants its next piece, it may wait for input for ever.
        std::thread::spawn(move || read_all(body, &sender));
        Self { pieces, left, upload }
    }
}

/// Reads until the end, an error, or nobody listens. A body that was said to have a length has it.
fn read_all(body: Body, sender: &mpsc::Sender<io::Result<Bytes>>) {
    let mut left = body.length.unwrap_or(u64::MAX);
    let mut bytes = body.bytes;
    while left > 0 {
        let mut piece = BytesMut::zeroed(PIECE.min(usize::try_from(left).unwrap_or(PIECE)));
        let read = match bytes.read(&mut piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) if body.length.is_some() => Err(ErrorKind::UnexpectedEof.into()),
            Ok(0) => return,
            Ok(count) => {
                left -= count as u64;
                piece.truncate(count);
                Ok(piece.freeze())
            }
            Err(error) => Err(error),
        };
        let is_over = read.is_err();
        if sender.blocking_send(read).is_err() || is_over {
            return;
        }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.upload.is_waiting.store(true, Ordering::Relaxed);
        let piece = ready!(self.pieces.poll_recv(cx));
        self.upload.is_waiting.store(false, Ordering::Relaxed);
        Poll::Ready(match piece {
            Some(Ok(piece)) => {
                self.upload.moved.fetch_add(piece.len() as u64, Ordering::Relaxed);
                self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
                Some(Ok(Frame::data(piece)))
            }
            Some(Err(error)) => {
                let said = Some(error.to_string());
                *self.upload.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = said;
                Some(Err(error))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
