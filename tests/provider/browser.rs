//! A tiny browser: follows a consent URL the way a person's browser would, and trusts every certificate.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use url::{Url, form_urlencoded};

use super::http::{self, Pairs};
use super::tls;

/// A listener that never answers must not hang a test run.
const PATIENCE: Duration = Duration::from_secs(60);

/// Enough for authorization server, listener, and a page behind the listener.
const MAX_REDIRECTS: usize = 5;

/// What a request was answered with.
#[derive(Clone, Debug)]
pub struct Page {
    /// The URL it came from.
    pub url: String,
    /// The status code.
    pub status: u16,
    /// The header fields, names in lower case.
    pub headers: Pairs,
    /// The body.
    pub body: String,
}

impl Page {
    /// The first header field of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        http::find(&self.headers, name)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }
}

/// Opens an authorization URL, follows every redirect, and returns the page a person would see.
pub fn consent(url: &str) -> io::Result<Page> {
    let mut page = get(url, &[])?;
    for _ in 0..MAX_REDIRECTS {
        match redirect_of(&page)? {
            Some(next) => page = get(&next, &[])?,
            None => return Ok(page),
        }
    }
    Err(io::Error::other("too many redirects"))
}

/// Opens an authorization URL and returns where it would lead, without going there: what a
/// person copies from the address bar when nothing listens.
pub fn authorize(url: &str) -> io::Result<String> {
    let page = get(url, &[])?;
    let described = || io::Error::other(format!("no redirect but {}: {}", page.status, page.body));
    redirect_of(&page)?.ok_or_else(described)
}

/// Sends a GET and returns the answer, redirect or not.
pub fn get(url: &str, headers: &[(&str, &str)]) -> io::Result<Page> {
    request("GET", url, headers, "")
}

/// Posts a form and returns the answer, redirect or not.
pub fn post(url: &str, form: &[(&str, &str)], headers: &[(&str, &str)]) -> io::Result<Page> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let mut headers = headers.to_vec();
    headers.push(("Content-Type", "application/x-www-form-urlencoded"));
    request("POST", url, &headers, &body)
}

fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Page> {
    let url = Url::parse(url).map_err(io::Error::other)?;
    let mut stream = connect(&url)?;
    stream.write_all(message(method, &url, headers, body).as_bytes())?;
    let (status, headers, body) = http::read_response(&mut stream)?;
    Ok(Page { url: url.into(), status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

trait Connection: Read + Write {}

impl<T: Read + Write> Connection for T {}

fn connect(url: &Url) -> io::Result<Box<dyn Connection>> {
    let addresses = url.socket_addrs(|| None)?;
    let stream = TcpStream::connect(&addresses[..])?;
    stream.set_read_timeout(Some(PATIENCE))?;
    match url.scheme() {
        "http" => Ok(Box::new(stream)),
        "https" => Ok(Box::new(tls::connect(url.host_str().unwrap_or_default(), stream)?)),
        other => Err(io::Error::other(format!("neither http nor https, but {other}"))),
    }
}

fn message(method: &str, url: &Url, headers: &[(&str, &str)], body: &str) -> String {
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if method == "POST" {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}

fn redirect_of(page: &Page) -> io::Result<Option<String>> {
    let location = page.header("location");
    let Some(location) = location.filter(|_| (300..400).contains(&page.status)) else {
        return Ok(None);
    };
    let base = Url::parse(&page.url).map_err(io::Error::other)?;
    let next = base.join(location).map_err(io::Error::other)?;
    Ok(Some(next.into()))
}
