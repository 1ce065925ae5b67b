//! HTTP/1.1 for those who listen on this machine: one request per connection, read as strictly as only
//! a server can that knows its visitors.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use httparse::{EMPTY_HEADER, Error as Malformed, Header, Request, Status};
use zeroize::Zeroizing;

/// How long a visitor may take to say what it wants, and as long again for a body.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How long it may take to read our reply, and to hang up.
const REPLY_TIMEOUT: Duration = Duration::from_millis(500);

/// Largest head that is read, in bytes. A redirect has some hundreds, and some cookies.
const MAX_HEAD: usize = 8 * 1024;

/// More header fields than any browser sends.
pub const MAX_FIELDS: usize = 64;

/// Why a request is not even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It is malformed.
    BadRequest,
    /// It comes from where it must not come from.
    Forbidden,
    /// It is for another path.
    NotFound,
    /// Its method is not for this path.
    MethodNotAllowed,
    /// It did not arrive in time.
    Timeout,
    /// It does not say how long its body is.
    LengthRequired,
    /// Its body is too long.
    BodyTooLarge,
    /// Its first line is too long.
    UriTooLong,
    /// Its body is in another format.
    UnsupportedMediaType,
    /// Too many others wait for an answer.
    TooMany,
    /// Its fields are too many or too long.
    FieldsTooLarge,
}

impl Refusal {
    /// Status code and its phrase (RFC 9110, 15.5; RFC 6585, 4 and 5).
    pub fn status(self) -> &'static str {
        match self {
            Self::BadRequest => "400 Bad Request",
            Self::Forbidden => "403 Forbidden",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::Timeout => "408 Request Timeout",
            Self::LengthRequired => "411 Length Required",
            Self::BodyTooLarge => "413 Content Too Large",
            Self::UriTooLong => "414 URI Too Long",
            Self::UnsupportedMediaType => "415 Unsupported Media Type",
            Self::TooMany => "429 Too Many Requests",
            Self::FieldsTooLarge => "431 Request Header Fields Too Large",
        }
    }

    /// For a head that has not ended where it should have.
    pub fn too_large(head: &[u8]) -> Self {
        if head.contains(&b'\n') { Self::FieldsTooLarge } else { Self::UriTooLong }
    }
}

/// What has come up to the end of a head, and perhaps beyond.
pub struct Received {
    bytes: Zeroizing<Vec<u8>>,
    end: usize,
}

impl Received {
    /// The head, with the empty line that ends it.
    pub fn head(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    /// What has come behind it already.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.end..]
    }

    /// Both.
    pub fn all(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads up to the empty line that ends a head, for at most [`PATIENCE`].
///
/// # Errors
///
/// A [`Refusal`], or `None` if there is nobody to answer to.
pub fn read_head(stream: &mut TcpStream) -> Result<Received, Option<Refusal>> {
    // Some systems hand on the listener's mode to its connections.
    stream.set_nonblocking(false).map_err(|_| None)?;
    let deadline = Instant::now() + PATIENCE;
    // All of it at once, so that no copy is left behind by growing.
    let mut bytes = Zeroizing::new(vec![0; MAX_HEAD]);
    let mut length = 0;
    loop {
        if length == MAX_HEAD {
            return Err(Some(Refusal::too_large(&bytes)));
        }
        length += read_some(stream, deadline, &mut bytes[length..])?;
        if let Some(end) = end_of_head(&bytes[..length]) {
            bytes.truncate(length);
            return Ok(Received { bytes, end });
        }
    }
}

/// Reads a body of exactly `length` bytes, of which `begun` has come already, for at most [`PATIENCE`].
/// The bound on `length` is the caller's.
///
/// # Errors
///
/// A [`Refusal`], also if there is more than that; `None` if there is nobody to answer to.
pub fn read_body(
    stream: &mut TcpStream,
    begun: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, Option<Refusal>> {
    if begun.len() > length {
        return Err(Some(Refusal::BadRequest));
    }
    let deadline = Instant::now() + PATIENCE;
    let mut body = Zeroizing::new(vec![0; length]);
    body[..begun.len()].copy_from_slice(begun);
    let mut filled = begun.len();
    while filled < length {
        filled += read_some(stream, deadline, &mut body[filled..])?;
    }
    Ok(body)
}

/// Where the head ends: behind its empty line, or wherever bytes end that no head can hold.
pub fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
    end.or_else(|| has_stray_byte(bytes).then_some(bytes.len()))
}

/// Reads the head of one request out of `head`, which must be nothing else.
///
/// # Errors
///
/// A [`Refusal`] if it is no head, or if another parser might read it otherwise.
pub fn parse<'h, 'b>(
    head: &'b [u8],
    fields: &'h mut [Header<'b>; MAX_FIELDS],
) -> Result<Request<'h, 'b>, Refusal> {
    // RFC 9112, 2.2 lets a server skip empty lines before a request; nobody sends any.
    if has_stray_byte(head) || head.starts_with(b"\r\n") {
        return Err(Refusal::BadRequest);
    }
    let mut request = Request::new(fields);
    match request.parse(head) {
        Ok(Status::Complete(length)) if length == head.len() => Ok(request),
        Err(Malformed::TooManyHeaders) => Err(Refusal::FieldsTooLarge),
        _ => Err(Refusal::BadRequest),
    }
}

/// Room for the fields of a request.
pub fn no_fields<'b>() -> [Header<'b>; MAX_FIELDS] {
    [EMPTY_HEADER; MAX_FIELDS]
}

/// The value of a field that may stand in a head once.
///
/// # Errors
///
/// [`Refusal::BadRequest`] if it stands there more often.
pub fn one<'b>(request: &Request<'_, 'b>, name: &str) -> Result<Option<&'b [u8]>, Refusal> {
    let mut found = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (first, None) => Ok(first.map(|field| field.value)),
        _ => Err(Refusal::BadRequest),
    }
}

/// Makes sure that nothing comes behind the head.
///
/// # Errors
///
/// [`Refusal::BadRequest`] if a body is announced.
pub fn check_no_body(request: &Request<'_, '_>) -> Result<(), Refusal> {
    let is_empty = one(request, "content-length")?.is_none_or(|length| length == b"0");
    if is_empty && one(request, "transfer-encoding")?.is_none() { Ok(()) } else { Err(Refusal::BadRequest) }
}

/// The path and the query of a request, the latter without its `?`, and empty if there is none.
///
/// # Errors
///
/// [`Refusal::BadRequest`] if it is a whole address, an asterisk, or no ASCII.
pub fn target<'b>(request: &Request<'_, 'b>) -> Result<(&'b str, &'b str), Refusal> {
    let target = request.path.unwrap_or_default();
    if !target.starts_with('/') || target.contains('#') || !target.is_ascii() {
        return Err(Refusal::BadRequest);
    }
    Ok(target.split_once('?').unwrap_or((target, "")))
}

/// Has whoever waits for a visitor of `listener` wait no more.
pub fn wake(listener: &TcpListener) {
    // On Linux, nobody can connect from then on. Elsewhere a listener is not connected, and this an error.
    #[cfg(unix)]
    if rustix::net::shutdown(listener, rustix::net::Shutdown::Both).is_ok() {
        return;
    }
    // A visitor of our own, who may be kept out where the other does its work: by a sandbox, or without a network.
    if let Ok(here) = listener.local_addr() {
        let _ = TcpStream::connect_timeout(&here, Duration::from_secs(1));
    }
}

/// Sends `bytes` and hangs up. What the other side still has to say is read for a moment: closing on
/// unread bytes would tear down the reply as well.
pub fn reply(mut stream: TcpStream, bytes: &[u8]) {
    let deadline = Instant::now() + REPLY_TIMEOUT;
    let _ = stream.set_nonblocking(false);
    let _ = stream.set_write_timeout(Some(REPLY_TIMEOUT));
    if stream.write_all(bytes).is_err() || stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let mut rest = [0; 4096];
    while matches!(read_until(&mut stream, deadline, &mut rest), Ok(1..)) {}
}

fn read_some(stream: &mut TcpStream, deadline: Instant, buffer: &mut [u8]) -> Result<usize, Option<Refusal>> {
    match read_until(stream, deadline, buffer) {
        Ok(0) => Err(None),
        Ok(count) => Ok(count),
        Err(error) if is_timeout(&error) => Err(Some(Refusal::Timeout)),
        Err(_) => Err(None),
    }
}

fn read_until(stream: &mut TcpStream, deadline: Instant, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// A control character that is neither a tab nor part of a CRLF. Lenient parsers disagree on what
/// such a byte ends.
fn has_stray_byte(head: &[u8]) -> bool {
    let mut previous = 0;
    for &byte in head {
        let is_stray = match byte {
            b'\n' => previous != b'\r',
            b'\r' | b'\t' => previous == b'\r',
            _ => byte.is_ascii_control() || previous == b'\r',
        };
        if is_stray {
            return true;
        }
        previous = byte;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_its_empty_line_or_with_the_first_stray_byte() {
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\n\r\n"), Some(18));
        assert_eq!(end_of_head(b"POST / HTTP/1.1\r\n\r\na=b\n"), Some(19));
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\nA: b\r\n"), None);
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r"), None);
        assert_eq!(end_of_head(b"GET / HTTP/1.1\n"), Some(15));
        assert_eq!(end_of_head(b"\x16\x03"), Some(2));
    }
}
