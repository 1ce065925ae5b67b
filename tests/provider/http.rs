//! As much of HTTP/1.1 as the server and the tiny browser need: one request per connection.

use std::io::{self, Read};
use std::time::Instant;

use serde_json::Value;
use url::form_urlencoded;

use super::script::Endpoint;

const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 4 * 1024 * 1024;

/// Names and values, in the order they came in.
pub type Pairs = Vec<(String, String)>;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it was for.
    pub endpoint: Endpoint,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The pairs of the query, decoded.
    pub query: Pairs,
    /// The header fields, names in lower case.
    pub headers: Pairs,
    /// The pairs of a form body, decoded; empty for any other body.
    pub form: Pairs,
    /// The body as it was sent.
    pub body: Vec<u8>,
    /// When it had arrived in full.
    pub at: Instant,
}

impl Request {
    /// Reads one request; its endpoint is still to be found.
    pub(super) fn read(stream: &mut impl Read) -> io::Result<Self> {
        let (bytes, body_at) = read_head(stream)?;
        let mut slots = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut slots);
        head.parse(&bytes[..body_at]).map_err(malformed)?;
        let headers = owned(head.headers);
        let (path, query) = split_target(head.path.unwrap_or("/"));
        let method = head.method.unwrap_or_default().to_owned();
        let begun = bytes[body_at..].to_vec();
        let body = match find(&headers, "transfer-encoding") {
            Some("chunked") => read_chunks(stream, begun)?,
            _ => read_body(stream, begun, Some(content_length(&headers)?.unwrap_or(0)))?,
        };
        let form = form_of(&headers, &body);
        Ok(Self {
            endpoint: Endpoint::Elsewhere,
            method,
            path,
            query,
            headers,
            form,
            body,
            at: Instant::now(),
        })
    }

    /// The first header field of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The first form field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        find(&self.form, name)
    }

    /// The first query parameter of this name.
    pub fn param(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }
}

/// A response as it will leave.
#[derive(Clone, Debug)]
pub struct Response {
    pub(super) status: u16,
    pub(super) headers: Pairs,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers =
            vec![("Content-Type".into(), content_type.into()), ("Cache-Control".into(), "no-store".into())];
        Self { status, headers, body: body.into() }
    }

    pub fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    pub fn text(status: u16, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text)
    }

    pub(super) fn redirect(location: &str) -> Self {
        Self::text(302, "").with("Location", location)
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The bytes on the wire. A `Content-Length` among the headers is kept, true or not.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head().into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    pub(super) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let told = |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-length");
        if !self.headers.iter().any(told) {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("Connection: close\r\n\r\n");
        head
    }
}

/// Reads a response: status, header fields (names in lower case) and the whole body.
pub(super) fn read_response(stream: &mut impl Read) -> io::Result<(u16, Pairs, Vec<u8>)> {
    let (bytes, body_at) = read_head(stream)?;
    let mut slots = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut slots);
    head.parse(&bytes[..body_at]).map_err(malformed)?;
    let headers = owned(head.headers);
    let status = head.code.unwrap_or(0);
    let length = content_length(&headers)?;
    let body = read_body(stream, bytes[body_at..].to_vec(), length)?;
    Ok((status, headers, body))
}

/// The first value of this name.
pub(super) fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let (_, value) = pairs.iter().find(|(key, _)| key == name)?;
    Some(value)
}

/// The pairs of a query or a form, decoded.
pub(super) fn pairs(encoded: &[u8]) -> Pairs {
    form_urlencoded::parse(encoded).into_owned().collect()
}

/// Reads up to the blank line at least; returns what came and where the body begins.
fn read_head(stream: &mut impl Read) -> io::Result<(Vec<u8>, usize)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok((bytes, end + 4));
        }
        if bytes.len() > MAX_HEAD {
            return Err(malformed("a head of more than 64 KiB"));
        }
        // Who speaks TLS waits for an answer; every method and every answer begins with a capital.
        if bytes.first().is_some_and(|first| !first.is_ascii_uppercase()) {
            return Err(malformed("no HTTP"));
        }
        read_some(stream, &mut bytes)?;
    }
}

/// Reads the rest of a body: up to `length`, or to the end of the stream.
fn read_body(stream: &mut impl Read, mut body: Vec<u8>, length: Option<usize>) -> io::Result<Vec<u8>> {
    let Some(length) = length else {
        stream.take(MAX_BODY as u64).read_to_end(&mut body)?;
        return Ok(body);
    };
    while body.len() < length {
        read_some(stream, &mut body)?;
    }
    body.truncate(length);
    Ok(body)
}

/// Reads a body in chunks (RFC 9112, 7.1), without extensions and trailers.
fn read_chunks(stream: &mut impl Read, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
            read_some(stream, &mut bytes)?;
            continue;
        };
        let size = std::str::from_utf8(&bytes[..end]).map_err(malformed)?;
        let size = usize::from_str_radix(size, 16).map_err(malformed)?;
        let all = end + 2 + size + 2;
        while bytes.len() < all {
            read_some(stream, &mut bytes)?;
        }
        body.extend_from_slice(&bytes[end + 2..all - 2]);
        bytes.drain(..all);
        if size == 0 || body.len() > MAX_BODY {
            return Ok(body);
        }
    }
}

fn read_some(stream: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 8192];
    match stream.read(&mut chunk)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        n => {
            bytes.extend_from_slice(&chunk[..n]);
            Ok(())
        }
    }
}

fn content_length(headers: &[(String, String)]) -> io::Result<Option<usize>> {
    if find(headers, "transfer-encoding").is_some() {
        return Err(malformed("a transfer encoding is not understood here"));
    }
    let Some(text) = find(headers, "content-length") else {
        return Ok(None);
    };
    match text.trim().parse() {
        Ok(length) if length <= MAX_BODY => Ok(Some(length)),
        _ => Err(malformed("a content length that cannot be")),
    }
}

fn form_of(headers: &[(String, String)], body: &[u8]) -> Pairs {
    let content_type = find(headers, "content-type").unwrap_or_default();
    if content_type.starts_with("application/x-www-form-urlencoded") { pairs(body) } else { Pairs::new() }
}

fn split_target(target: &str) -> (String, Pairs) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    (path.to_owned(), pairs(query.as_bytes()))
}

fn owned(headers: &[httparse::Header<'_>]) -> Pairs {
    headers
        .iter()
        .map(|header| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_ascii_lowercase(), value)
        })
        .collect()
}

fn malformed(why: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_string())
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Scripted",
    }
}
