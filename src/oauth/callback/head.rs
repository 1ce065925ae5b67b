//! The head of a request, read as strictly as only a program can that knows its one visitor.

use httparse::{EMPTY_HEADER, Error as Malformed, Request, Status};
use url::Url;
use zeroize::Zeroizing;

use crate::oauth::authorization::{Answer, Flow};

/// More header fields than any browser sends.
const MAX_FIELDS: usize = 64;

/// Why a request is not even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It is malformed.
    BadRequest,
    /// It does not come from following a link.
    Forbidden,
    /// It is for another path.
    NotFound,
    /// It is no GET.
    MethodNotAllowed,
    /// It did not arrive in time.
    Timeout,
    /// Its first line is too long.
    UriTooLong,
    /// Its fields are too many or too long.
    FieldsTooLarge,
}

impl Refusal {
    /// Status code and its phrase (RFC 9110, 15.5; RFC 6585, 5).
    pub(super) fn status(self) -> &'static str {
        match self {
            Self::BadRequest => "400 Bad Request",
            Self::Forbidden => "403 Forbidden",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::Timeout => "408 Request Timeout",
            Self::UriTooLong => "414 URI Too Long",
            Self::FieldsTooLarge => "431 Request Header Fields Too Large",
        }
    }

    /// The same for people, and nothing of what was sent.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::BadRequest => "the request is malformed",
            Self::Forbidden => "the request does not come from following a link",
            Self::NotFound => "there is nothing at this address",
            Self::MethodNotAllowed => "only GET is answered here",
            Self::Timeout => "the request did not arrive in time",
            Self::UriTooLong => "the address is too long",
            Self::FieldsTooLarge => "the request is too large",
        }
    }

    /// For a head that has not ended where it should have.
    pub(super) fn too_large(head: &[u8]) -> Self {
        if head.contains(&b'\n') { Self::FieldsTooLarge } else { Self::UriTooLong }
    }
}

/// Whether the empty line that ends a head has come, or something that no head can hold.
pub(super) fn is_complete(head: &[u8]) -> bool {
    head.windows(4).any(|window| window == b"\r\n\r\n") || has_stray_byte(head)
}

/// What the head of one request means for `flow`, whoever sent it.
///
/// # Errors
///
/// A [`Refusal`] if it is no request that a browser makes for following a redirect to this flow.
pub fn judge(head: &[u8], flow: &Flow) -> Result<Answer, Refusal> {
    let query = query(head, flow.redirect_uri())?;
    Ok(flow.accept(&query))
}

/// The query of a request for `redirect`, without its `?`; empty if it has none.
fn query(head: &[u8], redirect: &Url) -> Result<Zeroizing<String>, Refusal> {
    // RFC 9112, 2.2 lets a server skip empty lines before a request; a browser sends none.
    if has_stray_byte(head) || head.starts_with(b"\r\n") {
        return Err(Refusal::BadRequest);
    }
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut request = Request::new(&mut fields);
    match request.parse(head) {
        // Nothing comes after the head: one request per connection, and GET has no body.
        Ok(Status::Complete(length)) if length == head.len() => {}
        Err(Malformed::TooManyHeaders) => return Err(Refusal::FieldsTooLarge),
        _ => return Err(Refusal::BadRequest),
    }
    check_fields(&request, redirect)?;
    target(&request, redirect)
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

fn check_fields(request: &Request<'_, '_>, redirect: &Url) -> Result<(), Refusal> {
    if request.method != Some("GET") {
        return Err(Refusal::MethodNotAllowed);
    }
    // RFC 9112, 3.2: exactly one. A name that was bent to this address shows itself here.
    let host = one(request, "host")?.ok_or(Refusal::BadRequest)?;
    if !is_host_of(redirect, host) {
        return Err(Refusal::Forbidden);
    }
    if one(request, "content-length")?.is_some_and(|length| length != b"0")
        || one(request, "transfer-encoding")?.is_some()
    {
        return Err(Refusal::BadRequest);
    }
    check_origin(request)
}

/// A redirect from the provider is a navigation of the whole window; an image, a frame or a script
/// that calls this port is not. Browsers say which; a person with `curl` need not.
fn check_origin(request: &Request<'_, '_>) -> Result<(), Refusal> {
    let mode = one(request, "sec-fetch-mode")?;
    let is_navigation = mode.is_none_or(|mode| mode == b"navigate");
    let is_window = one(request, "sec-fetch-dest")?.is_none_or(|dest| dest == b"document");
    // A form at the provider that ends in a redirect may leave its origin behind, as `null` or whole.
    let is_origin_told = one(request, "origin")?.is_some_and(|origin| origin != b"null");
    if is_navigation && is_window && (mode.is_some() || !is_origin_told) {
        Ok(())
    } else {
        Err(Refusal::Forbidden)
    }
}

/// The value of a field that may stand in a head once.
fn one<'b>(request: &Request<'_, 'b>, name: &str) -> Result<Option<&'b [u8]>, Refusal> {
    let mut found = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (first, None) => Ok(first.map(|field| field.value)),
        _ => Err(Refusal::BadRequest),
    }
}

/// Literally the host of the redirect URI, with its port. Port 80 may be left out (RFC 9110, 7.2).
fn is_host_of(redirect: &Url, host: &[u8]) -> bool {
    let name = redirect.host_str().unwrap_or_default();
    match redirect.port() {
        Some(port) => host == format!("{name}:{port}").as_bytes(),
        None => host == name.as_bytes() || host == format!("{name}:80").as_bytes(),
    }
}

fn target(request: &Request<'_, '_>, redirect: &Url) -> Result<Zeroizing<String>, Refusal> {
    let target = request.path.unwrap_or_default();
    if !target.starts_with('/') || target.contains('#') || !target.is_ascii() {
        return Err(Refusal::BadRequest);
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != redirect.path() {
        return Err(Refusal::NotFound);
    }
    Ok(Zeroizing::new(query.to_owned()))
}

#[cfg(test)]
mod tests;
